//! Requests for pages and tables.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use axum::extract::{Path as Segment, State as Extract};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use gdas_report::{RunData, html as report_html};
use maud::{Markup, html};

use super::news::{Seen, Snapshot};
use super::{State, address, list, now, predict};

const STYLE: &str = include_str!("live.css");
const SCRIPT: &str = concat!(include_str!("live.js"), include_str!("classify.js"));

/// All runs.
pub(super) async fn index(Extract(state): Extract<Arc<State>>) -> Response {
    let snapshot = state.news.borrow().clone();
    Html(list::page(&snapshot, STYLE, SCRIPT)).into_response()
}

/// The report of a run.
pub(super) async fn report(Extract(state): Extract<Arc<State>>, Segment(name): Segment<String>) -> Response {
    let Some(seen) = seen(&state.news.borrow(), &name) else { return super::not_found() };
    let revision = seen.revision();
    let pages = || state.pages.lock().unwrap_or_else(PoisonError::into_inner);
    // Where the run stands changes with every step; the script of the page puts it in.
    if let Some((_, page)) = pages().get(&name).filter(|(of, _)| *of == revision) {
        return Html(page.to_string()).into_response();
    }
    let events = format!("{}/events", address::segment(&name));
    let control = state.options.control;
    let drawn = tokio::task::spawn_blocking(move || {
        let run = RunData::read(&seen.path)?;
        let now = seen.standing.as_ref().map_or_else(|_| Markup::default(), |standing| now::section(standing, control));
        let top = html! {
            (now)
            @if predict::can_answer(&seen.path) { (predict::section()) }
        };
        let live = report_html::Live { events: &events, revision, style: STYLE, script: SCRIPT };
        Ok::<_, gdas::run::RunError>(report_html::live_run(&run, &top, &live))
    });
    match drawn.await {
        Ok(Ok(page)) => {
            pages().insert(name, (revision, page.as_str().into()));
            Html(page).into_response()
        }
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}

pub(super) async fn epochs(state: Extract<Arc<State>>, name: Segment<String>) -> Response {
    csv(state, name, RunData::epochs_csv).await
}

pub(super) async fn alphas(state: Extract<Arc<State>>, name: Segment<String>) -> Response {
    csv(state, name, RunData::alphas_csv).await
}

async fn csv(
    Extract(state): Extract<Arc<State>>,
    Segment(name): Segment<String>,
    content: fn(&RunData) -> String,
) -> Response {
    let Some(Seen { path, .. }) = seen(&state.news.borrow(), &name) else { return super::not_found() };
    let read = move |path: PathBuf| RunData::read(&path).map(|run| content(&run));
    match tokio::task::spawn_blocking(move || read(path)).await {
        Ok(Ok(text)) => ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], text).into_response(),
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}

/// The run of this name, if one is there: the name is compared, never made into a path.
fn seen(snapshot: &Snapshot, name: &str) -> Option<Seen> {
    snapshot.runs.get(name).cloned()
}

fn failed(error: &dyn std::fmt::Display) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
}
