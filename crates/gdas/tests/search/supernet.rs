//! Steps and sub-networks of the supernet.

use burn::tensor::{Device, Tensor, TensorData};
use gdas::config::{EdgeOutput, Layer, SearchConfig, Undrawn, resolve};
use gdas::data::{self, Position, SearchBatches, SearchSplit};
use gdas::network::derive;
use gdas::search::Searcher;
use gdas::space::Genotype;
use gdas_kernels::{Inputs, Mode};

use super::{config, digits};

#[test]
fn weights_that_were_not_drawn_do_not_move() {
    for undrawn in [Undrawn::Skip, Undrawn::Decay] {
        let config = SearchConfig { undrawn, ..config("") };
        let dataset = digits();
        let mut searcher = Searcher::new(&config, &dataset, &Device::flex()).unwrap();
        let split = SearchSplit::new(&dataset, data::SplitRule::Halves, 0).unwrap();
        let batches = SearchBatches::new(&dataset, &split, &data::BatchOptions::for_dataset(&dataset, 8), 0);
        let names: Vec<String> = searcher.supernet.weights.specs.iter().map(|spec| spec.name.clone()).collect();
        let mut trained = std::collections::BTreeSet::new();
        for step in 0..6 {
            let before: Vec<_> = (0..names.len()).map(|i| searcher.supernet.weights.to_vec(i)).collect();
            let batch = batches.batch(0, step).weights;
            let (_, draws) = searcher.weight_step(&batch, Position { epoch: 0, step }, step, 10.0, 0.1).unwrap();
            let picks: Vec<_> = draws.iter().map(|draw| draw.picks.clone()).collect();
            let drawn = searcher.supernet.sub_network(&picks, EdgeOutput::PickedGate).params;
            for (i, name) in names.iter().enumerate() {
                let moved = before[i] != searcher.supernet.weights.to_vec(i);
                if !drawn.contains(&i) {
                    // With `decay`, momentum and decay go on once a weight has had a gradient.
                    assert_eq!(moved, undrawn == Undrawn::Decay && trained.contains(&i), "{name} in step {step}");
                } else if name.ends_with("weight") && !name.contains("edge") {
                    assert!(moved, "{name} was drawn");
                }
            }
            trained.extend(drawn);
        }
    }
}

/// The architecture step moves alpha and nothing else.
#[test]
fn the_architecture_step_leaves_the_weights_alone() {
    let config = config("");
    let dataset = digits();
    let mut searcher = Searcher::new(&config, &dataset, &Device::flex()).unwrap();
    let split = SearchSplit::new(&dataset, data::SplitRule::Halves, 0).unwrap();
    let batches = SearchBatches::new(&dataset, &split, &data::BatchOptions::for_dataset(&dataset, 8), 0);
    let (alpha, weights) = (searcher.alpha.clone(), searcher.supernet.weights.clone());
    searcher.alpha_step(&batches.batch(0, 0).alpha, Position::START, 0, 5.0).unwrap();
    assert_ne!(searcher.alpha, alpha);
    let resting = SearchConfig { alpha_warmup_epochs: 1, ..config.clone() };
    let mut resting = Searcher::new(&resting, &dataset, &Device::flex()).unwrap();
    resting.alpha_step(&batches.batch(0, 0).alpha, Position::START, 0, 5.0).unwrap();
    assert_eq!(resting.alpha, alpha);
    for i in 0..weights.values.len() {
        assert_eq!(searcher.supernet.weights.to_vec(i), weights.to_vec(i));
    }
}

/// With a fixed draw, and in both forms of the edge output, the supernet gives what the stand-alone network gives.
#[test]
fn a_drawn_supernet_is_the_derived_network() {
    let config = config("");
    let dataset = digits();
    let searcher = Searcher::new(&config, &dataset, &Device::flex()).unwrap();
    let supernet = &searcher.supernet;
    let images: Vec<f32> = (0..3 * 64).map(|i| ((i * 37 % 101) as f32 / 50.0) - 1.0).collect();
    let image = Tensor::<4>::from_data(TensorData::new(images, [3, 8, 8, 1]), &Device::flex());
    for picks in [[3, 2, 4, 1, 3, 2], [0, 1, 3, 4, 2, 3], [3, 3, 3, 3, 3, 3]] {
        let genotype = Genotype::from_picks(&supernet.space, &[picks.to_vec()]);
        let graph = derive(&supernet.blocks, &supernet.config, &genotype).unwrap();
        // The stand-alone network, its weights copied by name.
        let mut weights = gdas::weights::Weights::new(99, &Device::flex());
        weights.declare(&graph);
        for (i, spec) in graph.params.iter().enumerate() {
            let shared = supernet.weights.find(&spec.name).unwrap();
            weights.set(i, supernet.weights.to_vec(shared));
        }
        let inputs = Inputs::new(image.clone(), weights.values);
        let alone = gdas_kernels::run(&std::sync::Arc::new(graph), Mode::Train, inputs);
        for form in [EdgeOutput::AllGates, EdgeOutput::PickedGate] {
            let net = supernet.sub_network(&[picks.to_vec()], form);
            let params = net.params.iter().map(|&i| supernet.weights.values[i].clone()).collect();
            let shared = supernet.run(&net, Mode::Train, image.clone(), params, supernet.gates());
            alone.outputs[0]
                .to_data()
                .assert_approx_eq::<f32>(&shared.outputs[0].to_data(), burn::tensor::Tolerance::absolute(1e-6));
        }
    }
}

/// The same in the NASNet spaces, where a genotype has two edges per node: the supernet drew `none` on the others.
#[test]
fn a_drawn_nasnet_supernet_is_the_derived_network() {
    let dataset = digits();
    let images: Vec<f32> = (0..3 * 64).map(|i| ((i * 37 % 101) as f32 / 50.0) - 1.0).collect();
    let image = Tensor::<4>::from_data(TensorData::new(images, [3, 8, 8, 1]), &Device::flex());
    for (space, tables) in [("nasnet", 2), ("nasnet-frc", 1)] {
        let layer = |name, text: &str| Layer::file(name, text).unwrap();
        let text = format!("space = \"{space}\"\npreset = \"smoke\"\nchannels = 8\ncells = 2");
        let config: SearchConfig = resolve(&[layer("test", &text)]).unwrap();
        let searcher = Searcher::new(&config, &dataset, &Device::flex()).unwrap();
        let supernet = &searcher.supernet;
        let mut rng = gdas::rng::Rng::new(5, gdas::rng::Stream::Architectures, 0);
        for _ in 0..4 {
            let mut picks = vec![vec![0; 14]; tables];
            for (table, picks) in picks.iter_mut().enumerate() {
                let edges = supernet.space.cells[table].edges();
                for to in 2..6 {
                    let mut into: Vec<usize> = (0..14).filter(|&e| edges[e].to == to).collect();
                    rng.shuffle(&mut into);
                    for &e in &into[..2] {
                        picks[e] = 1 + rng.below(7);
                    }
                }
            }
            let mut genotype = Genotype::from_picks(&supernet.space, &picks);
            for node in genotype.cells.iter_mut().flat_map(|cell| &mut cell.nodes) {
                node.retain(|choice| choice.operation.name != "none");
            }
            genotype.check(&supernet.space).unwrap();
            let graph = derive(&supernet.blocks, &supernet.config, &genotype).unwrap();
            let mut weights = gdas::weights::Weights::new(99, &Device::flex());
            weights.declare(&graph);
            for (i, spec) in graph.params.iter().enumerate() {
                weights.set(i, supernet.weights.to_vec(supernet.weights.find(&spec.name).unwrap()));
            }
            let inputs = Inputs::new(image.clone(), weights.values);
            let alone = gdas_kernels::run(&std::sync::Arc::new(graph), Mode::Train, inputs);
            for form in [EdgeOutput::AllGates, EdgeOutput::PickedGate] {
                let net = supernet.sub_network(&picks, form);
                let params = net.params.iter().map(|&i| supernet.weights.values[i].clone()).collect();
                let shared = supernet.run(&net, Mode::Train, image.clone(), params, supernet.gates());
                alone.outputs[0]
                    .to_data()
                    .assert_approx_eq::<f32>(&shared.outputs[0].to_data(), burn::tensor::Tolerance::absolute(1e-5));
            }
        }
    }
}

/// A dropped skip connection gives nothing, a kept one more; the rest of the network is as it was.
#[test]
fn skip_dropout_touches_skip_connections_alone() {
    let plain = config("");
    let dropping = config("skip_dropout = 0.9");
    let dataset = digits();
    let split = SearchSplit::new(&dataset, data::SplitRule::Halves, 0).unwrap();
    let batches = SearchBatches::new(&dataset, &split, &data::BatchOptions::for_dataset(&dataset, 8), 0);
    let (mut differ, mut same) = (0, 0);
    for step in 0..12 {
        let of = |config: &SearchConfig| {
            let mut searcher = Searcher::new(config, &dataset, &Device::flex()).unwrap();
            let at = Position { epoch: 0, step };
            searcher.weight_step(&batches.batch(0, step).weights, at, step, 10.0, 0.1).unwrap()
        };
        let ((a, draws), (b, _)) = (of(&plain), of(&dropping));
        // With a skip connection drawn somewhere it is all but certain that one of 3 cells x 8 images lost it.
        if draws[0].picks.contains(&1) {
            differ += usize::from(a.loss != b.loss);
        } else {
            assert_eq!(a.loss, b.loss);
            same += 1;
        }
    }
    assert!(differ > 0 && same > 0, "{differ} {same}");
}
