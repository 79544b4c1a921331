//! The parts of a run's work as they begin, for those who look for a fault and for tests of signals: `GDAS_LOG=phases`
//! prints them to standard error, `GDAS_RAISE=15@alpha step#7` raises signal 15 when the alpha step begins for the 7th time.
//! Without these variables nothing is set up, and a run pays nothing for it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::exit::Usage;
use crate::output;

struct Wanted {
    print: bool,
    raise: Option<Raise>,
}

/// A signal, and at which beginning of which phase the process raises it in itself.
struct Raise {
    signal: i32,
    phase: String,
    number: u64,
    seen: AtomicU64,
}

static WANTED: OnceLock<Wanted> = OnceLock::new();

/// Sets up what the environment asks for.
pub(crate) fn install() -> Result<(), Usage> {
    let variable = |name| std::env::var(name).ok().filter(|text: &String| !text.is_empty());
    let print = match variable("GDAS_LOG").as_deref() {
        None => false,
        Some("phases") => true,
        Some(other) => return Err(Usage(format!("GDAS_LOG: `{other}` is not `phases`"))),
    };
    let raise = variable("GDAS_RAISE").map(|text| Raise::parse(&text)).transpose()?;
    if (print || raise.is_some()) && WANTED.set(Wanted { print, raise }).is_ok() {
        gdas::run::on_phase(begins);
    }
    Ok(())
}

fn begins(phase: &str) {
    let Some(wanted) = WANTED.get() else { return };
    if wanted.print {
        output::note(phase);
    }
    let Some(raise) = wanted.raise.as_ref().filter(|raise| raise.phase == phase) else { return };
    if raise.seen.fetch_add(1, Ordering::Relaxed) + 1 == raise.number {
        // A signal that does not exist is a mistake in a test, which then finds the run undisturbed.
        let _ = signal_hook::low_level::raise(raise.signal);
    }
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
