use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number, or `"auto"` for one that follows from the data or the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auto {
    /// Left to the program; the key's description says to what.
    Auto,
    /// This number.
    Is(usize),
}

impl Auto {
    /// The number, or what `auto` stands for.
    pub fn or(self, auto: usize) -> usize {
        match self {
            Self::Auto => auto,
            Self::Is(number) => number,
        }
    }
}

impl FromStr for Auto {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            number => number.parse().map(Self::Is).map_err(|_| format!("`{number}` is neither a count nor auto")),
        }
    }
}

impl fmt::Display for Auto {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Is(number) => write!(f, "{number}"),
        }
    }
}

impl Serialize for Auto {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Is(number) => number.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Auto {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Auto;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a count or \"auto\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Auto, E> {
                if text == "auto" {
                    Ok(Auto::Auto)
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
                }
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Auto, E> {
                Ok(Auto::Is(number as usize))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Auto, E> {
                usize::try_from(number)
                    .map(Auto::Is)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(number), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
