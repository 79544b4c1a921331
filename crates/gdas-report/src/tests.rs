//! The page as a whole, from run directories as a search and a training leave them.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;
use gdas::rng::{Rng, Stream};
use gdas::run::{
    Alarm, AlphaTable, EpochMetrics, Event, Judgement, Places, RunDir, SearchMetrics, TestFacts, TestRecord,
    TrainEpochMetrics,
};
use gdas::space::{Genotype, Space};
use gdas::{Alpha, Answer, Answers, Mistake};
use gdas_nasbench::Table;

fn started(task: &str, space: &str, epochs: usize, step: u64) -> Event {
    Event::Started {
        task: task.into(),
        version: "0.1.0".into(),
        algorithm: "gdas".into(),
        space: space.into(),
        data: "cifar10".into(),
        classes: 10,
        train_images: 25_000,
        held_out_images: 25_000,
        validation_images: 0,
        epochs,
        steps_per_epoch: 390,
        parameters: 1_000_000,
        seed: 1,
        threads: 2,
        step,
    }
}

/// A run directory of a search, with an interruption, a warning and alphas that move.
fn search_run(at: &Path, space: &str, epochs: usize, finished: bool) -> RunData {
    let config =
        format!("task = \"search\"\nspace = \"{space}\"\nseed = 1\nimage_size = 32\ndata = \"<script>alert(1)\"\n");
    let mut run = RunDir::create(at, &config).unwrap();
    let of = Space::find(space).unwrap();
    let mut rng = Rng::new(3, Stream::Alpha, 0);
    let mut tables: Vec<Alpha> = of.cells.iter().map(|cell| Alpha::zeros(cell.edges().len(), cell.width())).collect();
    run.log(&started("search", space, epochs, 0)).unwrap();
    let mut last = String::new();
    for epoch in 0..epochs {
        let time = epoch as f64 / epochs as f64;
        for alpha in tables.iter_mut().flat_map(Alpha::values_mut) {
            *alpha += 0.3 * rng.normal();
        }
        let genotype = Genotype::from_alpha(&of, &tables);
        last = genotype.to_string();
        run.log(&Event::Epoch(EpochMetrics {
            epoch,
            epochs,
            step: 390 * (epoch as u64 + 1),
            alpha_rests: false,
            alphas: tables.iter().zip(&of.cells).map(|(alpha, cell)| AlphaTable::new(&cell.name, alpha)).collect(),
            costs: vec![],
            genotype: last.clone(),
            parameter_free: genotype.parameter_free_share(),
            redraws: 0,
            steps_per_second: 3.0 + 0.1 * rng.uniform(),
            eta_seconds: 10.0,
            metrics: SearchMetrics {
                train_loss: 2.3 * (-2.0 * time).exp(),
                train_accuracy: 0.1 + 0.8 * time,
                held_out_loss: 2.3 * (-1.7 * time).exp(),
                held_out_accuracy: 0.1 + 0.7 * time,
                tau: 10.0 - 9.9 * time,
                learning_rate: 0.025 * (1.0 - time),
            },
        }))
        .unwrap();
        if epoch == epochs / 2 {
            run.log(&Event::Warning { message: "half of the edges are skip connections & pools".into() }).unwrap();
            run.log(&Event::Interrupted { step: 500 }).unwrap();
            run.log(&started("search", space, epochs, 500)).unwrap();
        }
    }
    if finished {
        let event = Event::Finished { step: 390 * epochs as u64, genotype: last, accuracy: Some(0.8), seconds: 4000.0 };
        run.log(&event).unwrap();
        run.write_result(&serde_json::json!({ "accuracy": 0.8 })).unwrap();
    }
    drop(run);
    RunData::read(at).unwrap()
}

/// Answers to 200 images of this size and number of classes, every fifth wrong.
fn tested(image: [usize; 3], classes: u64) -> TestRecord {
    let mut answers = Answers::default();
    let mut rng = Rng::new(5, Stream::Alpha, 0);
    for index in 0..200 {
        let (label, wrong) = (index % classes, index % 5 == 0);
        let answer = if wrong { (label + 1) % classes } else { label };
        let confidence = (0.3 + 0.7 * rng.uniform()) as f32;
        let probability = if wrong { 0.5 * (1.0 - confidence) } else { confidence };
        let answer = Answer { index, label, answer, confidence, probability };
        answers.calibration.add(confidence, !wrong);
        answers.kept.push(answer);
        if wrong && answers.mistakes.len() < 24 {
            let pixels = (0..image.iter().product()).map(|i: usize| (i as u64 * 7 + index) as u8).collect();
            let top = vec![(answer.answer, confidence), (label, probability), ((label + 2) % classes, 0.0001)];
            answers.mistakes.push(Mistake { answer, loss: -probability.ln(), top, pixels });
        }
    }
    let facts = TestFacts {
        data: "cifar10".into(),
        image,
        params: 73_306,
        multiply_adds: 7_783_808,
        weight_bytes: 300_000,
        ..TestFacts::default()
    };
    TestRecord { facts, answers }
}

fn training_run(at: &Path) -> RunData {
    recorded_run(at, [32, 32, 3], 10)
}

fn recorded_run(at: &Path, image: [usize; 3], classes: u64) -> RunData {
    let path = unrecorded_run(at, classes).info.path;
    let mut open = RunDir::open(&path).unwrap();
    open.write_test(&tested(image, classes)).unwrap();
    open.log(&Event::Tested {
        step: 0,
        images: 200,
        calibration_error: 0.1,
        images_per_second: 1234.0,
        latency_seconds: Some(0.00125),
    })
    .unwrap();
    drop(open);
    RunData::read(&path).unwrap()
}

/// A training as a build before the record of its test left it.
fn unrecorded_run(at: &Path, classes: u64) -> RunData {
    let config = "task = \"train\"\nchannels = 16\ncells = 2\nimage_size = 32\n";
    let mut run = RunDir::create(at, config).unwrap();
    run.log(&started("train", "nas-bench-201", 12, 0)).unwrap();
    for epoch in 0..12 {
        let time = epoch as f64 / 12.0;
        run.log(&Event::TrainEpoch(TrainEpochMetrics {
            epoch,
            epochs: 12,
            step: 390 * (epoch as u64 + 1),
            train_loss: 2.3 - 2.0 * time,
            train_accuracy: 0.1 + 0.8 * time,
            test_loss: (epoch % 3 == 2).then_some(2.3 - 1.5 * time),
            test_accuracy: (epoch % 3 == 2).then_some(0.1 + 0.7 * time),
            test_top5: (epoch % 3 == 2).then_some(0.5 + 0.4 * time),
            validation_loss: None,
            validation_accuracy: None,
            learning_rate: 0.1 * (1.0 - time),
            drop_path: 0.2 * time,
            steps_per_second: 4.0,
            eta_seconds: 1.0,
        }))
        .unwrap();
    }
    let genotype = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|".to_owned();
    run.log(&Event::Finished { step: 4680, genotype, accuracy: Some(0.75), seconds: 61.0 }).unwrap();
    let names: Vec<String> = (0..classes).map(|class| format!("class <{class}>")).collect();
    run.write_result(&serde_json::json!({ "accuracy": 0.75, "classes": names })).unwrap();
    drop(run);
    RunData::read(at).unwrap()
}

fn pages(at: &Path) -> Vec<(&'static str, Vec<RunData>)> {
    let benchmark = search_run(&at.join("cifar10-1"), "nas-bench-201", 25, true);
    let nasnet = search_run(&at.join("nasnet run"), "nasnet", 12, false);
    let training = training_run(&at.join("trained"));
    let grey = recorded_run(&at.join("grey"), [28, 28, 1], 40);
    let old = unrecorded_run(&at.join("of-an-early-build"), 10);
    let short = search_run(&at.join("short"), "nasnet-frc", 1, true);
    let all = vec![benchmark.clone(), nasnet.clone(), training.clone()];
    let many = ["nas-bench-201", "nasnet", "nasnet-frc"].iter().cycle().take(10).enumerate();
    let many = many.map(|(i, space)| search_run(&at.join(format!("one-of-many-runs-{i}")), space, 4 + i, i != 3));
    vec![
        ("benchmark", vec![benchmark]),
        ("nasnet", vec![nasnet]),
        ("training", vec![training]),
        ("grey", vec![grey]),
        ("old", vec![old]),
        ("short", vec![short]),
        ("all", all),
        ("many", many.collect()),
    ]
}

#[test]
fn page_holds_every_figure_and_fetches_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for (name, runs) in pages(dir.path()) {
        let html = html::page(&runs, None);
        // The scripts below the footer are the program's own; the page's policy lets them fetch nothing.
        assert!(html.contains("default-src 'none'"));
        let html = html.split("<footer>").next().unwrap();
        for forbidden in ["http://", "https://", "src=\"", "@import", "url("] {
            let html = html.replace("src=\"data:image/png;base64,", "");
            let count = html.matches(forbidden).count()
                - html.matches("xmlns=\"http://www.w3.org/2000/svg\"").count() * usize::from(forbidden == "http://");
            assert_eq!(count, 0, "{name}: {forbidden}");
        }
        assert!(!html.contains("<script>alert"), "{name}: text from a run must be escaped");
        assert!(!html.contains("NaN") && !html.contains("inf,"), "{name}");
        for run in &runs {
            let alphas = run.heat_maps().len();
            assert!(
                html.matches("<figure").count()
                    >= run.curves().len() + alphas + usize::from(run.info.genotype.is_some())
            );
        }
    }
}

#[test]
fn an_epoch_done_again_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("run");
    let mut run = search_run(&at, "nas-bench-201", 3, false);
    let mut again = RunDir::open(&at).unwrap();
    let events = gdas::run::RunInfo::events(&at).unwrap();
    let mut event = events.into_iter().rev().find(|e| matches!(e, Event::Epoch(_))).unwrap();
    if let Event::Epoch(epoch) = &mut event {
        (epoch.epoch, epoch.metrics.held_out_accuracy) = (1, 0.5);
    }
    again.log(&event).unwrap();
    drop(again);
    assert_eq!(run.epochs.len(), 3);
    run = RunData::read(&at).unwrap();
    let kept: Vec<_> = run.epochs.iter().map(|e| (e.number(), e.other_accuracy())).collect();
    assert_eq!(kept.len(), 2);
    assert_eq!(kept[1], (1, Some(0.5)));
}

/// The curves of a judged search end where alpha ended; the page says which cell the judges took instead, and why.
#[test]
fn the_page_says_why_a_judged_cell_was_chosen() {
    const FREE: &str = "|skip_connect~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|skip_connect~2|";
    const CHOSEN: &str = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|avg_pool_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|";
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("run");
    search_run(&at, "nas-bench-201", 3, false);
    let judgement = Judgement {
        step: 1170,
        genotype: CHOSEN.into(),
        loss: 0.5,
        own_loss: 0.25,
        own_genotype: Some(FREE.into()),
        candidates: 100,
        judges: vec![
            Places { judge: "loss".into(), chosen: 33.0, own: 1.0 },
            Places { judge: "synflow".into(), chosen: 2.0, own: 98.5 },
        ],
    };
    let mut run = RunDir::open(&at).unwrap();
    run.log(&Event::Judged(judgement)).unwrap();
    drop(run);
    let run = RunData::read(&at).unwrap();
    let page = html::page(std::slice::from_ref(&run), None);
    let section = page.split("<h2>Why this cell</h2>").nth(1).unwrap().split("</section>").next().unwrap();
    for part in
        ["100 candidates", "other judges outweigh", "place by synflow", "98.5", "99.5", "33.33 %", "100.00 %", FREE]
    {
        assert!(section.contains(part), "{part}: {section}");
    }
    let curves = run.curves();
    let (_, free) = curves.iter().find(|(name, _)| *name == "parameter-free").unwrap();
    let chosen = &free.series[1];
    assert_eq!((chosen.points.len(), chosen.points[0].0), (1, 3.0), "one mark after the last epoch");
    assert!((chosen.points[0].1 - 2.0 / 6.0).abs() < 1e-9 && chosen.name.contains("chosen"));
    assert!(!page.contains("class=\"alarm\""), "alpha moves here");
}

/// An alarm stands at the top of the page of any log in which its condition holds at the end.
#[test]
fn the_page_shows_the_alarms_that_stand() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("run");
    let mut run = RunDir::create(&at, "task = \"search\"\nalgorithm = \"gdas\"\n").unwrap();
    run.log(&started("search", "nas-bench-201", 8, 0)).unwrap();
    let cell = "|avg_pool_3x3~0|+|avg_pool_3x3~0|none~1|+|avg_pool_3x3~0|none~1|skip_connect~2|";
    for epoch in 0..8 {
        run.log(&Event::Epoch(EpochMetrics {
            epoch,
            epochs: 8,
            step: 390 * (epoch as u64 + 1),
            alpha_rests: false,
            alphas: vec![AlphaTable { name: "cell".into(), alphas: vec![vec![0.0, 0.0, 0.0, 0.0, 0.01]; 6] }],
            costs: vec![],
            genotype: cell.into(),
            parameter_free: 1.0,
            redraws: 0,
            steps_per_second: 3.0,
            eta_seconds: 10.0,
            metrics: SearchMetrics {
                train_loss: 2.0,
                train_accuracy: 0.2,
                held_out_loss: 2.0,
                held_out_accuracy: 0.2,
                tau: 1.0,
                learning_rate: 0.025,
            },
        }))
        .unwrap();
    }
    drop(run);
    let run = RunData::read(&at).unwrap();
    assert_eq!(run.alarms.iter().map(|(alarm, _)| *alarm).collect::<Vec<_>>(), [Alarm::ParameterFree, Alarm::Flat]);
    let page = html::page(std::slice::from_ref(&run), None);
    assert_eq!(page.matches("class=\"alarm\"").count(), 2);
    assert!(page.contains("hardly more than chance") && page.contains("--selection judged"));
    let (_, entropy) = run.curves().into_iter().find(|(name, _)| *name == "entropy").unwrap();
    assert!(entropy.series[0].points.iter().all(|point| (0.999..1.0).contains(&point.1)), "{entropy:?}");
}

/// With a table the page draws what that knows of alpha's cells, and the files have the drawings.
#[test]
fn a_trajectory_is_drawn_from_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let run = search_run(&dir.path().join("run"), "nas-bench-201", 4, true);
    let cells: std::collections::BTreeSet<String> =
        run.epochs.iter().filter_map(|e| e.genotype().map(str::to_owned)).collect();
    let mut csv = "index,architecture,cifar10_test_200,cifar100_test_200\n".to_owned();
    for (i, cell) in cells.iter().enumerate() {
        csv.push_str(&[i.to_string(), cell.clone(), (90 + i).to_string(), (70 + i).to_string()].join(","));
        csv.push(char::from(10));
    }
    std::fs::write(dir.path().join("table.csv"), csv).unwrap();
    let table = Table::open(dir.path().join("table.csv")).unwrap();
    let page = html::page(std::slice::from_ref(&run), Some(&table));
    assert!(page.contains("in the NAS-Bench-201 table, epoch by epoch") && page.contains("run-trajectory-rank"));
    let written = write(&dir.path().join("out"), &[run], Some(&table), true).unwrap();
    for name in ["run-trajectory-accuracy.svg", "run-trajectory-rank.png"] {
        assert!(written.iter().any(|path| path.ends_with(name)), "{name} is not among {written:?}");
    }
}

#[test]
fn files_beside_the_page() {
    let dir = tempfile::tempdir().unwrap();
    let run = search_run(&dir.path().join("a/b c"), "nas-bench-201", 3, true);
    let out = dir.path().join("report");
    let written = write(&out, &[run], None, true).unwrap();
    let names: Vec<String> = written.iter().map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(names[0], "report.html");
    for name in [
        "b-c-cell.png",
        "b-c-alpha-cell-05.png",
        "b-c-cell.svg",
        "b-c-loss.svg",
        "b-c-alpha-cell-05.svg",
        "b-c-epochs.csv",
        "b-c-alphas.csv",
    ] {
        assert!(names.iter().any(|n| n == name), "{name} is not among {names:?}");
    }
    let epochs = std::fs::read_to_string(out.join("b-c-epochs.csv")).unwrap();
    assert_eq!(epochs.lines().count(), 4);
    let alphas = std::fs::read_to_string(out.join("b-c-alphas.csv")).unwrap();
    assert_eq!(alphas.lines().count(), 1 + 3 * 6 * 5);
    assert!(alphas.contains("state 0 \u{2192} 1,nor_conv_3x3"));
}

/// The page of a trained network says how its test went, with the numbers of the record.
#[test]
fn the_page_shows_the_test_of_a_trained_network() {
    let dir = tempfile::tempdir().unwrap();
    let run = training_run(&dir.path().join("run"));
    let page = html::page(std::slice::from_ref(&run), None);
    let Ok(Some(record)) = &run.test else { panic!("{:?}", run.test) };
    let error = format!("{:.2} %", 100.0 * record.answers.calibration.expected_error().unwrap());
    assert!(page.contains(&format!("expected calibration error is <b>{error}</b>")), "{error}");
    assert_eq!(page.matches("src=\"data:image/png").count(), 24);
    for part in [
        "class &lt;0&gt;",
        "&lt;0.1\u{a0}%",
        "image 0, loss",
        "1.2 k",
        "1.25 ms",
        "73.3 k",
        "Bin by bin",
        "figure class=\"bins\"",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // Beside other runs, there would be too many images.
    let both = html::page(&[run.clone(), recorded_run(&dir.path().join("other"), [8, 8, 1], 100)], None);
    assert!(!both.contains("src=\"data:image/png") && both.contains("The page of this run alone shows them"));
    let written = write(&dir.path().join("out"), &[run], None, true).unwrap();
    let predictions = written.iter().find(|path| path.ends_with("predictions.csv")).unwrap();
    assert_eq!(std::fs::read_to_string(predictions).unwrap().lines().count(), 201);
    for name in ["run-reliability.svg", "run-reliability.png"] {
        assert!(written.iter().any(|path| path.ends_with(name)), "{name}");
    }
}

#[test]
fn a_page_without_a_record_says_how_to_get_one() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("run");
    let page = html::page(&[unrecorded_run(&at, 10)], None);
    assert!(page.contains("gdas evaluate run") && !page.contains("class=\"bins\""));
    std::fs::write(at.join("test.safetensors"), "nonsense").unwrap();
    let page = html::page(&[RunData::read(&at).unwrap()], None);
    assert!(page.contains("test.safetensors is damaged") && page.contains("writes it again"), "{page}");
    let search = search_run(&dir.path().join("search"), "nas-bench-201", 3, true);
    assert!(!html::page(&[search], None).contains("gdas evaluate"), "a search has nothing to test");
}

/// Two dozen images of the largest size that is read, as noisy as can be, are a page that can be sent.
#[test]
fn a_page_with_large_images_stays_small() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("run");
    drop(unrecorded_run(&at, 10));
    let mut record = tested([224, 224, 3], 10);
    let mut rng = Rng::new(7, Stream::Alpha, 0);
    for mistake in &mut record.answers.mistakes {
        mistake.pixels.iter_mut().for_each(|pixel| *pixel = (256.0 * rng.uniform()) as u8);
    }
    RunDir::open(&at).unwrap().write_test(&record).unwrap();
    let page = html::page(&[RunData::read(&at).unwrap()], None);
    assert!(page.matches("src=\"data:image/png").count() == 24 && page.len() < 2_000_000, "{}", page.len());
}

/// Long searches of a large space, side by side, are a page that can be sent: their heat maps are on the pages of their own.
#[test]
fn a_page_of_many_long_searches_stays_small() {
    let dir = tempfile::tempdir().unwrap();
    let runs: Vec<RunData> =
        (0..20).map(|i| search_run(&dir.path().join(format!("run-{i}")), "nasnet", 60, true)).collect();
    let page = html::page(&runs, None);
    assert!(page.len() < 3_000_000, "{}", page.len());
    assert!(page.contains("the page of this run alone shows it") && !page.contains("class=\"heatmap\""));
    let few = html::page(&runs[..2], None);
    assert_eq!(few.matches("class=\"heatmap\"").count(), 4, "two of each run");
}

/// The rendered pages: nothing empty, nothing overlapping, nothing cut off, no console errors, light and dark, wide and
/// narrow. Skipped where there is no Chromium (`chromium`, or what `GDAS_CHROMIUM` names) or no Python 3. With
/// `GDAS_KEEP=DIR` pages and screenshots stay there.
#[test]
fn rendered_pages_are_clean() {
    let named = std::env::var_os("GDAS_CHROMIUM");
    let chromium = named.clone().unwrap_or_else(|| "chromium".into());
    for program in [chromium.as_os_str(), "python3".as_ref()] {
        if let Err(error) = Command::new(program).arg("--version").output() {
            assert!(named.is_none(), "{}: {error}", program.display());
            eprintln!("skipped: no page is looked at without {} ({error})", program.display());
            return;
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/check_report.py");
    let keep = std::env::var_os("GDAS_KEEP").map(PathBuf::from);
    for (name, runs) in pages(dir.path()) {
        let out = keep.as_deref().unwrap_or(dir.path()).join(format!("page-{name}"));
        write(&out, &runs, None, false).unwrap();
        let mut look = Command::new("python3");
        look.arg(&script).arg(out.join("report.html"));
        if keep.is_some() {
            look.arg("--screenshots");
        }
        let output = look.output().unwrap();
        println!("{name}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{name}");
    }
}

#[test]
fn a_run_is_told_apart_in_every_chart() {
    let dir = tempfile::tempdir().unwrap();
    let (_, many) = pages(dir.path()).pop().unwrap();
    let html = html::page(&many, None);
    let chart = html.split("<figure").find(|part| part.contains("comparison-Training-accuracy")).unwrap();
    let legend: Vec<&str> =
        chart.lines().filter(|line| line.contains("one-of-many-runs") && line.contains("<path")).collect();
    assert_eq!(legend.len(), many.len());
    let style = |line: &str| line.split("class=").nth(1).unwrap().split(" d=").next().unwrap().to_owned();
    let styles: std::collections::BTreeSet<String> = legend.iter().map(|line| style(line)).collect();
    assert_eq!(styles.len(), many.len(), "two runs look the same: {styles:?}");
}
