//! A cell of two edges, every number worked out by hand, in both published forms of the edge output.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use gdas::Alpha;
use gdas::graph::{Graph, Shape, Sum, Window};
use gdas::search::{Draw, Estimator, StraightThrough};
use gdas_kernels::{Inputs, Mode, reference};

/// Image (1, -2, 4): one edge hands it on, the other averages it to (-1/2, 1, 1). The score is the mean of the node.
fn cell(constant: Vec<usize>) -> Arc<Graph> {
    let mut graph = Graph::new(Shape::new(1, 3, 1));
    let pool = graph.avg_pool(0, Window::same(3, 1, 1));
    let node = graph.sum(vec![0, pool], Sum { gates: vec![Some(0), Some(2)], constant }, graph.shape(0));
    let mean = graph.global_avg_pool(node);
    graph.outputs = vec![mean];
    graph.gates = 4;
    Arc::new(graph)
}

fn close(values: &Tensor<1>, exact: [f64; 4]) {
    let values: Vec<f64> = values.to_data().convert::<f64>().iter::<f64>().collect();
    for (value, exact) in values.iter().zip(exact) {
        assert!((value - exact).abs() < 1e-6, "{values:?} {exact}");
    }
}

#[test]
fn values_and_gate_gradients() {
    let device = Device::flex();
    for run in [gdas_kernels::run, |g: &Arc<Graph>, mode, inputs| reference::run(g, mode, inputs)] {
        // Gates 0 and 2 are those of the drawn operations, 1 and 3 the sums of the others.
        for (constant, exact) in [(vec![1, 3], [1.0, 1.0, 0.5, 1.0]), (vec![], [1.0, 0.0, 0.5, 0.0])] {
            let gates = Tensor::<1>::from_floats([1.0, 0.0, 1.0, 0.0], &device).autodiff().require_grad();
            let image = Tensor::<4>::from_floats([[[[1.0], [-2.0], [4.0]]]], &device);
            let inputs = Inputs { gates: Some(gates.clone()), ..Inputs::new(image, vec![]) };
            let score = run(&cell(constant), Mode::Train, inputs).outputs.swap_remove(0);
            // Mean of (1 - 1/2, -2 + 1, 4 + 1).
            let value: f64 = score.to_data().convert::<f64>().iter::<f64>().next().unwrap();
            assert!((value - 1.5).abs() < 1e-6);
            close(&gates.grad(&score.sum().backward()).unwrap(), exact);
        }
    }
}

/// On to alpha: p = (3/4, 1/4), the first operation drawn, tau = 2. The all-gates form hands the second
/// operation's gate the sum of the upstream gradient, 1; the picked-gate form nothing.
#[test]
fn gradients_of_alpha() {
    let row = |values: [f64; 2]| Alpha::from_rows(&[values]);
    let logits = Alpha::zeros(1, 2);
    let draw = Draw { picks: vec![0], probabilities: row([0.75, 0.25]), tau: 2.0, redraws: 0 };
    let all_gates = StraightThrough.gradient(&logits, &draw, &row([0.5, 1.0]));
    let picked_gate = StraightThrough.gradient(&logits, &draw, &row([0.5, 0.0]));
    // sum p dh = 5/8: 3/4 (1/2 - 5/8) / 2 and 1/4 (1 - 5/8) / 2; then sum p dh = 3/8 likewise.
    assert_eq!(all_gates, row([-0.046_875, 0.046_875]));
    assert_eq!(picked_gate, row([0.046_875, -0.046_875]));
}
