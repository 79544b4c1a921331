#![allow(clippy::unwrap_used)]
use burn::tensor::{Device, Tensor};

use super::{lengths, sent, shards, split};
use crate::config::{Layer, SearchConfig, resolve};
use crate::data::{self, Batch, BatchOptions, Dataset, Position, SPLIT_SEED, SearchBatches, SearchSplit, SplitRule};
use crate::loss::Metrics;
use crate::search::pass::{GradTargets, PassOutput};
use crate::search::progress::{Half, Progress};
use crate::search::regularise::skip_masks;
use crate::search::searcher::Searcher;
use crate::supernet::SubNetwork;
use crate::weights::host;

/// The whole mixture, with skip connections that can be dropped: every kind of tensor that can be split.
fn config() -> SearchConfig {
    let text = "preset = \"smoke\"\nalgorithm = \"darts-v1\"\nchannels = 2\nalpha_init_std = 1.0\nseed = 5\n\
                track_running_stats = true\nskip_dropout = 0.5\n";
    resolve(&[Layer::file("test", text).unwrap()]).unwrap()
}

fn batch(dataset: &Dataset, images: usize) -> Batch {
    let split = SearchSplit::new(dataset, SplitRule::Halves, SPLIT_SEED).unwrap();
    SearchBatches::new(dataset, &split, &BatchOptions::for_dataset(dataset, images), 0).batch(0, 0).weights
}

/// Some images of a batch.
fn part(batch: &Batch, shard: std::ops::Range<usize>) -> Batch {
    let image = batch.images.len() / batch.len();
    Batch {
        images: batch.images[shard.start * image..shard.end * image].to_vec(),
        labels: batch.labels[shard].to_vec(),
        ..batch.clone()
    }
}

/// A batch of the images of both.
fn joined(a: &Batch, b: &Batch) -> Batch {
    let (images, labels) = ([&a.images[..], &b.images].concat(), [&a.labels[..], &b.labels].concat());
    Batch { images, labels, ..a.clone() }
}

struct Setting {
    dataset: Dataset,
    config: SearchConfig,
}

impl Setting {
    fn new() -> Self {
        Self { dataset: data::digits().hold_out(0.2), config: config() }
    }

    fn searcher(&self, devices: usize) -> Searcher {
        let searcher = Searcher::new(&self.config, &self.dataset, &Device::flex()).unwrap();
        searcher.on_devices(&vec![Device::flex(); devices])
    }

    /// A pass with masks, on the given number of devices.
    fn differentiate(&self, devices: usize, batch: &Batch, of: GradTargets) -> Plain {
        let searcher = self.searcher(devices);
        let masks = masks(&searcher, &searcher.supernet.mixture(), batch.len());
        plain(differentiate(&searcher, batch, masks, of))
    }
}

fn masks(searcher: &Searcher, net: &SubNetwork, images: usize) -> Option<Tensor<2>> {
    let progress = Progress { at: Position::START, step: 0, epochs: 1, tau: 1.0, learning_rate: 0.0 };
    skip_masks(&searcher.config, net, &progress, Half::Training, images, &Device::flex())
}

fn differentiate(searcher: &Searcher, batch: &Batch, masks: Option<Tensor<2>>, of: GradTargets) -> PassOutput {
    let net = searcher.supernet.mixture();
    let gates = searcher.supernet.mixture_gates(&searcher.alpha);
    searcher.pass(&net, searcher.weights_of(&net), gates, masks, batch, of)
}

/// The result of a pass, as numbers.
#[derive(Clone, Debug, PartialEq)]
struct Plain {
    metrics: Metrics,
    gates: Vec<f32>,
    weights: Vec<Option<Vec<f32>>>,
    stats: Vec<Vec<f32>>,
}

fn plain(pass: PassOutput) -> Plain {
    let flat = |stats: &Tensor<2>| host(&stats.clone().reshape([stats.dims()[0] * stats.dims()[1]]));
    Plain {
        metrics: pass.metrics.get(),
        gates: pass.gate_gradient.get(),
        weights: pass.weight_gradients.iter().map(|weight| weight.as_ref().map(host)).collect(),
        stats: pass.statistics.iter().map(flat).collect(),
    }
}

fn assert_close(a: &[f32], b: &[f32], tolerance: f32, what: &str) {
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(0f32, |most, x| most.max(x.abs())).max(1e-3);
    for (i, (x, y)) in a.iter().zip(b).enumerate() {
        assert!((x - y).abs() <= tolerance * scale, "{what}[{i}]: {x} and {y}");
    }
}

#[test]
fn shards_are_contiguous_and_as_equal_as_can_be() {
    let of = |images, devices| shards(images, devices).iter().map(|s| (s.start, s.end)).collect::<Vec<_>>();
    assert_eq!(of(8, 1), [(0, 8)]);
    assert_eq!(of(8, 2), [(0, 4), (4, 8)]);
    assert_eq!(of(8, 3), [(0, 3), (3, 6), (6, 8)]);
    assert_eq!(of(2, 3), [(0, 1), (1, 2)]);
    assert_eq!(of(0, 4), [(0, 0)]);
    for images in 1..40 {
        for devices in 1..9 {
            let shards = shards(images, devices);
            assert_eq!(shards.len(), devices.min(images));
            assert_eq!(shards.iter().cloned().flatten().collect::<Vec<_>>(), (0..images).collect::<Vec<_>>());
            assert!(shards.iter().all(|shard| shard.len().abs_diff(shards[0].len()) <= 1), "{shards:?}");
        }
    }
}

/// What several devices compute of a batch is the mean, weighted by size and summed in order, of what one device computes
/// of each shard with its own part of the masks. Bit for bit; equal and unequal shards.
#[test]
fn gradients_are_the_weighted_mean_of_the_shards_own() {
    let setting = Setting::new();
    let one = setting.searcher(1);
    let net = one.supernet.mixture();
    for (images, devices) in [(8, 2), (7, 2), (8, 3)] {
        let batch = batch(&setting.dataset, images);
        let masks = masks(&one, &net, images).unwrap();
        let together = plain(differentiate(&setting.searcher(devices), &batch, Some(masks.clone()), GradTargets::Both));
        let shards = shards(images, devices);
        let alone: Vec<Plain> = shards
            .iter()
            .map(|shard| {
                let own = masks.clone().narrow(1, shard.start, shard.len());
                plain(differentiate(&one, &part(&batch, shard.clone()), Some(own), GradTargets::Both))
            })
            .collect();
        let mean = |of: &dyn Fn(&Plain) -> Vec<f32>| -> Vec<f32> {
            let mut sum: Option<Vec<f32>> = None;
            for (plain, shard) in alone.iter().zip(&shards) {
                let share = (shard.len() as f64 / images as f64) as f32;
                let part: Vec<f32> = of(plain).iter().map(|x| x * share).collect();
                sum = Some(sum.map_or(part.clone(), |sum| sum.iter().zip(&part).map(|(a, b)| a + b).collect()));
            }
            sum.unwrap()
        };
        assert!(together.weights.iter().all(Option::is_some) && together.gates.iter().any(|&x| x != 0.0));
        for (i, weight) in together.weights.iter().enumerate() {
            let name = &net.graph.params[i].name;
            assert_eq!(weight.as_ref().unwrap(), &mean(&|plain| plain.weights[i].clone().unwrap()), "{name}");
        }
        assert_eq!(together.gates, mean(&|plain| plain.gates.clone()));
        let loss = alone.iter().zip(&shards).map(|(p, s)| p.metrics.loss * s.len() as f64).sum::<f64>() / images as f64;
        assert!((together.metrics.loss - loss).abs() < 1e-12 && together.metrics.images == images);
        // Alone they are other gradients than those of the batch at once: normalised by other statistics.
        let at_once = plain(differentiate(&one, &batch, Some(masks), GradTargets::Both));
        assert_ne!(together.gates, at_once.gates);
    }
}

/// Where every shard is a copy of the same images, it is as if one device had that shard (bit for bit) or the whole batch
/// (but for rounding): here normalising by shards is no difference.
#[test]
fn copies_on_two_devices_are_as_one_device() {
    let setting = Setting::new();
    let (one, two) = (setting.searcher(1), setting.searcher(2));
    let images = batch(&setting.dataset, 6);
    let twice = joined(&images, &images);
    let net = one.supernet.mixture();
    let masks = masks(&one, &net, 6).unwrap();
    let masks_twice = Tensor::cat(vec![masks.clone(), masks.clone()], 1);
    for of in [GradTargets::Nothing, GradTargets::Weights, GradTargets::Gates, GradTargets::Both] {
        let shared = plain(differentiate(&two, &twice, Some(masks_twice.clone()), of));
        let shard = plain(differentiate(&one, &images, Some(masks.clone()), of));
        let whole = plain(differentiate(&one, &twice, Some(masks_twice.clone()), of));
        assert_eq!((shared.metrics.images, shared.metrics.accuracy), (12, shard.metrics.accuracy));
        assert!((shared.metrics.loss - shard.metrics.loss).abs() < 1e-12);
        assert_eq!(shared, Plain { metrics: shared.metrics, ..shard }, "{of:?}");
        assert!((shared.metrics.loss - whole.metrics.loss).abs() < 1e-5);
        assert_close(&shared.gates, &whole.gates, 1e-3, "gates");
        for (i, (a, b)) in shared.weights.iter().zip(&whole.weights).enumerate() {
            assert_close(a.as_ref().unwrap(), b.as_ref().unwrap(), 1e-3, &net.graph.params[i].name);
        }
        for (a, b) in shared.stats.iter().zip(&whole.stats) {
            assert_close(a, b, 1e-4, "statistics");
        }
    }
}

/// Of unequal shards with different images, the first normalisation, which no other precedes, has the statistics of the
/// whole batch.
#[test]
fn running_statistics_follow_all_images() {
    let setting = Setting::new();
    let batch = batch(&setting.dataset, 8);
    let of = |devices, batch: &Batch| setting.differentiate(devices, batch, GradTargets::Nothing).stats;
    let (one, three) = (of(1, &batch), of(3, &batch));
    assert_ne!(one, three, "later ones see what the shards were normalised to");
    assert_close(&three[0], &one[0], 1e-5, "statistics");
    let alone = of(1, &part(&batch, 0..3));
    let apart = alone[0].iter().zip(&one[0]).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
    assert!(apart > 1e-3, "the first shard alone must differ: {apart}");
}

/// A batch smaller than the number of devices, as an epoch's last may be: the last devices rest.
#[test]
fn small_batches_need_fewer_devices() {
    let setting = Setting::new();
    let of = |devices, batch: &Batch| setting.differentiate(devices, batch, GradTargets::Both);
    let two = batch(&setting.dataset, 2);
    assert_eq!(of(3, &two), of(2, &two));
    assert_ne!(of(2, &two), of(1, &two));
    let single = part(&two, 0..1);
    assert_eq!(of(3, &single), of(1, &single));
}

#[test]
fn what_is_joined_comes_apart_again() {
    let device = Device::flex();
    let tensors: Vec<Tensor<1>> =
        [1usize, 4, 2].map(|n| Tensor::from_floats(vec![n as f32; n].as_slice(), &device)).into();
    let apart = split(&Tensor::cat(tensors.clone(), 0), &lengths(&tensors));
    let numbers = |tensors: &[Tensor<1>]| tensors.iter().map(host).collect::<Vec<_>>();
    assert_eq!(numbers(&apart), numbers(&tensors));
    assert_eq!(numbers(&sent(tensors.clone(), &device)), numbers(&tensors));
}
