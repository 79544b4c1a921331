//! Inputs that once gave wrong results, each with what is right. They lie beside the project; copies of each kind are made
//! by code in the other tests.

use super::*;
use crate::data::{inspect, read_images};

/// The folder of the inputs, if it is there.
fn inputs() -> Option<PathBuf> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let found = above.map(|folder| folder.join("shared/cases")).find(|folder| folder.is_dir());
    if found.is_none() {
        eprintln!("SKIPPED: there is no shared/cases beside the project; nothing was checked");
    }
    found
}

/// Training and test images, classes and warnings; or the error.
fn outcome(path: &Path) -> String {
    match open_with(&path.display().to_string(), &Options::default()) {
        Ok(set) => {
            let summary = inspect(&set);
            let classes: Vec<String> =
                summary.classes.iter().map(|c| format!("{} {}+{}", c.name, c.train, c.test)).collect();
            let warnings: Vec<&String> =
                summary.warnings.iter().filter(|text| !text.contains("exact copies")).collect();
            format!("{} + {}: {} {warnings:?}", summary.train, summary.test, classes.join(", "))
        }
        Err(error) => format!("refused: {error}"),
    }
}

#[test]
fn every_input_is_read_or_refused_as_it_should_be() {
    let Some(inputs) = inputs() else { return };
    let cases = [
        "no-test-images",
        "two-archives",
        "test-images-of-another-format",
        "train-under-another-name",
        "unread-suffix",
        "truncated",
        "arrays/float01.npz",
        "arrays/chfirst.npz",
        "arrays/onehot.npz",
        "arrays/rgba.npz",
        "zips/backslash.zip",
        "zips/bzip2.zip",
        "zips/enc.zip",
    ];
    let lines: Vec<String> = cases
        .iter()
        .map(|case| format!("{case}: {}", outcome(&inputs.join(case)).replace(&inputs.display().to_string(), "[cases]")))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @"");
}

#[test]
fn arrays_of_other_layouts_are_the_same_images() {
    let Some(inputs) = inputs() else { return };
    let set = |name: &str| read(&inputs.join("arrays").join(name)).unwrap();
    let first = set("onehot.npz");
    for name in ["float01.npz", "chfirst.npz", "rgba.npz"] {
        assert_eq!(set(name).digest(), first.digest(), "{name}");
    }
}

#[test]
fn one_picture_stored_in_every_orientation_is_one_picture() {
    let Some(inputs) = inputs() else { return };
    let read = read_images(&inputs.join("exif"), [16, 24, 3]).unwrap();
    assert_eq!(read.names.len(), 8, "{:?}", read.broken);
    for (index, name) in read.names.iter().enumerate() {
        let image = read.images.image(index);
        for (at, pixel) in image.chunks_exact(3).enumerate() {
            // Dark on the left, light on the right; JPEG blurs the edge.
            match at % 24 {
                0..=9 => assert!(pixel[0] < 100, "{name} at {at}: {pixel:?}"),
                14.. => assert!(pixel[0] > 100, "{name} at {at}: {pixel:?}"),
                _ => {}
            }
        }
    }
}

#[test]
fn prediction_answers_for_what_it_can() {
    let Some(inputs) = inputs() else { return };
    let read = read_images(&inputs.join("mixed-predict"), [8, 8, 3]).unwrap();
    let broken: Vec<String> =
        read.broken.iter().map(|image| image.name.rsplit('/').next().unwrap().to_owned()).collect();
    assert_eq!((read.names.len(), read.images.len(), broken), (2, 2, vec!["broken.jpg".to_owned()]));
}

#[test]
fn damaged_images_are_left_out_if_asked() {
    let Some(inputs) = inputs() else { return };
    let path = inputs.join("truncated");
    let options = Options { skip_damaged: true, hold_out: 0.0, ..Options::default() };
    let set = open_with(&path.display().to_string(), &options).unwrap();
    assert_eq!(set.train.len(), 2);
    insta::assert_snapshot!(set.notes.join("\n"), @"");
}
