//! `gdas serve` from outside: what a hostile or busy network may send it. Only HTTP is known here.
#![cfg(target_os = "linux")]

mod command;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use command::{gdas, succeed};

struct Server {
    directory: tempfile::TempDir,
    child: Child,
    /// Host and port.
    address: String,
}

impl Server {
    /// A server over one finished run, `run`.
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        succeed(directory.path(), &["search", "--preset", "smoke", "--name", "run", "--quiet"]);
        fs::write(directory.path().join("secret.txt"), "not for the network").expect("write");
        let mut command = gdas(directory.path());
        let mut child = command
            .args(["serve", "--port", "0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let address = line.trim().trim_start_matches("http://").trim_end_matches('/').to_string();
        Self { directory, child, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        stream.set_write_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        stream
    }

    /// Sends a request and returns what comes back, which is nothing where the server hangs up.
    fn send(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        // A server that has read enough may close before all is sent.
        let _ = stream.write_all(request);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn request(&self, method: &str, target: &str, headers: &str) -> String {
        let request =
            format!("{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n", self.address);
        self.send(request.as_bytes())
    }

    fn is_well(&self) {
        assert_eq!(status(&self.request("GET", "/", "")), 200);
    }

    /// The most memory that the server has had, in MiB.
    fn memory(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a status");
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
        line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number") >> 10
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

#[test]
fn no_path_leads_out_of_the_directory_of_runs() {
    let server = Server::start();
    assert_eq!(status(&server.request("GET", "/runs/run", "")), 200);
    let up =
        ["..", "%2e%2e", "%2E.", "..%2f..", "%2e%2e%2f", "..%5c", "%c0%ae%c0%ae", "run%2f..%2f..", "run/../..", "."];
    for step in up {
        for target in ["secret.txt", "runs/run/config.toml", "etc/passwd"] {
            for path in
                [format!("/{step}/{target}"), format!("/runs/{step}/{target}"), format!("/runs/{step}%2f{target}")]
            {
                let answer = server.request("GET", &path, "");
                assert!(matches!(status(&answer), 400 | 403 | 404 | 405 | 301..=308), "{path}: {answer}");
                assert!(!answer.contains("not for the network") && !answer.contains("root:"), "{path}");
            }
        }
    }
    for path in
        ["/runs/run/config.toml", "/runs/run/checkpoint.0", "/runs/run/lock", "/runs/run%00", "/runs//etc/passwd"]
    {
        assert!(matches!(status(&server.request("GET", path, "")), 400 | 403 | 404 | 405), "{path}");
    }
    server.is_well();
}

#[test]
fn no_other_page_can_change_anything() {
    let server = Server::start();
    let run = server.directory.path().join("runs/run");
    let state = || {
        let mut files: Vec<_> = fs::read_dir(&run).expect("a run").flatten().map(|f| f.file_name()).collect();
        files.sort();
        (files, fs::read(run.join("events.jsonl")).expect("a log"), fs::read(run.join("config.toml")).expect("a file"))
    };
    let before = state();
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        for target in ["/", "/runs/run", "/runs/run/pause", "/runs/run/stop", "/runs/run/continue", "/runs/run/resume"]
        {
            for headers in [
                "Origin: http://evil.example\r\nContent-Length: 0\r\n",
                "Origin: null\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n",
                "Sec-Fetch-Site: cross-site\r\nContent-Length: 0\r\n",
            ] {
                let answer = server.request(method, target, headers);
                assert!((400..500).contains(&status(&answer)), "{method} {target} {headers}: {answer}");
            }
        }
    }
    let answer = server.send(b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert_eq!(status(&answer), 403, "a name that was pointed at this machine: {answer}");
    assert!(!server.request("GET", "/", "Origin: http://evil.example\r\n").contains("Access-Control-Allow-Origin"));
    assert_eq!(state(), before);
}

#[test]
fn requests_are_bounded() {
    let server = Server::start();
    server.is_well();
    let before = server.memory();
    let long = vec![b'a'; 8 << 20];
    let with = |head: &[u8], tail: &[u8]| [head, &long, tail].concat();
    let host = format!("Host: {}\r\n", server.address);
    let requests = [
        with(b"GET /", b" HTTP/1.1\r\n\r\n"),
        with(format!("GET / HTTP/1.1\r\n{host}X: ").as_bytes(), b"\r\n\r\n"),
        [format!("GET / HTTP/1.1\r\n{host}").into_bytes(), b"X: y\r\n".repeat(1 << 18), b"\r\n".to_vec()].concat(),
        with(format!("POST / HTTP/1.1\r\n{host}Content-Length: 8388608\r\n\r\n").as_bytes(), b""),
        format!("POST / HTTP/1.1\r\n{host}Content-Length: 99999999999999999999\r\n\r\n").into_bytes(),
        format!("POST / HTTP/1.1\r\n{host}Content-Length: -1\r\n\r\n").into_bytes(),
        format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n").into_bytes(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"\0\0\0\0\r\n\r\n".to_vec(),
        b"\r\n\r\n".to_vec(),
    ];
    for (i, request) in requests.iter().enumerate() {
        for _ in 0..3 {
            let answer = server.send(request);
            assert!(!(200..300).contains(&status(&answer)), "request {i}: {answer}");
        }
    }
    server.is_well();
    let grown = server.memory() - before;
    assert!(grown < 64, "{grown} MiB more");
}

/// Two hundred that follow all runs, as many that send half a request, and pages for others meanwhile.
#[test]
fn two_hundred_clients_are_held() {
    let server = Server::start();
    let request = format!("GET /events HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    let mut followers: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(request.as_bytes()).expect("a request");
            BufReader::new(stream)
        })
        .collect();
    for follower in &mut followers {
        let mut line = String::new();
        follower.read_line(&mut line).expect("an answer");
        assert!(line.contains(" 200 "), "{line}");
    }
    let slow: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(b"GET / HTT").expect("a part");
            stream
        })
        .collect();
    for _ in 0..20 {
        server.is_well();
    }
    assert!(server.memory() < 512, "{} MiB", server.memory());
    drop((followers, slow));
    server.is_well();
}

/// Classifying an image: what is decoded is what `gdas predict` decodes, what is no image is refused with a reason, and no
/// request makes the server read a file or take more than its share.
#[test]
fn a_trained_run_says_what_an_image_shows() {
    let server = Server::start();
    let net = ["train", "run", "--preset", "smoke", "--name", "net", "--quiet"];
    succeed(server.directory.path(), &net);
    let image = include_bytes!("fixtures/zero.png");
    fs::write(server.directory.path().join("zero.png"), image).expect("write");
    let send = |target: &str, headers: &str, body: &[u8]| {
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n{headers}\r\n",
            server.address,
            body.len()
        );
        server.send(&[head.as_bytes(), body].concat())
    };
    // The server looks at the runs twice a second.
    let start = std::time::Instant::now();
    while status(&server.request("GET", "/runs/net", "")) != 200 {
        assert!(start.elapsed() < Duration::from_secs(20), "the new run is not seen");
        std::thread::sleep(Duration::from_millis(50));
    }
    let answer = send("/runs/net/predict", "", image);
    assert_eq!(status(&answer), 200, "{answer}");
    let said: serde_json::Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).expect("a body")).expect("JSON");
    let expected = succeed(server.directory.path(), &["predict", "net", "zero.png", "--json"]);
    let expected: serde_json::Value = serde_json::from_str(&expected).expect("JSON");
    assert_eq!(said["classes"][0]["class"], expected["class"]);
    for entry in said["classes"].as_array().expect("classes") {
        assert_eq!(entry["probability"], expected["probabilities"][entry["class"].as_str().expect("a name")]);
    }

    for (body, reason) in [
        (&b"not an image at all"[..], "it is not an image"),
        (&image[..image.len() / 2], "cannot be used"),
        (&b"\xff\xd8\xff\xe0 and no more"[..], "cut off"),
        (&b"../../../etc/passwd"[..], "it is not an image"),
    ] {
        let answer = send("/runs/net/predict", "", body);
        assert!(status(&answer) == 422 && answer.contains(reason), "{answer}");
    }
    assert_eq!(status(&send("/runs/net/predict", "", b"")), 400);
    let announced = server.request("POST", "/runs/net/predict", "Content-Length: 100000000\r\n");
    assert!(status(&announced) == 413 && announced.contains("16 MiB"), "{announced}");
    // In pieces, whose sum nobody announced.
    let mut chunked =
        format!("POST /runs/net/predict HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n", server.address)
            .into_bytes();
    for _ in 0..17 {
        chunked.extend(b"100000\r\n");
        chunked.resize(chunked.len() + (1 << 20), b'x');
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    assert!([0, 413].contains(&status(&server.send(&chunked))));
    for target in
        ["/runs/absent/predict", "/runs/../predict", "/runs/net%2f..%2frun/predict", "/runs/..%2fsecret.txt/predict"]
    {
        let answer = send(target, "", image);
        assert!([400, 404].contains(&status(&answer)) && !answer.contains("not for the network"), "{target}: {answer}");
    }
    let untrained = send("/runs/run/predict", "", image);
    assert!(status(&untrained) == 409 && untrained.contains("train it first"), "{untrained}");
    for foreign in ["Origin: http://evil.example\r\n", "Sec-Fetch-Site: cross-site\r\n"] {
        assert_eq!(status(&send("/runs/net/predict", foreign, image)), 403, "{foreign}");
    }
    assert_eq!(status(&send("/runs/net/stop", "", b"")), 403, "without --control nothing is acted on");
    // An image without end is given up without harm to others; four at a time are waited for.
    let head = format!("POST /runs/net/predict HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000\r\n\r\n", server.address);
    let mut slow: Vec<_> = (0..4).map(|_| server.connect()).collect();
    for stream in &mut slow {
        stream.write_all(head.as_bytes()).expect("sent");
    }
    std::thread::sleep(Duration::from_millis(500));
    let busy = send("/runs/net/predict", "", image);
    assert!(status(&busy) == 503 && busy.contains("try again"), "{busy}");
    drop(slow);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(status(&send("/runs/net/predict", "", image)), 200);
    server.is_well();
}
