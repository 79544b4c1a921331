//! Assigns each image to a partition and a class by its path.

use std::collections::{BTreeMap, BTreeSet};

use super::{Item, Partition};
use crate::error::DataError;
use crate::kind::{Kind, ending};
use crate::layout::{Layout, Place, list};
use crate::parts::{Part, named_part};
use crate::tree::{Entry, Tree};

/// Number of skipped files by type.
#[derive(Default)]
struct Tally(BTreeMap<String, usize>);

impl Tally {
    fn add(&mut self, entry: &Entry, kind: Kind) {
        let ending = match ending(&entry.name) {
            ending if ending.is_empty() => "without an ending".to_owned(),
            ending => format!(".{ending}"),
        };
        let what = match kind {
            Kind::UnreadImage(format) | Kind::UnreadArchive(format) => format!("{ending} ({format})"),
            _ => ending,
        };
        *self.0.entry(what).or_default() += 1;
    }

    fn count(&self) -> usize {
        self.0.values().sum()
    }

    /// The counts as text, the most frequent first: `3 .txt, 1 .csv`.
    fn list(&self) -> String {
        let mut kinds: Vec<(&String, &usize)> = self.0.iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let shown = kinds.iter().take(6).map(|(what, count)| format!("{count} {what}"));
        shown.chain((kinds.len() > 6).then(|| "others".to_owned())).collect::<Vec<_>>().join(", ")
    }
}

/// Files of one class in one partition.
#[derive(Default)]
struct Found<'t> {
    images: Vec<&'t Entry>,
    /// Images of unsupported formats.
    unread: Tally,
    /// Other files.
    others: Tally,
}

/// Assigns each image to a partition and a class by its path, and adds notes on files that are not used.
pub(super) fn sort_out<'t>(
    tree: &'t Tree,
    kinds: &[Kind],
    notes: &mut Vec<String>,
) -> Result<Vec<Item<'t>>, DataError> {
    let pictures: Vec<&str> = (tree.entries.iter().zip(kinds))
        .filter(|(_, kind)| kind.is_picture())
        .map(|(entry, _)| entry.name.as_str())
        .collect();
    let layout = match Layout::of(&pictures, &tree.origin) {
        Ok(layout) => layout,
        Err(error) => return Err(training_part_without_images(tree, kinds).unwrap_or(error)),
    };
    let mut found: BTreeMap<(Part, &str), Found> = BTreeMap::new();
    let mut unclassed: BTreeMap<Part, usize> = BTreeMap::new();
    let (mut outside, mut others) = (0, Tally::default());
    for (entry, &kind) in tree.entries.iter().zip(kinds) {
        match (layout.place(&entry.name), kind.is_picture()) {
            (Place::Class(part, class), _) => {
                let found = found.entry((part, class)).or_default();
                match kind {
                    Kind::Image(_) => found.images.push(entry),
                    Kind::UnreadImage(_) => found.unread.add(entry, kind),
                    _ => {
                        found.others.add(entry, kind);
                        others.add(entry, kind);
                    }
                }
            }
            (_, false) => others.add(entry, kind),
            (Place::Outside, true) => outside += 1,
            (Place::Part(part @ (Part::Test | Part::Validation)), true) => *unclassed.entry(part).or_default() += 1,
            (Place::Part(Part::Train) | Place::Loose, true) => {
                return Err(DataError::Malformed {
                    file: tree.origin.clone(),
                    place: format!("image `{}`", entry.name),
                    what: "it is not in a class folder".into(),
                    advice: "put each image at `train/<class>/`, `test/<class>/` or `<class>/`",
                });
            }
        }
    }
    let has = |part: Part| found.keys().any(|key| key.0 == part);
    let instead = !has(Part::Test) && has(Part::Validation);
    if instead {
        notes.push("there is no partition `test`; `val` is used in its place".into());
    } else if has(Part::Validation) {
        notes.push("the partition `val` is not used".into());
    }
    for (part, count) in unclassed {
        notes.push(format!("{} of `{part}` not used, as not in a class folder", self::count(count, "image")));
    }
    if outside > 0 {
        notes.push(format!("{} outside of `train` and `test` not used", count(outside, "image")));
    }
    if others.count() > 0 {
        notes.push(format!("{} not read, as not images: {}", count(others.count(), "file"), others.list()));
    }
    let empty = empty_folders(tree);
    if let [first, ..] = empty.as_slice() {
        let what = if empty.len() == 1 { "the folder is empty" } else { "these folders are empty" };
        notes.push(format!("{what}: {}", if empty.len() == 1 { format!("`{first}`") } else { list(&empty) }));
    }
    let mut items = Vec::new();
    let mut missing = Vec::new();
    for (&(part, class), found) in &found {
        let partition = match part {
            Part::Train => Partition::Train,
            Part::Test => Partition::Test,
            Part::Validation if instead => Partition::Test,
            Part::Validation => continue,
        };
        let name = if has(Part::Test) || instead { format!("{part}/{class}") } else { class.to_owned() };
        let unread =
            || format!("{} of class `{name}` not read: {}", count(found.unread.count(), "file"), found.unread.list());
        if found.images.is_empty() && found.unread.count() > 0 {
            missing.push(unread());
        } else if found.images.is_empty() {
            notes.push(format!("the folder `{name}` holds no images, only {}; it is not a class", found.others.list()));
        } else if found.unread.count() > 0 {
            notes.push(unread());
        }
        items.extend(found.images.iter().map(|&entry| Item { entry, partition, class }));
    }
    if !missing.is_empty() {
        let more =
            if missing.len() > 10 { format!("; and {} more such classes", missing.len() - 10) } else { String::new() };
        missing.truncate(10);
        return Err(DataError::Unsuitable(format!(
            "{}: {}{more}; convert them to PNG or JPEG, or move these folders away to go on without them",
            tree.origin,
            missing.join("; ")
        )));
    }
    Ok(items)
}

/// The error for a training folder without images, if there is such a folder.
fn training_part_without_images(tree: &Tree, kinds: &[Kind]) -> Option<DataError> {
    fn part(name: &str) -> Option<&str> {
        let mut folders = name.rsplit_once('/')?.0.split('/');
        folders.find(|folder| named_part(folder).is_some_and(|says| says.part == Part::Train))
    }
    let mut files: BTreeMap<&str, Tally> = BTreeMap::new();
    for (entry, &kind) in tree.entries.iter().zip(kinds) {
        let Some(folder) = part(&entry.name) else { continue };
        if kind.is_picture() {
            return None;
        }
        files.entry(folder).or_default().add(entry, kind);
    }
    let (folder, files) = files.into_iter().next()?;
    Some(DataError::Unsuitable(format!(
        "{}: there is no image in `{folder}`, only {}; put the training images there",
        tree.origin,
        files.list()
    )))
}

/// The outermost folders without any file below them.
fn empty_folders(tree: &Tree) -> Vec<&str> {
    let mut empty: Vec<&str> = Vec::new();
    for folder in &tree.folders {
        let inside = format!("{folder}/");
        let next = tree.entries.partition_point(|entry| entry.name < inside);
        let has_files = tree.entries.get(next).is_some_and(|entry| entry.name.starts_with(&inside));
        let within = |outer: &&str| folder.strip_prefix(*outer).is_some_and(|rest| rest.starts_with('/'));
        if !has_files && !empty.last().is_some_and(within) {
            empty.push(folder);
        }
    }
    empty
}

/// The classes of the training images in alphabetical order.
///
/// # Errors
/// If a class of the test images is not among them.
pub(super) fn check_classes<'t>(tree: &Tree, items: &[Item<'t>]) -> Result<Vec<&'t str>, DataError> {
    let of = |partition: Partition| -> BTreeSet<&'t str> {
        items.iter().filter(|item| item.partition == partition).map(|item| item.class).collect()
    };
    let (train, test) = (of(Partition::Train), of(Partition::Test));
    let extra: Vec<&str> = test.difference(&train).copied().collect();
    if extra.is_empty() || train.is_empty() {
        return Ok(train.into_iter().collect());
    }
    let without: Vec<&str> = train.difference(&test).copied().collect();
    let beside = if without.is_empty() {
        String::new()
    } else {
        format!(", and {} training images and no test images", with_verb(&without))
    };
    Err(DataError::Malformed {
        file: tree.origin.clone(),
        place: "its folders".into(),
        what: format!("{} test images and no training images{beside}", with_verb(&extra)),
        advice: "name the folders of `train` and `test` alike",
    })
}

fn with_verb(names: &[&str]) -> String {
    if let [name] = names { format!("the class `{name}` has") } else { format!("the classes {} have", list(names)) }
}

/// The number with the noun: `1 file`, `2 files`.
fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
