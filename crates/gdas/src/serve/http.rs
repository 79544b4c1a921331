//! As much of HTTP/1.1 as a read-only server needs, with bounds on everything that comes in.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

/// Largest request line and headers together.
const MAX_HEAD: usize = 8 * 1024;
/// A request must be there in this time, however slowly its bytes come.
const MAX_TIME: Duration = Duration::from_secs(10);

/// A request, its address decoded.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    /// Path, from its first slash, percent-decoded segment by segment (a decoded slash makes no segment: it is refused).
    pub(super) path: String,
    /// Whether only the head of the answer is wanted.
    pub(super) head_only: bool,
    /// The host that the client meant.
    pub(super) host: Option<String>,
    /// Token in the address or the `Authorization` header.
    pub(super) token: Option<String>,
    /// Token in the cookie.
    pub(super) cookie: Option<String>,
}

/// An answer.
#[derive(Debug, Default)]
pub(super) struct Response {
    status: u16,
    kind: &'static str,
    body: Vec<u8>,
    pub(super) cookie: Option<String>,
}

impl Response {
    pub(super) fn text(status: u16, text: &str) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", body: text.as_bytes().to_vec(), cookie: None }
    }

    pub(super) fn csv(text: &str) -> Self {
        Self { kind: "text/csv; charset=utf-8", ..Self::text(200, text) }
    }

    pub(super) fn html(page: impl Into<String>) -> Self {
        Self { status: 200, kind: "text/html; charset=utf-8", body: page.into().into_bytes(), cookie: None }
    }

    pub(super) fn write(&self, out: &mut impl Write, head_only: bool) -> io::Result<()> {
        let reason = match self.status {
            200 => "OK",
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            431 => "Request Header Fields Too Large",
            503 => "Service Unavailable",
            _ => "Internal Server Error",
        };
        let mut head = format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{COMMON}",
            self.status,
            self.kind,
            self.body.len()
        );
        if self.status == 405 {
            head += "Allow: GET, HEAD\r\n";
        }
        if let Some(cookie) = &self.cookie {
            let _ = write!(head, "Set-Cookie: {cookie}\r\n");
        }
        out.write_all(head.as_bytes())?;
        out.write_all(b"\r\n")?;
        if !head_only {
            out.write_all(&self.body)?;
        }
        out.flush()
    }
}

const COMMON: &str = "Connection: close\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
                      Referrer-Policy: no-referrer\r\nX-Frame-Options: DENY\r\n";

/// The head of a stream of server-sent events.
pub(super) fn event_stream_head(out: &mut impl Write) -> io::Result<()> {
    write!(out, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{COMMON}\r\nretry: 2000\n\n")?;
    out.flush()
}

/// Reads a request, or says what to answer to something that is none.
pub(super) fn read(stream: &mut impl Read) -> Result<Request, Response> {
    let start = Instant::now();
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    let end = loop {
        if let Some(end) = head.windows(4).position(|w| w == b"\r\n\r\n") {
            break end;
        }
        if head.len() > MAX_HEAD {
            return Err(Response::text(431, "the request is too large"));
        }
        if start.elapsed() > MAX_TIME {
            return Err(Response::text(408, "the request came too slowly"));
        }
        match stream.read(&mut chunk) {
            Ok(0) => return Err(Response::text(400, "the request is cut off")),
            Ok(count) => head.extend(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(Response::text(408, "the request came too slowly")),
        }
    };
    if end > MAX_HEAD {
        return Err(Response::text(431, "the request is too large"));
    }
    let bad = || Response::text(400, "this is no HTTP request");
    parse(std::str::from_utf8(&head[..end]).map_err(|_| bad())?)
}

fn parse(head: &str) -> Result<Request, Response> {
    let bad = || Response::text(400, "this is no HTTP request");
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version), None) = (first.next(), first.next(), first.next(), first.next())
    else {
        return Err(bad());
    };
    if !version.starts_with("HTTP/1.") {
        return Err(bad());
    }
    if method != "GET" && method != "HEAD" {
        return Err(Response::text(405, "this server only reads"));
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if !path.starts_with('/') {
        return Err(bad());
    }
    let mut segments = Vec::new();
    for segment in path.split('/') {
        let decoded = decode(segment).ok_or_else(bad)?;
        if decoded.contains(['/', '\\', '\0']) || decoded == ".." || decoded == "." {
            return Err(bad());
        }
        segments.push(decoded);
    }
    let mut request = Request { path: segments.join("/"), head_only: method == "HEAD", ..Request::default() };
    request.token = query.split('&').find_map(|pair| decode(pair.strip_prefix("token=")?));
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { return Err(bad()) };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "host" if request.host.is_some() => return Err(bad()),
            "host" => request.host = Some(value.to_owned()),
            "authorization" => request.token = value.strip_prefix("Bearer ").map(str::to_owned).or(request.token),
            "cookie" => {
                request.cookie = value.split(';').find_map(|c| c.trim().strip_prefix("gdas=")).map(str::to_owned);
            }
            _ => {}
        }
    }
    Ok(request)
}

fn decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            let digits = text.get(at + 1..at + 3).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).ok()
}

/// Text as one segment of an address.
pub(super) fn encode(text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_decoded_and_bad_ones_refused() {
        let get = |target: &str| {
            parse(&format!("GET {target} HTTP/1.1\r\nHost: localhost")).map(|r| r.path).map_err(|r| r.status)
        };
        assert_eq!(get("/runs/a%20b?x=1"), Ok("/runs/a b".into()));
        for target in ["/runs/..", "/runs/%2e%2e/x", "/a%2fb", "/a%5cb", "/%zz", "/%+1", "/%00", "runs", "/%ff"] {
            assert_eq!(get(target), Err(400), "{target}");
        }
        assert_eq!(parse("POST / HTTP/1.1").map_err(|r| r.status), Err(405));
        assert_eq!(parse("GET / HTTP/1.1\r\nHost: a\r\nHost: b").map_err(|r| r.status), Err(400));
    }

    #[test]
    fn large_requests_are_refused() {
        let text = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(MAX_HEAD));
        assert_eq!(read(&mut text.as_bytes()).map_err(|r| r.status), Err(431));
        assert_eq!(read(&mut &b"GET / HTTP/1.1\r\n"[..]).map_err(|r| r.status), Err(400));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&mut bytes.as_slice());
        }

        #[test]
        fn names_survive_an_address(name in "[^/\\\\\u{0}]{1,20}") {
            prop_assert_eq!(decode(&encode(&name)), Some(name));
        }
    }
}
