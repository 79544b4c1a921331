//! Average and max pooling of one image, forward and backward.

use super::simd::kernel;
use crate::graph::{Shape, Window};

/// Mapping between the rows (columns) of the input and of the output, in both directions.
#[derive(Clone, Debug)]
pub(crate) struct PoolTable {
    /// Per output row, its input rows.
    rows: Vec<Vec<usize>>,
    /// Per output column, its input columns.
    columns: Vec<Vec<usize>>,
    /// Per input row, the output rows that cover it.
    rows_back: Vec<Vec<usize>>,
    /// Per input column, the output columns that cover it.
    columns_back: Vec<Vec<usize>>,
    channels: usize,
}

impl PoolTable {
    pub(crate) fn new(input: Shape, output: Shape, w: &Window, channels: usize) -> Self {
        let covers = |a: usize, input: usize, output: usize| -> Vec<Vec<usize>> {
            (0..output)
                .map(|o| {
                    let reach = (0..w.kernel[a]).map(|k| o * w.stride[a] + k * w.dilation[a]);
                    reach.filter_map(|i| i.checked_sub(w.padding[a]).filter(|&i| i < input)).collect()
                })
                .collect()
        };
        let back = |covers: &[Vec<usize>], input: usize| -> Vec<Vec<usize>> {
            let mut back = vec![vec![]; input];
            for (o, inputs) in covers.iter().enumerate() {
                for &i in inputs {
                    back[i].push(o);
                }
            }
            back
        };
        let rows = covers(0, input.height, output.height);
        let columns = covers(1, input.width, output.width);
        Self {
            rows_back: back(&rows, input.height),
            columns_back: back(&columns, input.width),
            rows,
            columns,
            channels,
        }
    }

    fn input(&self) -> usize {
        self.rows_back.len() * self.columns_back.len() * self.channels
    }

    fn output(&self) -> usize {
        self.rows.len() * self.columns.len() * self.channels
    }
}

kernel! {
    /// Mean over the elements of each window that are not padding.
    pub(crate) fn average<S>(out: &mut [f32], x: &[f32], t: &PoolTable) {
        assert!(out.len() >= t.output() && x.len() >= t.input() && t.channels % S::LANES == 0);
        let (c, width, mut o) = (t.channels, t.columns_back.len(), out.as_mut_ptr());
        for rows in &t.rows {
            for columns in &t.columns {
                let inverse = S::splat(1.0 / (rows.len() * columns.len()).max(1) as f32);
                let mut j = 0;
                while j < c {
                    let mut sum = S::splat(0.0);
                    for &y in rows {
                        for &x0 in columns {
                            sum = S::add(sum, S::load(x.as_ptr().add((y * width + x0) * c + j)));
                        }
                    }
                    S::store(o.add(j), S::mul(sum, inverse));
                    j += S::LANES;
                }
                o = o.add(c);
            }
        }
    }
}

kernel! {
    /// The gradient of [`average`]: `dx (+)= factor * spread(d)`.
    pub(crate) fn average_back<S>(dx: &mut [f32], d: &[f32], t: &PoolTable, factor: f32, add: bool) {
        assert!(dx.len() >= t.input() && d.len() >= t.output() && t.channels % S::LANES == 0);
        let (c, width, mut o) = (t.channels, t.columns.len(), dx.as_mut_ptr());
        for rows in &t.rows_back {
            for columns in &t.columns_back {
                let mut j = 0;
                while j < c {
                    let mut sum = if add { S::load(o.add(j)) } else { S::splat(0.0) };
                    for &y in rows {
                        for &x in columns {
                            let share = S::splat(factor / (t.rows[y].len() * t.columns[x].len()) as f32);
                            sum = S::fma(S::load(d.as_ptr().add((y * width + x) * c + j)), share, sum);
                        }
                    }
                    S::store(o.add(j), sum);
                    j += S::LANES;
                }
                o = o.add(c);
            }
        }
    }
}

kernel! {
    /// Maximum of each window; NaN if the window has one.
    pub(crate) fn maximum<S>(out: &mut [f32], x: &[f32], t: &PoolTable) {
        assert!(out.len() >= t.output() && x.len() >= t.input() && t.channels % S::LANES == 0);
        let (c, width, mut o) = (t.channels, t.columns_back.len(), out.as_mut_ptr());
        for rows in &t.rows {
            for columns in &t.columns {
                let mut j = 0;
                while j < c {
                    let mut best = S::splat(f32::NEG_INFINITY);
                    for &y in rows {
                        for &x0 in columns {
                            let v = S::load(x.as_ptr().add((y * width + x0) * c + j));
                            best = S::where_wins(v, best, v, best);
                        }
                    }
                    S::store(o.add(j), best);
                    j += S::LANES;
                }
                o = o.add(c);
            }
        }
    }
}

kernel! {
    /// The gradient of [`maximum`]: `dx += factor * d` at the first largest element of each window.
    pub(crate) fn maximum_back<S>(dx: &mut [f32], d: &[f32], x: &[f32], t: &PoolTable, factor: f32) {
        assert!(dx.len() >= t.input() && d.len() >= t.output() && x.len() >= t.input() && t.channels % S::LANES == 0);
        let (c, width, mut at, factor) = (t.channels, t.columns_back.len(), d.as_ptr(), S::splat(factor));
        for rows in &t.rows {
            for columns in &t.columns {
                let mut j = 0;
                while j < c {
                    let mut best = S::splat(f32::NEG_INFINITY);
                    let mut winner = S::splat(0.0);
                    let mut k = 0.0;
                    for &y in rows {
                        for &x0 in columns {
                            let v = S::load(x.as_ptr().add((y * width + x0) * c + j));
                            winner = S::where_wins(v, best, S::splat(k), winner);
                            best = S::where_wins(v, best, v, best);
                            k += 1.0;
                        }
                    }
                    let d = S::mul(S::load(at.add(j)), factor);
                    k = 0.0;
                    for &y in rows {
                        for &x0 in columns {
                            let to = dx.as_mut_ptr().add((y * width + x0) * c + j);
                            S::store(to, S::add(S::load(to), S::where_equal(winner, S::splat(k), d)));
                            k += 1.0;
                        }
                    }
                    j += S::LANES;
                }
                at = at.add(c);
            }
        }
    }
}
