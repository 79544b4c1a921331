//! Who may ask for what.
//!
//! Only this machine can reach a server that is not bound to another address; then a request must name a local host,
//! so that no web page can reach it by a name of its own (DNS rebinding). Where there is a token, every request needs
//! it, once in the address or in the `Authorization` header, then in a cookie with `SameSite=Strict`.
//!
//! What changes anything needs `--control`. Neither that nor an image to classify, which costs time, may come from a page of
//! another origin: a browser says in `Origin` or `Sec-Fetch-Site` where a request comes from, and programs other than
//! browsers say neither.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{Options, State};

pub(super) async fn guard(Extract(state): Extract<Arc<State>>, request: Request, next: Next) -> Response {
    let given = query_token(&request);
    let mut response = if let Some(refusal) = refuse(&state.options, given.as_deref(), &request) {
        refusal.into_response()
    } else {
        // From now on the browser knows the token; the address bar need not.
        let home = format!("{}/", state.options.base);
        let entering = request.uri().path() == home && given.is_some();
        let mut response = next.run(request).await;
        if let (Some(token), true) = (&state.options.token, entering)
            && let Ok(cookie) = HeaderValue::from_str(&format!("gdas={token}; HttpOnly; SameSite=Strict; Path={home}"))
        {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        response
    };
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn refuse(options: &Options, given: Option<&str>, request: &Request) -> Option<(StatusCode, &'static str)> {
    let headers = request.headers();
    let host = the_one(headers, header::HOST);
    if let Some(token) = &options.token {
        let known = [given, bearer(headers), cookie(headers)].into_iter().flatten().any(|given| same(given, token));
        if !known {
            return Some((StatusCode::UNAUTHORIZED, "this server needs its token: open the address that it printed\n"));
        }
    } else if !host.is_some_and(is_local) {
        return Some((StatusCode::FORBIDDEN, "this server answers to local names only\n"));
    }
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    if !options.control && !asks_for_a_prediction(options, request) {
        return Some((StatusCode::FORBIDDEN, "this server only reads; `gdas serve --control` also acts\n"));
    }
    if !host.is_some_and(|host| is_own(headers, host)) {
        return Some((StatusCode::FORBIDDEN, "a page of another origin may not act on runs\n"));
    }
    None
}

/// Whether a request has an image classified, which changes nothing.
fn asks_for_a_prediction(options: &Options, request: &Request) -> bool {
    let path = request.uri().path().strip_prefix(options.base.as_str()).and_then(|path| path.strip_prefix("/runs/"));
    let parts: Option<Vec<&str>> = path.map(|path| path.split('/').collect());
    request.method() == Method::POST && matches!(parts.as_deref(), Some([_, "predict"]))
}

/// A header that must not be there twice.
fn the_one(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?.to_str().ok();
    if all.next().is_some() { None } else { first }
}

/// Whether a request comes from a page of this server, or from no page at all.
fn is_own(headers: &HeaderMap, host: &str) -> bool {
    let site = headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin");
    let origin = !headers.contains_key(header::ORIGIN)
        || the_one(headers, header::ORIGIN)
            .and_then(|origin| origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")))
            .is_some_and(|origin| origin.eq_ignore_ascii_case(host));
    site && origin
}

/// A token in the address; it holds plain characters only, so nothing in it is encoded.
fn query_token(request: &Request) -> Option<String> {
    request.uri().query()?.split('&').find_map(|pair| pair.strip_prefix("token=")).map(str::to_owned)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix("gdas="))
}

/// Whether a `Host` header names this machine by a local name.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Equality that takes the same time wherever the first difference is.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |d, (x, y)| d | (x ^ y)) == 0
}
