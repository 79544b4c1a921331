//! Candidate operations, each described once, as data.
//!
//! This table is the one place where an operation is added: the supernet, the derived network,
//! the cost model, the drawings and the exports all read it. See `docs/extending.md`.

use std::fmt;

/// A layer of an operation. Channels never change inside an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// `max(x, 0)`.
    Relu,
    /// Dense convolution, same padding, with the edge's stride.
    Conv {
        /// Side of the square filter.
        kernel: usize,
    },
    /// One filter per channel, same padding, no bias.
    Depthwise {
        /// Side of the square filter.
        kernel: usize,
        /// Distance between the filter's elements.
        dilation: usize,
        /// Whether it takes the edge's stride; otherwise 1.
        strided: bool,
    },
    /// 1x1 convolution after a depthwise one.
    Pointwise,
    /// Batch normalisation, affine or not as the network asks.
    Norm,
    /// Average over a square window, stride of the edge, padding not counted.
    AvgPool {
        /// Side of the window.
        kernel: usize,
    },
    /// Maximum over a square window, stride of the edge.
    MaxPool {
        /// Side of the window.
        kernel: usize,
    },
    /// ReLU, two 1x1 convolutions of stride 2 (the second one pixel further), concatenated, normalised.
    FactorizedReduction,
}

/// What an operation computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing: the edge contributes zeros.
    Zero,
    /// The input itself at stride 1, a factorized reduction at stride 2.
    Skip,
    /// Layers one after another.
    Layers(&'static [Layer]),
}

/// A candidate operation.
#[derive(PartialEq, Eq)]
pub struct Operation {
    /// Name in genotypes, as published.
    pub name: &'static str,
    /// Other published names of the same layers.
    pub aliases: &'static [&'static str],
    /// Short label for drawings and tables.
    pub label: &'static str,
    /// What it computes.
    pub body: Body,
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Operation {
    /// The operation of this name or alias.
    pub fn find(name: &str) -> Option<&'static Self> {
        OPERATIONS.iter().find(|op| op.name == name || op.aliases.contains(&name))
    }

    /// Whether it has no weights at stride 1 (`none`, skip connection, pools). Cells made of such
    /// operations alone are the known failure of the method.
    pub fn is_parameter_free(&self) -> bool {
        match self.body {
            Body::Zero | Body::Skip => true,
            Body::Layers(layers) => layers.iter().all(|l| matches!(l, Layer::AvgPool { .. } | Layer::MaxPool { .. })),
        }
    }

    /// The layers at the given stride; a zero operation has none.
    pub fn layers(&self, stride: usize) -> &'static [Layer] {
        match self.body {
            Body::Skip if stride > 1 => &[Layer::FactorizedReduction],
            Body::Zero | Body::Skip => &[],
            Body::Layers(layers) => layers,
        }
    }
}

use Layer::{AvgPool, Conv, Depthwise, MaxPool, Norm, Pointwise, Relu};

const fn depthwise(kernel: usize, dilation: usize, strided: bool) -> Layer {
    Depthwise { kernel, dilation, strided }
}

/// Every known operation.
pub static OPERATIONS: &[Operation] = &[
    Operation { name: "none", aliases: &[], label: "none", body: Body::Zero },
    Operation { name: "skip_connect", aliases: &[], label: "skip", body: Body::Skip },
    Operation {
        name: "nor_conv_1x1",
        aliases: &[],
        label: "conv 1x1",
        body: Body::Layers(&[Relu, Conv { kernel: 1 }, Norm]),
    },
    Operation {
        name: "nor_conv_3x3",
        aliases: &[],
        label: "conv 3x3",
        body: Body::Layers(&[Relu, Conv { kernel: 3 }, Norm]),
    },
    Operation { name: "avg_pool_3x3", aliases: &[], label: "avg 3x3", body: Body::Layers(&[AvgPool { kernel: 3 }]) },
    Operation { name: "max_pool_3x3", aliases: &[], label: "max 3x3", body: Body::Layers(&[MaxPool { kernel: 3 }]) },
    // Separable convolutions: GDAS's supernet calls them dua_sepc and dil_sepc, the networks
    // trained from scratch sep_conv and dil_conv. The layers are the same; only the bias and the
    // affine normalisation differ, and those the network decides.
    Operation {
        name: "dua_sepc_3x3",
        aliases: &["sep_conv_3x3"],
        label: "sep 3x3",
        body: Body::Layers(&[
            Relu,
            depthwise(3, 1, true),
            Pointwise,
            Norm,
            Relu,
            depthwise(3, 1, false),
            Pointwise,
            Norm,
        ]),
    },
    Operation {
        name: "dua_sepc_5x5",
        aliases: &["sep_conv_5x5"],
        label: "sep 5x5",
        body: Body::Layers(&[
            Relu,
            depthwise(5, 1, true),
            Pointwise,
            Norm,
            Relu,
            depthwise(5, 1, false),
            Pointwise,
            Norm,
        ]),
    },
    Operation {
        name: "dil_sepc_3x3",
        aliases: &["dil_conv_3x3"],
        label: "dil 3x3",
        body: Body::Layers(&[Relu, depthwise(3, 2, true), Pointwise, Norm]),
    },
    Operation {
        name: "dil_sepc_5x5",
        aliases: &["dil_conv_5x5"],
        label: "dil 5x5",
        body: Body::Layers(&[Relu, depthwise(5, 2, true), Pointwise, Norm]),
    },
];
