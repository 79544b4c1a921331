//! What the table knows of the cells that a search pointed to on its way.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Dataset, Quantity, Rank, Setting, Table};

/// The data sets that a trajectory is looked up on.
pub const TRAJECTORY_DATASETS: [Dataset; 3] = [Dataset::Cifar10, Dataset::Cifar100, Dataset::ImageNet16];

/// The cells of a search, epoch by epoch, in the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trajectory {
    /// What the entries of [`TrajectoryPoint::ranks`] belong to.
    pub datasets: Vec<Dataset>,
    /// One per epoch.
    pub points: Vec<TrajectoryPoint>,
}

/// The cell of an epoch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrajectoryPoint {
    /// Number of the epoch, from zero.
    pub epoch: usize,
    /// The cell as text.
    pub cell: String,
    /// Its place in the table, if that holds it.
    pub index: Option<usize>,
    /// Value and rank per data set, where the table has them.
    pub ranks: Vec<Option<Rank>>,
}

impl Trajectory {
    /// Looks up `(epoch, cell)` by a quantity after trainings of this length. A cell that the table does not hold has no
    /// index and no ranks.
    pub fn new<'a>(
        cells: impl IntoIterator<Item = (usize, &'a str)>,
        table: &Table,
        quantity: Quantity,
        epochs: u16,
    ) -> Self {
        // Searches stay with a cell for many epochs, and a rank is a pass over the whole table.
        let mut known: BTreeMap<&str, (Option<usize>, Vec<Option<Rank>>)> = BTreeMap::new();
        let points = cells.into_iter().map(|(epoch, cell)| {
            let (index, ranks) = known.entry(cell).or_insert_with(|| {
                let index = table.find(cell).ok();
                let rank = |dataset| table.rank(index?, Setting::new(dataset, epochs), quantity).ok();
                (index, TRAJECTORY_DATASETS.into_iter().map(rank).collect())
            });
            TrajectoryPoint { epoch, cell: cell.to_owned(), index: *index, ranks: ranks.clone() }
        });
        Self { points: points.collect(), datasets: TRAJECTORY_DATASETS.to_vec() }
    }
}
