//! What the benchmark's paper reports, for the column that says "published", and nowhere else.
//!
//! The paper's own text was not at hand. Every row names the later publication in whose text its figures were found
//! again; figures that were found nowhere are marked, here and wherever they are printed.

/// A mean and its standard deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// Mean over the runs.
    pub mean: f64,
    /// Standard deviation over the runs.
    pub deviation: f64,
    /// Whether it was found in a public text; else it is quoted from memory.
    pub verified: bool,
}

/// A row of table 5 of Dong and Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search"
/// (ICLR 2020, arXiv 2001.00326 version 2): searches on CIFAR-10, their cells' accuracies in percent.
///
/// Of the methods with shared weights that table has two blocks, which differ in how normalisation treats running
/// statistics. The rows here are of one and the same block, that in which GDAS has 93.61 %. (In the other RSPS has 87.66
/// instead of 84.07 %, and ENAS 54.30 instead of 53.89 %; later papers quote either, or mix them.)
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Published {
    /// The algorithm's name here.
    pub algorithm: &'static str,
    /// Validation and test accuracy on CIFAR-10, CIFAR-100 and ImageNet16-120, in this order.
    pub figures: [Figure; 6],
    /// Over how many runs.
    pub runs: usize,
    /// Where the figures that are verified were found.
    pub found_in: &'static str,
}

/// Columns that were found: all, or none.
const ALL: [bool; 6] = [true; 6];
const NONE: [bool; 6] = [false; 6];

/// "The first block shows the performance of gradient-based methods quoted from the paper of NAS-Bench-201".
const RELIZO: &str = "Wang et al., ReLIZO (NeurIPS 2024), table 2";

const fn row(
    algorithm: &'static str,
    runs: usize,
    figures: [(f64, f64); 6],
    verified: [bool; 6],
    found_in: &'static str,
) -> Published {
    let mut all = [Figure { mean: 0.0, deviation: 0.0, verified: false }; 6];
    let mut i = 0;
    while i < 6 {
        all[i] = Figure { mean: figures[i].0, deviation: figures[i].1, verified: verified[i] };
        i += 1;
    }
    Published { algorithm, figures: all, runs, found_in }
}

/// The rows of the table.
pub const PUBLISHED: [Published; 10] = [
    row(
        "rsps",
        3,
        [(80.42, 3.58), (84.07, 3.61), (52.12, 5.55), (52.31, 5.77), (27.22, 3.24), (26.28, 3.09)],
        ALL,
        RELIZO,
    ),
    row(
        "darts-v1",
        3,
        [(39.77, 0.00), (54.30, 0.00), (15.03, 0.00), (15.61, 0.00), (16.43, 0.00), (16.32, 0.00)],
        ALL,
        RELIZO,
    ),
    row(
        "darts-v2",
        3,
        [(39.77, 0.00), (54.30, 0.00), (15.03, 0.00), (15.61, 0.00), (16.43, 0.00), (16.32, 0.00)],
        ALL,
        RELIZO,
    ),
    row(
        "gdas",
        3,
        [(89.89, 0.08), (93.61, 0.09), (71.34, 0.04), (70.70, 0.30), (41.59, 1.33), (41.71, 0.98)],
        ALL,
        RELIZO,
    ),
    row(
        "setn",
        3,
        [(84.04, 0.28), (87.64, 0.00), (58.86, 0.06), (59.05, 0.24), (33.06, 0.02), (32.52, 0.21)],
        ALL,
        RELIZO,
    ),
    row(
        "enas",
        3,
        [(37.51, 3.19), (53.89, 0.58), (13.37, 2.35), (13.96, 2.33), (15.06, 1.95), (14.84, 2.10)],
        ALL,
        RELIZO,
    ),
    row(
        "evolution",
        500,
        [(91.19, 0.31), (93.92, 0.30), (71.81, 1.12), (71.84, 0.99), (45.15, 0.89), (45.54, 1.03)],
        NONE,
        "",
    ),
    row(
        "random",
        500,
        [(90.93, 0.36), (93.70, 0.36), (70.93, 1.09), (71.04, 1.07), (44.45, 1.10), (44.57, 1.25)],
        [false, true, false, false, false, true],
        "Nasir et al., LLMatic (GECCO 2024), table 1, by way of texts that quote it",
    ),
    row(
        "reinforce",
        500,
        [(91.09, 0.37), (93.85, 0.37), (71.61, 1.12), (71.71, 1.09), (45.05, 1.02), (45.24, 1.18)],
        [true, true, false, true, false, true],
        "Zheng et al., RMI-NAS (CVPR 2022), results in the code's README; CIFAR-10 valid: Termritthikun et al., EEEA-Net (2021)",
    ),
    row(
        "bohb",
        500,
        [(90.82, 0.53), (93.61, 0.52), (70.74, 1.29), (70.85, 1.28), (44.26, 1.36), (44.42, 1.49)],
        NONE,
        "",
    ),
];

/// The row of an algorithm, if the paper has it.
pub fn published(algorithm: &str) -> Option<&'static Published> {
    PUBLISHED.iter().find(|row| row.algorithm == algorithm)
}
