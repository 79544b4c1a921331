use std::path::Path;

use gdas::Alpha;
use gdas::run::{
    AlphaTable, AutoPart, EpochMetrics, Event, Judgement, Places, RunDir, SearchMetrics, TrainStepMetrics,
};
use gdas::space::{CellSpace, Genotype, Space};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;

/// A search of three epochs, the second of which is over.
fn search(at: &Path, space: &str) -> RunDir {
    let mut run = RunDir::create(at, "task = \"search\"\n").expect("a run");
    let space = Space::find(space).expect("a space");
    let started = Event::Started {
        task: "search".into(),
        version: "0.1.0".into(),
        algorithm: "gdas".into(),
        space: space.name.clone(),
        data: "digits".into(),
        classes: 10,
        train_images: 100,
        held_out_images: 100,
        validation_images: 0,
        epochs: 3,
        steps_per_epoch: 10,
        parameters: 1000,
        seed: 1,
        threads: 1,
        step: 0,
    };
    run.log(&started).expect("writable");
    let logits = |cell: &CellSpace| {
        let width = cell.width();
        Alpha::from_fn(cell.edges().len(), width, |e, k| if (e + k) % width == 1 { 1.5 } else { 0.0 })
    };
    let tables: Vec<Alpha> = space.cells.iter().map(logits).collect();
    let genotype = Genotype::from_alpha(&space, &tables);
    for epoch in 0..2 {
        let alphas = tables.iter().zip(&space.cells).map(|(alpha, cell)| AlphaTable::new(&cell.name, alpha));
        run.log(&Event::Epoch(EpochMetrics {
            costs: vec![],
            epoch,
            epochs: 3,
            step: 10 * (epoch as u64 + 1),
            alphas: alphas.collect(),
            alpha_rests: false,
            genotype: genotype.to_string(),
            parameter_free: 0.5,
            redraws: 0,
            steps_per_second: 2.0,
            eta_seconds: 5.0,
            metrics: SearchMetrics {
                train_loss: 2.0 - epoch as f64,
                train_accuracy: 0.2 + 0.3 * epoch as f64,
                held_out_loss: 2.2 - epoch as f64,
                held_out_accuracy: 0.1 + 0.3 * epoch as f64,
                tau: 5.0,
                learning_rate: 0.025,
            },
        }))
        .expect("writable");
    }
    run
}

fn screen(view: &View, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a screen");
    terminal.draw(|frame| draw::draw(frame, view)).expect("drawn");
    terminal.backend().to_string()
}

fn viewed(path: &Path) -> View {
    let mut view = View::new(path.to_path_buf());
    view.unicode = true;
    view.look().expect("readable");
    view
}

#[test]
fn a_search_at_work() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("digits-1");
    let _run = search(&path, "nas-bench-201");
    insta::assert_snapshot!(screen(&viewed(&path), 100, 34));
    insta::assert_snapshot!("in_the_usual_window", screen(&viewed(&path), 80, 24));
    insta::assert_snapshot!("in_a_small_window", screen(&viewed(&path), 40, 12));
}

#[test]
fn two_cells_in_a_low_window() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("two");
    drop(search(&path, "nasnet"));
    insta::assert_snapshot!(screen(&viewed(&path), 120, 30));
}

#[test]
fn without_a_terminal_it_is_text() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("digits-1");
    drop(search(&path, "nas-bench-201"));
    insta::assert_snapshot!(text(&viewed(&path)));
}

#[test]
fn any_window_and_any_run_can_be_drawn() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("new");
    let mut run = RunDir::create(&path, "task = \"search\"\n").expect("a run");
    let mut view = viewed(&path);
    for (width, height) in [(1, 1), (20, 5), (80, 24), (300, 100)] {
        screen(&view, width, height);
    }
    run.log(&Event::Paused { step: 3 }).expect("writable");
    view.look().expect("readable");
    assert!(screen(&view, 80, 24).contains("paused"));
    let other = dir.path().join("other");
    drop(search(&other, "nasnet"));
    for (width, height) in [(1, 1), (20, 5), (40, 12), (300, 100)] {
        screen(&viewed(&other), width, height);
    }
}

/// Judging is shown candidate by candidate with the time that it takes, then its reason.
#[test]
fn judging_is_watched() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("run");
    let mut run = search(&path, "nas-bench-201");
    let mut view = viewed(&path);
    for (done, revised) in [(0, true), (1, false), (12, false)] {
        let before = view.standing.revision;
        run.log(&Event::Judging { step: 30, candidates: 48, done, eta_seconds: 65.0 }).expect("writable");
        view.look().expect("readable");
        assert_eq!(view.standing.revision != before, revised, "a page is not drawn anew for every candidate");
    }
    let standing = &view.standing;
    assert_eq!((standing.place(), standing.share()), ("judging, 12 of 48 cells".to_owned(), 0.25));
    assert!(text(&view).contains("1:05"), "{}", text(&view));
    assert!(screen(&view, 100, 34).contains("judging, 12 of 48 cells"));
    let places = Places { judge: "naswot".into(), chosen: 1.0, own: 48.0 };
    let judgement = Judgement {
        step: 30,
        genotype: "a".into(),
        loss: 0.5,
        own_loss: 0.25,
        own_genotype: Some("b".into()),
        candidates: 48,
        judges: vec![places],
    };
    let reason = judgement.reason();
    run.log(&Event::Judged(judgement)).expect("writable");
    view.look().expect("readable");
    assert!(text(&view).contains(&reason) && screen(&view, 100, 34).contains("48 candidates"), "{}", text(&view));
    assert_eq!(view.standing.judging, None);
}

#[test]
fn keys_reach_the_run() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("run");
    let mut run = RunDir::create(&path, "task = \"search\"\n").expect("a run");
    let mut view = viewed(&path);
    assert!(!view.press(KeyCode::Char('q')));
    assert!(view.press(KeyCode::Char('x')) && gdas::run::requested(&path).is_none());
    assert!(view.press(KeyCode::Char('p')));
    assert_eq!(gdas::run::requested(&path), Some(Request::Pause));
    run.log(&Event::Paused { step: 1 }).expect("writable");
    view.look().expect("readable");
    assert!(view.press(KeyCode::Char('p')));
    assert_eq!(gdas::run::requested(&path), None);
    assert!(view.press(KeyCode::Char('s')));
    assert_eq!(gdas::run::requested(&path), Some(Request::Stop));
    drop(run);
    view.look().expect("readable");
    view.press(KeyCode::Char('s'));
    assert!(view.message.contains("not running"), "{}", view.message);
}

/// What an automatic run tries, the best so far and the time left are followed, trial by trial; pauses take no time.
#[test]
fn the_trials_of_an_automatic_run_are_watched() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("photos");
    let mut run = RunDir::create(&path, "task = \"auto\"\n").expect("a run");
    let now = |run: &mut RunDir, part, doing: &str, stage: Option<&str>, best_accuracy, left_seconds| {
        let (doing, stage) = (doing.to_owned(), stage.map(str::to_owned));
        run.log(&Event::AutoProgress {
            part,
            doing,
            run: stage,
            best_accuracy,
            used_seconds: 1000.0 - left_seconds,
            left_seconds,
        })
        .expect("writable");
    };
    now(&mut run, AutoPart::Planning, "measuring how long networks take", None, None, 900.0);
    let mut view = viewed(&path);
    assert!(text(&view).contains("measuring how long networks take"), "{}", text(&view));
    drop(search(&path.join("search"), "nas-bench-201"));
    let trial = |name: &str| {
        let mut trial = RunDir::create(path.join(name), "task = \"train\"\nepochs = 3\n").expect("a run");
        trial
            .log(&Event::TrainStep(TrainStepMetrics { train_loss: 1.5, ..TrainStepMetrics::default() }))
            .expect("writable");
        trial
    };
    let first = trial("tried/1-1");
    now(&mut run, AutoPart::Trial, "trying network 1 of 3: residual, C = 16, N = 1", Some("tried/1-1"), None, 600.0);
    view.look().expect("readable");
    let before = view.standing.revision;
    drop(first);
    let mut second = trial("tried/1-2");
    now(
        &mut run,
        AutoPart::Trial,
        "trying network 2 of 3: light, C = 16, N = 1",
        Some("tried/1-2"),
        Some(0.4512),
        500.0,
    );
    view.look().expect("readable");
    assert_eq!((view.name().as_str(), view.standing.other()), ("photos/tried/1-2", "test"));
    assert!(view.standing.revision > before, "the page of the run is drawn anew");
    assert!((view.standing.share() - 0.5).abs() < 0.01, "half of the time is used: {}", view.standing.share());
    let shown = text(&view);
    for part in ["trying network 2 of 3: light", "45.12 %", "8:", "1.500"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    for width in [100, 80, 60] {
        let screen = screen(&view, width, 24);
        assert!(
            screen.contains("trying network 2 of 3: light, C = 16, N = 1") && screen.contains("45.12 %"),
            "{screen}"
        );
        assert!(screen.contains("time left 8:") && screen.contains("50 % of the time"), "{screen}");
    }
    second.log(&Event::Paused { step: 1 }).expect("writable");
    view.look().expect("readable");
    assert_eq!(view.standing.status, "paused");
    let left = |view: &View| view.standing.fields().into_iter().find(|field| field.0 == "eta").map(|field| field.2);
    let before = left(&view);
    std::thread::sleep(Duration::from_millis(1100));
    view.look().expect("readable");
    assert_eq!(left(&view), before);
    drop(second);
    run.write_result(&serde_json::json!({ "tried": [] })).expect("writable");
    drop(run);
    view.look().expect("readable");
    assert_eq!((view.standing.status, view.standing.share()), ("finished", 1.0));
    assert!(!text(&view).contains("trying"), "{}", text(&view));
}

#[test]
fn an_automatic_run_is_watched_by_its_stages() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("photos");
    drop(RunDir::create(&path, "task = \"auto\"\n").expect("a run"));
    let mut view = viewed(&path);
    assert_eq!(view.name(), "photos");
    drop(search(&path.join("search"), "nas-bench-201"));
    view.look().expect("readable");
    assert_eq!((view.name().as_str(), view.standing.epoch), ("photos/search", 3));
}
