//! The program that a command runs in, where that is not `gdas` itself: what it hands to the command, and what it gets
//! back. Without one, a command uses files, the terminal and signals.

use std::cell::RefCell;
use std::path::Path;

use gdas::data::Dataset;
use gdas::run::{Event, ImagesRecord, Interrupt, RunError};
use gdas::search::Selection;
use serde_json::Value;

/// Is called with something that happened.
pub type Callback<T> = Box<dyn FnMut(&T) + Send>;

/// What the program hands to one command.
#[derive(Default)]
pub struct Host {
    /// Images in memory. A command reads them where its data are called `memory:NAME`, NAME being that of the data set, and
    /// where it resumes a run and no other place of the images is given.
    pub dataset: Option<Dataset>,
    /// Chooses the cell of a search in the end, in place of the configured selection.
    pub selection: Option<Box<dyn Selection>>,
    /// Whether a new run replaces the one of its name.
    pub overwrite: bool,
    /// Asks the command to stop.
    pub interrupt: Interrupt,
    /// Called with the directory of a new run.
    pub on_run: Option<Callback<Path>>,
    /// Called with every event of the run.
    pub on_event: Option<Callback<Event>>,
    /// Called with every text that the command would write to standard error.
    pub on_note: Option<Callback<str>>,
}

struct Current {
    host: Host,
    /// What the command would write to standard output.
    output: Vec<Value>,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// Does `work` on this thread for a program, and gives what it put out.
pub(crate) fn within<T>(host: Host, work: impl FnOnce() -> T) -> (T, Vec<Value>) {
    /// Takes the host away even if the work panics, since the thread may go on to other work.
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            CURRENT.take();
        }
    }
    CURRENT.set(Some(Current { host, output: Vec::new() }));
    let leave = Leave;
    let result = work();
    let output = CURRENT.take().map_or_else(Vec::new, |current| current.output);
    drop(leave);
    (result, output)
}

fn with<T>(look: impl FnOnce(&mut Current) -> T) -> Option<T> {
    CURRENT.with_borrow_mut(|current| current.as_mut().map(look))
}

/// Whether the command runs within another program.
pub(crate) fn is_set() -> bool {
    CURRENT.with_borrow(Option::is_some)
}

/// Puts a value out, if there is a program to take it.
pub(crate) fn put(value: impl FnOnce() -> Value) -> bool {
    with(|current| current.output.push(value())).is_some()
}

/// Hands a note over, if there is a program to take it. Outside of the borrow, since the program may do anything.
pub(crate) fn note(text: impl FnOnce() -> String) -> bool {
    let Some(taken) = with(|current| current.host.on_note.take()) else { return false };
    if let Some(mut on_note) = taken {
        on_note(&text());
        with(|current| current.host.on_note = Some(on_note));
    }
    true
}

/// Says where the new run is.
pub(crate) fn began(run: &Path) {
    if let Some(Some(mut on_run)) = with(|current| current.host.on_run.take()) {
        on_run(run);
    }
}

/// Hands an event over.
pub(crate) fn event(event: &Event) {
    if let Some(Some(mut on_event)) = with(|current| current.host.on_event.take()) {
        on_event(event);
        with(|current| current.host.on_event = Some(on_event));
    }
}

/// The stop request of the command at work, if it has a host.
pub(crate) fn interrupt() -> Option<Interrupt> {
    with(|current| current.host.interrupt.clone())
}

/// The selection to use once, if the program has its own.
pub(crate) fn selection() -> Option<Box<dyn Selection>> {
    with(|current| current.host.selection.take()).flatten()
}

/// Whether a new run replaces the one of its name.
pub(crate) fn overwrites() -> bool {
    with(|current| current.host.overwrite).unwrap_or(false)
}

/// The images in memory, if `data` means them.
pub(crate) fn dataset(data: &str) -> Option<Dataset> {
    let name = data.strip_prefix(gdas_data::IN_MEMORY)?;
    with(|current| current.host.dataset.clone()).flatten().filter(|dataset| dataset.name == name)
}

/// The images in memory for the run at `run`, and what they are called, unless the user named a path.
///
/// # Errors
/// The run began with other images.
pub(crate) fn dataset_for_run(run: &Path, given: Option<&str>) -> Result<Option<(Dataset, String)>, RunError> {
    let Some(mut dataset) = with(|current| current.host.dataset.clone()).flatten() else { return Ok(None) };
    if given.is_some_and(|given| given.strip_prefix(gdas_data::IN_MEMORY) != Some(&dataset.name)) {
        return Ok(None);
    }
    if let Some(record) = ImagesRecord::read(run)? {
        let digest = dataset.digest();
        if digest != record.digest {
            let (name, began_with) = (dataset.name, record.digest);
            return Err(RunError::OtherImages { name, began_with, given: digest });
        }
        dataset.name = record.name;
    }
    let place = format!("{}{}", gdas_data::IN_MEMORY, dataset.name);
    Ok(Some((dataset, place)))
}
