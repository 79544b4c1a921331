//! Candidate operations as data: a name and a list of layers.

use std::fmt;

/// A layer of an operation. It keeps the number of channels; where an edge has stride 2, the operation's first layer with a
/// window takes the stride and the later ones have stride 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layer {
    /// `max(x, 0)`.
    Relu,
    /// Dense convolution with a square filter, padded so that it keeps the image size at stride 1. It has a bias where the
    /// normalisations of the candidates have no scale and shift.
    Conv {
        /// Side of the filter, odd.
        kernel: usize,
    },
    /// One square filter per channel, padded likewise, without bias.
    Depthwise {
        /// Side of the filter, odd.
        kernel: usize,
        /// Distance between the filter's elements, 1 for neighbours.
        dilation: usize,
    },
    /// 1x1 convolution of stride 1, as it follows a depthwise one; with a bias as [`Layer::Conv`] has.
    Pointwise,
    /// Batch normalisation, with scale and shift (and running statistics) as the network's configuration says.
    Norm,
    /// Average over a square window; the padding is not counted.
    AvgPool {
        /// Side of the window, odd.
        kernel: usize,
    },
    /// Maximum over a square window; the padding never wins.
    MaxPool {
        /// Side of the window, odd.
        kernel: usize,
    },
}

impl Layer {
    /// Whether it can have stride 2.
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
    /// Nothing: the edge contributes zeros.
    Zero,
    /// The input itself at stride 1, a factorized reduction (ReLU, two 1x1 convolutions of stride 2, one of them shifted by
    /// a pixel, concatenated and normalised) at stride 2.
    Skip,
    /// Layers, one after another.
    Layers(Vec<Layer>),
}

/// A candidate operation of a cell's edges.
///
/// [`super::operations`] has the published ones; any other is made from its layers:
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
    /// What it computes.
    pub body: Body,
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Operation {
    /// An operation of these layers. Its label is its name with spaces for underscores.
    pub fn new(name: impl Into<String>, layers: impl IntoIterator<Item = Layer>) -> Self {
        Self::with_body(name.into(), Body::Layers(layers.into_iter().collect()))
    }

    pub(super) fn with_body(name: String, body: Body) -> Self {
        let label = name.replace('_', " ");
        Self { name, aliases: Vec::new(), label, body }
    }

    /// The same operation with another label for drawings.
    #[must_use]
    pub fn label(self, label: impl Into<String>) -> Self {
        Self { label: label.into(), ..self }
    }

    /// The same operation with one more name that genotypes may use.
    #[must_use]
    pub fn alias(mut self, name: impl Into<String>) -> Self {
        self.aliases.push(name.into());
        self
    }

    /// Whether this is its name or one of its aliases.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }

    /// Whether it has no convolution at stride 1 (`none`, skip connection, pools). Cells made of such operations alone are
    /// the known failure of the method.
    pub fn is_parameter_free(&self) -> bool {
        match &self.body {
            Body::Zero | Body::Skip => true,
            Body::Layers(layers) => !layers.iter().any(|layer| layer.is_convolution()),
        }
    }

    /// Whether anything is computed at this stride: not by the zero operation, nor by a skip connection of stride 1.
    pub fn computes(&self, stride: usize) -> bool {
        match &self.body {
            Body::Zero => false,
            Body::Skip => stride > 1,
            Body::Layers(_) => true,
        }
    }
}
