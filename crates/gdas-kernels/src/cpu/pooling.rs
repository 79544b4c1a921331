//! Average and max pooling of one image, forward and backward.

use super::simd::{Simd, kernel};
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
    /// Whether windows are 3x3 with stride 1 and a border of one pixel: averages are then sums of columns.
    by_columns: bool,
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
            by_columns: *w == Window::same(3, 1, 1) && input.height > 1 && input.width > 1,
        }
    }

    fn input(&self) -> usize {
        self.rows_back.len() * self.columns_back.len() * self.channels
    }

    fn output(&self) -> usize {
        self.rows.len() * self.columns.len() * self.channels
    }

    /// 1 / elements of the windows of a row that are not padding, at a border and inside, if [`PoolTable::by_columns`].
    fn inverse(&self, row: usize) -> [f32; 2] {
        [2, 3].map(|columns| 1.0 / (self.rows[row].len() * columns) as f32)
    }
}

/// Sums over 3x3 windows for one row of results: three columns each, which add `ROWS` rows.
///
/// `shares` are the factors of the rows, and `scale` that of the results, at the left and right border and inside. `write` gets the
/// first float of a vector of results and the results; what it returns is added up over the row, and `done` gets that and the channel.
///
/// # Safety
/// The processor has the instructions of `S`; `rows` point to `width >= 2` pixels of `c` floats, a multiple of the vector length.
#[inline(always)]
unsafe fn sum_row<S: Simd, const ROWS: usize>(
    rows: [*const f32; ROWS],
    shares: [[f32; 2]; ROWS],
    scale: [f32; 2],
    width: usize,
    c: usize,
    write: &mut impl FnMut(usize, S::V) -> S::V,
    done: &mut impl FnMut(usize, S::V),
) {
    // SAFETY: the contract of this function.
    unsafe {
        let [border, inside]: [[S::V; ROWS]; 2] =
            std::array::from_fn(|side| std::array::from_fn(|r| S::splat(shares[r][side])));
        let [at_border, within] = [S::splat(scale[0]), S::splat(scale[1])];
        let column = |at: usize, shares: &[S::V; ROWS]| {
            let mut sum = S::mul(S::load(rows[0].add(at)), shares[0]);
            for r in 1..ROWS {
                sum = S::fma(S::load(rows[r].add(at)), shares[r], sum);
            }
            sum
        };
        let last = (width - 1) * c;
        let mut j = 0;
        while j < c {
            let mut left = column(j, &border);
            let mut middle = column(c + j, if width > 2 { &inside } else { &border });
            let mut total = write(j, S::mul(S::add(left, middle), at_border));
            let mut at = c + j;
            while at < last {
                let right = column(at + c, if at + c < last { &inside } else { &border });
                total = S::add(total, write(at, S::mul(S::add(S::add(left, middle), right), within)));
                (left, middle) = (middle, right);
                at += c;
            }
            total = S::add(total, write(last + j, S::mul(S::add(left, middle), at_border)));
            done(j, total);
            j += S::LANES;
        }
    }
}

/// [`sum_row`] for every row of an image. `shares` are the factors of an input row, `scale` that of a row of results, each at a border
/// and inside.
///
/// # Safety
/// The processor has the instructions of `S`; `x` points to an image of the table's size, with at least two rows and columns.
#[inline(always)]
unsafe fn sum_image<S: Simd>(
    x: *const f32,
    t: &PoolTable,
    shares: impl Fn(usize) -> [f32; 2],
    scale: impl Fn(usize) -> [f32; 2],
    mut write: impl FnMut(usize, S::V) -> S::V,
    mut done: impl FnMut(usize, S::V),
) {
    let (c, width, height) = (t.channels, t.columns.len(), t.rows.len());
    let line = width * c;
    for y in 0..height {
        macro_rules! run {
            ($($row:expr),*) => {{
                let (rows, shares) = ([$(x.wrapping_add($row * line)),*], [$(shares($row)),*]);
                // SAFETY: the contract of this function; all rows lie in the image.
                unsafe {
                    sum_row::<S, _>(rows, shares, scale(y), width, c, &mut |at, v| write(y * line + at, v), &mut done);
                }
            }};
        }
        if y == 0 {
            run!(0, 1);
        } else if y + 1 == height {
            run!(y - 1, y);
        } else {
            run!(y - 1, y, y + 1);
        }
    }
}

kernel! {
    /// Mean over the elements of each window that are not padding.
    pub(crate) fn average<S>(out: &mut [f32], x: &[f32], t: &PoolTable) {
        assert!(out.len() >= t.output() && x.len() >= t.input() && t.channels % S::LANES == 0);
        let (c, width, mut o) = (t.channels, t.columns_back.len(), out.as_mut_ptr());
        if t.by_columns {
            let write = |at: usize, mean: S::V| {
                S::store(o.add(at), mean);
                mean
            };
            sum_image::<S>(x.as_ptr(), t, |_| [1.0; 2], |y| t.inverse(y), write, |_, _| {});
            return;
        }
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
    /// The gradient `s` of [`average`] from that of its result: `dx (+)= factor * s` unless `dx` is empty, and per channel
    /// `products += sum of s * x` over the pixels, unless `products` is empty.
    pub(crate) fn average_back<S>(
        dx: &mut [f32], d: &[f32], x: &[f32], products: &mut [f32], t: &PoolTable, factor: f32, add: bool,
    ) {
        assert!(d.len() >= t.output() && t.channels % S::LANES == 0);
        assert!(dx.is_empty() || dx.len() >= t.input());
        assert!(products.is_empty() || (products.len() >= t.channels && x.len() >= t.input()));
        let (c, width, factor) = (t.channels, t.columns.len(), S::splat(factor));
        let (o, q, no_products) = (dx.as_mut_ptr(), products.as_mut_ptr(), products.is_empty());
        // Stores a vector of the result, and returns its product with `x`.
        let write = |at: usize, s: S::V| {
            if !dx.is_empty() {
                let to = o.add(at);
                S::store(to, if add { S::fma(s, factor, S::load(to)) } else { S::mul(s, factor) });
            }
            if no_products { s } else { S::mul(s, S::load(x.as_ptr().add(at))) }
        };
        let done = |j: usize, total: S::V| {
            if !no_products {
                S::store(q.add(j), S::add(S::load(q.add(j)), total));
            }
        };
        if t.by_columns {
            sum_image::<S>(d.as_ptr(), t, |y| t.inverse(y), |_| [1.0; 2], write, done);
            return;
        }
        let columns_back = t.columns_back.len();
        for (row, rows) in t.rows_back.iter().enumerate() {
            let mut j = 0;
            while j < c {
                let mut total = S::splat(0.0);
                for (column, columns) in t.columns_back.iter().enumerate() {
                    let mut sum = S::splat(0.0);
                    for &y in rows {
                        for &x in columns {
                            let share = S::splat(1.0 / (t.rows[y].len() * t.columns[x].len()) as f32);
                            sum = S::fma(S::load(d.as_ptr().add((y * width + x) * c + j)), share, sum);
                        }
                    }
                    total = S::add(total, write((row * columns_back + column) * c + j, sum));
                }
                done(j, total);
                j += S::LANES;
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

#[cfg(test)]
mod tests {
    use super::{PoolTable, average, average_back};
    use crate::cpu::conv::tests::noise;
    use crate::cpu::simd::Level;
    use crate::graph::{Shape, Window};

    fn close(got: &[f32], expected: &[f64], what: &str) {
        assert_eq!(got.len(), expected.len());
        for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
            assert!(
                (f64::from(*got) - expected).abs() < 1e-5 * (1.0 + expected.abs()),
                "{what} [{i}]: {got} {expected}"
            );
        }
    }

    #[test]
    fn averages_and_their_gradients_are_the_sums_that_define_them() {
        for level in Level::available() {
            for ([height, width], window) in [
                ([2, 2], Window::same(3, 1, 1)),
                ([2, 3], Window::same(3, 1, 1)),
                ([3, 2], Window::same(3, 1, 1)),
                ([4, 7], Window::same(3, 1, 1)),
                ([1, 5], Window::same(3, 1, 1)),
                ([5, 1], Window::same(3, 1, 1)),
                ([5, 6], Window::same(3, 2, 1)),
                ([4, 4], Window::valid(2, 2)),
                ([6, 5], Window::same(5, 1, 1)),
            ] {
                for vectors in [1, 2] {
                    let c = vectors * level.lanes();
                    let [rows, columns] = window.output([height, width]);
                    let table = PoolTable::new(Shape::new(height, width, c), Shape::new(rows, columns, c), &window, c);
                    let (x, d) = (noise(height * width * c, 1), noise(rows * columns * c, 2));
                    let before = noise(height * width * c, 3);
                    let factor = 0.75;
                    let what = format!("{height}x{width}, {window:?}, {c} channels, {level:?}");

                    let mut mean = vec![0.0; rows * columns * c];
                    let mut slope = vec![0.0; height * width * c];
                    for (row, reads) in table.rows.iter().enumerate() {
                        for (column, columns_read) in table.columns.iter().enumerate() {
                            let share = 1.0 / (reads.len() * columns_read.len()) as f64;
                            for (&y, &x0) in reads.iter().flat_map(|y| columns_read.iter().map(move |x0| (y, x0))) {
                                for j in 0..c {
                                    let (from, to) = ((y * width + x0) * c + j, (row * columns + column) * c + j);
                                    mean[to] += share * f64::from(x[from]);
                                    slope[from] += share * f64::from(d[to]);
                                }
                            }
                        }
                    }
                    let mut products = vec![0.0; c];
                    slope.iter().zip(&x).enumerate().for_each(|(i, (s, x))| products[i % c] += s * f64::from(*x));

                    let mut out = vec![0.0; mean.len()];
                    average(level, &mut out, &x, &table);
                    close(&out, &mean, &format!("average, {what}"));
                    for add in [false, true] {
                        let start = |i: usize| if add { f64::from(before[i]) } else { 0.0 };
                        let expected: Vec<f64> =
                            slope.iter().enumerate().map(|(i, s)| start(i) + f64::from(factor) * s).collect();
                        let (mut dx, mut alone, mut sums) = (before.clone(), before.clone(), vec![0.0; c]);
                        average_back(level, &mut dx, &d, &x, &mut sums, &table, factor, add);
                        average_back(level, &mut alone, &d, &[], &mut [], &table, factor, add);
                        close(&dx, &expected, &format!("gradient, {what}, add {add}"));
                        close(&sums, &products, &format!("products, {what}"));
                        assert!(dx == alone, "the gradient does not depend on whether products are wanted, {what}");
                        let mut only = vec![0.0; c];
                        average_back(level, &mut [], &d, &x, &mut only, &table, factor, add);
                        assert!(only == sums, "products without a gradient, {what}");
                    }
                }
            }
        }
    }
}
