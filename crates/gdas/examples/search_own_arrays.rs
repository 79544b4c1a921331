//! Searches a cell for images that are already in memory, and trains it.
//!
//! `cargo run --release -p gdas --example search_own_arrays`
#![allow(clippy::print_stdout)]

use std::sync::Arc;

use gdas::data::{Dataset, Images};
use gdas::rng::{Rng, Stream};
use gdas::run::Interrupt;
use gdas::space::spaces;
use gdas::{Device, Search, Train};

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
    let found = Search::new(spaces::nas_bench_201(), &dataset)
        .preset("smoke")
        .epochs(3)
        .observe(|event| println!("{event}"))
        .run(&Device::flex())?;
    let trained = Train::new(&found.cells, &dataset).preset("smoke").epochs(8).run(&Device::flex())?;
    println!("{} images of 100 right", (100.0 * trained.result.test_accuracy.unwrap_or_default()).round());

    // New images of the same size; one probability per class.
    let guesses = trained.network.predict(&Arc::new(images(4, 3)), false, &Interrupt::default()).unwrap_or_default();
    for probabilities in guesses {
        println!("above {:.2}, below {:.2}", probabilities[0], probabilities[1]);
    }
    Ok(())
}

#[test]
fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
    main()
}
