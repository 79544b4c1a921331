//! NASWOT (Mellor, Turner, Storkey and Crowley, "Neural architecture search without training", ICML 2021): networks
//! whose ReLUs tell images apart before any training learn well.
//!
//! Each image has a binary code: which units of all ReLUs it switches on. `K[i][j]` is the number of units on which
//! images i and j agree; the score is `log |det K|` (section 3 of the paper). Normalisation uses the batch's statistics.
//!
//! The fused engine keeps no ReLU's output, so plain Burn operations run the network and show each one.

use burn::tensor::{Device, Tensor};
use gdas_kernels::graph::{Graph, Op};
use gdas_kernels::{Inputs, Mode, reference};

use super::matrix::Cholesky;
use crate::data::Batch;

/// The score; minus infinity where two images switch the same units.
pub fn score(graph: &Graph, params: Vec<Tensor<1>>, batch: &Batch) -> f64 {
    let mut codes = Codes::new(batch.len());
    reference::run_observed(
        graph,
        Mode::Train,
        Inputs::new(batch.tensor(&Device::flex()), params),
        &mut |node, value| {
            if node.op == Op::Relu {
                codes.add(value);
            }
        },
    );
    Cholesky::new(&codes.kernel(), batch.len()).map_or(f64::NEG_INFINITY, |root| root.log_determinant())
}

/// The binary codes of a batch's images, packed into words.
struct Codes {
    words: Vec<Vec<u64>>,
    units: usize,
}

impl Codes {
    fn new(images: usize) -> Self {
        Self { words: vec![vec![]; images], units: 0 }
    }

    /// Appends what a ReLU gave.
    fn add(&mut self, value: &Tensor<4>) {
        let [_, height, width, channels] = value.dims();
        let units = height * width * channels;
        let values: Vec<f32> = value.to_data().iter::<f32>().collect();
        for (words, image) in self.words.iter_mut().zip(values.chunks_exact(units)) {
            let pack = |part: &[f32]| part.iter().fold(0, |word, &x| word << 1 | u64::from(x > 0.0));
            words.extend(image.chunks(64).map(pack));
        }
        self.units += units;
    }

    /// On how many units each pair agrees, `[images, images]`.
    fn kernel(&self) -> Vec<f64> {
        let agree = |a: &[u64], b: &[u64]| {
            let differ: u32 = a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum();
            (self.units - differ as usize) as f64
        };
        self.words.iter().flat_map(|a| self.words.iter().map(move |b| agree(a, b))).collect()
    }
}
