//! Events in words.

use gdas::run::{EpochMetrics, Event, SearchMetrics, TrainEpochMetrics};

use crate::output::duration;

/// What else is to be said of an epoch of a search, each followed by `end`.
pub(crate) fn remarks(epoch: &EpochMetrics, end: &str) -> String {
    let rests = epoch.alpha_rests.then(|| format!("alpha rests{end}"));
    let costs =
        epoch.costs.iter().map(|c| format!("{} {:.2} of the bound{end}", c.measure.name(), c.expected / c.limit));
    rests.into_iter().chain(costs).collect()
}

/// What an epoch of a training measured, if anything, followed by `end`.
pub(crate) fn measured(epoch: &TrainEpochMetrics, digits: usize, end: &str) -> String {
    let text = |name: &str, share: f64| format!("{name} {:.digits$} %{end}", share * 100.0);
    let validation = epoch.validation_accuracy.map_or_else(String::new, |share| text("validation", share));
    validation + &epoch.test_accuracy.map_or_else(String::new, |share| text("test", share))
}

/// An event as a line of text, if it is worth one.
pub(crate) fn describe(event: &Event) -> Option<String> {
    let text = match event {
        Event::Started {
            task,
            algorithm,
            space,
            data,
            train_images,
            validation_images,
            held_out_images,
            parameters,
            step,
            ..
        } => {
            let from = if *step > 0 { format!(", going on from step {step}") } else { String::new() };
            let what = if task == "search" { format!("{algorithm} on {space}") } else { task.clone() };
            let images = if task == "search" {
                format!("{train_images} + {held_out_images} images")
            } else {
                let validation = match validation_images {
                    0 => String::new(),
                    n => format!(", {n} validation images"),
                };
                let test = match held_out_images {
                    0 => "no test images".to_owned(),
                    n => format!("{n} test images"),
                };
                format!("{train_images} training images{validation}, {test}")
            };
            format!("{what}: {data}, {images}, {:.2} M parameters{from}", *parameters as f64 / 1e6)
        }
        Event::Epoch(epoch) => {
            let SearchMetrics { train_loss, train_accuracy, held_out_loss, held_out_accuracy, tau, .. } = epoch.metrics;
            format!(
                "epoch {:>w$}/{}  loss {train_loss:.3}  accuracy {:.1} %  held-out loss {held_out_loss:.3}  \
                 accuracy {:.1} %  tau {tau:.2}  {}{:.1} steps/s  {} left",
                epoch.epoch + 1,
                epoch.epochs,
                train_accuracy * 100.0,
                held_out_accuracy * 100.0,
                remarks(epoch, "  "),
                epoch.steps_per_second,
                duration(epoch.eta_seconds),
                w = epoch.epochs.to_string().len(),
            )
        }
        Event::TrainEpoch(epoch) => format!(
            "epoch {:>w$}/{}  loss {:.3}  accuracy {:.1} %  {}{:.1} steps/s  {} left",
            epoch.epoch + 1,
            epoch.epochs,
            epoch.train_loss,
            epoch.train_accuracy * 100.0,
            measured(epoch, 2, "  "),
            epoch.steps_per_second,
            duration(epoch.eta_seconds),
            w = epoch.epochs.to_string().len(),
        ),
        Event::EarlyStop { epoch, reason, .. } => format!("ended after epoch {}: {reason}", epoch + 1),
        Event::Judging { candidates, done: 0, eta_seconds, .. } => {
            let left = if *eta_seconds > 0.0 { format!(", {} left", duration(*eta_seconds)) } else { String::new() };
            format!("judging {candidates} cells{left}")
        }
        Event::Judged(judgement) => judgement.reason(),
        Event::Warning { message } | Event::Alarm { message, .. } => format!("warning: {message}"),
        Event::Paused { step } => format!("paused at step {step}, with everything saved"),
        Event::Continued { step } => format!("going on from step {step}"),
        _ => return None,
    };
    Some(text)
}
