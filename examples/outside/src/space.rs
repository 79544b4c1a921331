//! Two operations and a space that gdas does not have.

use gdas::Space;
use gdas::space::{CellSpace, Layer, Operation, operations};

/// A cell of two nodes whose edges offer nothing, the identity, a 5x5 convolution, and a separable convolution followed by
/// an average pool.
pub fn plus() -> Space {
    let conv_5x5 = Operation::new("conv_5x5", [Layer::Relu, Layer::Conv { kernel: 5 }, Layer::Norm]);
    let sep_pool = Operation::new(
        "sep_pool_3x3",
        [
            Layer::Relu,
            Layer::Depthwise { kernel: 3, dilation: 1 },
            Layer::Pointwise,
            Layer::Norm,
            Layer::AvgPool { kernel: 3 },
        ],
    );
    let cell = CellSpace::one_input("cell", 2, [operations::none(), operations::skip_connect(), conv_5x5, sep_pool]);
    let mut space = Space::residual("plus", cell);
    space.description = "two nodes; a 5x5 convolution beside a separable one of own design".into();
    space
}

#[test]
fn the_file_is_the_same_space() -> Result<(), Box<dyn std::error::Error>> {
    assert_eq!(Space::from_toml(include_str!("../plus.toml"))?, plus());
    Ok(())
}
