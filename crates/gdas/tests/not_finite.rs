//! A number that is not finite, wherever it comes from, is caught within one step and never saved.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::Path;

use burn::tensor::Device;
use gdas::config::{Layer, SearchConfig, TrainConfig, resolve, to_toml};
use gdas::data::{self, Dataset, Position, SearchBatch, SearchBatches, SearchSplit};
use gdas::run::{Checkpoint, Data, Event, Interrupt, RunDir, Silent, read_checkpoint};
use gdas::search::{Searcher, search};
use gdas::train::train;
use gdas::{Error, Kept};

const BAD: [f32; 3] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];

fn digits() -> Dataset {
    data::digits().hold_out(0.2)
}

fn config() -> SearchConfig {
    let file = "preset = \"smoke\"\nepochs = 2\nmax_steps_per_epoch = 6\nbatch_size = 16\nchannels = 4\ncells = 1\n\
                track_running_stats = true\naffine = true\nlog_interval = 1\ncheckpoint_seconds = 0\n";
    resolve(&[Layer::file("test", file).unwrap()]).unwrap()
}

fn training() -> TrainConfig {
    let file = "preset = \"smoke\"\nepochs = 2\nmax_steps_per_epoch = 6\nbatch_size = 16\nchannels = 4\ncells = 1\n\
                ema_decay = 0.5\ntest_interval = 1\ncheckpoint_seconds = 0\ngenotype = \"|nor_conv_3x3~0|+|\
                avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|nor_conv_3x3~1|none~2|\"\n";
    resolve(&[Layer::file("test", file).unwrap()]).unwrap()
}

/// A pair of batches of the built-in digits.
fn pair(dataset: &Dataset) -> SearchBatch {
    let split = SearchSplit::new(dataset, data::SplitRule::Halves, 0).unwrap();
    SearchBatches::new(dataset, &split, &data::BatchOptions::for_dataset(dataset, 16), 0).batch(0, 0)
}

fn is_not_finite<T>(result: Result<T, Error>, place: &str) {
    match result {
        Err(Error::NotFinite { .. } | Error::Draw(_)) => {}
        Err(other) => panic!("{place}: another error: {other}"),
        Ok(_) => panic!("{place}: not noticed"),
    }
}

/// One step of each kind with a number changed, in images, in weights that give logits, activations and gradients,
/// and in alpha.
#[test]
fn in_a_step() {
    let (config, dataset) = (config(), digits());
    let device = Device::flex();
    let fresh = Searcher::new(&config, &dataset, &device).unwrap();
    let (mut places, mut swallowed) = (0, 0);
    for bad in BAD {
        for kind in ["images of a weight step", "images of an alpha step"] {
            let mut batch = pair(&dataset);
            let mut searcher = fresh.clone();
            let place = format!("{bad} in the {kind}");
            if kind.contains("weight") {
                batch.weights.images[100] = bad;
                is_not_finite(searcher.weight_step(&batch.weights, Position::START, 0, 10.0, 0.1), &place);
            } else {
                batch.alpha.images[100] = bad;
                is_not_finite(searcher.alpha_step(&batch.alpha, Position::START, 0, 10.0), &place);
            }
            // Nothing has moved.
            assert_eq!(searcher.alpha, fresh.alpha, "{place}");
            for i in 0..fresh.supernet.weights.values.len() {
                assert_eq!(searcher.supernet.weights.to_vec(i), fresh.supernet.weights.to_vec(i), "{place}");
            }
            places += 1;
        }
        // Every array that the two steps' draws use, as a stand-in for what is computed from it: activations of each
        // layer, logits, the loss, and on the way back every gradient.
        for index in 0..fresh.supernet.weights.values.len() {
            let name = fresh.supernet.weights.specs[index].name.clone();
            let mut searcher = fresh.clone();
            let mut values = searcher.supernet.weights.to_vec(index);
            values[0] = bad;
            searcher.supernet.weights.set(index, values);
            let batch = pair(&dataset);
            let at = Position::START;
            let before: Vec<_> = (0..fresh.supernet.weights.values.len())
                .map(|i| searcher.supernet.weights.to_vec(i).iter().map(|x| x.to_bits()).collect::<Vec<_>>())
                .collect();
            let (step, drawn) = match searcher.weight_step(&batch.weights, at, 0, 10.0, 0.1) {
                Err(error) => (Err(error), true),
                Ok((_, draws)) => {
                    let picks: Vec<_> = draws.iter().map(|draw| draw.picks.clone()).collect();
                    (Ok(()), searcher.supernet.sub_network(&picks, config.edge_output).params.contains(&index))
                }
            };
            let place = format!("{bad} in {name}");
            if drawn && step.is_ok() {
                // A ReLU makes nothing of an infinitely low number: the loss is right without it. What is saved is
                // looked at as a whole, which `in_the_state` tests.
                assert!(bad == f32::NEG_INFINITY && name.ends_with("bias"), "{place}: not noticed");
                swallowed += 1;
            } else if drawn {
                is_not_finite(step, &place);
                for (i, before) in before.iter().enumerate() {
                    let after: Vec<_> = searcher.supernet.weights.to_vec(i).iter().map(|x| x.to_bits()).collect();
                    assert_eq!(after, *before, "{place}: nothing moves");
                }
                places += 1;
            }
        }
        for (row, column) in [(0, 0), (5, 4)] {
            let mut searcher = fresh.clone();
            searcher.alpha[0][row][column] = f64::from(bad);
            // An infinitely low logit is never drawn and has no gradient: it is an answer, and never saved either.
            if bad != f32::NEG_INFINITY {
                is_not_finite(searcher.alpha_step(&pair(&dataset).alpha, Position::START, 0, 10.0), "alpha");
                places += 1;
            }
        }
    }
    // A finite loss whose gradient is not: the weights of the last layer before the loss are finite and huge.
    let mut searcher = fresh.clone();
    let last = searcher.supernet.weights.find("head.classifier.weight").unwrap();
    let huge = searcher.supernet.weights.to_vec(last).iter().map(|x| x * 1e30).collect();
    searcher.supernet.weights.set(last, huge);
    is_not_finite(searcher.weight_step(&pair(&dataset).weights, Position::START, 0, 10.0, 0.1), "huge weights");
    places += 1;
    assert!(places >= 20, "{places}");
    println!(
        "figure: not finite in a step: {places} of {places} places caught in that step, nothing moved; {swallowed} swallowed by a ReLU"
    );
}

/// Once, the message counted from 0 and promised a checkpoint that had never been saved.
#[test]
fn the_error_counts_as_the_screen_does_and_names_the_state_that_exists() {
    let folder = tempfile::tempdir().unwrap();
    // Such a weight decay multiplies every weight by -99 in each step.
    let keys = "epochs = 50\nlearning_rate = 100.0\nlearning_rate_min = 100.0\nweight_decay = 1.0\nmomentum = 0.0\n\
                nesterov = false\nclip_norm = 0.0\nema_decay = 0.0\nmax_steps_per_epoch = 4\nbatch_size = 16\n";
    for (name, saving) in [("never", "checkpoint_seconds = 1e9\n"), ("always", "checkpoint_seconds = 0.0\n")] {
        let layers = ["preset = \"smoke\"\n", keys, saving].map(|text| Layer::file("test", text).unwrap());
        let config: TrainConfig = resolve(&layers).unwrap();
        let path = folder.path().join(name);
        let mut run = RunDir::create(&path, &to_toml(&config).unwrap()).unwrap();
        let mut shown = 0;
        let mut observer = |event: &Event| {
            if let Event::TrainEpoch(ended) = event {
                shown = ended.epoch + 1;
            }
        };
        let never = Interrupt::default();
        let error = train(&config, &digits(), &mut run, &mut observer, &never, &Device::flex()).unwrap_err();
        let text = error.to_string();
        let Error::NotFinite { epoch, step, kept, .. } = error else { panic!("another error: {text}") };
        let place = match step {
            Some(step) => format!("in epoch {}, step {}", epoch + 1, step + 1),
            None => format!("at the end of epoch {}", epoch + 1),
        };
        assert!(text.contains(&place), "{text}");
        assert!((epoch as usize + 1).abs_diff(shown) <= 1, "{shown} epochs were shown: {text}");
        match read_checkpoint(&path).unwrap() {
            None => {
                assert_eq!((name, kept), ("never", Kept::Nothing));
                assert!(text.contains("no checkpoint had been saved"), "{text}");
            }
            Some(loaded) => {
                let number = |key: &str| loaded.checkpoint.state[key].as_u64().unwrap();
                let at = Position { epoch: number("epoch"), step: number("step") };
                assert_eq!((name, kept), ("always", Kept::State(at)));
                let state = match at.step {
                    0 => format!("holds the state after epoch {}", at.epoch),
                    step => format!("holds the state after step {step} of epoch {}", at.epoch + 1),
                };
                assert!(text.contains(&state), "{text}");
            }
        }
    }
}

/// Stops a run at once, so that it has a checkpoint.
fn stopped(work: impl FnOnce(&mut RunDir, &Interrupt, &mut dyn FnMut(&Event)), path: &Path, text: &str) {
    let mut run = RunDir::create(path, text).unwrap();
    let interrupt = Interrupt::default();
    interrupt.request();
    work(&mut run, &interrupt, &mut |_| {});
}

/// Puts a bad number into one array of the newest checkpoint and lets the run go on with it.
fn poisoned(
    path: &Path,
    poison: impl Fn(&mut Checkpoint) -> bool,
    go_on: impl Fn(&mut RunDir) -> Result<(), Error>,
) -> bool {
    let mut run = RunDir::open(path).unwrap();
    let good = run.load().unwrap().unwrap();
    let mut checkpoint = good.checkpoint.clone();
    if !poison(&mut checkpoint) {
        return false;
    }
    run.save(&checkpoint).unwrap();
    let generation = read_checkpoint(path).unwrap().unwrap().generation;
    let result = go_on(&mut run);
    is_not_finite(result, "a poisoned state");
    assert_eq!(read_checkpoint(path).unwrap().unwrap().generation, generation, "nothing was saved after it");
    // The next one starts from the good state again.
    run.save(&good.checkpoint).unwrap();
    true
}

fn poison(checkpoint: &mut Checkpoint, prefix: &str, pick: usize, bad: f32) -> bool {
    let names: Vec<String> = checkpoint.arrays.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
    let Some(name) = names.get(pick % names.len().max(1)) else { return false };
    match &mut checkpoint.arrays.get_mut(name).unwrap().data {
        Data::F32(values) => values[0] = bad,
        Data::F64(values) => values[0] = f64::from(bad),
        Data::U8(_) | Data::U64(_) => return false,
    }
    true
}

/// State that has gone bad outside of a step, as broken memory makes it: weights, momentum, running statistics,
/// alpha and Adam's moments, drawn or not. The run saves at every step, and must not.
#[test]
fn in_the_state() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, device) = (digits(), Device::flex());
    let never = Interrupt::default();
    let mut places = 0;

    let config = config();
    let path = folder.path().join("search");
    stopped(
        |run, stop, _| {
            search(&config, &dataset, run, &mut Silent, stop, &device).unwrap();
        },
        &path,
        &to_toml(&config).unwrap(),
    );
    for prefix in
        ["weights/", "weights/stem.norm.bias", "weights.running/", "momentum/", "alpha/", "adam/first/", "adam/second/"]
    {
        for (pick, bad) in BAD.into_iter().enumerate() {
            let change = |checkpoint: &mut Checkpoint| poison(checkpoint, prefix, 5 * pick, bad);
            let go_on = |run: &mut RunDir| search(&config, &dataset, run, &mut Silent, &never, &device).map(|_| ());
            places += usize::from(poisoned(&path, change, go_on));
        }
    }
    let config = training();
    let path = folder.path().join("train");
    stopped(
        |run, stop, _| {
            train(&config, &dataset, run, &mut Silent, stop, &device).unwrap();
        },
        &path,
        &to_toml(&config).unwrap(),
    );
    for prefix in ["weights/", "weights.running/", "momentum/", "average/", "average.running/"] {
        for (pick, bad) in BAD.into_iter().enumerate() {
            let change = |checkpoint: &mut Checkpoint| poison(checkpoint, prefix, 5 * pick, bad);
            let go_on = |run: &mut RunDir| train(&config, &dataset, run, &mut Silent, &never, &device).map(|_| ());
            places += usize::from(poisoned(&path, change, go_on));
        }
    }
    assert!(places >= 20, "{places}");
    println!("figure: not finite in the state: {places} of {places} places caught, none saved");
}
