//! Broken and hostile files of every format: a clear error, bounded memory, no panic.

use std::io::{Cursor, Write};

use proptest::prelude::*;

use super::*;

/// An archive with one entry whose header was changed by hand.
fn tar_with(change: impl Fn(&mut tar::Header)) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_size(4);
    header.set_mode(0o644);
    header.set_path("train/cat/1.png").unwrap();
    change(&mut header);
    header.set_cksum();
    let mut builder = tar::Builder::new(Vec::new());
    builder.append(&header, b"data".as_slice()).unwrap();
    builder.into_inner().unwrap()
}

fn rename(name: &'static str) -> impl Fn(&mut tar::Header) {
    move |header| {
        let field = &mut header.as_ustar_mut().unwrap().name;
        field.fill(0);
        field[..name.len()].copy_from_slice(name.as_bytes());
    }
}

fn zip_of(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap().into_inner()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn archives_that_reach_outside_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refuse = |bytes: &[u8]| refusal(folder.path(), &write(folder.path(), "a", bytes));
    insta::assert_snapshot!(refuse(&tar_with(rename("../evil.png"))), @"[folder]/a: entry `../evil.png` leads out of the archive with `..`; such an archive is refused, pack it again without that entry");
    insta::assert_snapshot!(refuse(&tar_with(rename("train/../../evil.png"))), @"[folder]/a: entry `train/../../evil.png` leads out of the archive with `..`; such an archive is refused, pack it again without that entry");
    insta::assert_snapshot!(refuse(&gzip(&tar_with(rename("/etc/passwd")))), @"[folder]/a: entry `/etc/passwd` has an absolute path; such an archive is refused, pack it again without that entry");
    insta::assert_snapshot!(refuse(&tar_with(|header| {
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_link_name("/etc/passwd").unwrap();
        header.set_size(0);
    })), @"[folder]/a: entry `train/cat/1.png` is a link or a device, not a file; such an archive is refused, pack it again without that entry");
    insta::assert_snapshot!(refuse(&zip_of("../evil.png", b"x")), @"[folder]/a: entry `../evil.png` leads out of the archive with `..`; such an archive is refused, pack it again without that entry");
    insta::assert_snapshot!(refuse(&zip_of("C:\\evil.png", b"x")), @"[folder]/a: entry `C:/evil.png` has an absolute path; such an archive is refused, pack it again without that entry");
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.add_symlink("train", "/etc", zip::write::SimpleFileOptions::default()).unwrap();
    insta::assert_snapshot!(refuse(&writer.finish().unwrap().into_inner()), @"[folder]/a: entry `train` is a link or a device, not a file; such an archive is refused, pack it again without that entry");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was unpacked");
}

#[test]
fn bombs_stop_at_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { unpacked: 1 << 20, file: 1 << 20, entries: 10, pixels: 1 << 16 };
    let refuse = |name: &str, bytes: &[u8]| refusal_with(folder.path(), &write(folder.path(), name, bytes), limits);
    let zeros = vec![0; 50 << 20];
    let bomb = gzip(&zeros);
    assert!(bomb.len() < 60_000);
    insta::assert_snapshot!(refuse("a", &bomb), @"[folder]/a: it unpacks to more than 1048576 bytes; unpack it, if it can be trusted, and give the path of the folder");
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(zeros.len() as u64);
    builder.append_data(&mut header, "train/cat/1.png", zeros.as_slice()).unwrap();
    insta::assert_snapshot!(refuse("b", &gzip(&builder.into_inner().unwrap())), @"[folder]/b: it unpacks to more than 1048576 bytes; unpack it, if it can be trusted, and give the path of the folder");
    insta::assert_snapshot!(refuse("c", &zip_of("train_images.npy", &zeros)), @"[folder]/c: it unpacks to more than 1048576 bytes; unpack it, if it can be trusted, and give the path of the folder");
    insta::assert_snapshot!(refuse("d/train-images-idx3-ubyte", &bomb), @"[folder]/d/train-images-idx3-ubyte: it unpacks to more than 1048576 bytes; unpack it, if it can be trusted, and give the path of the folder");
    let small = Limits { file: 1000, ..limits };
    let packed = write(folder.path(), "g", &zip_of("train_images.npy", &zeros[..2000]));
    insta::assert_snapshot!(refusal_with(folder.path(), &packed, small), @"[folder]/g: entry `train_images.npy` has more than 1000 bytes; store it as several files");
    let names: Vec<String> = (0..11).map(|i| format!("train/cat/{i}.png")).collect();
    let mut builder = tar::Builder::new(Vec::new());
    for name in &names {
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        builder.append_data(&mut header, name, b"x".as_slice()).unwrap();
    }
    insta::assert_snapshot!(refuse("e", &builder.into_inner().unwrap()), @"[folder]/e: more than 10 files; give the path of a part of it");
    // An image of 60000x60000 pixels in a few hundred bytes.
    let mut png = Vec::new();
    image::DynamicImage::new_luma8(1, 1).write_to(&mut Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
    png[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let crc = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    write(folder.path(), "f/cat/1.png", &png);
    insta::assert_snapshot!(refusal_with(folder.path(), &folder.path().join("f"), limits), @r"
[folder]/f: 1 of 1 image files cannot be used:
  cat/1.png: 60000x60000 are more than 65536 pixels; make it smaller
replace or remove them, or leave them out with `--skip-damaged`
");
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[test]
fn damaged_archives_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(fixture("cifar-10-python.tar.gz")).unwrap();
    let refuse = |name: &str, bytes: &[u8]| refusal(folder.path(), &write(folder.path(), name, bytes));
    insta::assert_snapshot!(refuse("cut.tar.gz", &whole[..whole.len() / 2]), @"[folder]/cut.tar.gz, entry `cifar-10-batches-py/data_batch_1`: it cannot be unpacked (incomplete deflate stream); the file is damaged or incomplete, copy or download it again");
    insta::assert_snapshot!(refuse("checksum.tar.gz", &[&whole[..whole.len() - 8], &[0; 8]].concat()), @"[folder]/checksum.tar.gz, gzip data: it cannot be unpacked (corrupt gzip stream does not have a matching checksum); the file is damaged or incomplete, copy or download it again");
    let npz = std::fs::read(fixture("colour.npz")).unwrap();
    insta::assert_snapshot!(refuse("cut.npz", &npz[..npz.len() / 2]), @"[folder]/cut.npz, the zip directory: invalid Zip archive: Could not find EOCD; the file is damaged or incomplete, copy or download it again");
    insta::assert_snapshot!(refuse("plain.txt", b"hello, this is no data set"), @"[folder]/plain.txt is not a data set that can be read: `plain.txt`, which begins with the bytes 68 65 6c 6c 6f 2c 20 74; expected CIFAR-10/100 (binary or Python), ImageNet16 batches, idx files, NumPy arrays (.npz) of images and labels, or images in `train/<class>/` and `test/<class>/`");
    insta::assert_snapshot!(refuse("empty", b""), @"[folder]/empty is not a data set that can be read: `empty`, which begins with nothing: it is empty; expected CIFAR-10/100 (binary or Python), ImageNet16 batches, idx files, NumPy arrays (.npz) of images and labels, or images in `train/<class>/` and `test/<class>/`");
    insta::assert_snapshot!(refuse("page.tar.gz", b"<!DOCTYPE html><html>404</html>"), @"[folder]/page.tar.gz is not a data set that can be read: `page.tar.gz`, which begins with the bytes 3c 21 44 4f 43 54 59 50; expected CIFAR-10/100 (binary or Python), ImageNet16 batches, idx files, NumPy arrays (.npz) of images and labels, or images in `train/<class>/` and `test/<class>/`");
    std::fs::create_dir(folder.path().join("nothing")).unwrap();
    insta::assert_snapshot!(refusal(folder.path(), &folder.path().join("nothing")), @"[folder]/nothing is not a data set that can be read: it is empty; expected CIFAR-10/100 (binary or Python), ImageNet16 batches, idx files, NumPy arrays (.npz) of images and labels, or images in `train/<class>/` and `test/<class>/`");
    let links = write(folder.path(), "links/a.txt", b"");
    insta::assert_snapshot!(refusal(folder.path(), links.parent().unwrap()), @"[folder]/links is not a data set that can be read: `a.txt`, which begins with nothing: it is empty; expected CIFAR-10/100 (binary or Python), ImageNet16 batches, idx files, NumPy arrays (.npz) of images and labels, or images in `train/<class>/` and `test/<class>/`");
}

/// A folder of CIFAR-10's Python version whose first batch is replaced.
fn with_batch(folder: &Path, batch: &[u8]) -> PathBuf {
    let tar = flate2::read::GzDecoder::new(std::fs::File::open(fixture("cifar-10-python.tar.gz")).unwrap());
    tar::Archive::new(tar).unpack(folder).unwrap();
    write(folder, "cifar-10-batches-py/data_batch_1", batch);
    folder.join("cifar-10-batches-py")
}

#[test]
fn broken_cifar_is_told_with_file_and_place() {
    let folder = tempfile::tempdir().unwrap();
    let refuse = |batch: &[u8]| refusal(folder.path(), &with_batch(folder.path(), batch));
    // A pickle that would run a command, one that is cut, one with a wrong label, and ones without what is needed.
    insta::assert_snapshot!(refuse(b"cposix\nsystem\n(S'touch pwned'\ntR."), @"[folder]/cifar-10-batches-py/data_batch_1: the pickle asks for `posix.system` at byte 0, which is not plain data; nothing of it was executed, and a file that needs it cannot be read");
    let whole = {
        let path = with_batch(folder.path(), b"");
        std::fs::read(path.join("data_batch_2")).unwrap()
    };
    insta::assert_snapshot!(refuse(&whole[..5000]), @"[folder]/cifar-10-batches-py/data_batch_1: the pickle is cut off: it ends at byte 5000, 1367 bytes before the end of a piece of 6144 bytes; copy or download the file again");
    let label = whole.windows(3).position(|w| w == b"K\x02K").unwrap() + 1;
    let mut wrong = whole.clone();
    wrong[label] = 77;
    insta::assert_snapshot!(refuse(&wrong), @"[folder]/cifar-10-batches-py/data_batch_1, key `labels`: label 77 of image 0 is not within 0..=9; the file is damaged or incomplete, copy or download it again");
    insta::assert_snapshot!(refuse(b"]."), @"[folder]/cifar-10-batches-py/data_batch_1, the pickle: it holds a list, not a dictionary; the file is damaged or incomplete, copy or download it again");
    insta::assert_snapshot!(refuse(b"}."), @"[folder]/cifar-10-batches-py/data_batch_1, key `data`: there is no array; the file is damaged or incomplete, copy or download it again");
    insta::assert_snapshot!(refuse(b""), @"[folder]/cifar-10-batches-py/data_batch_1: the pickle is cut off: it ends at byte 0, before its STOP instruction; copy or download the file again");
    std::fs::remove_file(folder.path().join("cifar-10-batches-py/data_batch_4")).unwrap();
    write(folder.path(), "cifar-10-batches-py/data_batch_1", &whole);
    insta::assert_snapshot!(refusal(folder.path(), folder.path()), @"[folder], its files: `data_batch_4` is missing; the files of a data set must be together, copy or download it again");

    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "train.bin", &vec![1; 3074 + 100]);
    insta::assert_snapshot!(refusal(folder.path(), folder.path()), @"[folder]/train.bin, the end: 3174 bytes are not a whole number of records of 3074 bytes; the file is damaged or incomplete, copy or download it again");
    write(folder.path(), "train.bin", &vec![200; 3074]);
    insta::assert_snapshot!(refusal(folder.path(), folder.path()), @"[folder]/train.bin, record 0: label 200 is not within 0..=99; the file is damaged or incomplete, copy or download it again");
    write(folder.path(), "train.bin", &vec![1; 3074]);
    insta::assert_snapshot!(refusal(folder.path(), folder.path()), @"[folder], its files: `test.bin` is missing; the files of a data set must be together, copy or download it again");
    write(folder.path(), "test.bin", &vec![1; 3074]);
    write(folder.path(), "fine_label_names.txt", b"cat\ndog\n");
    insta::assert_snapshot!(refusal(folder.path(), folder.path()), @"[folder]/fine_label_names.txt, the class names: 2 class names, where CIFAR-100 has 100; the file is damaged or incomplete, copy or download it again");
}

#[test]
fn broken_idx_is_told_with_file_and_place() {
    let folder = tempfile::tempdir().unwrap();
    let refuse = |images: &[u8], labels: &[u8]| {
        write(folder.path(), "train-images-idx3-ubyte", images);
        write(folder.path(), "train-labels-idx1-ubyte", labels);
        refusal(folder.path(), folder.path())
    };
    let header = |n: u8, size: u8| [0, 0, 8, 3, 0, 0, 0, n, 0, 0, 0, size, 0, 0, 0, size];
    let images = [header(2, 9).as_slice(), &[5; 162]].concat();
    insta::assert_snapshot!(refuse(&images[..100], &[0, 0, 8, 1, 0, 0, 0, 2, 0, 1]), @"[folder]/train-images-idx3-ubyte, byte 16: 84 bytes of data for the shape [2, 9, 9]; the file is damaged or incomplete, copy or download it again");
    insta::assert_snapshot!(refuse(&images, &[0, 0, 8, 1, 0, 0, 0, 3, 0, 1, 2]), @"[folder]/train-labels-idx1-ubyte, byte 4: 3 labels for 2 images; the file is damaged or incomplete, copy or download it again");
    insta::assert_snapshot!(refuse(&images, &images), @"[folder]/train-labels-idx1-ubyte, byte 2: type 0x08 with 3 axes, where unsigned bytes (0x08) with 1 are expected; the file is damaged or incomplete, copy or download it again");
    insta::assert_snapshot!(refuse(b"not idx at all", &[0, 0, 8, 1, 0, 0, 0, 2, 0, 1]), @"[folder]/train-images-idx3-ubyte, byte 0: it does not begin like an idx file; the file is damaged or incomplete, copy or download it again");
    insta::assert_snapshot!(refuse(&[0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255], &[]), @"[folder]/train-images-idx3-ubyte, byte 16: 0 bytes of data for the shape [4294967295, 4294967295, 4294967295]; the file is damaged or incomplete, copy or download it again");
    // One class, and images too small to be used.
    insta::assert_snapshot!(refuse(&images, &[0, 0, 8, 1, 0, 0, 0, 2, 0, 0]), @"[folder]: 1 class; a classifier needs at least two");
    insta::assert_snapshot!(refuse(&[header(2, 2).as_slice(), &[5; 8]].concat(), &[0, 0, 8, 1, 0, 0, 0, 2, 0, 1]), @"[folder]: images of 2x2 pixels; 8 to 224 in each direction can be used");
    std::fs::remove_file(folder.path().join("train-labels-idx1-ubyte")).unwrap();
    insta::assert_snapshot!(refusal(folder.path(), folder.path()), @"[folder], its files: `train-labels-idx1-ubyte` is missing; the files of a data set must be together, copy or download it again");
}

#[test]
fn broken_npz_is_told_with_file_and_place() {
    let folder = tempfile::tempdir().unwrap();
    let refuse = |npy: &[u8]| refusal(folder.path(), &write(folder.path(), "a.npz", &zip_of("train_images.npy", npy)));
    let npy = |header: &str, data: &[u8]| {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    };
    insta::assert_snapshot!(refuse(b"not an array at all"), @"[folder]/a.npz, entry `train_images.npy`, byte 0: it does not begin like a .npy file; the file is damaged or incomplete, copy or download it again");
    insta::assert_snapshot!(refuse(&npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"")), @"[folder]/a.npz, entry `train_images.npy`, the header: elements of type `|O` are neither numbers nor text; store them as numbers, or labels as text");
    insta::assert_snapshot!(refuse(&npy("{'descr': '|u1', 'fortran_order': False, 'shape': (9, 8, 8), }", b"abc")), @"[folder]/a.npz, entry `train_images.npy`, the data: an array of shape [9, 8, 8] with 1 bytes per element has 3 bytes of data; the file is damaged or incomplete, copy or download it again");
    insta::assert_snapshot!(refuse(&npy("{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999, 99999999999), }", b"")), @"[folder]/a.npz, entry `train_images.npy`, the data: an array of shape [99999999999, 99999999999] with 1 bytes per element has 0 bytes of data; the file is damaged or incomplete, copy or download it again");
    insta::assert_snapshot!(refuse(&npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1), }", b"abcd")), @"[folder]/a.npz, entry `train_images.npy`, the array: values from 16777999408082104000000 to 16777999408082104000000: neither 0 to 1 nor 0 to 255; scale them to one of the two");
    insta::assert_snapshot!(refuse(&npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 1, 1, 1), }", b"a")), @"[folder]/a.npz, its files: `train_labels.npy` is missing; the files of a data set must be together, copy or download it again");
    insta::assert_snapshot!(refuse(&npy("{'descr': '|u1'", b"")), @"[folder]/a.npz, entry `train_images.npy`, the header: there is no element type; the file is damaged or incomplete, copy or download it again");
    insta::assert_snapshot!(refuse(b"\x93NUMPY\x01\x00\xff\xff{'descr'"), @"[folder]/a.npz, entry `train_images.npy`, byte 8: a header of 65535 bytes is not there; the file is damaged or incomplete, copy or download it again");
    let path = fixture("several-labels.npz");
    insta::assert_snapshot!(refusal(path.parent().unwrap(), &path), @"[folder]/several-labels.npz, entry `train_labels.npy`: labels of shape [2, 14] give several classes per image; only sets with one can be used");
}

#[test]
fn broken_image_trees_are_told_with_file_and_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut png = Vec::new();
    image::DynamicImage::new_rgb8(8, 8).write_to(&mut Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
    let refuse = || refusal(folder.path(), folder.path());
    write(folder.path(), "train/cat/1.png", &png);
    write(folder.path(), "train/dog/1.png", &png[..png.len() - 20]);
    insta::assert_snapshot!(refuse(), @r"
[folder]: 1 of 2 image files cannot be used:
  train/dog/1.png: cut off: the file ends before the image does
replace or remove them, or leave them out with `--skip-damaged`
");
    write(folder.path(), "train/dog/1.png", b"GIF89a, not what it says");
    insta::assert_snapshot!(refuse(), @r"
[folder]: 1 of 2 image files cannot be used:
  train/dog/1.png: 8236x28526 are more than 67108864 pixels; make it smaller
replace or remove them, or leave them out with `--skip-damaged`
");
    write(folder.path(), "train/dog/1.png", &png);
    write(folder.path(), "test/bird/1.png", &png);
    insta::assert_snapshot!(refuse(), @"[folder], its folders: the class `bird` has test images and no training images, and the classes `cat` and `dog` have training images and no test images; name the folders of `train` and `test` alike");
    std::fs::remove_dir_all(folder.path().join("test")).unwrap();
    write(folder.path(), "lonely.png", &png);
    insta::assert_snapshot!(refuse(), @"[folder], image `lonely.png`: it is not in a class folder; put each image at `train/<class>/`, `test/<class>/` or `<class>/`");
    std::fs::remove_file(folder.path().join("lonely.png")).unwrap();
    std::fs::remove_dir_all(folder.path().join("train/dog")).unwrap();
    insta::assert_snapshot!(refuse(), @"[folder]: 1 class; a classifier needs at least two");
    let mut tiny = Vec::new();
    image::DynamicImage::new_rgb8(4, 4).write_to(&mut Cursor::new(&mut tiny), image::ImageFormat::Png).unwrap();
    write(folder.path(), "train/cat/1.png", &tiny);
    insta::assert_snapshot!(refuse(), @"[folder]: images of 4x4 pixels; 8 to 224 in each direction can be used, so set an image size");
}

/// A small valid file of every format, as (name in a folder, bytes); the others are copied unchanged.
fn samples() -> Vec<Vec<(&'static str, Vec<u8>)>> {
    let file = |name: &str| std::fs::read(fixture(name)).unwrap();
    let mut png = Vec::new();
    image::DynamicImage::new_rgb8(8, 8).write_to(&mut Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
    let mut jpeg = Vec::new();
    image::DynamicImage::new_rgb8(8, 8).write_to(&mut Cursor::new(&mut jpeg), image::ImageFormat::Jpeg).unwrap();
    let mut webp = Vec::new();
    image::DynamicImage::new_rgb8(8, 8).write_to(&mut Cursor::new(&mut webp), image::ImageFormat::WebP).unwrap();
    let of = |format: image::ImageFormat| {
        let mut bytes = Vec::new();
        image::DynamicImage::new_rgb8(8, 8).write_to(&mut Cursor::new(&mut bytes), format).unwrap();
        bytes
    };
    let packed = weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8).encode(&[9; 64]).unwrap();
    let idx = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 8, 0, 0, 0, 8], [5; 128].as_slice()].concat();
    vec![
        vec![("a", file("cifar-10-python.tar.gz"))],
        vec![("a", file("cifar-100-python.tar.gz"))],
        vec![("a", file("imagenet16.tar.gz"))],
        vec![("a", file("colour.npz"))],
        vec![("a", tar_with(|_| ()))],
        vec![("train-images-idx3-ubyte", idx), ("train-labels-idx1-ubyte", vec![0, 0, 8, 1, 0, 0, 0, 2, 0, 1])],
        vec![("cat/1.png", png.clone()), ("dog/1.png", png.clone())],
        vec![("cat/1.jpg", jpeg), ("dog/1.png", png.clone())],
        vec![("cat/1.webp", webp), ("dog/1.png", png)],
        vec![("train.bin", vec![1; 3074]), ("test.bin", vec![1; 3074])],
        vec![("cat/1.bmp", of(image::ImageFormat::Bmp)), ("dog/1.png", of(image::ImageFormat::Png))],
        vec![("cat/1.gif", of(image::ImageFormat::Gif)), ("dog/1.png", of(image::ImageFormat::Png))],
        vec![("cat/1.pnm", of(image::ImageFormat::Pnm)), ("dog/1.png", of(image::ImageFormat::Png))],
        vec![("cat/1.tif", super::damage::tiff(8, 8, &[9; 64], &[])), ("dog/1.png", of(image::ImageFormat::Png))],
        vec![
            ("cat/1.tif", super::damage::tiff(8, 8, &packed, &[(259, 5), (317, 2)])),
            ("dog/1.png", of(image::ImageFormat::Png)),
        ],
        vec![("train.zip", zip_of("cat/1.png", &of(image::ImageFormat::Png))), ("test.zip", zip_of("cat/1.png", b"x"))],
    ]
}

/// Unpacks gzip, so that changes reach what is inside instead of its checksum.
fn unpacked(bytes: Vec<u8>) -> Vec<u8> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return bytes;
    }
    let mut out = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(bytes.as_slice()), &mut out).unwrap();
    out
}

fn try_open(files: &[(&str, Vec<u8>)]) {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        write(folder.path(), name, bytes);
    }
    let path = if files[0].0 == "a" { folder.path().join("a") } else { folder.path().into() };
    let limits = Limits { unpacked: 1 << 24, file: 1 << 24, entries: 100, pixels: 1 << 20 };
    let options = Options { limits, ..Options::default() };
    match open_with(&path.display().to_string(), &options) {
        Ok(set) => drop(crate::inspect(&set)),
        Err(error) => assert!(error.to_string().len() < 1000, "{error}"),
    }
}

/// How many inputs to try: `PROPTEST_CASES`, if set, for a longer run.
fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(400), failure_persistence: None, ..ProptestConfig::default() })]

    /// Any valid file with a few bytes changed, and perhaps cut, is read or refused.
    #[test]
    fn damaged_files_are_read_or_refused(
        which in 0..samples().len(),
        inside: bool,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut files = samples().swap_remove(which);
        let bytes = &mut files[0].1;
        if inside {
            *bytes = unpacked(std::mem::take(bytes));
        }
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(at) = cut {
            let at = at.index(bytes.len());
            bytes.truncate(at);
        }
        try_open(&files);
    }

    /// Anything behind the first bytes of every container is read or refused.
    #[test]
    fn any_bytes_are_read_or_refused(
        magic in proptest::sample::select(vec![
            b"".to_vec(), b"PK\x03\x04".to_vec(), b"PK\x05\x06".to_vec(), vec![0x1f, 0x8b, 8, 0],
            b"\xfd7zXZ\0".to_vec(), b"BZh9".to_vec(), b"\x93NUMPY\x01\0".to_vec(), b"\x80\x02}".to_vec(),
        ]),
        rest in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        try_open(&[("a", [magic, rest].concat())]);
    }
}
