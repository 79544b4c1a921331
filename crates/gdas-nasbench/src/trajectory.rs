//! Table look-up of the cells that a search had derived after each epoch.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Dataset, Quantity, Rank, Setting, Table};

/// The data sets of a trajectory's ranks.
pub const TRAJECTORY_DATASETS: [Dataset; 3] = [Dataset::Cifar10, Dataset::Cifar100, Dataset::ImageNet16];

/// The derived cell of every epoch of a search, with its ranks in the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trajectory {
    /// Data sets of the entries of [`TrajectoryPoint::ranks`].
    pub datasets: Vec<Dataset>,
    /// One per epoch.
    pub points: Vec<TrajectoryPoint>,
}

/// The derived cell of one epoch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrajectoryPoint {
    /// Number of the epoch, from zero.
    pub epoch: usize,
    /// The cell as text.
    pub cell: String,
    /// Index of the cell in the table, if it is in it.
    pub index: Option<usize>,
    /// Value and rank per data set, if the table has them.
    pub ranks: Vec<Option<Rank>>,
}

impl Trajectory {
    /// Looks up pairs of epoch and cell; ranks are by `quantity` after trainings of this length. A cell that is not in the
    /// table has no index and no ranks.
    pub fn new<'a>(
        cells: impl IntoIterator<Item = (usize, &'a str)>,
        table: &Table,
        quantity: Quantity,
        epochs: u16,
    ) -> Self {
        // The cell often stays the same for many epochs, and a rank needs a pass over the whole table.
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
