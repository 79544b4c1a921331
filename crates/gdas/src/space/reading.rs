//! Genotypes in whatever they come: text, JSON, the results of runs.

use serde_json::Value;

use super::{Genotype, GenotypeError};

/// Where a JSON object keeps a genotype, the first one that is there: results and listings of this program, its
/// `genotype` command, and the two stages of an automatic run's result.
const KEYS: [&str; 4] = ["genotype", "text", "train", "search"];

/// Reads a genotype in any known form: a published name; the text form, or Python's of DARTS and AutoDL; the JSON form
/// ([`Genotype`]'s own); JSON that holds either, such as `result.json` or what `gdas genotype --json` prints; or lines of
/// text with one in them, such as an exported source. Of several (an event log) the last one counts.
///
/// # Errors
/// The text is none of these, or the genotype belongs to no space.
///
/// ```
/// use gdas::space::read_genotype;
///
/// let cell = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|";
/// let result = format!(r#"{{"space": "nas-bench-201", "genotype": "{cell}", "seed": 1}}"#);
/// assert_eq!(read_genotype(&result)?.to_string(), cell);
/// assert_eq!(read_genotype("GDAS_V1")?.space, "nasnet");
/// # Ok::<(), gdas::space::GenotypeError>(())
/// ```
pub fn read_genotype(text: &str) -> Result<Genotype, GenotypeError> {
    let trimmed = text.trim_start_matches('\u{feff}').trim();
    if let Some(genotype) = Genotype::named(trimmed) {
        return Ok(genotype);
    }
    match json(trimmed) {
        Some(values) => last_of(&values),
        None => trimmed.parse().or_else(|error| in_words(trimmed).ok_or(error)),
    }
}

/// The last word of several lines that is a genotype: of a source that was exported, or a description.
fn in_words(text: &str) -> Option<Genotype> {
    let words = text.contains('\n').then(|| text.split(|c: char| c.is_whitespace() || c == '"'))?;
    words.filter(|word| word.contains('~')).filter_map(|word| word.parse().ok()).next_back()
}

/// The text as JSON objects, one or more; a Python dictionary is none.
fn json(text: &str) -> Option<Vec<Value>> {
    if !text.starts_with('{') {
        return None;
    }
    serde_json::Deserializer::from_str(text).into_iter().collect::<Result<_, _>>().ok()
}

fn last_of(values: &[Value]) -> Result<Genotype, GenotypeError> {
    values.iter().rev().find_map(inside).unwrap_or_else(|| {
        Err(GenotypeError::Json { reason: format!("none of its keys `{}` holds one", KEYS.join("`, `")) })
    })
}

/// The genotype that a value is, or holds.
fn inside(value: &Value) -> Option<Result<Genotype, GenotypeError>> {
    match value {
        Value::String(text) => Some(text.parse()),
        Value::Object(object) => KEYS.iter().find_map(|key| inside(object.get(*key)?)).or_else(|| {
            let whole = object.contains_key("space") && object.contains_key("cells");
            let read = || serde_json::from_value(value.clone());
            whole.then(|| read().map_err(|error| GenotypeError::Json { reason: error.to_string() }))
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CELL: &str = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|";
    const OTHER: &str = "|none~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|";

    #[test]
    fn every_json_that_holds_a_genotype_is_read() {
        let genotype: Genotype = CELL.parse().expect("a cell");
        let structured = serde_json::to_value(&genotype).expect("JSON");
        for value in [
            structured.clone(),
            json!({ "text": CELL, "genotype": structured }),
            json!({ "text": CELL, "space": "nas-bench-201", "cells": structured["cells"], "parameter_free": 0.5 }),
            json!({ "genotype": CELL, "best_genotype": OTHER, "cells": structured, "space": "nas-bench-201" }),
            json!({ "train": { "genotype": CELL }, "search": { "genotype": OTHER } }),
            json!({ "search": { "genotype": CELL }, "train": null }),
        ] {
            assert_eq!(read_genotype(&value.to_string()).as_ref(), Ok(&genotype), "{value}");
            let pretty = format!("\u{feff}{value:#}\r\n");
            assert_eq!(read_genotype(&pretty).as_ref(), Ok(&genotype), "{pretty}");
        }
        let log = format!(
            "{{\"genotype\":\"{OTHER}\"}}\n{{\"event\":\"epoch\",\"genotype\":\"{CELL}\"}}\n{{\"event\":\"x\"}}\n"
        );
        assert_eq!(read_genotype(&log), Ok(genotype));
    }

    #[test]
    fn json_without_a_genotype_is_refused_with_the_reason() {
        let error = |text: &str| read_genotype(text).expect_err("refused").to_string();
        assert!(error("{\"seed\": 1}").contains("`genotype`"), "{}", error("{\"seed\": 1}"));
        assert!(error("{\"genotype\": null}").contains("`genotype`"));
        assert!(error("{\"genotype\": \"|conv~0|\"}").contains("unknown operation `conv`"));
        assert!(error("{\"space\": \"x\", \"cells\": []}").contains("unknown space"));
    }

    #[test]
    fn a_python_dictionary_is_no_json() {
        let pairs = "('skip_connect', 0), ('skip_connect', 1), ('skip_connect', 0), ('skip_connect', 1), \
                     ('skip_connect', 0), ('skip_connect', 1), ('skip_connect', 0), ('skip_connect', 1)";
        let text = format!("{{'normal': [{pairs}], 'reduce': [{pairs}]}}");
        assert_eq!(read_genotype(&text).map(|genotype| genotype.space), Ok("nasnet"));
    }
}
