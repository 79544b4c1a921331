//! Candidate operations as data: a name and a list of layers.

use std::fmt;

/// A layer of an operation, which keeps the number of channels. On an edge of stride 2, the operation's first layer with a
/// window has the stride, the others have stride 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layer {
    /// `max(x, 0)`.
    Relu,
    /// Dense convolution with a square filter, padded to keep the image size at stride 1. It has a bias if the normalisations
    /// of the candidates have no scale and shift.
    Conv {
        /// Side of the filter, odd.
        kernel: usize,
    },
    /// Depthwise convolution with a square filter, padded like [`Layer::Conv`], without bias.
    Depthwise {
        /// Side of the filter, odd.
        kernel: usize,
        /// Dilation, 1 for none.
        dilation: usize,
    },
    /// 1x1 convolution of stride 1, as after a depthwise one; with a bias like [`Layer::Conv`].
    Pointwise,
    /// Batch normalisation, with scale and shift (and running statistics) according to the network's configuration.
    Norm,
    /// Average pool over a square window, excluding the padding.
    AvgPool {
        /// Side of the window, odd.
        kernel: usize,
    },
    /// Max pool over a square window, excluding the padding.
    MaxPool {
        /// Side of the window, odd.
        kernel: usize,
    },
}

impl Layer {
    /// Whether it supports stride 2.
    pub fn takes_stride(self) -> bool {
        !matches!(self, Self::Relu | Self::Pointwise | Self::Norm)
    }

    /// Whether it is a convolution of any kind.
    pub fn is_convolution(self) -> bool {
        matches!(self, Self::Conv { .. } | Self::Depthwise { .. } | Self::Pointwise)
    }
}

/// What an operation computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Zeros.
    Zero,
    /// The identity at stride 1, a factorized reduction (ReLU, two 1x1 convolutions of stride 2, one of them shifted by a pixel,
    /// concatenated and normalised) at stride 2.
    Skip,
    /// A sequence of layers.
    Layers(Vec<Layer>),
}

/// A candidate operation of a cell's edges.
///
/// [`super::operations`] has the published ones; custom ones are defined by their layers:
///
/// ```
/// use gdas::space::{Layer, Operation};
/// let wide = Operation::new("conv_7x7", [Layer::Relu, Layer::Conv { kernel: 7 }, Layer::Norm]);
/// assert!(!wide.is_parameter_free());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Operation {
    /// Name in genotypes and parameters: letters, digits, `_` and `-`.
    pub name: String,
    /// Other names of the same layers that genotypes may use.
    pub aliases: Vec<String>,
    /// Short label for drawings and tables.
    pub label: String,
    /// The computation.
    pub body: Body,
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Operation {
    /// An operation of these layers, labelled by its name with spaces for underscores.
    pub fn new(name: impl Into<String>, layers: impl IntoIterator<Item = Layer>) -> Self {
        Self::with_body(name.into(), Body::Layers(layers.into_iter().collect()))
    }

    pub(super) fn with_body(name: String, body: Body) -> Self {
        let label = name.replace('_', " ");
        Self { name, aliases: Vec::new(), label, body }
    }

    /// Sets the label for drawings.
    #[must_use]
    pub fn label(self, label: impl Into<String>) -> Self {
        Self { label: label.into(), ..self }
    }

    /// Adds a name that genotypes may use.
    #[must_use]
    pub fn alias(mut self, name: impl Into<String>) -> Self {
        self.aliases.push(name.into());
        self
    }

    /// Whether `name` is its name or an alias.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }

    /// Whether it has no convolution at stride 1 (`none`, skip connection, pools). Cells of such operations only are a known
    /// failure mode of differentiable search.
    pub fn is_parameter_free(&self) -> bool {
        match &self.body {
            Body::Zero | Body::Skip => true,
            Body::Layers(layers) => !layers.iter().any(|layer| layer.is_convolution()),
        }
    }

    /// Whether it needs computation at this stride: false for `none`, and for a skip connection of stride 1.
    pub fn computes(&self, stride: usize) -> bool {
        match &self.body {
            Body::Zero => false,
            Body::Skip => stride > 1,
            Body::Layers(_) => true,
        }
    }
}
