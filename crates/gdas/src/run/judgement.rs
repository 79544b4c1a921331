//! Result of a judged selection.

use serde::{Deserialize, Deserializer, Serialize};

/// Ranks of the chosen cell and of alpha's cell by one judge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Places {
    /// Name of the judge, as in the configuration.
    pub judge: String,
    /// Rank of the chosen cell among all candidates, from 1; equals share the mean of their ranks.
    pub chosen: f64,
    /// Rank of the cell derived from alpha.
    pub own: f64,
}

/// The cell chosen among candidates by the best sum of ranks over all judges, with the reasons.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// Steps done in the whole run.
    pub step: u64,
    /// The cell chosen.
    pub genotype: String,
    /// Its held-out loss with the shared weights; infinite if it was NaN.
    #[serde(deserialize_with = "null_is_infinite")]
    pub loss: f64,
    /// Held-out loss of the cell derived from alpha.
    #[serde(deserialize_with = "null_is_infinite")]
    pub own_loss: f64,
    /// The cell derived from alpha. This and the following fields are absent in logs of early versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_genotype: Option<String>,
    /// Number of candidates.
    #[serde(default)]
    pub candidates: usize,
    /// Ranks of the two cells, one entry per judge.
    #[serde(default)]
    pub judges: Vec<Places>,
}

impl Judgement {
    /// Whether the chosen cell is the one derived from alpha.
    pub fn is_own(&self) -> bool {
        self.own_genotype.as_ref() == Some(&self.genotype)
    }

    /// The reason for the choice, in one or two sentences.
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

    /// Ranks of the chosen cell by each judge as text, and those of alpha's cell if it is another.
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

/// Deserializes `null` as infinity, which JSON cannot represent.
fn null_is_infinite<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::INFINITY))
}
