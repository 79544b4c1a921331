//! The frame of a page: head, style, footer, script.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::json;

use crate::{chart, heat, parallel, reliability, svg};

const STYLE: &str =
    concat!(include_str!("page.css"), include_str!("../page/uplot.css"), include_str!("../page/charts.css"));
/// uPlot is another project's, under the MIT licence (`page/uplot-LICENSE`).
const SCRIPTS: [&str; 6] = [
    include_str!("../page/uplot.js"),
    include_str!("../page/unpack.js"),
    include_str!("../page/charts.js"),
    include_str!("../page/explore.js"),
    include_str!("../page/compare.js"),
    include_str!("page.js"),
];

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
    let drawings =
        [chart::style(), heat::style(), reliability::style(), parallel::style().to_owned(), svg::style()].concat();
    let style = [drawings.as_str(), STYLE, live.map_or("", |live| live.style)].concat();
    let scripts = SCRIPTS.into_iter().chain(live.map(|live| live.script));
    // Charts in the page have the colours of the drawings.
    let colours = |of: fn(&(&'static str, &'static str)) -> &'static str| {
        json!(chart::SERIES_COLOURS.iter().map(of).collect::<Vec<_>>())
    };
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
            body data-events=[live.map(|live| live.events)] data-revision=[live.map(|live| live.revision)]
                data-light=(colours(|pair| pair.0)) data-dark=(colours(|pair| pair.1)) data-dashes=(json!(chart::dashes())) {
                main { (body) }
                footer { "Written by gdas " (env!("CARGO_PKG_VERSION")) "." }
                @for script in scripts {
                    script { (PreEscaped(script)) }
                }
            }
        }
    };
    page.into_string()
}
