//! Errors of search spaces.

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
    /// A value is invalid, or does not fit the others.
    #[error("{}`{key}` of {place}: {reason}", at_line(*.line))]
    Value {
        /// Line of the TOML text, from 1, if it came from one.
        line: Option<usize>,
        /// The part of the space.
        place: Place,
        /// The field, which is also the key in TOML.
        key: &'static str,
        /// The violated requirement.
        reason: String,
    },
    /// The text is not valid TOML, or a value has the wrong type.
    #[error("{}{}{reason}", at_line(*.line), .key.as_ref().map_or_else(String::new, |key| format!("`{key}`: ")))]
    Text {
        /// Line, from 1.
        line: Option<usize>,
        /// Key on that line.
        key: Option<String>,
        /// The parser's error.
        reason: String,
    },
    /// Neither the name of a built-in space nor an existing file.
    #[error("there is no space `{name}`; built in are {known}; a space of your own is the path of a TOML file")]
    Unknown {
        /// The given name.
        name: String,
        /// The built-in names.
        known: String,
    },
    /// A file cannot be read.
    #[error("cannot read {path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// The system's error.
        reason: String,
    },
    /// A file does not contain a valid space.
    #[error("{path}{}{reason}", if matches!(**.reason, Self::Value { line: Some(_), .. } | Self::Text { line: Some(_), .. }) { ", " } else { ": " })]
    InFile {
        /// The file.
        path: String,
        /// The error in its content.
        reason: Box<SpaceError>,
    },
}

fn at_line(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!("line {line}: "))
}
