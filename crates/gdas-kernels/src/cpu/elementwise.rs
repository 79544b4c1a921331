//! Element-wise passes over activations between the convolutions.
//!
//! Channels are padded to whole vectors, so every length here is a multiple of the vector length.

use std::ops::Range;

use super::simd::{Simd, kernel};

/// Runs `$body` for blocks of channels from `$j` on, `$N` vectors each: four where there are as many, so that wide pixels are read in
/// runs of whole cache lines.
macro_rules! blocks_of_channels {
    ($S:ident, $channels:expr, $j:ident, $N:ident, $body:block) => {
        blocks_of_channels!(@ $S, $channels, $j, $N, $body, 4, 2, 1)
    };
    (@ $S:ident, $channels:expr, $j:ident, $N:ident, $body:block, $($n:literal),+) => {{
        let mut $j = 0;
        $(
            while $j + $n * $S::LANES <= $channels {
                const $N: usize = $n;
                $body
                $j += $n * $S::LANES;
            }
        )+
    }};
}

/// `N` vectors one after another.
///
/// # Safety
/// The processor has the instructions of `S`, and the floats may be read.
#[inline(always)]
unsafe fn vectors<S: Simd, const N: usize>(p: *const f32) -> [S::V; N] {
    // SAFETY: the contract of this function.
    std::array::from_fn(|v| unsafe { S::load(p.add(v * S::LANES)) })
}

/// An image inside a zero border, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Size with border.
    pub(crate) rows: usize,
    /// Size with border.
    pub(crate) columns: usize,
    /// Border before the first row.
    pub(crate) top: usize,
    /// Border before the first column.
    pub(crate) left: usize,
    /// Size of the image.
    pub(crate) height: usize,
    /// Size of the image.
    pub(crate) width: usize,
    /// Padded channels.
    pub(crate) channels: usize,
}

impl Frame {
    /// A run of pixels without any border.
    pub(crate) fn run(pixels: usize, channels: usize) -> Self {
        Self { rows: 1, columns: pixels, top: 0, left: 0, height: 1, width: pixels, channels }
    }

    /// The frame with some of the image's rows only, in the same place.
    pub(crate) fn rows(&self, rows: Range<usize>) -> Self {
        Self { top: self.top + rows.start, height: rows.len(), ..*self }
    }

    /// Floats with border.
    pub(crate) fn len(&self) -> usize {
        self.rows * self.columns * self.channels
    }

    /// Floats of the image alone.
    pub(crate) fn inner(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Zeros the border.
    pub(crate) fn clear_border(&self, out: &mut [f32]) {
        let line = self.columns * self.channels;
        let (top, bottom) = (self.top * line, (self.top + self.height) * line);
        out[..top].fill(0.0);
        out[bottom..self.len()].fill(0.0);
        let (left, right) = (self.left * self.channels, (self.left + self.width) * self.channels);
        for row in out[top..bottom].chunks_exact_mut(line) {
            row[..left].fill(0.0);
            row[right..].fill(0.0);
        }
    }
}

/// A per-channel line `scale * x + shift`, absent (both empty) for the identity, then perhaps a ReLU.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Map<'a> {
    pub(crate) scale: &'a [f32],
    pub(crate) shift: &'a [f32],
    pub(crate) relu: bool,
}

impl Map<'_> {
    /// Whether it changes nothing.
    pub(crate) fn is_identity(&self) -> bool {
        self.scale.is_empty() && !self.relu
    }
}

kernel! {
    /// Writes `map(image)` into a frame whose border is already zero.
    pub(crate) fn pack<S>(out: &mut [f32], image: &[f32], frame: &Frame, map: Map) {
        let c = frame.channels;
        assert!(out.len() >= frame.len() && image.len() >= frame.inner() && c % S::LANES == 0);
        let affine = !map.scale.is_empty();
        assert!(!affine || (map.scale.len() >= c && map.shift.len() >= c));
        let (a, b) = (map.scale.as_ptr(), map.shift.as_ptr());
        let line = frame.width * c;
        for row in 0..frame.height {
            let to = out.as_mut_ptr().add(((frame.top + row) * frame.columns + frame.left) * c);
            let from = image.as_ptr().add(row * line);
            let mut i = 0;
            if affine {
                while i < line {
                    let mut j = 0;
                    while j < c {
                        let v = S::fma(S::load(from.add(i + j)), S::load(a.add(j)), S::load(b.add(j)));
                        S::store(to.add(i + j), if map.relu { S::relu(v) } else { v });
                        j += S::LANES;
                    }
                    i += c;
                }
            } else if map.relu {
                while i < line {
                    S::store(to.add(i), S::relu(S::load(from.add(i))));
                    i += S::LANES;
                }
            } else {
                std::ptr::copy_nonoverlapping(from, to, line);
            }
        }
    }
}

/// The gradient of a value in terms of stored arrays: `k1 * d + (k2 * (z - mean) + k3)`; without `z` just `k1 * d`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slope<'a> {
    pub(crate) k1: &'a [f32],
    pub(crate) k2: &'a [f32],
    pub(crate) k3: &'a [f32],
    pub(crate) mean: &'a [f32],
}

kernel! {
    /// Writes a gradient into a frame whose border is already zero; `z` is empty if the slope has no such term.
    pub(crate) fn pack_slope<S>(out: &mut [f32], d: &[f32], z: &[f32], frame: &Frame, slope: Slope) {
        let c = frame.channels;
        assert!(out.len() >= frame.len() && d.len() >= frame.inner() && c % S::LANES == 0 && slope.k1.len() >= c);
        let with_z = !slope.k2.is_empty();
        assert!(!with_z || z.len() >= frame.inner());
        assert!(!with_z || (slope.k2.len() >= c && slope.k3.len() >= c && slope.mean.len() >= c));
        let (k1, k2, k3, m) = (slope.k1.as_ptr(), slope.k2.as_ptr(), slope.k3.as_ptr(), slope.mean.as_ptr());
        let line = frame.width * c;
        for row in 0..frame.height {
            let to = out.as_mut_ptr().add(((frame.top + row) * frame.columns + frame.left) * c);
            let (d, z) = (d.as_ptr().add(row * line), z.as_ptr().wrapping_add(row * line));
            blocks_of_channels!(S, c, j, N, {
                let k1 = vectors::<S, N>(k1.add(j));
                let mut i = j;
                if with_z {
                    let (k2, k3, m) = (vectors::<S, N>(k2.add(j)), vectors::<S, N>(k3.add(j)), vectors::<S, N>(m.add(j)));
                    while i < line {
                        for v in 0..N {
                            let at = i + v * S::LANES;
                            let t = S::fma(S::sub(S::load(z.add(at)), m[v]), k2[v], k3[v]);
                            S::store(to.add(at), S::fma(S::load(d.add(at)), k1[v], t));
                        }
                        i += c;
                    }
                } else {
                    while i < line {
                        for v in 0..N {
                            let at = i + v * S::LANES;
                            S::store(to.add(at), S::mul(S::load(d.add(at)), k1[v]));
                        }
                        i += c;
                    }
                }
            });
        }
    }
}

kernel! {
    /// `out (+)= scale * map(x)`, `map` first, per-channel scale inside it: `out += relu?(a * x + b)`, or without ReLU.
    pub(crate) fn accumulate<S>(out: &mut [f32], x: &[f32], scale: &[f32], shift: &[f32], add: bool) {
        let (n, c) = (out.len(), scale.len());
        assert!(x.len() >= n && shift.len() >= c && c % S::LANES == 0 && n % c == 0);
        let (o, x) = (out.as_mut_ptr(), x.as_ptr());
        blocks_of_channels!(S, c, j, N, {
            let (a, b) = (vectors::<S, N>(scale.as_ptr().add(j)), vectors::<S, N>(shift.as_ptr().add(j)));
            let mut i = j;
            while i < n {
                for v in 0..N {
                    let at = i + v * S::LANES;
                    let start = if add { S::add(S::load(o.add(at)), b[v]) } else { b[v] };
                    S::store(o.add(at), S::fma(S::load(x.add(at)), a[v], start));
                }
                i += c;
            }
        });
    }
}

kernel! {
    /// `out (+)= factor * x`.
    pub(crate) fn axpy<S>(out: &mut [f32], x: &[f32], factor: f32, add: bool) {
        let n = out.len();
        assert!(x.len() >= n && n % S::LANES == 0);
        let (o, x, f) = (out.as_mut_ptr(), x.as_ptr(), S::splat(factor));
        let mut i = 0;
        while i < n {
            let v = S::mul(S::load(x.add(i)), f);
            S::store(o.add(i), if add { S::add(v, S::load(o.add(i))) } else { v });
            i += S::LANES;
        }
    }
}

kernel! {
    /// `sums[c] = sum of (x - shift)`, `squares[c] = sum of (x - shift)^2` over an image's pixels.
    pub(crate) fn moments<S>(x: &[f32], shift: &[f32], sums: &mut [f32], squares: &mut [f32]) {
        let (n, c) = (x.len(), shift.len());
        assert!(c % S::LANES == 0 && n % c == 0 && sums.len() >= c && squares.len() >= c);
        let p = x.as_ptr();
        let mut j = 0;
        while j < c {
            let m = S::load(shift.as_ptr().add(j));
            let (mut s, mut q) = ([S::splat(0.0); 4], [S::splat(0.0); 4]);
            let mut i = j;
            while i + 3 * c < n {
                for u in 0..4 {
                    let v = S::sub(S::load(p.add(i + u * c)), m);
                    s[u] = S::add(s[u], v);
                    q[u] = S::fma(v, v, q[u]);
                }
                i += 4 * c;
            }
            while i < n {
                let v = S::sub(S::load(p.add(i)), m);
                s[0] = S::add(s[0], v);
                q[0] = S::fma(v, v, q[0]);
                i += c;
            }
            S::store(sums.as_mut_ptr().add(j), S::add(S::add(s[0], s[1]), S::add(s[2], s[3])));
            S::store(squares.as_mut_ptr().add(j), S::add(S::add(q[0], q[1]), S::add(q[2], q[3])));
            j += S::LANES;
        }
    }
}

kernel! {
    /// `sums[c] = sum of d`, `products[c] = sum of d * (z - mean)` over an image's pixels; with an empty `z` only `sums`.
    pub(crate) fn norm_sums<S>(d: &[f32], z: &[f32], mean: &[f32], sums: &mut [f32], products: &mut [f32]) {
        let (n, c) = (d.len(), sums.len());
        assert!(c % S::LANES == 0 && n % c == 0);
        let with_z = !z.is_empty();
        assert!(!with_z || (z.len() >= n && mean.len() >= c && products.len() >= c));
        let (d, z) = (d.as_ptr(), z.as_ptr());
        let mut j = 0;
        while j < c {
            let (mut s, mut q) = ([S::splat(0.0); 4], [S::splat(0.0); 4]);
            let mut i = j;
            if with_z {
                let m = S::load(mean.as_ptr().add(j));
                while i + 3 * c < n {
                    for u in 0..4 {
                        let v = S::load(d.add(i + u * c));
                        s[u] = S::add(s[u], v);
                        q[u] = S::fma(v, S::sub(S::load(z.add(i + u * c)), m), q[u]);
                    }
                    i += 4 * c;
                }
                while i < n {
                    let v = S::load(d.add(i));
                    s[0] = S::add(s[0], v);
                    q[0] = S::fma(v, S::sub(S::load(z.add(i)), m), q[0]);
                    i += c;
                }
                S::store(products.as_mut_ptr().add(j), S::add(S::add(q[0], q[1]), S::add(q[2], q[3])));
            } else {
                while i + 3 * c < n {
                    for u in 0..4 {
                        s[u] = S::add(s[u], S::load(d.add(i + u * c)));
                    }
                    i += 4 * c;
                }
                while i < n {
                    s[0] = S::add(s[0], S::load(d.add(i)));
                    i += c;
                }
            }
            S::store(sums.as_mut_ptr().add(j), S::add(S::add(s[0], s[1]), S::add(s[2], s[3])));
            j += S::LANES;
        }
    }
}

kernel! {
    /// Per channel `products[c] = sum of d * x` over an image's pixels (padded channels have no meaning; callers skip them).
    pub(crate) fn dot<S>(d: &[f32], x: &[f32], products: &mut [f32]) {
        let (n, c) = (d.len(), products.len());
        assert!(c % S::LANES == 0 && n % c == 0 && x.len() >= n);
        let (d, x) = (d.as_ptr(), x.as_ptr());
        let mut j = 0;
        while j < c {
            let mut q = [S::splat(0.0); 4];
            let mut i = j;
            while i + 3 * c < n {
                for u in 0..4 {
                    q[u] = S::fma(S::load(d.add(i + u * c)), S::load(x.add(i + u * c)), q[u]);
                }
                i += 4 * c;
            }
            while i < n {
                q[0] = S::fma(S::load(d.add(i)), S::load(x.add(i)), q[0]);
                i += c;
            }
            S::store(products.as_mut_ptr().add(j), S::add(S::add(q[0], q[1]), S::add(q[2], q[3])));
            j += S::LANES;
        }
    }
}

kernel! {
    /// Zeros `d` where `scale * x + shift` (or `x` itself, if they are empty) is not positive.
    pub(crate) fn mask<S>(d: &mut [f32], x: &[f32], map: Map) {
        let n = d.len();
        assert!(x.len() >= n && n % S::LANES == 0);
        let (d, x) = (d.as_mut_ptr(), x.as_ptr());
        if map.scale.is_empty() {
            let mut i = 0;
            while i < n {
                S::store(d.add(i), S::where_positive(S::load(x.add(i)), S::load(d.add(i))));
                i += S::LANES;
            }
        } else {
            let c = map.scale.len();
            assert!(map.shift.len() >= c && c % S::LANES == 0 && n % c == 0);
            let mut j = 0;
            while j < c {
                let (a, b) = (S::load(map.scale.as_ptr().add(j)), S::load(map.shift.as_ptr().add(j)));
                let mut i = j;
                while i < n {
                    let v = S::fma(S::load(x.add(i)), a, b);
                    S::store(d.add(i), S::where_positive(v, S::load(d.add(i))));
                    i += c;
                }
                j += S::LANES;
            }
        }
    }
}

kernel! {
    /// [`mask`] and then [`norm_sums`] in one pass, where `map` is the normalisation of `z`.
    pub(crate) fn mask_norm_sums<S>(
        d: &mut [f32], z: &[f32], map: Map, mean: &[f32], sums: &mut [f32], products: &mut [f32],
    ) {
        let (n, c) = (d.len(), map.scale.len());
        assert!(c > 0 && c % S::LANES == 0 && n % c == 0 && z.len() >= n && map.shift.len() >= c && mean.len() >= c);
        assert!(sums.len() >= c && products.len() >= c);
        let (d, z) = (d.as_mut_ptr(), z.as_ptr());
        let mut j = 0;
        while j < c {
            let (a, b) = (S::load(map.scale.as_ptr().add(j)), S::load(map.shift.as_ptr().add(j)));
            let m = S::load(mean.as_ptr().add(j));
            let (mut s, mut q) = ([S::splat(0.0); 4], [S::splat(0.0); 4]);
            let mut i = j;
            macro_rules! element {
                ($u:expr) => {
                    let at = i + $u * c;
                    let z = S::load(z.add(at));
                    let v = S::where_positive(S::fma(z, a, b), S::load(d.add(at)));
                    S::store(d.add(at), v);
                    s[$u] = S::add(s[$u], v);
                    q[$u] = S::fma(v, S::sub(z, m), q[$u]);
                };
            }
            while i + 3 * c < n {
                for u in 0..4 {
                    element!(u);
                }
                i += 4 * c;
            }
            while i < n {
                element!(0);
                i += c;
            }
            S::store(sums.as_mut_ptr().add(j), S::add(S::add(s[0], s[1]), S::add(s[2], s[3])));
            S::store(products.as_mut_ptr().add(j), S::add(S::add(q[0], q[1]), S::add(q[2], q[3])));
            j += S::LANES;
        }
    }
}

kernel! {
    /// `out (+)= the image inside a frame`.
    pub(crate) fn unpack<S>(out: &mut [f32], framed: &[f32], frame: &Frame, add: bool) {
        let line = frame.width * frame.channels;
        assert!(out.len() >= frame.inner() && framed.len() >= frame.len() && line % S::LANES == 0);
        for row in 0..frame.height {
            let from = framed.as_ptr().add(((frame.top + row) * frame.columns + frame.left) * frame.channels);
            let to = out.as_mut_ptr().add(row * line);
            let mut i = 0;
            while i < line {
                let v = S::load(from.add(i));
                S::store(to.add(i), if add { S::add(v, S::load(to.add(i))) } else { v });
                i += S::LANES;
            }
        }
    }
}

kernel! {
    /// Copies `width` channels of every pixel: `out[p * out_step..] (+)= x[p * step..]`. Any `width`.
    pub(crate) fn channels<S>(
        out: &mut [f32], out_step: usize, x: &[f32], step: usize, pixels: usize, width: usize, add: bool,
    ) {
        if pixels == 0 {
            return;
        }
        assert!((pixels - 1) * out_step + width <= out.len() && (pixels - 1) * step + width <= x.len());
        for p in 0..pixels {
            let (o, x) = (out.as_mut_ptr().add(p * out_step), x.as_ptr().add(p * step));
            let mut j = 0;
            while j + S::LANES <= width {
                let v = S::load(x.add(j));
                S::store(o.add(j), if add { S::add(v, S::load(o.add(j))) } else { v });
                j += S::LANES;
            }
            while j < width {
                *o.add(j) = if add { *o.add(j) + *x.add(j) } else { *x.add(j) };
                j += 1;
            }
        }
    }
}
