use super::Algorithm;
use crate::Error;
use crate::search::context::{StepContext, StepReport};
use crate::search::step::search_step;

/// GDAS: a weight step with one sampled network, then an alpha step with another; see
/// [`search::step`](crate::search::step). `edge_output` chooses between the two published forms of an edge.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gdas;

impl Algorithm for Gdas {
    fn name(&self) -> &'static str {
        "gdas"
    }

    fn step(&mut self, step: &mut StepContext<'_>) -> Result<StepReport, Error> {
        search_step(step)
    }
}
