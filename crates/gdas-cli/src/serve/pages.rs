//! The pages.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use axum::extract::{Path as Segment, State as Extract};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use gdas_report::svg::escape;
use gdas_report::{RunData, html};

use super::news::{Seen, Snapshot};
use super::{State, predict};
use crate::live::Standing;

const STYLE: &str = include_str!("live.css");
const SCRIPT: &str = concat!(include_str!("live.js"), include_str!("classify.js"));
/// Where an image is dropped on the page of a trained run.
const CLASSIFY: &str = include_str!("classify.html");

/// All runs.
pub(super) async fn index(Extract(state): Extract<Arc<State>>) -> Response {
    let snapshot = state.news.borrow().clone();
    let mut rows = String::new();
    for (name, seen) in &snapshot.runs {
        let address = format!("runs/{}", encode(name));
        let _ = write!(rows, "<tr data-run=\"{0}\"><td><a href=\"{address}\">{0}</a></td>", escape(name));
        match &seen.standing {
            Ok(standing) => row(standing, &mut rows),
            Err(error) => {
                let _ = write!(rows, "<td colspan=\"7\">{}</td>", escape(error));
            }
        }
        rows.push_str("</tr>\n");
    }
    let body = if rows.is_empty() {
        "<p>No runs yet. <code>gdas search</code> starts one.</p>".to_owned()
    } else {
        format!(
            "<div class=\"scroll\"><table class=\"runs\"><thead><tr><th>run</th><th>state</th><th>task</th>\
             <th>data</th><th>progress</th><th>epoch</th><th>accuracy</th><th>time left</th></tr></thead><tbody>\n\
             {rows}</tbody></table></div>"
        )
    };
    let live = html::Live { events: "events", revision: snapshot.revision, style: STYLE, script: SCRIPT };
    Html(html::live("Runs", &format!("<h1>Runs</h1>\n{body}\n"), &live)).into_response()
}

fn row(standing: &Standing, out: &mut String) {
    let fields = standing.fields();
    let field = |key: &str| {
        let text = fields.iter().find(|f| f.0 == key).map_or("\u{2013}", |f| f.2.as_str());
        format!("<td data-field=\"{key}\">{}</td>", escape(text))
    };
    let bar =
        format!("<td><progress max=\"1\" value=\"{:.4}\" aria-label=\"share done\"></progress></td>", standing.share());
    let task =
        standing.stage.as_ref().map_or_else(|| standing.task.clone(), |stage| format!("{}: {stage}", standing.task));
    let (task, data) = (escape(&task), escape(&standing.data));
    out.push_str(&field("status"));
    let _ = write!(out, "<td>{task}</td><td>{data}</td>{bar}");
    out.push_str(&(field("epoch") + &field("other_accuracy") + &field("eta")));
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
    let events = format!("{}/events", encode(&name));
    let control = state.options.control;
    let drawn = tokio::task::spawn_blocking(move || {
        let run = RunData::read(&seen.path)?;
        let mut top = seen.standing.as_ref().map_or_else(|_| String::new(), |standing| strip(standing, control));
        if predict::can_answer(&seen.path) {
            top += CLASSIFY;
        }
        let live = html::Live { events: &events, revision, style: STYLE, script: SCRIPT };
        Ok::<_, gdas::run::RunError>(html::live_run(&run, &top, &live))
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

/// Where a run stands, and what can be done about it.
fn strip(standing: &Standing, control: bool) -> String {
    let mut out = format!(
        "<section class=\"now\" data-run aria-live=\"off\">\n<progress max=\"1\" value=\"{:.4}\" \
         aria-label=\"share done\"></progress>\n<dl>\n",
        standing.share()
    );
    for (key, name, text) in standing.fields() {
        let _ = writeln!(out, "<div><dt>{name}</dt><dd data-field=\"{key}\">{}</dd></div>", escape(&text));
    }
    out.push_str("</dl>\n");
    if control {
        out.push_str("<p class=\"actions\">");
        let possible = super::control::actions(standing.status);
        for (action, name) in [("pause", "Pause"), ("continue", "Continue"), ("stop", "Stop"), ("resume", "Resume")] {
            let hidden = if possible.contains(&action) { "" } else { " hidden" };
            let _ = write!(out, "<button type=\"button\" data-action=\"{action}\"{hidden}>{name}</button>");
        }
        out.push_str("<output></output></p>\n");
    }
    out + "</section>\n"
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

/// Text as one segment of an address.
fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte as char),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}
