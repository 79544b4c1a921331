//! Random search (Bergstra and Bengio, JMLR 2012): cells drawn uniformly, with repetition, as in AutoDL-Projects'
//! `exps/NAS-Bench-201-algos/RANDOM.py`.

use super::random_cell;
use crate::{BenchmarkError, Simulator};
use gdas::rng::Rng;

pub(super) fn search(simulator: &mut Simulator<'_>, rng: &mut Rng) -> Result<(), BenchmarkError> {
    while simulator.train(random_cell(rng))?.is_some() {}
    Ok(())
}
