use std::sync::OnceLock;

static HOOK: OnceLock<fn(&str)> = OnceLock::new();

/// Calls a function of this process whenever a part of a run's work begins: "weight step", "alpha step", "evaluation",
/// "judging", "training step", "test", "timing", "saving" or "disk". The first function stays; `false` says that there
/// was one.
///
/// Tests of signals and kills strike there, so that each part is hit and not only the longest.
pub fn on_phase(hook: fn(&str)) -> bool {
    HOOK.set(hook).is_ok()
}

pub(crate) fn enter(phase: &str) {
    if let Some(hook) = HOOK.get() {
        hook(phase);
    }
}
