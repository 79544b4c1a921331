//! The fused engine against plain Burn operations, on whole networks, through the public entry point.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor, TensorData};
use gdas::network::{NetworkConfig, NodePlan, Stem, Term, derive, lower};
use gdas::rng::{Rng, Stream};
use gdas::space::{Genotype, Space, spaces};
use gdas_kernels::graph::{Graph, Shape};
use gdas_kernels::{ForwardOutput, Inputs, Mode};

fn config(size: usize) -> NetworkConfig {
    NetworkConfig {
        image: Shape::new(size, size, 3),
        classes: 4,
        channels: 8,
        stem: Stem::Cifar,
        affine: false,
        track: true,
        auxiliary: false,
        drop_path: false,
    }
}

struct Leaves {
    image: Tensor<4>,
    params: Vec<Tensor<1>>,
    gates: Option<Tensor<1>>,
    masks: Option<Tensor<2>>,
}

/// Random inputs; every parameter, the gates and the image are leaves that want a gradient.
fn leaves(graph: &Graph, batch: usize, seed: u64, dtype: DType) -> Leaves {
    let device = Device::flex().autodiff();
    let mut rng = Rng::new(seed, Stream::Weights, 0);
    let mut draw = |n: usize, scale: f64, offset: f64| -> Vec<f32> {
        (0..n).map(|_| (offset + scale * rng.normal()) as f32).collect()
    };
    let leaf = |data: Vec<f32>| {
        let n = data.len();
        Tensor::<1>::from_data(TensorData::new(data, [n]), (&device, DType::F32)).cast(dtype).detach().require_grad()
    };
    let s = graph.nodes[0].shape;
    let image = leaf(draw(batch * s.elements(), 1.0, 0.0));
    let params = graph.params.iter().map(|p| {
        let scale = if p.shape.len() == 1 { 0.2 } else { (2.0 / (p.len() / p.shape[3]) as f64).sqrt() };
        leaf(draw(p.len(), scale, if p.shape.len() == 1 { 0.7 } else { 0.0 }))
    });
    let params = params.collect();
    let gates = (graph.gates > 0).then(|| leaf(draw(graph.gates, 0.3, 1.0)));
    let masks = (graph.masks > 0).then(|| leaf(draw(graph.masks * batch, 0.5, 1.0)).reshape([graph.masks, batch]));
    Leaves { image: image.reshape([batch, s.height, s.width, s.channels]), params, gates, masks }
}

type Gradients = Vec<Vec<f64>>;

fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor.to_data().convert::<f64>().try_to_vec::<f64>().unwrap()
}

fn gradients(
    graph: &Arc<Graph>,
    dtype: DType,
    run: impl Fn(&Arc<Graph>, Mode, Inputs) -> ForwardOutput,
) -> (Vec<f64>, Gradients) {
    let leaves = leaves(graph, 3, 11, dtype);
    let inputs = Inputs {
        gates: leaves.gates.clone(),
        masks: leaves.masks.clone(),
        ..Inputs::new(leaves.image.clone(), leaves.params.clone())
    };
    let outcome = run(graph, Mode::Train, inputs);
    let mut loss: Option<Tensor<1>> = None;
    let mut all = Vec::new();
    for (i, output) in outcome.outputs.iter().enumerate() {
        all.extend(values(output));
        let weights = Tensor::<2>::from_data([[0.3, -1.0, 0.5, 0.9]], (&output.device(), DType::F64)).cast(dtype);
        let part = (output.clone() * weights * (i as f32 + 1.0)).powi_scalar(2).sum();
        loss = Some(loss.map_or_else(|| part.clone(), |loss| loss + part.clone()));
    }
    for stats in &outcome.stats {
        all.extend(values(stats));
    }
    let grads = loss.unwrap().backward();
    // Burn gives no gradient where the result does not depend on a weight (behind a `none`), the engine zeros.
    let gradient = |p: &Tensor<1>| p.grad(&grads).map_or_else(|| vec![0.0; p.dims()[0]], |g| values(&g));
    let mut result: Gradients = leaves.params.iter().map(gradient).collect();
    if let Some(gates) = &leaves.gates {
        result.push(values(&gates.grad(&grads).unwrap()));
    }
    (all, result)
}

fn close(name: &str, fused: &[f64], exact: &[f64]) {
    assert_eq!(fused.len(), exact.len(), "{name}");
    let scale = exact.iter().map(|x| x * x).sum::<f64>().sqrt() / (exact.len() as f64).sqrt() + 1e-4;
    for (a, b) in fused.iter().zip(exact) {
        assert!((a - b).abs() < 2e-3 * (scale + b.abs()) + 1e-5, "{name}: {a} instead of {b} (scale {scale})");
    }
}

fn check(graph: Graph) {
    let graph = Arc::new(graph);
    let (outputs, fused) = gradients(&graph, DType::F32, gdas_kernels::run);
    let (exact_outputs, exact) =
        gradients(&graph, DType::F64, |g, mode, inputs| gdas_kernels::reference::run(g, mode, inputs));
    close("outputs and statistics", &outputs, &exact_outputs);
    for (i, (fused, exact)) in fused.iter().zip(&exact).enumerate() {
        close(graph.params.get(i).map_or("gates", |p| p.name.as_str()), fused, exact);
    }
}

#[test]
fn nas_bench_201_supernet_with_gates() {
    let space = spaces::nas_bench_201();
    let cell = &space.cells[0];
    let mut plan = vec![NodePlan::default(); cell.nodes];
    for (edge, pick) in cell.edges().iter().zip([3, 4, 2, 1, 3, 0]) {
        let gate = 2 * plan.iter().map(|n| n.terms.len()).sum::<usize>();
        let node = &mut plan[edge.to - 1];
        node.terms.push(Term { operation: cell.operations[pick].clone(), input: edge.from, gate: Some(gate) });
        node.constant.push(gate + 1);
    }
    check(lower(&space, &space.supernet_blocks(1), &config(9), &[plan]).unwrap());
}

#[test]
fn nasnet_networks() {
    for (space, genotype) in [(spaces::nasnet(), "DARTS_V2"), (spaces::nasnet(), "GDAS_V1")] {
        let genotype = Genotype::named(genotype).unwrap();
        let config = NetworkConfig { affine: true, auxiliary: true, drop_path: true, ..config(20) };
        check(derive(&space.derived_blocks(1), &config, &genotype).unwrap());
    }
}

#[test]
fn fixed_reduction_and_imagenet_stem() {
    let space = Space::find("nasnet-frc").unwrap();
    let mut genotype = Genotype::named("GDAS_V1").unwrap();
    genotype.cells.truncate(1);
    genotype.space = space.clone();
    check(derive(&space.supernet_blocks(2), &config(12), &genotype).unwrap());
    let config = NetworkConfig { stem: Stem::ImageNet, ..config(64) };
    check(derive(&space.supernet_blocks(1), &config, &genotype).unwrap());
}
