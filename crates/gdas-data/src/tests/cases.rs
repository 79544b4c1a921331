//! Inputs that once gave wrong results, each with what is right. They lie beside the project; copies of each kind are made
//! by code in the other tests.

use super::*;
use crate::{inspect, read_images};

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
        .map(|case| {
            format!("{case}: {}", outcome(&inputs.join(case)).replace(&inputs.display().to_string(), "[cases]"))
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
no-test-images: 2 + 2: green 1+1, red 1+1 ["one training image: classes `green`, `red`; when a search splits the training images into halves, only one half contains it"]
two-archives: 16 + 4: green 8+2, red 8+2 []
test-images-of-another-format: 16 + 4: green 8+2, red 8+2 []
train-under-another-name: 16 + 4: green 8+2, red 8+2 []
unread-suffix: 9 + 3: green 3+1, red 3+1, yellow 3+1 []
truncated: refused: [cases]/truncated: 2 of 4 image files cannot be used:
  a/cut.jpg: cut off: the file ends before the image does
  b/cut.jpg: cut off: the file ends before the image does
replace or remove them, or leave them out with `--skip-damaged`
arrays/float01.npz: 36 + 12: 0 12+4, 1 12+4, 2 12+4 []
arrays/chfirst.npz: 36 + 12: 0 12+4, 1 12+4, 2 12+4 []
arrays/onehot.npz: 36 + 12: 0 12+4, 1 12+4, 2 12+4 []
arrays/rgba.npz: 36 + 12: 0 12+4, 1 12+4, 2 12+4 ["the fourth channel (alpha) is dropped"]
zips/backslash.zip: 18 + 9: blue 6+3, green 6+3, red 6+3 []
zips/bzip2.zip: 18 + 9: blue 6+3, green 6+3, red 6+3 []
zips/enc.zip: refused: [cases]/zips/enc.zip, entry `train/green/3.png`: it is encrypted; unpack it with its password, and give the folder
"#);
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
    insta::assert_snapshot!(set.notes.join("\n"), @r"
2 of 4 image files cannot be used and are left out:
  a/cut.jpg: cut off: the file ends before the image does
  b/cut.jpg: cut off: the file ends before the image does
");
}
