//! Derivation of a genotype from alpha.

use std::sync::Arc;

use super::super::{Body, CellSpace, Derivation, Space};
use super::{CellGenotype, Choice, Genotype};
use crate::alpha::{Alpha, argmax, softmax};

impl Genotype {
    /// Derives a genotype from the alpha tables of a space, each `[edges, operations]`.
    pub fn from_alpha(space: &Arc<Space>, tables: &[Alpha]) -> Self {
        let cells = space.cells.iter().zip(tables).map(|(cell, alpha)| derive(cell, alpha, &[])).collect();
        Self { space: space.clone(), cells }
    }

    /// As [`from_alpha`](Self::from_alpha), with at most `most` skip connections in the first (normal) cell: while there are
    /// more, the one with the smallest probability is excluded (P-DARTS, section 3.2.2).
    pub fn from_alpha_with_skips(space: &Arc<Space>, tables: &[Alpha], most: usize) -> Self {
        let mut genotype = Self::from_alpha(space, tables);
        let (Some(cell), Some(alpha)) = (space.cells.first(), tables.first()) else { return genotype };
        let skip = |choice: &Choice| choice.operation.body == Body::Skip;
        let mut barred = Vec::new();
        while genotype.cells[0].count(skip) > most {
            let edges = cell.edges();
            let skips = genotype.cells[0].nodes.iter().enumerate().flat_map(|(node, choices)| {
                let to = cell.inputs + node;
                choices.iter().filter(|c| skip(c)).map(move |c| (c.input, to))
            });
            let scored = skips.filter_map(|(from, to)| {
                let edge = edges.iter().position(|e| (e.from, e.to) == (from, to))?;
                let column = cell.operations.iter().position(|op| op.body == Body::Skip)?;
                Some((*softmax(alpha.rows().nth(edge)?).get(column)?, edge))
            });
            let Some((_, weakest)) = scored.min_by(|a, b| a.0.total_cmp(&b.0)) else { break };
            barred.push(weakest);
            let fewer = derive(cell, alpha, &barred);
            let complete = fewer.nodes.iter().zip(&genotype.cells[0].nodes).all(|(new, old)| new.len() == old.len());
            if fewer == genotype.cells[0] || !complete {
                // There is no other candidate.
                break;
            }
            genotype.cells[0] = fewer;
        }
        genotype
    }
}

/// Derives a cell from its table; skip connections on the edges `barred` are excluded.
fn derive(cell: &CellSpace, alpha: &Alpha, barred: &[usize]) -> CellGenotype {
    let mut nodes: Vec<Vec<(f64, Choice)>> = vec![Vec::new(); cell.nodes];
    for (index, (edge, row)) in cell.edges().iter().zip(alpha.rows()).enumerate() {
        let node = &mut nodes[edge.to - cell.inputs];
        let row = &row[..row.len().min(cell.width())];
        if row.is_empty() {
            // There is no candidate; `check` refuses the empty edge.
            continue;
        }
        let choice = |k: usize| Choice { operation: cell.operations[k].clone(), input: edge.from };
        let allowed = |k: usize| !(barred.contains(&index) && cell.operations[k].body == Body::Skip);
        match cell.derivation {
            Derivation::BestPerEdge => {
                let row = row.iter().enumerate().map(|(k, &a)| if allowed(k) { a } else { f64::NEG_INFINITY });
                node.push((0.0, choice(argmax(&row.collect::<Vec<_>>()))));
            }
            Derivation::TwoBestPerNode => {
                let scored = softmax(row).into_iter().enumerate();
                let scored = scored.filter(|&(k, _)| cell.operations[k].body != Body::Zero && allowed(k));
                node.extend(scored.map(|(k, p)| (p, choice(k))));
            }
        }
    }
    let nodes = nodes.into_iter().map(|mut scored| {
        if cell.derivation == Derivation::TwoBestPerNode {
            // The sort is stable: ties are resolved to the earlier edge and operation.
            scored.sort_by(|a, b| b.0.total_cmp(&a.0));
            scored.truncate(2);
        }
        scored.into_iter().map(|(_, choice)| choice).collect()
    });
    CellGenotype { nodes: nodes.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::spaces;

    #[test]
    fn two_best_pairs_exclude_none() {
        let space = spaces::nasnet_frc();
        let mut alpha = Alpha::zeros(14, 8);
        alpha[0][0] = 9.0; // none, however strong, is never chosen
        alpha[0][2] = 8.5;
        alpha[1][7] = 5.0;
        let genotype = Genotype::from_alpha(&space, &[alpha]);
        let node = &genotype.cells[0].nodes[0];
        let names: Vec<_> = node.iter().map(|c| (c.operation.name.as_str(), c.input)).collect();
        assert_eq!(names, [("max_pool_3x3", 1), ("dua_sepc_3x3", 0)]);
        assert_eq!(genotype.check(&space), Ok(()));
    }

    /// The weakest skip connections give way to what is next on their edge (or node).
    #[test]
    fn skips_over_the_limit_give_way_weakest_first() {
        let space = spaces::nasnet_frc();
        // Operation 1 is the skip connection, 2 the 3x3 separable convolution.
        let mut alpha = Alpha::zeros(14, 8);
        for edge in 0..14 {
            alpha[edge][1] = 2.0 + 0.1 * edge as f64;
            alpha[edge][2] = 1.0;
        }
        let skips = |g: &Genotype| g.cells[0].count(|c| c.operation.name == "skip_connect");
        let free = Genotype::from_alpha(&space, std::slice::from_ref(&alpha));
        assert_eq!(skips(&free), 8);
        for most in [0, 1, 2, 5, 8, 20] {
            let limited = Genotype::from_alpha_with_skips(&space, std::slice::from_ref(&alpha), most);
            assert_eq!(skips(&limited), most.min(8));
            assert_eq!(limited.check(&space), Ok(()));
        }
        // Two remain: the strongest, into the last node.
        let limited = Genotype::from_alpha_with_skips(&space, std::slice::from_ref(&alpha), 2);
        assert!(limited.cells[0].nodes[3].iter().all(|c| c.operation.name == "skip_connect"));
        // Where alpha has few skips, nothing changes; one operation per edge works the same way.
        assert_eq!(Genotype::from_alpha_with_skips(&space, std::slice::from_ref(&alpha), 8), free);
        let alpha = [Alpha::from_rows(&[[0.0, 2.0, 0.5, 1.0, 0.0]; 6])];
        let limited = Genotype::from_alpha_with_skips(&spaces::nas_bench_201(), &alpha, 1);
        assert_eq!(limited.cells[0].count(|c| c.operation.name == "nor_conv_3x3"), 5);
    }
}
