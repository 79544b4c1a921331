//! One thread polls the runs and sends what is new to every connected client.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Path as Segment, State as Extract};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use gdas::run::Interrupt;
use serde_json::{Value, json};
use tokio::sync::watch::{self, Receiver};

use super::{State, control};
use crate::live::{self, Live, Standing};

/// Time between two looks at the files.
const POLL: Duration = Duration::from_millis(500);
/// After so much silence a comment shows whether the client is still there.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The runs as they were seen last.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    /// Changes with the set of runs and with each one's own revision.
    pub(super) revision: u64,
    pub(super) runs: BTreeMap<String, Seen>,
}

/// A run as it was seen last.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) path: PathBuf,
    pub(super) standing: Result<Standing, String>,
}

impl Seen {
    /// What state of the run a page shows. What cannot be read has none.
    pub(super) fn revision(&self) -> u64 {
        self.standing.as_ref().map_or(0, |standing| standing.revision)
    }

    fn json(&self, control: bool) -> Value {
        let Ok(standing) = &self.standing else { return json!({ "revision": 0 }) };
        let fields: BTreeMap<_, _> = standing.fields().into_iter().map(|(key, _, text)| (key, text)).collect();
        let actions = if control { control::actions(standing.status) } else { &[] };
        json!({ "revision": standing.revision, "share": standing.share(), "fields": fields, "actions": actions })
    }
}

/// Starts the thread that looks, until the interrupt is requested.
pub(super) fn watch(runs: &Path, interrupt: &Interrupt) -> io::Result<Receiver<Arc<Snapshot>>> {
    let (sender, receiver) = watch::channel(Arc::default());
    let (runs, interrupt) = (runs.to_path_buf(), interrupt.clone());
    // A page that a browser kept from a server before this one must not seem up to date.
    let mut revision = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() << 16);
    let mut followed: BTreeMap<String, (PathBuf, Live)> = BTreeMap::new();
    let mut look = move || {
        let found = live::runs(&runs);
        followed.retain(|name, (path, _)| found.iter().any(|run| run.0 == *name && run.1 == *path));
        let mut seen = BTreeMap::new();
        for (name, path) in found {
            let (_, live) = followed.entry(name.clone()).or_insert_with(|| (path.clone(), Live::new(&path)));
            let standing = live.look().cloned().map_err(|error| error.to_string());
            seen.insert(name, Seen { path, standing });
        }
        sender.send_if_modified(|last: &mut Arc<Snapshot>| {
            let state = |runs: &BTreeMap<String, Seen>| -> Vec<_> {
                runs.iter().map(|(name, seen)| (name.clone(), seen.revision(), seen.standing.is_ok())).collect()
            };
            let changed = last.runs != seen;
            if changed || last.revision == 0 {
                revision += u64::from(state(&last.runs) != state(&seen));
                *last = Arc::new(Snapshot { revision, runs: std::mem::take(&mut seen) });
            }
            changed
        });
    };
    // The first request must not find an empty list.
    look();
    let follow = move || {
        while !interrupt.is_requested() {
            std::thread::sleep(POLL);
            look();
        }
    };
    std::thread::Builder::new().name("news".into()).spawn(follow)?;
    Ok(receiver)
}

/// Where all runs stand.
pub(super) async fn all(Extract(state): Extract<Arc<State>>) -> Response {
    let control = state.options.control;
    events(state.news.clone(), move |snapshot| {
        let runs: BTreeMap<_, _> = snapshot.runs.iter().map(|(name, seen)| (name, seen.json(control))).collect();
        Some(json!({ "revision": snapshot.revision, "runs": runs }))
    })
    .into_response()
}

/// Where one run stands.
pub(super) async fn one(Extract(state): Extract<Arc<State>>, Segment(name): Segment<String>) -> Response {
    if !state.news.borrow().runs.contains_key(&name) {
        return super::not_found();
    }
    let control = state.options.control;
    events(state.news.clone(), move |snapshot| Some(snapshot.runs.get(&name)?.json(control))).into_response()
}

/// Sends what `view` makes of the runs, now and whenever it has become something else.
fn events(
    news: Receiver<Arc<Snapshot>>,
    view: impl Fn(&Snapshot) -> Option<Value> + Send + 'static,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let start = (news, None::<Value>, view);
    let stream = stream::unfold(start, async |(mut news, mut last, view)| {
        loop {
            let snapshot = news.borrow_and_update().clone();
            if let Some(now) = view(&snapshot)
                && last.as_ref() != Some(&now)
            {
                let event = Event::default().event("standing").data(now.to_string());
                last = Some(now);
                return Some((Ok(event), (news, last, view)));
            }
            // The thread that looks is gone: so is the server.
            news.changed().await.ok()?;
        }
    });
    Sse::new(Box::pin(stream)).keep_alive(KeepAlive::new().interval(HEARTBEAT))
}
