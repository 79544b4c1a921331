//! The built-in spaces.

use std::sync::{Arc, LazyLock};

use super::{CellOutput, CellSpace, Derivation, Operation, Skeleton, Space, Wiring, operations};

/// Every built-in space.
pub fn all() -> &'static [Arc<Space>] {
    static ALL: LazyLock<[Arc<Space>; 3]> =
        LazyLock::new(|| [nas_bench_201_space(), nasnet_space(), nasnet_frc_space()].map(Arc::new));
    &*ALL
}

/// NAS-Bench-201 (Dong and Yang, ICLR 2020): 4 nodes, 6 edges, 5 operations, 15,625 cells.
pub fn nas_bench_201() -> Arc<Space> {
    all()[0].clone()
}

/// The NASNet space as GDAS searches it: a normal and a reduction cell of 14 edges, 8 operations each.
pub fn nasnet() -> Arc<Space> {
    all()[1].clone()
}

/// GDAS (FRC): only the normal cell is searched, the reduction cell is fixed.
pub fn nasnet_frc() -> Arc<Space> {
    all()[2].clone()
}

/// The names of the built-in spaces, for messages.
pub fn names() -> String {
    all().iter().map(|space| space.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn shared<const N: usize>(operations: [Operation; N]) -> Vec<Arc<Operation>> {
    operations.into_iter().map(Arc::new).collect()
}

fn nas_bench_201_space() -> Space {
    use operations::{avg_pool, conv, none, skip_connect};
    Space {
        name: "nas-bench-201".to_owned(),
        description: "NAS-Bench-201: one cell of 6 edges, 5 operations each (15,625 cells)".to_owned(),
        cells: vec![CellSpace {
            name: "cell".to_owned(),
            inputs: 1,
            nodes: 3,
            operations: shared([none(), skip_connect(), conv(1), conv(3), avg_pool(3)]),
            output: CellOutput::Last,
            derivation: Derivation::BestPerEdge,
        }],
        skeleton: Skeleton::new(Wiring::Residual),
    }
}

fn nasnet_cell(name: &str) -> CellSpace {
    use operations::{avg_pool, dilated_conv, max_pool, none, separable_conv, skip_connect};
    CellSpace {
        name: name.to_owned(),
        inputs: 2,
        nodes: 4,
        operations: shared([
            none(),
            skip_connect(),
            separable_conv(3),
            separable_conv(5),
            dilated_conv(3),
            dilated_conv(5),
            avg_pool(3),
            max_pool(3),
        ]),
        output: CellOutput::Concat,
        derivation: Derivation::TwoBestPerNode,
    }
}

fn nasnet_space() -> Space {
    Space {
        name: "nasnet".to_owned(),
        description: "NASNet cells (DARTS space): normal and reduction cell, 14 edges, 8 operations each".to_owned(),
        cells: vec![nasnet_cell("normal"), nasnet_cell("reduction")],
        skeleton: Skeleton::new(Wiring::TwoInputs { fixed_reduction: false }),
    }
}

fn nasnet_frc_space() -> Space {
    Space {
        name: "nasnet-frc".to_owned(),
        description: "NASNet cells with the fixed reduction cell of GDAS (FRC)".to_owned(),
        cells: vec![nasnet_cell("normal")],
        skeleton: Skeleton::new(Wiring::TwoInputs { fixed_reduction: true }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_sizes() {
        let space = nas_bench_201();
        let cell = &space.cells[0];
        assert_eq!((cell.edges().len(), cell.width()), (6, 5));
        assert_eq!(cell.width().pow(6), 15_625);
        let cell = &nasnet().cells[0];
        assert_eq!((cell.edges().len(), cell.width()), (14, 8));
        assert_eq!(nasnet().supernet_blocks(2).len(), 6);
        assert_eq!(nasnet().derived_blocks(6).len(), 20);
        assert_eq!(space.supernet_blocks(5).len(), 17);
    }

    #[test]
    fn the_built_in_spaces_are_valid() {
        for space in all() {
            assert_eq!(space.validate(), Ok(()), "{}", space.name);
        }
    }
}
