//! The search as a whole, on the embedded digits.
#![allow(missing_docs, clippy::unwrap_used)]

use burn::tensor::Device;
use gdas::config::{Layer, SearchConfig, resolve};
use gdas::data::{self, Dataset};
use gdas::run::{Alarm, Event, Interrupt, RunDir, Silent, read_events};
use gdas::search::{Outcome, SearchResult, search, search_on};
use gdas::space::Genotype;

#[path = "search/judged.rs"]
mod judged;
#[path = "search/supernet.rs"]
mod supernet;

fn digits() -> Dataset {
    data::digits().hold_out(0.2)
}

/// Two epochs of five steps on a narrow supernet.
fn config(extra: &str) -> SearchConfig {
    let file = "preset = \"smoke\"\nepochs = 2\nmax_steps_per_epoch = 5\nbatch_size = 16\nchannels = 4\ncells = 1\n\
                seed = 3\nlog_interval = 1\ncheckpoint_seconds = 1e9\n";
    resolve(&[Layer::file("test", file).unwrap(), Layer::file("extra", extra).unwrap()]).unwrap()
}

fn finish(config: &SearchConfig, run: &mut RunDir) -> SearchResult {
    let devices = vec![Device::flex(); config.devices];
    match search_on(config, &digits(), run, &mut Silent, &Interrupt::default(), &devices).unwrap() {
        Outcome::Finished(result) => *result,
        Outcome::Interrupted { step } => panic!("interrupted at step {step}"),
    }
}

/// Rounding differs on another processor: resuming there is allowed, with a warning. Judging is reported cell by cell.
#[test]
fn another_processor_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let config = config("selection = \"judged\"\ncandidates = 3");
    let mut run = RunDir::create(folder.path().join("run"), "").unwrap();
    let interrupt = Interrupt::default();
    interrupt.request();
    search(&config, &digits(), &mut run, &mut Silent, &interrupt, &Device::flex()).unwrap();
    let mut checkpoint = run.load().unwrap().unwrap().checkpoint;
    let (here, elsewhere) = (gdas_kernels::cpu::simd_level(), "abacus");
    assert_eq!(checkpoint.state["arithmetic"], here);
    checkpoint.state["arithmetic"] = elsewhere.into();
    run.save(&checkpoint).unwrap();
    let (mut warnings, mut judged) = (Vec::new(), Vec::new());
    let mut observer = |event: &Event| match event {
        Event::Warning { message } => warnings.push(message.clone()),
        Event::Judging { candidates, done, .. } => judged.push((*done, *candidates)),
        _ => {}
    };
    search(&config, &digits(), &mut run, &mut observer, &Interrupt::default(), &Device::flex()).unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains(here) && warnings[0].contains(elsewhere), "{warnings:?}");
    assert_eq!(judged, [(0, 3), (1, 3), (2, 3)]);
}

#[test]
fn a_search_finishes_and_leaves_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = RunDir::create(folder.path().join("run"), "").unwrap();
    let result = finish(&config(""), &mut run);
    assert_eq!(result.genotype.parse::<Genotype>().unwrap(), result.cells);
    assert!(run.path().join("result.json").is_file());
    assert!((0.0..=1.0).contains(&result.held_out_accuracy));
}

/// Stopped after every possible number of steps and resumed: always the result of the undisturbed run.
#[test]
fn resume_is_exact_from_every_step() {
    let folder = tempfile::tempdir().unwrap();
    let rivals = "track_running_stats = true\ncontroller_steps = 2\ncontroller_samples = 3\n";
    for (name, extra, further) in [
        ("gdas", String::new(), 0),
        ("decay", "track_running_stats = true\nundrawn = \"decay\"\nedge_output = \"picked-gate\"".into(), 0),
        (
            "against-collapse",
            "skip_dropout = 0.5\nmax_skips = 1\nalpha_warmup_epochs = 1\nalpha_learning_rate = 0.1".into(),
            0,
        ),
        ("judged", "selection = \"judged\"\ncandidates = 5".into(), 0),
        ("bounded", "max_params = 6000\nmax_latency = 50.0\nalpha_learning_rate = 0.1".into(), 0),
        ("darts-v1", format!("{rivals}algorithm = \"darts-v1\""), 0),
        ("darts-v2", format!("{rivals}algorithm = \"darts-v2\""), 0),
        ("setn", format!("{rivals}algorithm = \"setn\""), 0),
        ("enas", format!("{rivals}algorithm = \"enas\""), 6),
        ("rsps", format!("{rivals}algorithm = \"rsps\""), 0),
        ("snas", format!("{rivals}algorithm = \"snas\""), 0),
        ("drnas", format!("{rivals}algorithm = \"drnas\""), 0),
        ("reinforce", format!("{rivals}algorithm = \"reinforce\""), 0),
        ("reinforce-cells", format!("{rivals}algorithm = \"reinforce\"\nscore_cells = 3"), 0),
        ("gdas-reinforce", format!("{rivals}algorithm = \"gdas-reinforce\"\nweight_draws = \"uniform\""), 0),
        (
            "alpha-options",
            "estimator = \"reinmax\"\nweight_draws = \"fair\"\nbeta_decay = 5.0\nentropy_weight = -0.1\nzero_one_weight = 1.0"
                .into(),
            0,
        ),
        ("devices", "devices = 2\nskip_dropout = 0.5\nundrawn = \"decay\"\ntrack_running_stats = true".into(), 0),
        ("devices-darts-v2", format!("{rivals}algorithm = \"darts-v2\"\ndevices = 3"), 0),
    ] {
        let config = config(&extra);
        let mut run = RunDir::create(folder.path().join(format!("whole-{name}")), "").unwrap();
        let whole = finish(&config, &mut run);
        let times = std::fs::read(run.path().join("latency.json"));
        let path = folder.path().join(format!("parts-{name}"));
        let mut run = RunDir::create(&path, "").unwrap();
        if let Ok(times) = times {
            // Two runs never measure the same times; given the same, they are the same.
            run.write_file("latency.json", &times).unwrap();
        }
        let mut stops = 0;
        loop {
            // A stop request at every single step.
            let interrupt = Interrupt::default();
            let stop = interrupt.clone();
            let mut observer = move |event: &Event| {
                if matches!(event, Event::Step(_)) {
                    stop.request();
                }
            };
            let devices = vec![Device::flex(); config.devices];
            match search_on(&config, &digits(), &mut run, &mut observer, &interrupt, &devices).unwrap() {
                Outcome::Finished(result) => {
                    assert_eq!(*result, whole, "{name}");
                    break;
                }
                Outcome::Interrupted { .. } => stops += 1,
            }
            drop(run);
            run = RunDir::open(&path).unwrap();
        }
        let all = 2 * (5 + further);
        assert!(stops >= all, "{name} stopped {stops} times");
        // No step is in the log twice.
        let steps: Vec<u64> = read_events(&path.join("events.jsonl"))
            .unwrap()
            .iter()
            .filter_map(|event| if let Event::Step(step) = event { Some(step.step) } else { None })
            .collect();
        assert_eq!(steps, (1..=all).collect::<Vec<_>>());
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    let digest = |devices: usize, threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut run = RunDir::create(folder.path().join(format!("{devices}-{threads}")), "").unwrap();
        pool.install(|| finish(&config(&format!("devices = {devices}")), &mut run)).digest
    };
    let one = digest(1, 1);
    assert_eq!(one, digest(1, 2));
    assert_eq!(one, digest(1, 5));
    // Devices, unlike threads, each normalise by images of their own.
    let two = digest(2, 1);
    assert_eq!(two, digest(2, 3));
    assert_ne!(two, one);
    assert_ne!(two, digest(3, 1));
}

/// A search that was configured for several devices is not quietly done on another number of them.
#[test]
fn the_number_of_devices_is_that_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = RunDir::create(folder.path().join("run"), "").unwrap();
    for (devices, given) in [(2, 1), (1, 2), (1, 0)] {
        let config = config(&format!("devices = {devices}"));
        let given = vec![Device::flex(); given];
        let error = search_on(&config, &digits(), &mut run, &mut Silent, &Interrupt::default(), &given).unwrap_err();
        assert!(error.to_string().contains(&format!("devices = {devices}")), "{error}");
    }
}

/// The smallest alphas at the start decide the first cell: with a limit of one, any skip connection ends the search, and
/// the same whether it is interrupted at every step or not.
#[test]
fn an_early_stop_ends_the_search_and_resumes_exactly() {
    let folder = tempfile::tempdir().unwrap();
    for (name, rule, reason) in [
        ("skips", "early_stop = \"skips\"\nearly_stop_limit = 1\nalpha_learning_rate = 0.5", "skip connections"),
        ("free", "early_stop = \"parameter-free\"\nearly_stop_limit = 1", "without parameters"),
        ("stable", "early_stop = \"stable\"\nalpha_learning_rate = 1e-9", "are the same on every edge"),
    ] {
        let config = config(&format!("{rule}\nepochs = 8\nearly_stop_patience = 2\nalpha_warmup_epochs = 1"));
        let mut run = RunDir::create(folder.path().join(name), "").unwrap();
        let whole = finish(&config, &mut run);
        let why = whole.early_stop.clone().unwrap_or_else(|| panic!("{name}: it went on to the end"));
        assert!(why.contains(reason) && why.contains("2 epochs running"), "{why}");
        let events = read_events(&run.path().join("events.jsonl")).unwrap();
        let rests: Vec<bool> = events
            .iter()
            .filter_map(|e| if let Event::Epoch(epoch) = e { Some(epoch.alpha_rests) } else { None })
            .collect();
        assert!(rests.len() >= 3 && rests.len() < 8, "{name} took {} epochs", rests.len());
        assert!(rests[0] && rests[1..].iter().all(|&rests| !rests));
        assert!(events.iter().any(|e| matches!(e, Event::EarlyStop { .. })));
        if whole.genotype != last_genotype(&events) {
            let skips = whole.cells.cells[0].count(|c| c.operation.name == "skip_connect");
            assert_eq!((name, skips), ("skips", 0), "another cell than the last epoch's must be within the limit");
        }

        let path = folder.path().join(format!("{name}-parts"));
        let mut run = RunDir::create(&path, "").unwrap();
        let parts = loop {
            let interrupt = Interrupt::default();
            let stop = interrupt.clone();
            let mut observer = move |event: &Event| {
                if matches!(event, Event::Step(_) | Event::EarlyStop { .. }) {
                    stop.request();
                }
            };
            match search(&config, &digits(), &mut run, &mut observer, &interrupt, &Device::flex()).unwrap() {
                Outcome::Finished(result) => break *result,
                Outcome::Interrupted { .. } => drop(run),
            }
            run = RunDir::open(&path).unwrap();
        };
        assert_eq!(parts, whole, "{name}");
    }
}

/// Alarms are events of the log, given once, and the same whether the search is interrupted or not; alpha that moves gives
/// none.
#[test]
fn alarms_are_given_once_and_survive_an_interruption() {
    let folder = tempfile::tempdir().unwrap();
    let alarms = |events: &[Event]| -> Vec<(usize, Alarm)> {
        let of = |event: &Event| match event {
            Event::Alarm { epoch, alarm, message, .. } => {
                assert!(message.contains("--"), "what can be done: {message}");
                Some((*epoch, *alarm))
            }
            _ => None,
        };
        events.iter().filter_map(of).collect()
    };
    let short = "epochs = 8\nmax_steps_per_epoch = 1\nselection = \"argmax\"";
    let healthy = config(&format!("{short}\nalpha_learning_rate = 0.5"));
    let mut run = RunDir::create(folder.path().join("healthy"), "").unwrap();
    finish(&healthy, &mut run);
    let logged = read_events(&run.path().join("events.jsonl")).unwrap();
    assert!(!alarms(&logged).iter().any(|(_, alarm)| *alarm == Alarm::Flat), "{:?}", alarms(&logged));

    let flat = config(&format!("{short}\nalpha_learning_rate = 1e-9"));
    let mut run = RunDir::create(folder.path().join("flat"), "").unwrap();
    finish(&flat, &mut run);
    let whole = alarms(&read_events(&run.path().join("events.jsonl")).unwrap());
    assert!(whole.contains(&(3, Alarm::Flat)), "once half of the search is over: {whole:?}");
    let path = folder.path().join("parts");
    let mut run = RunDir::create(&path, "").unwrap();
    loop {
        let interrupt = Interrupt::default();
        interrupt.request();
        match search(&flat, &digits(), &mut run, &mut Silent, &interrupt, &Device::flex()).unwrap() {
            Outcome::Interrupted { step: 8 } => break,
            Outcome::Interrupted { .. } => {}
            Outcome::Finished(_) => panic!("it was asked to stop"),
        }
        drop(run);
        run = RunDir::open(&path).unwrap();
    }
    assert_eq!(alarms(&read_events(&path.join("events.jsonl")).unwrap()), whole);
}

fn last_genotype(events: &[Event]) -> String {
    let of = |e: &Event| if let Event::Epoch(epoch) = e { Some(epoch.genotype.clone()) } else { None };
    events.iter().rev().find_map(of).unwrap()
}

/// A bound makes the cell cheaper, and the expectation comes down to it.
#[test]
fn a_tight_bound_gives_a_smaller_network() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str, extra: &str| {
        let text = format!(
            "epochs = 12\nmax_steps_per_epoch = \"auto\"\nbatch_size = 64\nlog_interval = 0\nalpha_learning_rate = 0.05\n\
             alpha_warmup_epochs = 4\n{extra}"
        );
        let config = config(&text);
        let mut run = RunDir::create(folder.path().join(name), "").unwrap();
        let result = finish(&config, &mut run);
        (result, read_events(&run.path().join("events.jsonl")).unwrap())
    };
    let (free, events) = of("free", "");
    let told = |events: &[Event]| {
        events
            .iter()
            .filter_map(|e| if let Event::Epoch(epoch) = e { Some(epoch.costs.clone()) } else { None })
            .collect::<Vec<_>>()
    };
    assert!(free.costs.is_empty() && told(&events).iter().all(Vec::is_empty));
    let limit = 6000; // what is not searched needs 4.8 thousand, 3x3 convolutions on every edge 18
    assert!(free.params > limit, "without a bound it finds {} parameters", free.params);

    let (bounded, events) = of("bounded", &format!("max_params = {limit}"));
    assert!(bounded.params <= limit && bounded.params < free.params, "{} {}", bounded.params, free.params);
    assert_eq!(bounded.costs[0].genotype, bounded.params as f64);
    let told = told(&events);
    let ratio = |i: usize| told[i][0].expected / told[i][0].limit;
    assert!(ratio(0) > 1.1 && told[0][0].penalty > 0.0, "{}", ratio(0));
    assert!(ratio(11) < ratio(4).min(1.05), "{} {}", ratio(4), ratio(11));

    let config = config("max_flops = 10");
    let mut run = RunDir::create(folder.path().join("impossible"), "").unwrap();
    let error = search(&config, &digits(), &mut run, &mut Silent, &Interrupt::default(), &Device::flex()).unwrap_err();
    assert!(error.to_string().contains("max_flops cannot be met"), "{error}");
}

/// Without its times, a search that has begun does not go on with others.
#[test]
fn lost_times_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let config = config("max_latency = 50.0");
    let mut run = RunDir::create(folder.path().join("run"), "").unwrap();
    let interrupt = Interrupt::default();
    interrupt.request();
    search(&config, &digits(), &mut run, &mut Silent, &interrupt, &Device::flex()).unwrap();
    std::fs::remove_file(run.path().join("latency.json")).unwrap();
    let error = search(&config, &digits(), &mut run, &mut Silent, &Interrupt::default(), &Device::flex()).unwrap_err();
    assert!(error.to_string().contains("latency.json is missing"), "{error}");
}
