//! Random spaces: whatever is valid is written, read back, searched and derived; whatever is not is an error.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData, Tolerance};
use gdas_kernels::graph::Shape;
use gdas_kernels::{Inputs, Mode};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{Body, CellOutput, CellSpace, Derivation, Genotype, Layer, Operation, Skeleton, Space, Wiring, operations};
use crate::alpha::Alpha;
use crate::config::{Layer as Values, SearchConfig, resolve, space_of, to_toml};
use crate::network::{NetworkConfig, Stem, derive};
use crate::rng::{Rng, Stream};
use crate::supernet::Supernet;
use crate::weights::Weights;

/// A layer, also one that cannot be built.
fn layer() -> impl Strategy<Value = Layer> {
    let kernel = prop_oneof![8 => Just(1usize), 8 => Just(3), 8 => Just(5), 4 => Just(7), 1 => 0usize..40];
    let dilation = prop_oneof![8 => 1usize..4, 1 => 0usize..20];
    prop_oneof![
        Just(Layer::Relu),
        Just(Layer::Norm),
        Just(Layer::Pointwise),
        kernel.clone().prop_map(|kernel| Layer::Conv { kernel }),
        (kernel.clone(), dilation).prop_map(|(kernel, dilation)| Layer::Depthwise { kernel, dilation }),
        kernel.clone().prop_map(|kernel| Layer::AvgPool { kernel }),
        kernel.prop_map(|kernel| Layer::MaxPool { kernel }),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let own = ("[a-z][a-z0-9_]{0,8}", vec(layer(), 0..5), vec("[a-z_]{1,6}", 0..2), "\\PC{0,9}")
        .prop_map(|(name, layers, aliases, label)| Operation { aliases, label, ..Operation::new(name, layers) });
    let body = ("[a-z]{3}", any::<bool>())
        .prop_map(|(name, zero)| Operation::with_body(name, if zero { Body::Zero } else { Body::Skip }));
    prop_oneof![4 => own, 1 => body, 4 => (0..10usize).prop_map(|k| (*operations::all()[k]).clone())]
}

fn cell(wiring: Wiring, operations: Vec<Operation>) -> impl Strategy<Value = CellSpace> {
    let names = "[a-zA-Z0-9_-]{0,8}";
    (names, 0usize..4, vec(any::<prop::sample::Index>(), 0..5), any::<[bool; 2]>(), 0usize..20).prop_map(
        move |(name, nodes, picked, [other_output, other_derivation], odd)| {
            let mut found: Vec<Operation> = Vec::new();
            for index in picked {
                let operation = index.get(&operations);
                if !found.contains(operation) {
                    found.push(operation.clone());
                }
            }
            let mut cell = match wiring {
                Wiring::Residual => CellSpace::one_input(name, nodes, found),
                Wiring::TwoInputs { .. } => CellSpace::two_inputs(name, nodes, found),
            };
            if other_output {
                cell.output = CellOutput::Last;
            }
            if other_derivation {
                cell.derivation = match cell.derivation {
                    Derivation::BestPerEdge => Derivation::TwoBestPerNode,
                    Derivation::TwoBestPerNode => Derivation::BestPerEdge,
                };
            }
            if odd == 0 {
                cell.inputs += 1;
            }
            cell
        },
    )
}

/// A space, which may be valid or not.
fn any_space() -> impl Strategy<Value = Space> {
    let wiring = prop_oneof![
        Just(Wiring::Residual),
        Just(Wiring::TwoInputs { fixed_reduction: false }),
        Just(Wiring::TwoInputs { fixed_reduction: true }),
    ];
    (wiring, vec(operation(), 1..6)).prop_flat_map(|(wiring, operations)| {
        let cells = vec(cell(wiring, operations), wiring.tables());
        ("[a-z0-9_-]{1,8}", "\\PC{0,20}", vec(1usize..4, 1..4), cells).prop_map(
            move |(name, description, widths, cells)| Space {
                name,
                description,
                cells,
                skeleton: Skeleton { wiring, widths },
            },
        )
    })
}

fn valid_space() -> impl Strategy<Value = Arc<Space>> {
    any_space().prop_filter("valid", |space| space.validate().is_ok()).prop_map(Arc::new)
}

fn network(affine: bool) -> NetworkConfig {
    NetworkConfig {
        image: Shape::new(9, 8, 3),
        classes: 3,
        channels: 4,
        stem: Stem::Cifar,
        affine,
        track: true,
        auxiliary: false,
        drop_path: false,
    }
}

fn random_alpha(space: &Space, seed: u64) -> Vec<Alpha> {
    let mut rng = Rng::new(seed, Stream::Alpha, 0);
    space.cells.iter().map(|cell| Alpha::from_fn(cell.edges().len(), cell.width(), |_, _| rng.normal())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn a_valid_space_reads_back_from_toml_json_and_configurations(space in valid_space()) {
        prop_assert_eq!(Space::from_toml(&space.to_toml()), Ok((*space).clone()));
        let json = serde_json::to_string(&*space).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<Space>(&json).expect("reads back"), (*space).clone());
        let base: SearchConfig = resolve(&[]).expect("a configuration");
        let channels = 16;
        let config = SearchConfig { space: space.clone(), channels, ..base };
        let text = to_toml(&config).expect("TOML");
        prop_assert_eq!(space_of(&text).expect("the space"), space);
        let layer = Values::file("config.toml", &text).expect("TOML");
        prop_assert_eq!(resolve::<SearchConfig>(&[layer]).expect("reads back"), config);
    }

    #[test]
    fn a_genotype_of_a_valid_space_reads_back_from_text_and_json(space in valid_space(), seed in 0u64..1000, most in 0usize..3) {
        let alpha = random_alpha(&space, seed);
        for genotype in [Genotype::from_alpha(&space, &alpha), Genotype::from_alpha_with_skips(&space, &alpha, most)] {
            prop_assert_eq!(genotype.check(&space), Ok(()));
            prop_assert_eq!(Genotype::parse(&genotype.to_string(), &space), Ok(genotype.clone()));
            let json = serde_json::to_string(&genotype).expect("JSON");
            prop_assert_eq!(&serde_json::from_str::<Genotype>(&json).expect("reads back"), &genotype);
            prop_assert_eq!(json.parse::<Genotype>(), Ok(genotype));
        }
    }

    /// A space that cannot be built is an error wherever it is used, and never a panic.
    #[test]
    fn any_space_is_built_or_refused(space in any_space()) {
        let valid = space.validate();
        let space = Arc::new(space);
        let supernet = Supernet::new(space.clone(), 1, network(true), 0, &Device::flex());
        prop_assert_eq!(supernet.is_ok(), valid.is_ok());
        let genotype = Genotype::from_alpha(&space, &random_alpha(&space, 0));
        prop_assert_eq!(derive(&space.derived_blocks(1), &network(true), &genotype).is_ok(), valid.is_ok());
        prop_assert_eq!(Space::from_toml(&space.to_toml()).is_ok(), valid.is_ok());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::with_cases(24) })]

    /// The fused engine computes what plain Burn operations compute, for layers and skeletons that no built-in space has.
    #[test]
    fn networks_of_valid_spaces_run(space in valid_space(), seed in 0u64..1000, affine in any::<bool>()) {
        let genotype = Genotype::from_alpha(&space, &random_alpha(&space, seed));
        let graph = Arc::new(derive(&space.derived_blocks(1), &network(affine), &genotype).expect("a network"));
        let mut weights = Weights::new(seed, &Device::flex());
        weights.declare(&graph);
        let mut rng = Rng::new(seed, Stream::Weights, 1);
        let image = TensorData::new((0..2 * 9 * 8 * 3).map(|_| rng.normal() as f32).collect::<Vec<f32>>(), [2, 9, 8, 3]);
        let inputs = || {
            let params = weights.locate(&graph).iter().map(|&i| weights.values[i].clone()).collect();
            Inputs::new(Tensor::<4>::from_data(image.clone(), &Device::flex()), params)
        };
        let fused = gdas_kernels::run(&graph, Mode::Train, inputs()).outputs.swap_remove(0).to_data();
        let plain = gdas_kernels::reference::run(&graph, Mode::Train, inputs()).outputs.swap_remove(0).to_data();
        prop_assert!(fused.iter::<f32>().all(f32::is_finite));
        plain.assert_approx_eq::<f32>(&fused, Tolerance::rel_abs(1e-2, 1e-3));
    }
}
