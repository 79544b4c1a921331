//! The metrics of a run as CSV.

use super::csv;
use super::epoch::Epoch;
use super::run_data::RunData;

impl RunData {
    /// Metrics as CSV, one line per epoch.
    pub fn epochs_csv(&self) -> String {
        let other = self.other().replace('-', "_");
        let mut out = csv::line([
            "epoch",
            "train_loss",
            "train_accuracy",
            &format!("{other}_loss"),
            &format!("{other}_accuracy"),
            "test_top5",
            "tau",
            "learning_rate",
            "parameter_free",
            "entropy",
            "drop_path",
            "steps_per_second",
            "genotype",
        ]);
        let optional = |v: Option<f64>| v.map_or_else(String::new, |v| v.to_string());
        for e in &self.epochs {
            out += &csv::line([
                e.number().to_string(),
                e.train_loss().to_string(),
                e.train_accuracy().to_string(),
                optional(e.other_loss()),
                optional(e.other_accuracy()),
                optional(e.top5()),
                optional(e.tau()),
                e.learning_rate().to_string(),
                optional(e.parameter_free()),
                optional(e.entropy()),
                optional(e.drop_path()),
                e.steps_per_second().to_string(),
                e.genotype().unwrap_or_default().to_owned(),
            ]);
        }
        out
    }

    /// Number of lines of [`alphas_csv`](Self::alphas_csv), without the header.
    pub(crate) fn alpha_count(&self) -> usize {
        let rows = self.epochs.iter().flat_map(Epoch::alphas).flat_map(|table| &table.alphas);
        rows.map(Vec::len).sum()
    }

    /// Probabilities as CSV, one line per epoch, alpha table, edge and operation.
    pub fn alphas_csv(&self) -> String {
        let mut out = csv::line(["epoch", "table", "edge", "connects", "operation", "alpha", "probability"]);
        for row in &self.epochs {
            for (t, table) in row.alphas().iter().enumerate() {
                let names = self.operation_names(t);
                for (edge, (logits, probabilities)) in table.alphas.iter().zip(table.probabilities()).enumerate() {
                    for (k, p) in probabilities.into_iter().enumerate() {
                        out += &csv::line([
                            row.number().to_string(),
                            table.name.clone(),
                            edge.to_string(),
                            self.edge_name(t, edge),
                            names.get(k).cloned().unwrap_or_else(|| k.to_string()),
                            logits[k].to_string(),
                            p.to_string(),
                        ]);
                    }
                }
            }
        }
        out
    }
}
