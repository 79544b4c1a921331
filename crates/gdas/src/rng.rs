//! Counter-based random numbers: every draw is a pure function of (seed, stream, counter).
//!
//! There is no hidden state, so a run resumes exactly from its seed and its position. The generator is Philox4x32-10
//! (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).

/// Purpose of a sequence of random numbers. Each purpose has a separate stream, so that a new one does not change the
/// numbers of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Stream {
    /// Initial weights.
    Weights = 1,
    /// Initial alpha.
    Alpha = 2,
    /// Gumbel noise of the weight step.
    DrawWeights = 3,
    /// Gumbel noise of the architecture step.
    DrawAlpha = 4,
    /// The fixed split of the data.
    Split = 5,
    /// Shuffling of the training half.
    Shuffle = 6,
    /// Choice of held-out images.
    HeldOut = 7,
    /// Augmentation of training images.
    Augment = 8,
    /// Augmentation of held-out images.
    AugmentHeldOut = 9,
    /// Drop-path masks.
    DropPath = 10,
    /// Architectures sampled uniformly.
    Architectures = 11,
    /// Decisions of a table algorithm.
    Algorithm = 12,
    /// Choice of the run that a simulated benchmark query returns.
    Query = 13,
    /// Order of the images on which candidates are judged with shared weights.
    Judge = 14,
    /// Skip-connection dropout in a search.
    SkipDropout = 15,
    /// Initial parameters of ENAS's controller.
    Controller = 16,
    /// Order of the operations of an edge in fair sampling.
    FairDraws = 17,
}

/// A sequence of random numbers keyed by (seed, stream, step).
#[derive(Clone, Debug)]
pub struct Rng {
    key: [u32; 2],
    counter: [u32; 4],
    block: [u32; 4],
    used: usize,
}

impl Rng {
    /// The sequence for this seed, purpose and step (the caller's counter: an epoch, a batch, an image).
    pub fn new(seed: u64, stream: Stream, step: u64) -> Self {
        let counter = [0, stream as u32, step as u32, (step >> 32) as u32];
        Self { key: [seed as u32, (seed >> 32) as u32], counter, block: [0; 4], used: 4 }
    }

    /// 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            self.block = philox(self.counter, self.key);
            self.counter[0] = self.counter[0].checked_add(1).expect("2^34 numbers of one step were used up");
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        u64::from(self.next_u32()) << 32 | u64::from(self.next_u32())
    }

    /// Uniform in `0..n`, without bias (Lemire's method).
    pub fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "an empty range has no element to draw");
        let n = n as u64;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= n.wrapping_neg() % n {
                return (product >> 64) as usize;
            }
        }
    }

    /// Uniform in the open interval (0, 1), 53 bits.
    pub fn uniform(&mut self) -> f64 {
        ((self.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Exp(1).
    pub fn exponential(&mut self) -> f64 {
        -self.uniform().ln()
    }

    /// Gumbel(0, 1): `-ln(e)` with `e ~ Exp(1)`.
    pub fn gumbel(&mut self) -> f64 {
        -self.exponential().ln()
    }

    /// N(0, 1), by Box and Muller's method (one of the pair; simplicity over speed).
    pub fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Shuffles a slice (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let a = u64::from(counter[0]) * 0xD251_1F53;
        let b = u64::from(counter[2]) * 0xCD9E_8D57;
        counter = [(b >> 32) as u32 ^ counter[1] ^ key[0], b as u32, (a >> 32) as u32 ^ counter[3] ^ key[1], a as u32];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers published with the Random123 library.
    #[test]
    fn philox_gives_the_published_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
    }

    #[test]
    fn moments_of_the_normal_and_the_gumbel() {
        let mut rng = Rng::new(7, Stream::Weights, 0);
        let n = 200_000;
        let normal: Vec<f64> = (0..n).map(|_| rng.normal()).collect();
        let gumbel: Vec<f64> = (0..n).map(|_| rng.gumbel()).collect();
        let mean = |v: &[f64]| v.iter().sum::<f64>() / n as f64;
        let var = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>() / n as f64 - mean(v).powi(2);
        assert!(mean(&normal).abs() < 0.01 && (var(&normal) - 1.0).abs() < 0.02);
        assert!((mean(&gumbel) - 0.577_215_66).abs() < 0.01 && (var(&gumbel) - 1.644_934).abs() < 0.03);
    }

    #[test]
    fn streams_and_steps_are_independent_of_each_other() {
        let take = |stream, step| Rng::new(1, stream, step).next_u64();
        assert_ne!(take(Stream::Alpha, 0), take(Stream::Weights, 0));
        assert_ne!(take(Stream::Alpha, 0), take(Stream::Alpha, 1));
        assert_eq!(take(Stream::Alpha, 3), take(Stream::Alpha, 3));
    }
}
