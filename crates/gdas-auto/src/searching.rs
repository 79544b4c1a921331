//! The search stage.

use serde_json::Value;

use gdas::Error;
use gdas::config::{Auto, SearchConfig, Selection};
use gdas::run::AutoPart;
use gdas::search::{self, SearchResult};
use gdas_report::write_cells;

use crate::offers;
use crate::plan::{self, SEARCH_EPOCHS};
use crate::recipe::shared_keys;
use crate::stage::{begin, finished_or, has_begun, resolved};
use crate::work::Work;

/// Name of the stage.
pub(crate) const STAGE: &str = "search";
/// Maximum fraction of the search's time for judging candidates.
const JUDGING_SHARE: f64 = 0.25;

/// Result of the search stage.
pub(crate) enum Found {
    /// Its result.
    Cell(Box<SearchResult>),
    /// The stage was skipped, as the search would have been too short.
    Skipped,
    /// A stop was requested.
    Interrupted,
}

/// Runs the search stage, unless it is turned off or there is too little time; `needed`: there is no known cell.
pub(crate) fn search(work: &mut Work, needed: bool) -> Result<Found, Error> {
    let run = work.run.path().to_path_buf();
    if !has_begun(&run, STAGE) {
        if work.config.search == Auto::Is(false) && !needed {
            return Ok(Found::Skipped);
        }
        work.report(AutoPart::Planning, "measuring how long a search takes".to_owned(), None)?;
    }
    let mut interrupted = false;
    let config = begin(&run, STAGE, || match plan(work, needed)? {
        Planned::Search(config) => Ok(Some(*config)),
        Planned::LeftOut => Ok(None),
        Planned::Interrupted => {
            interrupted = true;
            Ok(None)
        }
    })?;
    let Some(mut config) = config else {
        return Ok(if interrupted { Found::Interrupted } else { Found::Skipped });
    };
    // The images may have been moved since the stage began.
    config.data.clone_from(&work.config.data);
    let (dataset, interrupt, device) = (work.dataset, work.interrupt, work.device);
    let found = finished_or(&run, STAGE, |inner| {
        work.report(AutoPart::Search, format!("searching for a cell, {} epochs", config.epochs), Some(STAGE))?;
        Ok(match search::search(&config, dataset, inner, &mut work.watched(), interrupt, device)? {
            search::Outcome::Finished(result) => {
                write_cells(inner, &result.cells)?;
                Some(*result)
            }
            search::Outcome::Interrupted { .. } => None,
        })
    })?;
    Ok(found.map_or(Found::Interrupted, |result| Found::Cell(Box::new(result))))
}

enum Planned {
    Search(Box<SearchConfig>),
    LeftOut,
    Interrupted,
}

fn plan(work: &Work, needed: bool) -> Result<Planned, Error> {
    let mut plan: SearchConfig = resolved(&Value::Object(shared_keys(work.config, work.dataset)))?;
    let steps = (work.dataset.train.len() / 2).div_ceil(plan.batch_size).max(1);
    if !needed && work.config.search == Auto::Auto {
        // A training step is faster to measure, and a search step takes longer: a lower bound.
        match offers::seconds_per_image(work, plan.channels, plan.cells)? {
            None => return Ok(Planned::Interrupted),
            Some(least) => {
                let epoch = least * (plan.batch_size * steps) as f64;
                if plan::search_seconds(work.budget.total(), epoch).is_none() {
                    return Ok(Planned::LeftOut);
                }
            }
        }
    }
    let Some(cost) = search::step_cost(&plan, work.dataset, work.interrupt, work.device)? else {
        return Ok(Planned::Interrupted);
    };
    let mut seconds = match plan::search_seconds(work.budget.total(), cost.seconds * steps as f64) {
        Some(seconds) => seconds,
        None if needed || work.config.search == Auto::Is(true) => 0.3 * work.budget.total(),
        None => return Ok(Planned::LeftOut),
    };
    if plan.selection == Selection::Judged {
        let each = search::seconds_per_candidate(&plan, work.dataset, work.device)?.max(1e-9);
        plan.candidates = ((seconds * JUDGING_SHARE / each) as usize).clamp(1, plan.candidates);
        seconds -= plan.candidates as f64 * each;
    }
    fit(seconds, cost.seconds, steps, &mut plan);
    Ok(Planned::Search(Box::new(plan)))
}

/// Sets the number of epochs that fit into the time, and shortens the epochs if too few fit.
fn fit(seconds: f64, per_step: f64, full: usize, plan: &mut SearchConfig) {
    let total = (seconds / per_step.max(1e-9)) as usize;
    let (fewest, most) = SEARCH_EPOCHS;
    plan.epochs = (total / full).clamp(fewest, most);
    if total < fewest * full {
        plan.max_steps_per_epoch = Auto::Is((total / fewest).max(1));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_time_becomes_epochs() {
        let epochs = |seconds| {
            let mut plan: SearchConfig = resolved(&json!({})).expect("defaults");
            fit(seconds, 1.0, 100, &mut plan);
            (plan.epochs, plan.max_steps_per_epoch)
        };
        assert_eq!(epochs(1000.0), (10, Auto::Auto));
        assert_eq!(epochs(1e6), (50, Auto::Auto));
        assert_eq!(epochs(100.0), (5, Auto::Is(20)));
        assert_eq!(epochs(1.0), (5, Auto::Is(1)));
    }
}
