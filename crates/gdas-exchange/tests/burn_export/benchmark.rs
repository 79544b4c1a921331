//! |nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_1x1~2|
//!
//! Written by gdas 0.1.0 for Burn 0.22. Input: images `[batch, 3, 16, 16]`, normalised as in
//! training; output: logits `[batch, 5]`.

use std::path::Path;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{AdaptiveAvgPool2dConfig, AvgPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

/// The whole network.
#[derive(Module, Debug)]
pub struct Network {
    stem: Block0,
    cells_0: Block1,
    cells_1: Block2,
    cells_2: Block3,
    cells_3: Block4,
    cells_4: Block5,
    head: Block6,
}

impl Network {
    /// The network with random weights.
    pub fn new(device: &Device) -> Self {
        Self {
            stem: Block0::new(device),
            cells_0: Block1::new(device),
            cells_1: Block2::new(device),
            cells_2: Block3::new(device),
            cells_3: Block4::new(device),
            cells_4: Block5::new(device),
            head: Block6::new(device),
        }
    }

    /// The network with the weights of a record that gdas wrote.
    pub fn load(record: impl AsRef<Path>, device: &Device) -> Result<Self, RecordError> {
        Self::new(device).try_load_record(ModuleRecord::load(record)?)
    }

    /// Logits of each image.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x2 = self.stem.forward(images);
        let x15 = self.cells_0.forward(x2);
        let x24 = self.cells_1.forward(x15);
        let x37 = self.cells_2.forward(x24);
        let x46 = self.cells_3.forward(x37);
        let x59 = self.cells_4.forward(x46);
        self.head.forward(x59)
    }
}

/// `stem`.
#[derive(Module, Debug)]
struct Block0 {
    conv: Conv2d,
    norm: BatchNorm,
}

impl Block0 {
    fn new(device: &Device) -> Self {
        Self {
            conv: Conv2dConfig::new([3, 8], [3, 3])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false)
                .init(device),
            norm: BatchNormConfig::new(8).init(device),
        }
    }

    fn forward(&self, x0: Tensor<4>) -> Tensor<4> {
        let v0 = self.conv.forward(x0);
        self.norm.forward(v0)
    }
}

/// `cells.0`.
#[derive(Module, Debug)]
struct Block1 {
    edge_1_0_nor_conv_3x3_1: Conv2d,
    edge_1_0_nor_conv_3x3_2: BatchNorm,
    edge_3_2_nor_conv_1x1_1: Conv2d,
    edge_3_2_nor_conv_1x1_2: BatchNorm,
}

impl Block1 {
    fn new(device: &Device) -> Self {
        Self {
            edge_1_0_nor_conv_3x3_1: Conv2dConfig::new([8, 8], [3, 3])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false)
                .init(device),
            edge_1_0_nor_conv_3x3_2: BatchNormConfig::new(8).init(device),
            edge_3_2_nor_conv_1x1_1: Conv2dConfig::new([8, 8], [1, 1])
                .with_bias(false)
                .init(device),
            edge_3_2_nor_conv_1x1_2: BatchNormConfig::new(8).init(device),
        }
    }

    fn forward(&self, x0: Tensor<4>) -> Tensor<4> {
        let v0 = relu(x0.clone());
        let v1 = self.edge_1_0_nor_conv_3x3_1.forward(v0);
        let v2 = self.edge_1_0_nor_conv_3x3_2.forward(v1);
        let v5 = Tensor::<4>::zeros([x0.dims()[0], 8, 16, 16], &x0.device());
        let v6 = avg_pool(v2, [3, 3], [1, 1], [1, 1]);
        let v8 = relu(v5);
        let v9 = self.edge_3_2_nor_conv_1x1_1.forward(v8);
        let v10 = self.edge_3_2_nor_conv_1x1_2.forward(v9);
        x0 + v6 + v10
    }
}

/// `cells.1`.
#[derive(Module, Debug)]
struct Block2 {
    a_conv: Conv2d,
    a_norm: BatchNorm,
    b_conv: Conv2d,
    b_norm: BatchNorm,
    shortcut: Conv2d,
}

impl Block2 {
    fn new(device: &Device) -> Self {
        Self {
            a_conv: Conv2dConfig::new([8, 16], [3, 3])
                .with_stride([2, 2])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false)
                .init(device),
            a_norm: BatchNormConfig::new(16).init(device),
            b_conv: Conv2dConfig::new([16, 16], [3, 3])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false)
                .init(device),
            b_norm: BatchNormConfig::new(16).init(device),
            shortcut: Conv2dConfig::new([8, 16], [1, 1])
                .with_bias(false)
                .init(device),
        }
    }

    fn forward(&self, x0: Tensor<4>) -> Tensor<4> {
        let v0 = relu(x0.clone());
        let v1 = self.a_conv.forward(v0);
        let v2 = self.a_norm.forward(v1);
        let v3 = relu(v2);
        let v4 = self.b_conv.forward(v3);
        let v5 = self.b_norm.forward(v4);
        let v6 = avg_pool(x0, [2, 2], [2, 2], [0, 0]);
        let v7 = self.shortcut.forward(v6);
        v5 + v7
    }
}

/// `cells.2`.
#[derive(Module, Debug)]
struct Block3 {
    edge_1_0_nor_conv_3x3_1: Conv2d,
    edge_1_0_nor_conv_3x3_2: BatchNorm,
    edge_3_2_nor_conv_1x1_1: Conv2d,
    edge_3_2_nor_conv_1x1_2: BatchNorm,
}

impl Block3 {
    fn new(device: &Device) -> Self {
        Self {
            edge_1_0_nor_conv_3x3_1: Conv2dConfig::new([16, 16], [3, 3])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false)
                .init(device),
            edge_1_0_nor_conv_3x3_2: BatchNormConfig::new(16).init(device),
            edge_3_2_nor_conv_1x1_1: Conv2dConfig::new([16, 16], [1, 1])
                .with_bias(false)
                .init(device),
            edge_3_2_nor_conv_1x1_2: BatchNormConfig::new(16).init(device),
        }
    }

    fn forward(&self, x0: Tensor<4>) -> Tensor<4> {
        let v0 = relu(x0.clone());
        let v1 = self.edge_1_0_nor_conv_3x3_1.forward(v0);
        let v2 = self.edge_1_0_nor_conv_3x3_2.forward(v1);
        let v5 = Tensor::<4>::zeros([x0.dims()[0], 16, 8, 8], &x0.device());
        let v6 = avg_pool(v2, [3, 3], [1, 1], [1, 1]);
        let v8 = relu(v5);
        let v9 = self.edge_3_2_nor_conv_1x1_1.forward(v8);
        let v10 = self.edge_3_2_nor_conv_1x1_2.forward(v9);
        x0 + v6 + v10
    }
}

/// `cells.3`.
#[derive(Module, Debug)]
struct Block4 {
    a_conv: Conv2d,
    a_norm: BatchNorm,
    b_conv: Conv2d,
    b_norm: BatchNorm,
    shortcut: Conv2d,
}

impl Block4 {
    fn new(device: &Device) -> Self {
        Self {
            a_conv: Conv2dConfig::new([16, 32], [3, 3])
                .with_stride([2, 2])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false)
                .init(device),
            a_norm: BatchNormConfig::new(32).init(device),
            b_conv: Conv2dConfig::new([32, 32], [3, 3])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false)
                .init(device),
            b_norm: BatchNormConfig::new(32).init(device),
            shortcut: Conv2dConfig::new([16, 32], [1, 1])
                .with_bias(false)
                .init(device),
        }
    }

    fn forward(&self, x0: Tensor<4>) -> Tensor<4> {
        let v0 = relu(x0.clone());
        let v1 = self.a_conv.forward(v0);
        let v2 = self.a_norm.forward(v1);
        let v3 = relu(v2);
        let v4 = self.b_conv.forward(v3);
        let v5 = self.b_norm.forward(v4);
        let v6 = avg_pool(x0, [2, 2], [2, 2], [0, 0]);
        let v7 = self.shortcut.forward(v6);
        v5 + v7
    }
}

/// `cells.4`.
#[derive(Module, Debug)]
struct Block5 {
    edge_1_0_nor_conv_3x3_1: Conv2d,
    edge_1_0_nor_conv_3x3_2: BatchNorm,
    edge_3_2_nor_conv_1x1_1: Conv2d,
    edge_3_2_nor_conv_1x1_2: BatchNorm,
}

impl Block5 {
    fn new(device: &Device) -> Self {
        Self {
            edge_1_0_nor_conv_3x3_1: Conv2dConfig::new([32, 32], [3, 3])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false)
                .init(device),
            edge_1_0_nor_conv_3x3_2: BatchNormConfig::new(32).init(device),
            edge_3_2_nor_conv_1x1_1: Conv2dConfig::new([32, 32], [1, 1])
                .with_bias(false)
                .init(device),
            edge_3_2_nor_conv_1x1_2: BatchNormConfig::new(32).init(device),
        }
    }

    fn forward(&self, x0: Tensor<4>) -> Tensor<4> {
        let v0 = relu(x0.clone());
        let v1 = self.edge_1_0_nor_conv_3x3_1.forward(v0);
        let v2 = self.edge_1_0_nor_conv_3x3_2.forward(v1);
        let v5 = Tensor::<4>::zeros([x0.dims()[0], 32, 4, 4], &x0.device());
        let v6 = avg_pool(v2, [3, 3], [1, 1], [1, 1]);
        let v8 = relu(v5);
        let v9 = self.edge_3_2_nor_conv_1x1_1.forward(v8);
        let v10 = self.edge_3_2_nor_conv_1x1_2.forward(v9);
        x0 + v6 + v10
    }
}

/// `head`.
#[derive(Module, Debug)]
struct Block6 {
    norm: BatchNorm,
    classifier: Linear,
}

impl Block6 {
    fn new(device: &Device) -> Self {
        Self {
            norm: BatchNormConfig::new(32).init(device),
            classifier: LinearConfig::new(32, 5).init(device),
        }
    }

    fn forward(&self, x0: Tensor<4>) -> Tensor<2> {
        let v0 = self.norm.forward(x0);
        let v1 = relu(v0);
        let v2 = mean(v1);
        self.classifier.forward(v2.flatten(1, 3))
    }
}

/// Mean over a window; padding is not counted.
fn avg_pool(x: Tensor<4>, kernel: [usize; 2], stride: [usize; 2], pad: [usize; 2]) -> Tensor<4> {
    let [y, x_pad] = pad;
    AvgPool2dConfig::new(kernel)
        .with_strides(stride)
        .with_padding(PaddingConfig2d::Explicit(y, x_pad, y, x_pad))
        .with_count_include_pad(false)
        .init()
        .forward(x)
}

/// Mean over height and width.
fn mean(x: Tensor<4>) -> Tensor<4> {
    AdaptiveAvgPool2dConfig::new([1, 1]).init().forward(x)
}
