//! Images without classes, for prediction.

use std::path::Path;

use rayon::prelude::*;

use super::kinds;
use super::pixels::read_entry;
use crate::error::{BrokenImage, DataError};
use crate::observe::ReadObserver;
use crate::read::decode;
use crate::read::fit::{self, Fitted, Target, fit};
use crate::tree::{Entry, Limits, Tree};
use gdas::data::Images;

/// Images without classes.
#[derive(Clone, Debug)]
pub struct LooseImages {
    /// File, or archive and entry, of each image.
    pub names: Vec<String>,
    /// The pixels; all labels are zero.
    pub images: Images,
    /// Image files that cannot be used.
    pub broken: Vec<BrokenImage>,
    /// Number of files that are not images.
    pub others: usize,
    /// Number of images with transparent parts, which became white.
    pub transparent: usize,
}

/// All images of a file, folder or archive, sorted by name; folders carry no meaning.
pub(crate) fn read_loose(
    path: &Path,
    [height, width, channels]: [usize; 3],
    limits: Limits,
) -> Result<LooseImages, DataError> {
    let tree = Tree::open(path, limits, &ReadObserver::default())?;
    let kinds = kinds(&tree);
    // A single file given by its path is treated as an image whatever its type.
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

/// As [`read_loose`], for one file in memory.
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

/// Decodes and resizes one image file.
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

    /// Note on transparent images, if there were any.
    pub fn note(&self) -> Option<String> {
        fit::note_on_transparency(self.transparent, self.names.len())
    }
}
