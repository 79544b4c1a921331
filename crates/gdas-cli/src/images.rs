//! Opening a data set for a command: a bar while it is read, then what was taken for what.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use gdas::config::{Auto, TrainConfig, resolve};
use gdas::data::{Dataset, Format};
use gdas::run::{RunDir, RunInfo, read_config};
use gdas::train::TrainedModel;
use gdas_data::{ClassCount, Options, ReadObserver, Summary};
use indicatif::{ProgressBar, ProgressStyle};

use crate::exit::Usage;
use crate::flags;
use crate::host;
use crate::output::note;
use crate::progress::Progress;

/// What to do about image files that cannot be used.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Damaged {
    /// Leave out image files that cannot be used, instead of stopping; they are named
    #[arg(long)]
    pub(crate) skip_damaged: bool,
}

/// A data set and what a user should know about it.
pub(crate) struct Opened {
    pub(crate) dataset: Dataset,
    /// What commonly spoils results; see [`gdas_data::inspect`].
    pub(crate) warnings: Vec<String>,
}

impl Opened {
    /// Shows the warnings, for commands without a run.
    pub(crate) fn noted(self) -> Dataset {
        for warning in &self.warnings {
            note(format_args!("warning: {warning}"));
        }
        self.dataset
    }

    /// Shows the warnings; a new run also keeps them.
    pub(crate) fn warn(&self, progress: &mut Progress, run: &mut RunDir) -> anyhow::Result<()> {
        let started = !RunInfo::events(run.path())?.is_empty();
        for warning in &self.warnings {
            if started {
                progress.warning(warning);
            } else {
                run.warn(progress, warning.clone())?;
            }
        }
        Ok(())
    }
}

/// Opens a data set and says in a few lines what was taken for what, unless `quiet`.
pub(crate) fn open(data: &str, image_size: Auto<usize>, damaged: Damaged, quiet: bool) -> anyhow::Result<Opened> {
    if let Some(dataset) = host::dataset(data) {
        return Ok(opened(dataset, quiet));
    }
    let dataset = gdas_data::open_with(data, &options(image_size, damaged, quiet))?;
    Ok(opened(dataset, quiet))
}

/// As [`open`], the images of the run at `run`, whose configuration calls them `data`: where they were, or where `given` says
/// they are now. Also where they were found.
pub(crate) fn open_for_run(
    run: &Path,
    (data, given): (&str, Option<&str>),
    image_size: Auto<usize>,
    damaged: Damaged,
    quiet: bool,
) -> anyhow::Result<(Opened, String)> {
    if let Some((dataset, place)) = host::dataset_for_run(run, given)? {
        return Ok((opened(dataset, quiet), place));
    }
    let found = gdas_data::open_for_run(run, data, given, &options(image_size, damaged, quiet))?;
    Ok((opened(found.dataset, quiet), flags::lasting(&found.data)))
}

/// The images of a trained network's data, or those of `data`: of the size and the classes that the network knows.
pub(crate) fn of_model(
    run: &Path,
    model: &TrainedModel,
    data: Option<&str>,
    damaged: Damaged,
) -> anyhow::Result<Dataset> {
    let config: TrainConfig = resolve(&[flags::of_run(run, &read_config(run)?)?])?;
    let (opened, data) = if let Some(data) = data {
        let square = model.image.height == model.image.width;
        let size = if square { Auto::Is(model.image.height) } else { config.image_size };
        (open(data, size, damaged, false)?, data.to_owned())
    } else {
        let damaged = Damaged { skip_damaged: config.skip_damaged || damaged.skip_damaged };
        open_for_run(run, (&config.data, None), config.image_size, damaged, false)?
    };
    let dataset = opened.noted();
    if let Some(difference) = other_classes(&model.classes, &dataset.classes) {
        let message = format!("the classes of {data} are not those that the network was trained on: {difference}");
        return Err(Usage(message).into());
    }
    let images = &dataset.train;
    if (images.height, images.width, images.channels) != (model.image.height, model.image.width, model.image.channels) {
        let size = |[height, width, channels]: [usize; 3]| format!("{height}x{width} pixels and {channels} channels");
        let message = format!(
            "the images of {data} have {}, the network takes {}",
            size([images.height, images.width, images.channels]),
            size([model.image.height, model.image.width, model.image.channels]),
        );
        return Err(Usage(message).into());
    }
    Ok(dataset)
}

fn options(image_size: Auto<usize>, damaged: Damaged, quiet: bool) -> Options {
    let image_size = match image_size {
        Auto::Auto => None,
        Auto::Is(size) => Some(size),
    };
    Options { image_size, skip_damaged: damaged.skip_damaged, observer: reading(quiet), ..Options::default() }
}

fn opened(dataset: Dataset, quiet: bool) -> Opened {
    if dataset.format == Format::Digits {
        let warnings = dataset.notes.clone();
        return Opened { dataset, warnings };
    }
    let summary = gdas_data::inspect(&dataset);
    if !quiet {
        describe(&summary).iter().for_each(note);
    }
    Opened { dataset, warnings: summary.warnings }
}

/// Observer that shows a progress bar on a terminal once reading takes longer than 0.4 seconds.
pub(crate) fn reading(quiet: bool) -> ReadObserver {
    const MOMENT: Duration = Duration::from_millis(400);
    if quiet || host::is_set() || !io::stderr().is_terminal() {
        return ReadObserver::default();
    }
    let start = Instant::now();
    let bar = Mutex::new(None::<Bar>);
    ReadObserver::new(move |progress| {
        if start.elapsed() < MOMENT {
            return;
        }
        let (template, done, total) = match progress {
            gdas_data::ReadProgress::Unpacking { done, total } => {
                ("unpacking [{bar:20}] {bytes} of {total_bytes}, {eta} left", done, total)
            }
            gdas_data::ReadProgress::Decoding { done, total } => {
                ("reading [{bar:20}] {pos} of {len} images, {eta} left", done, total)
            }
        };
        let mut bar = bar.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = bar.get_or_insert_with(|| Bar { drawn: ProgressBar::new(total), template: "" });
        if bar.template != template {
            let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.drawn.reset();
            bar.drawn.set_style(style.progress_chars("=> "));
            bar.template = template;
        }
        bar.drawn.set_length(total);
        bar.drawn.set_position(done);
    })
}

struct Bar {
    drawn: ProgressBar,
    template: &'static str,
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.drawn.finish_and_clear();
    }
}

/// Classes that are listed one by one.
const LISTED: usize = 12;

/// Summary of a data set in two lines: images per part with their size, and classes.
fn describe(summary: &Summary) -> [String; 2] {
    let colour = if summary.channels == 1 { "grey" } else { "colour" };
    let test = match (summary.test, summary.held_out) {
        (0, _) => "no test images".to_owned(),
        (n, true) => format!("{n} held out of them for testing"),
        (n, false) => format!("{n} test images"),
    };
    let train = if summary.held_out { summary.train + summary.test } else { summary.train };
    let first =
        format!("{}: {train} training images, {test}; {}x{}, {colour}", summary.name, summary.height, summary.width);
    let class = |class: &ClassCount| format!("{} {}+{}", class.name, class.train, class.test);
    let shown: Vec<String> = summary.classes.iter().take(LISTED).map(class).collect();
    let more = summary.classes.len().saturating_sub(LISTED);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    (first, format!("{} classes (training+test): {}{more}", summary.classes.len(), shown.join(", "))).into()
}

/// What is different between a network's classes and the data's, if anything is.
pub(crate) fn other_classes(network: &[String], data: &[String]) -> Option<String> {
    if network == data {
        return None;
    }
    let without = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|name| !those.contains(name)).map(|name| format!("`{name}`")).collect()
    };
    let (missing, extra) = (without(network, data), without(data, network));
    let list = |names: &[String]| {
        let more = names.len().saturating_sub(8);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", names[..names.len().min(8)].join(", "))
    };
    Some(match (missing.as_slice(), extra.as_slice()) {
        ([], []) => "they are the same in another order".to_owned(),
        (missing, []) => format!("the data lack {}", list(missing)),
        ([], extra) => format!("the network does not know {}", list(extra)),
        (missing, extra) => format!("the data lack {}, and the network does not know {}", list(missing), list(extra)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_that_differ_are_named() {
        let names = |text: &str| text.split(' ').map(String::from).collect::<Vec<_>>();
        let other = |network: &str, data: &str| other_classes(&names(network), &names(data)).unwrap_or_default();
        assert_eq!(other("a b", "a b"), "");
        assert_eq!(other("a b", "b a"), "they are the same in another order");
        assert_eq!(other("a b c", "a b"), "the data lack `c`");
        assert_eq!(other("a b", "a b c d"), "the network does not know `c`, `d`");
        assert_eq!(other("a b", "A b"), "the data lack `a`, and the network does not know `A`");
    }
}
