//! What is wrong with a space, and where.

use std::fmt;

/// The part of a space that an error is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The space itself.
    Space,
    /// Its skeleton.
    Skeleton,
    /// The operation of this name.
    Operation(String),
    /// The cell at this index, and its name.
    Cell(usize, String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Space => f.write_str("the space"),
            Self::Skeleton => f.write_str("the skeleton"),
            Self::Operation(name) => write!(f, "operation `{name}`"),
            Self::Cell(index, name) if name.is_empty() => write!(f, "cell {index}"),
            Self::Cell(_, name) => write!(f, "cell `{name}`"),
        }
    }
}

/// Why a space cannot be built or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// A value makes no sense, or does not fit the others.
    #[error("{}`{key}` of {place}: {reason}", at_line(*.line))]
    Value {
        /// Line of the TOML text, from 1, if it came from one.
        line: Option<usize>,
        /// Which part.
        place: Place,
        /// Its field, which is also the key in TOML.
        key: &'static str,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// The text is no TOML, or a value is of the wrong type.
    #[error("{}{}{reason}", at_line(*.line), .key.as_ref().map_or_else(String::new, |key| format!("`{key}`: ")))]
    Text {
        /// Line, from 1.
        line: Option<usize>,
        /// Key on that line.
        key: Option<String>,
        /// What the parser says.
        reason: String,
    },
    /// There is no such built-in space and no such file.
    #[error("there is no space `{name}`; built in are {known}; a space of your own is the path of a TOML file")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The built-in names.
        known: String,
    },
    /// A file cannot be read.
    #[error("cannot read {path}: {reason}")]
    File {
        /// Which one.
        path: String,
        /// What the system says.
        reason: String,
    },
    /// A file holds no valid space.
    #[error("{path}{}{reason}", if matches!(**.reason, Self::Value { line: Some(_), .. } | Self::Text { line: Some(_), .. }) { ", " } else { ": " })]
    InFile {
        /// Which one.
        path: String,
        /// What is wrong with its content.
        reason: Box<SpaceError>,
    },
}

fn at_line(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!("line {line}: "))
}
