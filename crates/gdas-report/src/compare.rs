//! Comparison of runs: differences of their configurations, and mean and deviation over runs that differ only in the seed.

use std::collections::BTreeMap;

use super::run_data::{RunData, setting_text};

/// Configuration keys that have no effect on the result, or only name the inputs.
const WITHOUT_EFFECT: [&str; 9] = [
    "task",
    "data",
    "preset",
    "threads",
    "checkpoint_seconds",
    "log_interval",
    "tensorboard",
    "skip_damaged",
    "device",
];

/// A configuration key whose values differ between the runs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    /// The key; nested keys are joined by dots.
    pub(crate) key: String,
    /// The value in each run, in order; `None` if the run's configuration lacks the key.
    pub(crate) values: Vec<Option<String>>,
}

/// Runs that differ only in their seed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    /// Indices of the runs.
    pub(crate) runs: Vec<usize>,
    /// Mean and sample standard deviation of the accuracies (fractions); `None` if no run has one; no deviation for a single
    /// run.
    pub(crate) accuracy: Option<(f64, Option<f64>)>,
}

/// The keys in which the runs differ, without the seed, in the order of the first run's configuration.
pub(crate) fn differences(runs: &[RunData]) -> Vec<Difference> {
    let settings: Vec<_> = runs.iter().map(settings).collect();
    let mut keys: Vec<&String> = Vec::new();
    for (key, _) in settings.iter().flatten() {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let value = |key: &str, run: &[(String, String)]| run.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone());
    let differing = keys.into_iter().filter(|key| *key != "seed").filter_map(|key| {
        let values: Vec<_> = settings.iter().map(|run| value(key, run)).collect();
        let same = values.iter().all(|value| *value == values[0]);
        (!same).then(|| Difference { key: key.clone(), values })
    });
    differing.collect()
}

/// The runs grouped by configuration, in the order of first appearance.
pub(crate) fn groups(runs: &[RunData]) -> Vec<Group> {
    let mut index: BTreeMap<Vec<(String, String)>, usize> = BTreeMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for (i, run) in runs.iter().enumerate() {
        let mut key: Vec<_> = settings(run).into_iter().filter(|(key, _)| key != "seed").collect();
        key.push(("task".to_owned(), run.info.task.clone()));
        let next = groups.len();
        let group = *index.entry(key).or_insert(next);
        if group == next {
            groups.push(Group { runs: vec![], accuracy: None });
        }
        groups[group].runs.push(i);
    }
    for group in &mut groups {
        let accuracies: Vec<f64> = group.runs.iter().filter_map(|&i| runs[i].info.accuracy).collect();
        group.accuracy = mean_and_deviation(&accuracies);
    }
    groups
}

/// Mean, and the sample standard deviation (n - 1 in the denominator) if there are at least two values.
pub(crate) fn mean_and_deviation(values: &[f64]) -> Option<(f64, Option<f64>)> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (!values.is_empty()).then(|| (mean, (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt())))
}

/// Keys and values of a run's configuration that can have an effect.
fn settings(run: &RunData) -> Vec<(String, String)> {
    let mut out = Vec::new();
    if let Ok(table) = run.config.parse::<toml::Table>() {
        flatten("", &table, &mut out);
    }
    out.retain(|(key, _)| !WITHOUT_EFFECT.contains(&key.as_str()));
    out
}

fn flatten(prefix: &str, table: &toml::Table, out: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        match value {
            // A custom space is stored whole in the configuration; only its name is compared.
            toml::Value::Table(space) if key == "space" => {
                let name = space.get("name").map_or_else(|| "own".to_owned(), setting_text);
                out.push((key, name));
            }
            toml::Value::Table(inner) => flatten(&format!("{key}."), inner, out),
            value => out.push((key, setting_text(value))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviations_are_those_of_a_sample() {
        assert_eq!(mean_and_deviation(&[]), None);
        assert_eq!(mean_and_deviation(&[0.5]), Some((0.5, None)));
        let (mean, deviation) = mean_and_deviation(&[1.0, 2.0, 3.0, 4.0]).expect("values");
        assert!((mean - 2.5).abs() < 1e-12 && (deviation.expect("four") - 1.290_994_448_735_805_6).abs() < 1e-12);
    }
}
