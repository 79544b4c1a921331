//! Broken and hostile input for the readers of data sets; see `../../gdas/tests/fuzz/attack.rs`.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod fuzz {
    #[path = "../../../gdas/tests/fuzz/attack.rs"]
    pub(crate) mod attack;
    #[path = "../../../gdas/tests/fuzz/mutate.rs"]
    pub(crate) mod mutate;
    pub(crate) mod seeds;
    pub(crate) mod targets;
}

use fuzz::targets::all;

#[test]
fn a_few_hundred_inputs_of_every_kind() {
    fuzz::attack::briefly(&all());
}

#[test]
#[ignore = "takes as long as GDAS_FUZZ_SECONDS says, for each target"]
fn for_a_while() {
    fuzz::attack::for_a_while(&all());
}
