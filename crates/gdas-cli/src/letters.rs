//! Operations and cells as letters, for where there is little room.

use gdas::space::{Genotype, Space};

/// A letter for each operation, all different: its first, or a digit or another one of its name.
pub(crate) fn of_operations<'a>(names: impl Iterator<Item = &'a str>) -> Vec<char> {
    let mut letters: Vec<char> = Vec::new();
    for name in names {
        let digits = name.chars().filter(char::is_ascii_digit);
        let mut candidates = name.chars().take(1).chain(digits).chain(name.chars().filter(char::is_ascii_alphabetic));
        letters.push(candidates.find(|c| !letters.contains(c)).unwrap_or('?'));
    }
    letters
}

/// The cells of a genotype, a letter for each operation: `3|s1|n3a`, nodes apart, or `normal 33|5s reduce mm|3a`. Empty where
/// the space or the text is not known.
pub(crate) fn of_cells(genotype: &str, space: &str) -> String {
    let genotype = Space::find(space).and_then(|space| Genotype::parse(genotype, &space).ok());
    let Some(genotype) = genotype else { return String::new() };
    let cells = genotype.cells.iter().zip(&genotype.space.cells).map(|(cell, of)| {
        let letters = of_operations(of.operations.iter().map(|operation| operation.name.as_str()));
        let letter = |name: &str| {
            of.operations.iter().position(|operation| operation.name == name).map_or('?', |index| letters[index])
        };
        let node = |node: &Vec<gdas::space::Choice>| {
            node.iter().map(|choice| letter(&choice.operation.name)).collect::<String>()
        };
        let nodes: Vec<String> = cell.nodes.iter().map(node).collect();
        format!("{} {}", of.name, nodes.join("|"))
    });
    cells.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_a_letter_per_operation() {
        let cell = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|";
        assert_eq!(of_cells(cell, "nas-bench-201"), "cell 3|ns|an1");
        let named = Genotype::named("GDAS_V1").map(|genotype| (genotype.to_string(), genotype.space.name.clone()));
        let (text, space) = named.unwrap_or_default();
        let letters = of_cells(&text, &space);
        assert!(letters.starts_with("normal ") && letters.contains(" reduction "), "{letters}");
        assert_eq!((of_cells("nonsense", "nas-bench-201"), of_cells(cell, "nowhere")), (String::new(), String::new()));
    }

    #[test]
    fn letters_differ() {
        let names = [
            "none",
            "max_pool_3x3",
            "avg_pool_3x3",
            "skip_connect",
            "sep_conv_3x3",
            "sep_conv_5x5",
            "dil_conv_3x3",
            "dil_conv_5x5",
        ];
        let letters = of_operations(names.into_iter());
        let different: std::collections::BTreeSet<char> = letters.iter().copied().collect();
        assert_eq!((different.len(), &letters[..5]), (names.len(), &['n', 'm', 'a', 's', '3'][..]));
    }
}
