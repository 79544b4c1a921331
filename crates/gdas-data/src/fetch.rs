//! Downloads of the known sets: checked, resumed where they broke off, and never half-written.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use md5::{Digest, Md5};

use super::error::DataError;
use super::known::{KnownFile, find_known, known};

/// How far a download is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The file's name.
    pub file: &'a str,
    /// Bytes on disk, those of an earlier attempt included.
    pub received: u64,
    /// Bytes in all, if the server says so.
    pub total: Option<u64>,
}

/// How to download.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// Attempts per file before giving up.
    pub attempts: u32,
    /// Pause after a failed attempt; doubled after each.
    pub pause: Duration,
    /// Longest wait for a connection, and for the next piece of data.
    pub patience: Duration,
    /// Fetch from this address followed by the file's name, instead of the published one (a mirror).
    pub mirror: Option<String>,
}

impl Default for FetchOptions {
    /// Four attempts, pauses of 1, 2 and 4 seconds, 30 seconds of patience.
    fn default() -> Self {
        Self { attempts: 4, pause: Duration::from_secs(1), patience: Duration::from_secs(30), mirror: None }
    }
}

/// Fetches every file of a known set into `directory/<name>/`; files that are there already, with the
/// right checksum, are kept. `progress` is called every few hundred kilobytes, and can stop the
/// download; the same call goes on from there.
///
/// # Errors
/// [`DataError::Fetch`] says which address failed and where to put the file by hand.
pub fn fetch(
    name: &str,
    directory: &Path,
    options: &FetchOptions,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<PathBuf, DataError> {
    let Some(set) = find_known(name) else {
        let names: Vec<&str> = known().iter().filter(|set| !set.files.is_empty()).map(|set| set.name).collect();
        return Err(DataError::Unknown { spec: name.into(), hint: format!("can be fetched: {}", names.join(", ")) });
    };
    if set.files.is_empty() {
        return Err(set.not_fetched(directory, None));
    }
    let folder = directory.join(set.name);
    fs::create_dir_all(&folder).map_err(|source| write_error(&folder, source))?;
    for file in set.files {
        fetch_file(file, &folder, options, progress)?;
    }
    Ok(folder)
}

/// Fetches one file into `folder`, by way of `<name>.part`.
pub(super) fn fetch_file(
    file: &KnownFile,
    folder: &Path,
    options: &FetchOptions,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<(), DataError> {
    let path = folder.join(file.name);
    if path.is_file() && md5_of(&path)? == file.md5 {
        return Ok(());
    }
    let part = folder.join(format!("{}.part", file.name));
    let url = match &options.mirror {
        Some(base) => format!("{}/{}", base.trim_end_matches('/'), file.name),
        None => file.url.into(),
    };
    let failed = |what: String| DataError::Fetch { url: url.clone(), what, path: path.clone() };
    let mut pause = options.pause;
    let mut attempt = 1;
    loop {
        match receive(&url, file.name, &part, options, progress) {
            Ok(()) if md5_of(&part)? == file.md5 => break,
            Ok(()) => {
                // A stale beginning may be to blame, so the next attempt starts over.
                let found = md5_of(&part)?;
                fs::remove_file(&part).map_err(|source| write_error(&part, source))?;
                if attempt >= options.attempts.min(2) {
                    return Err(failed(format!(
                        "what came has the MD5 checksum {found}, not {} as published, and was thrown away",
                        file.md5
                    )));
                }
            }
            Err(Failure::Stopped(received)) => return Err(DataError::Stopped { url, received }),
            Err(Failure::Write(source)) => return Err(write_error(&part, source)),
            Err(Failure::Final(what)) => return Err(failed(what)),
            Err(Failure::Passing(what)) if attempt >= options.attempts => {
                return Err(failed(format!("{what} ({attempt} attempts)")));
            }
            Err(Failure::Passing(_)) => {
                std::thread::sleep(pause);
                pause *= 2;
            }
        }
        attempt += 1;
    }
    gdas::files::move_into_place(&part, &path).map_err(|source| write_error(&path, source))
}

enum Failure {
    /// Worth another attempt.
    Passing(String),
    /// Not.
    Final(String),
    Write(std::io::Error),
    Stopped(u64),
}

/// One attempt: asks for what is missing of the part file, and appends it.
fn receive(
    url: &str,
    name: &str,
    part: &Path,
    options: &FetchOptions,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<(), Failure> {
    let have = fs::metadata(part).map_or(0, |metadata| metadata.len());
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(options.patience))
        .timeout_recv_response(Some(options.patience))
        .timeout_per_read(Some(options.patience))
        .build()
        .into();
    let mut request = agent.get(url).header("accept-encoding", "identity");
    if have > 0 {
        request = request.header("range", format!("bytes={have}-"));
    }
    let mut response = request.call().map_err(|error| match error {
        ureq::Error::BadUri(what) => Failure::Final(format!("the address makes no sense ({what})")),
        ureq::Error::HostNotFound => Failure::Passing("the host was not found; is there a network?".into()),
        error => Failure::Passing(error.to_string()),
    })?;
    let status = response.status().as_u16();
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(String::from);
    let (mut received, total) = match status {
        200 => (0, header("content-length").and_then(|length| length.parse().ok())),
        206 => {
            // `bytes 100-199/200`
            let range = header("content-range").unwrap_or_default();
            let (span, total) = range.trim_start_matches("bytes ").split_once('/').unwrap_or_default();
            if span.split('-').next().and_then(|start| start.parse().ok()) != Some(have) {
                return discard(part, format!("the server resumed at `{range}`, not at {have}"));
            }
            (have, total.parse().ok())
        }
        416 => return discard(part, format!("the server has no more than {have} bytes")),
        408 | 425 | 429 | 500..=599 => return Err(Failure::Passing(format!("the server answered {status}"))),
        _ => return Err(Failure::Final(format!("the server answered {status}"))),
    };
    let mut file = OpenOptions::new()
        .create(true)
        .append(received > 0)
        .write(true)
        .truncate(received == 0)
        .open(part)
        .map_err(Failure::Write)?;
    let mut body = response.body_mut().as_reader();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        if progress(Progress { file: name, received, total }).is_break() {
            file.sync_all().map_err(Failure::Write)?;
            return Err(Failure::Stopped(received));
        }
        match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                file.write_all(&buffer[..n]).map_err(Failure::Write)?;
                received += n as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(Failure::Passing(format!("the connection broke after {received} bytes ({error})")));
            }
        }
    }
    file.sync_all().map_err(Failure::Write)?;
    match total {
        Some(total) if received < total => {
            Err(Failure::Passing(format!("the connection ended after {received} of {total} bytes")))
        }
        _ => Ok(()),
    }
}

/// The part file does not fit what the server has: start over at the next attempt.
fn discard(part: &Path, why: String) -> Result<(), Failure> {
    fs::remove_file(part).map_err(Failure::Write)?;
    Err(Failure::Passing(why))
}

fn write_error(path: &Path, source: std::io::Error) -> DataError {
    DataError::Write { file: path.display().to_string(), source }
}

/// The file's MD5 checksum in hexadecimal.
fn md5_of(path: &Path) -> Result<String, DataError> {
    let io = |source| DataError::Read { file: path.display().to_string(), source };
    let mut file = File::open(path).map_err(io)?;
    let mut hasher = Md5::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer).map_err(io)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    let digest = hasher.finalize();
    Ok(digest
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|d| char::from_digit(u32::from(d), 16))
        .collect())
}
