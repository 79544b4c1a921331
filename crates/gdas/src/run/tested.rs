//! The file `test.safetensors`: the answers of a trained network to the test images.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{RunDir, RunError, tensors};
use crate::answers::{Answer, Answers, Bin, Calibration, Mistake};
use crate::arrays::{Array, Data};

const FILE: &str = "test.safetensors";
/// Name of the array with the BLAKE3 hash of everything else in the file.
const CHECKSUM: &str = "checksum";

/// Network and images of a test. Does not depend on time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestFacts {
    /// Name of the data set.
    pub data: String,
    /// [`Dataset::digest`](crate::data::Dataset::digest) of the images.
    pub digest: String,
    /// Description of the tested weights.
    pub weights: String,
    /// Whether the scores of each image and its mirror image were averaged.
    pub flip: bool,
    /// Height, width and channels of the images.
    pub image: [usize; 3],
    /// Number of parameters of the network.
    pub params: u64,
    /// Multiply-adds per image.
    pub multiply_adds: u64,
    /// Size of the weights and running statistics as 32-bit floats, in bytes.
    pub weight_bytes: u64,
    /// File names of the mistakes' images, in the same order; empty if images are not separate files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
}

/// Record of a test of a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TestRecord {
    /// Network and images.
    pub facts: TestFacts,
    /// The answers.
    pub answers: Answers,
}

impl TestRecord {
    /// Reads the record of the run at `run`. `None` before the end of a training, and for runs of early versions.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn read(run: &Path) -> Result<Option<Self>, RunError> {
        let path = run.join(FILE);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(RunError::io("read", &path))?,
        };
        Self::decode(&bytes).map(Some).map_err(|reason| RunError::Damaged {
            path,
            reason: format!("{reason}; `gdas evaluate {}` writes it again", crate::shell::path(run)),
        })
    }

    fn encode(&self) -> Result<Vec<u8>, RunError> {
        let facts = serde_json::to_string(&self.facts)
            .map_err(|error| RunError::Content(format!("{FILE} cannot be written: {error}")))?;
        let Answers { kept, mistakes, calibration } = &self.answers;
        let [height, width, channels] = self.facts.image;
        let classes = mistakes.first().map_or(0, |mistake| mistake.top.len());
        let (n, m, bins) = (kept.len(), mistakes.len(), calibration.bins.len());
        let top = || mistakes.iter().flat_map(|mistake| &mistake.top);
        let of = |value: fn(&Answer) -> u64| Array::u64(&[n], kept.iter().map(value).collect());
        let wrong = |value: fn(&Answer) -> u64| Array::u64(&[m], mistakes.iter().map(|m| value(&m.answer)).collect());
        let wrong_p = |value: fn(&Mistake) -> f32| Array::f32(&[m], mistakes.iter().map(value).collect());
        let pixels = mistakes.iter().flat_map(|mistake| mistake.pixels.iter().copied()).collect();
        let arrays = [
            ("images/index", of(|answer| answer.index)),
            ("images/label", of(|answer| answer.label)),
            ("images/answer", of(|answer| answer.answer)),
            ("images/confidence", Array::f32(&[n], kept.iter().map(|answer| answer.confidence).collect())),
            ("images/probability", Array::f32(&[n], kept.iter().map(|answer| answer.probability).collect())),
            ("bins/images", Array::u64(&[bins], calibration.bins.iter().map(|bin| bin.images).collect())),
            ("bins/correct", Array::u64(&[bins], calibration.bins.iter().map(|bin| bin.correct).collect())),
            ("bins/confidence", Array::f64(&[bins], calibration.bins.iter().map(|bin| bin.confidence).collect())),
            ("mistakes/index", wrong(|answer| answer.index)),
            ("mistakes/label", wrong(|answer| answer.label)),
            ("mistakes/answer", wrong(|answer| answer.answer)),
            ("mistakes/confidence", wrong_p(|mistake| mistake.answer.confidence)),
            ("mistakes/probability", wrong_p(|mistake| mistake.answer.probability)),
            ("mistakes/loss", wrong_p(|mistake| mistake.loss)),
            ("mistakes/top", Array::u64(&[m, classes], top().map(|(class, _)| *class).collect())),
            ("mistakes/top_probability", Array::f32(&[m, classes], top().map(|(_, p)| *p).collect())),
            ("mistakes/pixels", Array::u8(&[m, height, width, channels], pixels)),
        ];
        let mut arrays: BTreeMap<String, Array> =
            arrays.into_iter().map(|(name, array)| (name.to_owned(), array)).collect();
        let checksum = checksum(&arrays, &facts);
        arrays.insert(CHECKSUM.to_owned(), Array::u8(&[checksum.as_bytes().len()], checksum.as_bytes().to_vec()));
        tensors::encode(arrays.iter(), Some(facts))
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let (arrays, facts) = tensors::decode(bytes)?;
        let facts = facts.ok_or("its header does not describe the test")?;
        let mut arrays = Arrays(arrays);
        let expected = arrays.u8(CHECKSUM)?.1;
        if checksum(&arrays.0, &facts).as_bytes().as_slice() != expected {
            return Err("its checksum does not match its content".to_owned());
        }
        let facts: TestFacts = serde_json::from_str(&facts).map_err(|error| error.to_string())?;
        let n = arrays.count("images/index")?;
        let (index, label) = (arrays.u64("images/index", n)?, arrays.u64("images/label", n)?);
        let answer = arrays.u64("images/answer", n)?;
        let (confidence, probability) = (arrays.f32("images/confidence", n)?, arrays.f32("images/probability", n)?);
        let kept = (0..n).map(|i| Answer {
            index: index[i],
            label: label[i],
            answer: answer[i],
            confidence: confidence[i],
            probability: probability[i],
        });
        let kept = kept.collect();
        let bins = arrays.count("bins/images")?;
        let (images, correct) = (arrays.u64("bins/images", bins)?, arrays.u64("bins/correct", bins)?);
        let sums = arrays.f64("bins/confidence", bins)?;
        let bins = (0..bins).map(|m| Bin { images: images[m], correct: correct[m], confidence: sums[m] }).collect();
        let m = arrays.count("mistakes/index")?;
        let (index, label) = (arrays.u64("mistakes/index", m)?, arrays.u64("mistakes/label", m)?);
        let (answer, loss) = (arrays.u64("mistakes/answer", m)?, arrays.f32("mistakes/loss", m)?);
        let (confidence, probability) = (arrays.f32("mistakes/confidence", m)?, arrays.f32("mistakes/probability", m)?);
        let classes = arrays.count("mistakes/top")? / m.max(1);
        let top = arrays.u64("mistakes/top", m * classes)?;
        let top_probability = arrays.f32("mistakes/top_probability", m * classes)?;
        let [height, width, channels] = facts.image;
        let size = height.checked_mul(width).and_then(|area| area.checked_mul(channels)).unwrap_or(usize::MAX);
        let (shape, pixels) = arrays.u8("mistakes/pixels")?;
        if shape != [m, height, width, channels] || Some(pixels.len()) != m.checked_mul(size) {
            return Err("its images do not have the size given in its header".to_owned());
        }
        let mistakes = (0..m).map(|i| Mistake {
            answer: Answer {
                index: index[i],
                label: label[i],
                answer: answer[i],
                confidence: confidence[i],
                probability: probability[i],
            },
            loss: loss[i],
            top: (i * classes..(i + 1) * classes).map(|j| (top[j], top_probability[j])).collect(),
            pixels: pixels[i * size..(i + 1) * size].to_vec(),
        });
        let mistakes = mistakes.collect();
        Ok(Self { facts, answers: Answers { kept, mistakes, calibration: Calibration { bins } } })
    }
}

impl RunDir {
    /// Writes the record of a test, replacing an earlier one.
    pub fn write_test(&self, record: &TestRecord) -> Result<PathBuf, RunError> {
        self.write_file(FILE, &record.encode()?)
    }
}

/// BLAKE3 hash of arrays and a text.
fn checksum(arrays: &BTreeMap<String, Array>, text: &str) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    };
    part(text.as_bytes());
    for (name, array) in arrays {
        part(name.as_bytes());
        part(&array.shape.iter().flat_map(|&extent| (extent as u64).to_le_bytes()).collect::<Vec<u8>>());
        part(&array.to_bytes());
    }
    hasher.finalize()
}

/// The arrays of a file, removed one by one as they are decoded.
struct Arrays(BTreeMap<String, Array>);

impl Arrays {
    /// Number of values of an array.
    fn count(&self, name: &str) -> Result<usize, String> {
        let array = self.0.get(name).ok_or_else(|| format!("it has no array named {name}"))?;
        Ok(array.shape.iter().product())
    }

    fn take(&mut self, name: &str) -> Result<Array, String> {
        self.0.remove(name).ok_or_else(|| format!("it has no array named {name}"))
    }

    fn u8(&mut self, name: &str) -> Result<(Vec<usize>, Vec<u8>), String> {
        match self.take(name)? {
            Array { shape, data: Data::U8(values) } => Ok((shape, values)),
            _ => Err(wrong(name)),
        }
    }

    fn u64(&mut self, name: &str, count: usize) -> Result<Vec<u64>, String> {
        match self.take(name)?.data {
            Data::U64(values) if values.len() == count => Ok(values),
            _ => Err(wrong(name)),
        }
    }

    fn f32(&mut self, name: &str, count: usize) -> Result<Vec<f32>, String> {
        match self.take(name)?.data {
            Data::F32(values) if values.len() == count => Ok(values),
            _ => Err(wrong(name)),
        }
    }

    fn f64(&mut self, name: &str, count: usize) -> Result<Vec<f64>, String> {
        match self.take(name)?.data {
            Data::F64(values) if values.len() == count => Ok(values),
            _ => Err(wrong(name)),
        }
    }
}

fn wrong(name: &str) -> String {
    format!("its array {name} has the wrong type or length")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(wrong: bool) -> TestRecord {
        let answer = Answer { index: 3, label: 1, answer: 2, confidence: 0.75, probability: 0.125 };
        let mut calibration = Calibration::default();
        calibration.add(0.75, false);
        let mistake = Mistake { answer, loss: 2.0, top: vec![(2, 0.75), (1, 0.125)], pixels: (0..12).collect() };
        TestRecord {
            facts: TestFacts { data: "photos".into(), image: [2, 2, 3], params: 7, ..TestFacts::default() },
            answers: Answers { kept: vec![answer], mistakes: if wrong { vec![mistake] } else { vec![] }, calibration },
        }
    }

    #[test]
    fn what_is_written_is_read_and_equal_records_are_equal_files() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("run");
        let run = RunDir::create(&path, "task = \"train\"\n").expect("a run");
        assert_eq!(TestRecord::read(&path).expect("no file is no error"), None);
        for wrong in [true, false] {
            let record = record(wrong);
            run.write_test(&record).expect("writable");
            assert_eq!(TestRecord::read(&path).expect("readable"), Some(record.clone()));
            assert_eq!(record.encode().expect("bytes"), record.encode().expect("bytes"));
        }
    }

    #[test]
    fn damage_is_noticed_or_means_the_same() {
        let record = record(true);
        let bytes = record.encode().expect("bytes");
        for bit in 0..8 * bytes.len() {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(
                TestRecord::decode(&damaged).is_ok_and(|read| read == record) || TestRecord::decode(&damaged).is_err()
            );
        }
        for length in 0..bytes.len() {
            assert!(TestRecord::decode(&bytes[..length]).is_err(), "cut to {length}");
        }
        assert!(TestRecord::decode(&[]).is_err());
    }
}
