use super::Origin;
use crate::space::SpaceError;

/// What can be wrong with a configuration.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not TOML.
    #[error("{origin}: {reason}")]
    Syntax {
        /// File and line.
        origin: Origin,
        /// What the parser says.
        reason: String,
    },
    /// A key that does not exist.
    #[error("{origin}: unknown key `{key}`{}", suggestion.as_ref().map_or_else(
        || "; the paper preset lists all keys (`gdas search --preset paper --print-config`)".to_string(),
        |name| format!("; did you mean `{name}`?"),
    ))]
    UnknownKey {
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: String,
        /// A known key much like it.
        suggestion: Option<String>,
    },
    /// A value of the wrong type.
    #[error("{origin}: `{key}`: {reason}")]
    Type {
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: String,
        /// What was found and what is expected.
        reason: String,
    },
    /// A space that cannot be read or built.
    #[error("{origin}: `space`: {reason}")]
    Space {
        /// Where it was chosen.
        origin: Origin,
        /// What is wrong with it.
        reason: SpaceError,
    },
    /// A value of the right type that makes no sense.
    #[error("{origin}: `{key}` is {value}, but must be {must}")]
    Value {
        /// Where it stands.
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
