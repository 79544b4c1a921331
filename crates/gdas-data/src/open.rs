//! From a name or a path to a data set.

use std::path::{Path, PathBuf};

use super::error::DataError;
use super::known::{data_directory, find_known, known};
use super::read::{cifar, idx, image_files, imagenet16, npz};
use super::tree::{Limits, Tree};
use gdas::data::digits;
use gdas::data::{Dataset, Images};

/// How to open a data set.
#[derive(Clone, Debug)]
pub struct Options {
    /// Height and width for image files; by default the most common size among them.
    pub image_size: Option<usize>,
    /// Share of the training images to hold out as test images where no test partition is given.
    pub hold_out: f64,
    /// Bounds on what a file may unpack to.
    pub limits: Limits,
    /// Where known sets lie; by default [`data_directory()`].
    pub directory: Option<PathBuf>,
}

impl Default for Options {
    /// A fifth is held out.
    fn default() -> Self {
        Self { image_size: None, hold_out: 0.2, limits: Limits::default(), directory: None }
    }
}

/// Opens `digits`, a known set in the data directory, or the folder or file at a path.
///
/// A test partition is always there: a fifth of every class is held out where none is given.
///
/// # Errors
/// [`DataError`] says which file, which place in it, and what to do.
pub fn open(spec: &str) -> Result<Dataset, DataError> {
    open_with(spec, &Options::default())
}

/// As [`open`], with options.
///
/// # Errors
/// As [`open`].
pub fn open_with(spec: &str, options: &Options) -> Result<Dataset, DataError> {
    let dataset = if spec == "digits" {
        digits()
    } else if let Some(set) = find_known(spec) {
        let directory = options.directory.clone().map_or_else(data_directory, Ok)?;
        let path = set.locate(&directory).ok_or_else(|| set.not_fetched(&directory))?;
        let mut dataset = read_path(&path, options)?;
        dataset.name = set.name.into();
        if !set.classes.is_empty() && set.classes.len() == dataset.classes.len() {
            dataset.classes = set.classes.iter().map(|&class| class.into()).collect();
        }
        dataset
    } else {
        let path = Path::new(spec);
        if !path.exists() {
            return Err(unknown(spec));
        }
        read_path(path, options)?
    };
    Ok(without_mirroring_sides(dataset).hold_out(options.hold_out))
}

/// Where a class is called left or right, a mirrored image would belong to another class.
fn without_mirroring_sides(mut dataset: Dataset) -> Dataset {
    let mut words = dataset.classes.iter().flat_map(|class| class.split(|c: char| !c.is_alphanumeric()));
    if dataset.flip && words.any(|word| word.eq_ignore_ascii_case("left") || word.eq_ignore_ascii_case("right")) {
        dataset.flip = false;
        dataset.notes.push("images are not flipped in training, as some classes are called left or right".into());
    }
    dataset
}

/// Reads the images of a file, folder or archive for prediction: their names, and their pixels brought to
/// `[height, width, channels]`. All labels are zero.
///
/// # Errors
/// As [`open`].
pub fn read_images(path: &Path, size: [usize; 3]) -> Result<(Vec<String>, Images), DataError> {
    image_files::read_loose(path, size, Limits::default())
}

fn unknown(spec: &str) -> DataError {
    let mut names: Vec<&str> = std::iter::once("digits").chain(known().iter().map(|set| set.name)).collect();
    names.sort_by_key(|name| distance(name, &spec.to_lowercase()));
    DataError::Unknown { spec: spec.into(), hint: format!("did you mean `{}`? all: {}", names[0], names.join(", ")) }
}

/// Letters to insert, delete or replace to turn one word into the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Reads what lies at the path, whatever it is.
fn read_path(path: &Path, options: &Options) -> Result<Dataset, DataError> {
    let tree = Tree::open(path, options.limits)?;
    if let Some(dataset) = recognise(&tree, options) {
        return finish(dataset?, path);
    }
    // A folder that holds just the archive that was fetched.
    if path.is_dir() {
        let packed = |name: &&str| {
            !name.contains('/')
                && [".gz", ".tgz", ".xz", ".bz2", ".tar", ".zip", ".npz"].iter().any(|end| name.ends_with(end))
        };
        let archive = tree.entries.iter().map(|entry| entry.name.as_str()).find(packed);
        if let Some(name) = archive {
            return read_path(&path.join(name), options);
        }
    }
    let found = match tree.entries.as_slice() {
        [] => "it is empty".into(),
        [entry] => format!("`{}`, which begins with {}", entry.name, show_head(&entry.head())),
        [first, ..] => format!("{} files such as `{}`", tree.entries.len(), first.name),
    };
    Err(DataError::Unrecognised { file: tree.origin, found })
}

fn recognise(tree: &Tree, options: &Options) -> Option<Result<Dataset, DataError>> {
    cifar::read(tree)
        .or_else(|| imagenet16::read(tree))
        .or_else(|| idx::read(tree))
        .or_else(|| npz::read(tree))
        .or_else(|| image_files::read(tree, options.image_size))
}

fn finish(mut dataset: Dataset, path: &Path) -> Result<Dataset, DataError> {
    let file = path.display().to_string();
    if dataset.name.is_empty() {
        let name = path.file_name().map_or_else(|| "images".into(), |name| name.to_string_lossy().into_owned());
        let ends = [".tar.gz", ".tar.xz", ".tar.bz2", ".tgz", ".tar", ".zip"];
        dataset.name = ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name).into();
    }
    Ok(dataset.check(&file)?)
}

fn show_head(head: &[u8]) -> String {
    if head.is_empty() {
        return "nothing: it is empty".into();
    }
    let bytes = head.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    format!("the bytes {bytes}")
}
