//! The example of `docs/extending.md`: a new operation and a new space, from data to export.
#![allow(missing_docs, clippy::unwrap_used)]

use burn::tensor::{Device, Tensor};
use gdas::config::EdgeOutput;
use gdas::cost;
use gdas::graph::Shape;
use gdas::network::{NetworkConfig, Stem, derive};
use gdas::space::{
    Body, CellGenotype, CellOutput, CellSpace, Choice, Derivation, Genotype, Layer, Operation, Skeleton, Space,
};
use gdas::supernet::Supernet;
use gdas_exchange::export;
use gdas_kernels::Mode;

static NOR_CONV_5X5: Operation = Operation {
    name: "nor_conv_5x5",
    aliases: &[],
    label: "conv 5x5",
    body: Body::Layers(&[Layer::Relu, Layer::Conv { kernel: 5 }, Layer::Norm]),
};

/// Two nodes, three edges, three operations.
fn space() -> Space {
    let known = |name| Operation::find(name).unwrap();
    Space {
        name: "tiny",
        description: "an example",
        cells: vec![CellSpace {
            name: "cell",
            inputs: 1,
            nodes: 2,
            operations: vec![known("none"), known("skip_connect"), &NOR_CONV_5X5],
            output: CellOutput::Last,
            derivation: Derivation::BestPerEdge,
        }],
        skeleton: Skeleton::Residual,
    }
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
    let supernet = Supernet::new(space(), 1, config(false), 0, &device);
    assert!(supernet.weights.find("cells.0.edge.2.1.nor_conv_5x5.1.weight").is_some());

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
    let choice = |operation, input| Choice { operation, input };
    let skip = Operation::find("skip_connect").unwrap();
    let nodes = vec![vec![choice(&NOR_CONV_5X5, 0)], vec![choice(skip, 0), choice(&NOR_CONV_5X5, 1)]];
    let genotype = Genotype { space: "tiny", cells: vec![CellGenotype { nodes }] };
    genotype.check(&space()).unwrap();
    let graph = derive(&space(), &space().derived_blocks(1), &config(true), &genotype);
    let part = cost::parts(&graph, 8).into_iter().find(|part| part.name.contains("cells.0.edge.1.0.nor_conv_5x5.1"));
    assert_eq!(part.unwrap().cost.params, 25 * 8 * 8);
    let picture = gdas_report::cell_picture("cell", &space().cells[0], &genotype.cells[0], false).unwrap();
    assert!(picture.to_svg().contains("nor_conv_5x5"));
    let mut weights = gdas::weights::Weights::new(0, &device);
    weights.declare(&graph);
    let weights = export::Weights {
        params: (0..graph.params.len()).map(|i| weights.to_vec(i)).collect(),
        running: graph.norms.iter().map(|norm| vec![1.0; 2 * norm.channels]).collect(),
    };
    assert!(!export::to_onnx(&graph, &weights, &[]).unwrap().is_empty());
}
