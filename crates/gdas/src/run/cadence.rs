use std::time::{Duration, Instant};

/// A save may take one part in a hundred of the time, so that with the first and the last one, which are not held
/// back, and with some that take longer than the one before, it is less than two.
const SHARE: u32 = 100;

/// When the next checkpoint is due: after the interval that was asked for, or later where saving is so slow (a busy
/// network disk, say) that it would take more than 1 % of the time. An interval of zero saves at every step.
pub(crate) struct Cadence {
    interval: Duration,
    /// End of the last save, or the start of the run.
    last: Instant,
    cost: Duration,
}

impl Cadence {
    /// Counts from now; `seconds` between checkpoints.
    pub(crate) fn new(seconds: f64) -> Self {
        let interval = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        Self { interval, last: Instant::now(), cost: Duration::ZERO }
    }

    /// Whether it is time to save.
    pub(crate) fn is_due(&self) -> bool {
        self.interval.is_zero() || self.last.elapsed() >= self.wait()
    }

    /// A checkpoint is durable, `began` being when its saving began.
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
