//! Several devices that share a batch (data parallel; experimental).
//!
//! The batch is split into contiguous shards, one per device. Each device runs the same drawn network, with the same
//! weights, forward and back on its shard: the draw is made before, once. Gradients come together on the first device as
//! their mean, weighted by the shards' sizes, summed in the order of the shards; it alone holds weights, optimisers and
//! alpha, so there is nothing that replicas could disagree about. No result depends on which device is done first.
//!
//! Normalisations use the statistics of their own shard, as PyTorch's `DataParallel` does. This is why another number of
//! devices is another search. Running statistics move towards the mean and the variance of all values that the replicas
//! normalised, which follow exactly from each one's own (PyTorch keeps the first replica's).
//!
//! One thread of the host hands out all work: graphics processors queue it, so they work at the same time. On the
//! processor replicas take turns, each with all threads.
//!
//! Burn's means: tensors travel with [`Tensor::to_device`], joined into one, since a transfer costs as much as many
//! values. `Module::fork` and `GradientsAccumulator` (burn-optim) are for modules and their parameters' numbers; weights
//! here are plain tensors that draws pick from. Burn's accumulator also sums where the mean by size is wanted.

#[cfg(test)]
mod tests;

use std::ops::Range;

use burn::tensor::{Device, Tensor};

use super::pass::{PassInputs, PassOutput};
use crate::deferred::Deferred;
use crate::loss::{self, Metrics};

/// A pass on the devices together. The inputs lie on the first, and so does the result. Where there are fewer images
/// than devices, the last devices do nothing; one device simply does `pass`.
pub(super) fn shared(devices: &[Device], inputs: PassInputs, pass: impl Fn(PassInputs) -> PassOutput) -> PassOutput {
    let shards = shards(inputs.labels.len(), devices.len());
    if shards.len() == 1 {
        return pass(inputs);
    }
    // All is sent before any device begins: a transfer may wait for what its source was given to do before.
    let parts: Vec<PassInputs> = shards.iter().zip(devices).map(|(shard, device)| inputs.part(shard, device)).collect();
    let passes: Vec<PassOutput> = parts.into_iter().map(pass).collect();
    let replicas = Replicas { first: &devices[0], sizes: shards.iter().map(Range::len).collect() };
    replicas.gather(passes, inputs.gates.dims()[0])
}

/// Which images each replica takes: contiguous, the sizes at most one apart, larger ones first.
fn shards(images: usize, devices: usize) -> Vec<Range<usize>> {
    let count = devices.min(images).max(1);
    let (size, left_over) = (images / count, images % count);
    let start = |i: usize| i * size + i.min(left_over);
    (0..count).map(|i| start(i)..start(i + 1)).collect()
}

impl PassInputs<'_> {
    /// What a replica reads, on its device.
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

/// Who shared a batch.
struct Replicas<'a> {
    /// Where all comes together.
    first: &'a Device,
    /// Images of each.
    sizes: Vec<usize>,
}

impl Replicas<'_> {
    /// Makes one pass of the replicas' passes.
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

    /// The mean over the images, tensor by tensor, given the means over each replica's.
    fn mean<const D: usize>(&self, parts: impl Iterator<Item = Tensor<D>>) -> Tensor<D> {
        let images: usize = self.sizes.iter().sum();
        let shares = self.sizes.iter().map(|&size| size as f64 / images as f64);
        let parts = parts.zip(shares).map(|(part, share)| part * share);
        parts.reduce(|sum, part| sum + part).expect("there is a first replica")
    }

    /// The mean of the gradients. There is one where all replicas have one: they run the same network, so all have, unless
    /// a loss is not finite. Its replica was not differentiated then, and the step will end the run.
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

    /// Loss and accuracy over all images.
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

    /// Mean and variance, `[2, channels]` per normalisation, of the values of all replicas, from each one's own.
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

/// Brings tensors to a device, in one piece.
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

/// Takes apart what was joined.
fn split(whole: &Tensor<1>, lengths: &[usize]) -> Vec<Tensor<1>> {
    starts(lengths).zip(lengths).map(|(start, &length)| whole.clone().narrow(0, start, length)).collect()
}

/// Where parts of these lengths begin, one behind another.
fn starts(lengths: &[usize]) -> impl Iterator<Item = usize> {
    lengths.iter().scan(0, |at, length| {
        let start = *at;
        *at += length;
        Some(start)
    })
}
