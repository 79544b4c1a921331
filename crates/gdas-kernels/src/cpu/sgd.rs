//! SGD step on one array, in one pass.

use rayon::prelude::*;

use super::simd::{Level, kernel};
use crate::sgd::Rule;

/// Floats per task: three arrays of this length fill half of the usual second-level cache.
const PIECE: usize = 1 << 15;

/// Updates an array. `momentum` is `Some` if the rule keeps one; its values are not read if it is `fresh`.
///
/// # Panics
/// If lengths differ.
pub(crate) fn step(
    rule: &Rule,
    weight: &mut [f32],
    gradient: Option<&[f32]>,
    momentum: Option<&mut [f32]>,
    fresh: bool,
) {
    let len = weight.len();
    assert!(gradient.is_none_or(|g| g.len() == len), "a gradient's length");
    assert!(momentum.as_ref().is_none_or(|m| m.len() == len), "a momentum's length");
    let level = Level::get();
    let rule = Single::new(rule, fresh);
    let part = |piece: usize, len: usize| gradient.map(|g| &g[piece * PIECE..][..len]);
    match momentum {
        Some(momentum) => {
            let pieces = weight.par_chunks_mut(PIECE).zip(momentum.par_chunks_mut(PIECE)).enumerate();
            pieces.for_each(|(piece, (weight, momentum))| {
                with_momentum(level, &rule, weight, part(piece, momentum.len()), momentum);
            });
        }
        None => weight.par_chunks_mut(PIECE).enumerate().for_each(|(piece, weight)| {
            let gradient = part(piece, weight.len());
            without_momentum(level, &rule, weight, gradient);
        }),
    }
}

/// A [`Rule`] in single precision.
#[derive(Clone, Copy)]
struct Single {
    rate: f32,
    /// `None` if nothing is clipped: a factor of one would change no value, but cost a multiplication.
    scale: Option<f32>,
    momentum: f32,
    nesterov: bool,
    weight_decay: f32,
    fresh: bool,
}

impl Single {
    fn new(rule: &Rule, fresh: bool) -> Self {
        Self {
            rate: rule.rate as f32,
            scale: (rule.scale < 1.0).then_some(rule.scale as f32),
            momentum: rule.momentum as f32,
            nesterov: rule.nesterov,
            weight_decay: rule.weight_decay as f32,
            fresh,
        }
    }
}

/// Calls `f(index, the gradient there with the decay of the weight)` for every element, one loop per case.
#[inline(always)]
fn each(rule: &Single, weight: &mut [f32], gradient: Option<&[f32]>, mut f: impl FnMut(usize, &mut f32, f32)) {
    let decayed = |w: f32| w * rule.weight_decay;
    match (gradient, rule.scale) {
        (Some(gradient), Some(scale)) => {
            for (i, (w, g)) in weight.iter_mut().zip(gradient).enumerate() {
                let d = g * scale + decayed(*w);
                f(i, w, d);
            }
        }
        (Some(gradient), None) => {
            for (i, (w, g)) in weight.iter_mut().zip(gradient).enumerate() {
                let d = g + decayed(*w);
                f(i, w, d);
            }
        }
        (None, _) => {
            for (i, w) in weight.iter_mut().enumerate() {
                let d = decayed(*w);
                f(i, w, d);
            }
        }
    }
}

// Products and sums are never contracted, so every instruction set gives the same bits.
kernel! {
    fn with_momentum<S>(rule: &Single, weight: &mut [f32], gradient: Option<&[f32]>, momentum: &mut [f32]) {
        let momentum = &mut momentum[..weight.len()];
        each(rule, weight, gradient, |i, w, d| {
            let m = &mut momentum[i];
            *m = if rule.fresh { d } else { *m * rule.momentum + d };
            let direction = if rule.nesterov { d + *m * rule.momentum } else { *m };
            *w -= direction * rule.rate;
        });
    }
}

kernel! {
    fn without_momentum<S>(rule: &Single, weight: &mut [f32], gradient: Option<&[f32]>) {
        each(rule, weight, gradient, |_, w, d| *w -= d * rule.rate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let value = |i: usize, seed: usize| ((i * 7919 + seed * 104_729) % 10_007) as f32 / 5003.0 - 1.0;
        let values = |seed| (0..1003).map(|i| value(i, seed)).collect::<Vec<f32>>();
        let gradient = values(2);
        let levels = Level::available();
        for (scale, nesterov, gradient) in
            [(1.0, true, Some(&*gradient)), (0.3, false, Some(&*gradient)), (1.0, true, None)]
        {
            let rule = Rule { rate: 0.1, scale, momentum: 0.9, nesterov, weight_decay: 3e-4 };
            let rule = Single::new(&rule, false);
            let moved = levels.iter().map(|&level| {
                let (mut weight, mut momentum, mut plain) = (values(1), values(3), values(1));
                with_momentum(level, &rule, &mut weight, gradient, &mut momentum);
                without_momentum(level, &rule, &mut plain, gradient);
                [weight, momentum, plain].concat().into_iter().map(f32::to_bits).collect::<Vec<u32>>()
            });
            let moved: Vec<_> = moved.collect();
            assert_ne!(moved[0][..1003], values(1).into_iter().map(f32::to_bits).collect::<Vec<_>>());
            for (level, bits) in levels.iter().zip(&moved) {
                assert!(*bits == moved[0], "{} differs from {}", level.name(), levels[0].name());
            }
        }
    }
}
