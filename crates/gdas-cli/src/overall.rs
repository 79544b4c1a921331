//! What a log has of an automatic run: what is tried, the best so far and the time left.

use gdas::run::{AutoPart, Event};

use crate::describe::describe;
use crate::output::{duration, note, percent};

/// Writes the lines of an automatic run.
#[derive(Default)]
pub(crate) struct Overall {
    /// Whether it trains a network briefly.
    is_trial: bool,
}

impl Overall {
    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::AutoProgress { part, doing, best_accuracy, used_seconds, left_seconds, .. } => {
                self.is_trial = *part == AutoPart::Trial;
                note(line_of(doing, *best_accuracy, *used_seconds, *left_seconds));
            }
            // Of a trial the end is enough.
            Event::TrainEpoch(_) if self.is_trial => {}
            Event::Epoch(_)
            | Event::TrainEpoch(_)
            | Event::Warning { .. }
            | Event::Alarm { .. }
            | Event::EarlyStop { .. }
            | Event::Judged(_)
            | Event::Paused { .. }
            | Event::Continued { .. } => {
                if let Some(text) = describe(event) {
                    note(text);
                }
            }
            _ => {}
        }
    }
}

/// A line for a log.
fn line_of(doing: &str, best: Option<f64>, used: f64, left: f64) -> String {
    let best = best.map_or_else(String::new, |best| format!(", best so far {}", percent(best)));
    format!("{:>7}  {doing}{best}, {} left", duration(used), duration(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_is_done_and_how_much_time_is_left() {
        assert_eq!(
            line_of("training", Some(0.4512), 61.0, 3599.6),
            "   1:01  training, best so far 45.12 %, 1:00:00 left"
        );
    }
}
