//! A trained run says what an image shows that somebody sends.
//!
//! The body of the request is the image file. It is decoded as `gdas predict` decodes files; nothing of it is stored. How
//! large it may be, how long it may take and how many are taken at a time is bounded; one is answered at a time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{Path as Segment, Request, State as Extract};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use gdas::Device;
use gdas::run::Interrupt;
use gdas::train::TrainedModel;
use gdas_data::read_image;
use maud::{Markup, html};
use serde_json::{Value, json};
use tokio::sync::{Mutex, Semaphore};

use super::State;
use crate::named::NamedRun;

/// Largest image file, in bytes. How many pixels it may have, `gdas_data` bounds.
pub(super) const MAX_IMAGE: usize = 16 << 20;
/// Images that are received or wait at a time.
const MAX_WAITING: usize = 4;
/// An image must be there in this time.
const MAX_UPLOAD: Duration = Duration::from_secs(30);

/// Who answers, and how many wait.
#[derive(Debug)]
pub(super) struct Predictor {
    /// The network that answered last, with the run's revision.
    last: Mutex<Option<(PathBuf, u64, Arc<TrainedModel>)>>,
    places: Semaphore,
}

impl Default for Predictor {
    fn default() -> Self {
        Self { last: Mutex::new(None), places: Semaphore::new(MAX_WAITING) }
    }
}

/// Whether a run has a network that can answer.
pub(super) fn can_answer(run: &Path) -> bool {
    let trained = NamedRun::open(run.to_path_buf()).and_then(|run| run.trained());
    trained.is_ok_and(|path| ["checkpoint.0", "checkpoint.1"].iter().any(|file| path.join(file).is_file()))
}

/// Where an image is dropped or chosen on a run's page; `classify.js` sends it and shows the answer.
pub(super) fn section() -> Markup {
    html! {
        section.classify data-classify {
            h2 { "What does an image show?" }
            label.drop { "Drop an image here, or choose one: " input type="file" accept="image/*"; }
            p role="status" {}
            table { tbody {} }
        }
    }
}

/// Answers with the probabilities of the classes.
pub(super) async fn answer(
    Extract(state): Extract<Arc<State>>,
    Segment(name): Segment<String>,
    request: Request,
) -> Response {
    let seen = state.news.borrow().runs.get(&name).cloned();
    let Some(seen) = seen else { return super::not_found() };
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > MAX_IMAGE as u64) {
        return too_large();
    }
    let Ok(_place) = state.predictor.places.try_acquire() else {
        return refused(StatusCode::SERVICE_UNAVAILABLE, "others are being answered; try again in a moment");
    };
    let body = match tokio::time::timeout(MAX_UPLOAD, to_bytes(request.into_body(), MAX_IMAGE)).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) if is_length_limit(&error) => return too_large(),
        Ok(Err(_)) => return refused(StatusCode::BAD_REQUEST, "the image did not arrive whole"),
        Err(_) => return refused(StatusCode::REQUEST_TIMEOUT, "the image took too long to arrive"),
    };
    if body.is_empty() {
        return refused(StatusCode::BAD_REQUEST, "there is no image in the request");
    }
    let mut last = state.predictor.last.lock().await;
    let (path, revision) = (seen.path.clone(), seen.revision());
    let known = last.take().filter(|(of, at, _)| *of == path && *at == revision).map(|(_, _, model)| model);
    let work = tokio::task::spawn_blocking(move || {
        let model = match known {
            Some(model) => model,
            None => open(&path)?,
        };
        let answer = classify(&model, &body)?;
        Ok::<_, Refusal>(((path, revision, model), answer))
    });
    match work.await {
        Ok(Ok((model, answer))) => {
            *last = Some(model);
            ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
        }
        Ok(Err(Refusal(status, reason))) => refused(status, &reason),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// Why there is no answer.
struct Refusal(StatusCode, String);

fn open(run: &Path) -> Result<Arc<TrainedModel>, Refusal> {
    let trained = NamedRun::open(run.to_path_buf()).and_then(|run| run.trained());
    let model = trained.and_then(|path| Ok(TrainedModel::open_path(&path, &Device::flex())?));
    model.map(Arc::new).map_err(|error| Refusal(StatusCode::CONFLICT, format!("{error:#}")))
}

fn classify(model: &TrainedModel, file: &[u8]) -> Result<Value, Refusal> {
    let size = [model.image.height, model.image.width, model.image.channels];
    let read = read_image("image", file, size);
    if let Some(broken) = read.broken.first() {
        let reason = format!("this image cannot be used: {}", broken.reason);
        return Err(Refusal(StatusCode::UNPROCESSABLE_ENTITY, reason));
    }
    let note = read.note();
    let predictions = model.predict(&Arc::new(read.images), model.test_flip, &Interrupt::default());
    let probabilities = predictions.and_then(|mut all| all.pop()).unwrap_or_default();
    let mut classes: Vec<(&String, f32)> = model.classes.iter().zip(probabilities).collect();
    classes.sort_by(|a, b| b.1.total_cmp(&a.1));
    let classes: Vec<Value> =
        classes.into_iter().map(|(class, probability)| json!({ "class": class, "probability": probability })).collect();
    Ok(json!({ "classes": classes, "note": note }))
}

fn too_large() -> Response {
    let reason = format!("the image has more than {} MiB", MAX_IMAGE >> 20);
    refused(StatusCode::PAYLOAD_TOO_LARGE, &reason)
}

fn refused(status: StatusCode, reason: &str) -> Response {
    (status, format!("{reason}\n")).into_response()
}

/// Whether a body was larger than allowed.
fn is_length_limit(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains("length limit exceeded") {
            return true;
        }
        cause = error.source();
    }
    false
}
