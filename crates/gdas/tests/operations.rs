//! Every candidate operation by PyTorch's documented arithmetic, and what is off when a network is used.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData, Tolerance};
use gdas::network::{NetworkConfig, Stem, derive, operation_alone};
use gdas::rng::{Rng, Stream};
use gdas::space::{Genotype, operations};
use gdas::weights::Weights;
use gdas_kernels::graph::{Graph, Op, Shape};
use gdas_kernels::{Inputs, Mode};

/// The documentation of `torch.nn.Conv2d` and of the pools, for one axis.
fn documented(n: usize, kernel: usize, stride: usize, padding: usize, dilation: usize) -> usize {
    (n + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1
}

/// `(kernel, padding, dilation, takes the stride)` of an operation's windows, as its published PyTorch code has them.
/// A skip connection of stride 2 is a factorized reduction: 1x1 convolutions of the image and of the image moved by one
/// pixel, padded to the size it had.
fn windows(name: &str, stride: usize) -> Vec<(usize, usize, usize, bool)> {
    match name {
        "none" => vec![],
        "skip_connect" if stride == 1 => vec![],
        "skip_connect" | "nor_conv_1x1" => vec![(1, 0, 1, true)],
        "nor_conv_3x3" | "avg_pool_3x3" | "max_pool_3x3" => vec![(3, 1, 1, true)],
        "dua_sepc_3x3" => vec![(3, 1, 1, true), (1, 0, 1, false), (3, 1, 1, false), (1, 0, 1, false)],
        "dua_sepc_5x5" => vec![(5, 2, 1, true), (1, 0, 1, false), (5, 2, 1, false), (1, 0, 1, false)],
        "dil_sepc_3x3" => vec![(3, 2, 2, true), (1, 0, 1, false)],
        "dil_sepc_5x5" => vec![(5, 4, 2, true), (1, 0, 1, false)],
        other => panic!("{other} is not in this test: say what its windows are"),
    }
}

fn random(shape: Shape, batch: usize) -> Tensor<4> {
    let mut rng = Rng::new(1, Stream::Augment, 0);
    let data: Vec<f32> = (0..batch * shape.elements()).map(|_| rng.normal() as f32).collect();
    let data = TensorData::new(data, [batch, shape.height, shape.width, shape.channels]);
    Tensor::from_data(data, &Device::flex())
}

fn inputs(graph: &Graph, image: Tensor<4>, weights: &Weights) -> Inputs {
    let params = weights.locate(graph).iter().map(|&i| weights.values[i].clone()).collect();
    let masks = (graph.masks > 0).then(|| Tensor::ones([graph.masks, image.dims()[0]], &Device::flex()));
    Inputs { masks, running: weights.running_of(graph), ..Inputs::new(image, params) }
}

#[test]
fn shapes_follow_pytorchs_arithmetic_at_both_strides() {
    for operation in operations::all().iter().filter(|operation| operation.name != "none") {
        for stride in [1, 2] {
            for (height, width) in [(32, 32), (16, 8), (9, 9), (7, 10), (5, 8), (3, 3), (2, 3)] {
                let input = Shape::new(height, width, 4);
                let graph = operation_alone(Some(operation), input, stride).unwrap();
                let along = |n: usize| {
                    windows(&operation.name, stride).into_iter().fold(n, |n, (kernel, padding, dilation, strided)| {
                        documented(n, kernel, if strided { stride } else { 1 }, padding, dilation)
                    })
                };
                // The last node is the mean over the image; what it reads is the operation's result.
                let result = graph.shape(graph.nodes.last().unwrap().inputs[0]);
                let expected = Shape::new(along(height), along(width), 4);
                let what = format!("{} at stride {stride} of {height} x {width}", operation.name);
                assert_eq!(result, expected, "{what}");
                // In a cell all operations of a node meet.
                assert_eq!(expected, Shape::new(height.div_ceil(stride), width.div_ceil(stride), 4), "{what}");

                // Burn's own operations come to the shapes by themselves, and both engines to the same values.
                let mut weights = Weights::new(3, &Device::flex());
                weights.declare(&graph);
                let graph = Arc::new(graph);
                let image = random(input, 3);
                let fused = gdas_kernels::run(&graph, Mode::Eval, inputs(&graph, image.clone(), &weights));
                let plain = gdas_kernels::reference::run(&graph, Mode::Eval, inputs(&graph, image, &weights));
                assert_eq!(plain.outputs[0].dims(), [3, 4], "{what}");
                let tolerance = Tolerance::absolute(1e-4);
                plain.outputs[0].to_data().assert_approx_eq::<f32>(&fused.outputs[0].to_data(), tolerance);
            }
        }
    }
}

/// Auxiliary head and drop-path belong to training: the network in use has the same weights and neither.
#[test]
fn drop_path_and_auxiliary_head_are_off_in_use() {
    let genotype = Genotype::named("GDAS_V1").unwrap();
    let config = |training: bool| NetworkConfig {
        image: Shape::new(16, 16, 3),
        classes: 5,
        channels: 4,
        stem: Stem::Cifar,
        affine: true,
        track: true,
        auxiliary: training,
        drop_path: training,
    };
    let network = |training| Arc::new(derive(&genotype.space.derived_blocks(1), &config(training), &genotype).unwrap());
    let (training, used) = (network(true), network(false));
    assert!(training.masks > 0 && training.outputs.len() == 2);
    assert!(training.nodes.iter().any(|node| matches!(node.op, Op::ScaleImages { .. })));
    assert_eq!((used.masks, used.outputs.len()), (0, 1));
    assert!(!used.nodes.iter().any(|node| matches!(node.op, Op::ScaleImages { .. })));
    assert!(used.params.iter().all(|spec| training.params.contains(spec)));
    assert!(training.params.iter().any(|spec| spec.name.starts_with("auxiliary")));
    assert!(!used.params.iter().any(|spec| spec.name.starts_with("auxiliary")));

    // With nothing dropped, the network in training says the same as the one in use.
    let mut weights = Weights::new(0, &Device::flex());
    weights.declare(&training);
    let image = random(used.shape(0), 2);
    let of = |graph: &Arc<Graph>| {
        gdas_kernels::run(graph, Mode::Eval, inputs(graph, image.clone(), &weights)).outputs[0].to_data()
    };
    of(&training).assert_approx_eq::<f32>(&of(&used), Tolerance::absolute(1e-6));
}
