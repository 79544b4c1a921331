//! Meaning of the folders in a tree of images: partitions of the data set and classes.

use std::collections::{BTreeMap, BTreeSet};

use super::error::DataError;
use super::parts::{Named, Part, named_part};

/// Arrangement of the folders in a tree of images.
#[derive(Debug)]
pub(super) struct Layout<'t> {
    /// Outer folders that contain all images and carry no meaning.
    wrappers: Vec<&'t str>,
    shape: Shape<'t>,
}

#[derive(Debug)]
enum Shape<'t> {
    /// `<class>/*`
    Classes,
    /// `<part>/<class>/*`; the folder of each part.
    Parts(BTreeMap<&'t str, Part>),
    /// `<class>/<part>/*`
    PartsOfClasses,
}

/// Partition and class of a file, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'t> {
    /// Part and class.
    Class(Part, &'t str),
    /// A partition without a class.
    Part(Part),
    /// In a folder beside those of the partitions.
    Outside,
    /// Not in any folder.
    Loose,
}

/// Contents of one top-level folder.
#[derive(Default)]
struct Top {
    /// Whether its subfolders contain images.
    deep: bool,
    /// Whether images lie directly in it.
    flat: bool,
}

impl<'t> Layout<'t> {
    /// The layout of these images' paths, of which there is at least one.
    ///
    /// # Errors
    /// If the training images cannot be identified.
    pub(super) fn of(images: &[&'t str], origin: &str) -> Result<Self, DataError> {
        let ask = |what: String| Err(DataError::Unsuitable(format!("{origin}: {what}")));
        let (wrappers, paths) = strip_wrappers(images);
        let mut tops: BTreeMap<&str, Top> = BTreeMap::new();
        for path in &paths {
            if let [top, rest @ ..] = path.as_slice()
                && !rest.is_empty()
            {
                let top = tops.entry(top).or_default();
                if rest.len() > 1 { top.deep = true } else { top.flat = true }
            }
        }
        let named: BTreeMap<&str, Named> = tops.keys().filter_map(|&name| Some((name, named_part(name)?))).collect();

        let mut parts: BTreeMap<Part, Vec<&str>> = BTreeMap::new();
        for (&name, says) in named.iter().filter(|(name, _)| tops[*name].deep) {
            // `test_tube` is a class, unless there is a `train_tube`.
            let counterpart = |other: &Named| other.part == Part::Train && other.rest == says.rest;
            if says.last || named.values().any(counterpart) {
                parts.entry(says.part).or_default().push(name);
            }
        }
        if let Some((part, several)) = parts.iter().find(|(_, folders)| folders.len() > 1) {
            return ask(format!(
                "{} could each be the part `{part}`; which is it? Leave one of them there, or put their classes into one",
                list(several)
            ));
        }
        if parts.contains_key(&Part::Train) {
            let rests: BTreeSet<&str> = parts
                .values()
                .flatten()
                .map(|name| named[name].rest.as_str())
                .filter(|rest| !rest.is_empty())
                .collect();
            if rests.len() > 1 {
                let folders: Vec<&str> = parts.values().flatten().copied().collect();
                return ask(format!("do {} belong together? Name them `train` and `test`", list(&folders)));
            }
            let mut folders: BTreeMap<&str, Part> =
                parts.iter().flat_map(|(&part, names)| names.iter().map(move |&name| (name, part))).collect();
            // Test images without classes form a partition too, although it cannot be used.
            let unclassed = named.iter().filter(|(name, says)| !tops[*name].deep && !parts.contains_key(&says.part));
            folders.extend(unclassed.map(|(name, says)| (*name, says.part)));
            return Ok(Self { wrappers, shape: Shape::Parts(folders) });
        }
        let flat_train = named.iter().find(|(_, says)| says.part == Part::Train).map(|(name, _)| *name);
        if let Some(folders) = parts.values().next() {
            return ask(match flat_train {
                Some(train) => format!(
                    "the images of `{train}` are not in class folders; put them at `{train}/<class>/`, as in `{}`",
                    folders[0]
                ),
                None => no_training_part(folders[0]),
            });
        }
        if !named.is_empty() && named.len() == tops.len() {
            let folders: Vec<&str> = named.keys().copied().collect();
            return ask(format!(
                "the images of {} are not in class folders; put each at `train/<class>/`, `test/<class>/` or `<class>/`",
                list(&folders)
            ));
        }
        if let Some((name, _)) = named.iter().find(|(_, says)| says.part != Part::Train && says.rest.is_empty()) {
            let other = tops.keys().find(|top| !named.contains_key(*top)).copied().unwrap_or_default();
            return ask(format!(
                "is `{name}` a class, as `{other}` beside it, or the test images? For a class, give it another name; \
                 test images belong at `test/<class>/`, and training images at `train/<class>/`"
            ));
        }
        if parts_of_classes(&paths) {
            return Ok(Self { wrappers, shape: Shape::PartsOfClasses });
        }
        if let Some(folder) = hidden_parts(&paths) {
            let folder = wrappers.iter().copied().chain([folder.as_str()]).collect::<Vec<_>>().join("/");
            return ask(format!(
                "`{folder}` holds parts such as `train` and `test`, other folders do not; give the path of the one with the data set"
            ));
        }
        let of_a_part =
            |wrapper: &&&str| named_part(wrapper).is_some_and(|says| says.part != Part::Train && says.rest.is_empty());
        if let Some(test) = wrappers.iter().find(of_a_part) {
            return ask(no_training_part(test));
        }
        Ok(Self { wrappers, shape: Shape::Classes })
    }

    /// Partition and class of the file at `path`.
    pub(super) fn place(&self, path: &'t str) -> Place<'t> {
        let path: Vec<&str> = path.split('/').collect();
        let Some(path) = path.strip_prefix(self.wrappers.as_slice()) else { return Place::Outside };
        match (&self.shape, path) {
            (_, [] | [_]) => Place::Loose,
            (Shape::Classes, [class, ..]) => Place::Class(Part::Train, class),
            (Shape::Parts(parts), [folder, rest @ ..]) => match (parts.get(folder), rest) {
                (None, _) => Place::Outside,
                (Some(&part), [class, _, ..]) => Place::Class(part, class),
                (Some(&part), _) => Place::Part(part),
            },
            (Shape::PartsOfClasses, [class, part, ..]) => {
                named_part(part).map_or(Place::Outside, |says| Place::Class(says.part, class))
            }
        }
    }
}

fn no_training_part(folder: &str) -> String {
    format!(
        "there is `{folder}` and no training part beside it; put the training images at `train/<class>/`, or give the path \
         of `{folder}` itself to train on its images"
    )
}

/// The outer folders common to all images, leaving at least class and file, and the paths below them.
pub(super) fn strip_wrappers<'t>(images: &[&'t str]) -> (Vec<&'t str>, Vec<Vec<&'t str>>) {
    let mut paths: Vec<Vec<&str>> = images.iter().map(|path| path.split('/').collect()).collect();
    let mut wrappers = Vec::new();
    while !paths.is_empty() && paths.iter().all(|path| path.len() > 2 && path[0] == paths[0][0]) {
        wrappers.push(paths[0][0]);
        for path in &mut paths {
            path.remove(0);
        }
    }
    (wrappers, paths)
}

/// Whether every class folder contains only partition folders, among them training images and others.
fn parts_of_classes(paths: &[Vec<&str>]) -> bool {
    let mut found = BTreeSet::new();
    for path in paths {
        match path.get(1).filter(|_| path.len() > 2).and_then(|folder| named_part(folder)) {
            Some(says) => found.insert(says.part),
            None => return false,
        };
    }
    found.contains(&Part::Train) && found.len() > 1
}

/// A deeper folder that contains training and other partitions side by side.
fn hidden_parts(paths: &[Vec<&str>]) -> Option<String> {
    let mut found: BTreeMap<&[&str], BTreeSet<Part>> = BTreeMap::new();
    for path in paths {
        for depth in 1..path.len().saturating_sub(1) {
            if let Some(says) = named_part(path[depth]).filter(|says| says.rest.is_empty()) {
                found.entry(&path[..depth]).or_default().insert(says.part);
            }
        }
    }
    let folder = found.into_iter().find(|(_, parts)| parts.contains(&Part::Train) && parts.len() > 1)?.0;
    Some(folder.join("/"))
}

/// The names as an English enumeration: `a`, `b` and `c`.
pub(super) fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().take(8).map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        _ if names.len() > 8 => format!("{} and {} more", quoted.join(", "), names.len() - 8),
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        all => all.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(paths: &[&'static str]) -> Result<Vec<Place<'static>>, String> {
        let layout = Layout::of(paths, "x").map_err(|error| error.to_string())?;
        Ok(paths.iter().map(|path| layout.place(path)).collect())
    }

    #[test]
    fn folders_are_parts_and_classes() {
        use Part::{Test, Train, Validation};
        use Place::{Class, Outside};
        let cases: [(&[&'static str], &[Place<'static>]); 9] = [
            (&["cat/1", "dog/1"], &[Class(Train, "cat"), Class(Train, "dog")]),
            (&["a/b/cat/1", "a/b/dog/deep/1"], &[Class(Train, "cat"), Class(Train, "dog")]),
            (&["x/train/cat/1", "x/test/cat/1"], &[Class(Train, "cat"), Class(Test, "cat")]),
            (&["Training Set/cat/1", "test_set/cat/1"], &[Class(Train, "cat"), Class(Test, "cat")]),
            (&["pets_train/cat/1", "pets-val/cat/1"], &[Class(Train, "cat"), Class(Validation, "cat")]),
            (
                &["cat/train/1", "cat/test/1", "dog/train/1"],
                &[Class(Train, "cat"), Class(Test, "cat"), Class(Train, "dog")],
            ),
            (&["train/cat/1", "extra/cat/1"], &[Class(Train, "cat"), Outside]),
            // A train is also a vehicle.
            (&["bus/1", "train/1"], &[Class(Train, "bus"), Class(Train, "train")]),
            (&["train/train/1", "test/train/1"], &[Class(Train, "train"), Class(Test, "train")]),
        ];
        for (paths, expected) in cases {
            assert_eq!(places(paths).as_deref(), Ok(expected), "{paths:?}");
        }
    }

    #[test]
    fn what_cannot_be_told_apart_is_asked_about() {
        let refused = |paths: &[&'static str]| places(paths).expect_err("ambiguous");
        insta::assert_snapshot!(refused(&["test/cat/1", "test/dog/1"]), @"x: there is `test` and no training part beside it; put the training images at `train/<class>/`, or give the path of `test` itself to train on its images");
        insta::assert_snapshot!(refused(&["val/cat/1", "test/cat/1"]), @"x: there is `val` and no training part beside it; put the training images at `train/<class>/`, or give the path of `val` itself to train on its images");
        insta::assert_snapshot!(refused(&["train/1", "test/cat/1"]), @"x: the images of `train` are not in class folders; put them at `train/<class>/`, as in `test`");
        insta::assert_snapshot!(refused(&["train/1", "test/1"]), @"x: the images of `test` and `train` are not in class folders; put each at `train/<class>/`, `test/<class>/` or `<class>/`");
        insta::assert_snapshot!(refused(&["cat/1", "dog/1", "test/1"]), @"x: is `test` a class, as `cat` beside it, or the test images? For a class, give it another name; test images belong at `test/<class>/`, and training images at `train/<class>/`");
        insta::assert_snapshot!(refused(&["train/cat/1", "training/cat/1", "test/cat/1"]), @"x: `train` and `training` could each be the part `train`; which is it? Leave one of them there, or put their classes into one");
        insta::assert_snapshot!(refused(&["cats_train/a/1", "dogs_train/a/1"]), @"x: `cats_train` and `dogs_train` could each be the part `train`; which is it? Leave one of them there, or put their classes into one");
        insta::assert_snapshot!(refused(&["cats_train/a/1", "dogs_test/a/1"]), @"x: do `cats_train` and `dogs_test` belong together? Name them `train` and `test`");
        insta::assert_snapshot!(refused(&["images/v1/train/cat/1", "images/v1/test/cat/1", "docs/1"]), @"x: `images/v1` holds parts such as `train` and `test`, other folders do not; give the path of the one with the data set");
    }
}
