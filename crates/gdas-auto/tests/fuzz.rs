//! Broken and hostile configurations of automatic runs; see `../../gdas/tests/fuzz/attack.rs`.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

#[path = "../../gdas/tests/fuzz/attack.rs"]
mod attack;
#[path = "../../gdas/tests/fuzz/mutate.rs"]
mod mutate;

use attack::{Target, say};
use gdas_auto::AutoConfig;

fn all() -> Vec<Target> {
    let seed = b"task = \"auto\"\ndata = \"digits\"\nimage_size = \"auto\"\nspace = \"nas-bench-201\"\nbudget_seconds = 10.0\n\
          seed = 0\nthreads = 2\n";
    let words = &["budget_seconds", "nan", "inf", "1e400", "[", "task = \"train\"", "auto", "'''"];
    let run = |input: &[u8], _: &std::path::Path| say(toml::from_str::<AutoConfig>(&String::from_utf8_lossy(input)));
    vec![Target { name: "auto", seeds: vec![seed.to_vec()], words, run, few: 500 }]
}

#[test]
fn a_few_hundred_inputs_of_every_kind() {
    attack::briefly(&all());
}

#[test]
#[ignore = "takes as long as GDAS_FUZZ_SECONDS says, for each target"]
fn for_a_while() {
    attack::for_a_while(&all());
}
