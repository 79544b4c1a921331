//! The built-in spaces. A new one is a function here and a line in [`all`].

use super::{CellOutput, CellSpace, Derivation, Operation, Skeleton, Space};

/// Every built-in space.
pub fn all() -> Vec<Space> {
    vec![nas_bench_201(), nasnet(), nasnet_frc()]
}

fn operations(names: &[&str]) -> Vec<&'static Operation> {
    names.iter().filter_map(|name| Operation::find(name)).collect()
}

/// NAS-Bench-201 (Dong and Yang, ICLR 2020): 4 nodes, 6 edges, 5 operations, 15,625 cells.
pub fn nas_bench_201() -> Space {
    Space {
        name: "nas-bench-201",
        description: "NAS-Bench-201: one cell of 6 edges, 5 operations each (15,625 cells)",
        cells: vec![CellSpace {
            name: "cell",
            inputs: 1,
            nodes: 3,
            operations: operations(&["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]),
            output: CellOutput::Last,
            derivation: Derivation::BestPerEdge,
        }],
        skeleton: Skeleton::Residual,
    }
}

fn nasnet_cell(name: &'static str) -> CellSpace {
    CellSpace {
        name,
        inputs: 2,
        nodes: 4,
        operations: operations(&[
            "none",
            "skip_connect",
            "dua_sepc_3x3",
            "dua_sepc_5x5",
            "dil_sepc_3x3",
            "dil_sepc_5x5",
            "avg_pool_3x3",
            "max_pool_3x3",
        ]),
        output: CellOutput::Concat,
        derivation: Derivation::TwoBestPerNode,
    }
}

/// The NASNet space as GDAS searches it: a normal and a reduction cell of 14 edges, 8 operations each.
pub fn nasnet() -> Space {
    Space {
        name: "nasnet",
        description: "NASNet cells (DARTS space): normal and reduction cell, 14 edges, 8 operations each",
        cells: vec![nasnet_cell("normal"), nasnet_cell("reduction")],
        skeleton: Skeleton::TwoInputs { fixed_reduction: false },
    }
}

/// GDAS (FRC): only the normal cell is searched, the reduction cell is fixed.
pub fn nasnet_frc() -> Space {
    Space {
        name: "nasnet-frc",
        description: "NASNet cells with the fixed reduction cell of GDAS (FRC)",
        cells: vec![nasnet_cell("normal")],
        skeleton: Skeleton::TwoInputs { fixed_reduction: true },
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
}
