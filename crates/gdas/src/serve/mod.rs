//! A live view of runs in the browser: what `gdas serve` does. It only reads.
//!
//! | path | what |
//! | --- | --- |
//! | `/` | all runs |
//! | `/runs/NAME` | the report of a run, which follows the run while it is at work |
//! | `/runs/NAME/epochs.csv`, `/runs/NAME/alphas.csv` | its numbers |
//! | `/events`, `/runs/NAME/events` | server-sent events: `changed` whenever there is something new |
//!
//! A server of the standard library alone, one thread per connection, is all that a page for one person and their
//! colleagues needs; it answers `GET` and `HEAD`, reads no bodies, and takes no path from the network: a name in an
//! address is only ever compared with the names of the runs that are there.
//!
//! Only this machine can reach it unless it is bound to another address, and then every request needs the token. A
//! request on the loopback address must name a local host, so that no web page can reach it by a name of its own
//! (DNS rebinding).

mod http;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{Request, Response};

use crate::report::svg::escape;
use crate::report::{RunData, html};
use crate::run::{self, Interrupt, RunInfo};

/// Connections served at a time; more are told to come back later.
pub const MAX_CONNECTIONS: usize = 512;
/// Time between two looks at the files.
const POLL: Duration = Duration::from_millis(500);
/// After so much silence a comment shows whether the client is still there.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// What a server serves, and to whom.
#[derive(Clone, Debug)]
pub struct Options {
    /// Directory that holds the runs.
    pub runs: PathBuf,
    /// What a request must know. Needed where others can reach the address.
    pub token: Option<String>,
}

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; another --address or port may be free")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// An address that others can reach, without a token.
    #[error("{0} can be reached from other machines: a token is needed")]
    NoToken(SocketAddr),
    /// The listener failed.
    #[error("the server cannot go on: {0}")]
    Listen(#[from] io::Error),
}

/// A bound server.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    options: Options,
    address: SocketAddr,
    connections: AtomicUsize,
    /// Pages by run, each with the state of the files that it shows.
    pages: Mutex<BTreeMap<String, (Stamp, Arc<String>)>>,
    interrupt: Interrupt,
}

/// What is compared to see whether a run has news: length of its log, presence of a result. The lock is not looked at:
/// that takes it for a moment, in which a run that starts would find it taken.
type Stamp = (u64, bool);

impl Server {
    /// Binds to an address; port 0 takes any free port.
    pub fn bind(address: SocketAddr, options: Options, interrupt: &Interrupt) -> Result<Self, ServeError> {
        if !address.ip().is_loopback() && options.token.as_deref().is_none_or(str::is_empty) {
            return Err(ServeError::NoToken(address));
        }
        let listener = TcpListener::bind(address).map_err(|source| ServeError::Bind { address, source })?;
        listener.set_nonblocking(true)?;
        let state = State {
            options,
            address: listener.local_addr()?,
            connections: AtomicUsize::new(0),
            pages: Mutex::default(),
            interrupt: interrupt.clone(),
        };
        Ok(Self { listener, state: Arc::new(state) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.state.address
    }

    /// Serves until the interrupt is requested.
    pub fn run(&self) -> Result<(), ServeError> {
        while !self.state.interrupt.is_requested() {
            match self.listener.accept() {
                Ok((stream, _)) => self.state.clone().take(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                // A client that is gone already, or too many open files: neither ends the server.
                Err(error) => {
                    tracing::warn!("a connection was lost: {error}");
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        }
        Ok(())
    }
}

impl State {
    fn take(self: Arc<Self>, stream: TcpStream) {
        if self.connections.fetch_add(1, Ordering::Relaxed) >= MAX_CONNECTIONS {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            let _ = Response::text(503, "too many connections").write(&mut &stream, false);
            return;
        }
        let state = self.clone();
        // Pages are drawn on this thread; their memory is on the heap, so a small stack will do for hundreds.
        let spawned = std::thread::Builder::new().stack_size(1 << 20).spawn(move || {
            // A client that goes away in the middle is no error of ours.
            let _ = state.answer(&stream);
            state.connections.fetch_sub(1, Ordering::Relaxed);
        });
        if spawned.is_err() {
            self.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn answer(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.set_write_timeout(Some(Duration::from_secs(10)))?;
        let request = match http::read(&mut &*stream) {
            Ok(request) => request,
            Err(response) => return response.write(&mut &*stream, false),
        };
        let response = match self.route(&request) {
            Route::Respond(response) => response,
            Route::Follow(run) => return self.follow(stream, run.as_deref()),
        };
        response.write(&mut &*stream, request.head_only)
    }

    fn route(&self, request: &Request) -> Route {
        if let Some(refusal) = self.refuse(request) {
            return Route::Respond(refusal);
        }
        let path: Vec<&str> = request.path.split('/').skip(1).collect();
        match path[..] {
            [""] => {
                let mut response = Response::html(self.index());
                if let (Some(token), Some(_)) = (&self.options.token, &request.token) {
                    // From now on the browser knows it; the address bar need not.
                    response.cookie = Some(format!("gdas={token}; HttpOnly; SameSite=Strict; Path=/"));
                }
                Route::Respond(response)
            }
            ["events"] => Route::Follow(None),
            ["runs", name, ref rest @ ..] => {
                let Some(path) = self.find(name) else {
                    return Route::Respond(Response::text(404, "there is no such run"));
                };
                match rest {
                    [] => Route::Respond(self.report(name, &path)),
                    ["events"] => Route::Follow(Some(path)),
                    ["epochs.csv"] => Route::Respond(csv(&path, RunData::epochs_csv)),
                    ["alphas.csv"] => Route::Respond(csv(&path, RunData::alphas_csv)),
                    _ => Route::Respond(Response::text(404, "there is no such page")),
                }
            }
            _ => Route::Respond(Response::text(404, "there is no such page")),
        }
    }

    fn refuse(&self, request: &Request) -> Option<Response> {
        if let Some(token) = &self.options.token {
            let known = [&request.token, &request.cookie].into_iter().flatten().any(|given| same(given, token));
            return (!known)
                .then(|| Response::text(401, "this server needs its token: open the address that it printed"));
        }
        let local = request.host.as_deref().is_some_and(is_local);
        (!local).then(|| Response::text(403, "this server answers to local names only"))
    }

    /// The directory of a run, if one of this name is there.
    fn find(&self, name: &str) -> Option<PathBuf> {
        let entries = std::fs::read_dir(&self.options.runs).ok()?;
        let found = entries.flatten().find(|entry| entry.file_name().to_str() == Some(name))?;
        found.path().join("config.toml").is_file().then(|| found.path())
    }

    fn index(&self) -> String {
        let mut rows = String::new();
        for run in run::list(&self.options.runs).unwrap_or_default() {
            let row = run.map_or_else(
                |error| format!("<tr><td colspan=\"6\">{}</td></tr>\n", escape(&error.to_string())),
                |info| row(&info),
            );
            rows.push_str(&row);
        }
        let body = if rows.is_empty() {
            "<p>No runs yet. <code>gdas search</code> starts one.</p>".to_owned()
        } else {
            format!(
                "<div class=\"scroll\"><table><thead><tr><th>run</th><th>state</th><th>task</th><th>data</th>\
                 <th>epochs</th><th>accuracy</th></tr></thead><tbody>\n{rows}</tbody></table></div>"
            )
        };
        html::live("Runs", &format!("<h1>Runs</h1>\n{body}\n"), "/events")
    }

    fn report(&self, name: &str, path: &Path) -> Response {
        let stamp = stamp(path);
        let pages = || self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, page)) = pages().get(name).filter(|(of, _)| *of == stamp) {
            return Response::html(page.as_str());
        }
        match RunData::read(path) {
            Ok(run) => {
                let events = format!("/runs/{}/events", http::encode(name));
                let page = Arc::new(html::live_run(&run, &events));
                pages().insert(name.to_owned(), (stamp, page.clone()));
                Response::html(page.as_str())
            }
            Err(error) => Response::text(500, &error.to_string()),
        }
    }

    /// Sends `changed` whenever the run (or, without one, any run) has news, until the client or the server goes.
    fn follow(&self, mut stream: &TcpStream, run: Option<&Path>) -> io::Result<()> {
        let stamps = || {
            if let Some(path) = run {
                return vec![(path.to_path_buf(), stamp(path))];
            }
            let entries = std::fs::read_dir(&self.options.runs).into_iter().flatten().flatten();
            let mut all: Vec<_> = entries.map(|entry| (entry.path(), stamp(&entry.path()))).collect();
            all.sort();
            all
        };
        http::event_stream_head(&mut stream)?;
        let mut last = stamps();
        let mut said = Instant::now();
        while !self.interrupt.is_requested() {
            std::thread::sleep(POLL);
            let now = stamps();
            if now != last {
                stream.write_all(b"event: changed\ndata:\n\n")?;
                (last, said) = (now, Instant::now());
            } else if said.elapsed() >= HEARTBEAT {
                stream.write_all(b": still here\n\n")?;
                said = Instant::now();
            }
            stream.flush()?;
        }
        Ok(())
    }
}

enum Route {
    Respond(Response),
    Follow(Option<PathBuf>),
}

fn row(info: &RunInfo) -> String {
    format!(
        "<tr><td><a href=\"/runs/{}\">{}</a></td><td>{}</td><td>{}</td><td>{}</td><td>{}/{}</td><td>{}</td></tr>\n",
        http::encode(&info.name),
        escape(&info.name),
        info.status,
        escape(&info.task),
        escape(&info.data),
        info.epochs_done,
        info.epochs,
        info.accuracy.map_or_else(|| "\u{2013}".to_owned(), |a| format!("{:.2} %", 100.0 * a)),
    )
}

fn csv(path: &Path, content: fn(&RunData) -> String) -> Response {
    match RunData::read(path) {
        Ok(run) => Response::csv(&content(&run)),
        Err(error) => Response::text(500, &error.to_string()),
    }
}

fn stamp(path: &Path) -> Stamp {
    let length = std::fs::metadata(path.join("events.jsonl")).map_or(0, |m| m.len());
    (length, path.join("result.json").exists())
}

/// Whether a `Host` header names this machine by a local name.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Equality that takes the same time wherever the first difference is.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |d, (x, y)| d | (x ^ y)) == 0
}

#[cfg(test)]
mod tests;
