use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use toml::Spanned;

use super::{ConfigError, Preset};

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the space's `paper` preset.
    Default,
    /// In this preset.
    Preset(String),
    /// In this file, on this line (from 1).
    File(String, usize),
    /// By a flag.
    Flag(String),
    /// By the program that uses the library.
    Program,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Default => f.write_str("defaults"),
            Self::Preset(name) => write!(f, "preset {name}"),
            Self::File(path, line) => write!(f, "{path}, line {line}"),
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Program => f.write_str("the program"),
        }
    }
}

/// Values of some keys, with the origin of each.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    pub(super) entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: toml::Value,
    pub(super) origin: Origin,
}

impl Layer {
    /// The values of a TOML file; `name` is used in messages.
    pub fn file(name: &str, text: &str) -> Result<Self, ConfigError> {
        Self::parse(text, |line| Origin::File(name.to_string(), line))
    }

    /// The values of command-line flags, serialized from `flags` without `None`. Key `batch_size` is flag `--batch-size`.
    pub fn flags(flags: &impl Serialize) -> Result<Self, ConfigError> {
        let table = toml::Table::try_from(flags).map_err(|error| ConfigError::Write(error.to_string()))?;
        let entries = table.into_iter().map(|(key, value)| {
            let origin = Origin::Flag(format!("--{}", key.replace('_', "-")));
            Entry { key, value, origin }
        });
        Ok(Self { entries: entries.collect() })
    }

    pub(super) fn preset(preset: &Preset) -> Result<Self, ConfigError> {
        Self::parse(preset.text, |_| Origin::Preset(preset.name.to_string()))
    }

    /// The layer reduced to these keys.
    #[must_use]
    pub fn only(mut self, keys: &[&str]) -> Self {
        self.entries.retain(|entry| keys.contains(&entry.key.as_str()));
        self
    }

    /// Whether it sets this key.
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    fn parse(text: &str, origin: impl Fn(usize) -> Origin) -> Result<Self, ConfigError> {
        let line_of = |at: usize| 1 + text.bytes().take(at).filter(|&byte| byte == b'\n').count();
        let table: BTreeMap<Spanned<String>, toml::Value> = toml::from_str(text).map_err(|error| {
            let number = error.span().map_or(1, |span| line_of(span.start));
            let is_seed = text.lines().nth(number - 1).is_some_and(|line| line.trim_start().starts_with("seed"));
            let hint = if is_seed { format!("; a seed is {}", super::seed::RANGE) } else { String::new() };
            ConfigError::Syntax { origin: origin(number), reason: error.message().to_string() + &hint }
        })?;
        let mut entries: Vec<_> = table.into_iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let entries = entries.into_iter().map(|(key, value)| {
            let origin = origin(line_of(key.span().start));
            Entry { key: key.into_inner(), value, origin }
        });
        Ok(Self { entries: entries.collect() })
    }
}
