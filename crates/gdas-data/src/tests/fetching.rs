//! Downloads from a server on this machine that breaks off, refuses and lies.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::fetch::{FetchOptions, fetch, fetch_file};
use crate::{DataError, KnownFile};

/// What the server does with one request.
#[derive(Clone, Copy)]
enum Reply {
    /// The whole range that was asked for.
    Full,
    /// The header says all, and the connection ends after so many bytes.
    Cut(usize),
    /// This status.
    Status(u16),
    /// The whole file, whatever range was asked for.
    IgnoreRange,
}

struct Server {
    url: String,
    /// The range header of each request so far.
    ranges: Arc<Mutex<Vec<Option<String>>>>,
}

/// Serves `data` under every path, one reply after the other; the last one again and again.
fn serve(data: Vec<u8>, replies: Vec<Reply>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let ranges = Arc::new(Mutex::new(Vec::new()));
    let seen = ranges.clone();
    std::thread::spawn(move || {
        for (index, stream) in listener.incoming().enumerate() {
            let reply = replies[index.min(replies.len() - 1)];
            let _ = answer(stream.unwrap(), &data, reply, &seen);
        }
    });
    Server { url, ranges }
}

fn answer(mut stream: TcpStream, data: &[u8], reply: Reply, seen: &Mutex<Vec<Option<String>>>) -> std::io::Result<()> {
    let mut range = None;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?.to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("range: ") {
            range = Some(value.to_owned());
        }
    }
    seen.lock().unwrap().push(range.clone());
    let asked = range.as_ref().and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let start = if matches!(reply, Reply::IgnoreRange) { 0 } else { asked.unwrap_or(0) };
    if let Reply::Status(status) = reply {
        return write!(stream, "HTTP/1.1 {status} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
    if start >= data.len() {
        return write!(stream, "HTTP/1.1 416 Range\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
    let body = &data[start..];
    let (first, last, all) = (start, data.len() - 1, data.len());
    let head = if start > 0 {
        format!("HTTP/1.1 206 Partial\r\ncontent-range: bytes {first}-{last}/{all}\r\n")
    } else {
        "HTTP/1.1 200 OK\r\n".into()
    };
    write!(stream, "{head}content-length: {}\r\nconnection: close\r\n\r\n", body.len())?;
    let sent = if let Reply::Cut(n) = reply { n.min(body.len()) } else { body.len() };
    stream.write_all(&body[..sent])
}

fn contents() -> Vec<u8> {
    (0..1_000_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect()
}

/// MD5 of [`contents`], computed once with `md5sum`.
const MD5: &str = "be2b5012613521c7b5c8a8407c58b901";
const FILE: KnownFile = KnownFile { name: "set.bin", url: "http://nowhere.invalid/set.bin", md5: MD5 };

fn options(server: &Server) -> FetchOptions {
    FetchOptions {
        attempts: 3,
        pause: Duration::from_millis(1),
        timeout: Duration::from_secs(5),
        mirror: Some(server.url.clone()),
    }
}

fn run(server: &Server, folder: &Path) -> Result<(), DataError> {
    fetch_file(&FILE, folder, &options(server), &mut |_| ControlFlow::Continue(()))
}

fn message(server: &Server, folder: &Path) -> String {
    let error = run(server, folder).unwrap_err().to_string();
    error.replace(&server.url, "[server]").replace(&folder.display().to_string(), "[folder]")
}

fn ranges(server: &Server) -> Vec<Option<String>> {
    server.ranges.lock().unwrap().clone()
}

#[test]
fn a_file_arrives_whole_with_progress_and_is_not_fetched_twice() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(contents(), vec![Reply::Full]);
    let mut steps = Vec::new();
    fetch_file(&FILE, folder.path(), &options(&server), &mut |progress| {
        assert_eq!((progress.file, progress.total), ("set.bin", Some(1_000_000)));
        steps.push(progress.received);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(std::fs::read(folder.path().join("set.bin")).unwrap(), contents());
    assert!(steps.is_sorted() && steps[0] == 0 && *steps.last().unwrap() == 1_000_000 && steps.len() > 3, "{steps:?}");
    run(&server, folder.path()).unwrap();
    assert_eq!(ranges(&server).len(), 1);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no part file is left");
}

#[test]
fn a_broken_connection_is_resumed_where_it_broke() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(contents(), vec![Reply::Cut(300_000), Reply::Status(503), Reply::Full]);
    run(&server, folder.path()).unwrap();
    assert_eq!(std::fs::read(folder.path().join("set.bin")).unwrap(), contents());
    let resumed = Some("bytes=300000-".to_owned());
    assert_eq!(ranges(&server), [None, resumed.clone(), resumed]);
}

#[test]
fn a_stopped_download_goes_on_in_the_next_call() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(contents(), vec![Reply::Full]);
    let stopped = fetch_file(&FILE, folder.path(), &options(&server), &mut |progress| {
        if progress.received > 400_000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let Err(DataError::Stopped { received, .. }) = stopped else { panic!("{stopped:?}") };
    assert!(!folder.path().join("set.bin").exists());
    run(&server, folder.path()).unwrap();
    assert_eq!(ranges(&server)[1], Some(format!("bytes={received}-")));
}

#[test]
fn a_server_that_knows_no_ranges_starts_over() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "set.bin.part", b"the beginning of something else");
    let server = serve(contents(), vec![Reply::IgnoreRange]);
    run(&server, folder.path()).unwrap();
    assert_eq!(ranges(&server), [Some("bytes=31-".into())]);
}

#[test]
fn a_stale_beginning_is_thrown_away_once() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "set.bin.part", b"the beginning of something else");
    let server = serve(contents(), vec![Reply::Full]);
    run(&server, folder.path()).unwrap();
    assert_eq!(ranges(&server), [Some("bytes=31-".into()), None]);
    // A part file that is longer than the file.
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "set.bin.part", &vec![1; 2_000_000]);
    run(&server, folder.path()).unwrap();
}

#[test]
fn what_cannot_be_fetched_says_why_and_where_the_file_belongs() {
    let folder = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(message(&serve(contents(), vec![Reply::Status(404)]), folder.path()), @"cannot fetch [server]/set.bin: the server answered 404; put the file by hand at [folder]/set.bin");
    insta::assert_snapshot!(message(&serve(contents(), vec![Reply::Status(500)]), folder.path()), @"cannot fetch [server]/set.bin: the server answered 500 (3 attempts); put the file by hand at [folder]/set.bin");
    insta::assert_snapshot!(message(&serve(vec![0; 1000], vec![Reply::Full]), folder.path()), @"cannot fetch [server]/set.bin: the downloaded file has the MD5 checksum ede3d3b685b4e137ba4cb2521329a75e, not be2b5012613521c7b5c8a8407c58b901 as published, and was deleted; put the file by hand at [folder]/set.bin");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing wrong is kept");
    insta::assert_snapshot!(message(&serve(contents(), vec![Reply::Cut(1000), Reply::Cut(0)]), folder.path()), @"cannot fetch [server]/set.bin: the connection broke after 1000 bytes (Peer disconnected) (3 attempts); put the file by hand at [folder]/set.bin");
    // Nobody listens: the port was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = Server { url: format!("http://{port}"), ranges: Arc::default() };
    insta::assert_snapshot!(message(&nobody, folder.path()), @"cannot fetch [server]/set.bin: io: Connection refused (os error 111) (3 attempts); put the file by hand at [folder]/set.bin");
    let unknown = fetch("cifar11", folder.path(), &options(&nobody), &mut |_| ControlFlow::Continue(()));
    insta::assert_snapshot!(unknown.unwrap_err(), @"there is no data set `cifar11`: no file or folder of that name, and no known set (can be fetched: cifar10, cifar100, mnist, fashion-mnist, pathmnist, dermamnist, octmnist, pneumoniamnist, retinamnist, breastmnist, bloodmnist, tissuemnist, organamnist, organcmnist, organsmnist)");
}

/// Every address and checksum is at least well formed, and a whole set goes to its own folder.
#[test]
fn known_sets_are_fetched_into_their_folder() {
    for set in crate::known() {
        for file in set.files {
            assert!(file.md5.len() == 32 && file.md5.bytes().all(|b| b.is_ascii_hexdigit()), "{}", file.name);
            assert!(file.url.contains(file.name) && file.url.starts_with("http"), "{}", file.url);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let server = serve(contents(), vec![Reply::Full]);
    let error = fetch("mnist", folder.path(), &options(&server), &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(error.to_string().contains("mnist/train-images-idx3-ubyte.gz"), "{error}");
}
