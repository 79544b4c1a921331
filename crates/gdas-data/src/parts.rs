//! Recognising partitions (training, validation, test) by folder and archive names.

use std::fmt;

/// A partition of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// Training images.
    Train,
    /// Validation images.
    Validation,
    /// Test images.
    Test,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Validation => "val",
            Self::Test => "test",
        })
    }
}

/// A folder or archive name that contains the name of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// The partition.
    pub(super) part: Part,
    /// The rest of the name in lower case: `cats` of `cats_train`.
    pub(super) rest: String,
    /// Whether the partition's name is at the end, or is the whole name.
    pub(super) last: bool,
}

/// Words that may accompany the name of a partition without a meaning.
const FILLERS: [&str; 20] = [
    "set", "sets", "data", "dataset", "image", "images", "img", "imgs", "picture", "pictures", "photo", "photos",
    "file", "files", "folder", "split", "part", "sample", "samples", "all",
];

fn word_part(word: &str) -> Option<Part> {
    let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
    let word = word.strip_suffix("set").filter(|stem| !stem.is_empty()).unwrap_or(word);
    match word {
        "train" | "training" | "trainval" | "trn" => Some(Part::Train),
        "val" | "valid" | "validation" | "validate" | "dev" | "devel" => Some(Part::Validation),
        "test" | "testing" | "tst" | "eval" | "evaluation" | "holdout" => Some(Part::Test),
        _ => None,
    }
}

/// The partition in a folder's name (or an archive's, without extension): `train`, `Training_Set`, `cats-test`,
/// `val2017`, `test images`.
pub(super) fn named_part(name: &str) -> Option<Named> {
    let words = words(name);
    let mut words: &[String] = &words;
    let filler = |word: &String| FILLERS.contains(&word.as_str()) || word.bytes().all(|b| b.is_ascii_digit());
    while let [first, rest @ ..] = words
        && filler(first)
    {
        words = rest;
    }
    while let [rest @ .., last] = words
        && filler(last)
    {
        words = rest;
    }
    let parts: Vec<(usize, Part)> =
        words.iter().enumerate().filter_map(|(at, word)| Some((at, word_part(word)?))).collect();
    let (at, part) = match *parts.as_slice() {
        [one] => one,
        // `trainval` holds the images that are not in the test partition.
        [(at, Part::Train), (next, Part::Validation)] if next == at + 1 && next + 1 == words.len() => {
            (next, Part::Train)
        }
        _ => return None,
    };
    let last = at + 1 == words.len();
    let rest: Vec<&str> = if last {
        words[..at].iter().filter(|word| word_part(word).is_none()).map(String::as_str).collect()
    } else if at == 0 {
        words[1..].iter().map(String::as_str).collect()
    } else {
        return None;
    };
    Some(Named { part, rest: rest.join(" "), last })
}

/// The words of a name in lower case: runs of letters and of digits, split at capitals, so `TestSet` is two.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        if !c.is_alphanumeric() || (before.is_lowercase() && c.is_uppercase()) {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            words.last_mut().into_iter().for_each(|word| word.extend(c.to_lowercase()));
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_of_parts() {
        let part = |name: &str| named_part(name).map(|named| (named.part, named.rest));
        for name in [
            "train",
            "Train",
            "TRAIN",
            "training",
            "training_set",
            "Training Set",
            "trainset",
            "TrainSet",
            "train-images",
            "images_train",
            "train2017",
            "train_1",
            "trainval",
            "train_val",
            "Training_Images",
        ] {
            assert_eq!(part(name), Some((Part::Train, String::new())), "{name}");
        }
        for name in ["val", "valid", "Validation", "validation_set", "dev", "dev-set", "valset"] {
            assert_eq!(part(name), Some((Part::Validation, String::new())), "{name}");
        }
        for name in ["test", "testing", "test_set", "testset", "TEST SET", "test1", "eval", "evaluation", "eval_set"] {
            assert_eq!(part(name), Some((Part::Test, String::new())), "{name}");
        }
        assert_eq!(part("cats_train"), Some((Part::Train, "cats".into())));
        assert_eq!(part("mydata-test"), Some((Part::Test, "mydata".into())));
        assert_eq!(part("flowers 17 Test Set"), Some((Part::Test, "flowers 17".into())));
        assert_eq!(named_part("test tube").map(|named| named.last), Some(false));
        for name in ["cat", "trainer", "contest", "latest", "settings", "devil", "test train", "a test case", "set", ""]
        {
            assert_eq!(part(name), None, "{name}");
        }
    }
}
