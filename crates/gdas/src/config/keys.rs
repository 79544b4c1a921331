use serde::Serialize;

use super::layer::Entry;
use super::{ConfigError, Layer, Origin};

/// Keys set by a program one by one, with the error of the first value that cannot be serialized.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    table: toml::Table,
    error: Option<ConfigError>,
}

impl Keys {
    /// Sets a key, replacing its value.
    pub(crate) fn set(&mut self, key: &str, value: &(impl Serialize + ?Sized)) {
        match toml::Value::try_from(value) {
            Ok(value) => {
                self.table.insert(key.to_owned(), value);
            }
            Err(error) => {
                let error = ConfigError::Write(format!("the value of `{key}`: {error}"));
                self.error.get_or_insert(error);
            }
        }
    }

    /// Sets a key unless it is set.
    pub(crate) fn set_default(&mut self, key: &str, value: &(impl Serialize + ?Sized)) {
        if !self.table.contains_key(key) {
            self.set(key, value);
        }
    }

    /// The keys as a layer of a configuration.
    pub(crate) fn layer(&mut self) -> Result<Layer, ConfigError> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let entries = self.table.iter().map(|(key, value)| {
            let (key, value) = (key.clone(), value.clone());
            Entry { origin: Origin::Program, key, value }
        });
        Ok(Layer { entries: entries.collect() })
    }
}
