//! Trait for custom sources of images.

use std::sync::Arc;

use super::dataset::{Dataset, Files, Format, Images, Statistics};
use super::error::DataError;

/// Labelled images of one size: files of a custom format, a database, a generator, another library's data set.
///
/// [`Dataset::from_sources`] reads each image once, in order. An invalid label or a failed read is an error that names the
/// partition and the image.
///
/// # Example
/// Horizontal and vertical bars, drawn on request:
///
/// ```
/// use gdas::data::{Dataset, ImageSource};
///
/// struct Bars(usize);
///
/// impl ImageSource for Bars {
///     fn len(&self) -> usize {
///         self.0
///     }
///
///     fn shape(&self) -> [usize; 3] {
///         [8, 8, 1]
///     }
///
///     fn read(&self, index: usize, into: &mut [u8]) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
///         let (upright, at) = (index % 2 == 1, index / 2 % 8);
///         for i in 0..8 {
///             into[if upright { 8 * i + at } else { 8 * at + i }] = 255;
///         }
///         Ok(u32::from(upright))
///     }
/// }
///
/// let bars = Dataset::from_sources("bars", ["lying", "upright"], &Bars(64), Some(&Bars(16)))?;
/// assert_eq!((bars.train.len(), bars.train.labels[1]), (64, 1));
/// # Ok::<(), gdas::data::DataError>(())
/// ```
pub trait ImageSource {
    /// Number of images.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Shape `[height, width, channels]` of every image; 1 channel (grey) or 3 (red, green, blue).
    fn shape(&self) -> [usize; 3];

    /// Writes image `index` to `into`, which contains `height * width * channels` zeros, rows from top to bottom, channels
    /// last; returns its label, the index of its class.
    ///
    /// # Errors
    /// If the image cannot be read.
    fn read(&self, index: usize, into: &mut [u8]) -> Result<u32, Box<dyn std::error::Error + Send + Sync>>;
}

/// Images in memory are a source as well.
impl ImageSource for Images {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn shape(&self) -> [usize; 3] {
        [self.height, self.width, self.channels]
    }

    fn read(&self, index: usize, into: &mut [u8]) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
        let (start, n) = (index * self.image_len(), self.image_len());
        let label = self.labels.get(index).ok_or("the index is out of range")?;
        into.copy_from_slice(self.pixels.get(start..start + n).ok_or("pixels are missing")?);
        Ok(*label)
    }
}

impl Dataset {
    /// A data set of the images of one or two sources; `classes` are the names of the labels. Without `test` there is no test
    /// partition ([`hold_out`](Self::hold_out) makes one). Training images may be flipped; set [`flip`](Self::flip) to false if
    /// left and right matter.
    ///
    /// # Errors
    /// [`DataError::Source`] if an image cannot be read, [`DataError::Unsuitable`] if [`check`](Self::check) fails.
    pub fn from_sources(
        name: impl Into<String>,
        classes: impl IntoIterator<Item = impl Into<String>>,
        train: &dyn ImageSource,
        test: Option<&dyn ImageSource>,
    ) -> Result<Self, DataError> {
        let train = Arc::new(read_all(train, "training")?);
        let test = test.map(|test| read_all(test, "test")).transpose()?.map(Arc::new);
        Self::in_memory(name, classes, train, test)
    }

    /// As [`from_sources`](Self::from_sources), for images that are in memory.
    ///
    /// # Errors
    /// [`DataError::Unsuitable`] if [`check`](Self::check) fails.
    pub fn in_memory(
        name: impl Into<String>,
        classes: impl IntoIterator<Item = impl Into<String>>,
        train: Arc<Images>,
        test: Option<Arc<Images>>,
    ) -> Result<Self, DataError> {
        let name = name.into();
        let dataset = Self {
            format: Format::Source,
            classes: classes.into_iter().map(Into::into).collect(),
            statistics: Statistics::of(&train),
            train,
            test,
            held_out: false,
            files: Files::default(),
            flip: true,
            notes: Vec::new(),
            name: name.clone(),
        };
        dataset.check(&name)
    }
}

fn read_all(source: &dyn ImageSource, part: &'static str) -> Result<Images, DataError> {
    let [height, width, channels] = source.shape();
    let mut images = Images::empty(height, width, channels);
    let too_large =
        || DataError::Unsuitable(format!("{part} images of {height}x{width}x{channels} do not fit in memory"));
    let size = height.checked_mul(width).and_then(|area| area.checked_mul(channels)).ok_or_else(too_large)?;
    let total = size.checked_mul(source.len()).ok_or_else(too_large)?;
    images.pixels.try_reserve_exact(total).map_err(|_| too_large())?;
    images.pixels.resize(total, 0);
    // `Dataset::check` refuses a size of zero; chunks cannot be empty.
    for (index, pixels) in images.pixels.chunks_exact_mut(size.max(1)).enumerate() {
        let label = source.read(index, pixels).map_err(|source| DataError::Source { part, index, source })?;
        images.labels.push(label);
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source whose image `bad` has label 9 or fails.
    struct Faulty {
        shape: [usize; 3],
        bad: usize,
        fails: bool,
    }

    impl ImageSource for Faulty {
        fn len(&self) -> usize {
            6
        }

        fn shape(&self) -> [usize; 3] {
            self.shape
        }

        fn read(&self, index: usize, into: &mut [u8]) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
            into.fill(index as u8);
            match index == self.bad {
                true if self.fails => Err("the tape broke".into()),
                true => Ok(9),
                false => Ok((index % 2) as u32),
            }
        }
    }

    fn outcome(source: &Faulty) -> String {
        match Dataset::from_sources("mine", ["a", "b"], source, None) {
            Ok(dataset) => format!("{:?}", dataset.train),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_a_source_of_ones_own_gets_wrong_is_an_error_that_names_it() {
        let good = Faulty { shape: [8, 9, 3], bad: 6, fails: false };
        assert_eq!(outcome(&good), "6 images of 8x9x3");
        assert_eq!(outcome(&Faulty { bad: 4, ..good }), "mine: train image 4 has label 9 of 2 classes");
        assert_eq!(outcome(&Faulty { bad: 2, fails: true, ..good }), "training image 2 cannot be read: the tape broke");
        for shape in [[0, 8, 1], [8, 8, 2], [4, 4, 1], [usize::MAX, 8, 1], [1 << 40, 1 << 20, 1]] {
            let what = outcome(&Faulty { shape, ..good });
            assert!(what.contains("images of"), "{shape:?}: {what}");
        }
    }

    #[test]
    fn images_in_memory_are_a_source() {
        let digits = super::super::digits();
        let again = Dataset::from_sources("digits", digits.classes.clone(), &*digits.train, None).unwrap();
        assert_eq!(again.digest(), digits.digest());
        assert_eq!(again.statistics, digits.statistics);
    }
}
