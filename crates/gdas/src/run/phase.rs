/// Says which part of a run's work begins now, as a `tracing` event at level TRACE with target `gdas::phase`.
///
/// `GDAS_LOG=gdas::phase=trace` shows them. They are also where the tests of signals and kills strike, so that each
/// part is hit and not only the longest.
pub(crate) fn enter(phase: &'static str) {
    tracing::trace!(target: "gdas::phase", phase);
}
