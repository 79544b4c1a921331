//! A tree of image files: `train/<class>/*` and `test/<class>/*`, or plain `<class>/*`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use image::{DynamicImage, ImageDecoder, ImageReader};
use rayon::prelude::*;

use crate::error::DataError;
use crate::tree::{Entry, Limits, Tree};
use gdas::data::{Dataset, Format, Images, SIZES, Statistics};

const EXTENSIONS: [&str; 4] = ["png", "jpg", "jpeg", "webp"];

fn is_image(entry: &Entry) -> bool {
    let name = entry.name.to_lowercase();
    name.rsplit_once('.').is_some_and(|(_, extension)| EXTENSIONS.contains(&extension))
}

/// An image file and what its path says about it.
struct Item<'t> {
    entry: &'t Entry,
    partition: &'t str,
    class: &'t str,
}

/// Reads the tree if it holds image files. `size` is the height and width to resize to; without it,
/// images of other than the most common size are resized to that (ties: the larger; at most 224).
pub(crate) fn read(tree: &Tree, size: Option<usize>) -> Option<Result<Dataset, DataError>> {
    let entries: Vec<&Entry> = tree.entries.iter().filter(|entry| is_image(entry)).collect();
    (!entries.is_empty()).then(|| read_all(tree, &entries, size))
}

fn read_all(tree: &Tree, entries: &[&Entry], size: Option<usize>) -> Result<Dataset, DataError> {
    let mut notes = Vec::new();
    let mut items = sort_out(tree, entries, &mut notes)?;
    items.sort_by(|a, b| (a.partition, a.class, &a.entry.name).cmp(&(b.partition, b.class, &b.entry.name)));
    let classes: Vec<&str> = items
        .iter()
        .filter(|item| item.partition == "train")
        .map(|item| item.class)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let target = choose_size(tree, &items, size, &mut notes)?;
    let mut partitions = BTreeMap::new();
    for name in ["train", "test"] {
        let members: Vec<&Item> = items.iter().filter(|item| item.partition == name).collect();
        if !members.is_empty() {
            partitions.insert(name, decode_all(&members, &classes, target, &tree.limits)?);
        }
    }
    let Some(train) = partitions.remove("train") else {
        return Err(DataError::Unrecognised { file: tree.origin.clone(), found: "no training images".into() });
    };
    Ok(Dataset {
        name: String::new(),
        format: Format::Images,
        classes: classes.into_iter().map(String::from).collect(),
        statistics: Statistics::of(&train),
        train: Arc::new(train),
        test: partitions.remove("test").map(Arc::new),
        held_out: false,
        flip: true,
        notes,
    })
}

/// The images of a file, folder or archive, whatever their folders, with the name of each, sorted by name.
pub(crate) fn read_loose(
    path: &Path,
    [height, width, channels]: [usize; 3],
    limits: Limits,
) -> Result<(Vec<String>, Images), DataError> {
    let tree = Tree::open(path, limits)?;
    let entries: Vec<&Entry> = tree.entries.iter().filter(|entry| is_image(entry)).collect();
    if entries.is_empty() {
        return Err(DataError::Unrecognised { file: tree.origin.clone(), found: "no PNG, JPEG or WebP in it".into() });
    }
    let items: Vec<Item> = entries.into_iter().map(|entry| Item { entry, partition: "", class: "" }).collect();
    let images =
        decode_all(&items.iter().collect::<Vec<_>>(), &[""], Target { height, width, channels }, &tree.limits)?;
    Ok((items.iter().map(|item| item.entry.label.clone()).collect(), images))
}

/// Finds out from the paths which partition and class each image belongs to.
fn sort_out<'t>(tree: &Tree, entries: &[&'t Entry], notes: &mut Vec<String>) -> Result<Vec<Item<'t>>, DataError> {
    let mut paths: Vec<Vec<&'t str>> = entries.iter().map(|entry| entry.name.split('/').collect()).collect();
    // A folder that everything is in says nothing, as long as class and file remain.
    while paths.iter().all(|path| path.len() > 2 && path[0] == paths[0][0]) {
        for path in &mut paths {
            path.remove(0);
        }
    }
    let partition_of = |folder: &str| match folder.to_lowercase().as_str() {
        "train" | "training" => Some("train"),
        "test" | "testing" => Some("test"),
        "val" | "valid" | "validation" => Some("val"),
        _ => None,
    };
    let found: BTreeSet<_> =
        paths.iter().filter(|path| path.len() > 2).filter_map(|path| partition_of(path[0])).collect();
    let partitioned = found.contains("train");
    let use_val_as_test = !found.contains("test") && found.contains("val");
    if partitioned && use_val_as_test {
        notes.push("there is no partition `test`; `val` is used in its place".into());
    } else if partitioned && found.contains("val") {
        notes.push("the partition `val` is not used".into());
    }
    let mut items = Vec::new();
    let mut left_out = 0;
    for (path, entry) in paths.iter().zip(entries) {
        let (partition, class) = match path.as_slice() {
            [folder, class, _, ..] if partitioned => match partition_of(folder) {
                Some("val") if use_val_as_test => ("test", *class),
                Some(partition) if partition != "val" => (partition, *class),
                Some(_) => continue,
                None => {
                    left_out += 1;
                    continue;
                }
            },
            [class, _, ..] if !partitioned => ("train", *class),
            _ => {
                return Err(DataError::Malformed {
                    file: tree.origin.clone(),
                    place: format!("image `{}`", entry.name),
                    what: "it is in no class folder".into(),
                    mend: "put each image at `train/<class>/`, `test/<class>/` or `<class>/`",
                });
            }
        };
        items.push(Item { entry, partition, class });
    }
    if left_out > 0 {
        notes.push(format!("{left_out} images outside of `train` and `test` are not used"));
    }
    Ok(items)
}

/// Height, width and channels of every image in memory.
#[derive(Clone, Copy)]
struct Target {
    height: usize,
    width: usize,
    channels: usize,
}

fn choose_size(tree: &Tree, items: &[Item], size: Option<usize>, notes: &mut Vec<String>) -> Result<Target, DataError> {
    let headers: Vec<_> = items.par_iter().map(|item| header(item.entry, &tree.limits)).collect();
    let mut counts: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    let mut grey = true;
    for header in headers {
        let (height, width, is_grey) = header?;
        *counts.entry((height, width)).or_insert(0) += 1;
        grey &= is_grey;
    }
    let channels = if grey { 1 } else { 3 };
    let common = counts.iter().max_by_key(|&(&size, &count)| (count, size)).map_or((0, 0), |(&size, _)| size);
    let (height, width) = match size {
        Some(size) => (size, size),
        None => shrink(common),
    };
    let resized: usize = counts.iter().filter(|(size, _)| **size != (height, width)).map(|(_, count)| count).sum();
    if resized > 0 {
        notes.push(format!(
            "{resized} of {} images were resized to {height}x{width} (bilinear, without regard to their proportions)",
            items.len()
        ));
    }
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

/// Scales a size down to at most 224 in each direction, keeping the proportions.
fn shrink((height, width): (usize, usize)) -> (usize, usize) {
    let (longest, most) = (height.max(width), *SIZES.end());
    if longest <= most {
        return (height, width);
    }
    let scale = |n: usize| (n * most + longest / 2) / longest;
    (scale(height), scale(width))
}

/// Height, width and whether it is grey.
fn header(entry: &Entry, limits: &Limits) -> Result<(usize, usize, bool), DataError> {
    let bytes = entry.read(limits)?;
    let decoder = decoder(&bytes, entry)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > limits.pixels {
        let what = format!("an image of {width}x{height} has more than {} pixels", limits.pixels);
        return Err(DataError::Limit { file: entry.label.clone(), what });
    }
    Ok((height as usize, width as usize, !decoder.color_type().has_color()))
}

fn decoder<'b>(bytes: &'b [u8], entry: &Entry) -> Result<impl ImageDecoder + 'b, DataError> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut reader = reader.map_err(|source| DataError::Read { file: entry.label.clone(), source })?;
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(1 << 16);
    limits.max_image_height = Some(1 << 16);
    reader.limits(limits);
    reader.into_decoder().map_err(|error| broken(entry, &error))
}

fn broken(entry: &Entry, error: &image::ImageError) -> DataError {
    DataError::damaged(&entry.label, "the image", format!("it cannot be decoded ({error})"))
}

fn decode_all(items: &[&Item], classes: &[&str], target: Target, limits: &Limits) -> Result<Images, DataError> {
    let mut images = Images::empty(target.height, target.width, target.channels);
    for item in items {
        let Ok(label) = classes.binary_search(&item.class) else {
            return Err(DataError::Malformed {
                file: item.entry.label.clone(),
                place: format!("folder `{}`", item.class),
                what: format!("the class `{}` has test images and no training images", item.class),
                mend: "name the folders of `train` and `test` alike",
            });
        };
        images.labels.push(label as u32);
    }
    images.pixels = vec![0; items.len() * images.image_len()];
    let places = images.pixels.par_chunks_exact_mut(target.height * target.width * target.channels);
    let results: Vec<Result<(), DataError>> =
        places.zip(items).map(|(pixels, item)| decode(item.entry, target, limits, pixels)).collect();
    // The first failure in the order of the names, whatever thread came first.
    results.into_iter().collect::<Result<(), DataError>>()?;
    Ok(images)
}

fn decode(entry: &Entry, target: Target, limits: &Limits, pixels: &mut [u8]) -> Result<(), DataError> {
    let bytes = entry.read(limits)?;
    let image = DynamicImage::from_decoder(decoder(&bytes, entry)?).map_err(|error| broken(entry, &error))?;
    pixels.copy_from_slice(&fit(&image, target));
    Ok(())
}

/// The pixels in the wanted size and channels. An alpha channel is dropped.
fn fit(image: &DynamicImage, target: Target) -> Vec<u8> {
    let (height, width) = (target.height as u32, target.width as u32);
    let filter = image::imageops::FilterType::Triangle;
    if target.channels == 1 {
        let grey = image.to_luma8();
        if (grey.height(), grey.width()) == (height, width) {
            return grey.into_raw();
        }
        return image::imageops::resize(&grey, width, height, filter).into_raw();
    }
    let colour = image.to_rgb8();
    if (colour.height(), colour.width()) == (height, width) {
        return colour.into_raw();
    }
    image::imageops::resize(&colour, width, height, filter).into_raw()
}
