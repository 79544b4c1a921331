//! Searches a cell for images that are already in memory, and trains it.
//!
//! `cargo run --release -p gdas --example search_own_arrays`
#![allow(clippy::print_stdout)]

use gdas::Device;
use gdas::config::{Layer, SearchConfig, TrainConfig, resolve, to_toml};
use gdas::data::{Dataset, Images};
use gdas::rng::{Rng, Stream};
use gdas::run::{Event, Interrupt, RunDir};
use gdas::search::{self, search};
use gdas::train::{self, train};

/// Bright squares, either in the upper or in the lower half of a noisy image: `[count, 12, 12, 1]`.
fn images(count: usize, seed: u64) -> Images {
    let mut rng = Rng::new(seed, Stream::Split, 0);
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for index in 0..count {
        let label = index % 2;
        let (top, left) = (6 * label + (2.0 * rng.uniform()) as usize, (8.0 * rng.uniform()) as usize);
        for pixel in 0..144 {
            let inside = (top..top + 4).contains(&(pixel / 12)) && (left..left + 4).contains(&(pixel % 12));
            pixels.push((80.0 * rng.uniform()) as u8 + if inside { 150 } else { 0 });
        }
        labels.push(label as u32);
    }
    Images { height: 12, width: 12, channels: 1, pixels, labels }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dataset = Dataset::from_sources("squares", ["above", "below"], &images(128, 1), Some(&images(64, 2)))?;
    let folder = std::env::temp_dir().join(format!("gdas-example-{}", std::process::id()));
    let mut told = |event: &Event| {
        if let Event::Epoch { epoch, genotype, .. } = event {
            println!("epoch {epoch}: {genotype}");
        }
    };
    // The keys of the program's configuration; `data` only names what is searched on.
    let keys = "preset = \"smoke\"\ndata = \"squares\"\nepochs = 3\n";
    let config: SearchConfig = resolve(&[Layer::file("keys", keys)?])?;
    let mut run = RunDir::create(folder.join("search"), &to_toml(&config)?)?;
    let never = Interrupt::default();
    let search::Outcome::Finished(found) = search(&config, &dataset, &mut run, &mut told, &never, &Device::flex())?
    else {
        return Err("nobody asked for a stop".into());
    };

    let keys = format!("preset = \"smoke\"\ndata = \"squares\"\nepochs = 8\ngenotype = \"{}\"\n", found.genotype);
    let config: TrainConfig = resolve(&[Layer::file("keys", &keys)?])?;
    let mut run = RunDir::create(folder.join("train"), &to_toml(&config)?)?;
    let train::Outcome::Finished(trained) = train(&config, &dataset, &mut run, &mut told, &never, &Device::flex())?
    else {
        return Err("nobody asked for a stop".into());
    };
    println!("{} images of 100 right", (100.0 * trained.test_accuracy.unwrap_or_default()).round());
    drop(run);
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

#[test]
fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
    main()
}
