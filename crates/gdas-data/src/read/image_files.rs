//! A tree of image files: `train/<class>/*` and `test/<class>/*`, or plain `<class>/*`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::decode::{self, Header};
use super::fit::{self, Fitted, Target, fit, shrink};
use crate::error::{BrokenImage, DataError, broken_list};
use crate::kind::{Kind, ending};
use crate::layout::{Layout, Place, list};
use crate::observe::{Progress, Reading};
use crate::options::Options;
use crate::parts::{Part, named_part};
use crate::tree::{Entry, Limits, Tree};
use gdas::data::{Dataset, Files, Format, Images, SIZES, Statistics};

/// Which images are learned from and which are tested with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Partition {
    Train,
    Test,
}

/// An image file and what its path says about it.
#[derive(Clone, Copy)]
struct Item<'t> {
    entry: &'t Entry,
    partition: Partition,
    class: &'t str,
}

/// What each file of the tree holds, in the order of the entries.
pub(crate) fn kinds(tree: &Tree) -> Vec<Kind> {
    tree.entries.par_iter().map(|entry| Kind::of(&entry.name, &entry.head())).collect()
}

/// Reads the tree if it holds image files. [`Options::image_size`] is the height and width to resize to; without it,
/// images of other than the most common size are resized to that (ties: the larger; at most 224).
pub(crate) fn read(tree: &Tree, options: &Options) -> Option<Result<Dataset, DataError>> {
    let kinds = kinds(tree);
    kinds.iter().any(|kind| kind.is_picture()).then(|| read_all(tree, &kinds, options))
}

fn read_all(tree: &Tree, kinds: &[Kind], options: &Options) -> Result<Dataset, DataError> {
    let mut notes = tree.notes.clone();
    let mut items = sort_out(tree, kinds, &mut notes)?;
    items.sort_by(|a, b| (a.partition, a.class, &a.entry.name).cmp(&(b.partition, b.class, &b.entry.name)));
    let decoded = decode_all(tree, items, options, &mut notes)?;
    let classes = check_classes(tree, &decoded.items)?;
    // Training images come first.
    let trained = decoded.items.iter().filter(|item| item.partition == Partition::Train).count();
    let target = decoded.target;
    let mut pixels = decoded.pixels;
    let test_pixels = pixels.split_off(trained * target.len());
    let images = |pixels: Vec<u8>, items: &[Item]| Images {
        pixels,
        labels: items.iter().map(|i| classes.binary_search(&i.class).map_or(0, |label| label as u32)).collect(),
        ..Images::empty(target.height, target.width, target.channels)
    };
    let (train_items, test_items) = decoded.items.split_at(trained);
    if train_items.is_empty() {
        return Err(DataError::Unrecognised { file: tree.origin.clone(), found: "no training images".into() });
    }
    let train = images(pixels, train_items);
    let test = (!test_items.is_empty()).then(|| Arc::new(images(test_pixels, test_items)));
    let names = |items: &[Item]| items.iter().map(|item| item.entry.name.clone()).collect();
    Ok(Dataset {
        name: String::new(),
        format: Format::Images,
        statistics: Statistics::of(&train),
        test,
        classes: classes.into_iter().map(String::from).collect(),
        train: Arc::new(train),
        held_out: false,
        files: Files { train: names(train_items), test: names(test_items) },
        flip: true,
        notes,
    })
}

/// Images without classes.
#[derive(Clone, Debug)]
pub struct LooseImages {
    /// Where each came from.
    pub names: Vec<String>,
    /// Their pixels; all labels are zero.
    pub images: Images,
    /// Image files that cannot be used.
    pub broken: Vec<BrokenImage>,
    /// Files that are no images.
    pub others: usize,
    /// How many of the images have transparent parts, which were put on white.
    pub transparent: usize,
}

/// The images of a file, folder or archive, whatever their folders, sorted by name.
pub(crate) fn read_loose(
    path: &Path,
    [height, width, channels]: [usize; 3],
    limits: Limits,
) -> Result<LooseImages, DataError> {
    let tree = Tree::open(path, limits, &Reading::default())?;
    let kinds = kinds(&tree);
    // A file that was named is meant to be an image, whatever it is.
    let named = tree.entries.len() == 1 && path.is_file();
    let pictures: Vec<&Entry> = tree
        .entries
        .iter()
        .zip(&kinds)
        .filter(|(_, kind)| named || kind.is_picture())
        .map(|(entry, _)| entry)
        .collect();
    if pictures.is_empty() {
        let found = format!("{} files, none of them an image", tree.entries.len());
        return Err(DataError::NoImages { file: tree.origin, found });
    }
    let target = Target { height, width, channels };
    let results: Vec<Result<Fitted, String>> = pictures
        .par_iter()
        .map(|entry| one(&entry.name, &read_entry(entry, &tree.limits)?, target, tree.limits.pixels))
        .collect();
    let mut loose = LooseImages::empty(target, tree.entries.len() - pictures.len());
    for (entry, result) in pictures.into_iter().zip(results) {
        loose.push(&entry.label, result);
    }
    Ok(loose)
}

/// As [`read_loose`], of one file's content.
pub(crate) fn read_bytes(
    name: &str,
    bytes: &[u8],
    [height, width, channels]: [usize; 3],
    limits: Limits,
) -> LooseImages {
    let target = Target { height, width, channels };
    let mut loose = LooseImages::empty(target, 0);
    loose.push(name, one(name, bytes, target, limits.pixels));
    loose
}

/// The content of an image file, of the wanted size.
fn one(name: &str, bytes: &[u8], target: Target, pixels: u64) -> Result<Fitted, String> {
    decode::header(name, bytes, pixels)?;
    Ok(fit(&decode::decode(name, bytes)?, target))
}

impl LooseImages {
    fn empty(target: Target, others: usize) -> Self {
        let images = Images::empty(target.height, target.width, target.channels);
        Self { names: Vec::new(), images, broken: Vec::new(), others, transparent: 0 }
    }

    fn push(&mut self, name: &str, result: Result<Fitted, String>) {
        match result {
            Ok(Fitted { pixels, transparent }) => {
                self.names.push(name.to_owned());
                self.images.labels.push(0);
                self.images.pixels.extend(pixels);
                self.transparent += usize::from(transparent);
            }
            Err(reason) => self.broken.push(BrokenImage { name: name.to_owned(), reason }),
        }
    }

    /// What was done to transparent images, if there were any.
    pub fn note(&self) -> Option<String> {
        fit::note_on_transparency(self.transparent, self.names.len())
    }
}

/// Files that are passed over, by what they are.
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

    /// `3 .txt, 1 .csv`, the most frequent first.
    fn list(&self) -> String {
        let mut kinds: Vec<(&String, &usize)> = self.0.iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let shown = kinds.iter().take(6).map(|(what, count)| format!("{count} {what}"));
        shown.chain((kinds.len() > 6).then(|| "others".to_owned())).collect::<Vec<_>>().join(", ")
    }
}

/// What was found in a class of a part.
#[derive(Default)]
struct Found<'t> {
    images: Vec<&'t Entry>,
    /// Images of formats that are not read.
    unread: Tally,
    /// Other files.
    others: Tally,
}

/// Finds out from the paths which part and class each image belongs to, and says what is not used.
fn sort_out<'t>(tree: &'t Tree, kinds: &[Kind], notes: &mut Vec<String>) -> Result<Vec<Item<'t>>, DataError> {
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
                    what: "it is in no class folder".into(),
                    mend: "put each image at `train/<class>/`, `test/<class>/` or `<class>/`",
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
        notes.push(format!("{} of `{part}` not used, being in no class folder", self::count(count, "image")));
    }
    if outside > 0 {
        notes.push(format!("{} outside of `train` and `test` not used", count(outside, "image")));
    }
    if others.count() > 0 {
        notes.push(format!("{} not read, being no images: {}", count(others.count(), "file"), others.list()));
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
            notes.push(format!("the folder `{name}` holds no images, only {}: it is no class", found.others.list()));
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

/// The error for a folder of training images in which there is none, if there is such a folder.
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
        "{}: there is no image in `{folder}`, only {}; put the images to learn from there",
        tree.origin,
        files.list()
    )))
}

/// Folders without any file below them, but not those in such folders.
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

/// The classes, which are those of the training images. All classes of the test images must be among them.
fn check_classes<'t>(tree: &Tree, items: &[Item<'t>]) -> Result<Vec<&'t str>, DataError> {
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
        mend: "name the folders of `train` and `test` alike",
    })
}

fn with_verb(names: &[&str]) -> String {
    if let [name] = names { format!("the class `{name}` has") } else { format!("the classes {} have", list(names)) }
}

/// `1 file`, `2 files`.
fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Images and their pixels, one after the other.
struct Decoded<'t> {
    items: Vec<Item<'t>>,
    target: Target,
    pixels: Vec<u8>,
}

/// Decodes all images. Those that cannot be used are an error that names them all, or are left out.
fn decode_all<'t>(
    tree: &Tree,
    items: Vec<Item<'t>>,
    options: &Options,
    notes: &mut Vec<String>,
) -> Result<Decoded<'t>, DataError> {
    let all = items.len();
    let steps = AtomicU64::new(0);
    let step = || {
        // Once for the header and once for the pixels.
        let done = steps.fetch_add(1, Ordering::Relaxed) / 2;
        options.reading.at(Progress::Decoding { done: done.min(all as u64), all: all as u64 });
    };
    let before: BTreeSet<_> = items.iter().map(|item| (item.partition, item.class)).collect();
    let mut broken = Vec::new();
    let headers: Vec<Result<Header, String>> = items
        .par_iter()
        .map(|item| {
            step();
            decode::header(&item.entry.name, &read_entry(item.entry, &tree.limits)?, tree.limits.pixels)
        })
        .collect();
    let mut good: Vec<(Item, Header)> = keep(items.into_iter().zip(headers), &mut broken);
    let (target, pixels, transparent) = loop {
        if good.is_empty() {
            return Err(all_broken(tree, broken, all));
        }
        let target = choose_size(tree, &good, options.image_size)?;
        let mut pixels = vec![0; good.len() * target.len()];
        let results: Vec<Result<bool, String>> = (pixels.par_chunks_exact_mut(target.len()).zip(&good))
            .map(|(pixels, (item, _))| {
                step();
                let bytes = read_entry(item.entry, &tree.limits)?;
                let fitted = fit(&decode::decode(&item.entry.name, &bytes)?, target);
                pixels.copy_from_slice(&fitted.pixels);
                Ok(fitted.transparent)
            })
            .collect();
        if results.iter().all(Result::is_ok) {
            break (target, pixels, results.iter().filter(|result| **result == Ok(true)).count());
        }
        let left = good.into_iter().zip(results).map(|(good, result)| (good.0, result.map(|_| good.1)));
        good = keep(left, &mut broken);
        if !options.skip_damaged {
            return Err(all_broken(tree, broken, all));
        }
        // Once more, as the size may have been that of the ones left out.
    };
    if !broken.is_empty() {
        broken.sort_by(|a, b| a.name.cmp(&b.name));
        if !options.skip_damaged {
            return Err(DataError::BrokenImages { file: tree.origin.clone(), broken, all });
        }
        notes.push(format!(
            "{} of {all} image files cannot be used and are left out:{}",
            broken.len(),
            broken_list(&broken)
        ));
        let left: BTreeSet<_> = good.iter().map(|(item, _)| (item.partition, item.class)).collect();
        let lost: Vec<&str> = before.difference(&left).map(|(_, class)| *class).collect();
        if !lost.is_empty() {
            let files = broken_list(&broken);
            let what =
                format!("no image of class {} can be used:{files}\nreplace them, or remove the folders", list(&lost));
            return Err(DataError::Unsuitable(format!("{}: {what}", tree.origin)));
        }
    }
    let sizes: Vec<(usize, usize)> = good.iter().map(|(_, header)| (header.height, header.width)).collect();
    notes.extend(fit::note_on_sizes(&sizes, target, options.image_size.is_none()));
    notes.extend(fit::note_on_transparency(transparent, good.len()));
    Ok(Decoded { items: good.into_iter().map(|(item, _)| item).collect(), target, pixels })
}

fn all_broken(tree: &Tree, mut broken: Vec<BrokenImage>, all: usize) -> DataError {
    broken.sort_by(|a, b| a.name.cmp(&b.name));
    DataError::BrokenImages { file: tree.origin.clone(), broken, all }
}

/// Those whose result is good; the others go to `broken`.
fn keep<'t>(
    results: impl Iterator<Item = (Item<'t>, Result<Header, String>)>,
    broken: &mut Vec<BrokenImage>,
) -> Vec<(Item<'t>, Header)> {
    let mut good = Vec::new();
    for (item, result) in results {
        match result {
            Ok(header) => good.push((item, header)),
            Err(reason) => broken.push(BrokenImage { name: item.entry.name.clone(), reason }),
        }
    }
    good
}

/// The file's bytes, or the reason why they cannot be had.
fn read_entry<'e>(entry: &'e Entry, limits: &Limits) -> Result<std::borrow::Cow<'e, [u8]>, String> {
    entry.read(limits).map_err(|error| match error {
        DataError::Read { source, .. } => format!("cannot be read ({source})"),
        DataError::Limit { what, .. } | DataError::Malformed { what, .. } => what,
        error => error.to_string(),
    })
}

fn choose_size(tree: &Tree, items: &[(Item, Header)], size: Option<usize>) -> Result<Target, DataError> {
    let mut counts: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for (_, header) in items {
        *counts.entry((header.height, header.width)).or_insert(0) += 1;
    }
    let channels = if items.iter().all(|(_, header)| header.grey) { 1 } else { 3 };
    let common = counts.iter().max_by_key(|&(&size, &count)| (count, size)).map_or((0, 0), |(&size, _)| size);
    let (height, width) = match size {
        Some(size) => (size, size),
        None => shrink(common),
    };
    if !SIZES.contains(&height) || !SIZES.contains(&width) {
        return Err(DataError::Unsuitable(format!(
            "{}: images of {height}x{width} pixels; {} to {} in each direction can be used, so ask for an image size",
            tree.origin,
            SIZES.start(),
            SIZES.end()
        )));
    }
    Ok(Target { height, width, channels })
}
