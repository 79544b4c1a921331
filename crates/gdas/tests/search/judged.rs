//! Judged selection of the final cell.

use burn::tensor::Device;
use gdas::run::{Event, Interrupt, Request, RunDir, Silent, ask, read_events};
use gdas::search::{Outcome, search};

use super::{config, digits, finish, last_genotype};

/// Folders of images come sorted by class. Judged in that order, with each batch's own statistics, every network
/// would look like a guess.
#[test]
fn the_order_of_the_images_does_not_spoil_the_judgement() {
    let mut dataset = digits();
    let mut images = (*dataset.train).clone();
    let mut order: Vec<usize> = (0..images.len()).collect();
    order.sort_by_key(|&i| images.labels[i]);
    images.pixels = order.iter().flat_map(|&i| dataset.train.image(i).to_vec()).collect();
    images.labels = order.iter().map(|&i| dataset.train.labels[i]).collect();
    dataset.train = std::sync::Arc::new(images);
    let folder = tempfile::tempdir().unwrap();
    let mut run = RunDir::create(folder.path().join("run"), "").unwrap();
    let config = config(
        "epochs = 10\nmax_steps_per_epoch = \"auto\"\nbatch_size = 32\nchannels = 8\nlog_interval = 0\njudges = [\"loss\"]\n",
    );
    let outcome = search(&config, &dataset, &mut run, &mut Silent, &Interrupt::default(), &Device::flex()).unwrap();
    let Outcome::Finished(result) = outcome else { panic!("nobody interrupted") };
    assert!(result.held_out_accuracy > 0.5, "{}", result.held_out_accuracy);
}

/// By the loss alone, the chosen cell is one of many and has the smallest one; more candidates never make it worse, and
/// the weights and alpha are those of the search without judging.
#[test]
fn a_judged_selection_takes_the_candidate_with_the_smallest_loss() {
    let folder = tempfile::tempdir().unwrap();
    for space in ["nas-bench-201", "nasnet"] {
        let of = |name: &str, keys: &str| {
            let config = config(&format!("space = \"{space}\"\nalpha_learning_rate = 0.1\n{keys}"));
            let mut run = RunDir::create(folder.path().join(format!("{space}-{name}")), "").unwrap();
            let result = finish(&config, &mut run);
            let events = read_events(&run.path().join("events.jsonl")).unwrap();
            let losses = events.iter().find_map(|e| match e {
                Event::Judged(judged) => Some((judged.loss, judged.own_loss, judged.genotype.clone())),
                _ => None,
            });
            (result, losses)
        };
        let (argmax, none) = of("argmax", "selection = \"argmax\"");
        assert!(none.is_none());
        let (alone, losses) = of("alone", "selection = \"judged\"\njudges = [\"loss\"]\ncandidates = 1");
        assert_eq!(alone.genotype, argmax.genotype, "the first candidate is alpha's own");
        assert_eq!(alone.alphas, argmax.alphas);
        let (own, same, _) = losses.unwrap();
        assert_eq!(own, same);
        let mut before = own;
        for candidates in [4, 40] {
            let keys = format!("selection = \"judged\"\njudges = [\"loss\"]\ncandidates = {candidates}");
            let (result, losses) = of(&candidates.to_string(), &keys);
            let (loss, own_loss, genotype) = losses.unwrap();
            assert!(own_loss == own && loss <= before, "{candidates} candidates: {loss} after {before}");
            assert_eq!((genotype, result.alphas), (result.genotype.clone(), argmax.alphas.clone()));
            assert_eq!(result.genotype != argmax.genotype, loss < own);
            before = loss;
        }
        assert!(before < own, "of 40 cells none is better than the one that a few steps made");
    }
}

/// Why one of the candidates was chosen is in the log and in the result: its place with every judge beside that of alpha's
/// own cell. The sum decides, whatever the loss says.
#[test]
fn a_judged_end_says_why_its_cell_was_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let config = config("alpha_learning_rate = 0.1\nselection = \"judged\"\ncandidates = 12");
    let mut run = RunDir::create(folder.path().join("run"), "").unwrap();
    let result = finish(&config, &mut run);
    let events = read_events(&run.path().join("events.jsonl")).unwrap();
    let judged = events.iter().find_map(|e| if let Event::Judged(judged) = e { Some(judged.clone()) } else { None });
    let judged = judged.unwrap();
    assert_eq!(result.judged.as_ref(), Some(&judged));
    assert_eq!(judged.genotype, result.genotype);
    assert_eq!(judged.own_genotype, Some(last_genotype(&events)), "alpha's own cell");
    assert_eq!(judged.candidates, 12);
    assert_eq!(judged.judges.iter().map(|p| p.judge.as_str()).collect::<Vec<_>>(), ["loss", "synflow", "naswot"]);
    assert!(judged.judges.iter().all(|p| (1.0..=12.0).contains(&p.chosen) && (1.0..=12.0).contains(&p.own)));
    let sum = |chosen: bool| judged.judges.iter().map(|p| if chosen { p.chosen } else { p.own }).sum::<f64>();
    assert!(sum(true) <= sum(false), "{judged:?}");
    assert_eq!(judged.judges[0].chosen < judged.judges[0].own, judged.loss < judged.own_loss, "{judged:?}");
    let reason = judged.reason();
    assert!(reason.contains("12 candidates") && reason.contains("synflow"), "{reason}");
    // A log of an early build has the losses alone, and JSON has no infinity.
    let early = r#"{"step":1,"genotype":"a","loss":0.5,"own_loss":null}"#;
    let early: gdas::run::Judgement = serde_json::from_str(early).unwrap();
    assert!(early.own_loss.is_infinite() && early.reason().contains("0.500"), "{}", early.reason());
}

/// While candidates are judged a pause takes effect between two of them, the time left counts them, and the result stays.
#[test]
fn judging_is_paused_and_is_part_of_the_time_left() {
    let folder = tempfile::tempdir().unwrap();
    let config = config("selection = \"judged\"\ncandidates = 6\njudges = [\"loss\"]");
    let mut run = RunDir::create(folder.path().join("whole"), "").unwrap();
    let whole = finish(&config, &mut run);
    let path = folder.path().join("paused");
    let mut run = RunDir::create(&path, "").unwrap();
    let mut seen = Vec::new();
    let mut observer = |event: &Event| {
        match event {
            Event::Judging { done: 2, .. } => {
                ask(&path, Request::Pause).unwrap();
                // Looked for five times a second.
                std::thread::sleep(std::time::Duration::from_secs(1));
            }
            Event::Paused { .. } => ask(&path, Request::Continue).unwrap(),
            _ => {}
        }
        seen.push(event.clone());
    };
    let outcome = search(&config, &digits(), &mut run, &mut observer, &Interrupt::default(), &Device::flex()).unwrap();
    let Outcome::Finished(result) = outcome else { panic!("nobody interrupted") };
    assert_eq!(*result, whole);
    let order: Vec<String> = seen
        .iter()
        .filter_map(|event| match event {
            Event::Judging { done, .. } => Some(done.to_string()),
            Event::Paused { .. } => Some("paused".to_owned()),
            Event::Continued { .. } => Some("continued".to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["0", "1", "2", "paused", "continued", "3", "4", "5"]);
    for event in &seen {
        match event {
            // The last epoch has no step left, but all candidates.
            Event::Epoch(epoch) if epoch.epoch == 1 => assert!(epoch.eta_seconds > 0.0),
            Event::Judging { done, eta_seconds, .. } => assert!(*eta_seconds > 0.0, "after {done} candidates"),
            _ => {}
        }
    }
}
