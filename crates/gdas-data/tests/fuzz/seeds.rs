//! Whole inputs of every kind, small ones, to begin from.

use std::fs;
use std::io::{Cursor, Read};
use std::path::Path;

use image::{DynamicImage, ImageFormat};

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

pub(crate) fn pickles() -> Vec<Vec<u8>> {
    (0..=5).map(|protocol| fixture(&format!("pickle/everything.{protocol}.pkl"))).collect()
}

fn unpacked(name: &str) -> Vec<u8> {
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(fixture(name).as_slice()).read_to_end(&mut tar).unwrap();
    tar
}

/// Packed ones for the unpackers, unpacked ones so that a change gets through to what is inside.
pub(crate) fn archives() -> Vec<Vec<u8>> {
    let names = ["data/cifar-10-python.tar.gz", "data/cifar-100-python.tar.gz", "data/imagenet16.tar.gz"];
    let mut seeds: Vec<_> = names.iter().map(|name| fixture(name)).collect();
    seeds.extend(names.iter().map(|name| unpacked(name)));
    seeds.extend([fixture("data/colour.npz"), fixture("data/several-labels.npz")]);
    let image = images().swap_remove(0);
    let mut builder = tar::Builder::new(Vec::new());
    for name in ["train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(image.len() as u64);
        builder.append_data(&mut header, name, image.as_slice()).unwrap();
    }
    seeds.push(builder.into_inner().unwrap());
    seeds
}

/// Two images a class of CIFAR-10's binary version.
pub(crate) fn cifar_binary() -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    for label in (0..10).chain(0..10) {
        bytes.push(label);
        bytes.extend((0..3072_u32).map(|i| (i * 7) as u8));
    }
    vec![bytes]
}

/// Images and labels.
pub(crate) fn idx_files() -> [Vec<u8>; 2] {
    let mut images = vec![0, 0, 8, 3, 0, 0, 0, 20, 0, 0, 0, 8, 0, 0, 0, 8];
    images.extend((0..20 * 64_u32).map(|i| (i * 5) as u8));
    let mut labels = vec![0, 0, 8, 1, 0, 0, 0, 20];
    labels.extend((0..20).map(|i| i % 4));
    [images, labels]
}

pub(crate) fn idx() -> Vec<Vec<u8>> {
    idx_files().to_vec()
}

/// Images and labels.
pub(crate) fn npy_files() -> [Vec<u8>; 2] {
    let file = |shape: &str, length: usize| {
        let mut header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape}), }}");
        while (10 + header.len() + 1) % 64 != 0 {
            header.push(' ');
        }
        header.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.bytes());
        bytes.extend((0..length).map(|i| (i % 3) as u8));
        bytes
    };
    [file("20, 8, 8", 20 * 64), file("20, 1", 20)]
}

pub(crate) fn npy() -> Vec<Vec<u8>> {
    npy_files().to_vec()
}

/// PNG in grey and colour, JPEG, WebP.
pub(crate) fn images() -> Vec<Vec<u8>> {
    let pixels = |n: usize| (0..n).map(|i| (i * 31) as u8).collect::<Vec<u8>>();
    let grey = DynamicImage::ImageLuma8(image::GrayImage::from_raw(12, 10, pixels(120)).unwrap());
    let colour = DynamicImage::ImageRgb8(image::RgbImage::from_raw(12, 10, pixels(360)).unwrap());
    let write = |image: &DynamicImage, format| {
        let mut bytes = Vec::new();
        image.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
        bytes
    };
    vec![
        write(&grey, ImageFormat::Png),
        write(&colour, ImageFormat::Png),
        write(&colour, ImageFormat::Jpeg),
        write(&colour, ImageFormat::WebP),
    ]
}
