//! The cell that a run found or trains, and why judges chose it.

use maud::{Markup, html};

use super::figures::file_name;
use super::parts::{dash, figure, percent, table};
use crate::cell::genotype_pictures;
use crate::run_data::RunData;
use gdas::run::{Judgement, Places};
use gdas::space::Genotype;

/// Drawings of the cells.
pub(super) fn section(run: &RunData) -> Markup {
    let Some(Ok(pictures)) = run.genotype().map(|g| genotype_pictures(&g, false)) else { return Markup::default() };
    let several = pictures.len() > 1;
    html! {
        section {
            h2 { "Cell" @if several { "s" } @if run.info.task != "train" { " found" } }
            @for picture in pictures {
                @if several { h3 { (picture.title) } }
                @let name = format!("{}-{}", file_name(&run.info.name), file_name(&picture.title));
                (figure(&picture.without_none().to_svg_fragment(), &name))
            }
        }
    }
}

/// Why the cell of a judged end was chosen, and what the curves show instead.
pub(super) fn judgement(run: &RunData) -> Markup {
    let Some(judgement) = run.judgement() else { return Markup::default() };
    let reason = judgement.reason();
    let mut letters = reason.chars();
    let reason: String = letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect());
    html! {
        section {
            h2 { "Why this cell" }
            p { (reason) "." }
            @if let (Some(own), false) = (&judgement.own_genotype, judgement.is_own()) {
                (table(&["", "cell chosen", "alpha's own cell"], &places(run, judgement, own)))
                p {
                    "Of " (judgement.candidates) " candidates the smallest sum of places wins, each judge counting \
                     the same. The curves, the probabilities and the cells on the way below are alpha's; its own \
                     cell at the end was"
                }
                p.genotype { code { (own) } }
            }
        }
    }
}

/// The cell chosen beside alpha's own, judge by judge.
fn places(run: &RunData, judgement: &Judgement, own: &str) -> Vec<Vec<String>> {
    let free = |text: &str| {
        let genotype = run.space.as_ref().and_then(|space| Genotype::parse(text, space).ok());
        genotype.map_or_else(dash, |genotype| percent(genotype.parameter_free_share()))
    };
    let mut rows: Vec<Vec<String>> = judgement
        .judges
        .iter()
        .map(|p| vec![format!("place by {}", p.judge), p.chosen.to_string(), p.own.to_string()])
        .collect();
    let sum = |place: fn(&Places) -> f64| judgement.judges.iter().map(place).sum::<f64>().to_string();
    rows.push(vec!["sum of places".to_owned(), sum(|p| p.chosen), sum(|p| p.own)]);
    let losses = [judgement.loss, judgement.own_loss].map(|loss| format!("{loss:.4}"));
    rows.push([vec!["held-out loss, shared weights".to_owned()], losses.to_vec()].concat());
    rows.push(vec!["edges without parameters".to_owned(), free(&judgement.genotype), free(own)]);
    rows
}
