//! Searches put together from a program: with and without a run directory, with parts that are not built in.
#![allow(missing_docs, clippy::unwrap_used)]

use std::cell::Cell;
use std::path::Path;

use gdas::config::SearchConfig;
use gdas::data::{self, Dataset};
use gdas::rng::{Rng, Stream};
use gdas::run::{Array, Checkpoint, Event, Interrupt};
use gdas::search::algorithms::{Enas, Gdas};
use gdas::search::{
    Algorithm, Draw, Estimator, Progress, Regulariser, SearchResult, Searcher, Selected, Selection, SelectionContext,
    StepContext, StepReport, StraightThrough,
};
use gdas::space::{Genotype, Space, spaces};
use gdas::{Alpha, Device, Error, Search};

fn small(images: &Dataset) -> Search<'_> {
    Search::new(spaces::nas_bench_201(), images)
        .preset("smoke")
        .epochs(2)
        .seed(3)
        .set("max_steps_per_epoch", 4)
        .set("batch_size", 16)
        .set("channels", 4)
        .set("cells", 1)
        .set("log_interval", 1)
        .set("selection", "argmax")
}

fn run(search: Search) -> Result<SearchResult, Error> {
    search.run(&Device::flex())
}

/// Uniform draws; the cell with the smallest held-out loss of all wins.
#[derive(Debug, Default)]
struct SmallestLoss {
    best: Option<(f64, Vec<Vec<usize>>)>,
    begun: bool,
}

impl Algorithm for SmallestLoss {
    fn name(&self) -> &'static str {
        "smallest-loss"
    }

    fn begin(&mut self, _: &SearchConfig, _: &Space) -> Result<(), Error> {
        self.begun = true;
        Ok(())
    }

    fn step(&mut self, step: &mut StepContext<'_>) -> Result<StepReport, Error> {
        assert!(self.begun);
        let picks = step.draw_uniform(Stream::DrawWeights);
        let training = step.train_picks(&picks)?.finish()?;
        let tried = step.draw_uniform(Stream::Algorithm);
        let held_out = step.accuracy(&tried)?;
        if self.best.as_ref().is_none_or(|(loss, _)| held_out.loss < *loss) {
            self.best = Some((held_out.loss, tried));
        }
        Ok(StepReport { training: Some(training), held_out: Some(held_out), picks, redraws: 0 })
    }

    fn genotype(&self, searcher: &Searcher) -> Genotype {
        let best = self.best.as_ref().map(|(_, picks)| Genotype::from_picks(&searcher.supernet.space, picks));
        best.unwrap_or_else(|| searcher.genotype())
    }

    fn learns_alpha(&self) -> bool {
        false
    }

    fn save(&self, state: &mut Checkpoint) {
        let Some((loss, picks)) = &self.best else { return };
        state.insert("own/loss", Array::f64(&[1], vec![*loss]));
        let picks: Vec<u64> = picks[0].iter().map(|&pick| pick as u64).collect();
        state.insert("own/picks", Array::u64(&[picks.len()], picks));
    }

    fn load(&mut self, searcher: &Searcher, state: &mut Checkpoint) -> Result<(), Error> {
        let loss = state.take_f64("own/loss", &[1])?[0];
        let picks = state.take_u64("own/picks", &[searcher.alpha[0].edges()])?;
        self.best = Some((loss, vec![picks.into_iter().map(|pick| pick as usize).collect()]));
        Ok(())
    }
}

/// A search that is stopped after every step, and resumed as `go_on` says.
fn in_parts(path: &Path, first: Search, go_on: impl Fn() -> Search<'static>) -> SearchResult {
    let stops = Cell::new(0);
    let stopped = |search: Search| {
        let interrupt = Interrupt::default();
        let stop = interrupt.clone();
        let observer = move |event: &Event| {
            if matches!(event, Event::Step(_)) {
                stop.request();
            }
        };
        match search.observe(observer).interrupt(&interrupt).run(&Device::flex()) {
            Err(Error::Interrupted { .. }) => {
                stops.set(stops.get() + 1);
                None
            }
            other => Some(other.unwrap()),
        }
    };
    assert!(stopped(first.in_directory(path)).is_none());
    let result = loop {
        if let Some(result) = stopped(go_on()) {
            break result;
        }
    };
    assert!(stops.get() >= 8, "stopped {} times", stops.get());
    result
}

fn digits() -> &'static Dataset {
    static DIGITS: std::sync::OnceLock<Dataset> = std::sync::OnceLock::new();
    DIGITS.get_or_init(data::digits)
}

#[test]
fn an_algorithm_of_ones_own_resumes_exactly_and_only_with_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let mut told = Vec::new();
    let search = small(digits()).algorithm(SmallestLoss::default());
    let whole = run(search.observe(|event| told.push(event.to_string()))).unwrap();
    assert!(told[0].starts_with("search in nas-bench-201 on digits: 2 epochs of 4 steps"), "{}", told[0]);
    assert!(told.iter().any(|line| line.contains("epoch 2 of 2")) && told.last().unwrap().contains(&whole.genotype));
    assert!(whole.alphas[0].values().iter().all(|&alpha| alpha == 0.0));

    let first = small(digits()).algorithm(SmallestLoss::default());
    let parts = in_parts(&path, first, || Search::resume(&path, digits()).algorithm(SmallestLoss::default()));
    assert_eq!(parts, whole);

    // Half done, it goes on with nothing else.
    let path = folder.path().join("half");
    let stop = Interrupt::default();
    stop.request();
    let begun = small(digits()).algorithm(SmallestLoss::default()).interrupt(&stop).in_directory(&path);
    assert!(matches!(run(begun), Err(Error::Interrupted { .. })));
    assert!(std::fs::read_to_string(path.join("config.toml")).unwrap().contains("own:smallest-loss"));
    let error = run(Search::resume(&path, digits())).unwrap_err().to_string();
    assert!(error.contains("`smallest-loss`") && error.contains("not built in"), "{error}");
    let error = run(Search::resume(&path, digits()).algorithm(Gdas)).unwrap_err().to_string();
    assert!(error.contains("`smallest-loss`, and was given `gdas`"), "{error}");
}

/// An algorithm of one's own that has the name of a built-in one.
#[derive(Debug)]
struct Namesake;

impl Algorithm for Namesake {
    fn name(&self) -> &'static str {
        "gdas"
    }

    fn step(&mut self, step: &mut StepContext<'_>) -> Result<StepReport, Error> {
        let picks = step.draw_uniform(Stream::DrawWeights);
        let training = step.train_picks(&picks)?.finish()?;
        Ok(StepReport { training: Some(training), held_out: None, picks, redraws: 0 })
    }
}

#[test]
fn an_algorithm_named_gdas_is_not_taken_for_the_built_in_one() {
    let folder = tempfile::tempdir().unwrap();
    let stop = Interrupt::default();
    stop.request();
    let stopped = |search: Search<'static>, name: &str| {
        let path = folder.path().join(name);
        assert!(matches!(run(search.interrupt(&stop).in_directory(&path)), Err(Error::Interrupted { .. })));
        path
    };
    let own = stopped(small(digits()).algorithm(Namesake), "own");
    let built_in = stopped(small(digits()).algorithm(Gdas), "built-in");
    assert!(std::fs::read_to_string(own.join("config.toml")).unwrap().contains("\"own:gdas\""));
    let error = run(Search::resume(&own, digits())).unwrap_err().to_string();
    assert!(error.contains("`gdas`") && error.contains("not built in"), "{error}");
    let error = run(Search::resume(&own, digits()).algorithm(Gdas)).unwrap_err().to_string();
    assert!(error.contains("the run's is not the built-in one"), "{error}");
    let error = run(Search::resume(&built_in, digits()).algorithm(Namesake)).unwrap_err().to_string();
    assert!(error.contains("the run's is the built-in one"), "{error}");
    assert!(run(Search::resume(&own, digits()).algorithm(Namesake)).is_ok());
}

/// Half of the published gradient, and draws without noise.
#[derive(Debug)]
struct Timid;

impl Estimator for Timid {
    fn name(&self) -> &'static str {
        "timid"
    }

    fn draw(&self, logits: &Alpha, tau: f64, _: &mut Rng) -> Result<Draw, Error> {
        let draw = StraightThrough::draw_with_noise(logits, &logits.zeros_like(), tau);
        draw.ok_or_else(|| Error::other("no noise, no draw"))
    }

    fn gradient(&self, draw: &Draw, gates: &Alpha) -> Alpha {
        let mut gradient = StraightThrough.gradient(draw, gates);
        gradient.values_mut().iter_mut().for_each(|value| *value *= 0.5);
        gradient
    }
}

/// Pushes alpha towards the first operation.
#[derive(Debug)]
struct TowardsFirst;

impl Regulariser for TowardsFirst {
    fn name(&self) -> &'static str {
        "towards-first"
    }

    fn gradient(&self, alpha: &[Alpha], _: Progress) -> Vec<Alpha> {
        let push = |_: usize, k: usize| if k == 0 { -1e6 } else { 1e6 };
        alpha.iter().map(|alpha| Alpha::from_fn(alpha.edges(), alpha.operations(), push)).collect()
    }
}

/// The cell of the last operation on every edge.
#[derive(Debug)]
struct LastOperation;

impl Selection for LastOperation {
    fn name(&self) -> &'static str {
        "last-operation"
    }

    fn select(&self, choice: &mut SelectionContext<'_>) -> Result<Option<Selected>, Error> {
        if !choice.proceed(0, 1)? {
            return Ok(None);
        }
        let space = &choice.searcher().supernet.space;
        let picks: Vec<_> = space.cells.iter().map(|cell| vec![cell.width() - 1; cell.edges().len()]).collect();
        Ok(Some(Selected::new(Genotype::from_picks(space, &picks))))
    }
}

#[test]
fn estimator_regulariser_and_selection_take_part_and_are_asked_for_on_resume() {
    let folder = tempfile::tempdir().unwrap();
    let plain = run(small(digits())).unwrap();
    let pushed = run(small(digits()).regulariser(TowardsFirst).set("alpha_learning_rate", 1.0)).unwrap();
    assert!(pushed.alphas[0].argmax().iter().all(|&k| k == 0), "{:?}", pushed.alphas);
    let timid = run(small(digits()).estimator(Timid)).unwrap();
    assert_ne!(timid.alphas, plain.alphas);
    let last = run(small(digits()).selection(LastOperation)).unwrap();
    assert!(last.genotype.matches("avg_pool_3x3").count() == 6 && last.alphas == plain.alphas);

    for (name, given) in [
        ("estimator timid", (|search: Search<'static>| search.estimator(Timid)) as fn(_) -> _),
        ("regulariser towards-first", |search| search.regulariser(TowardsFirst)),
        ("selection last-operation", |search| search.selection(LastOperation)),
    ] {
        let path = folder.path().join(name);
        let whole = run(given(small(digits()))).unwrap();
        // Stopped before its first step, it is known already what it was begun with.
        let stop = Interrupt::default();
        stop.request();
        assert!(run(given(small(digits())).interrupt(&stop).in_directory(&path)).is_err());
        let error = run(Search::resume(&path, digits())).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("given: none"), "{error}");
        assert_eq!(in_parts_of(&path, || given(Search::resume(&path, digits()))), whole, "{name}");
        assert_eq!(run(given(Search::resume(&path, digits()))).unwrap(), whole, "a finished search has its result");
    }
}

fn in_parts_of(path: &Path, go_on: impl Fn() -> Search<'static>) -> SearchResult {
    assert!(path.join("config.toml").is_file());
    run(go_on()).unwrap()
}

/// The same search from a program and as the configuration describes it, with the algorithm's published settings.
#[test]
fn a_built_in_algorithm_is_the_configured_one() {
    let by_name = run(small(digits()).set("algorithm", "enas").set("controller_steps", 2)).unwrap();
    let by_value = run(small(digits()).algorithm(Enas::default()).set("controller_steps", 2)).unwrap();
    assert_eq!(by_value, by_name);
    assert_eq!(run(small(digits()).algorithm(Gdas)).unwrap(), run(small(digits())).unwrap());
}

#[test]
fn wrong_keys_and_values_are_named() {
    let error = |search: Search| run(search).unwrap_err().to_string();
    let unknown = error(small(digits()).set("epoch", 3));
    assert!(unknown.contains("the program: unknown key `epoch`; did you mean `epochs`?"), "{unknown}");
    let range = error(small(digits()).epochs(0));
    assert!(range.contains("epochs") && range.contains("between 1 and"), "{range}");
    let folder = tempfile::tempdir().unwrap();
    let missing = error(Search::resume(folder.path().join("nothing"), digits()));
    assert!(missing.contains("nothing"), "{missing}");
}

/// What a user's own part gives, by whatever mistake, is an error that names it, and no panic.
#[test]
fn mistakes_of_own_parts_are_errors() {
    #[derive(Debug)]
    struct Wrong(u8);

    impl Estimator for Wrong {
        fn name(&self) -> &'static str {
            "wrong"
        }

        fn draw(&self, logits: &Alpha, tau: f64, rng: &mut Rng) -> Result<Draw, Error> {
            let draw = StraightThrough.draw(logits, tau, rng)?;
            Ok(match self.0 {
                0 => Draw { picks: vec![99; draw.picks.len()], ..draw },
                1 => Draw { picks: vec![], ..draw },
                2 => Draw { probabilities: Alpha::zeros(1, 1), ..draw },
                _ => draw,
            })
        }

        fn gradient(&self, draw: &Draw, gates: &Alpha) -> Alpha {
            match self.0 {
                3 => Alpha::zeros(2, 2),
                4 => StraightThrough.gradient(draw, &Alpha::from_fn(6, 5, |_, _| f64::NAN)),
                _ => StraightThrough.gradient(draw, gates),
            }
        }
    }

    impl Regulariser for Wrong {
        fn name(&self) -> &'static str {
            "wrong"
        }

        fn gradient(&self, alpha: &[Alpha], _: Progress) -> Vec<Alpha> {
            match self.0 {
                0 => vec![],
                1 => vec![Alpha::zeros(1, 9)],
                _ => alpha.iter().map(|a| Alpha::from_fn(a.edges(), a.operations(), |_, _| f64::INFINITY)).collect(),
            }
        }
    }

    impl Algorithm for Wrong {
        fn name(&self) -> &'static str {
            "wrong"
        }

        fn step(&mut self, step: &mut StepContext<'_>) -> Result<StepReport, Error> {
            match self.0 {
                0 => step.train_picks(&[vec![0; 6], vec![0; 6]]).map(|_| StepReport::default()),
                1 => step.accuracy(&[vec![5; 6]]).map(|_| StepReport::default()),
                2 => {
                    let net = step.supernet().mixture();
                    step.train(&net, step.drawn_gates()).map(|_| StepReport::default())
                }
                3 => step.update_alpha(&[]).map(|()| StepReport::default()),
                _ => Err(Error::other("it did not want to")),
            }
        }
    }

    let error = |search: Search| run(search).unwrap_err().to_string();
    for (i, what) in ["operation 99", "has 6 edges, not 0", "`wrong` gave probabilities of shape [1, 1]"]
        .into_iter()
        .chain(["the gradient of alpha has shapes [[2, 2]]", "the gradient of alpha is not finite"])
        .enumerate()
    {
        let error = error(small(digits()).estimator(Wrong(i as u8)));
        assert!(error.contains(what), "estimator {i}: {error}");
    }
    for (i, what) in ["has shapes []", "has shapes [[1, 9]]", "is not finite"].into_iter().enumerate() {
        let error = error(small(digits()).regulariser(Wrong(i as u8)));
        assert!(error.contains(what) && error.contains("regulariser `wrong`"), "regulariser {i}: {error}");
    }
    for (i, what) in ["2 cells instead of 1", "operation 5 on edge 0", "gates for a network that has", "has shapes []"]
        .into_iter()
        .chain(["it did not want to"])
        .enumerate()
    {
        let error = error(small(digits()).algorithm(Wrong(i as u8)));
        assert!(error.contains(what), "algorithm {i}: {error}");
    }
}
