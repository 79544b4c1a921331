//! A convolution's weights and their gradient in the layout of its algorithm.

use super::{Algorithm, Conv};
use crate::cpu::pool::Buffer;
use crate::cpu::winograd;

/// A block of channels of a direct convolution: the smallest number of groups with whole vectors on both sides. Within a
/// block the filter is dense, with zeros between the groups. Without groups there is one block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// First input channel.
    pub(super) from: usize,
    /// First output channel.
    pub(super) to: usize,
    /// Padded input channels.
    pub(super) depth: usize,
    /// Padded output channels.
    pub(super) width: usize,
    /// Number of input and output channels without padding.
    pub(super) real: [usize; 2],
    /// Offset of its weights `[positions, depth, width]` or, for the input's gradient, `[positions, width, depth]`.
    pub(super) start: usize,
}

impl Block {
    /// Number of input channels in a product (a multiple of four, for the tiles of the weight gradient).
    pub(super) fn used_depth(&self) -> usize {
        self.real[0].next_multiple_of(4).min(self.depth)
    }
}

impl Conv {
    /// Groups per block of a direct convolution.
    fn groups_per_block(&self) -> usize {
        let lanes = self.level.lanes();
        let whole = |k: &usize| (k * self.input.channels / self.groups).is_multiple_of(lanes);
        let both = |k: &usize| whole(k) && (k * self.output.channels / self.groups).is_multiple_of(lanes);
        (1..self.groups).find(both).unwrap_or(self.groups)
    }

    pub(super) fn blocks(self) -> impl Iterator<Item = Block> {
        let together = self.groups_per_block();
        let [i, o] = [self.input.channels, self.output.channels].map(|c| c / self.groups * together);
        (0..self.groups.div_ceil(together)).map(move |b| {
            let last = (b + 1) * together >= self.groups;
            let (from, to) = (b * i, b * o);
            Block {
                from,
                to,
                depth: if last { self.depth - from } else { i },
                width: if last { self.width - to } else { o },
                real: [i.min(self.input.channels - from), o.min(self.output.channels - to)],
                start: b * self.positions() * i * o,
            }
        })
    }

    /// Floats of the weights, or of a weight's gradient, of all blocks.
    fn blocks_len(self) -> usize {
        self.blocks().map(|b| b.start + self.positions() * b.depth * b.width).max().unwrap_or(0)
    }

    /// Floats of a weight gradient in this algorithm's layout.
    pub(crate) fn gradient_len(&self) -> usize {
        match self.algorithm {
            Algorithm::Depthwise => self.positions() * self.width,
            Algorithm::Winograd => 36 * self.depth * self.width,
            Algorithm::Direct => self.blocks_len(),
        }
    }

    /// Calls `f(index in the parameter, position, input channel, output channel)` for every weight.
    fn each_weight(&self, mut f: impl FnMut(usize, usize, usize, usize)) {
        let (i, o) = (self.input.channels / self.groups, self.output.channels);
        for position in 0..self.positions() {
            for from in 0..i {
                for to in 0..o {
                    let group = to / (o / self.groups);
                    f((position * i + from) * o + to, position, group * i + from, to);
                }
            }
        }
    }

    /// The block of an output channel.
    fn block_of(&self, to: usize) -> Block {
        let per_block = self.output.channels / self.groups * self.groups_per_block();
        self.blocks().nth(to / per_block).expect("every output channel has a block")
    }

    /// The weights for the forward pass.
    pub(crate) fn forward_weight(&self, w: &[f32]) -> Buffer {
        self.arrange(w, self.depth, self.width, false)
    }

    /// The weights for the input's gradient: input and output exchanged.
    pub(crate) fn backward_weight(&self, w: &[f32]) -> Buffer {
        self.arrange(w, self.width, self.depth, true)
    }

    fn arrange(&self, w: &[f32], rows: usize, columns: usize, exchange: bool) -> Buffer {
        if self.algorithm == Algorithm::Depthwise {
            let mut out = Buffer::zeroed(self.positions() * self.width);
            self.each_weight(|i, position, _, to| out[position * self.width + to] = w[i]);
            return out;
        }
        if self.algorithm == Algorithm::Direct && self.groups > 1 {
            let mut out = Buffer::zeroed(self.blocks_len());
            self.each_weight(|i, position, from, to| {
                let b = self.block_of(to);
                let (from, to) = (from - b.from, to - b.to);
                let at = if exchange { to * b.depth + from } else { from * b.width + to };
                out[b.start + position * b.depth * b.width + at] = w[i];
            });
            return out;
        }
        let mut out = Buffer::zeroed(self.positions() * rows * columns);
        if !exchange && self.groups == 1 && self.input.channels == rows && self.output.channels == columns {
            out.copy_from_slice(w);
        } else if exchange && self.groups == 1 {
            let sizes = [self.input.channels, self.output.channels];
            let positions = w.chunks_exact(sizes[0] * sizes[1]).zip(out.chunks_exact_mut(rows * columns));
            positions.for_each(|(w, out)| transpose(w, sizes, out, columns));
        } else {
            self.each_weight(|i, position, from, to| {
                let (row, column) = if exchange { (to, from) } else { (from, to) };
                out[(position * rows + row) * columns + column] = w[i];
            });
        }
        if self.algorithm == Algorithm::Winograd {
            let mut points = Buffer::new(36 * rows * columns);
            winograd::transform_filter(self.level, &mut points, &out, rows * columns);
            return points;
        }
        out
    }

    /// Converts a weight gradient from this algorithm's layout to that of the parameter.
    pub(crate) fn finish_gradient(&self, sum: &[f32], len: usize) -> Vec<f32> {
        if self.algorithm == Algorithm::Direct
            && self.groups == 1
            && self.input.channels.is_multiple_of(4)
            && self.output.channels == self.width
        {
            // Without padding the layouts are equal.
            return sum[..len].to_vec();
        }
        let mut out = vec![0.0; len];
        match self.algorithm {
            Algorithm::Depthwise => {
                self.each_weight(|i, position, _, to| out[i] = sum[position * self.width + to]);
            }
            Algorithm::Winograd => {
                let mut filter = Buffer::new(9 * self.depth * self.width);
                winograd::transform_filter_back(self.level, &mut filter, sum, self.depth * self.width);
                self.each_weight(|i, p, from, to| out[i] = filter[(p * self.depth + from) * self.width + to]);
            }
            Algorithm::Direct => {
                let blocks: Vec<Block> = self.blocks().collect();
                let per_block = self.output.channels / self.groups * self.groups_per_block();
                self.each_weight(|i, p, from, to| {
                    let b = &blocks[to / per_block];
                    out[i] = sum[b.start + (p * b.used_depth() + from - b.from) * b.width + to - b.to];
                });
            }
        }
        out
    }
}

/// Writes a matrix of these sizes with rows and columns exchanged, `columns` floats from row to row.
fn transpose(from: &[f32], [height, width]: [usize; 2], to: &mut [f32], columns: usize) {
    // Few enough rows that all their cache lines stay in the first-level cache.
    const ROWS: usize = 16;
    for top in (0..height).step_by(ROWS) {
        let rows = ROWS.min(height - top);
        for x in 0..width {
            let to = &mut to[x * columns + top..][..rows];
            to.iter_mut().zip(from[top * width + x..].iter().step_by(width)).for_each(|(to, from)| *to = *from);
        }
    }
}
