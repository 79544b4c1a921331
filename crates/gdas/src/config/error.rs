use super::Origin;
use crate::space::SpaceError;

/// An error in a configuration.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is not valid TOML.
    #[error("{origin}: {reason}")]
    Syntax {
        /// File and line.
        origin: Origin,
        /// The parser's error.
        reason: String,
    },
    /// An unknown key.
    #[error("{origin}: unknown key `{key}`{}", suggestion.as_ref().map_or_else(
        || "; the paper preset lists all keys (`gdas search --preset paper --print-config`)".to_string(),
        |name| format!("; did you mean `{name}`?"),
    ))]
    UnknownKey {
        /// Where it was set.
        origin: Origin,
        /// The key.
        key: String,
        /// The most similar known key.
        suggestion: Option<String>,
    },
    /// A value of the wrong type.
    #[error("{origin}: `{key}`: {reason}")]
    Type {
        /// Where it was set.
        origin: Origin,
        /// The key.
        key: String,
        /// Found and expected type.
        reason: String,
    },
    /// A space that cannot be read or built.
    #[error("{origin}: `space`: {reason}")]
    Space {
        /// Where it was set.
        origin: Origin,
        /// What is wrong with it.
        reason: SpaceError,
    },
    /// A value out of range.
    #[error("{origin}: `{key}` is {value}, but must be {must}")]
    Value {
        /// Where it was set.
        origin: Origin,
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What it must be.
        must: String,
    },
    /// A configuration that TOML cannot express.
    #[error("cannot write the configuration: {0}")]
    Write(String),
}
