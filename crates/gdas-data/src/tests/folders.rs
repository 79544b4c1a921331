//! Folders and archives under names that people give them: what is which part, and what is not read.

use std::io::Write;

use image::{DynamicImage, GrayImage, ImageFormat, Luma};

use super::*;
use crate::inspect;

/// A grey image of 8x8 pixels of one value.
fn image(value: u8, format: ImageFormat) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    let grey = DynamicImage::ImageLuma8(GrayImage::from_pixel(8, 8, Luma([value])));
    let image = if format == ImageFormat::WebP { DynamicImage::ImageRgb8(grey.to_rgb8()) } else { grey };
    image.write_to(&mut out, format).unwrap();
    out.into_inner()
}

fn png(value: u8) -> Vec<u8> {
    image(value, ImageFormat::Png)
}

fn zip_with(compression: zip::CompressionMethod, files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let options = zip::write::SimpleFileOptions::default().compression_method(compression);
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn zip(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    zip_with(zip::CompressionMethod::Deflated, files)
}

fn tar_gz(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

/// Two classes of two images in each part, whose pixels say where they belong.
fn part(folder: &Path, prefix: &str, first: u8) {
    for (class, value) in [("cat", first), ("dog", first + 2)] {
        for n in 0..2 {
            write(folder, &format!("{prefix}{class}/{n}.png"), &png(value + n));
        }
    }
}

fn values(images: &Images) -> Vec<u8> {
    (0..images.len()).map(|i| images.image(i)[0]).collect()
}

#[test]
fn parts_are_known_by_their_usual_names() {
    for (train, test) in [
        ("training_set/", "test_set/"),
        ("Train/", "Testing/"),
        ("pets_train/", "pets-test/"),
        ("TRAINING SET/", "Test Images/"),
        ("train2017/", "val2017/"),
        ("data/v2/trainset/", "data/v2/eval/"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        part(folder.path(), train, 10);
        part(folder.path(), test, 50);
        let set = read(folder.path()).unwrap_or_else(|error| panic!("{train}: {error}"));
        assert_eq!((values(&set.train), set.classes.join(" ")), (vec![10, 11, 12, 13], "cat dog".into()), "{train}");
        assert_eq!(set.test.as_deref().map(values), Some(vec![50, 51, 52, 53]), "{test}");
    }
    // Parts within the classes.
    let folder = tempfile::tempdir().unwrap();
    for (class, value) in [("cat", 10), ("dog", 20)] {
        write(folder.path(), &format!("{class}/train/a.png"), &png(value));
        write(folder.path(), &format!("{class}/test/a.png"), &png(value + 1));
    }
    let set = read(folder.path()).unwrap();
    assert_eq!((values(&set.train), set.test.as_deref().map(values)), (vec![10, 20], Some(vec![11, 21])));
}

#[test]
fn a_validation_part_stands_in_for_test_images_or_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    part(folder.path(), "train/", 10);
    part(folder.path(), "dev/", 30);
    let set = read(folder.path()).unwrap();
    assert_eq!(set.test.as_deref().map(values), Some(vec![30, 31, 32, 33]));
    assert_eq!(set.notes, ["there is no partition `test`; `val` is used in its place"]);
    part(folder.path(), "test/", 50);
    let set = read(folder.path()).unwrap();
    assert_eq!(set.test.as_deref().map(values), Some(vec![50, 51, 52, 53]));
    assert_eq!(set.files.test.to_vec(), ["test/cat/0.png", "test/cat/1.png", "test/dog/0.png", "test/dog/1.png"]);
    assert_eq!(set.notes, ["the partition `val` is not used"]);
}

#[test]
fn archives_side_by_side_are_parts_or_classes() {
    let cat_dog = |first: u8, prefix: &str| -> Vec<(String, Vec<u8>)> {
        [("cat", first), ("dog", first + 2)]
            .iter()
            .flat_map(|&(class, value)| (0..2).map(move |n| (format!("{prefix}{class}/{n}.png"), png(value + n))))
            .collect()
    };
    fn borrowed(files: &[(String, Vec<u8>)]) -> Vec<(&str, Vec<u8>)> {
        files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect()
    }
    let expect = |folder: &Path| {
        let set = read(folder).unwrap();
        assert_eq!((values(&set.train), set.classes.join(" ")), (vec![10, 11, 12, 13], "cat dog".into()));
        assert_eq!(set.test.as_deref().map(values), Some(vec![50, 51, 52, 53]));
        set.digest()
    };
    let folder = tempfile::tempdir().unwrap();
    let (train, test) = (cat_dog(10, "train/"), cat_dog(50, ""));
    write(folder.path(), "train.zip", &zip(&borrowed(&train)));
    write(folder.path(), "test.tar.gz", &tar_gz(&borrowed(&test)));
    let packed = expect(folder.path());
    // One of them unpacked, beside its archive or without.
    part(folder.path(), "train/", 10);
    assert_eq!(expect(folder.path()), packed);
    std::fs::remove_file(folder.path().join("train.zip")).unwrap();
    assert_eq!(expect(folder.path()), packed);

    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "cat.zip", &zip(&[("1.png", png(1)), ("2.png", png(2))]));
    write(folder.path(), "dog.zip", &zip(&[("dogs/1.png", png(3)), ("dogs/2.png", png(4))]));
    let set = read(folder.path()).unwrap();
    assert_eq!((set.classes.join(" "), values(&set.train)), ("cat dog".into(), vec![1, 2, 3, 4]));
}

#[test]
fn archives_that_could_be_anything_are_asked_about() {
    let one = || zip(&[("cat/1.png", png(1)), ("dog/1.png", png(2))]);
    let refuse = |names: &[(&str, Vec<u8>)]| {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in names {
            write(folder.path(), name, bytes);
        }
        refusal(folder.path(), folder.path())
    };
    insta::assert_snapshot!(refuse(&[("test.zip", one())]), @"[folder]: there is `test.zip` and no training part beside it; put the training images at `train/<class>/` or into `train.zip`, or give the path of the archive itself to train on its images");
    insta::assert_snapshot!(refuse(&[("a.zip", one()), ("b.zip", one())]), @"[folder]: which of `a.zip` and `b.zip` is the data set? Give its path; parts of one are called `train.zip` and `test.zip`, and classes are archives of images without folders");
    insta::assert_snapshot!(refuse(&[("train.zip", one()), ("training.tar", one()), ("test.zip", one())]), @"[folder]: `train` and `training` could each be the part `train`; which is it? Leave one of them there");
    insta::assert_snapshot!(refuse(&[("cat/1.png", png(1)), ("dog/1.png", png(2)), ("bird.zip", zip(&[("1.png", png(1))]))]), @"[folder]: the archive `bird.zip` holds images and lies beside images that are not packed: do they belong together? Unpack it, or move it away");
    let whole = zip(&[("train/cat/1.png", png(1)), ("test/cat/1.png", png(2))]);
    insta::assert_snapshot!(refuse(&[("train.zip", whole), ("test.zip", one())]), @"[folder]: `train.zip` holds the folder `test`: is it the part `train` or a whole data set? Give the path of the one to read, or move the other archives away");
    insta::assert_snapshot!(refuse(&[("train.rar", b"Rar!\x1a\x07\x01\0".to_vec()), ("test.zip", one())]), @"[folder]: `train.rar` is a RAR archive, which is not supported; unpack it, or move it away if it does not belong to the data set");
    let nested = zip(&[("train.zip", one()), ("test.zip", one())]);
    insta::assert_snapshot!(refuse(&[("all.zip", nested)]), @"[folder]/all.zip is not a data set that can be read: the archive `test.zip` inside it, which must be unpacked first; expected CIFAR-10/100 (binary or Python), ImageNet16 batches, idx files, NumPy arrays (.npz) of images and labels, or images in `train/<class>/` and `test/<class>/`");
}

#[test]
fn nothing_disappears_without_a_word() {
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1".to_vec();
    let folder = tempfile::tempdir().unwrap();
    let refuse = || refusal(folder.path(), folder.path());
    part(folder.path(), "", 10);
    write(folder.path(), "cat/3.heic", &heic);
    write(folder.path(), "annotations/a.xml", b"<x/>");
    write(folder.path(), "labels.csv", b"a,b");
    std::fs::create_dir(folder.path().join("bird")).unwrap();
    insta::assert_snapshot!(read(folder.path()).unwrap().notes.join("\n"), @r"
2 files not read, as not images: 1 .csv, 1 .xml
the folder is empty: `bird`
the folder `annotations` holds no images, only 1 .xml; it is not a class
1 file of class `cat` not read: 1 .heic (HEIC)
");
    // A whole class, and a whole part.
    write(folder.path(), "yellow/1.heic", &heic);
    write(folder.path(), "yellow/2.svg", b"<svg/>");
    insta::assert_snapshot!(refuse(), @"[folder]: 2 files of class `yellow` not read: 1 .heic (HEIC), 1 .svg (SVG); convert them to PNG or JPEG, or move these folders away to go on without them");
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "train/cat/1.avif", &heic);
    write(folder.path(), "train/dog/1.avif", &heic);
    part(folder.path(), "test/", 50);
    insta::assert_snapshot!(refusal(folder.path(), folder.path()), @"[folder]: 1 file of class `train/cat` not read: 1 .avif (HEIC); 1 file of class `train/dog` not read: 1 .avif (HEIC); convert them to PNG or JPEG, or move these folders away to go on without them");
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "train/cat/1.mat", b"MATLAB 5.0 MAT-file");
    part(folder.path(), "test/", 50);
    insta::assert_snapshot!(refusal(folder.path(), folder.path()), @"[folder]: there is no image in `train`, only 1 .mat; put the training images there");
    // Classes that are called differently in the two parts.
    let folder = tempfile::tempdir().unwrap();
    part(folder.path(), "train/", 10);
    write(folder.path(), "test/Cat/1.png", &png(1));
    write(folder.path(), "test/dog/1.png", &png(1));
    insta::assert_snapshot!(refusal(folder.path(), folder.path()), @"[folder], its folders: the class `Cat` has test images and no training images, and the class `cat` has training images and no test images; name the folders of `train` and `test` alike");
    // Test images without classes.
    let folder = tempfile::tempdir().unwrap();
    part(folder.path(), "train/", 10);
    write(folder.path(), "test/1.png", &png(1));
    let set = read(folder.path()).unwrap();
    assert_eq!(set.notes, ["1 image of `test` not used, as not in a class folder"]);
}

#[test]
#[cfg(unix)]
fn names_that_are_no_text_stay_apart_and_dangling_links_are_passed_over() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in [(b"caf\xe9".as_slice(), 1), (b"caf\xe8", 2), (b"tea", 3)] {
        let class = folder.path().join(std::ffi::OsStr::from_bytes(name));
        std::fs::create_dir(&class).unwrap();
        std::fs::write(class.join("1.png"), png(value)).unwrap();
    }
    std::os::unix::fs::symlink("/nowhere/at/all.png", folder.path().join("tea/2.png")).unwrap();
    let set = read(folder.path()).unwrap();
    assert_eq!(set.classes, ["caf\\xE8", "caf\\xE9", "tea"]);
    assert_eq!(values(&set.train), [2, 1, 3]);
    insta::assert_snapshot!(set.notes.join("\n"), @r"
dangling links, skipped: 1, such as `tea/2.png`
names that are not UTF-8: 2, such as `caf\xE8/1.png`; such bytes are written as `\x..`
");
}

#[test]
fn zips_of_other_systems_and_packers() {
    let files = [("set\\cat\\1.png", png(1)), ("set\\cat\\", Vec::new()), ("set\\dog\\1.png", png(2))];
    let folder = tempfile::tempdir().unwrap();
    let plain = [("set/cat/1.png", png(1)), ("set/dog/1.png", png(2))];
    let expected = read(&write(folder.path(), "a.zip", &zip(&plain))).unwrap().digest();
    assert_eq!(read(&write(folder.path(), "b.zip", &zip(&files))).unwrap().digest(), expected);
    let bzip2 = zip_with(zip::CompressionMethod::Bzip2, &plain);
    assert_eq!(read(&write(folder.path(), "c.zip", &bzip2)).unwrap().digest(), expected);
    // The flag of an encrypted entry, in the local header and in the directory.
    let mut encrypted = zip_with(zip::CompressionMethod::Stored, &plain);
    for at in 0..encrypted.len() - 4 {
        match &encrypted[at..at + 4] {
            b"PK\x03\x04" => encrypted[at + 6] |= 1,
            b"PK\x01\x02" => encrypted[at + 8] |= 1,
            _ => {}
        }
    }
    insta::assert_snapshot!(refusal(folder.path(), &write(folder.path(), "d.zip", &encrypted)), @"[folder]/d.zip, entry `set/cat/1.png`: it is encrypted; unpack it with its password, and give the folder");
    // A way of packing that nobody has (99 apart from encryption, 96 is for JPEG alone).
    let mut unknown = zip_with(zip::CompressionMethod::Stored, &plain);
    for at in 0..unknown.len() - 4 {
        match &unknown[at..at + 4] {
            b"PK\x03\x04" => unknown[at + 8] = 96,
            b"PK\x01\x02" => unknown[at + 10] = 96,
            _ => {}
        }
    }
    insta::assert_snapshot!(refusal(folder.path(), &write(folder.path(), "e.zip", &unknown)), @"[folder]/e.zip, entry `set/cat/1.png`: it is compressed by a method that is not supported; unpack it, and give the folder");
}

#[test]
fn at_least_one_image_of_each_class_is_held_out() {
    let folder = tempfile::tempdir().unwrap();
    part(folder.path(), "", 10);
    write(folder.path(), "owl/1.png", &png(99));
    let set = open_with(&folder.path().display().to_string(), &Options::default()).unwrap();
    let summary = inspect(&set);
    let counts: Vec<_> = summary.classes.iter().map(|c| (c.name.as_str(), c.train, c.test)).collect();
    assert_eq!(counts, [("cat", 1, 1), ("dog", 1, 1), ("owl", 1, 0)]);
    insta::assert_snapshot!(summary.warnings.join("\n"), @r"
no test image can be held out of class `owl`: one image each
one training image: classes `cat`, `dog`, `owl`; when a search splits the training images into halves, only one half contains it
");
    // With one image in every class there is nothing to test with.
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "cat/1.png", &png(1));
    write(folder.path(), "dog/1.png", &png(2));
    let set = open_with(&folder.path().display().to_string(), &Options::default()).unwrap();
    assert!(set.test.is_none() && !set.held_out);
    insta::assert_snapshot!(set.notes.join("\n"), @"no test image can be held out of classes `cat`, `dog`: one image each");
}

#[test]
fn a_folder_called_like_a_known_set_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let set = crate::find_known("mnist").unwrap();
    let error = set.not_fetched(folder.path(), Some("./mnist".into())).to_string();
    assert!(error.ends_with("; for the local files of that name, give `./mnist`"), "{error}");
}

/// As a table of paths and labels names them.
#[test]
fn files_that_are_named_one_by_one_are_read_with_their_classes() {
    use crate::{LabelledFile, Options, open_files};

    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for number in 0..12u8 {
        let path = folder.path().join(format!("{number}.png"));
        std::fs::write(&path, png(10 * number)).unwrap();
        let class = ["b/2", "a"][usize::from(number % 2)].to_owned();
        files.push(LabelledFile { path, class, test: number >= 8 });
    }
    let dataset = open_files("mine", &files, &Options::default()).unwrap();
    assert_eq!((dataset.name.as_str(), dataset.classes.join(" ")), ("mine", "a b/2".to_owned()));
    assert_eq!((dataset.train.len(), dataset.test.as_ref().unwrap().len()), (8, 4));
    // Class after class, each in the order given.
    assert_eq!(dataset.train.labels, [0, 0, 0, 0, 1, 1, 1, 1]);
    assert_eq!(dataset.train.pixels[64 * 2], 50);
    let held_out: Vec<LabelledFile> = files.iter().map(|file| LabelledFile { test: false, ..file.clone() }).collect();
    assert!(open_files("mine", &held_out, &Options::default()).unwrap().held_out);

    std::fs::write(&files[3].path, &png(1)[..40]).unwrap();
    std::fs::write(&files[4].path, "text").unwrap();
    files[5].path.set_extension("gone");
    let error = open_files("mine", &files, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("5.gone: there is no such file"), "{error}");
    files[5].path.set_extension("png");
    let error = open_files("mine", &files, &Options::default()).unwrap_err().to_string();
    for number in [3, 4] {
        assert!(error.contains(&files[number].path.display().to_string()), "{error}");
    }
    let skipped = open_files("mine", &files, &Options { skip_damaged: true, ..Options::default() }).unwrap();
    assert_eq!(skipped.train.len(), 6);
}
