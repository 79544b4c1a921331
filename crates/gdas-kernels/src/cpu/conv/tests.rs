use std::ops::Range;

use super::weights::Block;
use super::{Algorithm, Conv};
use crate::cpu::elementwise::Frame;
use crate::cpu::simd::Level;
use crate::graph::{Shape, Window};

/// Numbers in [-1, 1) without any pattern that the algorithm could profit from.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(len).collect()
}

#[test]
fn grouped_convolutions_multiply_within_their_blocks_only() {
    let window = Window { kernel: [1, 3], stride: [1, 2], padding: [0, 1], dilation: [1, 1] };
    for level in Level::available() {
        let lanes = level.lanes();
        for (channels, groups, fewest) in [(64, 8, 4), (128, 8, 8), (48, 8, 1), (32, 2, 2), (51, 3, 1)] {
            let conv = Conv::new(level, window, groups, Shape::new(4, 4, channels), Shape::new(4, 2, channels));
            let blocks: Vec<Block> = conv.blocks().collect();
            assert_eq!(blocks.iter().map(|b| b.real[0]).sum::<usize>(), channels, "each channel in one block");
            assert_eq!(blocks.iter().map(|b| b.width).sum::<usize>(), channels.next_multiple_of(lanes));
            assert!(blocks.iter().all(|b| b.width % lanes == 0 && b.to % lanes == 0 && b.from % lanes == 0));
            assert!(blocks.len() >= fewest, "{channels} channels in {groups} groups: {} blocks", blocks.len());
        }
    }
}

#[test]
fn winograd_is_within_ten_times_the_error_of_the_direct_sum() {
    let level = Level::get();
    for channels in [16, 64] {
        let shape = Shape::new(8, 8, channels);
        let window = Window::same(3, 1, 1);
        let winograd = Conv::new(level, window, 1, shape, shape);
        assert_eq!(winograd.algorithm, Algorithm::Winograd);
        let direct = Conv { algorithm: Algorithm::Direct, ..winograd };
        let (x, w) = (noise(shape.elements(), 1), noise(9 * channels * channels, 2));
        let pad = |rows: Range<usize>, frame: &Frame, out: &mut [f32]| {
            for (at, row) in rows.enumerate() {
                let at = ((at + frame.top) * frame.columns + 1) * channels;
                out[at..at + 8 * channels].copy_from_slice(&x[row * 8 * channels..][..8 * channels]);
            }
        };
        let mut fast = vec![0.0; shape.elements()];
        let weight = winograd.forward_weight(&w);
        winograd.winograd(&mut [&mut fast], &weight, |_, rows, frame, out| pad(rows, frame, out));
        let mut plain = vec![0.0; shape.elements()];
        let mut framed = vec![0.0; direct.input_frame().len()];
        pad(0..8, &direct.input_frame(), &mut framed);
        direct.forward(&mut plain, &framed, &direct.forward_weight(&w));

        let (mut errors, mut size) = ([0.0f64; 2], 0.0f64);
        for y in 0..8 {
            for x0 in 0..8 {
                for to in 0..channels {
                    let mut exact = 0.0f64;
                    for k in 0..9 {
                        for from in 0..channels {
                            let source = ((y + k / 3) * 10 + x0 + k % 3) * channels + from;
                            exact += f64::from(framed[source]) * f64::from(w[(k * channels + from) * channels + to]);
                        }
                    }
                    let at = (y * 8 + x0) * channels + to;
                    for (error, got) in errors.iter_mut().zip([fast[at], plain[at]]) {
                        *error += (f64::from(got) - exact).powi(2);
                    }
                    size += exact * exact;
                }
            }
        }
        let [fast, plain] = errors.map(|e| (e / size).sqrt());
        assert!(fast < 5e-6 && fast < 10.0 * plain, "relative error {fast:e}, direct {plain:e}");
    }
}

/// Images side by side in frames with zero borders.
fn in_frames(frame: &Frame, images: usize, seed: u64) -> Vec<f32> {
    let mut framed = noise(images * frame.len(), seed);
    framed.chunks_exact_mut(frame.len()).for_each(|image| frame.clear_border(image));
    framed
}

#[test]
fn small_images_side_by_side_have_the_bits_of_one_after_the_other() {
    let window = |kernel, stride, padding, dilation| Window { kernel, stride, padding, dilation };
    for level in Level::available() {
        for (size, channels, window, groups) in [
            ([2, 2], [64, 64], Window::same(3, 1, 1), 1),
            ([4, 4], [32, 64], Window::same(3, 2, 1), 1),
            ([5, 3], [3, 20], Window::same(5, 1, 2), 1),
            ([4, 4], [64, 64], window([1, 3], [1, 2], [0, 1], [1, 1]), 8),
            ([1, 1], [16, 16], Window::same(3, 1, 1), 1),
            ([3, 6], [8, 16], Window::valid(3, 2), 1),
        ] {
            let [height, width] = window.output(size);
            let (input, output) = (Shape::new(size[0], size[1], channels[0]), Shape::new(height, width, channels[1]));
            let conv = Conv::new(level, window, groups, input, output);
            assert!(conv.is_small(), "{conv:?}");
            let param = noise(window.kernel[0] * window.kernel[1] * channels[0] / groups * channels[1], 1);
            let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            let images = 5;

            let (frame, weight) = (conv.input_frame(), conv.forward_weight(&param));
            let (framed, len) = (in_frames(&frame, images, 2), height * width * conv.width);
            let (mut together, mut single) = (vec![9.0; images * len], vec![9.0; images * len]);
            conv.small_forward(&mut together, &framed, &weight);
            let one_by_one = single.chunks_exact_mut(len).zip(framed.chunks_exact(frame.len()));
            one_by_one.for_each(|(out, framed)| conv.forward(out, framed, &weight));
            assert!(bits(&together) == bits(&single), "forward, {conv:?}");

            let (frame, weight) = (conv.output_frame(), conv.backward_weight(&param));
            let (framed, len) = (in_frames(&frame, images, 3), size[0] * size[1] * conv.depth);
            for add in [false, true] {
                let start = noise(images * len, 4);
                let (mut together, mut single) = (start.clone(), start);
                conv.small_backward(&mut together, &framed, &weight, add);
                let one_by_one = single.chunks_exact_mut(len).zip(framed.chunks_exact(frame.len()));
                one_by_one.for_each(|(dx, framed)| conv.backward(dx, framed, &weight, add));
                assert!(bits(&together) == bits(&single), "backward, {conv:?}, add {add}");
            }
        }
    }
}
