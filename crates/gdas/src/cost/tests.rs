use super::*;
use gdas_kernels::graph::{Shape, Sum, Window};

/// The benchmark's skeleton written out by hand, independent of the space's own lowering. `ops` are the six
/// operations in the benchmark's order of edges: (1,0) (2,0) (2,1) (3,0) (3,1) (3,2).
fn benchmark_network(ops: [&str; 6], classes: usize, image: usize) -> Graph {
    let mut g = Graph::new(Shape::new(image, image, 3));
    let stem = g.conv(0, "stem.conv", 16, Window::same(3, 1, 1), 1, false);
    let mut x = g.norm(stem, "stem.norm", true, true);
    for (stage, channels) in [16, 32, 64].into_iter().enumerate() {
        if stage > 0 {
            let name = format!("reduction{stage}");
            let r = g.relu(x);
            let a = g.conv(r, &format!("{name}.a"), channels, Window::same(3, 2, 1), 1, false);
            let a = g.norm(a, &format!("{name}.an"), true, true);
            let a = g.relu(a);
            let b = g.conv(a, &format!("{name}.b"), channels, Window::same(3, 1, 1), 1, false);
            let b = g.norm(b, &format!("{name}.bn"), true, true);
            let p = g.avg_pool(x, Window::valid(2, 2));
            let s = g.conv(p, &format!("{name}.s"), channels, Window::valid(1, 1), 1, false);
            x = g.add(vec![b, s]);
        }
        for cell in 0..5 {
            let mut nodes = vec![x];
            let mut edge = 0;
            for node in 1..4 {
                let mut inputs = vec![];
                for from in 0..node {
                    let name = format!("stage{stage}.cell{cell}.edge{edge}");
                    let input = nodes[from];
                    match ops[edge] {
                        "none" => {}
                        "skip_connect" => inputs.push(input),
                        "avg_pool_3x3" => inputs.push(g.avg_pool(input, Window::same(3, 1, 1))),
                        conv => {
                            let kernel = if conv == "nor_conv_1x1" { 1 } else { 3 };
                            let r = g.relu(input);
                            let c = g.conv(r, &name, channels, Window::same(kernel, 1, 1), 1, false);
                            inputs.push(g.norm(c, &format!("{name}.norm"), true, true));
                        }
                    }
                    edge += 1;
                }
                let gates = vec![None; inputs.len()];
                let shape = g.shape(x);
                nodes.push(g.sum(inputs, Sum { gates, constant: vec![] }, shape));
            }
            x = nodes[3];
        }
    }
    let x = g.norm(x, "last", true, true);
    let x = g.relu(x);
    let x = g.global_avg_pool(x);
    let out = g.linear(x, "classifier", classes);
    g.outputs.push(out);
    g
}

const CONV3: &str = "nor_conv_3x3";
const CONV1: &str = "nor_conv_1x1";
const SKIP: &str = "skip_connect";
const POOL: &str = "avg_pool_3x3";

fn rounded(cost: Cost) -> (String, String) {
    (format!("{:.2}", cost.multiply_adds_m()), format!("{:.3}", cost.params_m()))
}

#[test]
fn published_costs_of_benchmark_cells() {
    let best = [CONV3, CONV3, CONV3, SKIP, CONV3, CONV3];
    let pooled = [POOL, CONV1, SKIP, CONV1, SKIP, SKIP];
    // (operations, classes, image size, M multiply-adds, M parameters)
    let published = [
        ([CONV3; 6], 10, 32, "220.12", "1.532"),
        (best, 10, 32, "184.73", "1.289"),
        (best, 100, 32, "184.74", "1.294"),
        (best, 120, 16, "46.19", "1.296"),
    ];
    for (ops, classes, image, flops, params) in published {
        let cost = network(&benchmark_network(ops, classes, image));
        assert_eq!(rounded(cost), (flops.to_owned(), params.to_owned()), "{ops:?} {classes} {image}");
    }
    // This one is published with all its digits: 15.64737 M and 0.129306 M.
    let cost = network(&benchmark_network(pooled, 10, 32));
    assert_eq!(cost, Cost { params: 129_306, multiply_adds: 15_647_370 });
    // What all cells share, by formula: stem, two residual blocks of equal cost, classifier.
    let residual = 16 * 16 * (9 * 16 * 32 + 9 * 32 * 32 + 16 * 32);
    let shared = network(&benchmark_network([SKIP; 6], 10, 32));
    assert_eq!(shared.multiply_adds, 32 * 32 * 27 * 16 + 2 * residual + 650);
}

/// The space's own lowering gives the very network of the benchmark, for cells with and without dead operations.
#[test]
fn lowered_benchmark_networks_cost_the_same() {
    use crate::network::{NetworkConfig, Stem, derive};
    use crate::space::{Genotype, spaces::nas_bench_201};
    let space = nas_bench_201();
    let names = ["none", SKIP, CONV1, CONV3, POOL];
    for picks in [[3, 3, 3, 3, 3, 3], [4, 2, 1, 2, 1, 1], [3, 2, 0, 1, 0, 1], [0, 0, 0, 0, 0, 0], [1, 3, 0, 2, 4, 3]] {
        let config = NetworkConfig {
            image: Shape::new(32, 32, 3),
            classes: 10,
            channels: 16,
            stem: Stem::Cifar,
            affine: true,
            track: true,
            auxiliary: false,
            drop_path: false,
        };
        let genotype = Genotype::from_picks(&space, &[picks.to_vec()]);
        let lowered = derive(&space.derived_blocks(5), &config, &genotype).unwrap();
        let by_hand = benchmark_network(picks.map(|pick| names[pick]), 10, 32);
        assert_eq!(network(&lowered), network(&by_hand), "{genotype}");
    }
}

/// The published code of DARTS builds networks of 3,169,414 and 3,349,342 parameters (C = 36, 20 cells) and an
/// auxiliary head of 476,426; it has no normalisation before the last pool, which in ours holds 2 x 576 parameters. The paper gives 3.4 M for GDAS with a searched
/// reduction cell, as `GDAS_V1` has one (its 2.5 M belong to the fixed reduction cell).
#[test]
fn published_parameters_of_nasnet_cells() {
    use crate::network::{NetworkConfig, Stem, derive};
    use crate::space::Genotype;
    let of = |name: &str| {
        let genotype = Genotype::named(name).unwrap();
        let config = NetworkConfig {
            image: Shape::new(32, 32, 3),
            classes: 10,
            channels: 36,
            stem: Stem::Cifar,
            affine: true,
            track: true,
            auxiliary: true,
            drop_path: true,
        };
        derive(&genotype.space.derived_blocks(6), &config, &genotype).unwrap()
    };
    assert_eq!(network(&of("DARTS_V1")).params - 2 * 576, 3_169_414);
    assert_eq!(network(&of("DARTS_V2")).params - 2 * 576, 3_349_342);
    assert_eq!(format!("{:.1}", network(&of("GDAS_V1")).params_m()), "3.4");
    // The auxiliary head does not depend on the cell: 1x1 to 128, 2x2 to 768, two normalisations, linear.
    let head = 576 * 128 + 256 + 4 * 128 * 768 + 1536 + 7690;
    assert_eq!(head, 476_426);
    assert_eq!(["DARTS_V1", "DARTS_V2", "GDAS_V1"].map(|name| auxiliary(&of(name)).params), [head; 3]);
}

#[test]
fn operations_that_reach_no_output_still_count() {
    // Node 1 gets a convolution, but nothing reads node 1.
    let dead = [CONV3, CONV1, "none", SKIP, "none", SKIP];
    let alive = [CONV3, CONV1, "none", SKIP, SKIP, SKIP];
    assert_eq!(network(&benchmark_network(dead, 10, 32)), network(&benchmark_network(alive, 10, 32)));
}

#[test]
fn groups_and_bias() {
    let mut g = Graph::new(Shape::new(8, 8, 4));
    let x = g.conv(0, "depthwise", 4, Window::same(5, 2, 1), 4, false);
    let x = g.conv(x, "pointwise", 6, Window::valid(1, 1), 1, true);
    g.outputs.push(x);
    // 4x4 outputs: 25 per element of 4 channels, then (4 + 1 bias) per element of 6 channels.
    let cost = network(&g);
    assert_eq!(cost.multiply_adds, 25 * 16 * 4 + 5 * 16 * 6);
    assert_eq!(cost.params, 100 + 24 + 6);
}

#[test]
fn auxiliary_head_is_counted_apart() {
    let mut g = Graph::new(Shape::new(8, 8, 3));
    let x = g.conv(0, "stem", 4, Window::same(3, 1, 1), 1, false);
    let main = g.global_avg_pool(x);
    let main = g.linear(main, "classifier", 10);
    let aux = g.conv(x, "auxiliary.conv", 2, Window::valid(8, 1), 1, false);
    let aux = g.linear(aux, "auxiliary.classifier", 10);
    g.outputs = vec![main, aux];
    assert_eq!(network(&g).params, 27 * 4 + 4 * 10 + 10);
    assert_eq!(auxiliary(&g).params, 64 * 4 * 2 + 2 * 10 + 10);
    let parts = parts(&g, 1);
    let names: Vec<_> = parts.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["stem", "classifier", "auxiliary"]);
    let total: u64 = parts.iter().map(|p| p.cost.params).sum();
    assert_eq!(total, network(&g).params + auxiliary(&g).params);
}

#[test]
fn memory_grows_with_the_batch_but_weights_do_not() {
    let g = benchmark_network([CONV3; 6], 10, 32);
    let (one, many) = (training_memory(&g, 1), training_memory(&g, 64));
    assert_eq!(one.weights, many.weights);
    assert_eq!(one.weights, 3 * 4 * network(&g).params);
    assert_eq!(64 * one.activations, many.activations);
    // Each cell keeps six inputs of convolutions (one shared ReLU value per edge) and six of normalisations.
    let per_cell = |side: u64, channels: u64| 12 * side * side * channels * 4;
    assert!(one.activations > 5 * (per_cell(32, 16) + per_cell(16, 32) + per_cell(8, 64)));
}

#[test]
fn latency_counts_its_calls_and_passes_errors_on() {
    let mut calls = 0;
    let measured = latency::<()>(Duration::ZERO, || {
        calls += 1;
        Ok(())
    });
    assert_eq!(measured.map(|m| m.calls), Ok(5));
    assert_eq!(calls, 7);
    assert_eq!(latency(Duration::ZERO, || Err("broken")), Err("broken"));
}

#[test]
fn more_images_take_longer() {
    let mut g = Graph::new(Shape::new(16, 16, 8));
    let x = g.conv(0, "conv", 16, Window::same(3, 1, 1), 1, false);
    let x = g.norm(x, "norm", true, true);
    let x = g.global_avg_pool(x);
    let x = g.linear(x, "classifier", 3);
    g.outputs.push(x);
    let time = |batch| cpu_latency(&g, batch, Duration::from_millis(5)).best;
    assert!(time(64) > 2.0 * time(1));
}

#[test]
fn readable_units() {
    assert_eq!(readable(999), "999");
    assert_eq!(readable(73_306), "73.3 k");
    assert_eq!(readable(220_119_690), "220.12 M");
    assert_eq!(readable_bytes(1536), "1.5 KiB");
    assert_eq!(readable_bytes(3 << 29), "1.5 GiB");
}
