//! The result of choosing a cell by judges.

use serde::{Deserialize, Deserializer, Serialize};

/// Where the cell chosen and alpha's own cell stand with one judge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Places {
    /// Name of the judge, as in the configuration.
    pub judge: String,
    /// Place of the cell chosen among all candidates, from 1; equals share the mean of their places.
    pub chosen: f64,
    /// Place of alpha's own cell.
    pub own: f64,
}

/// The choice of a cell among candidates, and its reason: the best sum of ranks over all judges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// Steps done in the whole run.
    pub step: u64,
    /// The cell chosen.
    pub genotype: String,
    /// Its held-out loss with the shared weights; infinite if that was no number.
    #[serde(deserialize_with = "null_is_infinite")]
    pub loss: f64,
    /// That of the cell that alpha alone points to.
    #[serde(deserialize_with = "null_is_infinite")]
    pub own_loss: f64,
    /// The cell that alpha alone points to; absent in logs of early builds, as is all that follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_genotype: Option<String>,
    /// Number of candidates.
    #[serde(default)]
    pub candidates: usize,
    /// Places of the two cells, one entry per judge.
    #[serde(default)]
    pub judges: Vec<Places>,
}

impl Judgement {
    /// Whether the judges chose the cell that alpha alone points to.
    pub fn is_own(&self) -> bool {
        self.own_genotype.as_ref() == Some(&self.genotype)
    }

    /// Why this cell, in one or two sentences.
    ///
    /// ```
    /// use gdas::run::{Judgement, Places};
    /// let judgement = Judgement {
    ///     step: 100,
    ///     genotype: "a".into(),
    ///     loss: 0.4,
    ///     own_loss: 0.3,
    ///     own_genotype: Some("b".into()),
    ///     candidates: 100,
    ///     judges: vec![
    ///         Places { judge: "loss".into(), chosen: 40.0, own: 1.0 },
    ///         Places { judge: "synflow".into(), chosen: 2.0, own: 98.5 },
    ///     ],
    /// };
    /// assert_eq!(
    ///     judgement.reason(),
    ///     "the cell chosen has the best sum of places among 100 candidates: loss 40, synflow 2 (alpha's own cell: loss 1, \
    ///      synflow 98.5). Its held-out loss with the shared weights is 0.400, that of alpha's own cell 0.300: the other \
    ///      judges outweigh it"
    /// );
    /// ```
    pub fn reason(&self) -> String {
        let losses = format!(
            "held-out loss with the shared weights is {:.3}, that of alpha's own cell {:.3}",
            self.loss, self.own_loss
        );
        if self.judges.is_empty() {
            return format!("the cell chosen by the judges: its {losses}");
        }
        let subject = if self.is_own() { "alpha's own cell" } else { "the cell chosen" };
        let best = format!("{subject} has the best sum of places among {}", self.places());
        if self.is_own() {
            return best;
        }
        let outweighed = if self.loss > self.own_loss { ": the other judges outweigh it" } else { "" };
        format!("{best}. Its {losses}{outweighed}")
    }

    /// The place of the cell chosen with each judge, beside that of alpha's own cell if that is another.
    pub fn places(&self) -> String {
        let list = |place: fn(&Places) -> f64| {
            let of = |judge: &Places| format!("{} {}", judge.judge, place(judge));
            self.judges.iter().map(of).collect::<Vec<_>>().join(", ")
        };
        let own =
            if self.is_own() { String::new() } else { format!(" (alpha's own cell: {})", list(|judge| judge.own)) };
        format!("{} candidates: {}{own}", self.candidates, list(|judge| judge.chosen))
    }
}

/// JSON has no infinity; what is written for it is `null`.
fn null_is_infinite<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::INFINITY))
}
