use std::sync::OnceLock;

static HOOK: OnceLock<fn(&str)> = OnceLock::new();

/// Registers a function that is called at the beginning of every phase of a run: "weight step", "alpha step", "evaluation",
/// "judging", "training step", "test", "timing", "saving" or "disk". Only the first function is kept; returns `false` if
/// there was one.
///
/// Tests of signals and kills use it to interrupt a run in every phase.
pub fn on_phase(hook: fn(&str)) -> bool {
    HOOK.set(hook).is_ok()
}

pub(crate) fn enter(phase: &str) {
    if let Some(hook) = HOOK.get() {
        hook(phase);
    }
}
