//! Accuracy by class, and which classes are taken for which: as text and as CSV.

use std::fmt::Write as _;

use gdas::stats::wilson;
use gdas::{ClassResult, Confusion};

use crate::output::{percent, table};

/// With more classes than this, only those of the lowest accuracy are shown.
const LISTED: usize = 20;
/// With more classes than this, the confusion matrix is not shown.
const MATRIX: usize = 10;

/// An accuracy with the interval that has the true one with 95 % certainty.
pub(crate) fn accuracy(share: f64, [low, high]: [f64; 2]) -> String {
    format!("{} (95 % interval: {:.2} to {:.2} %)", percent(share), low * 100.0, high * 100.0)
}

/// Where the accuracy of these classes together lies.
pub(crate) fn interval(classes: &[ClassResult]) -> [f64; 2] {
    wilson(classes.iter().map(|class| class.correct).sum(), classes.iter().map(|class| class.images).sum())
}

/// The class of the lowest accuracy, and what it is taken for, if any image was answered wrongly.
pub(crate) fn worst(classes: &[ClassResult]) -> Option<String> {
    let worst = classes.iter().filter(|class| class.correct < class.images);
    let worst = worst.min_by(|a, b| a.accuracy.unwrap_or(1.0).total_cmp(&b.accuracy.unwrap_or(1.0)))?;
    let (mistake, count) = worst.worst_mistake()?;
    let share = percent(worst.accuracy.unwrap_or(0.0));
    Some(format!("{}, {share} of {} images; {count} taken for {mistake}", worst.class, worst.images))
}

/// A row for each class, or for those of the lowest accuracy.
pub(crate) fn text(classes: &[ClassResult]) -> String {
    let mut shown: Vec<&ClassResult> = classes.iter().collect();
    let mut title = String::new();
    if shown.len() > LISTED {
        shown.sort_by(|a, b| a.accuracy.unwrap_or(2.0).total_cmp(&b.accuracy.unwrap_or(2.0)));
        shown.truncate(LISTED);
        title = format!("the {LISTED} of {} classes with the lowest accuracy:\n", classes.len());
    }
    let heads = ["class", "images", "correct", "most often taken for"].map(String::from).to_vec();
    let row = |class: &&ClassResult| {
        let mistake = class.worst_mistake().map_or_else(String::new, |(name, count)| format!("{name} ({count})"));
        let share = class.accuracy.map_or_else(|| "no images".to_owned(), percent);
        vec![class.class.clone(), class.images.to_string(), share, mistake]
    };
    title + &table(&std::iter::once(heads).chain(shown.iter().map(row)).collect::<Vec<_>>())
}

/// The confusion matrix of a few classes; `None` of many.
pub(crate) fn matrix(confusion: &Confusion, classes: &[String]) -> Option<String> {
    (classes.len() <= MATRIX).then(|| {
        let heads = std::iter::once("class \\ answer".to_owned()).chain(classes.iter().cloned()).collect();
        let rows =
            confusion.matrix(classes.len()).into_iter().zip(classes).map(|(row, class)| {
                std::iter::once(class.clone()).chain(row.iter().map(ToString::to_string)).collect()
            });
        table(&std::iter::once(heads).chain(rows).collect::<Vec<_>>())
    })
}

/// The confusion matrix as CSV: a row for each class, a column for each answer.
pub(crate) fn csv(confusion: &Confusion, classes: &[String]) -> String {
    let quoted = |name: &String| {
        if name.contains([',', '"', '\n', '\r']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.clone() }
    };
    let mut text = format!("class,{}\n", classes.iter().map(quoted).collect::<Vec<_>>().join(","));
    for (row, class) in confusion.matrix(classes.len()).iter().zip(classes) {
        let counts: Vec<String> = row.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "{},{}", quoted(class), counts.join(","));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confusion() -> (Confusion, Vec<String>) {
        let confusion = Confusion::from(vec![[0, 0, 3], [0, 1, 1], [1, 1, 2], [1, 0, 6], [2, 2, 5]]);
        (confusion, ["cat", "a, \"dog\"", "owl"].map(String::from).to_vec())
    }

    #[test]
    fn classes_are_shown_with_what_they_are_taken_for() {
        let (confusion, names) = confusion();
        let classes = confusion.per_class(&names);
        let shown = text(&classes);
        assert!(
            shown.lines().nth(2).is_some_and(|line| line.contains("25.00 %") && line.ends_with("cat (6)")),
            "{shown}"
        );
        assert_eq!(worst(&classes).as_deref(), Some("a, \"dog\", 25.00 % of 8 images; 6 taken for cat"));
        assert_eq!(worst(&classes[2..]), None);
        assert_eq!(csv(&confusion, &names).lines().nth(2), Some("\"a, \"\"dog\"\"\",6,2,0"));
        assert!(matrix(&confusion, &names).is_some_and(|text| text.lines().count() == 4));
        let many: Vec<String> = (0..30).map(|n| n.to_string()).collect();
        assert_eq!(matrix(&confusion, &many), None);
        let shown = text(&confusion.per_class(&many));
        assert_eq!(shown.lines().nth(2).map(|line| line.split_whitespace().next()), Some(Some("1")), "{shown}");
        assert_eq!(shown.lines().count(), 22);
    }

    #[test]
    fn intervals_are_shown_in_percent() {
        assert_eq!(accuracy(0.5, [0.4, 0.6]), "50.00 % (95 % interval: 40.00 to 60.00 %)");
    }
}
