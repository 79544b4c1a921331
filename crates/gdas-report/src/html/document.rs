//! The document around a page: head, style, footer, scripts.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::json;

use crate::{chart, heat, parallel, reliability, svg};

const STYLE: &str =
    concat!(include_str!("page.css"), include_str!("../page/uplot.css"), include_str!("../page/charts.css"));
/// Scripts of the page. uPlot is third-party, under the MIT licence (`page/uplot-LICENSE`).
const SCRIPTS: [&str; 6] = [
    include_str!("../page/uplot.js"),
    include_str!("../page/unpack.js"),
    include_str!("../page/charts.js"),
    include_str!("../page/explore.js"),
    include_str!("../page/compare.js"),
    include_str!("page.js"),
];

/// Live updates of a page: `script` listens to `events` and reloads the content when its revision is outdated.
#[derive(Clone, Copy, Debug)]
pub struct Live<'a> {
    /// URL of the server-sent events.
    pub events: &'a str,
    /// Revision of the state that the page shows.
    pub revision: u64,
    /// Additional style sheet.
    pub style: &'a str,
    /// Additional script.
    pub script: &'a str,
}

/// A complete page. It fetches nothing except the events of `live`.
pub(super) fn document(title: &str, body: &Markup, live: Option<&Live>) -> String {
    let connect = if live.is_some() { "; connect-src 'self'" } else { "" };
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:{connect}"
    );
    let drawings =
        [chart::style(), heat::style(), reliability::style(), parallel::style().to_owned(), svg::style()].concat();
    let style = [drawings.as_str(), STYLE, live.map_or("", |live| live.style)].concat();
    let scripts = SCRIPTS.into_iter().chain(live.map(|live| live.script));
    // Interactive charts have the colours of the SVG drawings.
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
