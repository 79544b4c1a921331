use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::*;
use crate::run::{Event, RunDir};

/// A server on a free port over a directory with one run, `my run`; it ends with the test.
struct Fixture {
    directory: tempfile::TempDir,
    address: SocketAddr,
    interrupt: Interrupt,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Fixture {
    fn new(token: Option<&str>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let run = directory.path().join("my run");
        drop(RunDir::create(&run, "task = \"search\"\nsecret = 1\n").unwrap());
        std::fs::write(directory.path().join("outside.txt"), "not for the network").unwrap();
        let options = Options { runs: directory.path().to_path_buf(), token: token.map(str::to_owned) };
        let interrupt = Interrupt::default();
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), options, &interrupt).unwrap();
        let address = server.address();
        let thread = std::thread::spawn(move || server.run().unwrap());
        Self { directory, address, interrupt, thread: Some(thread) }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn raw(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn get(&self, target: &str) -> String {
        self.raw(&format!("GET {target} HTTP/1.1\r\nHost: localhost:1\r\n\r\n"))
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.interrupt.request();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
}

#[test]
fn runs_are_listed_and_shown() {
    let server = Fixture::new(None);
    let index = server.get("/");
    assert!(index.contains("href=\"/runs/my%20run\"") && index.contains("connect-src 'self'"), "{index}");
    let page = server.get("/runs/my%20run");
    assert_eq!(status(&page), 200);
    assert!(page.contains("search: my run") || page.contains(": my run"), "{page}");
    assert!(page.contains("/runs/my%20run/events"));
    assert!(server.get("/runs/my%20run/epochs.csv").contains("text/csv"));
    let head = server.raw("HEAD / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n");
    assert!(status(&head) == 200 && head.ends_with("\r\n\r\n"));
}

#[test]
fn nothing_else_is_reachable() {
    let server = Fixture::new(None);
    for target in [
        "/runs/..",
        "/runs/../outside.txt",
        "/runs/%2e%2e%2foutside.txt",
        "/outside.txt",
        "/runs/outside.txt",
        "/runs/my%20run/config.toml",
        "//etc/passwd",
        "/runs/",
    ] {
        let answer = server.get(target);
        assert!([400, 404].contains(&status(&answer)), "{target}: {answer}");
        assert!(!answer.contains("not for the network"), "{target}");
    }
    assert_eq!(status(&server.raw("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n")), 405);
    for host in ["evil.example", "localhost.evil.example", "192.168.1.1:80", ""] {
        assert_eq!(status(&server.raw(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"))), 403, "{host}");
    }
}

#[test]
fn a_token_is_needed_where_there_is_one() {
    let server = Fixture::new(Some("secret-token"));
    assert_eq!(status(&server.get("/")), 401);
    assert_eq!(status(&server.get("/?token=secret-tokem")), 401);
    assert_eq!(status(&server.get("/events")), 401);
    let entered = server.get("/?token=secret-token");
    assert!(status(&entered) == 200 && entered.contains("Set-Cookie: gdas=secret-token; HttpOnly; SameSite=Strict"));
    let with = |header: &str| server.raw(&format!("GET / HTTP/1.1\r\nHost: anywhere\r\n{header}\r\n\r\n"));
    assert_eq!(status(&with("Cookie: a=b; gdas=secret-token")), 200);
    assert_eq!(status(&with("Authorization: Bearer secret-token")), 200);
    let options = Options { runs: "runs".into(), token: None };
    let open = Server::bind("0.0.0.0:0".parse().unwrap(), options, &Interrupt::default());
    assert!(matches!(open, Err(ServeError::NoToken(_))));
}

#[test]
fn news_of_a_run_reach_its_followers() {
    let server = Fixture::new(None);
    let mut stream = server.connect();
    stream.write_all(b"GET /runs/my%20run/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    assert!(lines.by_ref().any(|line| line == "retry: 2000"));
    std::thread::sleep(POLL);
    let mut run = RunDir::open(server.directory.path().join("my run")).unwrap();
    run.log(&Event::Warning { message: "something new".into() }).unwrap();
    assert!(lines.any(|line| line == "event: changed"));
    drop(run);
    assert!(server.get("/runs/my%20run").contains("something new"), "the page must not be the old one");
}

/// 200 clients that follow a run, and pages for others meanwhile.
#[test]
fn two_hundred_clients_are_held() {
    let server = Fixture::new(None);
    let mut followers = Vec::new();
    for _ in 0..200 {
        let mut stream = server.connect();
        stream.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        followers.push(BufReader::new(stream));
    }
    for follower in &mut followers {
        let mut line = String::new();
        follower.read_line(&mut line).unwrap();
        assert!(line.contains("200 OK"), "{line}");
    }
    for _ in 0..20 {
        assert_eq!(status(&server.get("/")), 200);
    }
}
