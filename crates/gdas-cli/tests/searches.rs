//! Whole searches, disturbed and undisturbed, through the built program.

mod command;

use std::fs;
use std::path::Path;

use command::{gdas, lasting_events, outcome, result, succeed};
use serde_json::Value;

/// A search of some dozens of steps that takes seconds and saves at every step.
const SMALL: &[&str] = &[
    "search",
    "--preset",
    "smoke",
    "--epochs",
    "4",
    "--max-steps-per-epoch",
    "8",
    "--seed",
    "5",
    "--name",
    "run",
    "--checkpoint-seconds",
    "0",
];

fn with<'a>(extra: &[&'a str]) -> Vec<&'a str> {
    SMALL.iter().chain(extra).copied().collect()
}

/// What goes wrong with a search is said while it runs, and what can be done; also where nothing else is said.
#[test]
fn an_alarm_is_told_while_searching() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let flat = ["--preset", "smoke", "--epochs", "6", "--max-steps-per-epoch", "1", "--alpha-learning-rate", "1e-9"];
    for (name, extra) in [("lines", &[][..]), ("quiet", &["--quiet"]), ("json", &["--json"])] {
        let text = outcome(dir.path(), &[&["search", "--name", name], &flat[..], extra].concat());
        assert!(text.contains("exit code 0"), "{text}");
        let errors = text.split("--- stderr").nth(1).expect("something is said");
        assert!(errors.contains("warning: alpha is flat: after 3 of 6 epochs"), "{name}: {text}");
        assert!(errors.contains("--alpha-learning-rate"), "{name}: {text}");
    }
    let watched = succeed(dir.path(), &["watch", "lines"]);
    assert!(watched.contains("alarm: alpha is flat: after 6 of 6 epochs"), "{watched}");
    succeed(dir.path(), &["report", "lines"]);
    let page = fs::read_to_string(dir.path().join("runs/lines/report.html")).expect("a page");
    assert!(page.contains("Alarm:") && page.contains("hardly more than chance"));
}

/// A judged end says at its end why this cell, and what the loss has to do with it.
#[test]
fn a_judged_end_says_why() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let text = outcome(dir.path(), &["search", "--preset", "smoke", "--candidates", "9", "--name", "run"]);
    let (out, errors) = text.split_once("--- stderr").expect("something is said");
    for (place, part) in
        [(out, "why this cell"), (out, "9 candidates"), (errors, "judging 9 cells"), (errors, "9 candidates: ")]
    {
        assert!(place.contains(part), "{part}: {text}");
    }
    assert!(
        result(&dir.path().join("runs/run"))["judged"]["judges"].as_array().is_some_and(|judges| judges.len() == 3)
    );
    assert!(succeed(dir.path(), &["watch", "run"]).contains("9 candidates: "));
}

#[test]
fn a_search_prints_its_result_and_where_it_is() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let text = outcome(dir.path(), &["search", "--preset", "smoke", "--quiet"]);
    assert!(text.contains("exit code 0") && text.contains("--- stdout\n|") && text.contains("next: gdas"), "{text}");
    let run = dir.path().join("runs/digits-1");
    for name in ["config.toml", "events.jsonl", "checkpoint.0", "result.json", "cell.svg"] {
        assert!(run.join(name).is_file(), "{name}");
    }
    assert!(text.contains(result(&run)["genotype"].as_str().expect("a genotype")));

    // The next one gets a name of its own; a name that is taken is refused.
    succeed(dir.path(), &["search", "--preset", "smoke", "--quiet"]);
    assert_eq!(result(&dir.path().join("runs/digits-2"))["digest"], result(&run)["digest"]);
    let taken = outcome(dir.path(), &["search", "--preset", "smoke", "--name", "digits-1"]);
    assert!(taken.contains("exit code 1") && taken.contains("gdas resume runs/digits-1"), "{taken}");

    let list = succeed(dir.path(), &["runs", "list"]);
    assert!(list.lines().count() == 3 && list.contains("digits-2  finished  search  digits"), "{list}");
    let show: Value =
        serde_json::from_str(&succeed(dir.path(), &["runs", "show", "digits-1", "--json"])).expect("JSON");
    assert_eq!((&show["status"], &show["epochs_done"]), (&Value::from("finished"), &Value::from(2)));
    let again = outcome(dir.path(), &["resume", "digits-1"]);
    assert!(again.contains("exit code 0") && again.contains("finished already"), "{again}");
    let described = succeed(dir.path(), &["genotype", "parse", "digits-1"]);
    assert_eq!(described.trim(), result(&run)["genotype"].as_str().expect("a genotype"));
}

#[test]
fn machines_get_json_lines_and_people_get_a_line_per_epoch() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let text = succeed(dir.path(), &with(&["--json"]));
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let kinds: Vec<&str> = events.iter().map(|event| event["event"].as_str().expect("a kind")).collect();
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("started", "result"));
    assert_eq!(kinds.iter().filter(|kind| **kind == "epoch").count(), 4);
    assert_eq!(kinds.iter().filter(|kind| **kind == "step").count(), 32);

    let output = gdas(dir.path()).args(["search", "--preset", "smoke"]).output().expect("the program starts");
    let lines = String::from_utf8_lossy(&output.stderr);
    assert_eq!(lines.lines().filter(|line| line.starts_with("epoch ")).count(), 2, "{lines}");
}

/// Image files are decoded on the same threads as all else.
#[test]
fn a_folder_of_images_is_searched_and_resumed_from_elsewhere() {
    let dir = tempfile::tempdir().expect("temporary directory");
    for class in ["one", "two"] {
        let folder = dir.path().join("photos").join(class);
        fs::create_dir_all(&folder).expect("a folder");
        for n in 0..80 {
            fs::write(folder.join(format!("{n}.png")), include_bytes!("fixtures/zero.png")).expect("write");
        }
    }
    let arguments = ["search", "--data", "photos", "--preset", "smoke", "--threads", "2", "--quiet"];
    succeed(dir.path(), &arguments);
    let elsewhere = tempfile::tempdir().expect("temporary directory");
    let run = dir.path().join("runs/photos-1");
    fs::remove_file(run.join("result.json")).expect("a result");
    let before = fs::read(run.join("cell.svg")).expect("a picture");
    succeed(elsewhere.path(), &["resume", &run.display().to_string(), "--quiet"]);
    assert_eq!(fs::read(run.join("cell.svg")).expect("a picture"), before);
}

/// A space of one's own goes the whole way, and the run directory alone is enough for it.
#[test]
fn a_space_of_ones_own_is_searched_trained_and_exported() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let at = dir.path();
    let one = "name = \"one\"\n\n[skeleton]\nwiring = \"residual\"\nwidths = [1, 2]\n\n[[operation]]\nname = \"conv_5x5\"\n\
               layers = [\"relu\", { conv = 5 }, \"norm\"]\n\n[[cell]]\nname = \"unit\"\nnodes = 2\n\
               operations = [\"none\", \"skip_connect\", \"conv_5x5\"]\n";
    let two = "name = \"two\"\n\n[skeleton]\nwiring = \"two-inputs\"\n\n[[operation]]\nname = \"pool_conv\"\n\
               layers = [{ max_pool = 5 }, { conv = 1 }, \"norm\"]\n\n[[cell]]\nname = \"up\"\nnodes = 2\n\
               operations = [\"skip_connect\", \"pool_conv\", \"nor_conv_3x3\"]\n\n[[cell]]\nname = \"down\"\nnodes = 1\n\
               operations = [\"pool_conv\", \"avg_pool_3x3\"]\n";
    for (name, text) in [("one", one), ("two", two)] {
        let file = format!("{name}.toml");
        fs::write(at.join(&file), text).expect("write");
        let (found, net, back) = (format!("found-{name}"), format!("net-{name}"), format!("back-{name}"));
        let arguments = ["--preset", "smoke", "--quiet", "--channels", "8", "--name"];
        succeed(at, &[&["search", "--space", &file], &arguments[..], &[&found]].concat());
        // From here on nothing but the run says what the space is.
        fs::remove_file(at.join(&file)).expect("the file");
        let run = at.join("runs").join(&found);
        let (config, before) = (fs::read_to_string(run.join("config.toml")).expect("a file"), result(&run));
        assert!(config.contains("[space") && config.contains("conv"), "{config}");
        fs::remove_file(run.join("result.json")).expect("a result");
        succeed(at, &["resume", &found, "--quiet"]);
        assert_eq!(result(&run)["digest"], before["digest"]);
        let genotype = before["genotype"].as_str().expect("a genotype");
        assert_eq!(succeed(at, &["genotype", "parse", &found]).trim(), genotype);
        let file = run.join("result.json").display().to_string();
        assert_eq!(succeed(at, &["genotype", "parse", &file]).trim(), genotype);
        assert!(succeed(at, &["cost", &found]).contains("multiply-adds"));

        succeed(at, &[&["train", &found], &arguments[..], &[&net]].concat());
        assert_eq!(result(&at.join("runs").join(&net))["genotype"], genotype);
        succeed(at, &["evaluate", &net, "--json"]);
        for to in ["net.safetensors", "net.onnx", "net.py", "net.rs", "net.json"] {
            succeed(at, &["export", &net, "--to", to]);
        }
        assert_eq!(succeed(at, &["genotype", "parse", "net.json"]).trim(), genotype);
        succeed(at, &["import", "net.safetensors", "--name", &back]);
        assert_eq!(result(&at.join("runs").join(&back))["genotype"], genotype);
        succeed(at, &["report", &found]);
        let page = fs::read_to_string(run.join("report.html")).expect("a report");
        assert!(page.contains(genotype) && page.contains("conv"), "the cell is in the report");
    }
}

/// The whole way: search, train, evaluate, predict, export.
#[test]
fn what_a_search_found_is_trained_and_used() {
    let dir = tempfile::tempdir().expect("temporary directory");
    succeed(dir.path(), &["search", "--preset", "smoke", "--quiet", "--name", "found"]);
    let arguments = ["train", "found", "--preset", "smoke", "--name", "net", "--quiet"];
    let text = succeed(dir.path(), &arguments);
    let net = dir.path().join("runs/net");
    let genotype = result(&dir.path().join("runs/found"))["genotype"].clone();
    assert_eq!(result(&net)["genotype"], genotype);
    assert!(text.contains("test accuracy") && text.contains("next: gdas predict runs/net"), "{text}");
    let again = outcome(dir.path(), &["resume", "net"]);
    assert!(again.contains("exit code 0") && again.contains("finished already"), "{again}");

    let json: Value = serde_json::from_str(&succeed(dir.path(), &["evaluate", "net", "--json"])).expect("JSON");
    assert_eq!(json["images"], 359);
    assert!((0.0..=1.0).contains(&json["accuracy"].as_f64().expect("a number")), "{json}");
    let log = fs::read_to_string(net.join("events.jsonl")).expect("a log");
    assert!(log.lines().last().expect("lines").contains("finished"), "looking at a run changes nothing in it");

    fs::write(dir.path().join("zero.png"), include_bytes!("fixtures/zero.png")).expect("write");
    let text = succeed(dir.path(), &["predict", "net", "zero.png", "--json"]);
    let json: Value = serde_json::from_str(&text).expect("JSON");
    let sum: f64 = json["probabilities"].as_object().expect("classes").values().filter_map(Value::as_f64).sum();
    assert!((sum - 1.0).abs() < 1e-4 && json["image"] == "zero.png", "{json}");
    assert!(outcome(dir.path(), &["predict", "net", "nothing.png"]).contains("exit code 1"));
    // Broken pictures do not keep the others from an answer.
    fs::write(dir.path().join("broken.jpg"), b"\xff\xd8\xff\xe0 and no more").expect("write");
    let text = outcome(dir.path(), &["predict", "net", "broken.jpg", "nothing.png", "zero.png", "--json"]);
    assert!(text.contains("\"class\"") && text.contains("exit code 1"), "{text}");
    assert!(text.contains("broken.jpg: cut off") && text.contains("cannot read nothing.png"), "{text}");

    for name in ["net.onnx", "net.safetensors", "net.py", "genotype.json", "cell.dot"] {
        succeed(dir.path(), &["export", "net", "--to", name]);
        assert!(fs::metadata(dir.path().join(name)).expect("a file").len() > 100, "{name}");
    }
    assert!(outcome(dir.path(), &["export", "net", "--to", "net"]).contains("exit code 2"));
    assert!(outcome(dir.path(), &["evaluate", "found"]).contains("exit code 1"), "a search is no trained network");
    assert!(outcome(dir.path(), &["train"]).contains("exit code 2"));
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let dir = tempfile::tempdir().expect("temporary directory");
    for threads in ["1", "2", "3"] {
        let runs = format!("runs{threads}");
        succeed(dir.path(), &with(&["--quiet", "--threads", threads, "--runs", &runs]));
    }
    let [one, two, three] = ["runs1", "runs2", "runs3"].map(|runs| dir.path().join(runs).join("run"));
    assert_eq!(result(&one), result(&two));
    assert_eq!(result(&one), result(&three));
    assert_eq!(lasting_events(&one), lasting_events(&two));
}

#[cfg(unix)]
mod disturbed {
    use std::process::{Child, Stdio};
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    use gdas::rng::{Rng, Stream};

    use super::*;

    fn start(directory: &Path, arguments: &[&str]) -> Child {
        gdas(directory)
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts")
    }

    /// Waits until the log of the run has so many lines.
    fn wait_for_lines(run: &Path, lines: usize) {
        let start = Instant::now();
        while fs::read_to_string(run.join("events.jsonl")).map_or(0, |text| text.lines().count()) < lines {
            assert!(start.elapsed() < Duration::from_mins(1), "the run does not come to line {lines}");
            sleep(Duration::from_millis(1));
        }
    }

    fn signal(child: &Child, name: &str) {
        let status = std::process::Command::new("kill").args([name, &child.id().to_string()]).status().expect("kill");
        assert!(status.success());
    }

    /// Kills a run again and again, anywhere, also while it saves, until it gets through.
    #[test]
    fn killed_at_random_moments_it_ends_with_the_same_bits() {
        let dir = tempfile::tempdir().expect("temporary directory");
        succeed(dir.path(), &with(&["--quiet", "--runs", "undisturbed"]));
        let undisturbed = dir.path().join("undisturbed/run");
        let run = dir.path().join("runs/run");

        let mut rng = Rng::new(11, Stream::Algorithm, 0);
        let mut child = start(dir.path(), SMALL);
        wait_for_lines(&run, 3);
        let mut kills = 0;
        while kills < 8 {
            sleep(Duration::from_micros(rng.below(60_000) as u64));
            signal(&child, "-KILL");
            if child.wait().expect("it ends").code() == Some(0) {
                break;
            }
            kills += 1;
            child = start(dir.path(), &["resume", "run", "--quiet"]);
        }
        let _ = child.wait();
        succeed(dir.path(), &["resume", "run", "--quiet"]);
        assert!(kills >= 2, "the run is too short to be disturbed: {kills}");
        assert_eq!(result(&run), result(&undisturbed), "after {kills} kills");
        assert_eq!(lasting_events(&run), lasting_events(&undisturbed), "after {kills} kills");
    }

    #[test]
    fn each_signal_ends_a_run_with_code_75_and_everything_saved() {
        let dir = tempfile::tempdir().expect("temporary directory");
        succeed(dir.path(), &with(&["--quiet", "--runs", "undisturbed"]));
        for name in ["-TERM", "-INT", "-USR1"] {
            let runs = format!("runs{name}");
            let run = dir.path().join(&runs).join("run");
            // No checkpoint but the one that the signal asks for.
            let mut arguments = with(&["--runs", &runs]);
            let seconds = arguments.len() - 3;
            assert_eq!(arguments[seconds], "0");
            arguments[seconds] = "1000";
            let child = start(dir.path(), &arguments);
            wait_for_lines(&run, 4);
            signal(&child, name);
            let output = child.wait_with_output().expect("it ends");
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(75), "{name}: {error}");
            assert!(error.contains(&format!("go on with: gdas resume {runs}/run")), "{name}: {error}");
            let log = fs::read_to_string(run.join("events.jsonl")).expect("a log");
            assert!(log.lines().last().expect("lines").contains("interrupted"), "{name}: {log}");
            succeed(dir.path(), &["resume", &format!("{runs}/run"), "--quiet"]);
            assert_eq!(result(&run), result(&dir.path().join("undisturbed/run")), "{name}");
        }
    }

    #[test]
    fn a_training_killed_and_stopped_ends_with_the_same_bits() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let cell = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|";
        let train = |runs: &'static str| {
            [
                "train",
                cell,
                "--preset",
                "smoke",
                "--epochs",
                "4",
                "--max-steps-per-epoch",
                "10",
                "--name",
                "run",
                "--checkpoint-seconds",
                "0",
                "--quiet",
                "--runs",
                runs,
            ]
        };
        succeed(dir.path(), &train("undisturbed"));
        let run = dir.path().join("runs/run");
        let mut child = start(dir.path(), &train("runs"));
        for (lines, name) in [(3, "-KILL"), (5, "-TERM"), (8, "-KILL"), (12, "-INT")] {
            wait_for_lines(&run, lines);
            signal(&child, name);
            let code = child.wait().expect("it ends").code();
            assert_eq!(code, if name == "-KILL" { None } else { Some(75) }, "{name}");
            child = start(dir.path(), &["resume", "run", "--quiet"]);
        }
        assert_eq!(child.wait().expect("it ends").code(), Some(0));
        assert_eq!(result(&run), result(&dir.path().join("undisturbed/run")));
        assert_eq!(lasting_events(&run), lasting_events(&dir.path().join("undisturbed/run")));
    }

    #[test]
    fn a_second_process_on_a_run_is_turned_away() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let run = dir.path().join("runs/run");
        let mut child = start(dir.path(), &["search", "--preset", "smoke", "--epochs", "100000", "--name", "run"]);
        wait_for_lines(&run, 2);
        let text = outcome(dir.path(), &["resume", "run"]);
        assert!(text.contains("exit code 1") && text.contains(&format!("process {}", child.id())), "{text}");
        assert!(succeed(dir.path(), &["runs", "list"]).contains("running"));
        signal(&child, "-TERM");
        assert_eq!(child.wait().expect("it ends").code(), Some(75));
    }

    #[test]
    fn a_damaged_checkpoint_costs_one_generation_and_no_bit() {
        let dir = tempfile::tempdir().expect("temporary directory");
        succeed(dir.path(), &with(&["--quiet", "--runs", "undisturbed"]));
        let run = dir.path().join("runs/run");
        let child = start(dir.path(), SMALL);
        wait_for_lines(&run, 12);
        signal(&child, "-TERM");
        child.wait_with_output().expect("it ends");
        // The newer of the two loses its end.
        let age = |name: &str| fs::metadata(run.join(name)).and_then(|m| m.modified()).expect("a checkpoint");
        let newer = if age("checkpoint.0") > age("checkpoint.1") { "checkpoint.0" } else { "checkpoint.1" };
        let bytes = fs::read(run.join(newer)).expect("a checkpoint");
        fs::write(run.join(newer), &bytes[..bytes.len() / 2]).expect("write");
        let text = outcome(dir.path(), &["resume", "run", "--quiet"]);
        assert!(text.contains("exit code 0") && text.contains(&format!("{newer} is damaged")), "{text}");
        assert_eq!(result(&run), result(&dir.path().join("undisturbed/run")));
    }
}
