//! The example of `docs/extending.md`: a new operation and a new space, from data to export.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use gdas::config::EdgeOutput;
use gdas::cost;
use gdas::graph::Shape;
use gdas::network::{NetworkConfig, Stem, derive};
use gdas::space::{CellGenotype, CellSpace, Choice, Genotype, Layer, Operation, Space, operations};
use gdas::supernet::Supernet;
use gdas_exchange::export;
use gdas_kernels::Mode;

/// Two nodes, three edges, three operations, one of them new.
fn space() -> Space {
    let wide = Operation::new("conv_5x5", [Layer::Relu, Layer::Conv { kernel: 5 }, Layer::Norm]);
    Space::residual("tiny", CellSpace::one_input("cell", 2, [operations::none(), operations::skip_connect(), wide]))
}

fn config(affine: bool) -> NetworkConfig {
    NetworkConfig {
        image: Shape::new(16, 16, 3),
        classes: 5,
        channels: 8,
        stem: Stem::Cifar,
        affine,
        track: true,
        auxiliary: false,
        drop_path: false,
    }
}

#[test]
fn a_new_operation_in_a_new_space() {
    let device = Device::flex();
    let space = Arc::new(space());
    let supernet = Supernet::new(space.clone(), 1, config(false), 0, &device).unwrap();
    assert!(supernet.weights.find("cells.0.edge.2.1.conv_5x5.1.weight").is_some());

    // Searched: a draw runs, and the gates have gradients.
    let net = supernet.sub_network(&[vec![2, 1, 2]], EdgeOutput::AllGates);
    let params = net.params.iter().map(|&i| supernet.weights.values[i].clone()).collect();
    let gates = supernet.gates().autodiff().require_grad();
    let image = Tensor::<4>::ones([2, 16, 16, 3], &device);
    let outcome = supernet.run(&net, Mode::Train, image, params, gates.clone());
    assert_eq!(outcome.outputs[0].dims(), [2, 5]);
    let gradient = gates.grad(&outcome.outputs[0].clone().powi_scalar(2).sum().backward()).unwrap();
    assert!(gradient.abs().sum().into_scalar::<f32>() > 0.0);

    // Derived, costed, drawn, exported.
    let cell = &space.cells[0];
    let choice = |name, input| Choice { operation: cell.find(name).unwrap().clone(), input };
    let nodes = vec![vec![choice("conv_5x5", 0)], vec![choice("skip_connect", 0), choice("conv_5x5", 1)]];
    let genotype = Genotype { space: space.clone(), cells: vec![CellGenotype { nodes }] };
    assert_eq!(genotype, Genotype::parse("|conv_5x5~0|+|skip_connect~0|conv_5x5~1|", &space).unwrap());
    let graph = derive(&space.derived_blocks(1), &config(true), &genotype).unwrap();
    let part = cost::parts(&graph, 8).into_iter().find(|part| part.name.contains("cells.0.edge.1.0.conv_5x5.1"));
    assert_eq!(part.unwrap().cost.params, 25 * 8 * 8);
    let picture = gdas_report::cell_picture("cell", cell, &genotype.cells[0], false).unwrap();
    assert!(picture.to_svg().contains("conv_5x5"));
    let mut weights = gdas::weights::Weights::new(0, &device);
    weights.declare(&graph);
    let weights = export::Weights {
        params: (0..graph.params.len()).map(|i| weights.to_vec(i)).collect(),
        running: graph.norms.iter().map(|norm| vec![1.0; 2 * norm.channels]).collect(),
    };
    assert!(!export::to_onnx(&graph, &weights, &[]).unwrap().is_empty());
}
