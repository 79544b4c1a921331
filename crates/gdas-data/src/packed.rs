//! Archives side by side in a folder: partitions of one data set, or its classes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::error::DataError;
use super::kind::Kind;
use super::layout::{list, strip_wrappers};
use super::options::Options;
use super::parts::{Part, named_part};
use super::read::image_files::kinds;
use super::tree::Tree;

/// Content of a folder with archives.
pub(super) enum Packed {
    /// A single archive, which is the data set.
    One(PathBuf),
    /// A tree of the folder's files and the entries of its archives.
    Tree(Tree),
}

/// File extensions of archives and compressed files.
const ENDINGS: [&str; 10] = [".gz", ".xz", ".bz2", ".tgz", ".txz", ".tbz2", ".tbz", ".tar", ".zip", ".npz"];

/// The name without the extensions of archives.
pub(super) fn stem(name: &str) -> &str {
    let end = |name: &str| {
        let lower = name.to_lowercase();
        ENDINGS.iter().find(|end| lower.ends_with(**end) && lower.len() > end.len()).map(|end| end.len())
    };
    let mut stem = name;
    while let Some(length) = end(stem).filter(|length| *length < stem.len()) {
        stem = &stem[..stem.len() - length];
    }
    stem
}

/// Adds the entries of the archives directly in the folder to its tree, as partitions or classes.
///
/// # Errors
/// If the role of an archive is ambiguous.
pub(super) fn gather(mut tree: Tree, folder: &Path, options: &Options) -> Result<Packed, DataError> {
    let kinds = kinds(&tree);
    let pairs = || tree.entries.iter().zip(&kinds);
    let pictures: Vec<&str> = pairs().filter(|(_, kind)| kind.is_picture()).map(|(e, _)| e.name.as_str()).collect();
    let folders: BTreeSet<String> =
        pictures.iter().filter_map(|path| path.split_once('/')).map(|(top, _)| top.to_owned()).collect();
    let loose = pictures.iter().any(|path| !path.contains('/'));
    let mut archives: Vec<String> = Vec::new();
    for (entry, kind) in pairs().filter(|(entry, _)| !entry.name.contains('/')) {
        match kind {
            // The archive of a folder that is present unpacked.
            Kind::Archive if folders.contains(stem(&entry.name)) => {}
            Kind::Archive => archives.push(entry.name.clone()),
            Kind::UnreadArchive(format) => {
                return Err(DataError::Unsuitable(format!(
                    "{}: `{}` is a {format} archive, which is not supported; unpack it, or move it away if it does not belong to \
                     the data set",
                    tree.origin, entry.name
                )));
            }
            _ => {}
        }
    }
    let ask = |tree: &Tree, what: String| Err(DataError::Unsuitable(format!("{}: {what}", tree.origin)));
    let names: Vec<&str> = archives.iter().map(String::as_str).collect();
    let as_parts: Option<Vec<(Part, &str)>> =
        names.iter().map(|name| Some((named_part(stem(name))?.part, stem(name)))).collect();
    if let (Some(parts), false) = (as_parts.filter(|parts| !parts.is_empty()), loose) {
        let in_folders = folders.iter().filter_map(|folder| Some((named_part(folder)?.part, folder.as_str())));
        let mut by_part: BTreeMap<Part, Vec<&str>> = BTreeMap::new();
        for (part, name) in in_folders.chain(parts.iter().copied()) {
            by_part.entry(part).or_default().push(name);
        }
        if let Some((part, several)) = by_part.iter().find(|(_, names)| names.len() > 1) {
            let what =
                format!("{} could each be the part `{part}`; which is it? Leave one of them there", list(several));
            return ask(&tree, what);
        }
        if !by_part.contains_key(&Part::Train) {
            let what = format!(
                "there is {} and no training part beside it; put the training images at `train/<class>/` or into \
                 `train.zip`, or give the path of the archive itself to train on its images",
                list(&names)
            );
            return ask(&tree, what);
        }
        let parts: Vec<(Part, String)> = parts.into_iter().map(|(part, stem)| (part, stem.to_owned())).collect();
        for (name, (part, stem)) in archives.iter().zip(parts) {
            let inner = Tree::open(&folder.join(name), options.limits, &options.observer)?;
            take_part(&mut tree, inner, name, &stem, part)?;
        }
        return Ok(Packed::Tree(tree));
    }
    match (names.as_slice(), pictures.is_empty()) {
        ([], _) => Ok(Packed::Tree(tree)),
        ([one], true) => Ok(Packed::One(folder.join(one))),
        (several, true) => {
            let mut opened = Vec::new();
            for name in several {
                opened.push((*name, Tree::open(&folder.join(name), options.limits, &options.observer)?));
            }
            if !opened.iter().all(|(_, inner)| is_one_class(inner)) {
                let what = format!(
                    "which of {} is the data set? Give its path; parts of one are called `train.zip` and `test.zip`, and classes \
                     are archives of images without folders",
                    list(several)
                );
                return ask(&tree, what);
            }
            let opened: Vec<(String, Tree)> =
                opened.into_iter().map(|(name, inner)| (name.to_owned(), inner)).collect();
            for (name, inner) in opened {
                let class = stem(&name);
                tree.graft(inner, |path| Some(format!("{class}/{path}")));
                tree.entries.retain(|entry| entry.name != name);
            }
            Ok(Packed::Tree(tree))
        }
        (several, false) => {
            for name in several {
                let inner = Tree::open(&folder.join(name), options.limits, &options.observer)?;
                if self::kinds(&inner).iter().any(|kind| kind.is_picture()) {
                    let what = format!(
                        "the archive `{name}` holds images and lies beside images that are not packed: do they belong \
                         together? Unpack it, or move it away"
                    );
                    return ask(&tree, what);
                }
            }
            Ok(Packed::Tree(tree))
        }
    }
}

/// Adds the entries of an archive to the tree as a partition.
fn take_part(tree: &mut Tree, inner: Tree, name: &str, stem: &str, part: Part) -> Result<(), DataError> {
    let paths: Vec<&str> = inner.entries.iter().map(|entry| entry.name.as_str()).collect();
    let kinds = kinds(&inner);
    let pictures: Vec<&str> =
        paths.iter().zip(&kinds).filter(|(_, kind)| kind.is_picture()).map(|(path, _)| *path).collect();
    let (wrappers, below) = strip_wrappers(&pictures);
    let other = |folder: &&str| named_part(folder).is_some_and(|says| says.rest.is_empty() && says.part != part);
    let tops = below.iter().filter(|path| path.len() > 2).map(|path| path[0]);
    let parts_inside = |folder: &&str| named_part(folder).is_some_and(|says| says.rest.is_empty());
    if let Some(folder) = wrappers.iter().copied().find(other).or_else(|| tops.into_iter().find(parts_inside)) {
        return Err(DataError::Unsuitable(format!(
            "{}: `{name}` holds the folder `{folder}`: is it the part `{part}` or a whole data set? Give the path of the one to \
             read, or move the other archives away",
            tree.origin
        )));
    }
    let prefix = if wrappers.is_empty() { String::new() } else { format!("{}/", wrappers.join("/")) };
    tree.graft(inner, |path| Some(format!("{stem}/{}", path.strip_prefix(&prefix)?)));
    tree.entries.retain(|entry| entry.name != name);
    Ok(())
}

/// Whether all images lie in one folder, or in none.
fn is_one_class(tree: &Tree) -> bool {
    let kinds = kinds(tree);
    let mut folders = BTreeSet::new();
    let mut images = 0;
    for (entry, kind) in tree.entries.iter().zip(&kinds) {
        if kind.is_picture() {
            folders.insert(entry.name.rsplit_once('/').map_or("", |(folder, _)| folder));
            images += 1;
        }
    }
    images > 0 && folders.len() == 1
}
