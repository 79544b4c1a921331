//! Decoding of the images to one size and number of channels.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::Item;
use crate::error::{BrokenImage, DataError, broken_list};
use crate::layout::list;
use crate::observe::ReadProgress;
use crate::options::Options;
use crate::read::decode::{self, Header};
use crate::read::fit::{self, Target, fit, shrink};
use crate::tree::{Entry, Limits, Tree};
use gdas::data::SIZES;

/// Decoded images; `pixels` is `[items, height, width, channels]`.
pub(super) struct Decoded<'t> {
    pub(super) items: Vec<Item<'t>>,
    pub(super) target: Target,
    pub(super) pixels: Vec<u8>,
}

/// Decodes all images. Unusable ones are left out if [`Options::skip_damaged`], else they are an error that lists them all.
pub(super) fn decode_all<'t>(
    tree: &Tree,
    items: Vec<Item<'t>>,
    options: &Options,
    notes: &mut Vec<String>,
) -> Result<Decoded<'t>, DataError> {
    let all = items.len();
    let steps = AtomicU64::new(0);
    let step = || {
        // Each image takes two steps, one for the header and one for the pixels.
        let done = steps.fetch_add(1, Ordering::Relaxed) / 2;
        options.observer.report(ReadProgress::Decoding { done: done.min(all as u64), total: all as u64 });
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
        // Decoded again, as the most common size may have changed.
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

/// The items whose result is `Ok`; the others are added to `broken`.
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

/// The file's bytes, or why they cannot be read.
pub(super) fn read_entry<'e>(entry: &'e Entry, limits: &Limits) -> Result<std::borrow::Cow<'e, [u8]>, String> {
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
            "{}: images of {height}x{width} pixels; {} to {} in each direction can be used, so set an image size",
            tree.origin,
            SIZES.start(),
            SIZES.end()
        )));
    }
    Ok(Target { height, width, channels })
}
