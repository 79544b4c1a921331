//! What the library says in detail, for those who look for a fault: `GDAS_LOG=gdas=debug`, in the syntax of
//! `tracing`'s filters. Without the variable nothing is set up, and a run pays nothing for it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt as lines};

use crate::exit::Usage;

/// The target of the events that tell of a run's phases.
const PHASES: &str = "gdas::phase";

/// Sets up what the environment asks for.
pub(crate) fn install() -> Result<(), Usage> {
    let log = std::env::var("GDAS_LOG").ok().filter(|filter| !filter.is_empty());
    let raise = std::env::var("GDAS_RAISE").ok().filter(|raise| !raise.is_empty());
    if log.is_none() && raise.is_none() {
        return Ok(());
    }
    let log = match log {
        Some(filter) => {
            let filter = EnvFilter::try_new(filter).map_err(|error| Usage(format!("GDAS_LOG: {error}")))?;
            Some(lines::layer().with_writer(std::io::stderr).with_filter(filter))
        }
        None => None,
    };
    let raise = raise.map(|text| Raise::parse(&text)).transpose()?;
    // Only a second subscriber could make this fail, and there is none.
    let _ = tracing_subscriber::registry().with(log).with(raise).try_init();
    Ok(())
}

/// `GDAS_RAISE=15@alpha step#7` raises signal 15 when the alpha step begins for the 7th time: how the tests hit every
/// phase of a run exactly, in the program that users run.
struct Raise {
    signal: i32,
    phase: String,
    number: u64,
    seen: AtomicU64,
}

impl Raise {
    fn parse(text: &str) -> Result<Self, Usage> {
        let parts = || {
            let (signal, place) = text.split_once('@')?;
            let (phase, number) = place.split_once('#')?;
            Some((signal.parse().ok()?, phase.to_owned(), number.parse().ok()?))
        };
        let (signal, phase, number) =
            parts().ok_or_else(|| Usage(format!("GDAS_RAISE: `{text}` is not SIGNAL@PHASE#NUMBER")))?;
        Ok(Self { signal, phase, number, seen: AtomicU64::new(0) })
    }
}

impl<S: Subscriber> Layer<S> for Raise {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != PHASES {
            return;
        }
        let mut phase = Phase(String::new());
        event.record(&mut phase);
        if phase.0 != self.phase {
            return;
        }
        if self.seen.fetch_add(1, Ordering::Relaxed) + 1 == self.number {
            // A signal that does not exist is a mistake in a test, which then finds the run undisturbed.
            let _ = signal_hook::low_level::raise(self.signal);
        }
    }
}

struct Phase(String);

impl Visit for Phase {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "phase" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
