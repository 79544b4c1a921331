//! Adds an operation and a space that uses it: searched, counted and drawn without further code.
//!
//! `cargo run --release -p gdas-report --example add_operation`
#![allow(clippy::print_stdout)]

use std::sync::Arc;

use gdas::Device;
use gdas::config::EdgeOutput;
use gdas::cost::{self, readable};
use gdas::graph::Shape;
use gdas::network::{NetworkConfig, Stem, derive};
use gdas::space::{CellSpace, Genotype, Layer, Operation, Space, operations};
use gdas::supernet::Supernet;
use gdas_report::{TerminalStyle, cell_picture};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A depthwise 7x7 convolution and a pointwise one.
    let layers = [Layer::Relu, Layer::Depthwise { kernel: 7, dilation: 1 }, Layer::Pointwise, Layer::Norm];
    let wide = Operation::new("sep_conv_7x7_once", layers).label("sep 7x7");
    let cell = CellSpace::one_input("cell", 2, [operations::none(), operations::skip_connect(), wide]);
    let space = Arc::new(Space::residual("example", cell));
    space.validate()?;
    println!("{}", space.to_toml());
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
    // The shared weights of all candidates, and the sub-network of one draw: `[table][edge]` is a column of alpha.
    let supernet = Supernet::new(space.clone(), 1, config.clone(), 0, &Device::flex())?;
    let drawn = supernet.sub_network(&[vec![2, 1, 2]], EdgeOutput::AllGates);
    println!("{} of {} shared arrays are used by this draw", drawn.params.len(), supernet.weights.specs.len());

    let genotype = Genotype::from_picks(&space, &[vec![2, 1, 2]]);
    let network = derive(&space.derived_blocks(1), &config, &genotype)?;
    println!("{} parameters", readable(cost::network(&network).params));
    let picture = cell_picture("cell", &space.cells[0], &genotype.cells[0], false)?;
    println!("{}", picture.to_text(TerminalStyle::default()));
    Ok(())
}

#[test]
fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
    main()
}
