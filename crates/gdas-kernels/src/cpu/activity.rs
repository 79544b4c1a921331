//! Similarity of the ReLU activation patterns of the images of a batch.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::Tape;
use super::plan::View;
use super::simd::kernel;
use super::values::Values;
use crate::graph::Op;

impl Tape {
    /// For each pair of images the number of ReLU units that are active in both or in neither, `[batch, batch]`.
    #[must_use]
    pub fn relu_agreement(&self) -> Vec<u64> {
        let plan = &self.plan;
        let mut units = 0;
        // ReLUs of the same input have the same pattern.
        let mut inputs: BTreeMap<(usize, Option<usize>), u64> = BTreeMap::new();
        for (id, node) in plan.graph.nodes.iter().enumerate().filter(|(_, node)| node.op == Op::Relu) {
            units += node.shape.elements() as u64;
            *inputs.entry((plan.view[id].base, plan.view[id].norm)).or_default() += 1;
        }
        let batch = self.batch;
        let differing = inputs.into_par_iter().map(|((base, norm), times)| {
            let mut counts = self.differing_signs(View { base, norm, relu: false });
            for count in &mut counts {
                *count *= times;
            }
            counts
        });
        let total = differing.reduce(
            || vec![0; batch * batch],
            |mut total, counts| {
                total.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
                total
            },
        );
        total.into_iter().map(|differing| units - differing).collect()
    }

    /// For each pair of images the number of elements of a view that are positive in exactly one of them.
    fn differing_signs(&self, view: View) -> Vec<u64> {
        let (plan, batch) = (&self.plan, self.batch);
        // The padding of the channels is the same in all images.
        let words = plan.image(view.base).div_ceil(64);
        let mut signs = vec![0; batch * words];
        for (n, signs) in signs.chunks_exact_mut(words.max(1)).enumerate() {
            let mut scratch = None;
            positive(plan.level, signs, Values::of_tape(self).view(&self.norms, view, n, &mut scratch));
        }
        let mut counts = vec![0; batch * batch];
        for i in 0..batch {
            for j in 0..i {
                let count = differing_bits(plan.level, &signs[i * words..][..words], &signs[j * words..][..words]);
                counts[i * batch + j] = count;
                counts[j * batch + i] = count;
            }
        }
        counts
    }
}

kernel! {
    /// One bit per number: whether it is positive.
    fn positive<S>(bits: &mut [u64], x: &[f32]) {
        for (word, x) in bits.iter_mut().zip(x.chunks(64)) {
            *word = 0;
            for (i, &x) in x.iter().enumerate() {
                *word |= u64::from(x > 0.0) << i;
            }
        }
    }
}

kernel! {
    /// Number of bits in which two arrays differ.
    fn differing_bits<S>(a: &[u64], b: &[u64]) -> u64 {
        a.iter().zip(b).map(|(a, b)| u64::from((a ^ b).count_ones())).sum()
    }
}
