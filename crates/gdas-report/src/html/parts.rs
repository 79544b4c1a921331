//! Elements used by several sections of the page: figures, tables, downloads, number formats.

use std::fmt::Write as _;
use std::io::Write as _;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use flate2::Compression;
use flate2::write::GzEncoder;
use maud::{Markup, PreEscaped, html};

use crate::chart::Chart;
use crate::heat::HeatMap;

/// An SVG drawing; `name` is the file name of its download.
pub(super) fn figure(svg: &str, name: &str) -> Markup {
    html! { figure data-name=(name) { (PreEscaped(svg)) } }
}

/// A chart: its drawing, and its data for the script that makes it interactive. Charts of one `group` share their cursor.
pub(super) fn chart(chart: &Chart, name: &str, group: &str) -> Markup {
    html! {
        figure.chart data-name=(name) {
            (PreEscaped(chart.to_svg_fragment()))
            (numbers(&chart.to_json(group)))
        }
    }
}

/// A heat map, and its data for the script that shows the values under the pointer.
pub(super) fn heat_map(map: &HeatMap, name: &str) -> Markup {
    html! {
        figure.heatmap data-name=(name) {
            (PreEscaped(map.to_svg_fragment()))
            (numbers(&map.to_json()))
        }
    }
}

/// JSON for a script, escaped so that no text in it ends the element; compressed if it is long.
pub(super) fn numbers(json: &str) -> Markup {
    match packed(json) {
        Some(packed) if json.len() > PACKED => html! { script.data type="application/gzip" { (packed) } },
        _ => html! { script.data type="application/json" { (PreEscaped(json.replace("</", "<\\/"))) } },
    }
}

/// Compresses a text with gzip and encodes it in base 64.
pub(super) fn packed(text: &str) -> Option<String> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(text.as_bytes()).ok()?;
    Some(BASE64_STANDARD.encode(packer.finish().ok()?))
}

/// Longer JSON texts are compressed.
const PACKED: usize = 2_000;

/// A table that scrolls horizontally on narrow screens, also by keyboard.
pub(super) fn table<T: AsRef<str>>(head: &[T], rows: &[Vec<String>]) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label="table" {
            table {
                thead { tr { @for cell in head { th { (cell.as_ref()) } } } }
                tbody { @for row in rows { tr { @for cell in row { td { (cell) } } } } }
            }
        }
    }
}

/// A download link with an embedded table; for a long table or several runs, the command that writes it.
pub(super) fn table_download(name: &str, lines: usize, alone: bool, content: impl FnOnce() -> String) -> Markup {
    if lines > MAX_LINES || !alone {
        return html! { p.download { (name) ": written by " code { "gdas report --files" } } };
    }
    download(name, &content())
}

/// A download link with the file embedded.
pub(super) fn download(name: &str, content: &str) -> Markup {
    let mut address = "data:text/plain;charset=utf-8,".to_owned();
    for byte in content.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b',' => address.push(byte as char),
            _ => {
                let _ = write!(address, "%{byte:02X}");
            }
        }
    }
    html! { p.download { a download=(name) href=(address) { (name) } } }
}

/// Maximum number of lines of an embedded table (about 200 kB).
const MAX_LINES: usize = 2_800;

/// Placeholder for a missing value.
pub(super) fn dash() -> String {
    "\u{2013}".to_owned()
}

pub(super) fn percent(fraction: f64) -> String {
    format!("{:.2} %", fraction * 100.0)
}

/// A time in seconds with two digits; a long one as by [`duration`].
pub(super) fn seconds(seconds: f64) -> String {
    if seconds < 120.0 { format!("{seconds:.2} s") } else { duration(seconds) }
}

pub(super) fn duration(seconds: f64) -> String {
    let total = seconds.max(0.0).round() as u64;
    let (hours, minutes, rest) = (total / 3600, total / 60 % 60, total % 60);
    if hours > 0 {
        format!("{hours} h {minutes:02} min")
    } else if minutes > 0 {
        format!("{minutes} min {rest:02} s")
    } else {
        format!("{rest} s")
    }
}
