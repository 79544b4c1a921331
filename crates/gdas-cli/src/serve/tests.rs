use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use gdas::run::{Event, Request, RunDir, SearchMetrics, StepMetrics, requested};

use super::*;

/// A server on a free port over a directory with one run, `my run`, that nobody works in; it ends with the test.
struct Fixture {
    directory: tempfile::TempDir,
    address: SocketAddr,
    interrupt: Interrupt,
    thread: Option<std::thread::JoinHandle<()>>,
}

fn started() -> Event {
    let line = r#"{"event":"started","task":"search","version":"0.1.0","algorithm":"gdas","space":"nas-bench-201",
        "data":"digits","classes":10,"train_images":10,"held_out_images":10,"epochs":2,"steps_per_epoch":5,
        "parameters":1,"seed":0,"threads":1,"step":0}"#;
    serde_json::from_str(line).expect("an event")
}

impl Fixture {
    fn new(token: Option<&str>, control: bool) -> Self {
        Self::below("", token, control)
    }

    fn below(base: &str, token: Option<&str>, control: bool) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let run = directory.path().join("my run");
        let mut run = RunDir::create(&run, "task = \"search\"\nsecret = 1\n").expect("a run");
        run.log(&started()).expect("writable");
        drop(run);
        std::fs::write(directory.path().join("outside.txt"), "not for the network").expect("writable");
        let runs = directory.path().to_path_buf();
        let options = Options { runs, token: token.map(str::to_owned), control, base: base.to_owned() };
        let interrupt = Interrupt::default();
        let server = Server::bind(([127, 0, 0, 1], 0).into(), options, &interrupt).expect("a free port");
        let address = server.address().expect("an address");
        let thread = std::thread::spawn(move || server.run().expect("served"));
        Self { directory, address, interrupt, thread: Some(thread) }
    }

    fn run(&self) -> std::path::PathBuf {
        self.directory.path().join("my run")
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
        stream
    }

    fn raw(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    fn get(&self, target: &str) -> String {
        self.raw(&format!("GET {target} HTTP/1.1\r\nHost: localhost:1\r\n\r\n"))
    }

    fn post(&self, target: &str, headers: &str) -> String {
        self.raw(&format!("POST {target} HTTP/1.1\r\nHost: localhost:1\r\n{headers}\r\n"))
    }

    /// The lines of a stream of events, from now on.
    fn follow(&self, target: &str) -> impl Iterator<Item = String> {
        let mut stream = self.connect();
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        BufReader::new(stream).lines().map_while(Result::ok)
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.interrupt.request();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("a clean end");
        }
    }
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
}

fn step(number: u64, loss: f64) -> Event {
    Event::Step(StepMetrics {
        step: number,
        metrics: SearchMetrics {
            train_loss: loss,
            train_accuracy: 0.5,
            held_out_loss: 1.0,
            held_out_accuracy: 0.25,
            tau: 10.0,
            learning_rate: 0.025,
        },
        steps_per_second: 2.0,
        ..StepMetrics::default()
    })
}

#[test]
fn runs_are_listed_and_shown() {
    let server = Fixture::new(None, false);
    let index = server.get("/");
    assert!(index.contains("href=\"runs/my%20run\"") && index.contains("connect-src 'self'"), "{index}");
    let page = server.get("/runs/my%20run");
    assert_eq!(status(&page), 200);
    assert!(page.contains("search: my run") && page.contains("\"my%20run/events\""), "{page}");
    assert!(page.contains("stopped") && !page.contains("<button"), "it only reads");
    for header in ["cache-control: no-store", "x-frame-options: DENY", "x-content-type-options: nosniff"] {
        assert!(page.contains(header), "{header}");
    }
    assert!(server.get("/runs/my%20run/epochs.csv").contains("text/csv"));
    let head = server.raw("HEAD / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n");
    assert!(status(&head) == 200 && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn nothing_else_is_reachable() {
    let server = Fixture::new(None, false);
    for target in [
        "/runs/..",
        "/runs/../outside.txt",
        "/runs/%2e%2e%2foutside.txt",
        "/runs/my%20run%2f..%2f..%2foutside.txt",
        "/outside.txt",
        "/runs/outside.txt",
        "/runs/my%20run/config.toml",
        "/runs/%ff",
        "//etc/passwd",
        "/runs/",
    ] {
        let answer = server.get(target);
        assert!([400, 404, 405].contains(&status(&answer)), "{target}: {answer}");
        assert!(!answer.contains("not for the network"), "{target}");
    }
    for host in ["evil.example", "localhost.evil.example", "192.168.1.1:80", "", "localhost\r\nHost: localhost"] {
        let answer = server.raw(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(status(&answer), 403, "{host}: {answer}");
    }
    let large = format!("GET / HTTP/1.1\r\nHost: localhost\r\nx: {}\r\n\r\n", "a".repeat(2 * MAX_HEAD));
    assert!([0, 431].contains(&status(&server.raw(&large))));
    assert_eq!(status(&server.raw("nonsense\r\n\r\n")), 400);
}

#[test]
fn a_token_is_needed_where_there_is_one() {
    let server = Fixture::new(Some("secret-token"), true);
    assert_eq!(status(&server.get("/")), 401);
    assert_eq!(status(&server.get("/?token=secret-tokem")), 401);
    assert_eq!(status(&server.get("/events")), 401);
    assert_eq!(status(&server.post("/runs/my%20run/stop", "")), 401);
    let entered = server.get("/?token=secret-token");
    assert!(status(&entered) == 200 && entered.contains("set-cookie: gdas=secret-token; HttpOnly; SameSite=Strict"));
    let with = |header: &str| server.raw(&format!("GET / HTTP/1.1\r\nHost: anywhere\r\n{header}\r\n\r\n"));
    assert_eq!(status(&with("Cookie: a=b; gdas=secret-token")), 200);
    assert_eq!(status(&with("Authorization: Bearer secret-token")), 200);
    let options = Options { runs: "runs".into(), token: None, control: false, base: String::new() };
    let open = Server::bind(([0, 0, 0, 0], 0).into(), options, &Interrupt::default());
    assert!(matches!(open, Err(ServeError::NoToken(_))));
}

#[test]
fn news_of_a_run_reach_its_followers() {
    let server = Fixture::new(None, false);
    let mut own = server.follow("/runs/my%20run/events");
    let mut all = server.follow("/events");
    assert!(own.any(|line| line.starts_with("data:") && line.contains("\"status\":\"stopped\"")));
    assert!(all.any(|line| line.starts_with("data:") && line.contains("my run")));
    let mut run = RunDir::open(server.run()).expect("a run");
    run.log(&step(3, 1.25)).expect("writable");
    let told = |line: &String| line.contains("\"train_loss\":\"1.250\"") && line.contains("\"step\":\"3 of 10\"");
    let line = own.find(told).expect("the step is told");
    assert!(line.contains("\"status\":\"running\"") && line.contains("\"actions\":[]"), "{line}");
    assert!(all.any(|line| line.contains("\"train_loss\":\"1.250\"")));
    run.log(&Event::Warning { message: "something new".into() }).expect("writable");
    let revision =
        |line: &str| line.split("\"revision\":").nth(1).map(|rest| rest.split(',').next().map(str::to_owned));
    let before = revision(&line);
    assert!(own.any(|line| line.starts_with("data:") && revision(&line) != before));
    assert!(server.get("/runs/my%20run").contains("something new"), "the page must not be the old one");
    drop(run);
    assert!(own.any(|line| line.contains("\"status\":\"stopped\"")), "an end without a word is noticed");
}

#[test]
fn acting_needs_leave_and_a_page_of_our_own() {
    let reading = Fixture::new(None, false);
    let _at_work = RunDir::open(reading.run()).expect("a run");
    assert_eq!(status(&reading.post("/runs/my%20run/stop", "")), 403);
    assert_eq!(requested(&reading.run()), None);

    let server = Fixture::new(None, true);
    let at_work = RunDir::open(server.run()).expect("a run");
    for foreign in [
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: http://localhost:2\r\n",
        "Origin: http://localhost:1.evil.example\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\nOrigin: http://localhost:1\r\n",
        "Origin: http://localhost:1\r\nOrigin: http://evil.example\r\n",
    ] {
        let answer = server.post("/runs/my%20run/stop", foreign);
        assert_eq!(status(&answer), 403, "{foreign}: {answer}");
        assert_eq!(requested(&server.run()), None, "{foreign}");
    }
    let rebound = server.raw("POST /runs/my%20run/stop HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!(status(&rebound), 403);
    for target in ["/runs/other/stop", "/runs/../stop", "/runs/my%20run/explode", "/runs/my%20run%2f..%2f/stop"] {
        assert_eq!(status(&server.post(target, "")), 404, "{target}");
    }
    assert!([403, 405].contains(&status(&server.get("/runs/my%20run/stop"))), "a link must not act");

    assert_eq!(status(&server.post("/runs/my%20run/pause", "Origin: http://localhost:1\r\n")), 202);
    assert_eq!(requested(&server.run()), Some(Request::Pause));
    assert_eq!(status(&server.post("/runs/my%20run/continue", "Sec-Fetch-Site: same-origin\r\n")), 202);
    assert_eq!(requested(&server.run()), None);
    let large = format!("Content-Length: 1000000000\r\nx: {}\r\n", "b".repeat(100));
    assert_eq!(status(&server.post("/runs/my%20run/stop", &large)), 202, "a body is not waited for");
    assert_eq!(requested(&server.run()), Some(Request::Stop));
    assert_eq!(status(&server.post("/runs/my%20run/resume", "")), 409);
    drop(at_work);
    assert_eq!(status(&server.post("/runs/my%20run/stop", "")), 409);
}

#[test]
fn an_automatic_run_is_served_as_what_it_is() {
    let server = Fixture::new(None, false);
    let path = server.directory.path().join("photos");
    let config = "task = \"auto\"\ndata = \"photos\"\nspace = \"nas-bench-201\"\n";
    let whole = RunDir::create(&path, config).expect("a run");
    let page = server.get("/runs/photos");
    let mut lines = server.follow("/events");
    assert!(lines.any(|line| line.contains("\"photos\"")), "{page}");
    let index = server.get("/");
    let row = index.split("data-run=\"photos\"").nth(1).expect("a row");
    assert!(row.contains("running</td><td>auto</td><td>photos</td>"), "{row}");
    assert!(server.get("/runs/photos").contains("No stage has begun yet"));
    let mut stage = RunDir::create(path.join("search"), "task = \"search\"\n").expect("a run");
    stage.log(&started()).expect("writable");
    stage.log(&step(3, 1.25)).expect("writable");
    let told = |line: &String| line.contains("\"stage\":\"search\"") && line.contains("\"train_loss\":\"1.250\"");
    assert!(server.follow("/runs/photos/events").any(|line| told(&line)));
    let index = server.get("/");
    let row = index.split("data-run=\"photos\"").nth(1).expect("a row");
    assert!(row.contains("<td>auto: search</td><td>digits</td>") && row.contains("1 of 2"), "{row}");
    let page = server.get("/runs/photos");
    assert!(page.contains("<h1>auto: photos</h1>") && page.contains("<h2>Search</h2>"), "{page}");
    drop((whole, stage));
}

#[test]
fn stages_of_an_automatic_run_are_runs_too() {
    let server = Fixture::new(None, false);
    drop(RunDir::create(server.run().join("search"), "task = \"search\"\n").expect("a run"));
    let mut lines = server.follow("/events");
    assert!(lines.any(|line| line.contains("my run/search")));
    assert!(server.get("/").contains("href=\"runs/my%20run%2Fsearch\""));
    assert_eq!(status(&server.get("/runs/my%20run%2Fsearch")), 200);
    assert_eq!(status(&server.get("/runs/my%20run/search")), 405);
}

/// The header of a redirection, the links of a page and its stream of events lead to where they are served.
#[test]
fn a_server_below_a_path_links_within_it() {
    let server = Fixture::below("/lab/gdas", Some("secret-token"), true);
    let with = |method: &str, target: &str| {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: x:1\r\nAuthorization: Bearer secret-token\r\n\r\n");
        server.raw(&request)
    };
    let moved = with("GET", "/lab/gdas");
    assert!(status(&moved) == 308 && moved.contains("location: /lab/gdas/\r\n"), "{moved}");
    let entered = server.get("/lab/gdas/?token=secret-token");
    assert!(entered.contains("Path=/lab/gdas/\r\n"), "{entered}");
    let index = with("GET", "/lab/gdas/");
    let page = with("GET", "/lab/gdas/runs/my%20run");
    assert_eq!((status(&index), status(&page)), (200, 200));
    for (page, at) in [(&index, "/lab/gdas/"), (&page, "/lab/gdas/runs/")] {
        let links = ["href=\"", "data-events=\""].into_iter().flat_map(|attribute| page.split(attribute).skip(1));
        let links = links.filter_map(|rest| rest.split('"').next()).filter(|link| !link.starts_with("data:"));
        let mut seen = 0;
        for link in links {
            assert!(!link.starts_with('/') && !link.contains("//"), "{link}");
            let target = match link.strip_prefix("../") {
                Some(rest) => format!("{}{rest}", at.trim_end_matches("runs/")),
                None => format!("{at}{link}"),
            };
            let mut stream = server.connect();
            let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret-token\r\n\r\n");
            stream.write_all(request.as_bytes()).expect("sent");
            let first = BufReader::new(stream).lines().next().expect("an answer").expect("text");
            assert!(first.contains(" 200 "), "{link} leads to {target}: {first}");
            seen += 1;
        }
        assert!(seen > 1, "{page}");
    }
    for outside in ["/", "/runs/my%20run", "/events", "/lab/", "/lab/gdas/../", "/lab/gdasx/"] {
        assert_eq!(status(&with("GET", outside)), 404, "{outside}");
    }
    assert_eq!(status(&with("POST", "/lab/gdas/runs/my%20run/stop")), 409, "nobody works in it");
}

/// 200 clients that follow, and pages for others meanwhile.
#[test]
fn two_hundred_clients_are_held() {
    let server = Fixture::new(None, false);
    let mut followers: Vec<_> = (0..200).map(|_| server.follow("/events")).collect();
    for follower in &mut followers {
        assert!(follower.next().is_some_and(|line| line.contains("200 OK")));
    }
    for _ in 0..20 {
        assert_eq!(status(&server.get("/")), 200);
    }
}
