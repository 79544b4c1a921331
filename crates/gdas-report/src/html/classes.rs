//! Section about accuracy and confusions per class.

use maud::{Markup, html};

use super::parts::{dash, percent, table};
use crate::run_data::RunData;
use gdas::ClassResult;

/// With more classes than this, only those of the lowest accuracy are shown.
const LISTED: usize = 50;
/// With more classes than this, the confusion matrix is left out: it would fill pages.
const MATRIX: usize = 30;

/// Accuracy per class and confusion matrix of a finished training with test images.
pub(super) fn section(run: &RunData) -> Markup {
    let Some(classes) = run.test_classes() else { return Markup::default() };
    let mut listed: Vec<&ClassResult> = classes.iter().collect();
    listed.sort_by(|a, b| a.accuracy.unwrap_or(2.0).total_cmp(&b.accuracy.unwrap_or(2.0)));
    listed.truncate(LISTED);
    let rows: Vec<Vec<String>> = listed.into_iter().map(row).collect();
    html! {
        section {
            h2 { "Classes" }
            p {
                "On the test images, the class of the lowest accuracy first"
                @if classes.len() > LISTED { "; " (LISTED) " of " (classes.len()) " classes" }
                "."
            }
            (table(&["class", "images", "correct", "most often taken for"], &rows))
            @if classes.len() <= MATRIX {
                details {
                    summary { "Confusion matrix" }
                    p { "A row for each class, a column for each answer." }
                    (matrix(&classes))
                }
            }
        }
    }
}

fn row(class: &ClassResult) -> Vec<String> {
    let mistake = class.worst_mistake().map_or_else(dash, |(name, count)| format!("{name} ({count})"));
    let accuracy = class.accuracy.map_or_else(|| "no test images".to_owned(), percent);
    vec![class.class.clone(), class.images.to_string(), accuracy, mistake]
}

fn matrix(classes: &[ClassResult]) -> Markup {
    let head: Vec<&str> =
        std::iter::once("class \\ answer").chain(classes.iter().map(|class| class.class.as_str())).collect();
    let count = |class: &ClassResult, answer: &str| {
        if class.class == answer { class.correct } else { class.mistaken_for.get(answer).copied().unwrap_or(0) }
    };
    let rows = classes.iter().map(|class| {
        let counts = classes.iter().map(|answer| count(class, &answer.class).to_string());
        std::iter::once(class.class.clone()).chain(counts).collect()
    });
    table(&head, &rows.collect::<Vec<_>>())
}
