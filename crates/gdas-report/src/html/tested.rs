//! Section about the test of a trained network: size and speed, calibration, worst mistakes.

use maud::{Markup, PreEscaped, html};

use super::figures::file_name;
use super::parts::{self, dash, percent, table};
use crate::pixels::data_uri;
use crate::reliability::{Reliability, shares};
use crate::run_data::RunData;
use gdas::Mistake;
use gdas::cost::{readable, readable_bytes};
use gdas::run::{Event, TestFacts, TestRecord};

/// Size and speed, calibration and worst mistakes of a tested network; in a page of several runs without the images.
pub(super) fn section(run: &RunData, alone: bool) -> Markup {
    match &run.test {
        Ok(Some(record)) => html! {
            (size(run, &record.facts))
            (calibration(run, record))
            (mistakes(run, record, alone))
        },
        Ok(None) if run.result.is_some() && matches!(run.info.task.as_str(), "train" | "import") => missing(run, None),
        Ok(None) => Markup::default(),
        Err(error) => missing(run, Some(error)),
    }
}

/// Note about a missing record, and how to create it.
fn missing(run: &RunData, error: Option<&str>) -> Markup {
    let own = run.info.task == "train";
    html! {
        section {
            h2 { "Answers image by image" }
            @if let Some(error) = error {
                p { (error) "." }
            } @else if own && run.info.test_images == Some(0) {
                p { "There were no test images. " code { "gdas evaluate --data" } " tests on others." }
            } @else {
                p {
                    "Calibration, the most wrong images and speed are not recorded in this run. "
                    code { "gdas evaluate " (run.info.name) @if !own { " --data IMAGES" } }
                    " tests it and records them."
                }
            }
        }
    }
}

fn size(run: &RunData, facts: &TestFacts) -> Markup {
    let speed = run.events.iter().rev().find_map(|event| match event {
        Event::Tested { images_per_second, latency_seconds, .. } => Some((*images_per_second, *latency_seconds)),
        _ => None,
    });
    let [height, width, channels] = facts.image;
    let mut rows = vec![
        ("parameters", readable(facts.params)),
        ("multiply-adds per image", readable(facts.multiply_adds)),
        ("weights as 32-bit floats", readable_bytes(facts.weight_bytes)),
        ("images", format!("{width}x{height}, {}", if channels == 1 { "grey" } else { "colour" })),
    ];
    if let Some((images_per_second, latency)) = speed {
        rows.push(("images per second", readable(images_per_second.round() as u64)));
        rows.extend(latency.map(|seconds| ("one image alone", format!("{:.2} ms", 1e3 * seconds))));
    }
    html! {
        section {
            h2 { "Size and speed" }
            dl { @for (name, value) in rows { div { dt { (name) } dd { (value) } } } }
            p.note {
                "Speed as measured while it was tested, on the machine that tested it"
                @if facts.flip { "; each image was answered together with its mirror image" }
                "."
            }
        }
    }
}

fn calibration(run: &RunData, record: &TestRecord) -> Markup {
    let calibration = &record.answers.calibration;
    let Some(error) = calibration.expected_error() else { return Markup::default() };
    let diagram = Reliability(calibration);
    let images = calibration.images() as f64;
    let confidence = calibration.bins.iter().map(|bin| bin.confidence).sum::<f64>() / images;
    let accuracy = calibration.bins.iter().map(|bin| bin.correct).sum::<u64>() as f64 / images;
    let rows = calibration.bins.iter().enumerate().map(|(index, bin)| {
        let (low, high) = diagram.range(index);
        let (correct, sure) =
            shares(bin).map_or_else(|| (dash(), dash()), |(correct, sure)| (percent(correct), percent(sure)));
        vec![format!("{:.1} to {:.1} %", 100.0 * low, 100.0 * high), bin.images.to_string(), correct, sure]
    });
    html! {
        section {
            h2 { "Calibration" }
            p {
                "The expected calibration error is " b { (percent(error)) } ": so far apart are the share of correct answers and the \
                 confidence, on average over the " (calibration.images()) " test images. The network is right in " (percent(accuracy))
                " of the cases and gives its answers a mean probability of " (percent(confidence)) ": it is "
                (verdict(confidence - accuracy)) "."
            }
            figure.bins data-name={ (file_name(&run.info.name)) "-reliability" } {
                (PreEscaped(diagram.to_svg_fragment()))
                (parts::numbers(&diagram.to_json()))
            }
            details {
                summary { "Bin by bin" }
                (table(&["confidence", "images", "correct", "mean confidence"], &rows.collect::<Vec<_>>()))
            }
        }
    }
}

fn verdict(excess: f64) -> &'static str {
    if excess > 0.02 {
        "more sure than it should be"
    } else if excess < -0.02 {
        "less sure than it could be"
    } else {
        "about as sure as it should be"
    }
}

fn mistakes(run: &RunData, record: &TestRecord, alone: bool) -> Markup {
    let mistakes = &record.answers.mistakes;
    let classes = run.class_names();
    html! {
        section {
            h2 { "The most wrong images" }
            @if mistakes.is_empty() {
                p { "Every test image was answered correctly." }
            } @else if !alone {
                p { "The page of this run alone shows them." }
            } @else {
                p {
                    "The test images of the largest loss (cross-entropy) among those answered wrongly, with their class and the most \
                     probable ones. They are test images of " (record.facts.data) ", named by their file or their place among the test images, from 0."
                }
                ol.mistakes {
                    @for (place, mistake) in mistakes.iter().enumerate() {
                        (picture(mistake, record.facts.files.get(place), &record.facts, &classes))
                    }
                }
            }
        }
    }
}

/// An image with its class, the most probable classes, and its file name or index.
fn picture(mistake: &Mistake, file: Option<&String>, facts: &TestFacts, classes: &[String]) -> Markup {
    let name = |class: u64| classes.get(class as usize).cloned().unwrap_or_else(|| format!("class {class}"));
    let answer = mistake.answer;
    let loss = if mistake.loss.is_finite() { format!("{:.2}", mistake.loss) } else { "infinite".to_owned() };
    html! {
        li {
            @if let Some(uri) = data_uri(facts.image, &mistake.pixels) {
                img src=(uri) width="112"
                    alt=(format!("Test image {}: {}, taken for {}", answer.index, name(answer.label), name(answer.answer)));
            }
            p { b { (name(answer.label)) } " " (chance(answer.probability)) }
            ul { @for (class, probability) in &mistake.top { li { (name(*class)) " " (chance(*probability)) } } }
            p.note { @if let Some(file) = file { (file) } @else { "image " (answer.index) } ", loss " (loss) }
        }
    }
}

/// A probability in percent, not rounded down to zero, with a non-breaking space.
fn chance(probability: f32) -> String {
    let percent = 100.0 * f64::from(probability);
    if percent > 0.0 && percent < 0.1 { "<0.1\u{a0}%".to_owned() } else { format!("{percent:.1}\u{a0}%") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_chances_are_not_nothing() {
        assert_eq!([0.0, 0.00001, 0.5, 1.0].map(chance), ["0.0\u{a0}%", "<0.1\u{a0}%", "50.0\u{a0}%", "100.0\u{a0}%"]);
    }

    #[test]
    fn the_verdict_has_the_right_sign() {
        assert_eq!(verdict(0.1), "more sure than it should be");
        assert_eq!(verdict(-0.1), "less sure than it could be");
        assert_eq!(verdict(0.0), "about as sure as it should be");
    }
}
