//! The frame of a page: head, style, footer, script.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{chart, svg};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What makes a page follow something: `script` listens at `events` and renews the page when its revision is old.
#[derive(Clone, Copy, Debug)]
pub struct Live<'a> {
    /// Where server-sent events come from.
    pub events: &'a str,
    /// What state of things the page shows.
    pub revision: u64,
    /// Style sheet, after the page's own.
    pub style: &'a str,
    /// Script, after the page's own.
    pub script: &'a str,
}

/// A whole page, which fetches nothing but the events that it follows.
pub(super) fn document(title: &str, body: &Markup, live: Option<&Live>) -> String {
    let connect = if live.is_some() { "; connect-src 'self'" } else { "" };
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:{connect}"
    );
    let style = [chart::style().as_str(), &svg::style(), STYLE, live.map_or("", |live| live.style)].concat();
    let script = [SCRIPT, live.map_or("", |live| live.script)].concat();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(style)) }
            }
            body data-events=[live.map(|live| live.events)] data-revision=[live.map(|live| live.revision)] {
                main { (body) }
                footer { "Written by gdas " (env!("CARGO_PKG_VERSION")) "." }
                script { (PreEscaped(script)) }
            }
        }
    };
    page.into_string()
}
