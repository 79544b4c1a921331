//! Everything that can be replaced, replaced from outside: operations, a space, images, an algorithm, an estimator and a
//! regulariser; searched, resumed, trained, exported and reported.
//!
//! `cargo run --release -p outside`
#![allow(clippy::print_stdout)]

mod images;
mod parts;
mod space;

use std::path::Path;
use std::sync::Arc;

use gdas::data::{Dataset, Images};
use gdas::run::{Event, Interrupt};
use gdas::{Device, Genotype, Search, Train};
use gdas_exchange::export::{metadata, to_onnx};
use gdas_report::RunData;

use images::{Bars, FromBurn, bars_in_burn};
use parts::{GrowingDecay, UniformBest, WarmDraw};

/// Any error, as images report them, too.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    run(folder.path())
}

fn run(folder: &Path) -> Result<(), Failure> {
    let device = Device::flex();
    // Training images of a type of one's own; the test images are a Burn data set.
    let (training, test) = (Bars { count: 192, seed: 1 }, FromBurn(bars_in_burn(64, 2)?));
    let bars = Dataset::from_sources("bars", ["lies", "stands"], &training, Some(&test))?;

    // GDAS in a space of one's own, with an estimator and a regulariser of one's own; nothing is written.
    let found = small(&bars)
        .estimator(WarmDraw { floor: 1.0 })
        .regulariser(GrowingDecay { weight: 1e-3 })
        .observe(|event| println!("{event}"))
        .run(&device)?;
    println!("GDAS found {}", found.genotype);

    // An algorithm of one's own, in a run directory: stopped half-way, it goes on to the same result.
    let whole = small(&bars).algorithm(UniformBest::default()).run(&device)?;
    let stop = Interrupt::default();
    let after_an_epoch = |event: &Event| {
        if matches!(event, Event::Epoch(_)) {
            stop.request();
        }
    };
    let path = folder.join("search");
    let begun = small(&bars).algorithm(UniformBest::default()).in_directory(&path).interrupt(&stop);
    match begun.observe(after_an_epoch).run(&device) {
        Err(gdas::Error::Interrupted { step }) => println!("stopped after step {step}"),
        other => return Err(format!("it should have stopped, and ended with {other:?}").into()),
    }
    let resumed = Search::resume(&path, &bars).algorithm(UniformBest::default()).run(&device)?;
    assert_eq!(resumed, whole, "a resumed search ends as an undisturbed one");
    println!("uniform draws found {}", resumed.genotype);

    // Trained from scratch, asked, exported, reported. The genotype is read back in its own space.
    let genotype = Genotype::parse(&resumed.genotype, &Arc::new(space::plus()))?;
    let net = folder.join("net");
    let trained = Train::new(&genotype, &bars).preset("smoke").epochs(12).in_directory(&net).run(&device)?;
    let accuracy = trained.result.test_accuracy.ok_or("there are test images")?;
    println!("{:.1} % of the test images, {} parameters", 100.0 * accuracy, trained.result.params);
    let picture = Dataset::from_sources("one", ["lies", "stands"], &Bars { count: 2, seed: 3 }, None)?;
    let picture: &Arc<Images> = &picture.train;
    let probabilities = trained.network.predict(picture, false, &Interrupt::default()).ok_or("interrupted")?;
    println!("a lying bar stands with probability {:.2}", probabilities[0][1]);

    let about = metadata(&trained.network);
    let about: Vec<(&str, &str)> = about.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let onnx = to_onnx(&trained.network.graph, &trained.network.export_weights(), &about)?;
    std::fs::write(folder.join("network.onnx"), &onnx)?;
    let pages =
        gdas_report::write(&folder.join("report"), &[RunData::read(&path)?, RunData::read(&net)?], None, false)?;
    println!("{} bytes of ONNX; {}", onnx.len(), pages[0].display());
    Ok(())
}

/// A search that takes a second or two.
fn small(bars: &Dataset) -> Search<'_> {
    Search::new(space::plus(), bars)
        .preset("smoke")
        .epochs(3)
        .seed(1)
        .set("max_steps_per_epoch", 6)
        .set("selection", "argmax")
}

#[test]
fn everything_is_replaced_from_outside() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    run(folder.path())?;
    let page = std::fs::read_to_string(folder.path().join("report/report.html"))?;
    for word in ["conv_5x5", "uniform-best", "bars"] {
        assert!(page.contains(word), "the report does not mention {word}");
    }
    Ok(())
}
