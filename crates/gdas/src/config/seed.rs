//! Seeds in configurations. Integers in TOML are limited to 2^63 - 1; a larger seed is written as text.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserializer, Serializer};
use serde_json::Value;

/// Description of valid seeds, for messages.
pub const RANGE: &str = "a whole number from 0 to 18446744073709551615, in quotes above 9223372036854775807";

/// A seed as the value of a configuration key.
pub fn key(seed: u64) -> Value {
    if i64::try_from(seed).is_ok() { seed.into() } else { seed.to_string().into() }
}

/// Serializes a seed as a number, or as text if it exceeds TOML's integers.
///
/// # Errors
/// Errors of the serializer.
pub fn serialize<S: Serializer>(seed: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    match i64::try_from(*seed) {
        Ok(number) => serializer.serialize_i64(number),
        Err(_) => serializer.serialize_str(&seed.to_string()),
    }
}

/// Deserializes a seed from a number or from text.
///
/// # Errors
/// If the value is neither, or out of range.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    struct Seed;

    impl Visitor<'_> for Seed {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str(RANGE)
        }

        fn visit_u64<E: Error>(self, seed: u64) -> Result<u64, E> {
            Ok(seed)
        }

        fn visit_i64<E: Error>(self, seed: i64) -> Result<u64, E> {
            seed.try_into().map_err(|_| E::invalid_value(Unexpected::Signed(seed), &self))
        }

        fn visit_str<E: Error>(self, seed: &str) -> Result<u64, E> {
            seed.parse().map_err(|_| E::invalid_value(Unexpected::Str(seed), &self))
        }
    }

    deserializer.deserialize_any(Seed)
}

#[cfg(test)]
mod tests {
    use super::super::{Layer, SearchConfig, TrainConfig, resolve, to_toml};

    #[test]
    fn every_seed_of_64_bits_goes_into_a_file_and_back() {
        for seed in [0, 1, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
            let mut search: SearchConfig = resolve(&[]).expect("defaults");
            search.seed = seed;
            let text = to_toml(&search).expect("TOML");
            let back: SearchConfig = resolve(&[Layer::file("config.toml", &text).expect("TOML")]).expect("the same");
            assert_eq!(back, search);
            let key = serde_json::json!({ "seed": super::key(seed) });
            let train: TrainConfig = resolve(&[Layer::flags(&key).expect("a layer")]).expect("a configuration");
            assert_eq!(train.seed, seed);
        }
    }

    #[test]
    fn what_is_no_seed_is_told_what_a_seed_is() {
        for wrong in
            ["seed = -1", "seed = \"18446744073709551616\"", "seed = \"x\"", "seed = 1.5", "seed = 9223372036854775808"]
        {
            let layer = Layer::file("my.toml", wrong);
            let error = layer.and_then(|layer| resolve::<SearchConfig>(&[layer])).expect_err(wrong).to_string();
            assert!(error.contains("my.toml") && error.contains("18446744073709551615"), "{wrong}: {error}");
        }
    }
}
