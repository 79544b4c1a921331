//! Successive halving (Jamieson and Talwalkar, AISTATS 2016): many candidates are trained briefly, the better half of them
//! for longer, and so on.

use crate::plan::Rung;

/// Validation result of a trial; candidates are ordered by accuracy, then loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Score {
    pub(crate) accuracy: f64,
    pub(crate) loss: f64,
}

/// Result of an attempt to train a candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Attempt {
    Scored(Score),
    /// There is no time left; the order of the previous round decides.
    OutOfTime,
    Interrupted,
}

/// Index of the winning candidate; 0 if there are no rounds. `attempt` trains candidate `c` in round `r`. Of equal candidates
/// the first is kept. `None` if interrupted.
pub(crate) fn halve<E>(
    rungs: &[Rung],
    mut attempt: impl FnMut(usize, usize) -> Result<Attempt, E>,
) -> Result<Option<usize>, E> {
    let mut left: Vec<usize> = (0..rungs.first().map_or(1, |rung| rung.candidates)).collect();
    for (round, rung) in rungs.iter().enumerate() {
        left.truncate(rung.candidates);
        let mut scored = Vec::with_capacity(left.len());
        for &candidate in &left {
            match attempt(round, candidate)? {
                Attempt::Scored(score) => scored.push((candidate, score)),
                Attempt::OutOfTime => return Ok(left.first().copied()),
                Attempt::Interrupted => return Ok(None),
            }
        }
        // The sort is stable, so equal candidates keep their order.
        scored.sort_by(|(_, a), (_, b)| b.accuracy.total_cmp(&a.accuracy).then(a.loss.total_cmp(&b.loss)));
        left = scored.into_iter().map(|(candidate, _)| candidate).collect();
    }
    Ok(Some(left.first().copied().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn rounds(counts: &[usize]) -> Vec<Rung> {
        counts.iter().map(|&candidates| Rung { candidates, seconds: 1.0 }).collect()
    }

    #[allow(clippy::unnecessary_wraps, reason = "attempts of tests end with it")]
    fn scored(accuracy: f64, loss: f64) -> Result<Attempt, Infallible> {
        Ok(Attempt::Scored(Score { accuracy, loss }))
    }

    #[test]
    fn without_trials_the_first_candidate_is_taken() {
        assert_eq!(halve(&[], |_, _| Err("not asked")), Ok(Some(0)));
    }

    #[test]
    fn a_worse_half_is_tried_no_further_and_loss_breaks_ties() {
        let mut tried = Vec::new();
        let winner = halve(&rounds(&[4, 2]), |round, candidate| {
            tried.push((round, candidate));
            scored(0.5, [0.9, 0.1, 0.5, 0.3][candidate])
        });
        assert_eq!(winner, Ok(Some(1)));
        assert_eq!(tried, [(0, 0), (0, 1), (0, 2), (0, 3), (1, 1), (1, 3)]);
        assert_eq!(halve(&rounds(&[2]), |_, _| Err("broken")), Err("broken"));
    }

    #[test]
    fn a_round_without_time_leaves_the_order_of_the_one_before() {
        let until = |end: (usize, usize), last| {
            halve(&rounds(&[4, 2]), |round, candidate| {
                if (round, candidate) == end { Ok(last) } else { scored([0.1, 0.2, 0.9, 0.8][candidate], 0.0) }
            })
        };
        assert_eq!(until((1, 3), Attempt::OutOfTime), Ok(Some(2)));
        assert_eq!(until((0, 3), Attempt::OutOfTime), Ok(Some(0)));
        assert_eq!(until((1, 2), Attempt::Interrupted), Ok(None));
    }

    proptest! {
        #[test]
        fn the_planted_best_is_found(
            count in 2usize..12,
            planted in 0usize..12,
            noise in prop::collection::vec(0.0f64..0.5, 24),
        ) {
            let planted = planted % count;
            let counts: Vec<usize> = std::iter::successors(Some(count), |&n| (n > 2).then(|| n.div_ceil(2))).collect();
            let mut calls = 0;
            let winner = halve(&rounds(&counts), |_, candidate| {
                calls += 1;
                scored(if candidate == planted { 0.6 } else { noise[(candidate + calls) % 24] }, 1.0)
            });
            prop_assert_eq!(winner, Ok(Some(planted)));
            prop_assert_eq!(calls, counts.iter().sum::<usize>());
        }
    }
}
