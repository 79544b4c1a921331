//! NumPy arrays in every layout and type that can be told apart, and the reason where not.

use std::io::Write;

use super::*;

/// A `.npy` file.
fn npy(descr: &str, shape: &[usize], data: &[u8]) -> Vec<u8> {
    let shape: Vec<String> = shape.iter().map(ToString::to_string).collect();
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({},), }}\n", shape.join(", "));
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        writer.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

const N: usize = 6;

/// Bytes of colour images `[6, 8, 8, 3]`, in which 0 and 255 occur.
fn colours() -> Vec<u8> {
    (0..N * 8 * 8 * 3).map(|i| if i % 7 == 0 { 255 } else { (i * 5 % 251) as u8 }).collect()
}

fn int_labels() -> Vec<u8> {
    [0i64, 1, 2, 0, 1, 2].iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn open_arrays(arrays: &[(&str, Vec<u8>)]) -> Result<Dataset, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.npz", &npz(arrays));
    read(&path).map_err(|error| error.to_string().replace(&folder.path().display().to_string(), "[folder]"))
}

fn with_images(images: Vec<u8>) -> Result<Dataset, String> {
    open_arrays(&[("train_images", images), ("train_labels", npy("<i8", &[N], &int_labels()))])
}

fn with_labels(labels: Vec<u8>) -> Result<Dataset, String> {
    open_arrays(&[("train_images", npy("|u1", &[N, 8, 8, 3], &colours())), ("train_labels", labels)])
}

#[test]
fn images_of_every_layout_and_type_are_the_same_bytes() {
    let plain = with_images(npy("|u1", &[N, 8, 8, 3], &colours())).unwrap();
    assert_eq!(*plain.train.pixels, *colours());
    let planes: Vec<u8> = (0..N)
        .flat_map(|n| (0..3).flat_map(move |c| (0..64).map(move |at| (n, c, at))))
        .map(|(n, c, at)| colours()[(n * 64 + at) * 3 + c])
        .collect();
    let rgba: Vec<u8> = colours().chunks(3).flat_map(|p| [p[0], p[1], p[2], 255]).collect();
    let unit = |v: u8| f64::from(v) / 255.0;
    let each = |f: &dyn Fn(u8) -> Vec<u8>| -> Vec<u8> { colours().into_iter().flat_map(f).collect() };
    for (what, array) in [
        ("channels first", npy("|u1", &[N, 3, 8, 8], &planes)),
        ("alpha", npy("|u1", &[N, 8, 8, 4], &rgba)),
        ("0..1 in 32 bits", npy("<f4", &[N, 8, 8, 3], &each(&|v| (unit(v) as f32).to_le_bytes().into()))),
        ("0..1 in 64 bits", npy(">f8", &[N, 8, 8, 3], &each(&|v| unit(v).to_be_bytes().into()))),
        ("0..255 in floats", npy("<f4", &[N, 8, 8, 3], &each(&|v| f32::from(v).to_le_bytes().into()))),
        ("0..255 in integers", npy("<i4", &[N, 8, 8, 3], &each(&|v| i32::from(v).to_le_bytes().into()))),
    ] {
        assert_eq!(with_images(array).unwrap_or_else(|e| panic!("{what}: {e}")).digest(), plain.digest(), "{what}");
    }
    // Floats of 16 bits: 1.0, 0.5 and 0.0.
    let halves: Vec<u8> = [0x3c00u16, 0x3800, 0].iter().cycle().take(N * 64).flat_map(|v| v.to_le_bytes()).collect();
    let set = with_images(npy("<f2", &[N, 1, 8, 8], &halves)).unwrap();
    assert_eq!((&set.train.pixels[..4], set.train.channels), ([255, 128, 0, 255].as_slice(), 1));
    let set = with_images(npy("|b1", &[N, 8, 8], &[1; N * 64])).unwrap();
    assert!(set.train.pixels.iter().all(|&v| v == 255));
}

#[test]
fn labels_of_every_type_are_classes() {
    let plain = with_labels(npy("<i8", &[N], &int_labels())).unwrap();
    assert_eq!(plain.train.labels, [0, 1, 2, 0, 1, 2]);
    let one_hot = |one: &[u8], zero: &[u8]| -> Vec<u8> {
        (0..N).flat_map(|n| (0..3).flat_map(move |c| if n % 3 == c { one.to_vec() } else { zero.to_vec() })).collect()
    };
    let floats: Vec<u8> = [0f32, 1.0, 2.0, 0.0, 1.0, 2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    for (what, labels) in [
        ("one-hot bytes", npy("|u1", &[N, 3], &one_hot(&[1], &[0]))),
        ("one-hot booleans", npy("|b1", &[N, 3], &one_hot(&[1], &[0]))),
        ("one-hot floats", npy("<f4", &[N, 3], &one_hot(&1f32.to_le_bytes(), &[0; 4]))),
        ("whole floats", npy("<f4", &[N, 1], &floats)),
        ("bytes in a row", npy("|u1", &[1, N], &[0, 1, 2, 0, 1, 2])),
    ] {
        let set = with_labels(labels).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(set.digest(), plain.digest(), "{what}");
    }
    let text: Vec<u8> = "dogantcatdogantcat".chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
    let set = with_labels(npy("<U3", &[N], &text)).unwrap();
    assert_eq!(
        (set.classes.join(" "), set.train.labels.as_slice()),
        ("ant cat dog".into(), [2, 0, 1, 2, 0, 1].as_slice())
    );
    let set = with_labels(npy("|S4", &[N], b"b\0\0\0a\0\0\0b\0\0\0a\0\0\0b\0\0\0a\0\0\0")).unwrap();
    assert_eq!((set.classes.join(" "), set.train.labels.as_slice()), ("a b".into(), [1, 0, 1, 0, 1, 0].as_slice()));
    // Classes counted from 1, and -1 against 1.
    let set = with_labels(npy("|u1", &[N], &[1, 2, 3, 1, 2, 3])).unwrap();
    assert_eq!((set.classes.join(" "), set.train.labels.as_slice()), ("1 2 3".into(), [0, 1, 2, 0, 1, 2].as_slice()));
    let set = with_labels(npy("|i1", &[N], &[255, 1, 1, 255, 255, 1])).unwrap();
    assert_eq!((set.classes.join(" "), set.train.labels.as_slice()), ("-1 1".into(), [0, 1, 1, 0, 0, 1].as_slice()));
}

#[test]
fn arrays_go_by_their_names() {
    let images = || npy("|u1", &[N, 8, 8, 3], &colours());
    let labels = || npy("<i8", &[N], &int_labels());
    let set = open_arrays(&[("x_train", images()), ("y_train", labels()), ("x_test", images()), ("y_test", labels())]);
    assert_eq!(set.unwrap().test.map(|test| test.len()), Some(N), "Keras");
    let set = open_arrays(&[("images", images()), ("labels", labels())]).unwrap();
    assert_eq!((set.train.len(), set.test), (N, None));
    insta::assert_snapshot!(open_arrays(&[("arr_0", images()), ("arr_1", labels())]).unwrap_err(), @"[folder]/a.npz is not a data set that can be read: arrays such as `arr_0`; call them `train_images` and `train_labels`, `test_images` and `test_labels`; expected CIFAR-10/100 (binary or Python), ImageNet16 batches, idx files, NumPy arrays (.npz) of images and labels, or images in `train/<class>/` and `test/<class>/`");
    // Two files side by side.
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "train.npz", &npz(&[("images", images()), ("labels", labels())]));
    write(folder.path(), "test.npz", &npz(&[("images", images()), ("labels", labels())]));
    assert_eq!(read(folder.path()).unwrap().test.map(|test| test.len()), Some(N));
}

#[test]
fn arrays_that_are_no_images_are_refused_with_the_reason() {
    let f4 =
        |values: [f32; 2]| -> Vec<u8> { values.iter().cycle().take(N * 64).flat_map(|v| v.to_le_bytes()).collect() };
    let images = |array: Vec<u8>| with_images(array).unwrap_err();
    insta::assert_snapshot!(images(npy("<f4", &[N, 8, 8], &f4([-1.0, 1.0]))), @"[folder]/a.npz, entry `train_images.npy`, the array: values from -1 to 1: neither 0 to 1 nor 0 to 255; scale them to one of the two");
    insta::assert_snapshot!(images(npy("<f4", &[N, 8, 8], &f4([0.0, 1.5]))), @"[folder]/a.npz, entry `train_images.npy`, the array: values from 0 to 1.5: neither 0 to 1 nor 0 to 255; scale them to one of the two");
    insta::assert_snapshot!(images(npy("<f4", &[N, 8, 8], &f4([0.0, f32::NAN]))), @"[folder]/a.npz, entry `train_images.npy`, the array: there are values that are not finite; store numbers from 0 to 1 or from 0 to 255");
    insta::assert_snapshot!(images(npy("<u2", &[N, 8, 8], &[0xff; N * 128])), @"[folder]/a.npz, entry `train_images.npy`, the array: values from 65535 to 65535: neither 0 to 1 nor 0 to 255; scale them to one of the two");
    insta::assert_snapshot!(images(npy("|u1", &[N, 64], &[7; N * 64])), @"[folder]/a.npz, entry `train_images.npy`, the array: shape [6, 64] is not that of grey or colour images; store them as [n, height, width] or [n, height, width, channels]");
    insta::assert_snapshot!(images(npy("|u1", &[8, 8, 3, N], &colours())), @"[folder]/a.npz, entry `train_images.npy`, the array: shape [8, 8, 3, 6] is not that of grey or colour images; store them as [n, height, width] or [n, height, width, channels]");
    insta::assert_snapshot!(images(npy("<c8", &[N, 8, 8], &[0; N * 512])), @"[folder]/a.npz, entry `train_images.npy`, the array: elements of kind `c` in 8 bytes are not pixels; store them as unsigned bytes");
    let labels = |array: Vec<u8>| with_labels(array).unwrap_err();
    insta::assert_snapshot!(labels(npy("<f4", &[N], &f4([0.5, 1.0])[..4 * N])), @"[folder]/a.npz, entry `train_labels.npy`, the array: labels that are not integers; store the number of one class for each image");
    insta::assert_snapshot!(labels(npy("<f4", &[N, 2], &f4([0.5, 0.5])[..8 * N])), @"[folder]/a.npz, entry `train_labels.npy`, the array: shares of several classes for each image; store the number of one class for each image");
    insta::assert_snapshot!(labels(npy("|u1", &[N, 2], &[1; 2 * N])), @"[folder]/a.npz, entry `train_labels.npy`: labels of shape [6, 2] give several classes per image; only sets with one can be used");
    insta::assert_snapshot!(labels(npy("|u1", &[N - 1], &[1; N - 1])), @"[folder]/a.npz, entry `train_labels.npy`, the array: labels of shape [5] for 6 images; store one label for each image");
    let (bytes, floats) = (npy("|u1", &[N, 8, 8], &[7; N * 64]), npy("<f4", &[N, 8, 8], &f4([0.0, 1.0])));
    let labels = || npy("<i8", &[N], &int_labels());
    let arrays = [("x_train", bytes), ("y_train", labels()), ("x_test", floats), ("y_test", labels())];
    insta::assert_snapshot!(open_arrays(&arrays).unwrap_err(), @"[folder]/a.npz, entry `x_test.npy`, the array: values from 0 to 1, those of the training images from 0 to 255; scale both alike");
}
