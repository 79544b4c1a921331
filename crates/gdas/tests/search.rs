//! The search as a whole, on the embedded digits.
#![allow(missing_docs, clippy::unwrap_used)]

use burn::tensor::{Device, Tensor, TensorData};
use gdas::config::{EdgeOutput, Layer, SearchConfig, Undrawn, resolve};
use gdas::data::{self, Dataset, Position, SearchBatches, SearchSplit};
use gdas::network::derive;
use gdas::run::{Alarm, Event, Interrupt, Request, RunDir, Silent, ask, read_events};
use gdas::search::{Outcome, SearchResult, Searcher, search, search_on};
use gdas::space::Genotype;
use gdas_kernels::{Inputs, Mode};

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

/// The same seed rounds otherwise on another processor: going on there is allowed, and said. Judging is told cell by cell.
#[test]
fn another_processor_is_told_of() {
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

#[test]
fn weights_that_were_not_drawn_do_not_move() {
    for undrawn in [Undrawn::Skip, Undrawn::Decay] {
        let config = SearchConfig { undrawn, ..config("") };
        let dataset = digits();
        let mut searcher = Searcher::new(&config, &dataset, &Device::flex()).unwrap();
        let split = SearchSplit::new(&dataset, data::SplitRule::Halves, 0).unwrap();
        let batches = SearchBatches::new(&dataset, &split, &data::BatchOptions::for_dataset(&dataset, 8), 0);
        let names: Vec<String> = searcher.supernet.weights.specs.iter().map(|spec| spec.name.clone()).collect();
        let mut trained = std::collections::BTreeSet::new();
        for step in 0..6 {
            let before: Vec<_> = (0..names.len()).map(|i| searcher.supernet.weights.to_vec(i)).collect();
            let batch = batches.batch(0, step).weights;
            let (_, draws) = searcher.weight_step(&batch, Position { epoch: 0, step }, step, 10.0, 0.1).unwrap();
            let picks: Vec<_> = draws.iter().map(|draw| draw.picks.clone()).collect();
            let drawn = searcher.supernet.sub_network(&picks, EdgeOutput::PickedGate).params;
            for (i, name) in names.iter().enumerate() {
                let moved = before[i] != searcher.supernet.weights.to_vec(i);
                if !drawn.contains(&i) {
                    // With `decay`, momentum and decay go on once a weight has had a gradient.
                    assert_eq!(moved, undrawn == Undrawn::Decay && trained.contains(&i), "{name} in step {step}");
                } else if name.ends_with("weight") && !name.contains("edge") {
                    assert!(moved, "{name} was drawn");
                }
            }
            trained.extend(drawn);
        }
    }
}

/// The architecture step moves alpha and nothing else.
#[test]
fn the_architecture_step_leaves_the_weights_alone() {
    let config = config("");
    let dataset = digits();
    let mut searcher = Searcher::new(&config, &dataset, &Device::flex()).unwrap();
    let split = SearchSplit::new(&dataset, data::SplitRule::Halves, 0).unwrap();
    let batches = SearchBatches::new(&dataset, &split, &data::BatchOptions::for_dataset(&dataset, 8), 0);
    let (alpha, weights) = (searcher.alpha.clone(), searcher.supernet.weights.clone());
    searcher.alpha_step(&batches.batch(0, 0).alpha, Position::START, 0, 5.0).unwrap();
    assert_ne!(searcher.alpha, alpha);
    let resting = SearchConfig { alpha_warmup_epochs: 1, ..config.clone() };
    let mut resting = Searcher::new(&resting, &dataset, &Device::flex()).unwrap();
    resting.alpha_step(&batches.batch(0, 0).alpha, Position::START, 0, 5.0).unwrap();
    assert_eq!(resting.alpha, alpha);
    for i in 0..weights.values.len() {
        assert_eq!(searcher.supernet.weights.to_vec(i), weights.to_vec(i));
    }
}

/// With a fixed draw, and in both forms of the edge output, the supernet gives what the stand-alone network gives.
#[test]
fn a_drawn_supernet_is_the_derived_network() {
    let config = config("");
    let dataset = digits();
    let searcher = Searcher::new(&config, &dataset, &Device::flex()).unwrap();
    let supernet = &searcher.supernet;
    let images: Vec<f32> = (0..3 * 64).map(|i| ((i * 37 % 101) as f32 / 50.0) - 1.0).collect();
    let image = Tensor::<4>::from_data(TensorData::new(images, [3, 8, 8, 1]), &Device::flex());
    for picks in [[3, 2, 4, 1, 3, 2], [0, 1, 3, 4, 2, 3], [3, 3, 3, 3, 3, 3]] {
        let genotype = Genotype::from_picks(&supernet.space, &[picks.to_vec()]);
        let graph = derive(&supernet.blocks, &supernet.config, &genotype).unwrap();
        // The stand-alone network, its weights copied by name.
        let mut weights = gdas::weights::Weights::new(99, &Device::flex());
        weights.declare(&graph);
        for (i, spec) in graph.params.iter().enumerate() {
            let shared = supernet.weights.find(&spec.name).unwrap();
            weights.set(i, supernet.weights.to_vec(shared));
        }
        let inputs = Inputs::new(image.clone(), weights.values);
        let alone = gdas_kernels::run(&std::sync::Arc::new(graph), Mode::Train, inputs);
        for form in [EdgeOutput::AllGates, EdgeOutput::PickedGate] {
            let net = supernet.sub_network(&[picks.to_vec()], form);
            let params = net.params.iter().map(|&i| supernet.weights.values[i].clone()).collect();
            let shared = supernet.run(&net, Mode::Train, image.clone(), params, supernet.gates());
            alone.outputs[0]
                .to_data()
                .assert_approx_eq::<f32>(&shared.outputs[0].to_data(), burn::tensor::Tolerance::absolute(1e-6));
        }
    }
}

/// The same in the NASNet spaces, where a genotype has two edges per node: the supernet drew `none` on the others.
#[test]
fn a_drawn_nasnet_supernet_is_the_derived_network() {
    let dataset = digits();
    let images: Vec<f32> = (0..3 * 64).map(|i| ((i * 37 % 101) as f32 / 50.0) - 1.0).collect();
    let image = Tensor::<4>::from_data(TensorData::new(images, [3, 8, 8, 1]), &Device::flex());
    for (space, tables) in [("nasnet", 2), ("nasnet-frc", 1)] {
        let layer = |name, text: &str| Layer::file(name, text).unwrap();
        let text = format!("space = \"{space}\"\npreset = \"smoke\"\nchannels = 8\ncells = 2");
        let config: SearchConfig = resolve(&[layer("test", &text)]).unwrap();
        let searcher = Searcher::new(&config, &dataset, &Device::flex()).unwrap();
        let supernet = &searcher.supernet;
        let mut rng = gdas::rng::Rng::new(5, gdas::rng::Stream::Architectures, 0);
        for _ in 0..4 {
            let mut picks = vec![vec![0; 14]; tables];
            for (table, picks) in picks.iter_mut().enumerate() {
                let edges = supernet.space.cells[table].edges();
                for to in 2..6 {
                    let mut into: Vec<usize> = (0..14).filter(|&e| edges[e].to == to).collect();
                    rng.shuffle(&mut into);
                    for &e in &into[..2] {
                        picks[e] = 1 + rng.below(7);
                    }
                }
            }
            let mut genotype = Genotype::from_picks(&supernet.space, &picks);
            for node in genotype.cells.iter_mut().flat_map(|cell| &mut cell.nodes) {
                node.retain(|choice| choice.operation.name != "none");
            }
            genotype.check(&supernet.space).unwrap();
            let graph = derive(&supernet.blocks, &supernet.config, &genotype).unwrap();
            let mut weights = gdas::weights::Weights::new(99, &Device::flex());
            weights.declare(&graph);
            for (i, spec) in graph.params.iter().enumerate() {
                weights.set(i, supernet.weights.to_vec(supernet.weights.find(&spec.name).unwrap()));
            }
            let inputs = Inputs::new(image.clone(), weights.values);
            let alone = gdas_kernels::run(&std::sync::Arc::new(graph), Mode::Train, inputs);
            for form in [EdgeOutput::AllGates, EdgeOutput::PickedGate] {
                let net = supernet.sub_network(&picks, form);
                let params = net.params.iter().map(|&i| supernet.weights.values[i].clone()).collect();
                let shared = supernet.run(&net, Mode::Train, image.clone(), params, supernet.gates());
                alone.outputs[0]
                    .to_data()
                    .assert_approx_eq::<f32>(&shared.outputs[0].to_data(), burn::tensor::Tolerance::absolute(1e-5));
            }
        }
    }
}

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

/// A dropped skip connection gives nothing, a kept one more; the rest of the network is as it was.
#[test]
fn skip_dropout_touches_skip_connections_alone() {
    let plain = config("");
    let dropping = config("skip_dropout = 0.9");
    let dataset = digits();
    let split = SearchSplit::new(&dataset, data::SplitRule::Halves, 0).unwrap();
    let batches = SearchBatches::new(&dataset, &split, &data::BatchOptions::for_dataset(&dataset, 8), 0);
    let (mut differ, mut same) = (0, 0);
    for step in 0..12 {
        let of = |config: &SearchConfig| {
            let mut searcher = Searcher::new(config, &dataset, &Device::flex()).unwrap();
            let at = Position { epoch: 0, step };
            searcher.weight_step(&batches.batch(0, step).weights, at, step, 10.0, 0.1).unwrap()
        };
        let ((a, draws), (b, _)) = (of(&plain), of(&dropping));
        // With a skip connection drawn somewhere it is all but certain that one of 3 cells x 8 images lost it.
        if draws[0].picks.contains(&1) {
            differ += usize::from(a.loss != b.loss);
        } else {
            assert_eq!(a.loss, b.loss);
            same += 1;
        }
    }
    assert!(differ > 0 && same > 0, "{differ} {same}");
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
