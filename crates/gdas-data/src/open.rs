//! Opening a data set by name or path.

use std::path::Path;

use super::error::DataError;
use super::kind::{Kind, ending};
use super::known::{data_directory, find_known, known};
use super::options::Options;
use super::packed::{self, Packed};
use super::read::image_files::LooseImages;
use super::read::{cifar, idx, image_files, imagenet16, npz};
use super::tree::{Limits, Tree};
use gdas::data::{Dataset, digits};

/// Opens `digits`, a known data set in the data directory, or the folder or file at a path.
///
/// If there is no test partition, a fifth of each class with at least two images is held out.
///
/// A known name takes precedence over a folder of that name; `./name` opens the folder.
///
/// # Errors
/// [`DataError`] gives the file, the position in it, and what to do.
pub fn open(spec: &str) -> Result<Dataset, DataError> {
    open_with(spec, &Options::default())
}

/// As [`open`], with options.
///
/// # Errors
/// As [`open`].
pub fn open_with(spec: &str, options: &Options) -> Result<Dataset, DataError> {
    // Path of a known data set that is not embedded.
    let mut place = None;
    let mut dataset = if spec == "digits" {
        digits()
    } else if let Some(set) = find_known(spec) {
        let directory = options.directory.clone().map_or_else(data_directory, Ok)?;
        let path = set.locate(&directory).ok_or_else(|| set.not_fetched(&directory, local(spec, None)))?;
        let mut dataset = read_path(&path, options)?;
        dataset.name = set.name.into();
        if !set.classes.is_empty() && set.classes.len() == dataset.classes.len() {
            dataset.classes = set.classes.iter().map(|&class| class.into()).collect();
        }
        place = Some(path);
        dataset
    } else {
        let path = Path::new(spec);
        if !path.exists() {
            return Err(unknown(spec));
        }
        return Ok(without_mirroring_sides(read_path(path, options)?).hold_out(options.hold_out));
    };
    if let Some(local) = local(spec, place.as_deref()) {
        dataset.notes.push(format!("`{spec}` is the known data set of that name; for the local files, give `{local}`"));
    }
    Ok(without_mirroring_sides(dataset).hold_out(options.hold_out))
}

/// How to refer to a local file or folder with the name of a known data set, unless it is that data set.
fn local(spec: &str, set: Option<&Path>) -> Option<String> {
    let local = Path::new(spec).canonicalize().ok()?;
    let is_the_set = set.and_then(|path| path.canonicalize().ok()).is_some_and(|path| path.starts_with(&local));
    (!is_the_set).then(|| format!("./{spec}"))
}

/// Turns off horizontal flips if a class is named left or right: a mirrored image would belong to another class.
fn without_mirroring_sides(mut dataset: Dataset) -> Dataset {
    let mut words = dataset.classes.iter().flat_map(|class| class.split(|c: char| !c.is_alphanumeric()));
    if dataset.flip && words.any(|word| word.eq_ignore_ascii_case("left") || word.eq_ignore_ascii_case("right")) {
        dataset.flip = false;
        dataset.notes.push("images are not flipped in training, as some classes are called left or right".into());
    }
    dataset
}

/// Reads the images of a file, folder or archive for prediction, resized to `[height, width, channels]`. Unusable files are
/// listed in the result.
///
/// # Errors
/// As [`open`]; also if there is no image.
pub fn read_images(path: &Path, size: [usize; 3]) -> Result<LooseImages, DataError> {
    image_files::read_loose(path, size, Limits::default())
}

/// As [`read_images`], for one image file in memory; `name` is used in messages.
pub fn read_image(name: &str, bytes: &[u8], size: [usize; 3]) -> LooseImages {
    image_files::read_bytes(name, bytes, size, Limits::default())
}

fn unknown(spec: &str) -> DataError {
    let mut names: Vec<&str> = std::iter::once("digits").chain(known().iter().map(|set| set.name)).collect();
    names.sort_by_key(|name| distance(name, &spec.to_lowercase()));
    DataError::Unknown { spec: spec.into(), hint: format!("did you mean `{}`? all: {}", names[0], names.join(", ")) }
}

/// Levenshtein distance of two words.
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

/// Reads the file, folder or archive at the path.
fn read_path(path: &Path, options: &Options) -> Result<Dataset, DataError> {
    let mut tree = Tree::open(path, options.limits, &options.observer)?;
    let mut dataset = read_arrays(&tree);
    if dataset.is_none() && path.is_dir() {
        match packed::gather(tree, path, options)? {
            Packed::One(archive) => return read_path(&archive, options),
            Packed::Tree(gathered) => tree = gathered,
        }
        dataset = read_arrays(&tree);
    }
    match dataset.or_else(|| image_files::read(&tree, options)) {
        Some(dataset) => finish(dataset?, path),
        None => Err(DataError::Unrecognised { found: describe(&tree), file: tree.origin }),
    }
}

/// Describes the content of a tree that is not a data set.
fn describe(tree: &Tree) -> String {
    let archive = tree.entries.iter().find(|entry| Kind::of(&entry.name, &entry.head()) == Kind::Archive);
    match (archive, tree.entries.as_slice()) {
        (_, []) => "it is empty".into(),
        (Some(archive), _) => format!("the archive `{}` inside it, which must be unpacked first", archive.name),
        (None, [first, ..]) if ending(&first.name) == "npy" => format!(
            "arrays such as `{}`; call them `train_images` and `train_labels`, `test_images` and `test_labels`",
            first.file_name().trim_end_matches(".npy")
        ),
        (None, [entry]) => match Kind::of(&entry.name, &entry.head()) {
            Kind::UnreadArchive(format) => {
                format!(
                    "a {format} archive, which is not supported; pack it as .zip or .tar, or give an unpacked folder"
                )
            }
            _ => format!("`{}`, which begins with {}", entry.name, show_head(&entry.head())),
        },
        (None, [first, ..]) => format!("{} files such as `{}`", tree.entries.len(), first.name),
    }
}

/// Reads a data set of a format that is recognised by its file names.
fn read_arrays(tree: &Tree) -> Option<Result<Dataset, DataError>> {
    cifar::read(tree).or_else(|| imagenet16::read(tree)).or_else(|| idx::read(tree)).or_else(|| npz::read(tree))
}

fn finish(mut dataset: Dataset, path: &Path) -> Result<Dataset, DataError> {
    let file = path.display().to_string();
    if dataset.name.is_empty() {
        let name = path.file_name().map_or_else(|| "images".into(), |name| name.to_string_lossy().into_owned());
        dataset.name = packed::stem(&name).into();
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
