//! Images of a type of one's own. They are drawn when they are read; a database or a camera would look the same.

use gdas::data::ImageSource;

/// Bars on a noisy ground, 12x12 pixels, grey: class 0 lies, class 1 stands.
pub struct Bars {
    /// Number of images.
    pub count: usize,
    /// Images of different seeds have different noise.
    pub seed: u64,
}

impl ImageSource for Bars {
    fn len(&self) -> usize {
        self.count
    }

    fn shape(&self) -> [usize; 3] {
        [12, 12, 1]
    }

    fn read(&self, index: usize, into: &mut [u8]) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
        // A linear congruential generator is random enough for a ground of noise.
        let mut state = (self.seed << 32) ^ (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        into.iter_mut().for_each(|pixel| *pixel = (random() % 100) as u8);
        let (stands, at, from) = (index % 2, random() % 12, random() % 6);
        for step in from..from + 6 {
            into[if stands == 1 { 12 * step + at } else { 12 * at + step }] = 220;
        }
        Ok(stands as u32)
    }
}

/// An item of a Burn data set: pixels of a 12x12 image, and its class.
#[derive(Clone, Debug)]
pub struct Item {
    /// Rows from top to bottom.
    pub pixels: Vec<u8>,
    /// Index of the class.
    pub label: u32,
}

/// Any Burn data set of such items is a source of images.
pub struct FromBurn<D>(pub D);

impl<D: burn_dataset::Dataset<Item>> ImageSource for FromBurn<D> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn shape(&self) -> [usize; 3] {
        [12, 12, 1]
    }

    fn read(&self, index: usize, into: &mut [u8]) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
        let item = self.0.get(index)?;
        if item.pixels.len() != into.len() {
            return Err(format!("{} pixels, where {} are needed", item.pixels.len(), into.len()).into());
        }
        into.copy_from_slice(&item.pixels);
        Ok(item.label)
    }
}

/// `count` bars as a Burn data set in memory.
pub fn bars_in_burn(
    count: usize,
    seed: u64,
) -> Result<impl burn_dataset::Dataset<Item>, Box<dyn std::error::Error + Send + Sync>> {
    let bars = Bars { count, seed };
    let mut items = Vec::new();
    for index in 0..count {
        let mut pixels = vec![0; 144];
        let label = bars.read(index, &mut pixels)?;
        items.push(Item { pixels, label });
    }
    Ok(burn_dataset::InMemDataset::new(items))
}
