//! Times, sizes and counts in the forms that people write.

use std::time::Duration;

/// Units of time, in seconds, with the names that are understood; from the longest to the shortest.
const UNITS: [(f64, &[&str]); 4] = [
    (86_400.0, &["d", "day", "days"]),
    (3600.0, &["h", "hr", "hrs", "hour", "hours"]),
    (60.0, &["m", "min", "mins", "minute", "minutes"]),
    (1.0, &["s", "sec", "secs", "second", "seconds"]),
];

/// A time in seconds: `90` (seconds), `90s`, `2.5h`, `5 minutes`, `1h30m`, `1h30` (a number without unit counts in the next
/// smaller one), `1:30:00`, `1:30` (minutes and seconds).
///
/// # Errors
/// What is not understood, and how to write it.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    let text = text.trim().to_ascii_lowercase();
    let seconds = if text.contains(':') { clock(&text) } else { with_units(&text) };
    seconds.filter(|seconds| seconds.is_finite()).ok_or_else(|| {
        format!("`{text}` is no time; write it as in 90s, 5m, 1h30m, 2.5h, \"5 minutes\", 1:30:00 or, in seconds, 90")
    })
}

/// `h:mm:ss` or `m:ss`.
fn clock(text: &str) -> Option<f64> {
    let parts: Vec<&str> = text.split(':').collect();
    let mut total = 0.0;
    for (place, part) in parts.iter().enumerate() {
        let is_last = place + 1 == parts.len();
        let number = if is_last { decimal(part)? } else { decimal(part).filter(|_| !part.contains('.'))? };
        if place > 0 && (number >= 60.0 || part.split('.').next()?.len() != 2) {
            return None;
        }
        total = total * 60.0 + number;
    }
    (2..=3).contains(&parts.len()).then_some(total)
}

/// Numbers, each with its unit; the last may have none.
fn with_units(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut total = 0.0;
    // The place in `UNITS` of the first unit that may come next.
    let mut next = None;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number = decimal(&rest[..end])?;
        rest = rest[end..].trim_start();
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let unit = if word.is_empty() {
            // Alone it counts seconds; only the last number may be without unit.
            if !after.is_empty() {
                return None;
            }
            next.unwrap_or(UNITS.len() - 1)
        } else {
            UNITS.iter().position(|(_, names)| names.contains(&word))?
        };
        if next.is_some_and(|next| unit < next) {
            return None;
        }
        total += number * UNITS.get(unit)?.0;
        next = Some(unit + 1);
        rest = after.trim_start();
    }
    next.map(|_| total)
}

/// Digits, perhaps with a point between them.
fn decimal(text: &str) -> Option<f64> {
    let plain = text.starts_with(|c: char| c.is_ascii_digit()) && text.ends_with(|c: char| c.is_ascii_digit());
    text.parse().ok().filter(|_| plain && text.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}

/// A budget of time for an automatic run.
///
/// # Errors
/// It is no time, or too short or too long.
pub(crate) fn budget(text: &str) -> Result<Duration, String> {
    let seconds = seconds(text)?;
    if (10.0..=30.0 * 86_400.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("must be between 10 seconds and 30 days".to_string())
    }
}

/// A count above zero: `200000`, `2e5`, `200k`, `1.5M`.
///
/// # Errors
/// What is not understood.
pub(crate) fn count(text: &str) -> Result<f64, String> {
    scaled(text, &[("g", 1e9), ("m", 1e6), ("k", 1e3)])
        .ok_or_else(|| format!("`{text}` is no count, as in 200000, 200k or 1.5M"))
}

/// A size above zero, in bytes: `500000`, `500kB`, `1.5MB`, `1MiB`.
///
/// # Errors
/// What is not understood.
pub(crate) fn bytes(text: &str) -> Result<f64, String> {
    let mib = 1024.0 * 1024.0;
    let units =
        [("mib", mib), ("kib", 1024.0), ("gb", 1e9), ("mb", 1e6), ("kb", 1e3), ("m", 1e6), ("k", 1e3), ("b", 1.0)];
    scaled(text, &units).ok_or_else(|| format!("`{text}` is no size, as in 500kB, 1.5MB or 1MiB"))
}

/// A number above zero.
///
/// # Errors
/// What is not understood.
pub(crate) fn positive(text: &str) -> Result<f64, String> {
    scaled(text, &[]).ok_or_else(|| format!("`{text}` is no number above zero"))
}

fn scaled(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let text = text.trim().to_ascii_lowercase();
    let found = units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (number, factor) = found.unwrap_or((&text, 1.0));
    let value = number.trim().parse::<f64>().ok()? * factor;
    (value.is_finite() && value > 0.0).then_some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms_that_people_write() {
        for (text, expected) in [
            ("90", 90.0),
            ("90s", 90.0),
            ("5 minutes", 300.0),
            ("1h30", 5400.0),
            ("1h30m", 5400.0),
            ("1 h 30 min", 5400.0),
            ("2.5h", 9000.0),
            ("5m30", 330.0),
            ("1:30:00", 5400.0),
            ("1:30", 90.0),
            ("0:10.5", 10.5),
            ("1 day", 86_400.0),
            ("1d 2h 3m 4s", 93_784.0),
            (" 10 Seconds ", 10.0),
        ] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for wrong in [
            "",
            " ",
            "5x",
            "-3m",
            "nanm",
            "1e3",
            "1:2:3",
            "1:60",
            "1:30:00:00",
            "1.5:00",
            "30m1h",
            "1h1h",
            "1h 2 3",
            ":30",
            "1:",
            "1..5h",
            ".5h",
            "5.",
            "inf",
            "h",
            "1h30s5",
            "+5m",
            "minutes 5",
        ] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_budget_has_ends() {
        assert_eq!(budget("1.5h"), Ok(Duration::from_mins(90)));
        assert_eq!(budget("10"), Ok(Duration::from_secs(10)));
        for wrong in ["5", "9.9s", "31 days", "1:00:00:00"] {
            assert!(budget(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn counts_and_sizes() {
        assert_eq!((count("200k"), count("1.5M"), count("2e5")), (Ok(2e5), Ok(1.5e6), Ok(2e5)));
        assert_eq!((bytes("500 kB"), bytes("1MiB"), bytes("1234")), (Ok(5e5), Ok(1_048_576.0), Ok(1234.0)));
        for wrong in ["", "0", "-1", "nan", "inf", "k", "1x"] {
            assert!(count(wrong).is_err() && bytes(wrong).is_err() && positive(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_form_of_a_time_is_read_alike(hours in 0u32..100, minutes in 0u32..60, rest in 0u32..60) {
            let expected = Ok(f64::from(hours * 3600 + minutes * 60 + rest));
            for text in [
                format!("{hours}:{minutes:02}:{rest:02}"),
                format!("{hours}h{minutes}m{rest}s"),
                format!("{hours}h{minutes}m{rest}"),
                format!("{hours} hours {minutes} minutes {rest} seconds"),
                format!("{hours} H {minutes:02} Min {rest:02} Sec"),
                format!("{}", hours * 3600 + minutes * 60 + rest),
                format!("{}m {rest}s", hours * 60 + minutes),
            ] {
                prop_assert_eq!(seconds(&text), expected.clone(), "{}", text);
            }
        }

        #[test]
        fn no_text_is_a_panic_or_an_impossible_time(text in "[0-9:.hmsdinute +-]{0,12}") {
            if let Ok(seconds) = seconds(&text) {
                prop_assert!(seconds.is_finite() && seconds >= 0.0);
            }
        }
    }
}
