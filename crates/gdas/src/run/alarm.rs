//! Alarms for the two known failure modes of a search: alpha stays flat, so that the derived cell is random; or the derived
//! cells consist of operations without parameters.
//!
//! Both are computed from the logged metrics of each epoch, so reports find the same alarms in a log as the search itself.

use serde::{Deserialize, Serialize};

use super::{Alarm, AlphaTable, Event};

/// Relative entropy from which alpha is considered flat. At 0.99 the standard deviation of the logits is 0.18 (five
/// operations) or 0.2 (eight): if a single operation is preferred, its probability is 28 % instead of 20 %, or 21 % instead
/// of 12.5 %.
pub const FLAT: f64 = 0.99;

/// Fraction of the epochs with alpha updates after which a flat alpha is an alarm. As a step of Adam is bounded by its
/// learning rate, alpha moves about as far in the second half as in the first.
pub const LATE: f64 = 0.5;

/// Fraction of edges without parameters from which a cell raises the alarm: five edges of six in NAS-Bench-201, seven of
/// eight in a NASNet cell. In the table, the best of the 729 cells without parameters has 86.8 % test accuracy on CIFAR-10,
/// the median of those with parameters on one edge of six 86.6 %, and the median of all cells is above 90 %.
pub const SATURATED: f64 = 0.8;

/// Fraction of the epochs for which a condition must hold without interruption, as derived cells fluctuate.
pub const PATIENCE: f64 = 0.1;

/// Minimum number of epochs for which a condition must hold.
pub const MIN_EPOCHS: usize = 3;

/// The logged metrics of an epoch from which alarms are computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochNumbers {
    /// Number of the epoch, from zero.
    pub epoch: usize,
    /// Number of epochs of the whole search.
    pub epochs: usize,
    /// Whether alpha was not updated (warm-up).
    pub alpha_rests: bool,
    /// [`relative_entropy`] of alpha at the end of the epoch.
    pub entropy: f64,
    /// Fraction of the derived cell's edges without parameters.
    pub parameter_free: f64,
}

impl EpochNumbers {
    /// The metrics in an event that ends an epoch of a search with alpha.
    pub fn of(event: &Event) -> Option<Self> {
        let Event::Epoch(ended) = event else { return None };
        Some(Self {
            epoch: ended.epoch,
            epochs: ended.epochs,
            alpha_rests: ended.alpha_rests,
            entropy: relative_entropy(&ended.alphas)?,
            parameter_free: ended.parameter_free,
        })
    }

    /// Number of epochs over which a condition must hold.
    fn patience(&self) -> usize {
        ((PATIENCE * self.epochs as f64).ceil() as usize).max(MIN_EPOCHS)
    }
}

/// State of the alarms, a pure function of the epochs so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Alarms {
    /// Number of epochs without alpha updates.
    rested: usize,
    /// Number of consecutive epochs with a flat alpha.
    flat: usize,
    /// Number of consecutive epochs with cells of few parameters.
    parameter_free: usize,
    /// Alarms that were raised and whose condition still holds.
    active: Vec<Alarm>,
}

impl Alarms {
    /// Updates the state with the next epoch and returns the new alarms.
    pub fn follow(&mut self, now: &EpochNumbers) -> Vec<Alarm> {
        if now.alpha_rests {
            self.rested += 1;
            return vec![];
        }
        let count = |count: usize, holds: bool| if holds { count + 1 } else { 0 };
        self.flat = count(self.flat, now.entropy >= FLAT);
        self.parameter_free = count(self.parameter_free, now.parameter_free >= SATURATED);
        let learned = now.epoch + 1 - self.rested.min(now.epoch);
        let is_late = learned as f64 >= LATE * (now.epochs - self.rested.min(now.epochs)) as f64;
        let mut begun = Vec::new();
        for (alarm, holds) in [
            (Alarm::Flat, is_late && self.flat >= now.patience()),
            (Alarm::ParameterFree, self.parameter_free >= now.patience()),
        ] {
            match self.active.iter().position(|standing| *standing == alarm) {
                None if holds => {
                    self.active.push(alarm);
                    begun.push(alarm);
                }
                Some(at) if !holds => {
                    self.active.remove(at);
                }
                _ => {}
            }
        }
        begun
    }

    /// Alarms whose condition held in the last epoch, the oldest first.
    pub fn active(&self) -> &[Alarm] {
        &self.active
    }

    /// Number of consecutive epochs for which the condition of an alarm has held.
    fn epochs(&self, alarm: Alarm) -> usize {
        match alarm {
            Alarm::Flat => self.flat,
            Alarm::ParameterFree => self.parameter_free,
        }
    }

    /// Explanation of an alarm at an epoch, with advice. `judged`: whether the selection is judged.
    pub fn message(&self, alarm: Alarm, now: &EpochNumbers, judged: bool) -> String {
        let percent = |share: f64| format!("{:.0} %", 100.0 * share);
        let epochs = self.epochs(alarm);
        match alarm {
            Alarm::Flat => format!(
                "alpha is flat: after {} of {} epochs its entropy is {:.1} % of the largest possible, so the cell that it \
                 points to is hardly more than chance. More epochs or a larger `--alpha-learning-rate` let it move \
                 further{}",
                now.epoch + 1,
                now.epochs,
                100.0 * now.entropy,
                if judged {
                    "; the judged end does not rely on alpha alone"
                } else {
                    "; `--selection judged` relies on it less"
                },
            ),
            Alarm::ParameterFree => format!(
                "alpha's cell has had no parameters on {} of its edges or more for {epochs} epochs (now {}): skip \
                 connections, pools and `none` need no training and look good early, and such cells are poor. {} \
                 `--alpha-warmup-epochs`, `--early-stop parameter-free` and `--max-skips` work against it",
                percent(SATURATED),
                percent(now.parameter_free),
                if judged { "The judged end chooses among other cells, too;" } else { "`--selection judged`," },
            ),
        }
    }
}

/// Entropy of softmax(alpha) relative to its maximum ln K, averaged over all edges of all tables. `None` if no edge has more
/// than one operation.
pub fn relative_entropy(tables: &[AlphaTable]) -> Option<f64> {
    let rows = tables.iter().flat_map(AlphaTable::probabilities).filter(|row| row.len() > 1);
    let entropies: Vec<f64> = rows
        .map(|row| {
            let nats: f64 = row.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
            nats / (row.len() as f64).ln()
        })
        .collect();
    (!entropies.is_empty()).then(|| entropies.iter().sum::<f64>() / entropies.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The alarms of a search of these entropies and shares, each with the epoch that it begins with; and those at the end.
    fn alarms(
        entropy: impl Fn(usize) -> f64,
        free: impl Fn(usize) -> f64,
        epochs: usize,
    ) -> (Vec<(usize, Alarm)>, Alarms) {
        let (mut alarms, mut begun) = (Alarms::default(), Vec::new());
        for epoch in 0..epochs {
            let (entropy, parameter_free) = (entropy(epoch), free(epoch));
            let now = EpochNumbers { epoch, epochs, alpha_rests: false, entropy, parameter_free };
            begun.extend(alarms.follow(&now).into_iter().map(|alarm| (epoch, alarm)));
        }
        (begun, alarms)
    }

    /// As in a search that works: flat at first, cells without parameters for a while, then decided and with parameters.
    #[test]
    fn a_healthy_search_is_not_warned_of() {
        for epochs in [20, 50, 250] {
            let time = |epoch: usize| (epoch + 1) as f64 / epochs as f64;
            let free = |epoch: usize| if epoch.is_multiple_of(epochs / 10) { 5.0 / 6.0 } else { 0.5 };
            let (begun, at_end) = alarms(|epoch| 1.0 - 0.1 * time(epoch).powi(2), free, epochs);
            assert_eq!((begun, at_end.active().len()), (vec![], 0), "{epochs} epochs");
        }
        // Too short to say anything.
        assert_eq!(alarms(|_| 1.0, |_| 1.0, 2).0, []);
    }

    #[test]
    fn a_flat_alpha_is_an_alarm_once_half_of_the_search_is_over() {
        assert_eq!(alarms(|_| 0.999, |_| 0.5, 250).0, [(124, Alarm::Flat)]);
        assert_eq!(alarms(|_| 0.989, |_| 0.5, 250).0, []);
        // What it is in the end counts.
        let (begun, at_end) = alarms(|epoch| if epoch < 200 { 0.999 } else { 0.9 }, |_| 0.5, 250);
        assert_eq!((begun, at_end.active()), (vec![(124, Alarm::Flat)], &[][..]));
    }

    #[test]
    fn cells_without_parameters_are_an_alarm_after_a_tenth_of_the_search() {
        assert_eq!(alarms(|_| 0.9, |_| 1.0, 250).0, [(24, Alarm::ParameterFree)]);
        assert_eq!(alarms(|_| 0.9, |_| 5.0 / 6.0, 20).0, [(2, Alarm::ParameterFree)]);
        assert_eq!(alarms(|_| 0.9, |_| 4.0 / 6.0, 250).0, []);
        // A gap begins anew, and a second time is said, too.
        let free = |epoch: usize| if epoch == 10 || (100..150).contains(&epoch) { 0.5 } else { 1.0 };
        let (begun, at_end) = alarms(|_| 0.9, free, 250);
        assert_eq!(begun, [(35, Alarm::ParameterFree), (174, Alarm::ParameterFree)]);
        assert_eq!(at_end.active(), [Alarm::ParameterFree]);
    }

    /// Epochs in which alpha rests are neither flat nor part of the search that alpha has.
    #[test]
    fn a_resting_alpha_is_no_alarm() {
        let mut alarms = Alarms::default();
        let begun: Vec<_> = (0..100)
            .flat_map(|epoch| {
                let alpha_rests = epoch < 80;
                let now = EpochNumbers { epoch, epochs: 100, alpha_rests, entropy: 1.0, parameter_free: 0.0 };
                alarms.follow(&now).into_iter().map(move |alarm| (epoch, alarm))
            })
            .collect();
        assert_eq!(begun, [(89, Alarm::Flat)]);
    }

    #[test]
    fn entropy_is_relative_to_that_of_an_even_choice() {
        let table = |alphas: Vec<Vec<f32>>| [AlphaTable { name: "cell".into(), alphas }];
        let entropy = |alphas| relative_entropy(&table(alphas)).unwrap();
        assert!((entropy(vec![vec![0.3; 5], vec![-2.0; 8]]) - 1.0).abs() < 1e-12);
        assert!(entropy(vec![vec![0.0, 1000.0]]) < 1e-12);
        // Probabilities 1/4 and 3/4; the mean of that edge and an even one.
        let exact = (0.25 * 4f64.ln() + 0.75 * (4.0f64 / 3.0).ln()) / 2f64.ln();
        assert!((entropy(vec![vec![0.0, 3f32.ln()]]) - exact).abs() < 1e-6);
        assert!((entropy(vec![vec![0.0, 3f32.ln()], vec![0.0, 0.0]]) - f64::midpoint(1.0, exact)).abs() < 1e-6);
        assert_eq!(relative_entropy(&table(vec![vec![1.0]])), None);
    }

    #[test]
    fn messages_say_what_can_be_done() {
        let now = EpochNumbers { epoch: 124, epochs: 250, alpha_rests: false, entropy: 0.9994, parameter_free: 1.0 };
        let mut alarms = Alarms { flat: 99, parameter_free: 99, ..Alarms::default() };
        assert_eq!(alarms.follow(&now), [Alarm::Flat, Alarm::ParameterFree]);
        let flat = alarms.message(Alarm::Flat, &now, false);
        assert!(flat.contains("after 125 of 250 epochs") && flat.contains("99.9 %"), "{flat}");
        assert!(flat.contains("--alpha-learning-rate") && flat.contains("--selection judged"), "{flat}");
        assert!(!alarms.message(Alarm::Flat, &now, true).contains("--selection judged"));
        let free = alarms.message(Alarm::ParameterFree, &now, false);
        assert!(free.contains("80 %") && free.contains("100 epochs") && free.contains("now 100 %"), "{free}");
        assert!(free.contains("--alpha-warmup-epochs"), "{free}");
    }
}
