use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value, or `"auto"` for one derived from the data or the machine.
///
/// ```
/// use gdas::config::Auto;
/// assert_eq!("auto".parse::<Auto<usize>>()?.or(8), 8);
/// assert_eq!("3".parse::<Auto<usize>>()?.or(8), 3);
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auto<T> {
    /// Derived by the program, as described for the key.
    Auto,
    /// This value.
    Is(T),
}

impl<T> Auto<T> {
    /// The value, or `auto` if it is [`Auto`](Self::Auto).
    pub fn or(self, auto: T) -> T {
        match self {
            Self::Auto => auto,
            Self::Is(value) => value,
        }
    }
}

/// Types of values that can be `auto`: a number or a boolean.
pub trait AutoValue: Copy + FromStr + fmt::Display + Serialize {
    /// Name of the type in messages.
    const NAME: &'static str;

    /// Converts a number of a file.
    fn from_count(_: u64) -> Option<Self> {
        None
    }

    /// Converts a boolean of a file.
    fn from_switch(_: bool) -> Option<Self> {
        None
    }
}

impl AutoValue for usize {
    const NAME: &'static str = "a count";

    fn from_count(count: u64) -> Option<Self> {
        count.try_into().ok()
    }
}

impl AutoValue for bool {
    const NAME: &'static str = "true, false";

    fn from_switch(switch: bool) -> Option<Self> {
        Some(switch)
    }
}

impl<T: AutoValue> FromStr for Auto<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            value => value.parse().map(Self::Is).map_err(|_| format!("expected {} or auto", T::NAME)),
        }
    }
}

impl<T: AutoValue> fmt::Display for Auto<T> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Is(value) => write!(f, "{value}"),
        }
    }
}

impl<T: AutoValue> Serialize for Auto<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Is(value) => value.serialize(serializer),
        }
    }
}

impl<'de, T: AutoValue> Deserialize<'de> for Auto<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor(PhantomData))
    }
}

struct Visitor<T>(PhantomData<T>);

impl<T: AutoValue> serde::de::Visitor<'_> for Visitor<T> {
    type Value = Auto<T>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} or \"auto\"", T::NAME)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Auto<T>, E> {
        if text == "auto" { Ok(Auto::Auto) } else { Err(E::invalid_value(Unexpected::Str(text), &self)) }
    }

    fn visit_bool<E: Error>(self, switch: bool) -> Result<Auto<T>, E> {
        T::from_switch(switch).map(Auto::Is).ok_or_else(|| E::invalid_type(Unexpected::Bool(switch), &self))
    }

    fn visit_u64<E: Error>(self, count: u64) -> Result<Auto<T>, E> {
        T::from_count(count).map(Auto::Is).ok_or_else(|| E::invalid_type(Unexpected::Unsigned(count), &self))
    }

    fn visit_i64<E: Error>(self, count: i64) -> Result<Auto<T>, E> {
        let value = u64::try_from(count).ok().and_then(T::from_count);
        value.map(Auto::Is).ok_or_else(|| E::invalid_value(Unexpected::Signed(count), &self))
    }
}
