//! How many steps a training takes, where that changes under way.

use serde::{Deserialize, Serialize};

/// The length of a training, and how it maps steps to its schedule.
///
/// A training is planned with a number of steps. When the plan changes after some of them, the rest of the schedule is
/// stretched or compressed over the steps that are left: the learning rate has no jump and still ends at its minimum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Pace {
    /// Steps that the schedule was made for.
    planned: u64,
    /// Step of the last change; 0 if there was none.
    since: u64,
    /// Position on the schedule at that step, in `0..planned`.
    scheduled: f64,
    /// Steps of the whole training as of now.
    pub(super) total: u64,
}

impl Pace {
    /// A training of this many steps, at least one.
    pub(super) fn new(planned: u64) -> Self {
        let planned = planned.max(1);
        Self { planned, since: 0, scheduled: 0.0, total: planned }
    }

    /// The same with at most this many steps.
    pub(super) fn shortened_to(self, steps: u64) -> Self {
        Self::new(self.planned.min(steps))
    }

    /// Steps that the schedule was made for.
    pub(super) fn planned(&self) -> u64 {
        self.planned
    }

    /// Position of a step on the schedule, in steps of the plan; the step itself where the plan never changed.
    pub(super) fn position(&self, step: u64) -> f64 {
        if self.since == 0 {
            return step as f64;
        }
        let done = step.saturating_sub(self.since) as f64 / (self.total - self.since) as f64;
        self.scheduled + done * (self.planned as f64 - self.scheduled)
    }

    /// From now on, with `done` steps done, the training takes `total` steps in all; at least one more is always left.
    /// Nothing changes before the first step and after the last.
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
