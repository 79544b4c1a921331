//! Image files listed one by one with their classes, as by a program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gdas::data::Dataset;

use crate::error::{BrokenImage, DataError};
use crate::kind::ending;
use crate::options::Options;
use crate::read::image_files;
use crate::tree::Tree;

/// An image file with its class.
#[derive(Clone, Debug)]
pub struct LabelledFile {
    /// Path of the file.
    pub path: PathBuf,
    /// Name of its class.
    pub class: String,
    /// Whether it is a test image instead of a training image.
    pub test: bool,
}

/// Reads the listed image files as [`open_with`](crate::open_with) reads those of a folder. The classes are in alphabetical
/// order; within a class the images stay in the order of `files`.
///
/// # Errors
/// As [`open_with`](crate::open_with).
pub fn open_files(name: &str, files: &[LabelledFile], options: &Options) -> Result<Dataset, DataError> {
    let mut classes: BTreeMap<&str, usize> = files.iter().map(|file| (file.class.as_str(), 0)).collect();
    for (number, (_, index)) in classes.iter_mut().enumerate() {
        *index = number;
    }
    // A class name may contain any character, so the folders of the tree are named by class number.
    let entry = |(number, file): (usize, &LabelledFile)| {
        let part = if file.test { "test" } else { "train" };
        let class = classes[file.class.as_str()];
        let ending = ending(&file.path.to_string_lossy());
        (format!("{part}/class-{class:08}/{number:010}.{ending}"), file.path.clone())
    };
    let tree = Tree::of_files(name, files.iter().enumerate().map(entry).collect(), options.limits);
    let kinds = image_files::kinds(&tree);
    let no_images = tree.entries.iter().zip(&kinds).filter(|(_, kind)| !kind.is_picture()).map(|(entry, _)| {
        let there = Path::new(&entry.label).is_file();
        let reason = if there { "is not a supported image" } else { "there is no such file" };
        BrokenImage { name: entry.label.clone(), reason: reason.to_owned() }
    });
    let broken: Vec<BrokenImage> = if options.skip_damaged { Vec::new() } else { no_images.collect() };
    if !broken.is_empty() {
        return Err(DataError::BrokenImages { file: name.to_owned(), broken, all: files.len() });
    }
    let read = image_files::read(&tree, options).unwrap_or_else(|| {
        let found = format!("{} files, none of them an image", files.len());
        Err(DataError::NoImages { file: name.to_owned(), found })
    });
    let mut dataset = read.map_err(|error| with_paths(error, files))?;
    name.clone_into(&mut dataset.name);
    let names: Vec<&str> = classes.into_keys().collect();
    for class in &mut dataset.classes {
        let index = class.strip_prefix("class-").and_then(|number| number.parse::<usize>().ok());
        if let Some(&name) = index.and_then(|index| names.get(index)) {
            name.clone_into(class);
        }
    }
    Ok(dataset.check(name)?.hold_out(options.hold_out))
}

/// The error with the names in the tree replaced by the paths of the files.
fn with_paths(error: DataError, files: &[LabelledFile]) -> DataError {
    let named = |image: BrokenImage| {
        let number = Path::new(&image.name).file_stem().and_then(|stem| stem.to_str()?.parse::<usize>().ok());
        match number.and_then(|number| files.get(number)) {
            Some(file) => BrokenImage { name: file.path.display().to_string(), ..image },
            None => image,
        }
    };
    match error {
        DataError::BrokenImages { file, broken, all } => {
            DataError::BrokenImages { file, broken: broken.into_iter().map(named).collect(), all }
        }
        other => other,
    }
}
