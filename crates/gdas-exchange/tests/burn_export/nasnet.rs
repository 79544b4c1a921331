//! normal=|skip_connect~0|sep_conv_3x3~1|+|sep_conv_5x5~0|dil_conv_3x3~2|+|dil_conv_5x5~1|avg_pool_3x3~0|+|max_pool_3x3~3|skip_connect~2|;reduction=|skip_connect~0|sep_conv_3x3~1|+|sep_conv_5x5~0|dil_conv_3x3~1|+|dil_conv_5x5~0|avg_pool_3x3~1|+|max_pool_3x3~0|skip_connect~2|
//!
//! Written by gdas 0.1.0 for Burn 0.22. Input: images `[batch, 3, 16, 16]`, normalised as in
//! training; output: logits `[batch, 5]`.

use std::path::Path;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{AdaptiveAvgPool2dConfig, AvgPool2dConfig, MaxPool2dConfig};
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
        let x45 = self.cells_0.forward(x2.clone());
        let x95 = self.cells_1.forward(x2, x45.clone());
        let x141 = self.cells_2.forward(x45, x95.clone());
        let x191 = self.cells_3.forward(x95, x141.clone());
        let x237 = self.cells_4.forward(x141, x191);
        self.head.forward(x237)
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
            conv: Conv2dConfig::new([3, 24], [3, 3])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false)
                .init(device),
            norm: BatchNormConfig::new(24).init(device),
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
    preprocess_0_conv: Conv2d,
    preprocess_0_norm: BatchNorm,
    preprocess_1_conv: Conv2d,
    preprocess_1_norm: BatchNorm,
    edge_2_1_dua_sepc_3x3_1: Conv2d,
    edge_2_1_dua_sepc_3x3_2: Conv2d,
    edge_2_1_dua_sepc_3x3_3: BatchNorm,
    edge_2_1_dua_sepc_3x3_5: Conv2d,
    edge_2_1_dua_sepc_3x3_6: Conv2d,
    edge_2_1_dua_sepc_3x3_7: BatchNorm,
    edge_3_0_dua_sepc_5x5_1: Conv2d,
    edge_3_0_dua_sepc_5x5_2: Conv2d,
    edge_3_0_dua_sepc_5x5_3: BatchNorm,
    edge_3_0_dua_sepc_5x5_5: Conv2d,
    edge_3_0_dua_sepc_5x5_6: Conv2d,
    edge_3_0_dua_sepc_5x5_7: BatchNorm,
    edge_3_2_dil_sepc_3x3_1: Conv2d,
    edge_3_2_dil_sepc_3x3_2: Conv2d,
    edge_3_2_dil_sepc_3x3_3: BatchNorm,
    edge_4_1_dil_sepc_5x5_1: Conv2d,
    edge_4_1_dil_sepc_5x5_2: Conv2d,
    edge_4_1_dil_sepc_5x5_3: BatchNorm,
}

impl Block1 {
    fn new(device: &Device) -> Self {
        Self {
            preprocess_0_conv: Conv2dConfig::new([24, 8], [1, 1])
                .with_bias(false)
                .init(device),
            preprocess_0_norm: BatchNormConfig::new(8).init(device),
            preprocess_1_conv: Conv2dConfig::new([24, 8], [1, 1])
                .with_bias(false)
                .init(device),
            preprocess_1_norm: BatchNormConfig::new(8).init(device),
            edge_2_1_dua_sepc_3x3_1: Conv2dConfig::new([8, 8], [3, 3])
                .with_groups(8)
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false)
                .init(device),
            edge_2_1_dua_sepc_3x3_2: Conv2dConfig::new([8, 8], [1, 1])
                .with_bias(false)
                .init(device),
            edge_2_1_dua_sepc_3x3_3: BatchNormConfig::new(8).init(device),
            edge_2_1_dua_sepc_3x3_5: Conv2dConfig::new([8, 8], [3, 3])
                .with_groups(8)
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false)
                .init(device),
            edge_2_1_dua_sepc_3x3_6: Conv2dConfig::new([8, 8], [1, 1])
                .with_bias(false)
                .init(device),
            edge_2_1_dua_sepc_3x3_7: BatchNormConfig::new(8).init(device),
            edge_3_0_dua_sepc_5x5_1: Conv2dConfig::new([8, 8], [5, 5])
                .with_groups(8)
                .with_padding(PaddingConfig2d::Explicit(2, 2, 2, 2))
                .with_bias(false)
                .init(device),
            edge_3_0_dua_sepc_5x5_2: Conv2dConfig::new([8, 8], [1, 1])
                .with_bias(false)
                .init(device),
            edge_3_0_dua_sepc_5x5_3: BatchNormConfig::new(8).init(device),
            edge_3_0_dua_sepc_5x5_5: Conv2dConfig::new([8, 8], [5, 5])
                .with_groups(8)
                .with_padding(PaddingConfig2d::Explicit(2, 2, 2, 2))
                .with_bias(false)
                .init(device),
            edge_3_0_dua_sepc_5x5_6: Conv2dConfig::new([8, 8], [1, 1])
                .with_bias(false)
                .init(device),
            edge_3_0_dua_sepc_5x5_7: BatchNormConfig::new(8).init(device),
            edge_3_2_dil_sepc_3x3_1: Conv2dConfig::new([8, 8], [3, 3])
                .with_dilation([2, 2])
                .with_groups(8)
                .with_padding(PaddingConfig2d::Explicit(2, 2, 2, 2))
                .with_bias(false)
                .init(device),
            edge_3_2_dil_sepc_3x3_2: Conv2dConfig::new([8, 8], [1, 1])
                .with_bias(false)
                .init(device),
            edge_3_2_dil_sepc_3x3_3: BatchNormConfig::new(8).init(device),
            edge_4_1_dil_sepc_5x5_1: Conv2dConfig::new([8, 8], [5, 5])
                .with_dilation([2, 2])
                .with_groups(8)
                .with_padding(PaddingConfig2d::Explicit(4, 4, 4, 4))
                .with_bias(false)
                .init(device),
            edge_4_1_dil_sepc_5x5_2: Conv2dConfig::new([8, 8], [1, 1])
                .with_bias(false)
                .init(device),
            edge_4_1_dil_sepc_5x5_3: BatchNormConfig::new(8).init(device),
        }
    }

    fn forward(&self, x0: Tensor<4>) -> Tensor<4> {
        let v0 = relu(x0.clone());
        let v1 = self.preprocess_0_conv.forward(v0);
        let v2 = self.preprocess_0_norm.forward(v1);
        let v3 = relu(x0);
        let v4 = self.preprocess_1_conv.forward(v3);
        let v5 = self.preprocess_1_norm.forward(v4);
        let v6 = relu(v5.clone());
        let v7 = self.edge_2_1_dua_sepc_3x3_1.forward(v6);
        let v8 = self.edge_2_1_dua_sepc_3x3_2.forward(v7);
        let v9 = self.edge_2_1_dua_sepc_3x3_3.forward(v8);
        let v10 = relu(v9);
        let v11 = self.edge_2_1_dua_sepc_3x3_5.forward(v10);
        let v12 = self.edge_2_1_dua_sepc_3x3_6.forward(v11);
        let v13 = self.edge_2_1_dua_sepc_3x3_7.forward(v12);
        let v15 = v2.clone() + v13;
        let v16 = relu(v2.clone());
        let v17 = self.edge_3_0_dua_sepc_5x5_1.forward(v16);
        let v18 = self.edge_3_0_dua_sepc_5x5_2.forward(v17);
        let v19 = self.edge_3_0_dua_sepc_5x5_3.forward(v18);
        let v20 = relu(v19);
        let v21 = self.edge_3_0_dua_sepc_5x5_5.forward(v20);
        let v22 = self.edge_3_0_dua_sepc_5x5_6.forward(v21);
        let v23 = self.edge_3_0_dua_sepc_5x5_7.forward(v22);
        let v25 = relu(v15.clone());
        let v26 = self.edge_3_2_dil_sepc_3x3_1.forward(v25);
        let v27 = self.edge_3_2_dil_sepc_3x3_2.forward(v26);
        let v28 = self.edge_3_2_dil_sepc_3x3_3.forward(v27);
        let v30 = v23 + v28;
        let v31 = relu(v5);
        let v32 = self.edge_4_1_dil_sepc_5x5_1.forward(v31);
        let v33 = self.edge_4_1_dil_sepc_5x5_2.forward(v32);
        let v34 = self.edge_4_1_dil_sepc_5x5_3.forward(v33);
        let v36 = avg_pool(v2, [3, 3], [1, 1], [1, 1]);
        let v38 = v34 + v36;
        let v39 = max_pool(v30.clone(), [3, 3], [1, 1], [1, 1]);
        let v41 = v39 + v15.clone();
        Tensor::cat(vec![v15, v30, v38, v41], 1)
    }
}

/// `cells.1`.
#[derive(Module, Debug)]
struct Block2 {
    preprocess_0_conv: Conv2d,
    preprocess_0_norm: BatchNorm,
    preprocess_1_conv: Conv2d,
    preprocess_1_norm: BatchNorm,
    edge_2_0_skip_connect_0_a: Conv2d,
    edge_2_0_skip_connect_0_b: Conv2d,
    edge_2_0_skip_connect_0_norm: BatchNorm,
    edge_2_1_dua_sepc_3x3_1: Conv2d,
    edge_2_1_dua_sepc_3x3_2: Conv2d,
    edge_2_1_dua_sepc_3x3_3: BatchNorm,
    edge_2_1_dua_sepc_3x3_5: Conv2d,
    edge_2_1_dua_sepc_3x3_6: Conv2d,
    edge_2_1_dua_sepc_3x3_7: BatchNorm,
    edge_3_0_dua_sepc_5x5_1: Conv2d,
    edge_3_0_dua_sepc_5x5_2: Conv2d,
    edge_3_0_dua_sepc_5x5_3: BatchNorm,
    edge_3_0_dua_sepc_5x5_5: Conv2d,
    edge_3_0_dua_sepc_5x5_6: Conv2d,
    edge_3_0_dua_sepc_5x5_7: BatchNorm,
    edge_3_1_dil_sepc_3x3_1: Conv2d,
    edge_3_1_dil_sepc_3x3_2: Conv2d,
    edge_3_1_dil_sepc_3x3_3: BatchNorm,
    edge_4_0_dil_sepc_5x5_1: Conv2d,
    edge_4_0_dil_sepc_5x5_2: Conv2d,
    edge_4_0_dil_sepc_5x5_3: BatchNorm,
}

impl Block2 {
    fn new(device: &Device) -> Self {
        Self {
            preprocess_0_conv: Conv2dConfig::new([24, 16], [1, 1])
                .with_bias(false)
                .init(device),
            preprocess_0_norm: BatchNormConfig::new(16).init(device),
            preprocess_1_conv: Conv2dConfig::new([32, 16], [1, 1])
                .with_bias(false)
                .init(device),
            preprocess_1_norm: BatchNormConfig::new(16).init(device),
            edge_2_0_skip_connect_0_a: Conv2dConfig::new([16, 8], [1, 1])
                .with_stride([2, 2])
                .with_bias(false)
                .init(device),
            edge_2_0_skip_connect_0_b: Conv2dConfig::new([16, 8], [1, 1])
                .with_stride([2, 2])
                .with_bias(false)
                .init(device),
            edge_2_0_skip_connect_0_norm: BatchNormConfig::new(16).init(device),
            edge_2_1_dua_sepc_3x3_1: Conv2dConfig::new([16, 16], [3, 3])
                .with_stride([2, 2])
                .with_groups(16)
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false)
                .init(device),
            edge_2_1_dua_sepc_3x3_2: Conv2dConfig::new([16, 16], [1, 1])
                .with_bias(false)
                .init(device),
            edge_2_1_dua_sepc_3x3_3: BatchNormConfig::new(16).init(device),
            edge_2_1_dua_sepc_3x3_5: Conv2dConfig::new([16, 16], [3, 3])
                .with_groups(16)
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false)
                .init(device),
            edge_2_1_dua_sepc_3x3_6: Conv2dConfig::new([16, 16], [1, 1])
                .with_bias(false)
                .init(device),
            edge_2_1_dua_sepc_3x3_7: BatchNormConfig::new(16).init(device),
            edge_3_0_dua_sepc_5x5_1: Conv2dConfig::new([16, 16], [5, 5])
                .with_stride([2, 2])
                .with_groups(16)
                .with_padding(PaddingConfig2d::Explicit(2, 2, 2, 2))
                .with_bias(false)
                .init(device),
            edge_3_0_dua_sepc_5x5_2: Conv2dConfig::new([16, 16], [1, 1])
                .with_bias(false)
                .init(device),
            edge_3_0_dua_sepc_5x5_3: BatchNormConfig::new(16).init(device),
            edge_3_0_dua_sepc_5x5_5: Conv2dConfig::new([16, 16], [5, 5])
                .with_groups(16)
                .with_padding(PaddingConfig2d::Explicit(2, 2, 2, 2))
                .with_bias(false)
                .init(device),
            edge_3_0_dua_sepc_5x5_6: Conv2dConfig::new([16, 16], [1, 1])
                .with_bias(false)
                .init(device),
            edge_3_0_dua_sepc_5x5_7: BatchNormConfig::new(16).init(device),
            edge_3_1_dil_sepc_3x3_1: Conv2dConfig::new([16, 16], [3, 3])
                .with_stride([2, 2])
                .with_dilation([2, 2])
                .with_groups(16)
                .with_padding(PaddingConfig2d::Explicit(2, 2, 2, 2))
                .with_bias(false)
                .init(device),
            edge_3_1_dil_sepc_3x3_2: Conv2dConfig::new([16, 16], [1, 1])
                .with_bias(false)
                .init(device),
            edge_3_1_dil_sepc_3x3_3: BatchNormConfig::new(16).init(device),
            edge_4_0_dil_sepc_5x5_1: Conv2dConfig::new([16, 16], [5, 5])
                .with_stride([2, 2])
                .with_dilation([2, 2])
                .with_groups(16)
                .with_padding(PaddingConfig2d::Explicit(4, 4, 4, 4))
                .with_bias(false)
                .init(device),
            edge_4_0_dil_sepc_5x5_2: Conv2dConfig::new([16, 16], [1, 1])
                .with_bias(false)
                .init(device),
            edge_4_0_dil_sepc_5x5_3: BatchNormConfig::new(16).init(device),
        }
    }

    fn forward(&self, x0: Tensor<4>, x1: Tensor<4>) -> Tensor<4> {
        let v0 = relu(x0);
        let v1 = self.preprocess_0_conv.forward(v0);
        let v2 = self.preprocess_0_norm.forward(v1);
        let v3 = relu(x1);
        let v4 = self.preprocess_1_conv.forward(v3);
        let v5 = self.preprocess_1_norm.forward(v4);
        let v6 = relu(v2.clone());
        let v7 = self.edge_2_0_skip_connect_0_a.forward(v6.clone());
        let v8 = shift(v6);
        let v9 = self.edge_2_0_skip_connect_0_b.forward(v8);
        let v10 = Tensor::cat(vec![v7, v9], 1);
        let v11 = self.edge_2_0_skip_connect_0_norm.forward(v10);
        let v13 = relu(v5.clone());
        let v14 = self.edge_2_1_dua_sepc_3x3_1.forward(v13);
        let v15 = self.edge_2_1_dua_sepc_3x3_2.forward(v14);
        let v16 = self.edge_2_1_dua_sepc_3x3_3.forward(v15);
        let v17 = relu(v16);
        let v18 = self.edge_2_1_dua_sepc_3x3_5.forward(v17);
        let v19 = self.edge_2_1_dua_sepc_3x3_6.forward(v18);
        let v20 = self.edge_2_1_dua_sepc_3x3_7.forward(v19);
        let v22 = v11 + v20;
        let v23 = relu(v2.clone());
        let v24 = self.edge_3_0_dua_sepc_5x5_1.forward(v23);
        let v25 = self.edge_3_0_dua_sepc_5x5_2.forward(v24);
        let v26 = self.edge_3_0_dua_sepc_5x5_3.forward(v25);
        let v27 = relu(v26);
        let v28 = self.edge_3_0_dua_sepc_5x5_5.forward(v27);
        let v29 = self.edge_3_0_dua_sepc_5x5_6.forward(v28);
        let v30 = self.edge_3_0_dua_sepc_5x5_7.forward(v29);
        let v32 = relu(v5.clone());
        let v33 = self.edge_3_1_dil_sepc_3x3_1.forward(v32);
        let v34 = self.edge_3_1_dil_sepc_3x3_2.forward(v33);
        let v35 = self.edge_3_1_dil_sepc_3x3_3.forward(v34);
        let v37 = v30 + v35;
        let v38 = relu(v2.clone());
        let v39 = self.edge_4_0_dil_sepc_5x5_1.forward(v38);
        let v40 = self.edge_4_0_dil_sepc_5x5_2.forward(v39);
        let v41 = self.edge_4_0_dil_sepc_5x5_3.forward(v40);
        let v43 = avg_pool(v5, [3, 3], [2, 2], [1, 1]);
        let v45 = v41 + v43;
        let v46 = max_pool(v2, [3, 3], [2, 2], [1, 1]);
        let v48 = v46 + v22.clone();
        Tensor::cat(vec![v22, v37, v45, v48], 1)
    }
}

/// `cells.2`.
#[derive(Module, Debug)]
struct Block3 {
    preprocess_0_a: Conv2d,
    preprocess_0_b: Conv2d,
    preprocess_0_norm: BatchNorm,
    preprocess_1_conv: Conv2d,
    preprocess_1_norm: BatchNorm,
    edge_2_1_dua_sepc_3x3_1: Conv2d,
    edge_2_1_dua_sepc_3x3_2: Conv2d,
    edge_2_1_dua_sepc_3x3_3: BatchNorm,
    edge_2_1_dua_sepc_3x3_5: Conv2d,
    edge_2_1_dua_sepc_3x3_6: Conv2d,
    edge_2_1_dua_sepc_3x3_7: BatchNorm,
    edge_3_0_dua_sepc_5x5_1: Conv2d,
    edge_3_0_dua_sepc_5x5_2: Conv2d,
    edge_3_0_dua_sepc_5x5_3: BatchNorm,
    edge_3_0_dua_sepc_5x5_5: Conv2d,
    edge_3_0_dua_sepc_5x5_6: Conv2d,
    edge_3_0_dua_sepc_5x5_7: BatchNorm,
    edge_3_2_dil_sepc_3x3_1: Conv2d,
    edge_3_2_dil_sepc_3x3_2: Conv2d,
    edge_3_2_dil_sepc_3x3_3: BatchNorm,
    edge_4_1_dil_sepc_5x5_1: Conv2d,
    edge_4_1_dil_sepc_5x5_2: Conv2d,
    edge_4_1_dil_sepc_5x5_3: BatchNorm,
}

impl Block3 {
    fn new(device: &Device) -> Self {
        Self {
            preprocess_0_a: Conv2dConfig::new([32, 8], [1, 1])
                .with_stride([2, 2])
                .with_bias(false)
                .init(device),
            preprocess_0_b: Conv2dConfig::new([32, 8], [1, 1])
                .with_stride([2, 2])
                .with_bias(false)
                .init(device),
            preprocess_0_norm: BatchNormConfig::new(16).init(device),
            preprocess_1_conv: Conv2dConfig::new([64, 16], [1, 1])
                .with_bias(false)
                .init(device),
            preprocess_1_norm: BatchNormConfig::new(16).init(device),
            edge_2_1_dua_sepc_3x3_1: Conv2dConfig::new([16, 16], [3, 3])
                .with_groups(16)
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false)
                .init(device),
            edge_2_1_dua_sepc_3x3_2: Conv2dConfig::new([16, 16], [1, 1])
                .with_bias(false)
                .init(device),
            edge_2_1_dua_sepc_3x3_3: BatchNormConfig::new(16).init(device),
            edge_2_1_dua_sepc_3x3_5: Conv2dConfig::new([16, 16], [3, 3])
                .with_groups(16)
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false)
                .init(device),
            edge_2_1_dua_sepc_3x3_6: Conv2dConfig::new([16, 16], [1, 1])
                .with_bias(false)
                .init(device),
            edge_2_1_dua_sepc_3x3_7: BatchNormConfig::new(16).init(device),
            edge_3_0_dua_sepc_5x5_1: Conv2dConfig::new([16, 16], [5, 5])
                .with_groups(16)
                .with_padding(PaddingConfig2d::Explicit(2, 2, 2, 2))
                .with_bias(false)
                .init(device),
            edge_3_0_dua_sepc_5x5_2: Conv2dConfig::new([16, 16], [1, 1])
                .with_bias(false)
                .init(device),
            edge_3_0_dua_sepc_5x5_3: BatchNormConfig::new(16).init(device),
            edge_3_0_dua_sepc_5x5_5: Conv2dConfig::new([16, 16], [5, 5])
                .with_groups(16)
                .with_padding(PaddingConfig2d::Explicit(2, 2, 2, 2))
                .with_bias(false)
                .init(device),
            edge_3_0_dua_sepc_5x5_6: Conv2dConfig::new([16, 16], [1, 1])
                .with_bias(false)
                .init(device),
            edge_3_0_dua_sepc_5x5_7: BatchNormConfig::new(16).init(device),
            edge_3_2_dil_sepc_3x3_1: Conv2dConfig::new([16, 16], [3, 3])
                .with_dilation([2, 2])
                .with_groups(16)
                .with_padding(PaddingConfig2d::Explicit(2, 2, 2, 2))
                .with_bias(false)
                .init(device),
            edge_3_2_dil_sepc_3x3_2: Conv2dConfig::new([16, 16], [1, 1])
                .with_bias(false)
                .init(device),
            edge_3_2_dil_sepc_3x3_3: BatchNormConfig::new(16).init(device),
            edge_4_1_dil_sepc_5x5_1: Conv2dConfig::new([16, 16], [5, 5])
                .with_dilation([2, 2])
                .with_groups(16)
                .with_padding(PaddingConfig2d::Explicit(4, 4, 4, 4))
                .with_bias(false)
                .init(device),
            edge_4_1_dil_sepc_5x5_2: Conv2dConfig::new([16, 16], [1, 1])
                .with_bias(false)
                .init(device),
            edge_4_1_dil_sepc_5x5_3: BatchNormConfig::new(16).init(device),
        }
    }

    fn forward(&self, x0: Tensor<4>, x1: Tensor<4>) -> Tensor<4> {
        let v0 = relu(x0);
        let v1 = self.preprocess_0_a.forward(v0.clone());
        let v2 = shift(v0);
        let v3 = self.preprocess_0_b.forward(v2);
        let v4 = Tensor::cat(vec![v1, v3], 1);
        let v5 = self.preprocess_0_norm.forward(v4);
        let v6 = relu(x1);
        let v7 = self.preprocess_1_conv.forward(v6);
        let v8 = self.preprocess_1_norm.forward(v7);
        let v9 = relu(v8.clone());
        let v10 = self.edge_2_1_dua_sepc_3x3_1.forward(v9);
        let v11 = self.edge_2_1_dua_sepc_3x3_2.forward(v10);
        let v12 = self.edge_2_1_dua_sepc_3x3_3.forward(v11);
        let v13 = relu(v12);
        let v14 = self.edge_2_1_dua_sepc_3x3_5.forward(v13);
        let v15 = self.edge_2_1_dua_sepc_3x3_6.forward(v14);
        let v16 = self.edge_2_1_dua_sepc_3x3_7.forward(v15);
        let v18 = v5.clone() + v16;
        let v19 = relu(v5.clone());
        let v20 = self.edge_3_0_dua_sepc_5x5_1.forward(v19);
        let v21 = self.edge_3_0_dua_sepc_5x5_2.forward(v20);
        let v22 = self.edge_3_0_dua_sepc_5x5_3.forward(v21);
        let v23 = relu(v22);
        let v24 = self.edge_3_0_dua_sepc_5x5_5.forward(v23);
        let v25 = self.edge_3_0_dua_sepc_5x5_6.forward(v24);
        let v26 = self.edge_3_0_dua_sepc_5x5_7.forward(v25);
        let v28 = relu(v18.clone());
        let v29 = self.edge_3_2_dil_sepc_3x3_1.forward(v28);
        let v30 = self.edge_3_2_dil_sepc_3x3_2.forward(v29);
        let v31 = self.edge_3_2_dil_sepc_3x3_3.forward(v30);
        let v33 = v26 + v31;
        let v34 = relu(v8);
        let v35 = self.edge_4_1_dil_sepc_5x5_1.forward(v34);
        let v36 = self.edge_4_1_dil_sepc_5x5_2.forward(v35);
        let v37 = self.edge_4_1_dil_sepc_5x5_3.forward(v36);
        let v39 = avg_pool(v5, [3, 3], [1, 1], [1, 1]);
        let v41 = v37 + v39;
        let v42 = max_pool(v33.clone(), [3, 3], [1, 1], [1, 1]);
        let v44 = v42 + v18.clone();
        Tensor::cat(vec![v18, v33, v41, v44], 1)
    }
}

/// `cells.3`.
#[derive(Module, Debug)]
struct Block4 {
    preprocess_0_conv: Conv2d,
    preprocess_0_norm: BatchNorm,
    preprocess_1_conv: Conv2d,
    preprocess_1_norm: BatchNorm,
    edge_2_0_skip_connect_0_a: Conv2d,
    edge_2_0_skip_connect_0_b: Conv2d,
    edge_2_0_skip_connect_0_norm: BatchNorm,
    edge_2_1_dua_sepc_3x3_1: Conv2d,
    edge_2_1_dua_sepc_3x3_2: Conv2d,
    edge_2_1_dua_sepc_3x3_3: BatchNorm,
    edge_2_1_dua_sepc_3x3_5: Conv2d,
    edge_2_1_dua_sepc_3x3_6: Conv2d,
    edge_2_1_dua_sepc_3x3_7: BatchNorm,
    edge_3_0_dua_sepc_5x5_1: Conv2d,
    edge_3_0_dua_sepc_5x5_2: Conv2d,
    edge_3_0_dua_sepc_5x5_3: BatchNorm,
    edge_3_0_dua_sepc_5x5_5: Conv2d,
    edge_3_0_dua_sepc_5x5_6: Conv2d,
    edge_3_0_dua_sepc_5x5_7: BatchNorm,
    edge_3_1_dil_sepc_3x3_1: Conv2d,
    edge_3_1_dil_sepc_3x3_2: Conv2d,
    edge_3_1_dil_sepc_3x3_3: BatchNorm,
    edge_4_0_dil_sepc_5x5_1: Conv2d,
    edge_4_0_dil_sepc_5x5_2: Conv2d,
    edge_4_0_dil_sepc_5x5_3: BatchNorm,
}

impl Block4 {
    fn new(device: &Device) -> Self {
        Self {
            preprocess_0_conv: Conv2dConfig::new([64, 32], [1, 1])
                .with_bias(false)
                .init(device),
            preprocess_0_norm: BatchNormConfig::new(32).init(device),
            preprocess_1_conv: Conv2dConfig::new([64, 32], [1, 1])
                .with_bias(false)
                .init(device),
            preprocess_1_norm: BatchNormConfig::new(32).init(device),
            edge_2_0_skip_connect_0_a: Conv2dConfig::new([32, 16], [1, 1])
                .with_stride([2, 2])
                .with_bias(false)
                .init(device),
            edge_2_0_skip_connect_0_b: Conv2dConfig::new([32, 16], [1, 1])
                .with_stride([2, 2])
                .with_bias(false)
                .init(device),
            edge_2_0_skip_connect_0_norm: BatchNormConfig::new(32).init(device),
            edge_2_1_dua_sepc_3x3_1: Conv2dConfig::new([32, 32], [3, 3])
                .with_stride([2, 2])
                .with_groups(32)
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false)
                .init(device),
            edge_2_1_dua_sepc_3x3_2: Conv2dConfig::new([32, 32], [1, 1])
                .with_bias(false)
                .init(device),
            edge_2_1_dua_sepc_3x3_3: BatchNormConfig::new(32).init(device),
            edge_2_1_dua_sepc_3x3_5: Conv2dConfig::new([32, 32], [3, 3])
                .with_groups(32)
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false)
                .init(device),
            edge_2_1_dua_sepc_3x3_6: Conv2dConfig::new([32, 32], [1, 1])
                .with_bias(false)
                .init(device),
            edge_2_1_dua_sepc_3x3_7: BatchNormConfig::new(32).init(device),
            edge_3_0_dua_sepc_5x5_1: Conv2dConfig::new([32, 32], [5, 5])
                .with_stride([2, 2])
                .with_groups(32)
                .with_padding(PaddingConfig2d::Explicit(2, 2, 2, 2))
                .with_bias(false)
                .init(device),
            edge_3_0_dua_sepc_5x5_2: Conv2dConfig::new([32, 32], [1, 1])
                .with_bias(false)
                .init(device),
            edge_3_0_dua_sepc_5x5_3: BatchNormConfig::new(32).init(device),
            edge_3_0_dua_sepc_5x5_5: Conv2dConfig::new([32, 32], [5, 5])
                .with_groups(32)
                .with_padding(PaddingConfig2d::Explicit(2, 2, 2, 2))
                .with_bias(false)
                .init(device),
            edge_3_0_dua_sepc_5x5_6: Conv2dConfig::new([32, 32], [1, 1])
                .with_bias(false)
                .init(device),
            edge_3_0_dua_sepc_5x5_7: BatchNormConfig::new(32).init(device),
            edge_3_1_dil_sepc_3x3_1: Conv2dConfig::new([32, 32], [3, 3])
                .with_stride([2, 2])
                .with_dilation([2, 2])
                .with_groups(32)
                .with_padding(PaddingConfig2d::Explicit(2, 2, 2, 2))
                .with_bias(false)
                .init(device),
            edge_3_1_dil_sepc_3x3_2: Conv2dConfig::new([32, 32], [1, 1])
                .with_bias(false)
                .init(device),
            edge_3_1_dil_sepc_3x3_3: BatchNormConfig::new(32).init(device),
            edge_4_0_dil_sepc_5x5_1: Conv2dConfig::new([32, 32], [5, 5])
                .with_stride([2, 2])
                .with_dilation([2, 2])
                .with_groups(32)
                .with_padding(PaddingConfig2d::Explicit(4, 4, 4, 4))
                .with_bias(false)
                .init(device),
            edge_4_0_dil_sepc_5x5_2: Conv2dConfig::new([32, 32], [1, 1])
                .with_bias(false)
                .init(device),
            edge_4_0_dil_sepc_5x5_3: BatchNormConfig::new(32).init(device),
        }
    }

    fn forward(&self, x0: Tensor<4>, x1: Tensor<4>) -> Tensor<4> {
        let v0 = relu(x0);
        let v1 = self.preprocess_0_conv.forward(v0);
        let v2 = self.preprocess_0_norm.forward(v1);
        let v3 = relu(x1);
        let v4 = self.preprocess_1_conv.forward(v3);
        let v5 = self.preprocess_1_norm.forward(v4);
        let v6 = relu(v2.clone());
        let v7 = self.edge_2_0_skip_connect_0_a.forward(v6.clone());
        let v8 = shift(v6);
        let v9 = self.edge_2_0_skip_connect_0_b.forward(v8);
        let v10 = Tensor::cat(vec![v7, v9], 1);
        let v11 = self.edge_2_0_skip_connect_0_norm.forward(v10);
        let v13 = relu(v5.clone());
        let v14 = self.edge_2_1_dua_sepc_3x3_1.forward(v13);
        let v15 = self.edge_2_1_dua_sepc_3x3_2.forward(v14);
        let v16 = self.edge_2_1_dua_sepc_3x3_3.forward(v15);
        let v17 = relu(v16);
        let v18 = self.edge_2_1_dua_sepc_3x3_5.forward(v17);
        let v19 = self.edge_2_1_dua_sepc_3x3_6.forward(v18);
        let v20 = self.edge_2_1_dua_sepc_3x3_7.forward(v19);
        let v22 = v11 + v20;
        let v23 = relu(v2.clone());
        let v24 = self.edge_3_0_dua_sepc_5x5_1.forward(v23);
        let v25 = self.edge_3_0_dua_sepc_5x5_2.forward(v24);
        let v26 = self.edge_3_0_dua_sepc_5x5_3.forward(v25);
        let v27 = relu(v26);
        let v28 = self.edge_3_0_dua_sepc_5x5_5.forward(v27);
        let v29 = self.edge_3_0_dua_sepc_5x5_6.forward(v28);
        let v30 = self.edge_3_0_dua_sepc_5x5_7.forward(v29);
        let v32 = relu(v5.clone());
        let v33 = self.edge_3_1_dil_sepc_3x3_1.forward(v32);
        let v34 = self.edge_3_1_dil_sepc_3x3_2.forward(v33);
        let v35 = self.edge_3_1_dil_sepc_3x3_3.forward(v34);
        let v37 = v30 + v35;
        let v38 = relu(v2.clone());
        let v39 = self.edge_4_0_dil_sepc_5x5_1.forward(v38);
        let v40 = self.edge_4_0_dil_sepc_5x5_2.forward(v39);
        let v41 = self.edge_4_0_dil_sepc_5x5_3.forward(v40);
        let v43 = avg_pool(v5, [3, 3], [2, 2], [1, 1]);
        let v45 = v41 + v43;
        let v46 = max_pool(v2, [3, 3], [2, 2], [1, 1]);
        let v48 = v46 + v22.clone();
        Tensor::cat(vec![v22, v37, v45, v48], 1)
    }
}

/// `cells.4`.
#[derive(Module, Debug)]
struct Block5 {
    preprocess_0_a: Conv2d,
    preprocess_0_b: Conv2d,
    preprocess_0_norm: BatchNorm,
    preprocess_1_conv: Conv2d,
    preprocess_1_norm: BatchNorm,
    edge_2_1_dua_sepc_3x3_1: Conv2d,
    edge_2_1_dua_sepc_3x3_2: Conv2d,
    edge_2_1_dua_sepc_3x3_3: BatchNorm,
    edge_2_1_dua_sepc_3x3_5: Conv2d,
    edge_2_1_dua_sepc_3x3_6: Conv2d,
    edge_2_1_dua_sepc_3x3_7: BatchNorm,
    edge_3_0_dua_sepc_5x5_1: Conv2d,
    edge_3_0_dua_sepc_5x5_2: Conv2d,
    edge_3_0_dua_sepc_5x5_3: BatchNorm,
    edge_3_0_dua_sepc_5x5_5: Conv2d,
    edge_3_0_dua_sepc_5x5_6: Conv2d,
    edge_3_0_dua_sepc_5x5_7: BatchNorm,
    edge_3_2_dil_sepc_3x3_1: Conv2d,
    edge_3_2_dil_sepc_3x3_2: Conv2d,
    edge_3_2_dil_sepc_3x3_3: BatchNorm,
    edge_4_1_dil_sepc_5x5_1: Conv2d,
    edge_4_1_dil_sepc_5x5_2: Conv2d,
    edge_4_1_dil_sepc_5x5_3: BatchNorm,
}

impl Block5 {
    fn new(device: &Device) -> Self {
        Self {
            preprocess_0_a: Conv2dConfig::new([64, 16], [1, 1])
                .with_stride([2, 2])
                .with_bias(false)
                .init(device),
            preprocess_0_b: Conv2dConfig::new([64, 16], [1, 1])
                .with_stride([2, 2])
                .with_bias(false)
                .init(device),
            preprocess_0_norm: BatchNormConfig::new(32).init(device),
            preprocess_1_conv: Conv2dConfig::new([128, 32], [1, 1])
                .with_bias(false)
                .init(device),
            preprocess_1_norm: BatchNormConfig::new(32).init(device),
            edge_2_1_dua_sepc_3x3_1: Conv2dConfig::new([32, 32], [3, 3])
                .with_groups(32)
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false)
                .init(device),
            edge_2_1_dua_sepc_3x3_2: Conv2dConfig::new([32, 32], [1, 1])
                .with_bias(false)
                .init(device),
            edge_2_1_dua_sepc_3x3_3: BatchNormConfig::new(32).init(device),
            edge_2_1_dua_sepc_3x3_5: Conv2dConfig::new([32, 32], [3, 3])
                .with_groups(32)
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false)
                .init(device),
            edge_2_1_dua_sepc_3x3_6: Conv2dConfig::new([32, 32], [1, 1])
                .with_bias(false)
                .init(device),
            edge_2_1_dua_sepc_3x3_7: BatchNormConfig::new(32).init(device),
            edge_3_0_dua_sepc_5x5_1: Conv2dConfig::new([32, 32], [5, 5])
                .with_groups(32)
                .with_padding(PaddingConfig2d::Explicit(2, 2, 2, 2))
                .with_bias(false)
                .init(device),
            edge_3_0_dua_sepc_5x5_2: Conv2dConfig::new([32, 32], [1, 1])
                .with_bias(false)
                .init(device),
            edge_3_0_dua_sepc_5x5_3: BatchNormConfig::new(32).init(device),
            edge_3_0_dua_sepc_5x5_5: Conv2dConfig::new([32, 32], [5, 5])
                .with_groups(32)
                .with_padding(PaddingConfig2d::Explicit(2, 2, 2, 2))
                .with_bias(false)
                .init(device),
            edge_3_0_dua_sepc_5x5_6: Conv2dConfig::new([32, 32], [1, 1])
                .with_bias(false)
                .init(device),
            edge_3_0_dua_sepc_5x5_7: BatchNormConfig::new(32).init(device),
            edge_3_2_dil_sepc_3x3_1: Conv2dConfig::new([32, 32], [3, 3])
                .with_dilation([2, 2])
                .with_groups(32)
                .with_padding(PaddingConfig2d::Explicit(2, 2, 2, 2))
                .with_bias(false)
                .init(device),
            edge_3_2_dil_sepc_3x3_2: Conv2dConfig::new([32, 32], [1, 1])
                .with_bias(false)
                .init(device),
            edge_3_2_dil_sepc_3x3_3: BatchNormConfig::new(32).init(device),
            edge_4_1_dil_sepc_5x5_1: Conv2dConfig::new([32, 32], [5, 5])
                .with_dilation([2, 2])
                .with_groups(32)
                .with_padding(PaddingConfig2d::Explicit(4, 4, 4, 4))
                .with_bias(false)
                .init(device),
            edge_4_1_dil_sepc_5x5_2: Conv2dConfig::new([32, 32], [1, 1])
                .with_bias(false)
                .init(device),
            edge_4_1_dil_sepc_5x5_3: BatchNormConfig::new(32).init(device),
        }
    }

    fn forward(&self, x0: Tensor<4>, x1: Tensor<4>) -> Tensor<4> {
        let v0 = relu(x0);
        let v1 = self.preprocess_0_a.forward(v0.clone());
        let v2 = shift(v0);
        let v3 = self.preprocess_0_b.forward(v2);
        let v4 = Tensor::cat(vec![v1, v3], 1);
        let v5 = self.preprocess_0_norm.forward(v4);
        let v6 = relu(x1);
        let v7 = self.preprocess_1_conv.forward(v6);
        let v8 = self.preprocess_1_norm.forward(v7);
        let v9 = relu(v8.clone());
        let v10 = self.edge_2_1_dua_sepc_3x3_1.forward(v9);
        let v11 = self.edge_2_1_dua_sepc_3x3_2.forward(v10);
        let v12 = self.edge_2_1_dua_sepc_3x3_3.forward(v11);
        let v13 = relu(v12);
        let v14 = self.edge_2_1_dua_sepc_3x3_5.forward(v13);
        let v15 = self.edge_2_1_dua_sepc_3x3_6.forward(v14);
        let v16 = self.edge_2_1_dua_sepc_3x3_7.forward(v15);
        let v18 = v5.clone() + v16;
        let v19 = relu(v5.clone());
        let v20 = self.edge_3_0_dua_sepc_5x5_1.forward(v19);
        let v21 = self.edge_3_0_dua_sepc_5x5_2.forward(v20);
        let v22 = self.edge_3_0_dua_sepc_5x5_3.forward(v21);
        let v23 = relu(v22);
        let v24 = self.edge_3_0_dua_sepc_5x5_5.forward(v23);
        let v25 = self.edge_3_0_dua_sepc_5x5_6.forward(v24);
        let v26 = self.edge_3_0_dua_sepc_5x5_7.forward(v25);
        let v28 = relu(v18.clone());
        let v29 = self.edge_3_2_dil_sepc_3x3_1.forward(v28);
        let v30 = self.edge_3_2_dil_sepc_3x3_2.forward(v29);
        let v31 = self.edge_3_2_dil_sepc_3x3_3.forward(v30);
        let v33 = v26 + v31;
        let v34 = relu(v8);
        let v35 = self.edge_4_1_dil_sepc_5x5_1.forward(v34);
        let v36 = self.edge_4_1_dil_sepc_5x5_2.forward(v35);
        let v37 = self.edge_4_1_dil_sepc_5x5_3.forward(v36);
        let v39 = avg_pool(v5, [3, 3], [1, 1], [1, 1]);
        let v41 = v37 + v39;
        let v42 = max_pool(v33.clone(), [3, 3], [1, 1], [1, 1]);
        let v44 = v42 + v18.clone();
        Tensor::cat(vec![v18, v33, v41, v44], 1)
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
            norm: BatchNormConfig::new(128).init(device),
            classifier: LinearConfig::new(128, 5).init(device),
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

/// Maximum over a window.
fn max_pool(x: Tensor<4>, kernel: [usize; 2], stride: [usize; 2], pad: [usize; 2]) -> Tensor<4> {
    let [y, x_pad] = pad;
    MaxPool2dConfig::new(kernel)
        .with_strides(stride)
        .with_padding(PaddingConfig2d::Explicit(y, x_pad, y, x_pad))
        .init()
        .forward(x)
}

/// The image moved up and left by one pixel, zeros following.
fn shift(x: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    x.slice([0..batch, 0..channels, 1..height, 1..width])
        .pad((0, 1, 0, 1), 0.0)
}

/// Mean over height and width.
fn mean(x: Tensor<4>) -> Tensor<4> {
    AdaptiveAvgPool2dConfig::new([1, 1]).init().forward(x)
}
