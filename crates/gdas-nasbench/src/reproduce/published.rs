//! The figures of the benchmark's paper, for the report's column "published".
//!
//! The paper itself was not available. Every row names the later publication from which its figures are quoted; figures
//! without such a source are left out.

/// A mean and its standard deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// Mean over the runs.
    pub mean: f64,
    /// Standard deviation over the runs.
    pub deviation: f64,
}

/// A row of table 5 of Dong and Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search"
/// (ICLR 2020, arXiv 2001.00326 version 2): searches on CIFAR-10, their cells' accuracies in percent.
///
/// Of the methods with shared weights that table has two blocks, which differ in how normalisation treats running
/// statistics. The rows here are of one and the same block, that in which GDAS has 93.61 %. (In the other RSPS has 87.66
/// instead of 84.07 %, and ENAS 54.30 instead of 53.89 %; later papers quote either, or mix them.)
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Published {
    /// Name of the algorithm on the command line.
    pub algorithm: &'static str,
    /// Validation and test accuracy on CIFAR-10, CIFAR-100 and ImageNet16-120, in this order; `None` for figures without a
    /// source.
    pub figures: [Option<Figure>; 6],
    /// Number of runs averaged.
    pub runs: usize,
    /// Publication that quotes the figures.
    pub found_in: &'static str,
}

/// "The first block shows the performance of gradient-based methods quoted from the paper of NAS-Bench-201".
const RELIZO: &str = "Wang et al., ReLIZO (NeurIPS 2024), table 2";

const fn of(mean: f64, deviation: f64) -> Figure {
    Figure { mean, deviation }
}

/// A complete row of the first block, from [`RELIZO`].
const fn relizo(algorithm: &'static str, figures: [Figure; 6]) -> Published {
    let [a, b, c, d, e, f] = figures;
    let figures = [Some(a), Some(b), Some(c), Some(d), Some(e), Some(f)];
    Published { algorithm, figures, runs: 3, found_in: RELIZO }
}

/// The rows of the table.
pub const PUBLISHED: [Published; 8] = [
    relizo(
        "rsps",
        [of(80.42, 3.58), of(84.07, 3.61), of(52.12, 5.55), of(52.31, 5.77), of(27.22, 3.24), of(26.28, 3.09)],
    ),
    relizo(
        "darts-v1",
        [of(39.77, 0.00), of(54.30, 0.00), of(15.03, 0.00), of(15.61, 0.00), of(16.43, 0.00), of(16.32, 0.00)],
    ),
    relizo(
        "darts-v2",
        [of(39.77, 0.00), of(54.30, 0.00), of(15.03, 0.00), of(15.61, 0.00), of(16.43, 0.00), of(16.32, 0.00)],
    ),
    relizo(
        "gdas",
        [of(89.89, 0.08), of(93.61, 0.09), of(71.34, 0.04), of(70.70, 0.30), of(41.59, 1.33), of(41.71, 0.98)],
    ),
    relizo(
        "setn",
        [of(84.04, 0.28), of(87.64, 0.00), of(58.86, 0.06), of(59.05, 0.24), of(33.06, 0.02), of(32.52, 0.21)],
    ),
    relizo(
        "enas",
        [of(37.51, 3.19), of(53.89, 0.58), of(13.37, 2.35), of(13.96, 2.33), of(15.06, 1.95), of(14.84, 2.10)],
    ),
    Published {
        algorithm: "random",
        figures: [None, Some(of(93.70, 0.36)), None, None, None, Some(of(44.57, 1.25))],
        runs: 500,
        found_in: "Nasir et al., LLMatic (GECCO 2024), table 1, by way of texts that quote it",
    },
    Published {
        algorithm: "reinforce",
        figures: [
            Some(of(91.09, 0.37)),
            Some(of(93.85, 0.37)),
            None,
            Some(of(71.71, 1.09)),
            None,
            Some(of(45.24, 1.18)),
        ],
        runs: 500,
        found_in: "Zheng et al., RMI-NAS (CVPR 2022), results in the code's README; CIFAR-10 valid: Termritthikun et al., EEEA-Net (2021)",
    },
];

/// The row of an algorithm, if the paper has it.
pub fn published(algorithm: &str) -> Option<&'static Published> {
    PUBLISHED.iter().find(|row| row.algorithm == algorithm)
}
