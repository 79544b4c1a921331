//! What a run at work shows on a terminal: where it stands, in as many lines as that needs, none wider than the terminal.

use std::time::{Duration, Instant};

use gdas::run::{EpochMetrics, Event, SearchMetrics, StepMetrics};

use crate::describe::remarks;
use crate::letters;
use crate::output::{duration, percent};

/// More lines are never shown; what matters least is left out.
const MOST_LINES: usize = 4;
/// Cells of the bar.
const BAR: usize = 20;

/// Where a run stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    /// What is done, as in `search`, or an automatic run's own words.
    stage: String,
    /// The search space, which its cells are read with.
    space: String,
    epoch: Option<(usize, usize)>,
    /// Steps done, and all of them.
    step: (u64, u64),
    /// Candidates judged, and all of them, while that is at work.
    judging: Option<(usize, usize)>,
    loss: Option<f64>,
    /// Accuracies by what they are measured on.
    accuracies: Vec<(&'static str, f64)>,
    /// The cell as letters.
    cell: String,
    /// Schedules and bounds.
    more: Vec<String>,
    speed: Option<f64>,
    /// Time left at some moment.
    left: Option<(f64, Instant)>,
    /// Time that judging takes after the last step.
    after: f64,
    /// Of an automatic run: its time.
    budget: Option<Budget>,
    paused: bool,
}

/// The time of an automatic run.
#[derive(Clone, Copy, Debug)]
struct Budget {
    total: f64,
    /// Used at this moment.
    used: (f64, Instant),
    /// Highest validation accuracy of the networks tried so far.
    best: Option<f64>,
}

/// A piece of the display; those with the highest number are left out first.
struct Piece {
    text: String,
    rank: u8,
}

impl Shown {
    /// Of an automatic run with this many seconds, of which some are used.
    pub(crate) fn of_automatic_run(total: f64, used: f64, now: Instant) -> Self {
        Self { budget: Some(Budget { total, used: (used, now), best: None }), ..Self::default() }
    }

    /// Takes in what an event says.
    pub(crate) fn follow(&mut self, event: &Event, now: Instant) {
        match event {
            Event::AutoProgress { doing, best_accuracy, used_seconds, left_seconds, .. } => {
                let total = used_seconds + left_seconds;
                *self = Self::of_automatic_run(total, *used_seconds, now);
                self.stage.clone_from(doing);
                self.budget.iter_mut().for_each(|budget| budget.best = *best_accuracy);
            }
            Event::Started { task, space, epochs, steps_per_epoch, step, .. } => {
                if self.budget.is_none() {
                    self.stage.clone_from(task);
                }
                self.space.clone_from(space);
                let epoch = *step as usize / (*steps_per_epoch).max(1) + 1;
                (self.epoch, self.step) =
                    (Some((epoch.min(*epochs), *epochs)), (*step, (epochs * steps_per_epoch) as u64));
            }
            Event::Step(StepMetrics { epoch, step, metrics, steps_per_second, after_seconds, .. }) => {
                self.after = self.after.max(*after_seconds);
                self.at(*epoch, *step, *steps_per_second);
                self.search(metrics);
                let left = self.step.1.saturating_sub(*step) as f64 / steps_per_second.max(1e-9) + self.after;
                self.left = Some((left, now));
            }
            Event::Epoch(ended) => {
                let EpochMetrics { epoch, step, metrics, genotype, steps_per_second, eta_seconds, .. } = ended;
                self.at(*epoch, *step, *steps_per_second);
                self.search(metrics);
                self.more.extend(remarks(ended, "\n").lines().map(str::to_owned));
                let steps_left = self.step.1.saturating_sub(*step) as f64 / steps_per_second.max(1e-9);
                self.after = (eta_seconds - steps_left).max(0.0);
                self.left = Some((*eta_seconds, now));
                self.cell = letters::of_cells(genotype, &self.space);
            }
            Event::TrainStep(done) => {
                self.at(done.epoch, done.step, done.steps_per_second);
                self.loss = Some(done.train_loss);
                self.put("training", Some(done.train_accuracy));
                self.left = Some((done.eta_seconds, now));
            }
            Event::TrainEpoch(ended) => {
                self.at(ended.epoch, ended.step, ended.steps_per_second);
                if let Some((_, epochs)) = &mut self.epoch {
                    // An automatic run plans anew while it trains.
                    self.step.1 = self.step.1 / (*epochs).max(1) as u64 * ended.epochs as u64;
                    *epochs = ended.epochs;
                }
                self.loss = Some(ended.train_loss);
                self.put("training", Some(ended.train_accuracy));
                self.put("validation", ended.validation_accuracy);
                self.put("test", ended.test_accuracy);
                self.left = Some((ended.eta_seconds, now));
            }
            Event::Judging { candidates, done, eta_seconds, .. } => {
                (self.judging, self.speed) = (Some((*done, *candidates)), None);
                self.left = Some((*eta_seconds, now));
            }
            Event::Judged(_) => (self.judging, self.left) = (None, None),
            Event::Paused { .. } => {
                self.stop_clock(now);
                self.paused = true;
            }
            Event::Continued { .. } => {
                self.paused = false;
                self.left.iter_mut().for_each(|left| left.1 = now);
                self.budget.iter_mut().for_each(|budget| budget.used.1 = now);
            }
            _ => {}
        }
    }

    fn at(&mut self, epoch: usize, step: u64, speed: f64) {
        let epochs = self.epoch.map_or(0, |(_, epochs)| epochs);
        (self.epoch, self.step.0, self.speed) = (Some((epoch + 1, epochs)), step, Some(speed));
    }

    fn search(&mut self, metrics: &SearchMetrics) {
        self.loss = Some(metrics.train_loss);
        self.put("held-out", Some(metrics.held_out_accuracy));
        self.more = vec![format!("tau {:.2}", metrics.tau)];
    }

    /// What was measured; what was not this time stands as it was.
    fn put(&mut self, on: &'static str, accuracy: Option<f64>) {
        let Some(accuracy) = accuracy else { return };
        match self.accuracies.iter_mut().find(|known| known.0 == on) {
            Some(known) => known.1 = accuracy,
            None => self.accuracies.push((on, accuracy)),
        }
    }

    fn stop_clock(&mut self, now: Instant) {
        let gone = |since: Instant| now.saturating_duration_since(since).as_secs_f64();
        self.left.iter_mut().for_each(|(left, since)| *left = (*left - gone(*since)).max(0.0));
        self.budget.iter_mut().for_each(|budget| budget.used.0 += gone(budget.used.1));
    }

    /// Seconds from then until now; a pause has none.
    fn since(&self, then: Instant, now: Instant) -> f64 {
        if self.paused { 0.0 } else { now.saturating_duration_since(then).as_secs_f64() }
    }

    /// Share that is done, in 0..=1.
    fn share(&self, now: Instant) -> f64 {
        let share = match (self.budget, self.judging) {
            (Some(Budget { total, used: (used, then), .. }), _) => (used + self.since(then, now)) / total.max(1e-9),
            (None, Some((done, candidates))) => done as f64 / candidates.max(1) as f64,
            (None, None) => self.step.0 as f64 / self.step.1.max(1) as f64,
        };
        share.clamp(0.0, 1.0)
    }

    /// Seconds left.
    fn left(&self, now: Instant) -> Option<f64> {
        let left = match self.budget {
            Some(Budget { total, used: (used, then), .. }) => Some(total - used - self.since(then, now)),
            None => self.left.map(|(left, then)| left - self.since(then, now)),
        };
        left.map(|left| left.max(0.0))
    }

    fn pieces(&self, now: Instant) -> Vec<Piece> {
        let share = self.share(now);
        let mut pieces = Vec::new();
        let mut put = |rank: u8, text: String| {
            if !text.is_empty() {
                pieces.push(Piece { text, rank });
            }
        };
        let stage = match self.judging {
            Some(_) if self.budget.is_none() => "judging",
            _ => &self.stage,
        };
        put(0, stage.to_owned());
        if self.paused {
            put(0, "paused".to_owned());
        }
        put(9, bar(share));
        put(5, format!("{:.0} %", 100.0 * share));
        put(1, self.left(now).map_or_else(String::new, |left| format!("{} left", duration(left))));
        put(
            3,
            self.budget
                .and_then(|budget| budget.best)
                .map_or_else(String::new, |best| format!("best so far {}", percent(best))),
        );
        match (self.judging, self.epoch) {
            (Some((done, candidates)), _) => put(2, format!("{done} of {candidates} cells judged")),
            (None, Some((epoch, epochs))) => {
                put(6, format!("epoch {epoch}/{epochs}"));
                put(4, format!("step {}/{}", self.step.0, self.step.1));
            }
            (None, None) => {}
        }
        put(1, self.loss.map_or_else(String::new, |loss| format!("loss {loss:.3}")));
        for (on, accuracy) in &self.accuracies {
            put(2, format!("{on} {:.1} %", 100.0 * accuracy));
        }
        put(3, self.cell.clone());
        for text in &self.more {
            put(8, text.clone());
        }
        put(7, self.speed.map_or_else(String::new, |speed| format!("{speed:.1} steps/s")));
        pieces
    }

    /// The display in lines of at most `width` columns.
    pub(crate) fn lines(&self, width: usize, now: Instant) -> Vec<String> {
        let mut pieces = self.pieces(now);
        loop {
            let lines = flow(&pieces, width.max(1));
            if lines.len() <= MOST_LINES {
                return lines;
            }
            // The last of those that matter least.
            let Some(least) = pieces.iter().enumerate().max_by_key(|(_, piece)| piece.rank).map(|(index, _)| index)
            else {
                return vec![];
            };
            pieces.remove(least);
        }
    }
}

/// Texts beside each other, in as many lines as they need; one that is wider than a line is broken between words, and a word in
/// itself.
fn flow(pieces: &[Piece], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let length = |text: &str| text.chars().count();
    for Piece { text, .. } in pieces {
        match lines.last_mut() {
            Some(line) if length(line) + 2 + length(text) <= width => line.extend(["  ", text]),
            _ if length(text) <= width => lines.push(text.clone()),
            _ => {
                lines.push(String::new());
                for word in text.split(' ') {
                    let letters: Vec<char> = word.chars().collect();
                    for part in letters.chunks(width) {
                        let part: String = part.iter().collect();
                        match lines.last_mut() {
                            Some(line) if line.is_empty() => *line = part,
                            Some(line) if length(line) + 1 + length(&part) <= width => line.extend([" ", &part]),
                            _ => lines.push(part),
                        }
                    }
                }
            }
        }
    }
    lines
}

/// `[=====>     ]`.
fn bar(share: f64) -> String {
    let done = (share.clamp(0.0, 1.0) * BAR as f64) as usize;
    let cell = |cell: usize| match cell.cmp(&done) {
        std::cmp::Ordering::Less => '=',
        std::cmp::Ordering::Equal => '>',
        std::cmp::Ordering::Greater => ' ',
    };
    format!("[{}]", (0..BAR).map(cell).collect::<String>())
}

/// How often the display is drawn anew where nothing happens: time goes on.
pub(crate) const TICK: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;
    use gdas::run::{AutoPart, TrainEpochMetrics, TrainStepMetrics};

    const CELL: &str = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|";

    fn started(task: &str, space: &str) -> Event {
        let line = format!(
            r#"{{"event":"started","task":"{task}","version":"0.1.0","algorithm":"gdas","space":"{space}","data":"digits","classes":10,
            "train_images":10,"held_out_images":10,"epochs":250,"steps_per_epoch":391,"parameters":1,"seed":0,"threads":1,"step":0}}"#
        );
        serde_json::from_str(&line).expect("an event")
    }

    fn metrics() -> SearchMetrics {
        let (train_loss, held_out_accuracy, tau) = (1.234_56, 0.456, 5.2);
        SearchMetrics { train_loss, held_out_accuracy, tau, ..SearchMetrics::default() }
    }

    fn step(after_seconds: f64) -> Event {
        Event::Step(StepMetrics {
            step: 50,
            metrics: metrics(),
            steps_per_second: 10.0,
            after_seconds,
            ..StepMetrics::default()
        })
    }

    fn epoch(genotype: &str) -> Event {
        Event::Epoch(EpochMetrics {
            epoch: 99,
            epochs: 250,
            step: 39_100,
            metrics: metrics(),
            genotype: genotype.to_owned(),
            steps_per_second: 3.5,
            eta_seconds: 20_000.0,
            ..EpochMetrics::default()
        })
    }

    /// A display after each of these events, at one moment.
    fn after(events: &[Event], start: Shown, now: Instant) -> Shown {
        let mut shown = start;
        for event in events {
            shown.follow(event, now);
        }
        shown
    }

    fn checked(shown: &Shown, width: usize, now: Instant) -> String {
        let lines = shown.lines(width, now);
        assert!(lines.len() <= MOST_LINES, "{lines:?}");
        for line in &lines {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
        lines.join("\n")
    }

    #[test]
    fn a_search_fits_80_60_and_40_columns_with_all_that_matters() {
        let now = Instant::now();
        let shown = after(&[started("search", "nas-bench-201"), epoch(CELL)], Shown::default(), now);
        for width in [200, 120, 80, 60, 40] {
            let text = checked(&shown, width, now);
            for part in [
                "search",
                "epoch 100/250",
                "step 39100/97750",
                "loss 1.235",
                "held-out 45.6 %",
                "cell 3|ns|an1",
                "5:33:20 left",
            ] {
                assert!(text.contains(part), "{width}: {part} is not in\n{text}");
            }
        }
        assert_eq!(checked(&shown, 200, now).lines().count(), 1);
    }

    #[test]
    fn a_training_and_an_automatic_run_fit_80_60_and_40_columns() {
        let now = Instant::now();
        let training = TrainEpochMetrics {
            epoch: 3,
            epochs: 250,
            step: 1564,
            train_loss: 0.5,
            train_accuracy: 0.8,
            validation_accuracy: Some(0.7),
            steps_per_second: 4.0,
            eta_seconds: 24_000.0,
            ..TrainEpochMetrics::default()
        };
        let events = [started("train", "nas-bench-201"), Event::TrainEpoch(training)];
        let doing = "trying network 2 of 7: three convolutions, C = 16, N = 1";
        let auto = Event::AutoProgress {
            part: AutoPart::Trial,
            doing: doing.to_owned(),
            run: None,
            best_accuracy: Some(0.4512),
            used_seconds: 61.0,
            left_seconds: 3539.0,
        };
        let plain = after(&events, Shown::default(), now);
        let whole = after(&events, after(&[auto], Shown::of_automatic_run(3600.0, 0.0, now), now), now);
        for width in [80, 60, 40] {
            let text = checked(&plain, width, now);
            for part in ["train", "loss 0.500", "validation 70.0 %", "step 1564/97750", "6:40:00 left"] {
                assert!(text.contains(part), "{width}: {part} is not in\n{text}");
            }
            let text = checked(&whole, width, now);
            for part in ["loss 0.500", "validation 70.0 %", "best so far 45.12 %", "58:59 left"] {
                assert!(text.contains(part), "{width}: {part} is not in\n{text}");
            }
            assert!(text.replace('\n', " ").starts_with(doing), "{text}");
        }
    }

    #[test]
    fn any_width_holds_any_run() {
        let now = Instant::now();
        let long = gdas::Genotype::named("DARTS_V1").map(|genotype| genotype.to_string()).unwrap_or_default();
        let shown = after(&[started("search", "nasnet"), epoch(&long)], Shown::default(), now);
        for width in 0..200 {
            let lines = shown.lines(width, now);
            assert!(
                lines.iter().all(|line| line.chars().count() <= width.max(1)) && lines.len() <= MOST_LINES,
                "{width}: {lines:?}"
            );
        }
    }

    #[test]
    fn a_loss_is_shown_before_the_first_epoch_ends() {
        let now = Instant::now();
        let trained =
            TrainStepMetrics { step: 5, train_loss: 2.25, train_accuracy: 0.125, ..TrainStepMetrics::default() };
        let training = after(&[started("train", "nas-bench-201"), Event::TrainStep(trained)], Shown::default(), now);
        assert!(checked(&training, 80, now).contains("loss 2.250  training 12.5 %"), "{}", checked(&training, 80, now));
        let search = after(&[started("search", "nas-bench-201"), step(0.0)], Shown::default(), now);
        assert!(checked(&search, 80, now).contains("loss 1.235"));
    }

    #[test]
    fn judging_counts_in_the_time_left_from_the_first_step_on() {
        let now = Instant::now();
        let left = |after_seconds| {
            after(&[started("search", "nas-bench-201"), step(after_seconds)], Shown::default(), now).left(now)
        };
        assert_eq!(left(0.0), Some(9770.0));
        assert_eq!(left(600.0), Some(10_370.0));
        let judging = Event::Judging { step: 97_750, candidates: 48, done: 12, eta_seconds: 65.0 };
        let shown = after(&[started("search", "nas-bench-201"), judging], Shown::default(), now);
        let text = checked(&shown, 80, now);
        assert!(text.starts_with("judging  ") && text.contains("25 %  1:05 left  12 of 48 cells judged"), "{text}");
    }

    #[test]
    fn time_goes_on_between_events_and_stands_in_a_pause() {
        let now = Instant::now();
        let later = now + Duration::from_secs(10);
        let mut shown = after(&[started("search", "nas-bench-201"), step(0.0)], Shown::default(), now);
        assert_eq!((shown.left(now), shown.left(later)), (Some(9770.0), Some(9760.0)));
        shown.follow(&Event::Paused { step: 50 }, later);
        let much_later = later + Duration::from_secs(1000);
        assert_eq!(shown.left(much_later), Some(9760.0));
        assert!(checked(&shown, 80, much_later).contains("search  paused"));
        shown.follow(&Event::Continued { step: 50 }, much_later);
        assert_eq!(shown.left(much_later + Duration::from_mins(1)), Some(9700.0));
    }

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        assert_eq!(bar(0.21), "[====>               ]");
        assert_eq!(bar(1.5), "[====================]");
    }
}
