use super::Algorithm;
use crate::Error;
use crate::search::context::{StepContext, StepReport};
use crate::search::step::search_step;

/// GDAS: the weights of one drawn network learn, then alpha by way of another. [`search::step`](crate::search::step) is
/// its step; `edge_output` chooses between the two published forms of an edge.
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
