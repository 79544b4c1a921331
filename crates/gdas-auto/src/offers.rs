//! Candidate networks: cells at the sizes that fit the time and the bounds.

use gdas::Error;
use gdas::cost;
use gdas::train::{TrainedModel, seconds_per_step};

use crate::bounds::{Smallest, broken};
use crate::candidates::{Candidate, Cell, Size, known, sizes};
use crate::plan::{Timed, choose_size};
use crate::recipe;
use crate::work::Work;

/// The first cell is also a candidate at the next larger size, if its training has at least this fraction of the required
/// length.
const LARGER_SIZE_FRACTION: f64 = 0.6;

/// A network of each cell, of the largest size suited to `seconds` of training; of the first cell also one size larger.
/// `None` if interrupted.
///
/// # Errors
/// If no network is within the bounds.
pub(crate) fn candidates(work: &Work, cells: &[Cell], seconds: f64) -> Result<Option<Vec<Candidate>>, Error> {
    let steps_per_epoch = recipe::steps_per_epoch(work.dataset.train.len());
    let mut smallest = Smallest::default();
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut larger = None;
    // Time per multiply-add of a training step, from the steps timed so far.
    let mut seconds_per_multiply_add: Option<f64> = None;
    for cell in cells {
        let mut within = Vec::new();
        for &size in sizes(&work.config.space) {
            let candidate = untimed(cell, size);
            let model = model(work, &candidate)?;
            if let Some(excess) = broken(work.config, &model)? {
                smallest.add(excess, || candidate.describe());
                // Larger sizes exceed it too.
                break;
            }
            let cost = cost::network(&model.graph);
            let (params, multiply_adds) = (cost.params, cost.multiply_adds);
            let mut candidate = Candidate { params, multiply_adds, ..candidate };
            let guess = seconds_per_multiply_add.map(|each| each * multiply_adds as f64);
            candidate.seconds_per_step = match guess {
                Some(guess) => guess,
                None => match time(work, &candidate)? {
                    Some(seconds) => seconds,
                    None => return Ok(None),
                },
            };
            let timed = Timed { size, seconds_per_step: candidate.seconds_per_step };
            let is_far_too_large = timed.worth(seconds, steps_per_epoch) < LARGER_SIZE_FRACTION;
            within.push((timed, candidate));
            if is_far_too_large {
                break;
            }
        }
        let timed: Vec<Timed> = within.iter().map(|(timed, _)| *timed).collect();
        let Some(mut at) = choose_size(&timed, seconds, steps_per_epoch) else { continue };
        // Except for the first cell, the size was chosen by an estimate; a network that is slower becomes smaller.
        loop {
            let Some(measured) = time(work, &within[at].1)? else { return Ok(None) };
            within[at].1.seconds_per_step = measured;
            within[at].0.seconds_per_step = measured;
            if at == 0 || within[at].0.worth(seconds, steps_per_epoch) >= LARGER_SIZE_FRACTION {
                break;
            }
            at -= 1;
        }
        if candidates.is_empty() {
            let next =
                within.get(at + 1).filter(|(timed, _)| timed.worth(seconds, steps_per_epoch) >= LARGER_SIZE_FRACTION);
            larger = next.map(|(_, candidate)| candidate.clone());
            let chosen = &within[at].1;
            seconds_per_multiply_add = Some(chosen.seconds_per_step / chosen.multiply_adds.max(1) as f64);
        }
        candidates.push(within[at].1.clone());
    }
    candidates.extend(larger);
    if candidates.is_empty() { Err(smallest.error()) } else { Ok(Some(candidates)) }
}

/// Training time in seconds per image with a known cell at this size; 0 if no cell is known, `None` if interrupted.
pub(crate) fn seconds_per_image(work: &Work, channels: usize, cells: usize) -> Result<Option<f64>, Error> {
    let Some(cell) = known(&work.config.space).pop() else { return Ok(Some(0.0)) };
    let candidate = untimed(&cell, Size { channels, cells, epochs: 0.0, steps: 0.0 });
    let batch_size = recipe::batch_size(work.dataset.train.len());
    Ok(time(work, &candidate)?.map(|seconds| seconds / batch_size as f64))
}

fn untimed(cell: &Cell, size: Size) -> Candidate {
    Candidate {
        name: cell.name.clone(),
        genotype: cell.genotype.to_string(),
        channels: size.channels,
        cells: size.cells,
        params: 0,
        multiply_adds: 0,
        seconds_per_step: 0.0,
    }
}

fn model(work: &Work, candidate: &Candidate) -> Result<TrainedModel, Error> {
    let config = recipe::training(work.config, work.dataset, candidate, 1, 0.0)?;
    TrainedModel::untrained(&config, work.dataset, work.device)
}

/// Measured time of a training step in seconds; `None` if interrupted.
fn time(work: &Work, candidate: &Candidate) -> Result<Option<f64>, Error> {
    let config = recipe::training(work.config, work.dataset, candidate, 1_000, 0.0)?;
    let most = (0.002 * work.budget.total()).min(1.0);
    seconds_per_step(&config, work.dataset, most, work.interrupt, work.device)
}
