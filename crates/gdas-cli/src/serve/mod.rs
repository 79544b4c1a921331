//! A live view of runs in the browser: what `gdas serve` does.
//!
//! Addresses are below the base path, which is empty unless a proxy hands a part of its own addresses on. Links are
//! relative, so that they hold below any path.
//!
//! | request | what |
//! | --- | --- |
//! | `GET /` | all runs |
//! | `GET /runs/NAME` | the report of a run, which follows the run while it is at work |
//! | `GET /runs/NAME/epochs.csv`, `/runs/NAME/alphas.csv` | its numbers |
//! | `GET /events`, `/runs/NAME/events` | server-sent events: where the runs, or the run, stand |
//! | `POST /runs/NAME/predict` | what the image in the body shows, by the run's trained network, as JSON |
//! | `POST /runs/NAME/pause`, `/continue`, `/stop`, `/resume` | acts on the run, with `--control` only |
//!
//! One thread looks at the files twice a second, however many clients there are ([`news`]); [`guard`] decides who may
//! ask for what. No body is read but that of an image ([`predict`]), and no path is taken from the network: a name in an address is only compared
//! with the names of the runs that are there.

mod address;
mod control;
mod guard;
mod list;
mod news;
mod now;
mod pages;
mod predict;

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use gdas::run::Interrupt;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::{Semaphore, watch};

use crate::output;
use news::Snapshot;

/// Connections served at a time; more are closed at once.
pub(crate) const MAX_CONNECTIONS: usize = 512;
/// Largest request line and headers together.
const MAX_HEAD: usize = 16 * 1024;
/// A request must be there in this time, however slowly its bytes come.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// No connection lasts longer; a browser that follows a run comes back by itself.
const MAX_LIFE: Duration = Duration::from_hours(1);

/// What a server serves, and to whom.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Directory that holds the runs.
    pub(crate) runs: PathBuf,
    /// What a request must know. Needed where others can reach the address.
    pub(crate) token: Option<String>,
    /// Whether runs may be paused, stopped and resumed.
    pub(crate) control: bool,
    /// What all addresses begin with: empty, or as in `/gdas`.
    pub(crate) base: String,
}

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("cannot listen on {address}: {source}; another --address or port may be free")]
    Bind { address: SocketAddr, source: io::Error },
    #[error("{0} can be reached from other machines: a token is needed")]
    NoToken(SocketAddr),
    #[error("the server cannot go on: {0}")]
    Listen(#[from] io::Error),
}

/// A bound server.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    options: Options,
    interrupt: Interrupt,
}

/// What all requests share.
#[derive(Debug)]
struct State {
    options: Options,
    news: watch::Receiver<Arc<Snapshot>>,
    /// Pages by run, each with the revision of the run that it shows.
    pages: Mutex<BTreeMap<String, (u64, Arc<str>)>>,
    predictor: predict::Predictor,
}

impl Server {
    /// Binds to an address; port 0 takes any free port.
    pub(crate) fn bind(address: SocketAddr, options: Options, interrupt: &Interrupt) -> Result<Self, ServeError> {
        if !address.ip().is_loopback() && options.token.as_deref().is_none_or(str::is_empty) {
            return Err(ServeError::NoToken(address));
        }
        let listener = TcpListener::bind(address).map_err(|source| ServeError::Bind { address, source })?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, options, interrupt: interrupt.clone() })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the interrupt is requested.
    pub(crate) fn run(self) -> Result<(), ServeError> {
        let news = news::watch(&self.options.runs, &self.interrupt)?;
        let state = Arc::new(State {
            options: self.options,
            news,
            pages: Mutex::default(),
            predictor: predict::Predictor::default(),
        });
        let router = router(&state);
        // One thread answers; pages are drawn on a few more.
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_io().enable_time().max_blocking_threads(4).build()?;
        let result = runtime.block_on(serve(self.listener, router, &self.interrupt));
        // Followers need not be waited for.
        runtime.shutdown_background();
        Ok(result?)
    }
}

fn router(state: &Arc<State>) -> Router {
    let base = &state.options.base;
    let at = |path: &str| format!("{base}{path}");
    let mut router = Router::new();
    if !base.is_empty() {
        // Without the slash at its end, relative links would lead out of it.
        let home = at("/");
        router = router.route(base, get(|| async move { Redirect::permanent(&home) }));
    }
    router
        .route(&at("/"), get(pages::index))
        .route(&at("/events"), get(news::all))
        .route(&at("/runs/{name}"), get(pages::report))
        .route(&at("/runs/{name}/events"), get(news::one))
        .route(&at("/runs/{name}/epochs.csv"), get(pages::epochs))
        .route(&at("/runs/{name}/alphas.csv"), get(pages::alphas))
        .route(&at("/runs/{name}/predict"), post(predict::answer))
        .route(&at("/runs/{name}/{action}"), post(control::act))
        .fallback(|| async { not_found() })
        .layer(axum::middleware::from_fn_with_state(state.clone(), guard::guard))
        .with_state(state.clone())
}

async fn serve(listener: TcpListener, router: Router, interrupt: &Interrupt) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while !interrupt.is_requested() {
        let stream = match tokio::time::timeout(Duration::from_millis(100), listener.accept()).await {
            Err(_) => continue,
            Ok(Ok((stream, _))) => stream,
            // A client that is gone already, or too many open files: neither ends the server.
            Ok(Err(error)) => {
                output::note(format_args!("a connection was lost: {error}"));
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(permit) = permits.clone().try_acquire_owned() else { continue };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(MAX_WAIT)
                .max_buf_size(MAX_HEAD)
                .keep_alive(false)
                // Who has asked need not stay on the line to be answered.
                .half_close(true)
                .serve_connection(TokioIo::new(stream), service);
            // A client that goes away in the middle is no error of ours.
            let _ = tokio::time::timeout(MAX_LIFE, connection).await;
            drop(permit);
        });
    }
    Ok(())
}

/// The answer to a request for something that is not there.
fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "there is no such page\n").into_response()
}

#[cfg(test)]
mod tests;
