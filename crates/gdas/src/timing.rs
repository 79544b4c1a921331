//! Measurement of the time per step.

use std::time::Instant;

use crate::Error;
use crate::run::{Interrupt, phase};

/// Time of `step` in seconds: the minimum of two runs after a warm-up. `None` if interrupted.
pub(crate) fn measure(
    interrupt: &Interrupt,
    mut step: impl FnMut(u64) -> Result<(), Error>,
) -> Result<Option<f64>, Error> {
    step(0)?;
    let mut best = f64::INFINITY;
    for round in 0..2 {
        let start = Instant::now();
        for i in 0..3 {
            phase::enter("timing");
            if interrupt.is_requested() {
                return Ok(None);
            }
            step(1 + 3 * round + i)?;
        }
        best = best.min(start.elapsed().as_secs_f64() / 3.0);
    }
    Ok(Some(best))
}

/// Time of `step` in seconds: the median of the runs within `seconds`, at least one, after a warm-up. `None` if interrupted.
pub(crate) fn measure_for(
    seconds: f64,
    interrupt: &Interrupt,
    mut step: impl FnMut(u64) -> Result<(), Error>,
) -> Result<Option<f64>, Error> {
    step(0)?;
    let (began, mut times) = (Instant::now(), Vec::new());
    loop {
        phase::enter("timing");
        if interrupt.is_requested() {
            return Ok(None);
        }
        let start = Instant::now();
        step(1 + times.len() as u64)?;
        times.push(start.elapsed().as_secs_f64());
        if began.elapsed().as_secs_f64() >= seconds {
            times.sort_by(f64::total_cmp);
            return Ok(Some(times[times.len() / 2]));
        }
    }
}
