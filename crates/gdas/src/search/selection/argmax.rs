use super::{Selected, Selection, SelectionContext};
use crate::Error;

/// Selects the algorithm's genotype: the operations of largest alpha, as published.
#[derive(Clone, Copy, Debug, Default)]
pub struct Argmax;

impl Selection for Argmax {
    fn name(&self) -> &'static str {
        "argmax"
    }

    fn select(&self, choice: &mut SelectionContext<'_>) -> Result<Option<Selected>, Error> {
        Ok(Some(Selected::new(choice.proposal())))
    }
}
