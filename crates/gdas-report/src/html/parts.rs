//! Pieces that several parts of the page are made of: figures, tables, downloads, numbers in words.

use std::fmt::Write as _;

use maud::{Markup, PreEscaped, html};

/// A drawing; `name` is what a file of it is called.
pub(super) fn figure(svg: &str, name: &str) -> Markup {
    html! { figure data-name=(name) { (PreEscaped(svg)) } }
}

/// A table that scrolls by itself where the page is narrow.
pub(super) fn table<T: AsRef<str>>(head: &[T], rows: &[Vec<String>]) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr { @for cell in head { th { (cell.as_ref()) } } } }
                tbody { @for row in rows { tr { @for cell in row { td { (cell) } } } } }
            }
        }
    }
}

/// A link that holds the file itself.
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

/// What stands for a value that is not there.
pub(super) fn dash() -> String {
    "\u{2013}".to_owned()
}

pub(super) fn percent(fraction: f64) -> String {
    format!("{:.2} %", fraction * 100.0)
}

/// Short times with two digits, long ones as [`duration`].
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
