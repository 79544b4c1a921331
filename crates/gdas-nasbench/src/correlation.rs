//! Rank correlations between a ranking of cells and the table, and the file of compared pairs.

use std::cmp::Ordering;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use gdas::stats::ranks;
use serde::Serialize;

use super::BenchmarkError;

/// Score and accuracy of one cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// Index of the cell in the table.
    pub index: usize,
    /// The cell as text.
    pub cell: String,
    /// Its score in the ranking; higher is better.
    pub score: f64,
    /// Its accuracy in the table, in percent.
    pub accuracy: f64,
}

/// Correlation of two rankings of the same cells.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Correlation {
    /// Number of cells.
    pub cells: usize,
    /// Kendall's tau-b; `None` if all values of a ranking are equal.
    pub kendall_tau: Option<f64>,
    /// Spearman's rank correlation; `None` likewise.
    pub spearman: Option<f64>,
}

impl Correlation {
    /// Correlation of the scores with the accuracies.
    pub fn of(pairs: &[Pair]) -> Self {
        let scores: Vec<f64> = pairs.iter().map(|pair| pair.score).collect();
        let accuracies: Vec<f64> = pairs.iter().map(|pair| pair.accuracy).collect();
        Self {
            cells: pairs.len(),
            kendall_tau: kendall_tau(&scores, &accuracies),
            spearman: spearman(&scores, &accuracies),
        }
    }
}

/// Kendall's tau-b of two rankings of the same items: 1 if they agree on every pair, -1 if on none, near 0 if they are
/// independent; `None` if all values of one ranking are equal. Quadratic in the number of items.
pub fn kendall_tau(a: &[f64], b: &[f64]) -> Option<f64> {
    let (mut score, mut told_by_a, mut told_by_b) = (0.0, 0.0, 0.0);
    for i in 0..a.len().min(b.len()) {
        for j in 0..i {
            let sign = |x: f64, y: f64| f64::from(u8::from(x > y)) - f64::from(u8::from(x < y));
            let (of_a, of_b) = (sign(a[i], a[j]), sign(b[i], b[j]));
            score += of_a * of_b;
            told_by_a += of_a * of_a;
            told_by_b += of_b * of_b;
        }
    }
    (told_by_a > 0.0 && told_by_b > 0.0).then(|| score / f64::sqrt(told_by_a * told_by_b))
}

/// Spearman's rank correlation: Pearson's correlation of the ranks; `None` if all values of one ranking are equal.
pub fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    let n = a.len().min(b.len());
    let (a, b) = (ranks(&a[..n]), ranks(&b[..n]));
    let mean = f64::midpoint(1.0, n as f64);
    let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum::<f64>();
    let (of_a, of_b) = (product(&a, &a), product(&b, &b));
    (of_a > 0.0 && of_b > 0.0).then(|| product(&a, &b) / f64::sqrt(of_a * of_b))
}

const HEAD: &str = "index,score,accuracy,cell,ranking\n";

/// A CSV file of pairs, written line by line, so that a long comparison can be interrupted and resumed.
///
/// The last column names the ranking that the score is from.
#[derive(Debug)]
pub struct PairFile {
    path: PathBuf,
    file: File,
    ranking: String,
}

impl PairFile {
    /// Opens or creates the file of a ranking, and returns it with the pairs that it contains. An incomplete last line is
    /// removed.
    ///
    /// # Errors
    /// If the file cannot be read or written, is being written by another process, or is not a file of pairs of this ranking.
    pub fn open(path: &Path, ranking: &str) -> Result<(Self, Vec<Pair>), BenchmarkError> {
        let io = |cause| BenchmarkError::Io { path: path.to_owned(), cause };
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path).map_err(io)?;
        // Two processes that resume the same file would overwrite each other's lines.
        file.try_lock().map_err(|error| io(io::Error::other(format!("another process writes it ({error})"))))?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(io)?;
        text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        let wrong = |line: usize, reason: String| BenchmarkError::Csv { path: path.to_owned(), line, reason };
        let mut pairs = Vec::new();
        let mut lines = text.lines();
        if lines.next().is_some_and(|head| head != HEAD.trim_end()) {
            return Err(wrong(1, format!("it is not a file of pairs, which starts with `{}`", HEAD.trim_end())));
        }
        for (i, line) in lines.enumerate() {
            let (pair, found) = parse(line).ok_or_else(|| wrong(i + 2, "it is not a pair".to_owned()))?;
            if found != ranking {
                return Err(wrong(i + 2, format!("it is of another ranking (`{found}`); choose another file")));
            }
            pairs.push(pair);
        }
        file.set_len(text.len() as u64).map_err(io)?;
        file.seek(SeekFrom::End(0)).map_err(io)?;
        if text.is_empty() {
            file.write_all(HEAD.as_bytes()).map_err(io)?;
        }
        Ok((Self { path: path.to_owned(), file, ranking: ranking.to_owned() }, pairs))
    }

    /// Appends a pair.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn push(&mut self, pair: &Pair) -> Result<(), BenchmarkError> {
        let Pair { index, cell, score, accuracy } = pair;
        let line = format!("{index},{score},{accuracy},{cell},{}\n", self.ranking);
        self.file.write_all(line.as_bytes()).map_err(|cause| BenchmarkError::Io { path: self.path.clone(), cause })
    }
}

fn parse(line: &str) -> Option<(Pair, &str)> {
    let mut fields = line.splitn(5, ',');
    let index = fields.next()?.parse().ok()?;
    let score = fields.next()?.parse::<f64>().ok().filter(|score| !score.is_nan())?;
    let accuracy = fields.next()?.parse().ok()?;
    let cell = fields.next()?.to_owned();
    Some((Pair { index, cell, score, accuracy }, fields.next()?))
}

/// Sorts the pairs by score, the best first.
pub fn best_first(pairs: &mut [Pair]) {
    pairs.sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal).then(a.index.cmp(&b.index)));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use super::*;

    #[test]
    fn kendall_tau_handles_ties() {
        assert_eq!(kendall_tau(&[1.0, 2.0, 3.0], &[10.0, 20.0, 30.0]), Some(1.0));
        assert_eq!(kendall_tau(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), Some(-1.0));
        // scipy.stats.kendalltau([12, 2, 1, 12, 2], [1, 4, 7, 1, 0]) = -0.47140452079103173
        let tau = kendall_tau(&[12.0, 2.0, 1.0, 12.0, 2.0], &[1.0, 4.0, 7.0, 1.0, 0.0]);
        assert!(tau.is_some_and(|tau| (tau + 0.471_404_520_791_031_73).abs() < 1e-12), "{tau:?}");
        assert_eq!(kendall_tau(&[1.0, 1.0], &[1.0, 2.0]), None);
    }

    #[test]
    fn spearman_handles_ties() {
        assert_eq!(spearman(&[1.0, 2.0, 4.0], &[f64::NEG_INFINITY, 2.0, 3.0]), Some(1.0));
        // Ranks 4.5, 2.5, 1, 4.5, 2.5 and 2.5, 4, 5, 2.5, 1: a covariance of -5 over the root of 9 * 9.5.
        let rho = spearman(&[12.0, 2.0, 1.0, 12.0, 2.0], &[1.0, 4.0, 7.0, 1.0, 0.0]).unwrap();
        assert!((rho + 5.0 / f64::sqrt(9.0 * 9.5)).abs() < 1e-12, "{rho}");
        assert_eq!(spearman(&[1.0, 2.0], &[3.0, 3.0]), None);
    }

    #[test]
    fn a_file_of_pairs_is_gone_on_with_and_keeps_to_its_ranking() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.csv");
        let pair = |index, score| Pair { index, cell: format!("|none~{index}|"), score, accuracy: 0.1 + 0.2 };
        let (mut file, none) = PairFile::open(&path, "synflow; seed 0").unwrap();
        assert!(none.is_empty());
        file.push(&pair(3, f64::NEG_INFINITY)).unwrap();
        file.push(&pair(1, 1.0 / 3.0)).unwrap();
        drop(file);
        let whole = fs::read_to_string(&path).unwrap();
        // As after being killed within a line.
        fs::write(&path, format!("{whole}7,0.5,0.")).unwrap();
        let (mut file, known) = PairFile::open(&path, "synflow; seed 0").unwrap();
        assert_eq!(known, [pair(3, f64::NEG_INFINITY), pair(1, 1.0 / 3.0)]);
        file.push(&pair(7, 0.5)).unwrap();
        let error = PairFile::open(&path, "synflow; seed 0").unwrap_err().to_string();
        assert!(error.contains("another process"), "{error}");
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 4);
        let error = PairFile::open(&path, "snip; seed 0").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("another ranking"), "{error}");
        fs::write(&path, "index,architecture\n").unwrap();
        assert!(PairFile::open(&path, "snip").unwrap_err().to_string().contains("line 1"));
    }
}
