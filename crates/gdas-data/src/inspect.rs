//! Statistics of a data set and warnings about it.

use std::collections::HashMap;

use serde::Serialize;

use gdas::data::{Dataset, Format, Images, Statistics, first_names};

/// Statistics of a data set, for printing or as JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Name of the data set.
    pub name: String,
    /// Format of the files.
    pub format: Format,
    /// Height of every image in pixels.
    pub height: usize,
    /// Width of every image in pixels.
    pub width: usize,
    /// Channels of every image: 1 or 3.
    pub channels: usize,
    /// Number of training images.
    pub train: usize,
    /// Number of test images.
    pub test: usize,
    /// Whether the test images were held out of the training images because the data set has none.
    pub held_out: bool,
    /// Images per class.
    pub classes: Vec<ClassCount>,
    /// Mean and standard deviation per channel.
    pub statistics: Statistics,
    /// Whether training flips images horizontally at random.
    pub flip: bool,
    /// Memory of pixels and labels in bytes.
    pub memory: u64,
    /// Digest of pixels, labels and class names.
    pub digest: String,
    /// Properties of the data that can distort results.
    pub warnings: Vec<String>,
}

/// Number of images of one class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// Name of the class.
    pub name: String,
    /// Training images.
    pub train: usize,
    /// Test images.
    pub test: usize,
}

/// Ratio of the largest class to the smallest above which a warning is given.
const IMBALANCE: usize = 3;

/// Counts the images, and warns about classes of very different sizes, classes without images, and duplicate images
/// within a partition or in both.
pub fn inspect(dataset: &Dataset) -> Summary {
    let train = &*dataset.train;
    let test = dataset.test.as_deref();
    let mut classes: Vec<ClassCount> =
        dataset.classes.iter().map(|name| ClassCount { name: name.clone(), train: 0, test: 0 }).collect();
    for &label in &train.labels {
        classes[label as usize].train += 1;
    }
    for &label in test.iter().flat_map(|test| &test.labels) {
        classes[label as usize].test += 1;
    }
    let mut warnings = dataset.notes.clone();
    // Why an image of each class could not be held out is among the notes.
    warn_about_classes(&classes, test.is_some() && !dataset.held_out, &mut warnings);
    warn_about_duplicates(train, test, &mut warnings);
    let memory = [Some(train), test].into_iter().flatten().map(|images| images.pixels.len() + 4 * images.len());
    Summary {
        name: dataset.name.clone(),
        format: dataset.format,
        height: train.height,
        width: train.width,
        channels: train.channels,
        train: train.len(),
        test: test.map_or(0, Images::len),
        held_out: dataset.held_out,
        statistics: dataset.statistics.clone(),
        flip: dataset.flip,
        memory: memory.sum::<usize>() as u64,
        digest: dataset.digest(),
        warnings,
        classes,
    }
}

fn warn_about_classes(classes: &[ClassCount], has_test: bool, warnings: &mut Vec<String>) {
    let largest = classes.iter().max_by_key(|class| class.train);
    let smallest = classes.iter().min_by_key(|class| class.train);
    if let (Some(largest), Some(smallest)) = (largest, smallest)
        && largest.train > IMBALANCE * smallest.train
    {
        warnings.push(format!(
            "classes differ in size: `{}` has {} training images, `{}` has {}; accuracy is dominated by the large ones \
             (`--sampling balanced` shows every class equally often)",
            largest.name, largest.train, smallest.name, smallest.train
        ));
    }
    let of = |count: usize| -> Vec<&str> {
        classes.iter().filter(|class| class.train == count).map(|class| class.name.as_str()).collect()
    };
    if let names @ [_, ..] = of(0).as_slice() {
        warnings.push(format!("no training images: {}", first_names(names)));
    }
    if let names @ [_, ..] = of(1).as_slice() {
        warnings.push(format!(
            "one training image: {}; when a search splits the training images into halves, only one half contains it",
            first_names(names)
        ));
    }
    let without: Vec<&str> =
        classes.iter().filter(|class| has_test && class.test == 0).map(|class| class.name.as_str()).collect();
    if !without.is_empty() {
        warnings.push(format!("no test images: {}", first_names(&without)));
    }
}

fn warn_about_duplicates(train: &Images, test: Option<&Images>, warnings: &mut Vec<String>) {
    let mut seen: HashMap<blake3::Hash, u32> = HashMap::with_capacity(train.len());
    let (mut repeated, mut contradicting) = (0, 0);
    for (index, &label) in train.labels.iter().enumerate() {
        match seen.insert(blake3::hash(train.image(index)), label) {
            Some(before) if before != label => contradicting += 1,
            Some(_) => repeated += 1,
            None => {}
        }
    }
    if repeated + contradicting > 0 {
        warnings.push(format!("{} training images are exact copies of others", repeated + contradicting));
    }
    if contradicting > 0 {
        warnings.push(format!("{contradicting} training images are copies of others of a different class"));
    }
    let Some(test) = test else { return };
    let leaked = (0..test.len()).filter(|&index| seen.contains_key(&blake3::hash(test.image(index)))).count();
    if leaked > 0 {
        warnings.push(format!(
            "{leaked} of {} test images are exact copies of training images; they inflate the test accuracy",
            test.len()
        ));
    }
}
