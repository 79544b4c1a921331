//! Division of the budget: sizes of networks, trials, steps. Pure functions that read no clock.

use serde::{Deserialize, Serialize};

use crate::candidates::Size;

/// Fraction of the budget for the search.
const SEARCH_SHARE: f64 = 0.2;
/// Minimum and maximum number of epochs of a search; a shorter one finds no better cell than the known ones.
pub(crate) const SEARCH_EPOCHS: (usize, usize) = (5, 50);
/// Fraction of the time left after the search for the trials.
const TRIAL_SHARE: f64 = 0.12;
/// Minimum number of steps of a trial.
const TRIAL_STEPS: f64 = 200.0;
/// Maximum length of a trial as a fraction of the final training.
const TRIAL_MAX: f64 = 0.25;
/// Maximum length of the final training; the larger of the two limits applies.
const MOST_EPOCHS: f64 = 200.0;
const MOST_STEPS: f64 = 6000.0;

/// Seconds for the search: a fraction of the budget, at most the time of its longest schedule. `None` if that is less than
/// the time of its shortest schedule.
pub(crate) fn search_seconds(budget: f64, seconds_per_epoch: f64) -> Option<f64> {
    let (fewest, most) = SEARCH_EPOCHS;
    let share = SEARCH_SHARE * budget;
    (share >= fewest as f64 * seconds_per_epoch).then(|| share.min(most as f64 * seconds_per_epoch))
}

/// Seconds for all trials together, out of those left.
pub(crate) fn trial_seconds(left: f64) -> f64 {
    TRIAL_SHARE * left
}

/// Number of steps of the final training in this time.
pub(crate) fn steps(seconds: f64, seconds_per_step: f64, steps_per_epoch: usize) -> u64 {
    let most = (MOST_EPOCHS * steps_per_epoch as f64).max(MOST_STEPS);
    (seconds / seconds_per_step.max(1e-9)).clamp(1.0, most) as u64
}

/// A size with the time per step of its network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Timed {
    pub(crate) size: Size,
    pub(crate) seconds_per_step: f64,
}

impl Timed {
    /// Ratio of the training's length in this time to the minimum length for the size.
    pub(crate) fn worth(&self, seconds: f64, steps_per_epoch: usize) -> f64 {
        let steps = seconds / self.seconds_per_step.max(1e-9);
        let needed = self.size.steps.max(self.size.epochs * steps_per_epoch as f64);
        steps / needed.max(1.0)
    }
}

/// Index of the largest size whose training in this time has the minimum length; the smallest if there is none.
pub(crate) fn choose_size(timed: &[Timed], seconds: f64, steps_per_epoch: usize) -> Option<usize> {
    let fits = |timed: &Timed| timed.worth(seconds, steps_per_epoch) >= 1.0;
    timed.iter().rposition(fits).or(if timed.is_empty() { None } else { Some(0) })
}

/// A round of trials; all candidates are trained for the same time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rung {
    /// Number of candidates that are trained.
    pub(crate) candidates: usize,
    /// Duration of each training, in seconds.
    pub(crate) seconds: f64,
}

/// Rounds of successive halving (Jamieson and Talwalkar, AISTATS 2016) within `seconds`. All rounds take the same time; half
/// of the candidates are promoted to the next. `seconds_per_step` are those of the candidates, the most promising first; the
/// number of candidates is the largest with enough steps for each in the first round. Empty if that is less than two.
pub(crate) fn rungs(seconds: f64, seconds_per_step: &[f64], final_seconds: f64) -> Vec<Rung> {
    for count in (2..=seconds_per_step.len()).rev() {
        let sizes: Vec<usize> = std::iter::successors(Some(count), |&n| (n > 2).then(|| n.div_ceil(2))).collect();
        let each = seconds / sizes.len() as f64;
        let slowest = seconds_per_step[..count].iter().copied().fold(0.0, f64::max);
        if each / count as f64 >= TRIAL_STEPS * slowest {
            let seconds = |n: usize| (each / n as f64).min(TRIAL_MAX * final_seconds);
            return sizes.into_iter().map(|n| Rung { candidates: n, seconds: seconds(n) }).collect();
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::candidates::sizes;
    use gdas::space::spaces;

    #[test]
    fn a_search_is_left_out_where_it_cannot_pay() {
        assert_eq!(search_seconds(100.0, 5.0), None);
        assert_eq!(search_seconds(200.0, 5.0), Some(40.0));
        assert_eq!(search_seconds(1e6, 5.0), Some(250.0));
    }

    #[test]
    fn rounds_halve_the_candidates() {
        let rungs = |seconds, n: usize| {
            let rungs = rungs(seconds, &vec![0.1; n], 1e9);
            rungs.into_iter().map(|rung| (rung.candidates, rung.seconds.round() as u64)).collect::<Vec<_>>()
        };
        assert_eq!(rungs(450.0, 5), [(5, 30), (3, 50), (2, 75)]);
        assert_eq!(rungs(168.0, 4), [(4, 21), (2, 42)]);
        assert_eq!(rungs(50.0, 4), [(2, 25)]);
        assert_eq!(rungs(30.0, 4), []);
        assert_eq!(rungs(1e9, 1), []);
    }

    proptest! {
        #[test]
        fn trials_keep_to_their_time(
            seconds in 0.0f64..10_000.0,
            speeds in prop::collection::vec(1e-4f64..2.0, 0..9),
            final_seconds in 0.1f64..50_000.0,
        ) {
            let rungs = rungs(seconds, &speeds, final_seconds);
            let spent: f64 = rungs.iter().map(|rung| rung.candidates as f64 * rung.seconds).sum();
            prop_assert!(spent <= seconds * (1.0 + 1e-9));
            prop_assert!(rungs.is_sorted_by(|a, b| a.candidates > b.candidates));
            prop_assert!(rungs.first().is_none_or(|rung| rung.candidates <= speeds.len()));
            prop_assert!(rungs.last().is_none_or(|rung| rung.candidates == 2));
            prop_assert!(rungs.iter().all(|rung| rung.seconds <= TRIAL_MAX * final_seconds));
        }

        #[test]
        fn more_time_never_makes_the_network_smaller(
            step in 1e-4f64..0.5,
            growth in 1.05f64..3.0,
            (less, more) in (1.0f64..5000.0, 1.0f64..10.0),
            steps_per_epoch in 1usize..2000,
        ) {
            let mut seconds_per_step = step;
            let timed: Vec<Timed> = sizes(&spaces::nas_bench_201()).iter().map(|&size| {
                seconds_per_step *= growth;
                Timed { size, seconds_per_step }
            }).collect();
            let small = choose_size(&timed, less, steps_per_epoch).expect("there are sizes");
            let large = choose_size(&timed, less * more, steps_per_epoch).expect("there are sizes");
            prop_assert!(large >= small);
            prop_assert!(small == 0 || timed[small].worth(less, steps_per_epoch) >= 1.0);
        }

        #[test]
        fn the_final_training_keeps_to_its_time(
            seconds in 0.0f64..1e6, per_step in 1e-5f64..10.0, steps_per_epoch in 1usize..3000,
        ) {
            let steps = steps(seconds, per_step, steps_per_epoch);
            prop_assert!(steps >= 1 && (steps == 1 || steps as f64 * per_step <= seconds * (1.0 + 1e-9)));
            let most = (200 * steps_per_epoch).max(6000) as u64;
            prop_assert!(steps <= most);
        }
    }
}
