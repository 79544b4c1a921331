use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::data::augment::Normalise;
use crate::data::{
    Augmentation, Batch, BatchOptions, BatchSource, EvaluationBatches, Position, Prefetch, SPLIT_SEED, Sampling,
    SearchBatches, SearchSplit, SplitRule, Subset, TrainBatches,
};
use crate::rng::{Rng, Stream};

fn search(set: &Dataset, batch_size: usize, seed: u64) -> SearchBatches {
    let split = SearchSplit::new(set, SplitRule::Halves, SPLIT_SEED).unwrap();
    SearchBatches::new(set, &split, &BatchOptions::for_dataset(set, batch_size), seed)
}

/// The image numbers in a batch of [`plain`] data without augmentation.
fn numbers(batch: &Batch) -> Vec<u32> {
    let n = batch.height * batch.width * batch.channels;
    batch.images.chunks_exact(n).map(|image| image[0] as u32).collect()
}

#[test]
fn a_batch_is_a_function_of_seed_epoch_and_step() {
    let set = plain(50, 0, 8, 5);
    let (one, two) = (search(&set, 8, 3), search(&set, 8, 3));
    // In another order, in other memory: the same bits.
    let mut reused = one.batch(7, 1);
    for (epoch, step) in [(0, 0), (2, 3), (1, 0), (2, 0)] {
        one.fill(&mut reused, epoch, step);
        assert_eq!(reused, two.batch(epoch, step));
    }
    assert_ne!(one.batch(0, 0).weights, one.batch(1, 0).weights);
    assert_ne!(one.batch(0, 0).alpha, one.batch(0, 1).alpha);
    assert_ne!(one.batch(0, 0).weights, search(&set, 8, 4).batch(0, 0).weights);
}

#[test]
fn an_epoch_sees_every_training_image_once_and_draws_from_the_held_out_half() {
    let set = plain(50, 0, 8, 5);
    let split = SearchSplit::new(&set, SplitRule::Halves, SPLIT_SEED).unwrap();
    let options = BatchOptions {
        batch_size: 8,
        drop_last: false,
        augmentation: Augmentation::none(),
        sampling: Sampling::Uniform,
    };
    let batches = SearchBatches::new(&set, &split, &options, 1);
    assert_eq!(batches.steps(), 4);
    let (mut seen, mut drawn) = (Vec::new(), Vec::new());
    for step in 0..4 {
        let pair = batches.batch(0, step);
        assert_eq!(pair.weights.len(), if step < 3 { 8 } else { 1 }, "the last batch is kept, and is partial");
        assert_eq!(pair.alpha.shape(), pair.weights.shape());
        for (number, label) in numbers(&pair.weights).iter().zip(&pair.weights.labels) {
            assert_eq!(number % 5, *label);
        }
        seen.extend(numbers(&pair.weights));
        drawn.extend(numbers(&pair.alpha));
    }
    let order = seen.clone();
    seen.sort_unstable();
    assert_eq!(seen, split.weights.indices.to_vec());
    assert_ne!(order, seen, "shuffled");
    assert!(drawn.iter().all(|number| split.alpha.indices.contains(number)));
    // With replacement: 25 draws from 25 images are all different with probability 25!/25^25 = 2e-10.
    drawn.sort_unstable();
    drawn.dedup();
    assert!(drawn.len() < 25);

    let dropped = SearchBatches::new(&set, &split, &BatchOptions { drop_last: true, ..options }, 1);
    assert_eq!(dropped.steps(), 3);
}

#[test]
fn held_out_images_are_drawn_uniformly() {
    let set = plain(40, 0, 8, 2);
    let split = SearchSplit::new(&set, SplitRule::Halves, SPLIT_SEED).unwrap();
    let options = BatchOptions {
        batch_size: 20,
        drop_last: false,
        augmentation: Augmentation::none(),
        sampling: Sampling::Uniform,
    };
    let batches = SearchBatches::new(&set, &split, &options, 5);
    let mut counts = [0.0f64; 40];
    for epoch in 0..500 {
        for number in numbers(&batches.batch(epoch, 0).alpha) {
            counts[number as usize] += 1.0;
        }
    }
    let chi2: f64 = split.alpha.indices.iter().map(|&i| (counts[i as usize] - 500.0).powi(2) / 500.0).sum();
    // 19 degrees of freedom; 43.8 is exceeded with probability 0.001.
    assert!(chi2 < 43.8, "{chi2}");
}

#[test]
fn evaluation_goes_through_everything_in_order() {
    let set = plain(5, 0, 8, 2);
    let statistics = Statistics { mean: vec![1.0], std: vec![2.0], published: false };
    let subset = Subset { images: set.train.clone(), indices: [4, 1, 3].into() };
    let batches = EvaluationBatches::new(&statistics, &subset, 2);
    assert_eq!(batches.steps(), 2);
    let (first, last) = (batches.batch(0), batches.batch(1));
    assert_eq!((first.images[0], first.images[64]), (1.5, 0.0));
    assert_eq!((first.labels.as_slice(), last.labels.as_slice()), ([0, 1].as_slice(), [1].as_slice()));
    assert!(batches.batch(2).is_empty());
}

/// One image of `size` x `size` x `channels` whose pixels are all different.
fn single(size: usize, channels: usize) -> Images {
    let pixels = (0..size * size * channels).map(|i| (i + 1) as u8).collect();
    Images { height: size, width: size, channels, pixels, labels: vec![0] }
}

fn identity(channels: usize) -> Normalise {
    Normalise::new(&Statistics { mean: vec![0.0; channels], std: vec![1.0; channels], published: false })
}

fn augmented(images: &Images, augmentation: Augmentation, count: u64) -> Vec<Vec<f32>> {
    let normalise = identity(images.channels);
    (0..count)
        .map(|i| {
            let mut out = Vec::new();
            let change = augmentation.draw(images.height, images.width, &mut Rng::new(1, Stream::Augment, i));
            normalise.push(images, 0, augmentation.frame(), &change, &mut out);
            out
        })
        .collect()
}

#[test]
fn flips_mirror_in_half_of_the_cases() {
    let images = single(8, 3);
    let flip = Augmentation { flip: true, ..Augmentation::none() };
    let plain: Vec<f32> = images.pixels.iter().map(|&v| f32::from(v)).collect();
    let mut mirrored: Vec<f32> = Vec::new();
    for row in plain.chunks_exact(24) {
        mirrored.extend(row.chunks_exact(3).rev().flatten());
    }
    let results = augmented(&images, flip, 1000);
    let flipped = results.iter().filter(|result| **result == mirrored).count();
    assert_eq!(flipped + results.iter().filter(|result| **result == plain).count(), 1000);
    assert!((450..550).contains(&flipped), "{flipped}");
}

#[test]
fn crops_shift_by_up_to_the_padding_and_fill_with_black() {
    let images = single(8, 1);
    let crop = Augmentation { crop_padding: 2, ..Augmentation::none() };
    let mut shifts = std::collections::BTreeSet::new();
    for result in augmented(&images, crop, 500) {
        // Exactly one shift explains every pixel.
        let explains = |dy: i32, dx: i32| {
            (0..64).all(|at| {
                let (y, x) = (at / 8 + dy, at % 8 + dx);
                let inside = (0..8).contains(&y) && (0..8).contains(&x);
                result[at as usize] == if inside { (y * 8 + x + 1) as f32 } else { 0.0 }
            })
        };
        let found: Vec<_> =
            (-2..=2).flat_map(|dy| (-2..=2).map(move |dx| (dy, dx))).filter(|&(y, x)| explains(y, x)).collect();
        assert_eq!(found.len(), 1);
        shifts.insert(found[0]);
    }
    assert_eq!(shifts.len(), 25, "every shift occurs");
}

#[test]
fn padding_is_black_before_normalisation_and_cutout_is_the_mean_after_it() {
    let images = Images { height: 8, width: 8, channels: 1, pixels: vec![50; 64], labels: vec![0] };
    let normalise = Normalise::new(&Statistics { mean: vec![40.0], std: vec![10.0], published: false });
    let both = Augmentation { flip: false, crop_padding: 4, cutout: 4 };
    let mut values = std::collections::BTreeSet::new();
    for i in 0..50 {
        let mut out = Vec::new();
        let change = both.draw(8, 8, &mut Rng::new(1, Stream::Augment, i));
        normalise.push(&images, 0, both.frame(), &change, &mut out);
        let zeros = out.iter().filter(|v| **v == 0.0).count();
        assert!((4..=16).contains(&zeros), "a square of 4, or what the edges leave of it: {zeros}");
        values.extend(out.iter().map(|v| v.to_bits()));
    }
    assert_eq!(values, [1.0f32, 0.0, -4.0].map(f32::to_bits).into());
}

#[test]
fn usual_augmentation_goes_with_the_size() {
    assert_eq!(Augmentation::standard(32, true), Augmentation { flip: true, crop_padding: 4, cutout: 0 });
    assert_eq!(Augmentation::standard(16, true).crop_padding, 2);
    assert_eq!(Augmentation::standard(8, false).crop_padding, 1);
    assert_eq!(Augmentation::standard(32, true).with_cutout(32).cutout, 16);
}

#[test]
fn prefetching_goes_on_from_anywhere_and_ends() {
    let set = plain(50, 0, 8, 5);
    let direct = search(&set, 8, 3);
    let mut ahead = Prefetch::start(search(&set, 8, 3), Position { epoch: 1, step: 2 }, 3).unwrap();
    let mut at = Position { epoch: 1, step: 2 };
    while at.epoch < 3 {
        let (position, batch) = ahead.next().unwrap().unwrap();
        assert_eq!((position, &batch), (at, &direct.batch(at.epoch, at.step)));
        ahead.recycle(batch);
        at = at.next(direct.steps());
    }
    assert!(ahead.next().is_none());
    // A position behind the last step is the beginning of the next epoch.
    let mut late = Prefetch::start(search(&set, 8, 3), Position { epoch: 0, step: 4 }, 2).unwrap();
    assert_eq!(late.next().unwrap().unwrap().0, Position { epoch: 1, step: 0 });
    // Dropped with batches waiting: the worker ends, or this test would hang.
    drop(late);
}

/// A source that counts the batches it makes, and panics on request.
struct Counting {
    made: Arc<AtomicU64>,
    panics_at: u64,
}

impl BatchSource for Counting {
    type Batch = u64;

    fn steps(&self) -> u64 {
        20
    }

    fn fill(&self, batch: &mut u64, _: u64, step: u64) {
        assert!(step != self.panics_at, "no such image");
        *batch = step;
        self.made.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn batches_are_made_before_they_are_asked_for_and_not_without_end() {
    let made = Arc::new(AtomicU64::new(0));
    let source = Counting { made: made.clone(), panics_at: 99 };
    let mut ahead = Prefetch::start(source, Position::START, 1).unwrap();
    let most = Prefetch::<u64>::AHEAD as u64 + 1;
    for taken in 0..10 {
        // The queue is full, and one more batch waits for a place in it.
        let start = Instant::now();
        while made.load(Ordering::SeqCst) < taken + most {
            assert!(start.elapsed() < Duration::from_secs(20), "only {} made", made.load(Ordering::SeqCst));
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(3));
        assert_eq!(made.load(Ordering::SeqCst), taken + most);
        assert_eq!(ahead.next().unwrap().unwrap().1, taken);
    }
}

#[test]
fn a_panic_in_the_worker_is_an_error_and_no_hang() {
    let source = Counting { made: Arc::default(), panics_at: 2 };
    let results: Vec<_> = Prefetch::start(source, Position::START, 1).unwrap().collect();
    assert_eq!(results.len(), 3);
    insta::assert_snapshot!(results[2].as_ref().unwrap_err(), @"the thread that prepares batches failed at epoch 0, step 2: no such image");
}

/// Prints the time per batch of the search at its usual sizes.
#[test]
#[ignore = "a measurement"]
fn time_per_batch() {
    let set = plain(5000, 0, 32, 10);
    let images =
        Arc::new(Images { channels: 3, width: 32, height: 32, pixels: vec![7; 5000 * 3072], ..(*set.train).clone() });
    let statistics = Statistics::of(&images);
    let set = Dataset { train: images, statistics, ..set };
    let options = BatchOptions::for_dataset(&set, 64);
    let batches = TrainBatches::new(&set, &Subset::all(&set.train), &options, 1);
    let mut batch = Batch::default();
    let start = Instant::now();
    for step in 0..70 {
        batches.fill(&mut batch, 0, step);
    }
    eprintln!("{:?} per batch of 64x32x32x3", start.elapsed() / 70);
}
