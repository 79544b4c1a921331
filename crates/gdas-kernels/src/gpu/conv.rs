//! Convolutions, forward and backward: choice of the kernel and of its blocks.

use burn::backend::TensorMetadata;
use burn_cubecl::tensor::CubeTensor;

use super::kernels::{Geometry, Parameters, Tiles};
use super::place::{Place, element, launch_unchecked};

/// Number of threads below which each computes fewer pixels.
const FEW_THREADS: usize = 1 << 15;
/// Number of threads beyond which a sum over pixels is not divided further.
const MANY_THREADS: usize = 1 << 16;
/// Smallest number of pixels per part of a sum.
const FEW_PIXELS: usize = 64;

/// Pixels per thread for a result of `vectors` vectors.
fn own_pixels(vectors: usize) -> usize {
    [8, 4, 2].into_iter().find(|own| vectors / own >= FEW_THREADS).unwrap_or(1)
}

/// A convolution on a device.
///
/// Its kernels are launched without a check of their indices. They stay inside their tensors, because the tensors have the sizes
/// that `g` states, threads beyond the result return at once, those of the result read only pixels that exist by `under` and
/// `over` (in `kernels/window.rs`), and vectors divide the channels, so that none crosses the end of a tensor.
pub(super) struct Conv<'a> {
    pub(super) place: &'a Place,
    pub(super) g: Geometry,
    /// Whether it applies a ReLU to its input.
    pub(super) relu: bool,
}

/// Partial gradients, `parts` rows of `stride` elements: the weight's, then the bias's, if they are targets.
pub(super) struct Gradients {
    pub(super) partial: CubeTensor,
    pub(super) parts: usize,
    pub(super) stride: usize,
}

/// The widest vector length that divides `channels`.
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
            // SAFETY: the tensors have the sizes of `g`, see [`Conv`].
            unsafe {
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
            }
        } else {
            let [inputs, outputs] = self.widths();
            let own = own_pixels(elements / outputs);
            let tiles = Tiles { inputs, outputs, own };
            let threads = pixels.div_ceil(own) * (g.out_c / outputs);
            // SAFETY: the tensors have the sizes of `g`, see [`Conv`].
            unsafe {
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
    }

    /// Writes the gradient of the input to `dx`, or adds it. `x` is read only with a ReLU.
    pub(super) fn image_gradient(&self, dy: &CubeTensor, w: &CubeTensor, x: &CubeTensor, dx: &CubeTensor, add: bool) {
        let Self { place, g, relu } = *self;
        let types = [element(dy.dtype), element(dx.dtype)];
        let x = if relu { x } else { &place.none };
        let elements = dx.shape().num_elements();
        let pixels = elements / g.in_c;
        if self.is_depthwise() {
            let width = widest(g.in_c);
            let threads = elements / width;
            // SAFETY: the tensors have the sizes of `g`, see [`Conv`].
            unsafe {
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
            }
        } else {
            let [inputs, outputs] = self.widths();
            let own = own_pixels(elements / inputs);
            let tiles = Tiles { inputs, outputs, own };
            let threads = pixels.div_ceil(own) * (g.in_c / inputs);
            // SAFETY: the tensors have the sizes of `g`, see [`Conv`].
            unsafe {
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
    }

    /// The gradients of the weight and the bias. The bits of each do not depend on whether the other is computed.
    pub(super) fn parameter_gradients(&self, x: &CubeTensor, dy: &CubeTensor, wanted: Parameters) -> Gradients {
        let Self { place, g, relu } = *self;
        let types = [element(x.dtype), element(dy.dtype)];
        let pixels = dy.shape().num_elements() / g.out_c;
        let rows = pixels / g.out_w;
        let weights = g.kernel_h * g.kernel_w * (g.in_c / g.groups) * g.out_c;
        let depthwise = self.is_depthwise();
        // The block of a thread: a vector of channels, or one of outputs for each of some inputs.
        let [inputs, width] = if depthwise { [1, widest(g.out_c)] } else { self.widths() };
        let of_weight = weights / (inputs * width);
        // Enough parts to occupy a device, but not more to write than was read.
        let read = x.shape().num_elements() + dy.shape().num_elements();
        let parts = (MANY_THREADS / of_weight).min(pixels / FEW_PIXELS).min(read / weights).min(rows).max(1);
        let Parameters { weight, bias } = wanted;
        let stride = if weight { weights } else { 0 } + if bias { g.out_c } else { 0 };
        let threads = parts * (if weight { of_weight } else { 0 } + if bias { g.out_c / width } else { 0 });
        let partial = place.empty([parts, stride]);
        if depthwise {
            // SAFETY: the tensors have the sizes of `g`, see [`Conv`].
            unsafe {
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
            }
        } else {
            let tiles = Tiles { inputs, outputs: width, own: 1 };
            // SAFETY: the tensors have the sizes of `g`, see [`Conv`].
            unsafe {
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
        }
        Gradients { partial, parts, stride }
    }
}
