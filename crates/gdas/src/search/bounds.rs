//! Bounds on cost while searching: prices made at the start, penalties in the architecture step, what the log says.

use std::time::Duration;

use super::Searcher;
use crate::Error;
use crate::budget::{Bound, Measure, Prices, Standing};
use crate::cost::Cost;
use crate::run::{Event, RunDir, RunError};
use crate::sampler::Table;
use crate::space::Genotype;

/// Times of operations, in the run directory: measured once, so that a resumed search reads what it began with.
const LATENCIES: &str = "latency.json";

/// How long each operation is timed.
const TIMING: Duration = Duration::from_millis(20);

impl Searcher<'_> {
    /// Makes the prices that the configured bounds need. Times are read from the run directory, or taken now and written
    /// there; true if they were taken now.
    ///
    /// # Errors
    /// No cell of the space is within a bound; times cannot be read or written.
    pub(super) fn set_bounds(&mut self, run: &RunDir) -> Result<bool, Error> {
        let config = self.config;
        let supernet = &self.supernet;
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
            let prices = match measure {
                Measure::Parameters => Prices::counted(space, blocks, network, |cost: Cost| cost.params)?,
                Measure::MultiplyAdds => Prices::counted(space, blocks, network, |cost: Cost| cost.multiply_adds)?,
                Measure::Latency => {
                    let path = run.path().join(LATENCIES);
                    if !path.exists() {
                        let prices = Prices::timed(space, blocks, network, TIMING)?;
                        let text = serde_json::to_vec_pretty(&prices).map_err(|e| Error::Unsuitable(e.to_string()))?;
                        run.write_file(LATENCIES, &text)?;
                        timed_now = true;
                    }
                    // Also what was just written is read back: the digits of the file are what counts from now on.
                    let text = std::fs::read(&path).map_err(RunError::io("read", &path))?;
                    let prices: Prices = serde_json::from_slice(&text)
                        .map_err(|error| Error::Unsuitable(format!("{}: {error}", path.display())))?;
                    let lengths = |tables: &[Table]| tables.iter().flatten().map(Vec::len).collect::<Vec<_>>();
                    let finite = prices.tables.iter().flatten().flatten().all(|p| p.is_finite());
                    if lengths(&prices.tables) != lengths(&self.alpha) || !finite {
                        let what = format!("{} does not hold the times of this space", path.display());
                        return Err(Error::Unsuitable(what));
                    }
                    prices
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
            bounds.push(Bound { measure, limit, prices });
        }
        self.bounds = bounds;
        Ok(timed_now)
    }

    /// Adds the gradient of the penalties to that of the loss.
    pub(super) fn penalise(&self, gradients: &mut [Table]) {
        for bound in &self.bounds {
            bound.penalise(self.config.cost_weight, &self.supernet.space, &self.alpha, gradients);
        }
    }

    /// Whether a genotype costs no more than any bound allows.
    pub(crate) fn affords(&self, genotype: &Genotype) -> bool {
        self.standings(genotype).iter().all(|standing| standing.genotype <= standing.limit)
    }

    /// How the bounds stand.
    pub(super) fn standings(&self, genotype: &Genotype) -> Vec<Standing> {
        let of = |b: &Bound| b.standing(self.config.cost_weight, &self.supernet.space, &self.alpha, genotype);
        self.bounds.iter().map(of).collect()
    }
}

/// A warning, if a genotype at the end costs more than it should.
pub(super) fn exceeded(standings: &[Standing]) -> Option<Event> {
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
