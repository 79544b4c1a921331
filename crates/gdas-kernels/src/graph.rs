//! A network as data: a straight-line program over channels-last activations.
//!
//! A [`Graph`] is what everything else reads: the reference interpreter and the fused engines run it, the cost model counts it,
//! the exporters write it. It holds no tensors. Values are numbered in the order of computation; value 0 is the batch of images.
//! The batch size is not part of a graph.

use std::fmt;

/// Index of a value (an activation) in a [`Graph`].
pub type ValueId = usize;
/// Index of a parameter in [`Graph::params`].
pub type ParamId = usize;

/// Height, width and channels of one image's activation; the layout is `[batch, height, width, channels]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Channels, the fastest-varying axis.
    pub channels: usize,
}

impl Shape {
    /// A shape from its three sizes.
    pub fn new(height: usize, width: usize, channels: usize) -> Self {
        Self { height, width, channels }
    }

    /// Elements per image.
    pub fn elements(self) -> usize {
        self.height * self.width * self.channels
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.height, self.width, self.channels)
    }
}

/// Geometry of a sliding window, `[vertical, horizontal]` throughout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Size of the window.
    pub kernel: [usize; 2],
    /// Step between windows.
    pub stride: [usize; 2],
    /// Zeros added on each side.
    pub padding: [usize; 2],
    /// Distance between the window's elements.
    pub dilation: [usize; 2],
}

impl Window {
    /// A square window of size `kernel` whose padding keeps the image size at stride 1.
    pub fn same(kernel: usize, stride: usize, dilation: usize) -> Self {
        let padding = dilation * (kernel - 1) / 2;
        Self { kernel: [kernel; 2], stride: [stride; 2], padding: [padding; 2], dilation: [dilation; 2] }
    }

    /// A square window of size `kernel` with no padding.
    pub fn valid(kernel: usize, stride: usize) -> Self {
        Self { kernel: [kernel; 2], stride: [stride; 2], padding: [0; 2], dilation: [1; 2] }
    }

    /// Output height and width for an input of the given height and width.
    pub fn output(&self, input: [usize; 2]) -> [usize; 2] {
        std::array::from_fn(|a| {
            let reach = self.dilation[a] * (self.kernel[a] - 1) + 1;
            (input[a] + 2 * self.padding[a]).saturating_sub(reach) / self.stride[a]
                + usize::from(input[a] + 2 * self.padding[a] >= reach)
        })
    }
}

/// One operation; its inputs are the values listed in its [`Node`].
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// The image batch itself (value 0 only; no input).
    Image,
    /// `max(x, 0)`.
    Relu,
    /// Cross-correlation. Weight `[kernel_h, kernel_w, in_channels / groups, out_channels]`, bias `[out_channels]`.
    Conv {
        /// The filter.
        weight: ParamId,
        /// Added per output channel.
        bias: Option<ParamId>,
        /// Geometry.
        window: Window,
        /// Channel groups; `in_channels` for a depthwise convolution.
        groups: usize,
    },
    /// Batch normalisation over batch, height and width, epsilon [`NORM_EPSILON`].
    Norm {
        /// Multiplied per channel (gamma), absent without affine parameters.
        scale: Option<ParamId>,
        /// Added per channel (beta), absent without affine parameters.
        shift: Option<ParamId>,
        /// Which row of [`Graph::norms`] describes its statistics.
        norm: usize,
    },
    /// Mean over the window; padding is not counted.
    AvgPool(Window),
    /// Largest element of the window; padding never wins.
    MaxPool(Window),
    /// `y[i, j] = x[i + 1, j + 1]`, zero beyond the last row and column (factorized reduction's second path).
    Shift,
    /// `sum over inputs of gate * x`, plus the gates of [`Sum::constant`]. No input gives zeros.
    Sum(Sum),
    /// Each image scaled by its own factor: row `mask` of the mask input (drop-path).
    ScaleImages {
        /// Row of the mask input.
        mask: usize,
    },
    /// Channels of the inputs one after another.
    Concat,
    /// Mean over height and width; the result is 1 x 1 x channels.
    GlobalAvgPool,
}

/// The gates of an [`Op::Sum`]; indices into the gate input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Per input: its gate, or `None` for a factor of one.
    pub gates: Vec<Option<usize>>,
    /// Gates added to every element. Their value is zero in GDAS; their gradient is the sum of the
    /// upstream gradient (the published NAS-Bench-201 form of the edge output).
    pub constant: Vec<usize>,
}

/// The epsilon of every batch normalisation.
pub const NORM_EPSILON: f32 = 1e-5;

/// One step of a [`Graph`].
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The operation.
    pub op: Op,
    /// Its input values.
    pub inputs: Vec<ValueId>,
    /// Shape of the result.
    pub shape: Shape,
}

/// Whether batch normalisation uses the batch's statistics or the running ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Statistics of the batch.
    Train,
    /// Running statistics, where they are tracked.
    Eval,
}

/// Initial values of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Uniform in `[-bound, bound]`, PyTorch's default for convolutions and linear layers (`bound = 1 / sqrt(fan_in)`).
    Uniform {
        /// Largest magnitude.
        bound: f32,
    },
    /// Normal with mean zero.
    Normal {
        /// Standard deviation.
        std: f32,
    },
    /// Every element the same.
    Constant(f32),
}

/// A trainable array.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    /// Unique within a network, dot-separated, stable between versions: checkpoints and exports use it.
    pub name: String,
    /// Sizes, slowest axis first.
    pub shape: Vec<usize>,
    /// Initial values.
    pub init: Init,
}

impl ParamSpec {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True for an array without elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A batch normalisation of a graph, and whether its running statistics are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormSpec {
    /// Unique within a network; names its running statistics.
    pub name: String,
    /// Number of channels.
    pub channels: usize,
    /// Whether running statistics are kept (and used in evaluation).
    pub track: bool,
}

/// A network for one choice of operations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// Steps in order of computation; `nodes[0]` is [`Op::Image`].
    pub nodes: Vec<Node>,
    /// Parameters that the steps use, in order of first use.
    pub params: Vec<ParamSpec>,
    /// Normalisations in order.
    pub norms: Vec<NormSpec>,
    /// Number of gates read by the sums.
    pub gates: usize,
    /// Number of mask rows read by [`Op::ScaleImages`].
    pub masks: usize,
    /// The results: classifier outputs, each of shape 1 x 1 x classes (main first, then auxiliary).
    pub outputs: Vec<ValueId>,
}

impl Graph {
    /// A graph with the image input alone.
    pub fn new(image: Shape) -> Self {
        Self { nodes: vec![Node { op: Op::Image, inputs: vec![], shape: image }], ..Self::default() }
    }

    /// Shape of a value.
    pub fn shape(&self, value: ValueId) -> Shape {
        self.nodes[value].shape
    }

    /// Declares a parameter.
    pub fn param(&mut self, name: String, shape: Vec<usize>, init: Init) -> ParamId {
        self.params.push(ParamSpec { name, shape, init });
        self.params.len() - 1
    }

    fn push(&mut self, op: Op, inputs: Vec<ValueId>, shape: Shape) -> ValueId {
        self.nodes.push(Node { op, inputs, shape });
        self.nodes.len() - 1
    }

    /// Appends [`Op::Relu`].
    pub fn relu(&mut self, x: ValueId) -> ValueId {
        self.push(Op::Relu, vec![x], self.shape(x))
    }

    /// Appends a convolution with its weight `{name}.weight` and, with `bias`, `{name}.bias`, both
    /// initialised as PyTorch does.
    pub fn conv(
        &mut self,
        x: ValueId,
        name: &str,
        channels: usize,
        window: Window,
        groups: usize,
        bias: bool,
    ) -> ValueId {
        let input = self.shape(x);
        let [kh, kw] = window.kernel;
        let fan_in = kh * kw * input.channels / groups;
        let init = Init::Uniform { bound: 1.0 / (fan_in as f32).sqrt() };
        let weight = self.param(format!("{name}.weight"), vec![kh, kw, input.channels / groups, channels], init);
        let bias = bias.then(|| self.param(format!("{name}.bias"), vec![channels], init));
        let [height, width] = window.output([input.height, input.width]);
        self.push(Op::Conv { weight, bias, window, groups }, vec![x], Shape::new(height, width, channels))
    }

    /// Appends a batch normalisation `{name}`, with `{name}.weight` and `{name}.bias` if affine.
    pub fn norm(&mut self, x: ValueId, name: &str, affine: bool, track: bool) -> ValueId {
        let shape = self.shape(x);
        let scale = affine.then(|| self.param(format!("{name}.weight"), vec![shape.channels], Init::Constant(1.0)));
        let shift = affine.then(|| self.param(format!("{name}.bias"), vec![shape.channels], Init::Constant(0.0)));
        self.norms.push(NormSpec { name: name.to_owned(), channels: shape.channels, track });
        let norm = self.norms.len() - 1;
        self.push(Op::Norm { scale, shift, norm }, vec![x], shape)
    }

    /// Appends an average pool.
    pub fn avg_pool(&mut self, x: ValueId, window: Window) -> ValueId {
        let shape = self.pooled(x, window);
        self.push(Op::AvgPool(window), vec![x], shape)
    }

    /// Appends a max pool.
    pub fn max_pool(&mut self, x: ValueId, window: Window) -> ValueId {
        let shape = self.pooled(x, window);
        self.push(Op::MaxPool(window), vec![x], shape)
    }

    fn pooled(&self, x: ValueId, window: Window) -> Shape {
        let shape = self.shape(x);
        let [height, width] = window.output([shape.height, shape.width]);
        Shape { height, width, ..shape }
    }

    /// Appends [`Op::Shift`].
    pub fn shift(&mut self, x: ValueId) -> ValueId {
        self.push(Op::Shift, vec![x], self.shape(x))
    }

    /// Appends a gated sum of values that all have `shape`.
    pub fn sum(&mut self, inputs: Vec<ValueId>, sum: Sum, shape: Shape) -> ValueId {
        debug_assert!(inputs.iter().all(|&x| self.shape(x) == shape));
        debug_assert_eq!(inputs.len(), sum.gates.len());
        let gates = sum.gates.iter().flatten().chain(&sum.constant).map(|g| g + 1).max();
        self.gates = self.gates.max(gates.unwrap_or(0));
        self.push(Op::Sum(sum), inputs, shape)
    }

    /// Appends the plain sum of one or more values of one shape.
    pub fn add(&mut self, inputs: Vec<ValueId>) -> ValueId {
        let shape = self.shape(inputs[0]);
        let gates = vec![None; inputs.len()];
        self.sum(inputs, Sum { gates, constant: vec![] }, shape)
    }

    /// Appends [`Op::ScaleImages`] with a mask row of its own.
    pub fn scale_images(&mut self, x: ValueId) -> ValueId {
        let mask = self.masks;
        self.masks += 1;
        self.push(Op::ScaleImages { mask }, vec![x], self.shape(x))
    }

    /// The same graph with the identity in place of every operation for which `removed` holds. Such an operation must have one
    /// input and keep its shape. Parameters and normalisations keep their indices, even if no operation reads them.
    #[must_use]
    pub fn without(&self, removed: impl Fn(&Op) -> bool) -> Self {
        let mut graph = self.clone();
        for node in graph.nodes.iter_mut().filter(|node| removed(&node.op)) {
            node.op = Op::Sum(Sum { gates: vec![None], constant: vec![] });
        }
        graph
    }

    /// Appends a concatenation along the channels.
    pub fn concat(&mut self, inputs: Vec<ValueId>) -> ValueId {
        let channels = inputs.iter().map(|&x| self.shape(x).channels).sum();
        let shape = Shape { channels, ..self.shape(inputs[0]) };
        self.push(Op::Concat, inputs, shape)
    }

    /// Appends a global average pool.
    pub fn global_avg_pool(&mut self, x: ValueId) -> ValueId {
        let channels = self.shape(x).channels;
        self.push(Op::GlobalAvgPool, vec![x], Shape::new(1, 1, channels))
    }

    /// Appends a fully connected layer on a 1 x 1 value, as the 1 x 1 convolution that it is.
    pub fn linear(&mut self, x: ValueId, name: &str, classes: usize) -> ValueId {
        self.conv(x, name, classes, Window::valid(1, 1), 1, true)
    }
}
