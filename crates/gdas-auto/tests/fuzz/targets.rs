//! Configurations of automatic runs.

use super::attack::{Target, say};
use gdas_auto::AutoConfig;

pub(crate) fn all() -> Vec<Target> {
    let seed = b"task = \"auto\"\ndata = \"digits\"\nimage_size = \"auto\"\nspace = \"nas-bench-201\"\nbudget_seconds = 10.0\n\
          seed = 0\nthreads = 2\n";
    let words = &["budget_seconds", "nan", "inf", "1e400", "[", "task = \"train\"", "auto", "'''"];
    let run = |input: &[u8], _: &std::path::Path| say(toml::from_str::<AutoConfig>(&String::from_utf8_lossy(input)));
    vec![Target { name: "auto", seeds: vec![seed.to_vec()], words, run, few: 500 }]
}
