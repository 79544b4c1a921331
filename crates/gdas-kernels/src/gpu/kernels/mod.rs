//! The kernels, in CubeCL: one thread per element unless said otherwise, channels innermost so that neighbouring
//! threads touch neighbouring memory. Geometry is known when a kernel is compiled; only the batch size is not.

#![allow(clippy::needless_pass_by_value, reason = "kernels take sequences of numbers by value")]
#![allow(clippy::used_underscore_binding, reason = "the kernels' macro reads the types that a kernel is compiled for")]
#![allow(clippy::manual_is_multiple_of, reason = "kernels know only the operator")]

mod batch;
mod conv;
mod cube;
mod depthwise;
mod elementwise;
mod folds;
mod loss;
mod norm;
mod pool;
mod running;
mod sgd;
mod sum;
mod window;

pub(super) use batch::{TRANSFORM_FIELDS, make_batch};
pub(super) use conv::{Tiles, conv_backward_image, conv_backward_weight, conv_forward};
pub(super) use cube::{COLUMNS, CUBE, LANES};
pub(super) use depthwise::{depthwise_backward_image, depthwise_backward_weight, depthwise_forward};
pub(super) use elementwise::{
    concat_backward, concat_forward, convert, fill_zero, mean_backward, mean_forward, relu_backward, relu_forward,
    scale_backward, scale_forward, shift_backward, shift_forward,
};
pub(super) use folds::{fold, fold_many, is_short};
pub(super) use loss::{cross_entropy, cross_entropy_sums, scale};
pub(super) use norm::{moments, moments_finish, norm_backward, norm_backward_sums, norm_forward, norm_of_running};
pub(super) use pool::{avg_backward, avg_forward, max_backward, max_forward};
pub(super) use running::update_running;
pub(super) use sgd::{descend, norm_finish, squares};
pub(super) use sum::{spread_gates, sum_backward, sum_forward};

use crate::graph::{Shape, Window};

/// The parameters of a convolution whose gradients are targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Parameters {
    pub(super) weight: bool,
    pub(super) bias: bool,
}

/// Sizes of an operation with a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Geometry {
    pub(super) in_h: usize,
    pub(super) in_w: usize,
    pub(super) in_c: usize,
    pub(super) out_h: usize,
    pub(super) out_w: usize,
    pub(super) out_c: usize,
    pub(super) kernel_h: usize,
    pub(super) kernel_w: usize,
    pub(super) stride_h: usize,
    pub(super) stride_w: usize,
    pub(super) pad_h: usize,
    pub(super) pad_w: usize,
    pub(super) dilation_h: usize,
    pub(super) dilation_w: usize,
    pub(super) groups: usize,
}

impl Geometry {
    pub(super) fn new(input: Shape, output: Shape, window: &Window, groups: usize) -> Self {
        Self {
            in_h: input.height,
            in_w: input.width,
            in_c: input.channels,
            out_h: output.height,
            out_w: output.width,
            out_c: output.channels,
            kernel_h: window.kernel[0],
            kernel_w: window.kernel[1],
            stride_h: window.stride[0],
            stride_w: window.stride[1],
            pad_h: window.padding[0],
            pad_w: window.padding[1],
            dilation_h: window.dilation[0],
            dilation_w: window.dilation[1],
            groups,
        }
    }
}
