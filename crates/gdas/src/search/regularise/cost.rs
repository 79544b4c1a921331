//! Cost bounds of a search: prices computed at the start, penalties in the alpha step, values for the log.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Regulariser;
use crate::Error;
use crate::alpha::Alpha;
use crate::budget::{Bound, Measure, Prices, Standing};
use crate::config::SearchConfig;
use crate::cost::Cost;
use crate::run::{Event, RunDir, RunError};
use crate::search::progress::Progress;
use crate::space::{Genotype, Space};
use crate::supernet::Supernet;

/// File of the run directory with the latencies of the operations, which are measured once per run.
const LATENCIES: &str = "latency.json";

/// Duration of the latency measurement of each operation.
const TIMING: Duration = Duration::from_millis(20);

/// A penalty for a bound on the cost of the network; see [`crate::budget`].
#[derive(Clone, Debug)]
pub struct CostBound {
    bound: Bound,
    weight: f64,
    space: Arc<Space>,
}

impl Regulariser for CostBound {
    fn name(&self) -> &'static str {
        self.bound.measure.name()
    }

    fn gradient(&self, alpha: &[Alpha], _: Progress) -> Vec<Alpha> {
        self.bound.penalty(self.weight, &self.space, alpha).1
    }
}

impl CostBound {
    /// The configured bounds of a supernet. Latencies are read from the run directory, or measured and written to it; the flag
    /// is true if they were written. Without a directory they are measured.
    ///
    /// # Errors
    /// If no cell of the space is within a bound, or latencies cannot be read or written.
    pub(crate) fn of(
        config: &SearchConfig,
        supernet: &Supernet,
        run: Option<&RunDir>,
    ) -> Result<(Vec<Self>, bool), Error> {
        let (space, blocks, network) = (&supernet.space, &supernet.blocks, &supernet.config);
        let mut timed_now = false;
        let mut bounds = Vec::new();
        for (measure, limit, key) in [
            (Measure::Parameters, config.max_params, "max_params"),
            (Measure::MultiplyAdds, config.max_flops, "max_flops"),
            (Measure::Latency, config.max_latency, "max_latency"),
        ] {
            if limit == 0.0 {
                continue;
            }
            let timed = || Prices::timed(space, blocks, network, TIMING);
            let prices = match (measure, run) {
                (Measure::Parameters, _) => Prices::counted(space, blocks, network, |cost: Cost| cost.params)?,
                (Measure::MultiplyAdds, _) => Prices::counted(space, blocks, network, |cost: Cost| cost.multiply_adds)?,
                (Measure::Latency, None) => timed()?,
                (Measure::Latency, Some(run)) => {
                    let path = run.path().join(LATENCIES);
                    if !path.exists() {
                        let text =
                            serde_json::to_vec_pretty(&timed()?).map_err(|e| Error::Unsuitable(e.to_string()))?;
                        run.write_file(LATENCIES, &text)?;
                        timed_now = true;
                    }
                    // Read back even if just written, so that a resumed run has the same digits.
                    read_prices(&path, space)?
                }
            };
            let least = prices.least(space);
            if least > limit {
                return Err(Error::Unsuitable(format!(
                    "{key} cannot be met: with channels = {} and cells = {} even the cheapest cells come to {}, the \
                     bound is {}; raise it, or make the network smaller",
                    config.channels,
                    config.cells,
                    measure.readable(least),
                    measure.readable(limit),
                )));
            }
            let bound = Bound { measure, limit, prices };
            bounds.push(Self { bound, weight: config.cost_weight, space: space.clone() });
        }
        Ok((bounds, timed_now))
    }

    /// The expected cost under alpha, the genotype's cost and the penalty.
    pub(crate) fn standing(&self, alpha: &[Alpha], genotype: &Genotype) -> Standing {
        self.bound.standing(self.weight, &self.space, alpha, genotype)
    }
}

fn read_prices(path: &Path, space: &Space) -> Result<Prices, Error> {
    let text = std::fs::read(path).map_err(RunError::io("read", path))?;
    let prices: Prices =
        serde_json::from_slice(&text).map_err(|error| Error::Unsuitable(format!("{}: {error}", path.display())))?;
    let shapes: Vec<_> = prices.tables.iter().map(Alpha::shape).collect();
    let needed: Vec<_> = space.cells.iter().map(|cell| [cell.edges().len(), cell.width()]).collect();
    if shapes != needed || !prices.tables.iter().all(Alpha::is_finite) {
        return Err(Error::Unsuitable(format!("{} does not hold the times of this space", path.display())));
    }
    Ok(prices)
}

/// A warning if the final genotype exceeds a bound.
pub(crate) fn exceeded(standings: &[Standing]) -> Option<Event> {
    let over = standings.iter().filter(|s| s.genotype > s.limit).map(|s| {
        let [found, limit] = [s.genotype, s.limit].map(|value| s.measure.readable(value));
        format!("{} {found} instead of {limit}", s.measure.name())
    });
    let over: Vec<String> = over.collect();
    (!over.is_empty()).then(|| Event::Warning {
        message: format!(
            "the network found costs more than its bound: {}; more epochs, a larger alpha_learning_rate or a larger \
             cost_weight bring alpha further",
            over.join(", ")
        ),
    })
}
