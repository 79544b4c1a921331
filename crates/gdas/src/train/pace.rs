//! Length of a training that can change while it runs.

use serde::{Deserialize, Serialize};

/// The length of a training, and the mapping of steps to its schedule.
///
/// When the planned number of steps changes, the rest of the schedule is stretched or compressed over the remaining steps:
/// the learning rate is continuous and still ends at its minimum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Pace {
    /// Length of the schedule in steps.
    planned: u64,
    /// Step of the last change; 0 if there was none.
    since: u64,
    /// Position on the schedule at that step, in `0..=planned`.
    scheduled: f64,
    /// Current number of steps of the whole training.
    pub(super) total: u64,
}

impl Pace {
    /// A training of this many steps, at least one.
    pub(super) fn new(planned: u64) -> Self {
        let planned = planned.max(1);
        Self { planned, since: 0, scheduled: 0.0, total: planned }
    }

    /// Limits the number of steps.
    pub(super) fn shortened_to(self, steps: u64) -> Self {
        Self::new(self.planned.min(steps))
    }

    /// Length of the schedule in steps.
    pub(super) fn planned(&self) -> u64 {
        self.planned
    }

    /// Position of a step on the schedule; the step itself if the length never changed.
    pub(super) fn position(&self, step: u64) -> f64 {
        if self.since == 0 {
            return step as f64;
        }
        let done = step.saturating_sub(self.since) as f64 / (self.total - self.since) as f64;
        self.scheduled + done * (self.planned as f64 - self.scheduled)
    }

    /// Changes the total number of steps to `total` after `done` steps; at least one step remains. Has no effect before the
    /// first step and after the last.
    pub(super) fn change(&mut self, done: u64, total: u64) {
        if done == 0 || done >= self.total {
            return;
        }
        *self = Self { since: done, scheduled: self.position(done), total: total.max(done + 1), ..*self };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plan_that_never_changes_is_followed_step_by_step() {
        let pace = Pace::new(1000);
        assert!((0..1000).all(|step| pace.position(step) == step as f64));
    }

    proptest! {
        #[test]
        fn the_schedule_has_no_jump_and_ends_where_it_should(
            planned in 2u64..5000,
            changes in prop::collection::vec((1u64..5000, 1u64..10_000), 1..6),
        ) {
            let mut pace = Pace::new(planned);
            let mut changes = changes;
            changes.sort_unstable();
            for (done, total) in changes {
                let before = pace;
                pace.change(done, total);
                if done < before.total {
                    prop_assert!((pace.position(done) - before.position(done)).abs() < 1e-9);
                    prop_assert!(pace.total > done);
                } else {
                    prop_assert_eq!(pace, before);
                }
            }
            prop_assert!((pace.position(pace.total) - planned as f64).abs() < 1e-6);
            let last = pace.position(pace.total - 1);
            prop_assert!(last < planned as f64);
            for step in 1..pace.total.min(300) {
                prop_assert!(pace.position(pace.since + step) >= pace.position(pace.since + step - 1));
            }
        }
    }
}
