//! The figures of `docs/reliability.md`, one per promise, printed by the tests that check them.
//!
//! Each scenario is written once and runs in two sizes: a short one with all tests, and the full one on request:
//!
//! ```text
//! cargo test --release --workspace --test torture -- --ignored --nocapture --test-threads 1
//! ```
#![cfg(unix)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "figures and skips are what it prints")]

mod command;
mod torture {
    pub(crate) mod clock;
    pub(crate) mod cost;
    pub(crate) mod damage;
    pub(crate) mod disk;
    pub(crate) mod kills;
    pub(crate) mod signals;
    pub(crate) mod stage;
}

use torture::{clock, cost, damage, disk, kills, signals};

/// One scenario in its two sizes.
macro_rules! promise {
    ($short:ident, $full:ident, $size:ty, $scenario:path, $few:expr, $many:expr) => {
        #[test]
        fn $short() {
            let size: $size = $few;
            $scenario(size);
        }

        #[test]
        #[ignore = "the full size takes minutes"]
        fn $full() {
            let size: $size = $many;
            $scenario(size);
        }
    };
}

promise!(promise_1_search_killed, promise_1_search_killed_full, usize, kills::search, 3, 50);
promise!(promise_1_training_killed, promise_1_training_killed_full, usize, kills::training, 2, 20);
promise!(
    promise_1_killed_at_disk_operations,
    promise_1_killed_at_disk_operations_full,
    usize,
    kills::disk_operations,
    6,
    1000
);
promise!(promise_1_auto_killed, promise_1_auto_killed_full, usize, kills::auto, 2, 10);
promise!(promise_1_reproduce_killed, promise_1_reproduce_killed_full, usize, kills::reproduce, 1, 10);
promise!(
    promise_2_one_digest,
    promise_2_one_digest_full,
    &[&str],
    cost::one_digest,
    &["1", "3"],
    &["1", "1", "2", "3", "5", "8"]
);
promise!(promise_3_signals, promise_3_signals_full, usize, signals::every_phase, 2, 20);
promise!(promise_3_reproduce_stopped, promise_3_reproduce_stopped_full, usize, signals::reproduce, 1, 6);
promise!(promise_4_damage, promise_4_damage_full, usize, damage::every_file, 60, 1000);
promise!(promise_5_failing_writes, promise_5_failing_writes_full, usize, disk::every_write_fails, 8, 1000);
promise!(promise_5_full_disk, promise_5_full_disk_full, usize, disk::small_disk, 3, 24);
promise!(promise_7_cost_of_checkpoints, promise_7_cost_of_checkpoints_full, bool, cost::of_checkpoints, false, true);
promise!(two_processes, two_processes_full, usize, disk::many_processes, 1, 10);
promise!(a_clock_that_jumps, a_clock_that_jumps_full, usize, clock::jumps, 1, 6);

#[test]
fn a_read_only_directory() {
    disk::read_only();
}
