//! Bounds on the cost of the resulting network.

use std::time::Duration;

use gdas::Error;
use gdas::cost::{self, readable, readable_bytes};
use gdas::train::TrainedModel;

use crate::config::AutoConfig;
use crate::export;

/// Duration of a latency measurement.
const LATENCY_TIME: Duration = Duration::from_millis(50);

/// The bounded quantities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    Params,
    MultiplyAdds,
    Milliseconds,
    FileBytes,
}

impl Measure {
    const ALL: [Self; 4] = [Self::Params, Self::MultiplyAdds, Self::Milliseconds, Self::FileBytes];

    fn limit(self, config: &AutoConfig) -> f64 {
        match self {
            Self::Params => config.max_params,
            Self::MultiplyAdds => config.max_flops,
            Self::Milliseconds => config.max_latency,
            Self::FileBytes => config.max_file_size,
        }
    }

    fn flag(self) -> &'static str {
        match self {
            Self::Params => "--max-params",
            Self::MultiplyAdds => "--max-flops",
            Self::Milliseconds => "--max-latency",
            Self::FileBytes => "--max-file-size",
        }
    }

    fn readable(self, value: f64) -> String {
        match self {
            Self::Params => format!("{} parameters", readable(value as u64)),
            Self::MultiplyAdds => format!("{} multiply-adds per image", readable(value as u64)),
            Self::Milliseconds => format!("{value:.3} ms per image"),
            Self::FileBytes => format!("an ONNX file of {}", readable_bytes(value as u64)),
        }
    }

    fn of(self, model: &TrainedModel) -> Result<f64, Error> {
        Ok(match self {
            Self::Params => cost::network(&model.graph).params as f64,
            Self::MultiplyAdds => cost::network(&model.graph).multiply_adds as f64,
            Self::Milliseconds => cost::cpu_latency(&model.graph, 1, LATENCY_TIME).median * 1e3,
            Self::FileBytes => export::onnx(model)?.len() as f64,
        })
    }
}

/// A bound that a network exceeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Excess {
    measure: Measure,
    limit: f64,
    value: f64,
}

impl Excess {
    /// Ratio of the network's value to the limit.
    fn factor(&self) -> f64 {
        self.value / self.limit
    }
}

/// The bound that the network exceeds by the largest factor, if any.
pub(crate) fn broken(config: &AutoConfig, model: &TrainedModel) -> Result<Option<Excess>, Error> {
    let mut worst: Option<Excess> = None;
    for measure in Measure::ALL {
        let limit = measure.limit(config);
        if limit <= 0.0 {
            continue;
        }
        let excess = Excess { measure, limit, value: measure.of(model)? };
        if excess.value > limit && worst.is_none_or(|worst| excess.factor() > worst.factor()) {
            worst = Some(excess);
        }
    }
    Ok(worst)
}

/// Tracks the network that exceeds a bound by the smallest factor, for the error message.
#[derive(Default)]
pub(crate) struct Smallest(Option<(Excess, String)>);

impl Smallest {
    /// Adds a network that exceeds a bound; `network` describes it.
    pub(crate) fn add(&mut self, excess: Excess, network: impl FnOnce() -> String) {
        if self.0.as_ref().is_none_or(|(least, _)| excess.factor() < least.factor()) {
            self.0 = Some((excess, network()));
        }
    }

    /// The error that no network is within the bounds.
    pub(crate) fn error(self) -> Error {
        let Some((Excess { measure, limit, value }, network)) = self.0 else {
            return Error::Unsuitable("this space has no network to try".to_owned());
        };
        let flag = measure.flag();
        let (limit, value) = (measure.readable(limit), measure.readable(value));
        Error::Unsuitable(format!(
            "no network is within {flag} ({limit}); the smallest one tried has {value}: {network}. Raise the bound\
             {}",
            if measure == Measure::Params { "" } else { " or make the images smaller with --image-size" }
        ))
    }
}
