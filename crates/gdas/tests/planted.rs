//! A task with a planted answer: only one operation of the space can read the label, and alpha has to find it.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::sync::Arc;

use gdas::data::{Dataset, ImageSource};
use gdas::rng::{Rng, Stream};
use gdas::search::{Draw, Estimator, StraightThrough};
use gdas::space::{CellSpace, Layer, Operation, Skeleton, Space, Wiring, operations};
use gdas::{Alpha, Builder, Device, Error, Genotype, Search, Train};

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

/// One cell of one node and two edges, both from the 3x3 stem; nothing else in the network looks beyond a pixel. With the
/// stem, all operations but the planted one see at most 5x5 pixels. (On a node of one edge alpha would get no gradient:
/// the normalisation behind it takes back any factor.)
fn space() -> Space {
    let dilated = [Layer::Relu, Layer::Depthwise { kernel: 3, dilation: APART }, Layer::Pointwise, Layer::Norm];
    let candidates = [
        operations::skip_connect(),
        operations::conv(1),
        Operation::new(PLANTED, dilated),
        operations::conv(3),
        operations::avg_pool(3),
    ];
    let mut space = Space::two_inputs_fixed("planted", CellSpace::two_inputs("cell", 1, candidates));
    space.skeleton = Skeleton::with_widths(Wiring::TwoInputs { fixed_reduction: true }, [1]);
    space
}

fn dots() -> Dataset {
    let test = Dots { count: 64, seed: 2 };
    Dataset::from_sources("dots", ["lies", "stands"], &Dots { count: 512, seed: 1 }, Some(&test)).unwrap()
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

    fn gradient(&self, logits: &Alpha, draw: &Draw, gates: &Alpha) -> Alpha {
        let mut gradient = StraightThrough.gradient(logits, draw, gates);
        gradient.values_mut().iter_mut().for_each(|value| *value *= self.0);
        gradient
    }
}

/// Small, and without augmentation, which would move dots to the edge.
fn plain<T>(run: Builder<'_, T>) -> Builder<'_, T> {
    let small = run.seed(1).set("channels", 8).set("cells", 1).set("batch_size", 16).set("learning_rate", 0.1);
    small.set("flip", false).set("crop_padding", 0).set("cutout", 0)
}

/// Whether alpha ends on the planted operation: on one edge it is by far the most probable of all operations of the cell.
/// (The other edge has nothing to add to it, whatever it takes.)
fn finds(images: &Dataset, seed: u64, gradient: f64) -> bool {
    let search = plain(Search::new(space(), images)).seed(seed).epochs(15);
    let search = search.set("selection", "argmax").set("alpha_learning_rate", 0.02);
    let result = search.estimator(Scaled(gradient)).run(&Device::flex()).unwrap();
    println!("seed {seed}, gradient x {gradient}: {} {:.3?}", result.genotype, result.alphas[0].softmax().values());
    let probabilities = result.alphas[0].softmax();
    let planted = space().cells[0].operations.iter().position(|operation| operation.name == PLANTED).unwrap();
    let of_planted = (0..probabilities.edges()).map(|edge| probabilities[(edge, planted)]).fold(0.0, f64::max);
    of_planted > 0.4 && of_planted == probabilities.values().iter().copied().fold(0.0, f64::max)
}

#[test]
fn only_the_planted_operation_reads_the_label() {
    let images = dots();
    let space = Arc::new(space());
    for (pick, operation) in space.cells[0].operations.iter().enumerate() {
        let genotype = Genotype::from_picks(&space, &[vec![pick, pick]]);
        let training =
            plain(Train::new(&genotype, &images)).epochs(6).set("auxiliary_weight", 0.0).set("drop_path", 0.0);
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
    assert!((1..=4).all(|seed| finds(&images, seed, 1.0)));
    // With the gradient zeroed alpha stays where it started; with its sign changed it flees from the operation.
    assert!(!(1..=2).any(|seed| finds(&images, seed, 0.0)));
    assert!(!(1..=2).any(|seed| finds(&images, seed, -1.0)));
}
