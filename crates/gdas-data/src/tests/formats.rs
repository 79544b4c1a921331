//! Every format, packed and unpacked, gives the images that were put in.

use std::io::Write;
use std::sync::Arc;

use gdas::data::{Files, Statistics};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

use super::*;
use crate::{Status, find_known, inspect, list, open};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn tar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn zip(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(name.as_str(), zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn the_embedded_digits() {
    let digits = open("digits").unwrap();
    let test = digits.test.as_ref().unwrap();
    assert_eq!((digits.train.len() + test.len(), test.len()), (1797, 359));
    assert!(digits.held_out && !digits.flip);
    assert_eq!((digits.train.height, digits.train.width, digits.train.channels), (8, 8, 1));
    // The known numbers of each digit in this data set.
    let summary = inspect(&digits);
    let counts: Vec<usize> = summary.classes.iter().map(|class| class.train + class.test).collect();
    assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    for class in &summary.classes {
        assert!((class.test as f64 - 0.2 * (class.train + class.test) as f64).abs() <= 0.5, "{class:?}");
    }
    // Values are multiples of a sixteenth of 255, and reach both ends. Their mean is the published 4.884 of 16.
    assert_eq!((digits.train.pixels.iter().min(), digits.train.pixels.iter().max()), (Some(&0), Some(&255)));
    assert!((digits.statistics.mean[0] / 255.0 * 16.0 - 4.884).abs() < 0.05, "{:?}", digits.statistics);
    assert!(summary.warnings.is_empty(), "{:?}", summary.warnings);
}

#[test]
fn cifar_10_as_python_pickled_it_packed_and_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let packed = fixture("cifar-10-python.tar.gz");
    let tar = flate2::read::GzDecoder::new(std::fs::File::open(&packed).unwrap());
    tar::Archive::new(tar).unpack(folder.path()).unwrap();
    let mut digests = Vec::new();
    for path in [packed, folder.path().into(), folder.path().join("cifar-10-batches-py")] {
        let set = read(&path).unwrap();
        assert_eq!((set.name.as_str(), set.format), ("cifar10", Format::CifarPickle));
        assert_eq!(set.classes[1], "automobile");
        let test = set.test.as_ref().unwrap();
        assert_eq!(
            (set.train.labels.as_slice(), test.labels.as_slice()),
            ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].as_slice(), [0, 1].as_slice())
        );
        for number in 0..10 {
            assert_pixels(&set.train, number, number);
        }
        assert_pixels(test, 1, 11);
        assert!(set.statistics.published && set.notes[0].contains("this copy 10 and 2"), "{:?}", set.notes);
        digests.push(set.digest());
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]));
}

/// The binary version of images made by the fixtures' rule.
fn cifar_record(labels: &[u8], number: usize) -> Vec<u8> {
    let mut record = labels.to_vec();
    for channel in 0..3 {
        record.extend((0..1024).map(|place| pixel(number, channel, place / 32, place % 32)));
    }
    record
}

fn cifar_10_binary() -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = (0..5)
        .map(|batch| {
            let (a, b) = (2 * batch, 2 * batch + 1);
            let bytes = [cifar_record(&[a], a.into()), cifar_record(&[b], b.into())].concat();
            (format!("cifar-10-batches-bin/data_batch_{}.bin", batch + 1), bytes)
        })
        .collect();
    files.push((
        "cifar-10-batches-bin/test_batch.bin".into(),
        [cifar_record(&[0], 10), cifar_record(&[1], 11)].concat(),
    ));
    files
}

#[test]
fn cifar_binary_and_pickle_are_the_same_data() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "whatever-its-name", &gzip(&tar(&cifar_10_binary())));
    let binary = read(&path).unwrap();
    assert_eq!(binary.format, Format::CifarBinary);
    assert_eq!(binary.digest(), read(&fixture("cifar-10-python.tar.gz")).unwrap().digest());

    let names = (0..100).map(|class| format!("class{class}")).collect::<Vec<_>>().join("\n");
    let train = [cifar_record(&[0, 99], 0), cifar_record(&[0, 0], 1), cifar_record(&[0, 5], 2)].concat();
    write(folder.path(), "c100/train.bin", &train);
    write(folder.path(), "c100/test.bin", &cifar_record(&[0, 7], 3));
    write(folder.path(), "c100/fine_label_names.txt", names.as_bytes());
    let binary = read(&folder.path().join("c100")).unwrap();
    let pickle = read(&fixture("cifar-100-python.tar.gz")).unwrap();
    assert_eq!((binary.name.as_str(), binary.train.labels.as_slice()), ("cifar100", [99, 0, 5].as_slice()));
    assert_eq!(binary.digest(), pickle.digest());
    assert_eq!(pickle.statistics.mean, [129.3, 124.1, 112.4]);
}

#[test]
fn imagenet16_keeps_the_first_120_classes() {
    let set = read(&fixture("imagenet16.tar.gz")).unwrap();
    assert_eq!((set.train.height, set.train.width, set.classes.len()), (16, 16, 120));
    // Batches in the order of their numbers, 10 after 9; labels counted from 0.
    assert_eq!(set.train.labels, (0..10).collect::<Vec<u32>>());
    assert_eq!(set.test.as_ref().unwrap().labels, [119, 1]);
    assert_pixels(&set.train, 9, 10);
    assert_pixels(set.test.as_ref().unwrap(), 1, 2);
}

fn idx(shape: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    bytes.extend(shape.iter().flat_map(|n| n.to_be_bytes()));
    bytes.extend(data);
    bytes
}

#[test]
fn mnist_gzipped_and_not() {
    let folder = tempfile::tempdir().unwrap();
    let grey = |first: usize, n: usize| -> Vec<u8> {
        (first..first + n).flat_map(|i| (0..784).map(move |place| pixel(i, 0, place / 28, place % 28))).collect()
    };
    write(folder.path(), "fashion/train-images-idx3-ubyte.gz", &gzip(&idx(&[3, 28, 28], &grey(0, 3))));
    write(folder.path(), "fashion/train-labels-idx1-ubyte.gz", &gzip(&idx(&[3], &[9, 0, 4])));
    write(folder.path(), "fashion/t10k-images-idx3-ubyte", &idx(&[1, 28, 28], &grey(3, 1)));
    write(folder.path(), "fashion/t10k-labels-idx1-ubyte", &idx(&[1], &[9]));
    let set = read(&folder.path().join("fashion")).unwrap();
    assert_eq!((set.format, set.train.channels, set.train.labels.as_slice()), (Format::Idx, 1, [9, 0, 4].as_slice()));
    assert_eq!((set.classes[9].as_str(), set.flip), ("ankle boot", true));
    assert_pixels(&set.train, 2, 2);
    assert_pixels(set.test.as_ref().unwrap(), 0, 3);
    std::fs::rename(folder.path().join("fashion"), folder.path().join("letters")).unwrap();
    let set = read(&folder.path().join("letters")).unwrap();
    assert_eq!((set.name.as_str(), set.classes[9].as_str(), set.flip), ("mnist", "9", false));
}

#[test]
fn medmnist_in_c_and_fortran_order() {
    let set = read(&fixture("colour.npz")).unwrap();
    assert_eq!(
        (set.format, set.train.channels, set.train.labels.as_slice()),
        (Format::MedMnist, 3, [2, 0, 1].as_slice())
    );
    let test = set.test.as_ref().unwrap();
    assert_eq!(test.labels, [1, 2]);
    assert_pixels(&set.train, 2, 2);
    assert_pixels(test, 0, 4);
    assert_pixels(test, 1, 5);
    assert_eq!(set.notes, ["the partition `val` is not used"]);
}

#[test]
fn classes_called_left_and_right_are_not_mirrored() {
    let folder = tempfile::tempdir().unwrap();
    for class in ["kidney-left", "Kidney-Right", "leftovers"] {
        write(folder.path(), &format!("{class}/1.png"), &encode(&picture(1, 8), ImageFormat::Png));
    }
    let set = read(folder.path()).unwrap();
    assert!(!set.flip && set.notes[0].contains("not flipped"), "{:?}", set.notes);
    std::fs::remove_dir_all(folder.path().join("kidney-left")).unwrap();
    std::fs::rename(folder.path().join("Kidney-Right"), folder.path().join("bright")).unwrap();
    assert!(read(folder.path()).unwrap().flip);
}

fn encode(image: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(image.clone()).write_to(&mut out, format).unwrap();
    out.into_inner()
}

/// An image by the fixtures' rule.
fn picture(number: usize, size: u32) -> RgbImage {
    RgbImage::from_fn(size, size, |x, y| Rgb([0, 1, 2].map(|channel| pixel(number, channel, y as usize, x as usize))))
}

fn image_tree() -> Vec<(String, Vec<u8>)> {
    let png = |number| encode(&picture(number, 8), ImageFormat::Png);
    [
        ("set/train/cat/1.png", png(1)),
        // Its name says JPEG; what it holds decides.
        ("set/train/cat/0.jpg", png(0)),
        ("set/train/ant/x.webp", encode(&picture(2, 8), ImageFormat::WebP)),
        ("set/test/cat/deeper/3.PNG", png(3)),
        ("set/train/cat/notes.txt", b"no image".to_vec()),
        ("set/extra/cat/4.png", png(4)),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .into()
}

#[test]
fn image_folders_and_archives_of_them_are_the_same_data() {
    let folder = tempfile::tempdir().unwrap();
    let files = image_tree();
    for (name, bytes) in &files {
        write(folder.path(), name, bytes);
    }
    let mut paths = vec![folder.path().join("set")];
    let packed = tar(&files);
    for (name, bytes) in [
        ("a.tar", packed.clone()),
        ("b", gzip(&packed)),
        ("c.bin", xz(&packed)),
        ("d.tar.bz2", bzip2(&packed)),
        ("e.zip", zip(&files)),
    ] {
        paths.push(write(folder.path(), name, &bytes));
    }
    for path in paths {
        let set = read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!((set.classes.join(" ").as_str(), set.train.labels.as_slice()), ("ant cat", [0, 1, 1].as_slice()));
        for (index, number) in [2, 0, 1].into_iter().enumerate() {
            assert_pixels(&set.train, index, number);
        }
        assert_eq!(set.test.as_ref().unwrap().labels, [1]);
        assert_pixels(set.test.as_ref().unwrap(), 0, 3);
        assert_eq!(
            set.notes,
            ["1 image outside of `train` and `test` not used", "1 file not read, as not images: 1 .txt"]
        );
        assert!(["set", "a", "b", "c.bin", "d", "e"].contains(&set.name.as_str()), "{}", set.name);
    }
}

#[test]
fn plain_class_folders_are_held_out_from() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..20 {
        let class = if number % 2 == 0 { "even" } else { "odd" };
        write(folder.path(), &format!("{class}/{number:02}.png"), &encode(&picture(number, 9), ImageFormat::Png));
    }
    let options = Options { hold_out: 0.3, ..Options::default() };
    let open = || open_with(&folder.path().display().to_string(), &options).unwrap();
    let set = open();
    let test = set.test.as_ref().unwrap();
    assert!(set.held_out);
    assert_eq!((set.train.len(), test.len()), (14, 6));
    assert_eq!(test.labels, [0, 0, 0, 1, 1, 1]);
    assert_eq!(set.digest(), open().digest(), "the same images are held out every time");
}

#[test]
fn images_of_other_sizes_are_brought_to_the_most_common_one() {
    let folder = tempfile::tempdir().unwrap();
    let grey = |size: u32, value: u8| {
        let mut out = std::io::Cursor::new(Vec::new());
        DynamicImage::ImageLuma8(image::GrayImage::from_pixel(size, size, image::Luma([value])))
            .write_to(&mut out, ImageFormat::Png)
            .unwrap();
        out.into_inner()
    };
    for (name, size, value) in [("a/1.png", 10, 1), ("a/2.png", 10, 2), ("b/3.png", 30, 3), ("b/4.png", 12, 4)] {
        write(folder.path(), name, &grey(size, value));
    }
    let set = read(folder.path()).unwrap();
    assert_eq!((set.train.height, set.train.width, set.train.channels), (10, 10, 1));
    for (index, value) in [1, 2, 3, 4].into_iter().enumerate() {
        assert!(set.train.image(index).iter().all(|&v| v == value));
    }
    assert_eq!(set.notes, ["2 of 4 images were resized to 10x10 (bilinear, ignoring the aspect ratio)"]);
    let asked = Options { image_size: Some(16), hold_out: 0.0, ..Options::default() };
    let set = open_with(&folder.path().display().to_string(), &asked).unwrap();
    assert_eq!((set.train.height, set.train.width), (16, 16));
    // One colour image makes all of them colour.
    write(folder.path(), "b/5.png", &encode(&picture(0, 10), ImageFormat::Png));
    assert_eq!(read(folder.path()).unwrap().train.channels, 3);
}

#[test]
fn known_sets_are_found_in_the_data_directory() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { directory: Some(folder.path().into()), ..Options::default() };
    let error = open_with("cifar10", &options).unwrap_err().to_string();
    insta::assert_snapshot!(error.replace(&folder.path().display().to_string(), "[folder]"), @"`cifar10` is not in [folder]/cifar10; fetch it with `gdas data fetch cifar10`, or put cifar-10-binary.tar.gz (https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz) there by hand");
    let error = open_with("imagenet16-120", &options).unwrap_err().to_string();
    insta::assert_snapshot!(error.replace(&folder.path().display().to_string(), "[folder]"), @"`imagenet16-120` is not in [folder], and cannot be fetched (ImageNet's terms; the files need an account at image-net.org); put ImageNet16 or imagenet16 or ImageNet16.tar or ImageNet16.tar.gz or ImageNet16.zip there by hand");
    insta::assert_snapshot!(open_with("cifra10", &options).unwrap_err(), @"there is no data set `cifra10`: no file or folder of that name, and no known set (did you mean `cifar10`? all: cifar10, cifar100, digits, mnist, octmnist, pathmnist, dermamnist, retinamnist, bloodmnist, tissuemnist, organamnist, breastmnist, organcmnist, organsmnist, imagenet16-120, fashion-mnist, pneumoniamnist)");
    let status = |name: &str| list(folder.path()).into_iter().find(|entry| entry.name == name).unwrap().status;
    assert_eq!((status("digits"), status("cifar10")), (Status::Embedded, Status::Missing));
    assert_eq!(status("imagenet16-120"), Status::ByHand);

    // By hand, the Python version, right in the directory.
    let place = folder.path().join("cifar-10-python.tar.gz");
    std::fs::copy(fixture("cifar-10-python.tar.gz"), &place).unwrap();
    assert_eq!(status("cifar10"), Status::Present(place));
    for name in ["cifar10", "CIFAR-10"] {
        assert_eq!(open_with(name, &options).unwrap().train.len(), 10);
    }
    // As fetched: the file in a folder of the set's name; and that folder opened by its path.
    write(
        folder.path(),
        "cifar100/cifar-100-binary.tar.gz",
        &std::fs::read(fixture("cifar-100-python.tar.gz")).unwrap(),
    );
    assert_eq!(open_with("cifar100", &options).unwrap().classes.len(), 100);
    assert_eq!(read(&folder.path().join("cifar100")).unwrap().classes.len(), 100);
    // Half a download is not a set.
    write(folder.path(), "mnist/train-images-idx3-ubyte.gz", b"");
    write(folder.path(), "mnist/train-labels-idx1-ubyte.gz.part", b"");
    assert_eq!(find_known("mnist").unwrap().locate(folder.path()), None);
}

#[test]
fn inspection_finds_imbalance_and_leaks() {
    // Image `i` has the pixel value `i` everywhere.
    let images = |n: usize| {
        Arc::new(Images {
            height: 8,
            width: 8,
            channels: 1,
            pixels: (0..n).flat_map(|i| vec![i as u8; 64]).collect(),
            labels: (0..n).map(|i| (i % 2) as u32).collect(),
        })
    };
    let mut set = Dataset {
        name: "plain".into(),
        format: Format::Images,
        classes: vec!["0".into(), "1".into()],
        train: images(10),
        test: Some(images(4)),
        held_out: false,
        files: Files::default(),
        statistics: Statistics { mean: vec![0.0], std: vec![1.0], published: false },
        flip: true,
        notes: Vec::new(),
    };
    let train = Arc::make_mut(&mut set.train);
    train.labels = vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let n = train.image_len();
    train.pixels.copy_within(8 * n..9 * n, 9 * n);
    let summary = inspect(&set);
    assert_eq!(summary.classes[0], crate::ClassCount { name: "0".into(), train: 9, test: 2 });
    insta::assert_snapshot!(summary.warnings.join("\n"), @r"
classes differ in size: `0` has 9 training images, `1` has 1; accuracy is dominated by the large ones (`--sampling balanced` shows every class equally often)
one training image: class `1`; when a search splits the training images into halves, only one half contains it
1 training images are exact copies of others
1 training images are copies of others of a different class
4 of 4 test images are exact copies of training images; they inflate the test accuracy
");
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!((&json["format"], &json["train"]), (&"images".into(), &10.into()));
}

/// The copy of CIFAR-10 as JPEG files that the project's measurements use; prints time and memory.
#[test]
#[ignore = "ten seconds on both cores, and needs ../shared"]
fn cifar_10_as_jpeg_files() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/cifar10-jpeg.tar.xz");
    if !path.exists() {
        eprintln!("skipped: {} is absent", path.display());
        return;
    }
    let start = std::time::Instant::now();
    let set = read(&path).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let peak = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = peak.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM unknown").to_owned();
    eprintln!("{set:?}\nread in {seconds:.1} s, {peak}");
    assert_eq!((set.train.len(), set.test.as_ref().unwrap().len()), (50_000, 10_000));
    assert_eq!(set.classes.join(" "), "airplane automobile bird cat deer dog frog horse ship truck");
    let summary = inspect(&set);
    assert!(summary.classes.iter().all(|class| (class.train, class.test) == (5_000, 1_000)));
    for (found, published) in
        set.statistics.mean.iter().chain(&set.statistics.std).zip([125.3, 123.0, 113.9, 63.0, 62.1, 66.7])
    {
        assert!((found - published).abs() < 1.0, "{:?}", set.statistics);
    }
    eprintln!("{}", serde_json::to_string_pretty(&summary).unwrap());
}
