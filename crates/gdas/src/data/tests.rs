#![allow(clippy::unwrap_used)]

mod batches;
mod splits;

use std::sync::Arc;

use super::dataset::{Dataset, Files, Format, Images, Statistics};

/// A data set without any file: image `i` has the pixel value `i` everywhere, and class `i % classes`.
fn plain(train: usize, test: usize, size: usize, classes: usize) -> Dataset {
    let images = |n: usize| {
        Arc::new(Images {
            height: size,
            width: size,
            channels: 1,
            pixels: (0..n).flat_map(|i| vec![i as u8; size * size]).collect(),
            labels: (0..n).map(|i| (i % classes) as u32).collect(),
        })
    };
    Dataset {
        name: "plain".into(),
        format: Format::Images,
        classes: (0..classes).map(|class| class.to_string()).collect(),
        train: images(train),
        test: (test > 0).then(|| images(test)),
        held_out: false,
        files: Files::default(),
        statistics: Statistics { mean: vec![0.0], std: vec![1.0], published: false },
        flip: true,
        notes: Vec::new(),
    }
}
