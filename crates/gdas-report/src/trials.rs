//! Progress of the short trainings of an automatic run.

use std::path::Path;

use gdas::run::{AutoPart, Event, RunInfo, stage_at};

/// A short training of an automatic run.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Its directory, relative to that of the automatic run, such as `tried/1-2`.
    pub run: String,
    /// Description of the network.
    pub network: String,
    /// "running", "paused", "finished" or "stopped".
    pub status: &'static str,
    /// Epochs done and planned.
    pub epochs: (usize, usize),
    /// Latest accuracy on the validation images.
    pub validation_accuracy: Option<f64>,
}

/// The trials named in the event log of the automatic run at `path`, in order. Unreadable ones are left out.
pub(crate) fn trials(path: &Path, events: &[Event]) -> Vec<Trial> {
    let mut trials: Vec<Trial> = Vec::new();
    for event in events {
        let Event::AutoProgress { part: AutoPart::Trial, doing, run: Some(run), .. } = event else { continue };
        // A resumed run names the interrupted trial a second time.
        if trials.iter().any(|trial| trial.run == *run) {
            continue;
        }
        let Some(place) = stage_at(path, run) else { continue };
        let (Ok(info), Ok(events)) = (RunInfo::read(&place), RunInfo::events(&place)) else { continue };
        let measured = events.iter().rev().find_map(|event| match event {
            Event::TrainEpoch(epoch) => epoch.validation_accuracy,
            _ => None,
        });
        let network = doing.split_once(": ").map_or(doing.as_str(), |(_, network)| network).to_owned();
        let epochs = (info.epochs_done, info.epochs);
        trials.push(Trial { run: run.clone(), network, status: info.status, epochs, validation_accuracy: measured });
    }
    trials
}

#[cfg(test)]
mod tests {
    use super::*;
    use gdas::run::{RunDir, TrainEpochMetrics};

    #[test]
    fn each_trial_is_known_once_with_its_last_accuracy() {
        let dir = tempfile::tempdir().expect("a directory");
        let named = |doing: &str, run: &str| Event::AutoProgress {
            part: AutoPart::Trial,
            doing: doing.to_owned(),
            run: Some(run.to_owned()),
            best_accuracy: None,
            used_seconds: 1.0,
            left_seconds: 2.0,
        };
        let mut run = RunDir::create(dir.path().join("tried/1-1"), "task = \"train\"\nepochs = 3\n").expect("a run");
        for accuracy in [0.25, 0.5] {
            let epoch =
                TrainEpochMetrics { epochs: 3, validation_accuracy: Some(accuracy), ..TrainEpochMetrics::default() };
            run.log(&Event::TrainEpoch(epoch)).expect("writable");
        }
        let doing = "trying network 1 of 7: residual, C = 16, N = 1";
        let events =
            [named(doing, "tried/1-1"), named(doing, "tried/1-1"), named("x", "tried/1-2"), named("x", "../../etc")];
        let found = trials(dir.path(), &events);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].network.as_str(), found[0].status), ("residual, C = 16, N = 1", "running"));
        assert_eq!((found[0].epochs, found[0].validation_accuracy), ((1, 3), Some(0.5)));
    }
}
