//! What a button does.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use axum::extract::{Path as Segment, State as Extract};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use gdas::run::{Request, RunError, ask};

use super::State;

/// What can be done with a run in this state.
pub(super) fn actions(status: &str) -> &'static [&'static str] {
    match status {
        "running" => &["pause", "stop"],
        "paused" => &["continue", "stop"],
        "stopped" => &["resume"],
        _ => &[],
    }
}

/// Acts on a run; whether a request may is for [`super::guard`] to say.
pub(super) async fn act(
    Extract(state): Extract<Arc<State>>,
    Segment((name, action)): Segment<(String, String)>,
) -> Response {
    let Some(path) = state.news.borrow().runs.get(&name).map(|seen| seen.path.clone()) else {
        return super::not_found();
    };
    let done = match action.as_str() {
        "pause" => ask(&path, Request::Pause),
        "continue" => ask(&path, Request::Continue),
        "stop" => ask(&path, Request::Stop),
        "resume" => resume(&path),
        _ => return super::not_found(),
    };
    match done {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(error @ (RunError::Idle(_) | RunError::Locked { .. } | RunError::Exists(_))) => {
            (StatusCode::CONFLICT, format!("{error}\n")).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// Starts `gdas resume` for a run; what it complains of goes to `resume.log` in the run directory. The run outlives
/// this server.
fn resume(path: &Path) -> Result<(), RunError> {
    // A stage of an automatic run is gone on with by the whole.
    let whole = path.parent().filter(|parent| parent.join("config.toml").is_file()).unwrap_or(path);
    match gdas::run::RunInfo::status_of(whole) {
        "stopped" => {}
        "finished" => return Err(RunError::Exists(whole.to_path_buf())),
        _ => {
            let holder = "a process".to_owned();
            return Err(RunError::Locked { path: whole.to_path_buf(), holder });
        }
    }
    let log = whole.join("resume.log");
    let failed = |action| {
        let path = log.clone();
        move |source| RunError::Io { action, path, source }
    };
    let complaints = OpenOptions::new().create(true).write(true).truncate(true).open(&log).map_err(failed("write"))?;
    let program = std::env::current_exe().map_err(failed("find the program for"))?;
    let mut command = Command::new(program);
    command.arg("resume").arg(whole).arg("--quiet");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(complaints);
    // A Ctrl-C that ends the server is not meant for the run.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn().map_err(failed("start the process that writes"))?;
    // Somebody has to ask how it ended, or it stays in the process table.
    let wait = move || drop(child.wait());
    std::thread::Builder::new().spawn(wait).map_err(failed("watch the process that writes"))?;
    Ok(())
}
