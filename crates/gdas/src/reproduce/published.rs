//! What the benchmark's paper reports, for the column that says "published", and nowhere else.

/// A mean and its standard deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// Mean over the runs.
    pub mean: f64,
    /// Standard deviation over the runs.
    pub deviation: f64,
}

/// A row of table 5 of Dong and Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search"
/// (arXiv 2001.00326, second version): searches on CIFAR-10, their cells' accuracies in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Published {
    /// The algorithm's name here.
    pub algorithm: &'static str,
    /// Wall-clock time of a search in seconds (of the algorithms without shared weights: without the trainings).
    pub seconds: f64,
    /// Validation and test accuracy on CIFAR-10, CIFAR-100 and ImageNet16-120, in this order.
    pub figures: [Figure; 6],
    /// Over how many runs.
    pub runs: usize,
}

const fn row(algorithm: &'static str, seconds: f64, runs: usize, figures: [(f64, f64); 6]) -> Published {
    let mut all = [Figure { mean: 0.0, deviation: 0.0 }; 6];
    let mut i = 0;
    while i < 6 {
        all[i] = Figure { mean: figures[i].0, deviation: figures[i].1 };
        i += 1;
    }
    Published { algorithm, seconds, figures: all, runs }
}

/// The rows of the table.
pub const PUBLISHED: [Published; 10] = [
    row(
        "rsps",
        7_587.12,
        3,
        [(84.16, 1.69), (87.66, 1.69), (59.00, 4.60), (58.33, 4.34), (31.56, 3.28), (31.14, 3.88)],
    ),
    row(
        "darts-v1",
        10_889.87,
        3,
        [(39.77, 0.00), (54.30, 0.00), (15.03, 0.00), (15.61, 0.00), (16.43, 0.00), (16.32, 0.00)],
    ),
    row(
        "darts-v2",
        29_901.67,
        3,
        [(39.77, 0.00), (54.30, 0.00), (15.03, 0.00), (15.61, 0.00), (16.43, 0.00), (16.32, 0.00)],
    ),
    row(
        "gdas",
        28_925.91,
        3,
        [(89.89, 0.08), (93.61, 0.09), (71.34, 0.04), (70.70, 0.30), (41.59, 1.33), (41.71, 0.98)],
    ),
    row(
        "setn",
        31_009.81,
        3,
        [(84.04, 0.28), (87.64, 0.00), (58.86, 0.06), (59.05, 0.24), (33.06, 0.02), (32.52, 0.21)],
    ),
    row(
        "enas",
        13_314.51,
        3,
        [(37.51, 3.19), (53.89, 0.58), (13.37, 2.35), (13.96, 2.33), (15.06, 1.95), (14.84, 2.10)],
    ),
    row(
        "evolution",
        0.02,
        500,
        [(91.19, 0.31), (93.92, 0.30), (71.81, 1.12), (71.84, 0.99), (45.15, 0.89), (45.54, 1.03)],
    ),
    row(
        "random",
        0.01,
        500,
        [(90.93, 0.36), (93.70, 0.36), (70.93, 1.09), (71.04, 1.07), (44.45, 1.10), (44.57, 1.25)],
    ),
    row(
        "reinforce",
        0.12,
        500,
        [(91.09, 0.37), (93.85, 0.37), (71.61, 1.12), (71.71, 1.09), (45.05, 1.02), (45.24, 1.18)],
    ),
    row("bohb", 3.59, 500, [(90.82, 0.53), (93.61, 0.52), (70.74, 1.29), (70.85, 1.28), (44.26, 1.36), (44.42, 1.49)]),
];

/// The row of an algorithm, if the paper has it.
pub fn published(algorithm: &str) -> Option<&'static Published> {
    PUBLISHED.iter().find(|row| row.algorithm == algorithm)
}
