//! Data parallelism: several devices share a batch (experimental).
//!
//! The batch is split into contiguous shards, one per device. All devices run the same sampled network with the same
//! weights forward and backward on their shards. The first device computes the mean of the gradients, weighted by the
//! shards' sizes and summed in their order; only it has weights, optimisers and alpha. The result does not depend on the
//! order in which devices finish.
//!
//! Normalisations use the statistics of their shard, like PyTorch's `DataParallel`, so the result depends on the number of
//! devices. Running statistics are updated with the exact mean and variance over all shards (PyTorch uses the first
//! replica's).
//!
//! One host thread submits all work; GPUs queue it and run concurrently. On the CPU, replicas run one after another with all
//! threads.
//!
//! Tensors are transferred by [`Tensor::to_device`] as one concatenated tensor, as the cost per transfer is high. Burn's
//! `Module::fork` and `GradientsAccumulator` (burn-optim) are for modules, while the weights here are plain tensors; the
//! accumulator also sums, where a mean weighted by size is needed.

#[cfg(test)]
mod tests;

use std::ops::Range;

use burn::tensor::{Device, Tensor};

use super::pass::{PassInputs, PassOutput};
use crate::deferred::Deferred;
use crate::loss::{self, Metrics};

/// Runs `pass` on shards of the batch. Inputs and result are on the first device. With fewer images than devices, the last
/// devices are idle; on one device this is `pass`.
pub(super) fn shared(devices: &[Device], inputs: PassInputs, pass: impl Fn(PassInputs) -> PassOutput) -> PassOutput {
    let shards = shards(inputs.labels.len(), devices.len());
    if shards.len() == 1 {
        return pass(inputs);
    }
    // All transfers precede the passes, as a transfer waits for the queued work of its source.
    let parts: Vec<PassInputs> = shards.iter().zip(devices).map(|(shard, device)| inputs.part(shard, device)).collect();
    let passes: Vec<PassOutput> = parts.into_iter().map(pass).collect();
    let replicas = Replicas { first: &devices[0], sizes: shards.iter().map(Range::len).collect() };
    replicas.gather(passes, inputs.gates.dims()[0])
}

/// Contiguous ranges of images of the replicas; their sizes differ by at most one, larger ones first.
fn shards(images: usize, devices: usize) -> Vec<Range<usize>> {
    let count = devices.min(images).max(1);
    let (size, left_over) = (images / count, images % count);
    let start = |i: usize| i * size + i.min(left_over);
    (0..count).map(|i| start(i)..start(i + 1)).collect()
}

impl PassInputs<'_> {
    /// The inputs of a replica, on its device.
    fn part(&self, shard: &Range<usize>, device: &Device) -> Self {
        let (start, size) = (shard.start, shard.len());
        Self {
            image: self.image.clone().narrow(0, start, size).to_device(device),
            labels: &self.labels[shard.clone()],
            weights: sent(self.weights.clone(), device),
            gates: self.gates.clone().to_device(device),
            masks: self.masks.clone().map(|masks| masks.narrow(1, start, size).to_device(device)),
        }
    }
}

/// The replicas that share a batch.
struct Replicas<'a> {
    /// The device of the result.
    first: &'a Device,
    /// Number of images of each replica.
    sizes: Vec<usize>,
}

impl Replicas<'_> {
    /// Combines the replicas' passes to one.
    fn gather(&self, passes: Vec<PassOutput>, gates: usize) -> PassOutput {
        let (mut measured, mut stats, mut gradients) = (Vec::new(), Vec::new(), Vec::new());
        for pass in passes {
            measured.push(pass.metrics);
            stats.push(pass.statistics);
            let of_gates = pass.gate_gradient.numbers().cloned();
            gradients.push(std::iter::once(of_gates).chain(pass.weight_gradients).collect());
        }
        let mut gradients = self.mean_gradients(gradients).into_iter();
        let of_gates = gradients.next().flatten();
        PassOutput {
            metrics: self.metrics(measured),
            statistics: self.statistics(stats),
            gate_gradient: match of_gates {
                Some(gradient) => Deferred::on_device(gradient, |numbers| numbers),
                None => Deferred::new(vec![0.0; gates]),
            },
            weight_gradients: gradients.collect(),
        }
    }

    /// The mean over all images from the means of the replicas.
    fn mean<const D: usize>(&self, parts: impl Iterator<Item = Tensor<D>>) -> Tensor<D> {
        let images: usize = self.sizes.iter().sum();
        let shares = self.sizes.iter().map(|&size| size as f64 / images as f64);
        let parts = parts.zip(shares).map(|(part, share)| part * share);
        parts.reduce(|sum, part| sum + part).expect("there is a first replica")
    }

    /// The mean of the gradients. `None` if a replica lacks one: as all run the same network, its loss was then not finite, and
    /// the step ends the run.
    fn mean_gradients(&self, lists: Vec<Vec<Option<Tensor<1>>>>) -> Vec<Option<Tensor<1>>> {
        let shortest = lists.iter().map(Vec::len).min().unwrap_or(0);
        let present: Vec<bool> = (0..shortest).map(|i| lists.iter().all(|list| list[i].is_some())).collect();
        let kept = |list: Vec<Option<Tensor<1>>>| -> Vec<Tensor<1>> {
            list.into_iter().zip(&present).filter_map(|(gradient, &present)| gradient.filter(|_| present)).collect()
        };
        let lists: Vec<Vec<Tensor<1>>> = lists.into_iter().map(kept).collect();
        if lists[0].is_empty() {
            return present.iter().map(|_| None).collect();
        }
        let lengths = lengths(&lists[0]);
        let mean = self.mean(lists.into_iter().map(|list| Tensor::cat(list, 0).to_device(self.first)));
        let mut means = split(&mean, &lengths).into_iter();
        present.iter().map(|&present| if present { means.next() } else { None }).collect()
    }

    /// Metrics over all images.
    fn metrics(&self, parts: Vec<Deferred<Metrics>>) -> Deferred<Metrics> {
        let images: usize = self.sizes.iter().sum();
        let there = |part: &Deferred<Metrics>| part.numbers().map(|sums| sums.clone().inner().to_device(self.first));
        let sums: Option<Vec<Tensor<1>>> = parts.iter().map(there).collect();
        if let Some(sums) = sums.and_then(|sums| sums.into_iter().reduce(|sum, part| sum + part)) {
            return loss::deferred(sums, images);
        }
        let parts: Vec<Metrics> = parts.into_iter().map(Deferred::get).collect();
        let mean = |of: fn(&Metrics) -> f64| {
            parts.iter().zip(&self.sizes).map(|(part, &size)| of(part) * size as f64).sum::<f64>() / images as f64
        };
        Deferred::new(Metrics {
            loss: mean(|m| m.loss),
            accuracy: mean(|m| m.accuracy),
            top5: mean(|m| m.top5),
            images,
        })
    }

    /// Mean and variance `[2, channels]` of each normalisation over all replicas, from those of each replica.
    fn statistics(&self, stats: Vec<Vec<Tensor<2>>>) -> Vec<Tensor<2>> {
        let channels: Vec<usize> = stats[0].iter().map(|stats| stats.dims()[1]).collect();
        if channels.is_empty() {
            return vec![];
        }
        let rows: Vec<[Tensor<2>; 2]> = stats
            .into_iter()
            .map(|stats| {
                let stats = Tensor::cat(stats, 1).to_device(self.first);
                [stats.clone().narrow(0, 0, 1), stats.narrow(0, 1, 1)]
            })
            .collect();
        let mean = self.mean(rows.iter().map(|[mean, _]| mean.clone()));
        let variance = self.mean(rows.into_iter().map(|[own, variance]| {
            let apart = own - mean.clone();
            variance + apart.clone() * apart
        }));
        let both = Tensor::cat(vec![mean, variance], 0);
        starts(&channels).zip(&channels).map(|(start, &channels)| both.clone().narrow(1, start, channels)).collect()
    }
}

/// Transfers tensors to a device as one concatenated tensor.
fn sent(tensors: Vec<Tensor<1>>, device: &Device) -> Vec<Tensor<1>> {
    if tensors.iter().all(|tensor| tensor.device() == *device) {
        return tensors;
    }
    let lengths = lengths(&tensors);
    split(&Tensor::cat(tensors, 0).to_device(device), &lengths)
}

fn lengths(tensors: &[Tensor<1>]) -> Vec<usize> {
    tensors.iter().map(|tensor| tensor.dims()[0]).collect()
}

/// Splits a concatenated tensor.
fn split(whole: &Tensor<1>, lengths: &[usize]) -> Vec<Tensor<1>> {
    starts(lengths).zip(lengths).map(|(start, &length)| whole.clone().narrow(0, start, length)).collect()
}

/// Offsets of consecutive parts of these lengths.
fn starts(lengths: &[usize]) -> impl Iterator<Item = usize> {
    lengths.iter().scan(0, |at, length| {
        let start = *at;
        *at += length;
        Some(start)
    })
}
