//! A task with a planted answer: only one operation of the space can read the label, and alpha has to find it.
#![allow(missing_docs, clippy::unwrap_used)]

use gdas::data::{Dataset, ImageSource};
use gdas::rng::{Rng, Stream};
use gdas::search::{Draw, Estimator, StraightThrough};
use gdas::space::{CellSpace, Layer, Operation, Skeleton, Space, Wiring, operations};
use gdas::{Alpha, Device, Error, Genotype, Search, Train};

/// Side of the images.
const SIDE: usize = 16;
/// Distance between the two dots of an image.
const APART: usize = 5;
/// The least distance of a dot from the edge of the image.
const MARGIN: usize = 4;

/// Two dots on black, `APART` pixels from each other: class 0 side by side, class 1 one above the other.
///
/// A network whose receptive field is smaller than `APART + 1` pixels sees one dot at a time, never near the edge. All
/// images are then the same multiset of patches, and what it averages over the image is the same for all of them.
struct Dots {
    count: usize,
    seed: u64,
}

impl ImageSource for Dots {
    fn len(&self) -> usize {
        self.count
    }

    fn shape(&self) -> [usize; 3] {
        [SIDE, SIDE, 1]
    }

    fn read(&self, index: usize, into: &mut [u8]) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
        let mut rng = Rng::new(self.seed, Stream::Algorithm, index as u64);
        let along = MARGIN + rng.below(SIDE - 2 * MARGIN - APART);
        let across = MARGIN + rng.below(SIDE - 2 * MARGIN);
        let upright = index % 2 == 1;
        for at in [along, along + APART] {
            into[if upright { SIDE * at + across } else { SIDE * across + at }] = 255;
        }
        Ok(u32::from(upright))
    }
}

const PLANTED: &str = "dil_conv_3x3_5";

/// One cell of one edge, behind the 3x3 stem; nothing else in the network looks beyond a pixel. With the stem, all
/// operations but the planted one see at most 5x5 pixels.
fn space() -> Space {
    let dilated = [Layer::Relu, Layer::Depthwise { kernel: 3, dilation: APART }, Layer::Pointwise, Layer::Norm];
    let candidates = [
        operations::skip_connect(),
        operations::conv(1),
        Operation::new(PLANTED, dilated),
        operations::conv(3),
        operations::avg_pool(3),
    ];
    let mut space = Space::residual("planted", CellSpace::one_input("cell", 1, candidates));
    space.skeleton = Skeleton::with_widths(Wiring::Residual, [1]);
    space
}

fn dots() -> Dataset {
    let test = Dots { count: 64, seed: 2 };
    Dataset::from_sources("dots", ["lies", "stands"], &Dots { count: 256, seed: 1 }, Some(&test)).unwrap()
}

/// The published estimator with its gradient multiplied.
#[derive(Debug)]
struct Scaled(f64);

impl Estimator for Scaled {
    fn name(&self) -> &'static str {
        "scaled"
    }

    fn draw(&self, logits: &Alpha, tau: f64, rng: &mut Rng) -> Result<Draw, Error> {
        StraightThrough.draw(logits, tau, rng)
    }

    fn gradient(&self, draw: &Draw, gates: &Alpha) -> Alpha {
        let mut gradient = StraightThrough.gradient(draw, gates);
        gradient.values_mut().iter_mut().for_each(|value| *value *= self.0);
        gradient
    }
}

/// The operation that alpha ends on.
fn found(images: &Dataset, seed: u64, gradient: f64) -> String {
    let search = Search::new(space(), images)
        .seed(seed)
        .epochs(12)
        .set("selection", "argmax")
        .set("channels", 8)
        .set("cells", 1)
        .set("batch_size", 16)
        .set("learning_rate", 0.1)
        .set("alpha_learning_rate", 0.01)
        .set("flip", false)
        .set("crop_padding", 0)
        .set("cutout", 0);
    let result = search.estimator(Scaled(gradient)).run(&Device::flex()).unwrap();
    println!("seed {seed}, gradient x {gradient}: {} {:?}", result.genotype, result.alphas[0].softmax().values());
    space().cells[0].operations[result.alphas[0].argmax()[0]].name.clone()
}

#[test]
fn only_the_planted_operation_reads_the_label() {
    let images = dots();
    for operation in &space().cells[0].operations {
        let genotype = Genotype::parse(&format!("|{}~0|", operation.name), &space().into()).unwrap();
        let training = Train::new(&genotype, &images).epochs(6).seed(1).set("channels", 8).set("cells", 1);
        let training = training.set("batch_size", 16).set("flip", false).set("crop_padding", 0).set("cutout", 0);
        let accuracy = training.run(&Device::flex()).unwrap().result.test_accuracy.unwrap();
        println!("{}: {accuracy}", operation.name);
        if operation.name == PLANTED {
            assert!(accuracy > 0.95, "{accuracy}");
        } else {
            assert!((0.35..=0.65).contains(&accuracy), "{}: {accuracy}", operation.name);
        }
    }
}

#[test]
fn alpha_finds_the_planted_operation_by_its_gradient() {
    let images = dots();
    let hits = |gradient: f64| (1..=4).filter(|&seed| found(&images, seed, gradient) == PLANTED).count();
    assert_eq!(hits(1.0), 4);
    // With the gradient zeroed alpha stays where it started; with its sign changed it flees from the operation.
    assert!(hits(0.0) < 4);
    assert_eq!(hits(-1.0), 0);
}
