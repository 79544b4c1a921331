use std::time::{Duration, Instant};

/// Reciprocal of the fraction of the time that saving may take. With the first and the last save, which are not delayed,
/// and with varying durations, the fraction stays below 2 %.
const SHARE: u32 = 100;

/// Schedule of checkpoints: after the configured interval, or later if saving is so slow (as on a busy network disk) that
/// it would take more than 1 % of the time. An interval of zero saves at every step.
pub(crate) struct Cadence {
    interval: Duration,
    /// End of the last save, or the start of the run.
    last: Instant,
    cost: Duration,
}

impl Cadence {
    /// Starts now, with `seconds` between checkpoints.
    pub(crate) fn new(seconds: f64) -> Self {
        let interval = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        Self { interval, last: Instant::now(), cost: Duration::ZERO }
    }

    /// Whether a checkpoint is due.
    pub(crate) fn is_due(&self) -> bool {
        self.interval.is_zero() || self.last.elapsed() >= self.wait()
    }

    /// Records a save that started at `began`.
    pub(crate) fn saved(&mut self, began: Instant) {
        self.cost = began.elapsed();
        self.last = Instant::now();
    }

    fn wait(&self) -> Duration {
        self.interval.max(self.cost.saturating_mul(SHARE - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_disk_is_given_time() {
        let mut cadence = Cadence::new(60.0);
        assert!(!cadence.is_due());
        assert_eq!(cadence.wait(), Duration::from_mins(1));
        cadence.cost = Duration::from_secs(3);
        assert_eq!(cadence.wait(), Duration::from_secs(297));
        cadence.interval = Duration::ZERO;
        assert!(cadence.is_due(), "every step was asked for");
        assert_eq!(Cadence::new(f64::INFINITY).wait(), Duration::MAX);
    }
}
