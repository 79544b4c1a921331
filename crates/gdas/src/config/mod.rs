//! Configuration: one flat TOML table per task, merged from a preset, a file and flags.
//!
//! Later layers take precedence: preset, then file, then flags. The `paper` preset of a task has all of its keys, so the
//! presets (`crates/gdas/presets/`) are also the reference of the keys. Unknown keys and values out of range are errors
//! that name their origin.
//!
//! ```
//! use gdas::config::{Layer, SearchConfig, resolve};
//!
//! let file = Layer::file("my.toml", "data = \"cifar10\"\nepochs = 30\n")?;
//! let config: SearchConfig = resolve(&[file])?;
//! assert_eq!((config.preset.as_str(), config.epochs, config.momentum), ("quick", 30, 0.9));
//!
//! let mistake = Layer::file("my.toml", "seed = 1\nepoch = 30\n")?;
//! let error = resolve::<SearchConfig>(&[mistake]).unwrap_err();
//! assert_eq!(error.to_string(), "my.toml, line 2: unknown key `epoch`; did you mean `epochs`?");
//! # Ok::<(), gdas::config::ConfigError>(())
//! ```

mod auto;
mod choices;
mod error;
mod keys;
mod layer;
mod search;
pub mod seed;
mod train;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::space::Space;

pub use auto::Auto;
pub use choices::{Algorithm, Criterion, EarlyStop, EdgeOutput, Estimator, Selection, Split, Undrawn, WeightDraws};
pub use error::ConfigError;
pub(crate) use keys::Keys;
pub use layer::{Layer, Origin};
pub use search::SearchConfig;
pub use train::{StemRule, TrainConfig};

/// A named set of values.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Name on the command line.
    pub name: &'static str,
    /// The space that it is for; empty for all spaces.
    pub space: &'static str,
    /// The values, as TOML with comments.
    pub text: &'static str,
}

/// The configuration of one task.
pub trait Config: Serialize + DeserializeOwned {
    /// The task, as in the optional `task = "search"` of a file, which protects against use for another task.
    const TASK: &'static str;

    /// All presets. The first of a space (named `paper`) has every key, the others have the keys that differ from it.
    const PRESETS: &'static [Preset];

    /// The default space.
    const DEFAULT_SPACE: &'static str;

    /// The default preset for a data set.
    fn default_preset(data: Option<&str>) -> &'static str;

    /// Published values of another algorithm than the `paper` preset's, which override that preset but no other layer.
    /// `chosen` returns the value of a key in the layers.
    fn variant(chosen: &dyn Fn(&'static str) -> Option<String>) -> Option<Preset> {
        let _ = chosen;
        None
    }

    /// Checks the range of every value.
    ///
    /// # Errors
    /// The first value out of range.
    fn validate(&self) -> Result<(), Invalid>;
}

/// A value out of its range.
#[derive(Clone, Debug)]
pub struct Invalid {
    /// The key.
    pub key: &'static str,
    /// What it must be.
    pub must: String,
}

/// Merges the layers to a configuration. Later layers take precedence, and all of them over the preset, which is chosen by
/// them or by the data.
pub fn resolve<T: Config>(layers: &[Layer]) -> Result<T, ConfigError> {
    let chosen = |key: &str| layers.iter().rev().find_map(|layer| layer.get(key));
    let text = |key: &str| chosen(key).and_then(|entry| entry.value.as_str());
    let space = chosen_space::<T>(layers)?;
    let family = space.family();
    let preset = text("preset").unwrap_or_else(|| T::default_preset(text("data")));

    let paper = find::<T>(family, "paper").ok_or_else(|| ConfigError::Value {
        origin: Origin::Default,
        key: "preset".to_string(),
        value: "`paper`".to_string(),
        must: format!("one of {} in space {}", presets::<T>(family).join(", "), space.name),
    })?;
    let picked = find::<T>(family, preset).ok_or_else(|| ConfigError::Value {
        origin: chosen("preset").map_or(Origin::Default, |entry| entry.origin.clone()),
        key: "preset".to_string(),
        value: format!("`{preset}`"),
        must: format!("one of {} in space {}", presets::<T>(family).join(", "), space.name),
    })?;
    let mut base = vec![Layer::preset(paper)?, Layer::preset(picked)?];
    if let Some(variant) = T::variant(&|key| text(key).map(str::to_string)) {
        let after_paper = if preset == "paper" { 2 } else { 1 };
        base.insert(after_paper, Layer::preset(&variant)?);
    }

    let mut table = toml::Table::new();
    let mut origins = BTreeMap::new();
    for entry in &base[0].entries {
        table.insert(entry.key.clone(), entry.value.clone());
    }
    table.insert("preset".to_string(), preset.into());
    let whole = toml::Value::try_from(&*space).map_err(|error| ConfigError::Write(error.to_string()))?;
    table.insert("space".to_string(), whole);
    let mut config = read::<T>(&table, "preset", &Origin::Default)?;
    for entry in base[1..].iter().chain(layers).flat_map(|layer| &layer.entries) {
        if entry.key == "task" && entry.value.as_str() == Some(T::TASK) {
            continue;
        }
        if entry.key == "space" {
            // The space was resolved above from a name, a file or a table.
            origins.insert("space", &entry.origin);
            continue;
        }
        if !table.contains_key(&entry.key) {
            return Err(ConfigError::UnknownKey {
                origin: entry.origin.clone(),
                suggestion: nearest(&entry.key, table.keys()),
                key: entry.key.clone(),
            });
        }
        table.insert(entry.key.clone(), entry.value.clone());
        origins.insert(entry.key.as_str(), &entry.origin);
        config = read::<T>(&table, &entry.key, &entry.origin)?;
    }
    config.validate().map_err(|invalid| ConfigError::Value {
        origin: origins.get(invalid.key).map_or(Origin::Default, |&origin| origin.clone()),
        value: table.get(invalid.key).map_or_else(String::new, ToString::to_string),
        key: invalid.key.to_string(),
        must: invalid.must,
    })?;
    Ok(config)
}

fn read<T: Config>(table: &toml::Table, key: &str, origin: &Origin) -> Result<T, ConfigError> {
    T::deserialize(table.clone()).map_err(|error| ConfigError::Type {
        origin: origin.clone(),
        key: key.to_string(),
        reason: error.message().to_string(),
    })
}

fn find<T: Config>(space: &str, name: &str) -> Option<&'static Preset> {
    T::PRESETS.iter().find(|preset| preset.name == name && (preset.space == space || preset.space.is_empty()))
}

/// Names of the presets of a built-in space. A custom space has those of its [`family`](Space::family).
pub fn presets<T: Config>(space: &str) -> Vec<&'static str> {
    T::PRESETS.iter().filter(|p| p.space == space || p.space.is_empty()).map(|p| p.name).collect()
}

/// The space set in the layers: a built-in name, the path of a TOML file, or a table that defines one.
fn chosen_space<T: Config>(layers: &[Layer]) -> Result<Arc<Space>, ConfigError> {
    let Some(entry) = layers.iter().rev().find_map(|layer| layer.get("space")) else {
        return Space::named_or_file(T::DEFAULT_SPACE)
            .map_err(|reason| ConfigError::Space { origin: Origin::Default, reason });
    };
    let wrong = |reason| ConfigError::Space { origin: entry.origin.clone(), reason };
    match &entry.value {
        toml::Value::String(given) => Space::named_or_file(&beside(given, &entry.origin)).map_err(wrong),
        table => Space::deserialize(table.clone()).map(Arc::new).map_err(|error| ConfigError::Type {
            origin: entry.origin.clone(),
            key: "space".to_string(),
            reason: error.message().to_string(),
        }),
    }
}

/// Resolves the path of a space relative to the configuration file that contains it, if a file exists there.
fn beside(given: &str, origin: &Origin) -> String {
    let Origin::File(file, _) = origin else { return given.to_string() };
    let path = Path::new(file).with_file_name(given);
    let known = Space::find(given).is_some() || !path.is_file();
    if known { given.to_string() } else { path.display().to_string() }
}

/// The most similar known key, if one is similar enough.
fn nearest<'a>(key: &str, known: impl Iterator<Item = &'a String>) -> Option<String> {
    let key = key.replace('-', "_").to_lowercase();
    known
        .map(|candidate| (strsim::jaro_winkler(&key, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.clone())
}

/// The configuration as a TOML file from which the same configuration is read, with its task in the first line. A custom
/// space is included, so that the file is self-contained.
pub fn to_toml<T: Config>(config: &T) -> Result<String, ConfigError> {
    let keys = toml::to_string(config).map_err(|error| ConfigError::Write(error.to_string()))?;
    Ok(format!("task = \"{}\"\n{keys}", T::TASK))
}

/// The space in the text of a configuration file written by [`to_toml`].
///
/// # Errors
/// If the text is not TOML, or its space is missing, unknown or invalid.
pub fn space_of(text: &str) -> Result<Arc<Space>, ConfigError> {
    #[derive(Deserialize)]
    struct Keys {
        #[serde(with = "crate::space::shared")]
        space: Arc<Space>,
    }
    let keys: Keys = toml::from_str(text).map_err(|error| ConfigError::Type {
        origin: Origin::Default,
        key: "space".to_string(),
        reason: error.message().to_string(),
    })?;
    Ok(keys.space)
}

/// The task in the text of a configuration file, if it has one.
pub fn task_of(text: &str) -> Option<String> {
    let table: toml::Table = text.parse().ok()?;
    Some(table.get("task")?.as_str()?.to_string())
}
