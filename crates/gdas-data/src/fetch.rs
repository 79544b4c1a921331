//! Downloads of the known data sets: verified by checksum, resumed after an interruption, moved into place when complete.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use md5::{Digest, Md5};

use super::error::DataError;
use super::known::{KnownFile, find_known, known};

/// FetchProgress of the download of one file.
#[derive(Clone, Copy, Debug)]
pub struct FetchProgress<'a> {
    /// The file's name.
    pub file: &'a str,
    /// Bytes on disk, those of an earlier attempt included.
    pub received: u64,
    /// Size of the file in bytes, if the server reports it.
    pub total: Option<u64>,
}

/// Settings of a download.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// Attempts per file before giving up.
    pub attempts: u32,
    /// Pause after a failed attempt; doubled after each.
    pub pause: Duration,
    /// Timeout for connecting, and for each read.
    pub timeout: Duration,
    /// URL of a mirror: files are fetched from this URL followed by the file's name.
    pub mirror: Option<String>,
}

impl Default for FetchOptions {
    /// Four attempts, pauses of 1, 2 and 4 seconds, a timeout of 30 seconds.
    fn default() -> Self {
        Self { attempts: 4, pause: Duration::from_secs(1), timeout: Duration::from_secs(30), mirror: None }
    }
}

/// Fetches every file of a known data set into `directory/<name>/` and returns that folder. Files with the right checksum
/// are kept. `progress` is called every 256 KiB and can stop the download; calling `fetch` again resumes it.
///
/// # Errors
/// [`DataError::Fetch`] names the URL that failed and the path for a file copied by hand.
pub fn fetch(
    name: &str,
    directory: &Path,
    options: &FetchOptions,
    progress: &mut dyn FnMut(FetchProgress) -> ControlFlow<()>,
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

/// Fetches one file into `folder`. The data go to `<name>.part`, which is renamed once the checksum is right.
pub(super) fn fetch_file(
    file: &KnownFile,
    folder: &Path,
    options: &FetchOptions,
    progress: &mut dyn FnMut(FetchProgress) -> ControlFlow<()>,
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
                // The part file may be of another version, so the next attempt starts from the beginning.
                let found = md5_of(&part)?;
                fs::remove_file(&part).map_err(|source| write_error(&part, source))?;
                if attempt >= options.attempts.min(2) {
                    return Err(failed(format!(
                        "the downloaded file has the MD5 checksum {found}, not {} as published, and was deleted",
                        file.md5
                    )));
                }
            }
            Err(Failure::Stopped(received)) => return Err(DataError::Stopped { url, received }),
            Err(Failure::Write(source)) => return Err(write_error(&part, source)),
            Err(Failure::Permanent(what)) => return Err(failed(what)),
            Err(Failure::Temporary(what)) if attempt >= options.attempts => {
                return Err(failed(format!("{what} ({attempt} attempts)")));
            }
            Err(Failure::Temporary(_)) => {
                std::thread::sleep(pause);
                pause *= 2;
            }
        }
        attempt += 1;
    }
    gdas::files::move_into_place(&part, &path).map_err(|source| write_error(&path, source))
}

enum Failure {
    /// A temporary failure, worth another attempt.
    Temporary(String),
    /// A failure that another attempt would repeat.
    Permanent(String),
    Write(std::io::Error),
    Stopped(u64),
}

/// One attempt: requests the bytes that the part file lacks, and appends them.
fn receive(
    url: &str,
    name: &str,
    part: &Path,
    options: &FetchOptions,
    progress: &mut dyn FnMut(FetchProgress) -> ControlFlow<()>,
) -> Result<(), Failure> {
    let have = fs::metadata(part).map_or(0, |metadata| metadata.len());
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(options.timeout))
        .timeout_recv_response(Some(options.timeout))
        .timeout_per_read(Some(options.timeout))
        .build()
        .into();
    let mut request = agent.get(url).header("accept-encoding", "identity");
    if have > 0 {
        request = request.header("range", format!("bytes={have}-"));
    }
    let mut response = request.call().map_err(|error| match error {
        ureq::Error::BadUri(what) => Failure::Permanent(format!("the URL is not valid ({what})")),
        ureq::Error::HostNotFound => Failure::Temporary("the host was not found; is there a network?".into()),
        error => Failure::Temporary(error.to_string()),
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
        408 | 425 | 429 | 500..=599 => return Err(Failure::Temporary(format!("the server answered {status}"))),
        _ => return Err(Failure::Permanent(format!("the server answered {status}"))),
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
        if progress(FetchProgress { file: name, received, total }).is_break() {
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
                return Err(Failure::Temporary(format!("the connection broke after {received} bytes ({error})")));
            }
        }
    }
    file.sync_all().map_err(Failure::Write)?;
    match total {
        Some(total) if received < total => {
            Err(Failure::Temporary(format!("the connection ended after {received} of {total} bytes")))
        }
        _ => Ok(()),
    }
}

/// Deletes a part file that does not match the server's file, so that the next attempt starts from the beginning.
fn discard(part: &Path, why: String) -> Result<(), Failure> {
    fs::remove_file(part).map_err(Failure::Write)?;
    Err(Failure::Temporary(why))
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
