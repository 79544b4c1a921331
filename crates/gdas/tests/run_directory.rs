//! What the run directory promises when files are damaged, disks are full and two processes want the same place.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gdas::rng::{Rng, Stream};
use gdas::run::{Array, Checkpoint, Event, Operation, RunDir, RunError, RunInfo, Storage, read_events};
use serde_json::json;

/// A checkpoint of about three quarters of `kilobytes` KiB, different for every step.
fn checkpoint(step: u64, kilobytes: usize) -> Checkpoint {
    let mut rng = Rng::new(1, Stream::Weights, step);
    let mut checkpoint = Checkpoint::new(&json!({ "step": step, "rate": 0.1 + 0.2 })).unwrap();
    let n = kilobytes * 128;
    checkpoint.insert("weights", Array::f32(&[2, n / 2], (0..n).map(|_| rng.normal() as f32).collect()));
    checkpoint.insert("sums", Array::f64(&[n / 4], (0..n / 4).map(|_| rng.normal()).collect()));
    checkpoint.insert("counts", Array::u64(&[3], vec![0, step, u64::MAX]));
    checkpoint.insert("mask", Array::u8(&[2, 2], vec![0, 1, 255, 7]));
    checkpoint.insert("odd", Array::f32(&[4], vec![f32::NAN, f32::INFINITY, -0.0, f32::MIN_POSITIVE / 2.0]));
    checkpoint
}

fn warning(message: &str) -> Event {
    Event::Warning { message: message.to_string() }
}

fn step_of(checkpoint: &Checkpoint) -> u64 {
    checkpoint.state["step"].as_u64().unwrap()
}

/// A run with two generations: step 1 in `checkpoint.0`, step 2 in `checkpoint.1`.
fn run_of_two_generations(path: &Path, kilobytes: usize) {
    let mut run = RunDir::create(path, "").unwrap();
    run.save(&checkpoint(1, kilobytes)).unwrap();
    run.save(&checkpoint(2, kilobytes)).unwrap();
}

#[test]
fn every_bit_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/run");
    run_of_two_generations(&path, 16);
    let loaded = RunDir::open(&path).unwrap().load().unwrap().unwrap();
    assert!(loaded.warnings.is_empty());
    let mut back = loaded.checkpoint;
    let mut expected = checkpoint(2, 16);
    let bits = |c: &mut Checkpoint| c.take_f32("odd", &[4]).unwrap().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&mut back), bits(&mut expected));
    assert_eq!(back, expected);

    assert!(back.take_f32("nothing", &[1]).unwrap_err().to_string().contains("nothing"));
    assert!(back.take_f32("counts", &[3]).unwrap_err().to_string().contains("u64"));
    assert!(back.take_f64("sums", &[1]).unwrap_err().to_string().contains("shape"));
}

#[test]
fn a_checkpoint_cut_anywhere_falls_back_to_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    run_of_two_generations(&path, 512);
    let whole = fs::read(path.join("checkpoint.1")).unwrap();
    let places = (0..whole.len()).step_by(4096).chain([1, 7, 8, 47, 48, 79, 80, whole.len() - 32, whole.len() - 1]);
    let mut tried = 0;
    for place in places {
        fs::write(path.join("checkpoint.1"), &whole[..place]).unwrap();
        let loaded = RunDir::open(&path).unwrap().load().unwrap().unwrap();
        assert_eq!(step_of(&loaded.checkpoint), 1, "cut at {place}");
        assert!(loaded.warnings[0].contains("checkpoint.1"), "cut at {place}: {:?}", loaded.warnings);
        tried += 1;
    }
    assert!(tried > 100, "{tried}");
}

/// Once, events went into a file that nobody could read any more until the next checkpoint failed.
#[cfg(unix)]
#[test]
fn a_directory_deleted_moved_or_replaced_is_noticed_at_the_next_event() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 3] = [
        ("deleted", |path| fs::remove_dir_all(path).unwrap()),
        ("moved", |path| fs::rename(path, path.with_extension("elsewhere")).unwrap()),
        ("replaced", |path| {
            fs::remove_dir_all(path).unwrap();
            RunDir::create(path, "").unwrap();
        }),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (name, change) in changes {
        let path = dir.path().join(name);
        let mut run = RunDir::create(&path, "").unwrap();
        run.log(&warning("before")).unwrap();
        change(&path);
        let error = run.log(&warning("after")).unwrap_err();
        assert!(matches!(&error, RunError::Gone(gone) if *gone == path), "{name}: {error}");
        assert!(error.to_string().contains("deleted or moved"), "{name}: {error}");
        assert!(matches!(run.save(&checkpoint(1, 16)), Err(RunError::Gone(_))), "{name}");
        if name == "replaced" {
            assert_eq!(read_events(&path.join("events.jsonl")).unwrap(), [], "the new run is left alone");
        }
    }
}

#[test]
fn a_thousand_flipped_bits_are_each_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    run_of_two_generations(&path, 16);
    let whole = fs::read(path.join("checkpoint.1")).unwrap();
    let mut rng = Rng::new(2, Stream::Weights, 0);
    for _ in 0..1000 {
        let (byte, bit) = (rng.below(whole.len()), rng.below(8));
        let mut damaged = whole.clone();
        damaged[byte] ^= 1 << bit;
        fs::write(path.join("checkpoint.1"), &damaged).unwrap();
        let loaded = RunDir::open(&path).unwrap().load().unwrap().unwrap();
        assert_eq!((step_of(&loaded.checkpoint), loaded.warnings.len()), (1, 1), "byte {byte}, bit {bit}");
    }
    // The damaged file is the one that the next save replaces.
    let mut run = RunDir::open(&path).unwrap();
    run.save(&checkpoint(3, 16)).unwrap();
    drop(run);
    let loaded = RunDir::open(&path).unwrap().load().unwrap().unwrap();
    assert_eq!((step_of(&loaded.checkpoint), loaded.warnings.len()), (3, 0));
    assert_eq!(step_of(&load_one(&path, "checkpoint.0")), 1);
}

/// Loads a single generation by hiding the other.
fn load_one(path: &Path, name: &str) -> Checkpoint {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    drop(RunDir::create(&run, "").unwrap());
    fs::copy(path.join(name), run.join(name)).unwrap();
    RunDir::open(&run).unwrap().load().unwrap().unwrap().checkpoint
}

/// Content that a checksum protects can still be wrong: a writer with a fault, or a forger who knows the format.
#[test]
fn nonsense_under_a_good_checksum_is_an_error_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let mut run = RunDir::create(&path, "").unwrap();
    run.save(&checkpoint(1, 1)).unwrap();
    drop(run);
    let whole = fs::read(path.join("checkpoint.0")).unwrap();
    let content = &whole[..whole.len() - 32];
    let mut rng = Rng::new(3, Stream::Weights, 0);
    let mut refused = 0;
    for round in 0..3000 {
        let mut forged = content.to_vec();
        // Mostly the header, the state and the head of the arrays, where lengths and names are.
        let place = if round % 2 == 0 { rng.below(48) } else { rng.below(content.len().min(600)) };
        forged[place] = rng.next_u32() as u8;
        if round % 3 == 0 {
            forged.truncate(rng.below(forged.len()));
        }
        forged.extend(blake3::hash(&forged).as_bytes());
        fs::write(path.join("checkpoint.0"), &forged).unwrap();
        refused += usize::from(RunDir::open(&path).unwrap().load().is_err());
    }
    assert!(refused > 1000, "{refused}");
}

#[test]
fn a_newer_format_is_told_apart_from_damage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    run_of_two_generations(&path, 1);
    let mut file = fs::read(path.join("checkpoint.1")).unwrap();
    file.truncate(file.len() - 32);
    file[8] = 9;
    file.extend(blake3::hash(&file).as_bytes());
    fs::write(path.join("checkpoint.1"), &file).unwrap();
    let error = RunDir::open(&path).unwrap().load().unwrap_err();
    assert!(matches!(error, RunError::Version { found: 9, known: 1, .. }), "{error}");
}

#[test]
fn two_damaged_checkpoints_are_an_error_that_names_both() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    run_of_two_generations(&path, 1);
    fs::write(path.join("checkpoint.0"), b"").unwrap();
    fs::write(path.join("checkpoint.1"), vec![7; 5000]).unwrap();
    let error = RunDir::open(&path).unwrap().load().unwrap_err().to_string();
    assert!(error.contains("checkpoint.0") && error.contains("checkpoint.1"), "{error}");
    // Nor does a save then pretend that there was nothing: it fails too, and touches neither file.
    assert!(RunDir::open(&path).unwrap().save(&checkpoint(3, 1)).is_err());
    assert_eq!(fs::read(path.join("checkpoint.1")).unwrap(), vec![7; 5000]);
}

/// Lets every operation of a save fail in turn, and looks at what a later process finds.
#[test]
fn whichever_write_fails_the_last_good_state_stays() {
    let dir = tempfile::tempdir().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counting = {
        let count = Arc::clone(&count);
        Storage::with_fault(move |_, _| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
    };
    let path = dir.path().join("counted");
    run_of_two_generations(&path, 512);
    let mut run = RunDir::open_on(counting, &path).unwrap();
    run.log(&warning("three")).unwrap();
    run.save(&checkpoint(3, 512)).unwrap();
    let operations = count.load(Ordering::Relaxed);
    assert!(operations > 12, "{operations}");

    for n in 0..operations {
        let path = dir.path().join(format!("run{n}"));
        run_of_two_generations(&path, 512);
        let failed = RunDir::open_on(Storage::full_after(n), &path).and_then(|mut run| {
            run.log(&warning("three"))?;
            run.save(&checkpoint(3, 512))
        });
        let error = failed.unwrap_err();
        assert!(matches!(error, RunError::Io { .. }), "{error}");
        assert!(error.to_string().contains("no space") && error.to_string().contains("free some space"), "{error}");

        let mut run = RunDir::open(&path).unwrap();
        let loaded = run.load().unwrap().unwrap();
        assert!(loaded.warnings.is_empty(), "operation {n}: {:?}", loaded.warnings);
        // Step 3 can be there whole where only the last operation, making its name durable, failed.
        let step = step_of(&loaded.checkpoint);
        assert!(step == 2 || (step == 3 && n == operations - 1), "operation {n}: step {step}");
        run.save(&checkpoint(4, 512)).unwrap();
        assert_eq!(step_of(&run.load().unwrap().unwrap().checkpoint), 4);
    }
}

#[test]
fn a_run_goes_on_after_a_failed_save_in_the_same_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let failing = Arc::new(AtomicUsize::new(0));
    let storage = {
        let failing = Arc::clone(&failing);
        Storage::with_fault(move |operation, _| {
            let fails = operation == Operation::Rename && failing.load(Ordering::Relaxed) == 1;
            if fails { Err(std::io::Error::other("injected")) } else { Ok(()) }
        })
    };
    let mut run = RunDir::create_on(storage, &path, "").unwrap();
    run.save(&checkpoint(1, 1)).unwrap();
    failing.store(1, Ordering::Relaxed);
    assert!(run.save(&checkpoint(2, 1)).is_err());
    failing.store(0, Ordering::Relaxed);
    run.save(&checkpoint(3, 1)).unwrap();
    assert_eq!(step_of(&load_one(&path, "checkpoint.0")), 1);
    assert_eq!(step_of(&load_one(&path, "checkpoint.1")), 3);
    assert!(!path.join("checkpoint.1.tmp").exists());
}

#[test]
fn a_failing_log_line_leaves_no_half_of_itself() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    drop(RunDir::create(&path, "").unwrap());
    // Operation 0 opens the log, 1 and 2 write a line each, 3 fails.
    let mut run = RunDir::open_on(Storage::full_after(3), &path).unwrap();
    run.log(&warning("one")).unwrap();
    run.log(&warning("two")).unwrap();
    assert!(run.log(&warning("three")).is_err());
    assert_eq!(read_events(&path.join("events.jsonl")).unwrap(), [warning("one"), warning("two")]);
}

#[test]
fn the_log_is_cut_back_to_the_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let mut run = RunDir::create(&path, "").unwrap();
    run.log(&warning("before")).unwrap();
    run.save(&checkpoint(1, 1)).unwrap();
    run.log(&warning("after")).unwrap();
    drop(run);
    let events = path.join("events.jsonl");
    let torn = [fs::read(&events).unwrap(), b"{\"event\":\"st".to_vec()].concat();
    fs::write(&events, torn).unwrap();

    let mut run = RunDir::open(&path).unwrap();
    run.load().unwrap().unwrap();
    run.log(&warning("again")).unwrap();
    drop(run);
    assert_eq!(read_events(&events).unwrap(), [warning("before"), warning("again")]);

    // A log that lost its end is no reason to stop.
    let text = fs::read(&events).unwrap();
    fs::write(&events, &text[..10]).unwrap();
    let mut run = RunDir::open(&path).unwrap();
    let loaded = run.load().unwrap().unwrap();
    assert!(loaded.warnings[0].contains("lost its end"), "{:?}", loaded.warnings);
    run.log(&warning("anew")).unwrap();
    assert_eq!(read_events(&events).unwrap(), [warning("anew")]);
}

#[test]
fn a_run_before_its_first_checkpoint_starts_its_log_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let mut run = RunDir::create(&path, "x = 1\n").unwrap();
    run.log(&warning("lost")).unwrap();
    drop(run);
    let mut run = RunDir::open(&path).unwrap();
    assert!(run.load().unwrap().is_none());
    assert_eq!(run.config().unwrap(), "x = 1\n");
    assert!(read_events(&path.join("events.jsonl")).unwrap().is_empty());
}

#[test]
fn a_second_user_of_a_run_is_turned_away_with_the_name_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let run = RunDir::create(&path, "").unwrap();
    for second in [RunDir::open(&path), RunDir::create(&path, "")] {
        let error = second.err().unwrap();
        assert!(matches!(error, RunError::Locked { .. }), "{error}");
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    }
    assert_eq!(RunInfo::read(&path).unwrap().status, "running");
    drop(run);
    assert_eq!(RunInfo::read(&path).unwrap().status, "stopped");
    assert!(matches!(RunDir::create(&path, "").err().unwrap(), RunError::Exists(_)));
    assert!(matches!(RunDir::open(dir.path().join("nowhere")).err().unwrap(), RunError::Missing(_)));
    RunDir::open(&path).unwrap().write_result(&json!({ "genotype": "x" })).unwrap();
    assert_eq!(RunInfo::read(&path).unwrap().status, "finished");
}

#[cfg(unix)]
#[test]
fn a_directory_that_cannot_be_written_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(dir.path().join("probe"), b"").is_err() {
        let error = RunDir::create(dir.path().join("run"), "").err().unwrap().to_string();
        assert!(error.contains("run") && error.contains("--runs"), "{error}");
    } else {
        eprintln!("half skipped: this user may write into read-only directories");
    }
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = RunDir::create(file.join("run"), "").err().unwrap().to_string();
    assert!(error.contains("cannot create") && error.contains("file"), "{error}");
}
