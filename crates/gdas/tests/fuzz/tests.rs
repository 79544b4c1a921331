//! The tests of a crate's targets.

use super::attack;
use super::targets::all;

#[test]
fn a_few_hundred_inputs_of_every_kind() {
    attack::briefly(&all());
}

#[test]
#[ignore = "takes as long as GDAS_FUZZ_SECONDS says, for each target"]
fn for_a_while() {
    attack::for_a_while(&all());
}
