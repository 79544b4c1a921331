//! Tables as CSV: one row per cell, means over the seeds.
//!
//! The header is `index,architecture` and then columns named `{data set}_{split}_{epochs}` in any order, with the data
//! sets `cifar10`, `cifar100` and `imagenet16_120` and the splits `train`, `valid`, `test`; numbers are accuracies in
//! percent, an empty field is a missing value. `cifar10_valid_…` is from the training on one half (`cifar10-valid`), the
//! other columns of CIFAR-10 are from the training on all training images.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use super::columns::{Columns, Curves, Run, TableWriter};
use super::table::Table;
use super::{BenchmarkError, Dataset, Quantity, Seeds, Setting, cells};

/// The columns written by [`write`], in order: those of published CSV tables.
const WRITTEN: [&str; 9] = [
    "cifar10_test_200",
    "cifar100_test_200",
    "imagenet16_120_test_200",
    "cifar10_valid_12",
    "cifar10_test_12",
    "cifar100_valid_12",
    "cifar100_test_12",
    "imagenet16_120_valid_12",
    "imagenet16_120_test_12",
];

/// Setting and quantity of a column of this name.
fn column(name: &str) -> Option<(Setting, Quantity)> {
    let (rest, epochs) = name.rsplit_once('_')?;
    let (dataset, split) = rest.rsplit_once('_')?;
    let quantity = match split {
        "train" => Quantity::TrainAccuracy,
        "valid" => Quantity::ValidAccuracy,
        "test" => Quantity::TestAccuracy,
        _ => return None,
    };
    let dataset = match dataset {
        "cifar10" if quantity == Quantity::ValidAccuracy => Dataset::Cifar10Valid,
        "cifar10" => Dataset::Cifar10,
        "cifar100" => Dataset::Cifar100,
        "imagenet16_120" => Dataset::ImageNet16,
        _ => return None,
    };
    Some((Setting::new(dataset, epochs.parse().ok().filter(|epochs| *epochs > 0)?), quantity))
}

/// Reads a table from the text of a CSV file; `path` names it in errors.
pub(super) fn read(text: &str, path: &Path) -> Result<Table, BenchmarkError> {
    let wrong = |line: usize, reason: String| BenchmarkError::Csv { path: path.to_owned(), line, reason };
    let mut lines = text.lines().enumerate().map(|(i, line)| (i + 1, line.trim_end_matches('\r')));
    let (_, header) = lines.next().ok_or_else(|| wrong(1, "the file is empty".to_owned()))?;
    let names: Vec<&str> = header.trim_start_matches('\u{feff}').split(',').map(str::trim).collect();
    if names.len() < 3 || names[..2] != ["index", "architecture"] {
        return Err(wrong(
            1,
            "the header must begin with `index,architecture` and name at least one more column".to_owned(),
        ));
    }
    let mut columns = Vec::new();
    for name in &names[2..] {
        let known = column(name).ok_or_else(|| {
            wrong(
                1,
                format!("column `{name}` is unknown; names are like `cifar10_test_200` or `imagenet16_120_valid_12`"),
            )
        })?;
        if columns.contains(&known) {
            return Err(wrong(1, format!("column `{name}` comes twice")));
        }
        columns.push(known);
    }
    let mut rows: Vec<(String, Vec<Option<f32>>)> = Vec::new();
    for (line, content) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let values: Vec<&str> = content.split(',').map(str::trim).collect();
        if values.len() != names.len() {
            return Err(wrong(line, format!("{} fields were expected, there are {}", names.len(), values.len())));
        }
        if values[0].parse() != Ok(rows.len()) {
            return Err(wrong(line, format!("index {} was expected, found `{}`", rows.len(), values[0])));
        }
        let cell = cells::parse(values[1]).map_err(|error| wrong(line, error.to_string()))?;
        let mut numbers = Vec::with_capacity(columns.len());
        for (name, value) in names[2..].iter().zip(&values[2..]) {
            let number = match *value {
                "" => None,
                value => {
                    let number = value.parse::<f32>().ok().filter(|number| (0.0..=100.0).contains(number));
                    Some(
                        number
                            .ok_or_else(|| wrong(line, format!("`{value}` in column `{name}` is not a percentage")))?,
                    )
                }
            };
            numbers.push(number);
        }
        if rows.len() > usize::from(u16::MAX) {
            return Err(wrong(line, "there are more than 65,536 cells".to_owned()));
        }
        rows.push((cells::text(cell), numbers));
    }
    if rows.is_empty() {
        return Err(wrong(1, "there is no cell after the header".to_owned()));
    }
    let mut settings: Vec<Setting> = columns.iter().map(|(setting, _)| *setting).collect();
    settings.sort_unstable();
    settings.dedup();
    let texts: Vec<String> = rows.iter().map(|(text, _)| text.clone()).collect();
    let mut quantities: Vec<Quantity> = columns.iter().map(|(_, quantity)| *quantity).collect();
    quantities.sort_unstable();
    quantities.dedup();
    let columns_of_file = Columns { quantities, curves: Vec::new() };
    let io = |error| BenchmarkError::Io { path: path.to_owned(), cause: error };
    let mut table = TableWriter::new(Vec::new(), "CSV", columns_of_file, Curves::None);
    for (index, (_, numbers)) in rows.iter().enumerate() {
        for &setting in &settings {
            let mut run = Run::new(index as u16, setting, None);
            for ((of, quantity), number) in columns.iter().zip(numbers) {
                if *of == setting {
                    run.values[*quantity as usize] = *number;
                }
            }
            if run.values.iter().any(Option::is_some) {
                table.push(&run);
            }
        }
    }
    Table::from_bytes(table.finish(&texts).map_err(io)?, path)
}

/// Writes the means of a table as CSV; missing values are empty fields.
pub(super) fn write(table: &Table, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "index,architecture,{}", WRITTEN.join(","))?;
    for (index, cell) in table.cells().iter().enumerate() {
        let mut line = format!("{index},{}", cells::text(*cell));
        for (setting, quantity) in WRITTEN.iter().filter_map(|name| column(name)) {
            line.push(',');
            if let Ok(Some(value)) = table.get(index, setting, Seeds::Mean, quantity) {
                // One to four decimals, as in published CSV tables.
                let digits = format!("{value:.4}");
                let short = digits.trim_end_matches('0');
                let _ = write!(line, "{short}{}", if short.ends_with('.') { "0" } else { "" });
            }
        }
        writeln!(out, "{line}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use proptest::prelude::*;

    use super::read;

    const HEADER: &str = "index,architecture,cifar10_test_200,cifar100_valid_12\n";
    const CELL: &str = "|none~0|+|none~0|skip_connect~1|+|none~0|nor_conv_3x3~1|avg_pool_3x3~2|";

    fn error(text: &str) -> String {
        read(text, Path::new("a.csv")).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_the_line_and_what_was_expected() {
        assert_eq!(error(""), "a.csv, line 1: the file is empty");
        assert!(error("index,cell,x\n").starts_with("a.csv, line 1: the header must begin"));
        assert!(error("index,architecture,cifar10_test\n").contains("column `cifar10_test` is unknown"));
        let twice = error("index,architecture,cifar10_test_12,cifar10_test_12\n");
        assert!(twice.ends_with("column `cifar10_test_12` comes twice"));
        assert_eq!(error(&format!("{HEADER}0,{CELL},1\n")), "a.csv, line 2: 4 fields were expected, there are 3");
        assert_eq!(error(&format!("{HEADER}1,{CELL},1,2\n")), "a.csv, line 2: index 0 was expected, found `1`");
        assert!(
            error(&format!("{HEADER}0,{CELL},101,2\n"))
                .ends_with("`101` in column `cifar10_test_200` is not a percentage")
        );
        assert!(error(&format!("{HEADER}0,{CELL},NaN,2\n")).ends_with("is not a percentage"));
        assert!(error(&format!("{HEADER}0,|none~0|,1,2\n")).contains("line 2"));
        assert!(error(&format!("{HEADER}0,{CELL},1,2\n1,{CELL},1,2\n")).contains("cells 0 and 1 are the same"));
        assert_eq!(error(HEADER), "a.csv, line 1: there is no cell after the header");
    }

    #[test]
    fn an_empty_field_is_missing_and_not_zero() {
        let table = read(&format!("{HEADER}0,{CELL},,41.5\n"), Path::new("a.csv")).unwrap();
        assert_eq!(table.settings().len(), 1);
        let mut out = Vec::new();
        super::write(&table, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().nth(1).unwrap(), format!("0,{CELL},,,,,,41.5,,,"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,200}", cut in 0usize..200) {
            let _ = read(&text, Path::new("a.csv"));
            let valid = format!("{HEADER}0,{CELL},93.5,41.25\n");
            let cut = valid.char_indices().nth(cut).map_or(valid.len(), |(i, _)| i);
            let _ = read(&format!("{}{text}{}", &valid[..cut], &valid[cut..]), Path::new("a.csv"));
        }
    }
}
