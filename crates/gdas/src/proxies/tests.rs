#![allow(clippy::unwrap_used)]
use burn::tensor::DType;
use gdas_kernels::graph::{Shape, Window};
use gdas_kernels::{Inputs, Mode, reference};

use super::*;
use crate::data;
use crate::network::{NetworkConfig, Stem, derive};
use crate::space::Genotype;

/// A network of this cell for the digits, small.
fn network(cell: &str) -> Graph {
    let genotype: Genotype = cell.parse().unwrap();
    let config = NetworkConfig {
        image: Shape::new(8, 8, 1),
        classes: 10,
        channels: 8,
        stem: Stem::Cifar,
        affine: true,
        track: true,
        auxiliary: false,
        drop_path: false,
    };
    derive(&genotype.space.derived_blocks(1), &config, &genotype).unwrap()
}

const GOOD: &str = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|";
const POOR: &str = "|none~0|+|none~0|none~1|+|avg_pool_3x3~0|none~1|none~2|";
const EMPTY: &str = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|";

fn digits(images: usize) -> Batch {
    super::images(&data::digits().hold_out(0.2), images)
}

/// Images of one pixel and one channel.
fn pixels(values: &[f32], labels: &[u32]) -> Batch {
    Batch { images: values.to_vec(), labels: labels.to_vec(), height: 1, width: 1, channels: 1, recipe: None }
}

fn given(values: &[&[f32]]) -> Vec<Tensor<1>> {
    values.iter().map(|values| crate::weights::flat(values.to_vec(), &Device::flex())).collect()
}

/// A convolution of weight a (normalised), ReLU, and a classifier of two classes with weights b, c.
fn tiny(norm: bool) -> Graph {
    let mut graph = Graph::new(Shape::new(1, 1, 1));
    let x = graph.conv(0, "conv", 1, Window::valid(1, 1), 1, false);
    let x = if norm { graph.norm(x, "norm", false, false) } else { x };
    let x = graph.relu(x);
    let x = graph.linear(x, "classifier", 2);
    graph.outputs = vec![x];
    graph
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-6 * expected.abs().max(1.0), "{found}, expected {expected}");
}

#[test]
fn synflow_by_hand() {
    // R = 2 (3 + 5) + 1 + 1, all absolute. The convolution carries 2 * 8, the classifier 2 * 3 + 2 * 5; biases are no
    // weights. A normalisation in between changes nothing.
    for norm in [false, true] {
        close(synflow::score(&tiny(norm), &given(&[&[-2.0], &[3.0, -5.0], &[-1.0, 1.0]])), 32.0);
    }
}

#[test]
fn synflow_reads_no_image_and_is_not_negative() {
    let graph = network(GOOD);
    let (few, many) = (Proxy::Synflow.score(&graph, &digits(3), 5), Proxy::Synflow.score(&graph, &digits(50), 5));
    assert!(few == many && few > 0.0);
    assert!(Proxy::Synflow.score(&network(POOR), &digits(3), 5) > 0.0);
}

/// Class scores are linear in the weights where the ReLU is open, so that the gradients are easily had.
#[test]
fn snip_and_grad_norm_by_hand() {
    let (a, b, c) = (2.0f64, 3.0, -1.0);
    let params = given(&[&[a as f32], &[b as f32, c as f32], &[0.0, 0.0]]);
    let batch = pixels(&[0.5, -4.0], &[1, 0]);
    // The first image: hidden a / 2, scores (b, c) a / 2, of which class 1 is right. The second is cut off by the ReLU.
    let hidden = a / 2.0;
    let wrong = 1.0 / (1.0 + ((c - b) * hidden).exp());
    let (of_b, of_c, of_a) = (wrong * hidden / 2.0, -wrong * hidden / 2.0, wrong * (b - c) * 0.5 / 2.0);
    close(gradients::snip(&tiny(false), &params, &batch), (a * of_a).abs() + (b * of_b).abs() + (c * of_c).abs());
    close(gradients::grad_norm(&tiny(false), &params, &batch), of_a.abs() + of_b.hypot(of_c));
}

#[test]
fn naswot_of_two_images_by_hand() {
    // Two hidden units x and -x: images 1 and -1 switch none of them alike, 1 and 2 both.
    let mut graph = Graph::new(Shape::new(1, 1, 1));
    let x = graph.conv(0, "conv", 2, Window::valid(1, 1), 1, false);
    let x = graph.relu(x);
    let x = graph.relu(x);
    let x = graph.linear(x, "classifier", 2);
    graph.outputs = vec![x];
    let params = || given(&[&[1.0, -1.0], &[0.0; 4], &[0.0; 2]]);
    // Two ReLUs of two units: K = [[4, 0], [0, 4]].
    close(naswot::score(&graph, &params(), &pixels(&[1.0, -1.0], &[0, 1])), 16f64.ln());
    assert_eq!(naswot::score(&graph, &params(), &pixels(&[1.0, 2.0], &[0, 1])), f64::NEG_INFINITY);
    // An image of zero switches nothing: it agrees with each of the others on one unit of two.
    // K = [[4, 0, 2], [0, 4, 2], [2, 2, 4]], of determinant 32.
    close(naswot::score(&graph, &params(), &pixels(&[1.0, -1.0, 0.0], &[0, 1, 1])), 32f64.ln());
}

/// A network of two cells per stage in the NASNet space: concatenations, max pools, separable and dilated convolutions,
/// the fixed reduction cell.
fn nasnet() -> Graph {
    network(&Genotype::named("DARTS_V2").unwrap().to_string())
}

/// As [`synflow`] defines it: the gradient of every weight, by Burn's autodiff in double precision.
fn synflow_by_gradients(graph: &Graph, params: &[Tensor<1>]) -> f64 {
    let linear = graph.without(|op| matches!(op, Op::Norm { .. }));
    let params: Vec<_> = params.iter().map(|p| p.clone().cast(DType::F64).abs().autodiff().require_grad()).collect();
    let image = graph.shape(0);
    let ones = Tensor::ones([1, image.height, image.width, image.channels], (&Device::flex(), DType::F64));
    let outcome = reference::run(&linear, Mode::Train, Inputs::new(ones, params.clone()));
    let gradients = outcome.outputs[0].clone().sum().backward();
    let flows = kernels(graph).filter_map(|weight| {
        let flow = params[weight].grad(&gradients)? * params[weight].clone().inner();
        flow.sum().to_data().iter::<f64>().next()
    });
    flows.sum()
}

#[test]
fn synflow_is_the_sum_over_weights_of_weight_and_gradient() {
    for graph in [network(GOOD), network(POOR), network(EMPTY), nasnet()] {
        let params = fresh(&graph, 3);
        let (found, expected) = (synflow::score(&graph, &params), synflow_by_gradients(&graph, &params));
        assert!((found - expected).abs() <= 1e-12 * expected, "{found}, expected {expected}");
    }
}

/// As [`naswot`] defines its matrix: the signs of what every ReLU of plain Burn operations gives.
fn agreement_by_codes(graph: &Graph, params: Vec<Tensor<1>>, batch: &Batch) -> Vec<f64> {
    let mut codes = vec![vec![]; batch.len()];
    let inputs = Inputs::new(batch.tensor(&Device::flex()), params);
    reference::run_observed(graph, Mode::Train, inputs, &mut |node, value| {
        if node.op == Op::Relu {
            let values: Vec<f32> = value.to_data().iter::<f32>().collect();
            for (code, image) in codes.iter_mut().zip(values.chunks_exact(node.shape.elements())) {
                code.extend(image.iter().map(|&x| x > 0.0));
            }
        }
    });
    let agree = |a: &[bool], b: &[bool]| a.iter().zip(b).filter(|(a, b)| a == b).count() as f64;
    codes.iter().flat_map(|a| codes.iter().map(|b| agree(a, b)).collect::<Vec<_>>()).collect()
}

#[test]
fn the_engines_relus_are_on_where_those_of_plain_operations_are() {
    let batch = digits(7);
    for graph in [network(GOOD), network(POOR), nasnet()] {
        let params = fresh(&graph, 3);
        let units: usize = graph.nodes.iter().filter(|node| node.op == Op::Relu).map(|n| n.shape.elements()).sum();
        let tape = pass::Pass::new(&graph, &params, &batch).forward().tape.unwrap();
        let expected = agreement_by_codes(&graph, params, &batch);
        for (&found, expected) in tape.relu_agreement().iter().zip(&expected) {
            // Numbers that rounding moves across zero.
            assert!((found as f64 - expected).abs() <= 1e-3 * units as f64, "{found}, expected {expected} of {units}");
        }
    }
}

#[test]
fn every_proxy_is_a_function_of_its_seed_and_tells_cells_apart() {
    for proxy in Proxy::ALL {
        assert_eq!(proxy.name().parse(), Ok(proxy));
        let batch = digits(16);
        let score = |cell, seed| proxy.score(&network(cell), &batch, seed);
        let good = score(GOOD, 1);
        assert!(good.is_finite(), "{proxy}: {good}");
        assert_eq!(good, score(GOOD, 1), "{proxy}");
        assert_ne!(good, score(GOOD, 2), "{proxy}");
        assert!(good > score(POOR, 1), "{proxy}: {good} and {}", score(POOR, 1));
        assert!(!score(EMPTY, 1).is_nan(), "{proxy}");
    }
    assert!("zero".parse::<Proxy>().unwrap_err().contains("synflow, snip"));
}

#[test]
fn every_proxy_reads_every_space() {
    let cell = "GDAS_V1";
    let genotype = Genotype::named(cell).unwrap();
    let graph = network(&genotype.to_string());
    for proxy in Proxy::ALL {
        let score = proxy.score(&graph, &digits(4), 0);
        assert!(score.is_finite(), "{proxy}: {score}");
    }
}
