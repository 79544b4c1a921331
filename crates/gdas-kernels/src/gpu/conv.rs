//! Convolutions, forward and back: which kernel does it, and in which blocks.

use burn::backend::TensorMetadata;
use burn_cubecl::tensor::CubeTensor;

use super::kernels::{Geometry, Parameters, Tiles};
use super::place::{Place, element, launch_unchecked};

/// Threads below which each takes fewer pixels, rather than that there are fewer threads.
const FEW_THREADS: usize = 1 << 15;
/// Threads that are enough: a sum over pixels is not cut into more parts than give so many.
const MANY_THREADS: usize = 1 << 16;
/// Pixels that are too few for a thread of their own.
const FEW_PIXELS: usize = 64;

/// Pixels for each of the threads that make so many vectors together.
fn own_pixels(vectors: usize) -> usize {
    [8, 4, 2].into_iter().find(|own| vectors / own >= FEW_THREADS).unwrap_or(1)
}

/// A convolution in its place.
pub(super) struct Conv<'a> {
    pub(super) place: &'a Place,
    pub(super) g: Geometry,
    /// Whether its input is rectified as it is read.
    pub(super) relu: bool,
}

/// Gradients in `parts` rows of `stride`, the weight's and then the bias's, as far as they were wanted.
pub(super) struct Gradients {
    pub(super) partial: CubeTensor,
    pub(super) parts: usize,
    pub(super) stride: usize,
}

/// The widest vectors that divide so many channels.
fn widest(channels: usize) -> usize {
    [4, 2].into_iter().find(|width| channels.is_multiple_of(*width)).unwrap_or(1)
}

impl Conv<'_> {
    fn is_depthwise(&self) -> bool {
        self.g.in_c == self.g.groups && self.g.out_c == self.g.groups
    }

    /// Channels in the vectors of the input and of the output.
    fn widths(&self) -> [usize; 2] {
        [self.g.in_c, self.g.out_c].map(|channels| widest(channels / self.g.groups))
    }

    pub(super) fn forward(&self, x: &CubeTensor, w: &CubeTensor, bias: Option<&CubeTensor>, y: &CubeTensor) {
        let Self { place, g, relu } = *self;
        let types = [element(x.dtype), element(y.dtype)];
        let elements = y.shape().num_elements();
        let pixels = elements / g.out_c;
        let (has_bias, bias) = (bias.is_some(), bias.unwrap_or(&place.none));
        if self.is_depthwise() {
            let width = widest(g.out_c);
            let threads = elements / width;
            launch_unchecked!(
                place,
                depthwise_forward,
                [width],
                threads,
                [x, w, bias, y],
                types,
                pixels,
                g,
                width,
                relu,
                has_bias
            );
        } else {
            let [inputs, outputs] = self.widths();
            let own = own_pixels(elements / outputs);
            let tiles = Tiles { inputs, outputs, own };
            let threads = pixels.div_ceil(own) * (g.out_c / outputs);
            launch_unchecked!(
                place,
                conv_forward,
                [inputs, outputs],
                threads,
                [x, w, bias, y],
                types,
                pixels,
                g,
                tiles,
                relu,
                has_bias
            );
        }
    }

    /// The gradient of the input goes to `dx`, or is added to it. Without a rectifier `x` is not read.
    pub(super) fn image_gradient(&self, dy: &CubeTensor, w: &CubeTensor, x: &CubeTensor, dx: &CubeTensor, add: bool) {
        let Self { place, g, relu } = *self;
        let types = [element(dy.dtype), element(dx.dtype)];
        let x = if relu { x } else { &place.none };
        let elements = dx.shape().num_elements();
        let pixels = elements / g.in_c;
        if self.is_depthwise() {
            let width = widest(g.in_c);
            let threads = elements / width;
            launch_unchecked!(
                place,
                depthwise_backward_image,
                [width],
                threads,
                [dy, w, x, dx],
                types,
                pixels,
                g,
                width,
                relu,
                add
            );
        } else {
            let [inputs, outputs] = self.widths();
            let own = own_pixels(elements / inputs);
            let tiles = Tiles { inputs, outputs, own };
            let threads = pixels.div_ceil(own) * (g.in_c / inputs);
            launch_unchecked!(
                place,
                conv_backward_image,
                [inputs, outputs],
                threads,
                [dy, w, x, dx],
                types,
                pixels,
                g,
                tiles,
                relu,
                add
            );
        }
    }

    /// The gradients of the weight and the bias. Either has the same bits without the other.
    pub(super) fn parameter_gradients(&self, x: &CubeTensor, dy: &CubeTensor, wanted: Parameters) -> Gradients {
        let Self { place, g, relu } = *self;
        let types = [element(x.dtype), element(dy.dtype)];
        let pixels = dy.shape().num_elements() / g.out_c;
        let rows = pixels / g.out_w;
        let weights = g.kernel_h * g.kernel_w * (g.in_c / g.groups) * g.out_c;
        let depthwise = self.is_depthwise();
        // What a thread makes at once: vectors of channels, or of outputs for each of some inputs.
        let [inputs, width] = if depthwise { [1, widest(g.out_c)] } else { self.widths() };
        let of_weight = weights / (inputs * width);
        // As many as a device may want, but no more to be written than was read.
        let read = x.shape().num_elements() + dy.shape().num_elements();
        let parts = (MANY_THREADS / of_weight).min(pixels / FEW_PIXELS).min(read / weights).min(rows).max(1);
        let Parameters { weight, bias } = wanted;
        let stride = if weight { weights } else { 0 } + if bias { g.out_c } else { 0 };
        let threads = parts * (if weight { of_weight } else { 0 } + if bias { g.out_c / width } else { 0 });
        let partial = place.empty([parts, stride]);
        if depthwise {
            launch_unchecked!(
                place,
                depthwise_backward_weight,
                [width],
                threads,
                [x, dy, partial],
                types,
                rows,
                parts,
                g,
                width,
                relu,
                wanted
            );
        } else {
            let tiles = Tiles { inputs, outputs: width, own: 1 };
            launch_unchecked!(
                place,
                conv_backward_weight,
                [inputs, width],
                threads,
                [x, dy, partial],
                types,
                rows,
                parts,
                g,
                tiles,
                relu,
                wanted
            );
        }
        Gradients { partial, parts, stride }
    }
}
