//! The cell that a run found or trains, and the judgement by which it was chosen.

use maud::{Markup, html};
use serde_json::json;

use super::figures::file_name;
use super::parts::{self, dash, figure, percent, table};
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
            h2 {
                "Cell" @if several { "s" }
                @if run.info.task != "train" { @if run.result.is_some() { " found" } @else { " so far" } }
            }
            @for picture in pictures {
                @if several { h3 { (picture.title) } }
                @let name = format!("{}-{}", file_name(&run.info.name), file_name(&picture.title));
                (figure(&picture.without_none().to_svg_fragment(), &name))
            }
        }
    }
}

/// The cell derived from alpha in each epoch, with a slider; empty if it never changed.
pub(super) fn on_the_way(run: &RunData) -> Markup {
    let history = run.genotype_history();
    let Some(data) = packed(run, &history).filter(|_| history.len() > 1) else { return Markup::default() };
    html! {
        section {
            h2 { "Alpha's cell, epoch by epoch" }
            figure.cells {
                script.data type="application/gzip" { (data) }
                noscript { p { "The slider needs a script; the list of cells is below." } }
            }
        }
    }
}

/// Drawings and texts of the distinct cells, and the cell of each epoch, as compressed JSON in base64.
fn packed(run: &RunData, history: &[(usize, usize, String)]) -> Option<String> {
    let mut texts: Vec<&String> = history.iter().map(|(_, _, text)| text).collect();
    texts.sort_unstable();
    texts.dedup();
    let draw = |text: &&String| {
        let genotype = run.space.as_ref().and_then(|space| Genotype::parse(text, space).ok())?;
        let pictures = genotype_pictures(&genotype, false).ok()?;
        let svg: String = pictures.into_iter().map(|picture| picture.without_none().to_svg_fragment()).collect();
        Some(json!({ "text": text, "svg": svg }))
    };
    let cells: Vec<_> = texts.iter().map(draw).collect::<Option<_>>()?;
    let of_run = |(first, last, text): &(usize, usize, String)| {
        let cell = texts.binary_search(&text).unwrap_or(0);
        (first + 1..=last + 1).map(move |epoch| [epoch, cell])
    };
    let epochs: Vec<_> = history.iter().flat_map(of_run).collect();
    parts::packed(&json!({ "epochs": epochs, "cells": cells }).to_string())
}

/// The judgement of a search with judged selection.
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
                (table(&["what", "cell chosen", "alpha's own cell"], &places(run, judgement, own)))
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

/// Ranks of the chosen cell and of alpha's cell by each judge.
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
