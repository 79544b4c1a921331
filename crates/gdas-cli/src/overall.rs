//! What a user sees of an automatic run: one line for the whole, with what is tried, the best so far and the time left.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::time::Duration;

use gdas::run::{AutoPart, EpochMetrics, Event, TrainEpochMetrics};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::describe::describe;
use crate::output::{duration, note, percent};

/// Cells of the bar.
const WIDTH: usize = 20;

pub(crate) struct Overall {
    /// On a terminal.
    line: Option<ProgressBar>,
    part: AutoPart,
    doing: String,
    best: Option<f64>,
}

impl Overall {
    /// A run with this many seconds, of which some were used before.
    pub(crate) fn new(total: f64, used: f64) -> Self {
        let line = io::stderr().is_terminal().then(|| {
            let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
            let style = ProgressStyle::with_template("{budget} {msg}").map(|style| {
                style.with_key("budget", move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                    // What cannot be drawn is left out.
                    let _ = out.write_str(&bar(used + state.elapsed().as_secs_f64(), total));
                })
            });
            if let Ok(style) = style {
                line.set_style(style);
            }
            line.enable_steady_tick(Duration::from_millis(500));
            line
        });
        Self { line, part: AutoPart::Planning, doing: String::new(), best: None }
    }

    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::AutoProgress { part, doing, best_accuracy, used_seconds, left_seconds } => {
                (self.part, self.best) = (*part, *best_accuracy);
                self.doing.clone_from(doing);
                match &self.line {
                    Some(line) => line.set_message(self.message("")),
                    None => note(line_of(doing, *best_accuracy, *used_seconds, *left_seconds)),
                }
            }
            Event::Epoch(EpochMetrics { epoch, epochs, .. })
            | Event::TrainEpoch(TrainEpochMetrics { epoch, epochs, .. }) => match &self.line {
                Some(line) => line.set_message(self.message(&format!(", epoch {}/{epochs}", epoch + 1))),
                // Of a trial the end is enough.
                None if self.part == AutoPart::Trial => {}
                None => self.print(event),
            },
            Event::Judging { candidates, done, .. } if *done < *candidates => {
                if let Some(line) = &self.line {
                    line.set_message(self.message(&format!(", judging {done} of {candidates} cells")));
                }
            }
            Event::Warning { .. }
            | Event::Alarm { .. }
            | Event::EarlyStop { .. }
            | Event::Judged(_)
            | Event::Paused { .. }
            | Event::Continued { .. } => self.print(event),
            _ => {}
        }
    }

    fn message(&self, more: &str) -> String {
        let best = self.best.map_or_else(String::new, |best| format!(", best so far {}", percent(best)));
        format!("{}{more}{best}", self.doing)
    }

    fn print(&self, event: &Event) {
        match (describe(event), &self.line) {
            (Some(text), Some(line)) => line.println(text),
            (Some(text), None) => note(text),
            (None, _) => {}
        }
    }
}

impl Drop for Overall {
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
    }
}

/// `[=====>     ] 1:02 of 5:00, 3:58 left`.
fn bar(used: f64, total: f64) -> String {
    let share = (used / total.max(1e-9)).clamp(0.0, 1.0);
    let done = (share * WIDTH as f64) as usize;
    let mut text = String::from("[");
    for cell in 0..WIDTH {
        text.push(match cell.cmp(&done) {
            std::cmp::Ordering::Less => '=',
            std::cmp::Ordering::Equal => '>',
            std::cmp::Ordering::Greater => ' ',
        });
    }
    let _ = write!(text, "] {} of {}, {} left", duration(used), duration(total), duration((total - used).max(0.0)));
    text
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
        assert_eq!(bar(62.0, 300.0), "[====>               ] 1:02 of 5:00, 3:58 left");
        assert_eq!(bar(400.0, 300.0), "[====================] 6:40 of 5:00, 0:00 left");
        assert_eq!(
            line_of("training", Some(0.4512), 61.0, 3599.6),
            "   1:01  training, best so far 45.12 %, 1:00:00 left"
        );
    }
}
