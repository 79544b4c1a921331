//! Bounds on the cost of the searched network, as differentiable penalties on alpha.
//!
//! The cost of a network is a fixed part plus a sum over edges of the cost of the chosen operation. With
//! `q = softmax(alpha)` of an edge, its expectation is
//!
//! ```text
//! E = fixed + sum over edges of share * sum over k of q[k] * price[k]
//! ```
//!
//! and the penalty is `weight * max(0, ln(E / limit))`, summed over the bounds. As the logarithm of a ratio it has no unit,
//! so one weight applies to all measures. Below the limit, penalty and gradient are zero.
//!
//! If a genotype keeps the two best edges per node, `none` is excluded from `q`, as it is from the genotype, and each of a
//! node's `n` edges has the share `2 / n`, as if the two were drawn uniformly. `E` is then an estimate; otherwise it is the
//! exact mean over genotypes drawn from `q`.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::alpha::{Alpha, softmax};
use crate::cost::{self, Cost};
use crate::graph::Shape;
use crate::network::{self, NetworkConfig, NetworkError, Stem};
use crate::space::{Block, Body, CellSpace, Derivation, Genotype, Operation, Space};

/// A cost that can be bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Number of trainable parameters.
    Parameters,
    /// Multiply-adds per image.
    MultiplyAdds,
    /// Latency for one image on this machine, in milliseconds.
    Latency,
}

impl Measure {
    /// Name for display.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parameters => "parameters",
            Self::MultiplyAdds => "multiply-adds",
            Self::Latency => "latency",
        }
    }

    /// Formats a value with its unit.
    pub fn readable(self, value: f64) -> String {
        match self {
            Self::Latency => format!("{value:.3} ms"),
            _ => cost::readable(value.round() as u64),
        }
    }
}

/// Cost of every operation on every edge, summed over the cells of its alpha table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prices {
    /// Cost of the fixed part of all networks of the space: stem, reductions, classifier.
    pub fixed: f64,
    /// Cost `[edges, operations]` for each alpha table.
    pub tables: Vec<Alpha>,
}

impl Prices {
    /// Counts the cost of each operation as the difference that it makes in the network of these stages.
    ///
    /// # Errors
    /// If the network cannot be built.
    pub fn counted(
        space: &Arc<Space>,
        blocks: &[Block],
        config: &NetworkConfig,
        of: impl Fn(Cost) -> u64,
    ) -> Result<Self, NetworkError> {
        let config = NetworkConfig { affine: true, ..config.clone() };
        // `none` is not always column 0; it is found by its definition.
        let empty: Vec<Vec<usize>> =
            space.cells.iter().map(|cell| vec![zero(cell).unwrap_or(0); cell.edges().len()]).collect();
        let count = |picks: &[Vec<usize>]| -> Result<f64, NetworkError> {
            let genotype = Genotype::from_picks(space, picks);
            Ok(of(cost::network(&network::derive(blocks, &config, &genotype)?)) as f64)
        };
        // In a space without `none`, the base network has column 0 on every edge; its prices are subtracted.
        let base = count(&empty)?;
        let price = |table: usize, edge: usize, k: usize| {
            let mut picks = empty.clone();
            picks[table][edge] = k;
            Ok(count(&picks)? - base)
        };
        Ok(Self { fixed: base, tables: table_of(space, price)? })
    }

    /// Measures the latency of each operation by itself, with the size and stride that it has in each cell, for one image. The
    /// fixed part is the latency of the network without operations. Each measurement takes `budget`.
    ///
    /// # Errors
    /// If the network cannot be built.
    pub fn timed(
        space: &Arc<Space>,
        blocks: &[Block],
        config: &NetworkConfig,
        budget: Duration,
    ) -> Result<Self, NetworkError> {
        let config = NetworkConfig { affine: true, ..config.clone() };
        let empty: Vec<Vec<usize>> =
            space.cells.iter().map(|cell| vec![zero(cell).unwrap_or(0); cell.edges().len()]).collect();
        let base = network::derive(blocks, &config, &Genotype::from_picks(space, &empty))?;
        let fixed = cost::cpu_latency(&base, 1, budget).median * 1e3;
        let mut known: Vec<((&str, Shape, usize), f64)> = Vec::new();
        let mut price = |table: usize, edge: usize, k: usize| {
            let cell = &space.cells[table];
            let operation = &cell.operations[k];
            let mut sum = 0.0;
            for place in places(blocks, &config).into_iter().filter(|place| place.table == table) {
                let (shape, stride) = place.edge(cell, edge);
                if !operation.computes(stride) {
                    continue;
                }
                let key = (operation.name.as_str(), shape, stride);
                let time = if let Some((_, time)) = known.iter().find(|(k, _)| *k == key) {
                    *time
                } else {
                    let time = milliseconds_alone(operation, shape, stride, budget)?;
                    known.push((key, time));
                    time
                };
                sum += time;
            }
            Ok(sum)
        };
        Ok(Self { fixed, tables: table_of(space, &mut price)? })
    }

    /// The cost of a genotype: exact for counted prices, an estimate for measured ones.
    pub fn of(&self, space: &Space, genotype: &Genotype) -> f64 {
        let mut total = self.fixed;
        for ((cell, prices), chosen) in space.cells.iter().zip(&self.tables).zip(&genotype.cells) {
            for (edge, row) in cell.edges().iter().zip(prices.rows()) {
                let node = &chosen.nodes[edge.to - cell.inputs];
                for choice in node.iter().filter(|choice| choice.input == edge.from) {
                    let column = cell.operations.iter().position(|op| *op == choice.operation);
                    total += column.map_or(0.0, |k| row[k]);
                }
            }
        }
        total
    }

    /// The expectation over `softmax(alpha)` (see the [module](self)) and its gradient.
    pub fn expected(&self, space: &Space, alpha: &[Alpha]) -> (f64, Vec<Alpha>) {
        let mut expected = self.fixed;
        let mut gradients = Vec::with_capacity(alpha.len());
        for ((cell, prices), logits) in space.cells.iter().zip(&self.tables).zip(alpha) {
            let edges = cell.edges();
            let mut priced = edges.iter().zip(prices.rows());
            gradients.push(logits.map_rows(|logits| {
                let Some((edge, prices)) = priced.next() else { return vec![0.0; logits.len()] };
                let share = share(cell, edge.to);
                let q = probabilities(cell, logits);
                let mean: f64 = q.iter().zip(prices).map(|(q, price)| q * price).sum();
                expected += share * mean;
                q.iter().zip(prices).map(|(q, price)| share * q * (price - mean)).collect()
            }));
        }
        (expected, gradients)
    }

    /// Lower bound of [`expected`](Self::expected).
    pub fn least(&self, space: &Space) -> f64 {
        let edges = space.cells.iter().zip(&self.tables).flat_map(|(cell, prices)| {
            cell.edges().into_iter().zip(prices.rows()).map(move |(edge, prices)| {
                let allowed = (0..prices.len()).filter(|&k| counts(cell, k)).map(|k| prices[k]);
                share(cell, edge.to) * allowed.fold(f64::INFINITY, f64::min)
            })
        });
        self.fixed + edges.sum::<f64>()
    }
}

/// Latency of an operation for one image on this machine's CPU in milliseconds, without the time of reading its result.
///
/// # Errors
/// If the operation cannot be built.
pub fn milliseconds_alone(
    operation: &Operation,
    input: Shape,
    stride: usize,
    budget: Duration,
) -> Result<f64, NetworkError> {
    let time = |operation| -> Result<f64, NetworkError> {
        let alone = network::operation_alone(operation, input, stride)?;
        Ok(cost::cpu_latency(&alone, 1, budget).median * 1e3)
    };
    Ok((time(Some(operation))? - time(None)?).max(0.0))
}

/// Whether an operation can be in a genotype of the cell.
fn counts(cell: &CellSpace, k: usize) -> bool {
    cell.derivation == Derivation::BestPerEdge || cell.operations[k].body != Body::Zero
}

fn zero(cell: &CellSpace) -> Option<usize> {
    cell.operations.iter().position(|op| op.body == Body::Zero)
}

/// Mean share of an edge into state `to` in a genotype.
fn share(cell: &CellSpace, to: usize) -> f64 {
    match cell.derivation {
        Derivation::BestPerEdge => 1.0,
        Derivation::TwoBestPerNode => (2.0 / to as f64).min(1.0),
    }
}

/// Softmax over the operations that can be in a genotype; the others have probability 0.
fn probabilities(cell: &CellSpace, logits: &[f64]) -> Vec<f64> {
    let kept: Vec<f64> = (0..logits.len()).filter(|&k| counts(cell, k)).map(|k| logits[k]).collect();
    let mut kept = softmax(&kept).into_iter();
    (0..logits.len()).map(|k| if counts(cell, k) { kept.next().unwrap_or(0.0) } else { 0.0 }).collect()
}

fn table_of(
    space: &Space,
    mut price: impl FnMut(usize, usize, usize) -> Result<f64, NetworkError>,
) -> Result<Vec<Alpha>, NetworkError> {
    let mut tables = Vec::new();
    for (t, cell) in space.cells.iter().enumerate() {
        let mut table = Alpha::zeros(cell.edges().len(), cell.width());
        for edge in 0..table.edges() {
            for k in 0..table.operations() {
                table[(edge, k)] = price(t, edge, k)?;
            }
        }
        tables.push(table);
    }
    Ok(tables)
}

/// Input of a cell in the network.
struct Place {
    table: usize,
    /// Shape of the values that its operations read.
    shape: Shape,
    reduction: bool,
}

impl Place {
    /// Shape of the input of an edge, and its stride.
    fn edge(&self, cell: &CellSpace, edge: usize) -> (Shape, usize) {
        match (self.reduction, cell.edges()[edge].from < cell.inputs) {
            (false, _) => (self.shape, 1),
            (true, true) => (self.shape, 2),
            (true, false) => (halved(self.shape), 1),
        }
    }
}

fn halved(shape: Shape) -> Shape {
    Shape { height: shape.height.div_ceil(2), width: shape.width.div_ceil(2), ..shape }
}

fn places(blocks: &[Block], config: &NetworkConfig) -> Vec<Place> {
    let halvings = if config.stem == Stem::ImageNet { 3 } else { 0 };
    let mut at = (0..halvings).fold(config.image, |shape, _| halved(shape));
    let mut places = Vec::new();
    for block in blocks {
        match *block {
            Block::Cell { table, width, reduction } => {
                let shape = Shape { channels: width * config.channels, ..at };
                places.push(Place { table, shape, reduction });
                at = if reduction { halved(at) } else { at };
            }
            Block::Residual { .. } | Block::FixedReduction { .. } => at = halved(at),
        }
    }
    places
}

/// An upper bound on a cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// The bounded cost.
    pub measure: Measure,
    /// The limit, in the unit of the measure.
    pub limit: f64,
    /// Cost of the operations.
    pub prices: Prices,
}

/// Current values for a bound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The bounded cost.
    pub measure: Measure,
    /// The limit; milliseconds for latency.
    pub limit: f64,
    /// Expected cost over `softmax(alpha)`.
    pub expected: f64,
    /// Cost of the genotype's network.
    pub genotype: f64,
    /// The penalty.
    pub penalty: f64,
}

impl Bound {
    /// Penalty at these logits and its gradient, both zero within the bound.
    pub fn penalty(&self, weight: f64, space: &Space, alpha: &[Alpha]) -> (f64, Vec<Alpha>) {
        let (expected, mut gradients) = self.prices.expected(space, alpha);
        let within = expected <= self.limit;
        for value in gradients.iter_mut().flat_map(Alpha::values_mut) {
            *value = if within { 0.0 } else { weight * *value / expected };
        }
        (if within { 0.0 } else { weight * (expected / self.limit).ln() }, gradients)
    }

    /// Expected cost, cost of the genotype, and penalty.
    pub fn standing(&self, weight: f64, space: &Space, alpha: &[Alpha], genotype: &Genotype) -> Standing {
        let expected = self.prices.expected(space, alpha).0;
        Standing {
            measure: self.measure,
            limit: self.limit,
            expected,
            genotype: self.prices.of(space, genotype),
            penalty: weight * (expected / self.limit).ln().max(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Rng, Stream};
    use crate::search::{Estimator, StraightThrough};
    use crate::space::spaces;

    fn config(pixels: usize) -> NetworkConfig {
        NetworkConfig {
            image: Shape::new(pixels, pixels, 3),
            classes: 10,
            channels: 8,
            stem: Stem::Cifar,
            affine: false,
            track: false,
            auxiliary: false,
            drop_path: false,
        }
    }

    fn random_alpha(space: &Space, seed: u64) -> Vec<Alpha> {
        let mut rng = Rng::new(seed, Stream::Alpha, 0);
        let cells = space.cells.iter();
        cells.map(|cell| Alpha::from_fn(cell.edges().len(), cell.width(), |_, _| rng.normal())).collect()
    }

    #[test]
    fn prices_add_up_to_the_cost_of_whole_networks() {
        for space in spaces::all() {
            let blocks = space.supernet_blocks(2);
            for (of, measure) in [((|c| c.params) as fn(Cost) -> u64, "params"), (|c| c.multiply_adds, "madds")] {
                let prices = Prices::counted(space, &blocks, &config(16), of).expect("prices");
                for seed in 0..5 {
                    let genotype = Genotype::from_alpha(space, &random_alpha(space, seed));
                    let network = NetworkConfig { affine: true, ..config(16) };
                    let whole = of(cost::network(&network::derive(&blocks, &network, &genotype).expect("a network")));
                    assert_eq!(prices.of(space, &genotype), whole as f64, "{} {measure}", space.name);
                    assert!(prices.least(space) <= whole as f64);
                }
            }
        }
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        for space in spaces::all() {
            let prices = Prices::counted(space, &space.supernet_blocks(1), &config(8), |c| c.params).expect("prices");
            let alpha = random_alpha(space, 7);
            let (expected, _) = prices.expected(space, &alpha);
            let bound = Bound { measure: Measure::Parameters, limit: 0.8 * expected, prices };
            let (value, gradients) = bound.penalty(3.0, space, &alpha);
            assert!((value - 3.0 * 1.25_f64.ln()).abs() < 1e-12);
            let mut moved = 0.0_f64;
            for t in 0..alpha.len() {
                for (edge, k) in [(0, 0), (0, 1), (1, 2), (2, 3), (5, 4), (4, 2)] {
                    let shifted = |by: f64| {
                        let mut alpha = alpha.clone();
                        alpha[t][edge][k] += by;
                        bound.penalty(3.0, space, &alpha).0
                    };
                    let numeric = (shifted(1e-5) - shifted(-1e-5)) / 2e-5;
                    let exact = gradients[t][edge][k];
                    assert!((exact - numeric).abs() < 1e-8, "{} {t} {edge} {k}: {exact} {numeric}", space.name);
                    moved = moved.max(exact.abs());
                }
            }
            assert!(moved > 1e-4);
            // Within the limit there is nothing.
            let loose = Bound { limit: 1.01 * expected, ..bound };
            let zeros: Vec<Alpha> = alpha.iter().map(Alpha::zeros_like).collect();
            assert_eq!(loose.penalty(3.0, space, &alpha), (0.0, zeros));
        }
    }

    /// Where every edge keeps one operation, the expectation is the mean over genotypes drawn from softmax(alpha).
    #[test]
    fn the_expectation_is_a_mean_over_draws() {
        let space = spaces::nas_bench_201();
        let prices = Prices::counted(&space, &space.supernet_blocks(1), &config(8), |c| c.params).expect("prices");
        let alpha = random_alpha(&space, 1);
        let (expected, _) = prices.expected(&space, &alpha);
        let mut rng = Rng::new(0, Stream::DrawWeights, 0);
        let draws = 20_000;
        let mean = (0..draws).map(|_| {
            let picks = StraightThrough.draw(&alpha[0], 1.0, &mut rng).expect("finite").picks;
            prices.of(&space, &Genotype::from_picks(&space, &[picks]))
        });
        let mean = mean.sum::<f64>() / f64::from(draws);
        assert!((mean / expected - 1.0).abs() < 0.02, "{mean} {expected}");
    }

    /// Times are of the machine; but a larger convolution takes longer than none, at every place of the network.
    #[test]
    fn timed_prices_are_finite_and_ordered() {
        let space = spaces::nas_bench_201();
        let wide = NetworkConfig { channels: 32, ..config(32) };
        let prices = Prices::timed(&space, &space.supernet_blocks(1), &wide, Duration::from_millis(4)).expect("prices");
        assert!(prices.fixed > 0.0);
        assert!(prices.tables.iter().flat_map(Alpha::values).all(|p| p.is_finite() && *p >= 0.0));
        for row in prices.tables[0].rows() {
            assert_eq!((row[0], row[1]), (0.0, 0.0), "none and skip_connect take no time of their own");
            assert!(row[3] > 0.0, "{row:?}");
        }
        assert_eq!(prices.tables[0][0], prices.tables[0][5], "a shape is timed once");
    }

    #[test]
    fn cells_stand_where_the_network_has_them() {
        let space = spaces::nasnet();
        let places = places(&space.supernet_blocks(2), &config(9));
        let sizes: Vec<_> = places.iter().map(|p| (p.table, p.shape.height, p.shape.channels, p.reduction)).collect();
        let expected = [(0, 9, 8, false), (0, 9, 8, false), (1, 9, 16, true), (0, 5, 16, false), (1, 5, 32, true)];
        assert_eq!(sizes[..5], expected);
        assert_eq!(sizes[5], (0, 3, 32, false));
        let cell = &space.cells[1];
        assert_eq!(places[2].edge(cell, 0), (Shape::new(9, 9, 16), 2));
        assert_eq!(places[2].edge(cell, 4), (Shape::new(5, 5, 16), 1));
    }
}
