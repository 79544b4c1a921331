//! Validation of search spaces.

use super::{Body, CellOutput, CellSpace, Derivation, Layer, Operation, Place, Space, SpaceError, Wiring};

/// Maximum sizes: far above those in use, and small enough to bound the size of networks.
const MOST_STAGES: usize = 8;
const MOST_WIDTH: usize = 64;
const MOST_NODES: usize = 24;
const MOST_OPERATIONS: usize = 64;
const MOST_LAYERS: usize = 64;
const MOST_KERNEL: usize = 31;
const MOST_DILATION: usize = 16;
const LONGEST_NAME: usize = 64;

impl Space {
    /// Checks that networks can be built with any choice of operations, and that all names are valid in genotypes.
    ///
    /// # Errors
    /// The first invalid value, with its place and the requirement.
    pub fn validate(&self) -> Result<(), SpaceError> {
        let wrong = |key, reason: String| Err(wrong(Place::Space, key, reason));
        check_name(&self.name, true).or_else(|reason| wrong("name", reason))?;
        if self.description.chars().any(char::is_control) {
            return wrong("description", "must be one line".to_owned());
        }
        self.check_skeleton()?;
        let (wiring, cells) = (self.skeleton.wiring, self.cells.len());
        if cells != wiring.tables() {
            let needed = match wiring {
                Wiring::Residual => "a residual skeleton has one searched cell",
                Wiring::TwoInputs { fixed_reduction: true } => {
                    "a skeleton with the fixed reduction cell has one searched cell, the normal one"
                }
                Wiring::TwoInputs { fixed_reduction: false } => {
                    "a skeleton with a searched reduction has two cells, the normal and the reduction cell, in this order"
                }
            };
            return wrong("cells", format!("{cells} of them; {needed}"));
        }
        for (index, cell) in self.cells.iter().enumerate() {
            self.check_cell(index, cell)?;
        }
        self.check_shared_names()
    }

    fn check_skeleton(&self) -> Result<(), SpaceError> {
        let wrong = |reason: String| Err(wrong(Place::Skeleton, "widths", reason));
        let widths = &self.skeleton.widths;
        if !(1..=MOST_STAGES).contains(&widths.len()) {
            return wrong(format!("{} stages; between 1 and {MOST_STAGES} can be built", widths.len()));
        }
        if let Some(width) = widths.iter().find(|width| !(1..=MOST_WIDTH).contains(width)) {
            return wrong(format!("{width} is not between 1 and {MOST_WIDTH} (multiples of the base channel count)"));
        }
        if widths.len() == 1 && self.skeleton.wiring == (Wiring::TwoInputs { fixed_reduction: false }) {
            return wrong("one stage leaves no place for the reduction cell that is to be searched".to_owned());
        }
        Ok(())
    }

    fn check_cell(&self, index: usize, cell: &CellSpace) -> Result<(), SpaceError> {
        let wrong = |key, reason: String| Err(wrong(Place::Cell(index, cell.name.clone()), key, reason));
        let wiring = self.skeleton.wiring;
        check_name(&cell.name, true).or_else(|reason| wrong("name", reason))?;
        if self.cells[..index].iter().any(|other| other.name == cell.name) {
            return wrong("name", "another cell has the same name".to_owned());
        }
        if cell.inputs != wiring.inputs() {
            let (given, gives) = (cell.inputs, wiring.inputs());
            return wrong("inputs", format!("is {given}, but the skeleton's cells have {gives}"));
        }
        if !(1..=MOST_NODES).contains(&cell.nodes) {
            return wrong("nodes", format!("is {}, but must be between 1 and {MOST_NODES}", cell.nodes));
        }
        if !(1..=MOST_OPERATIONS).contains(&cell.operations.len()) {
            return wrong(
                "operations",
                format!("{} of them; between 1 and {MOST_OPERATIONS} can be searched", cell.operations.len()),
            );
        }
        let halves = index == 1;
        for (k, operation) in cell.operations.iter().enumerate() {
            check_operation(operation, halves)?;
            let names = std::iter::once(&operation.name).chain(&operation.aliases);
            if let Some(name) =
                names.into_iter().find(|name| cell.operations[..k].iter().any(|other| other.is_called(name)))
            {
                return wrong("operations", format!("`{name}` is there twice"));
            }
        }
        let choices = cell.operations.iter().filter(|operation| operation.body != Body::Zero).count();
        if choices == 0 {
            return wrong("operations", "all of them are zero".to_owned());
        }
        // The first node has the fewest edges.
        if cell.derivation == Derivation::TwoBestPerNode && choices * cell.inputs < 2 {
            return wrong(
                "derivation",
                format!(
                    "`two-best-per-node` needs two (edge, operation) pairs, but the first node has {} edge and {choices} \
                     operation that is not zero",
                    cell.inputs
                ),
            );
        }
        if cell.output == CellOutput::Concat && wiring == Wiring::Residual && cell.nodes > 1 {
            return wrong(
                "output",
                "`concat` multiplies the channels, which nothing in a residual skeleton brings back; take `last`, or a \
                 skeleton of two inputs"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Checks that equal names refer to equal operations in all cells.
    fn check_shared_names(&self) -> Result<(), SpaceError> {
        let all: Vec<_> = self.cells.iter().flat_map(|cell| &cell.operations).collect();
        for (i, operation) in all.iter().enumerate() {
            for other in &all[..i] {
                let clash = std::iter::once(&other.name).chain(&other.aliases).find(|name| operation.is_called(name));
                if let (Some(name), true) = (clash, operation != other) {
                    let reason = format!("`{name}` also names an operation of other layers (or with another label)");
                    return Err(wrong(Place::Operation(operation.name.clone()), "name", reason));
                }
            }
        }
        Ok(())
    }
}

impl Operation {
    /// Checks that the layers can be built and the names are valid in genotypes.
    ///
    /// # Errors
    /// The first invalid value.
    pub fn validate(&self) -> Result<(), SpaceError> {
        check_operation(self, false)
    }
}

fn wrong(place: Place, key: &'static str, reason: String) -> SpaceError {
    SpaceError::Value { line: None, place, key, reason }
}

/// Checks a name, which is used in genotypes, names of parameters and files, and in exported code.
fn check_name(name: &str, hyphen: bool) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || (hyphen && c == '-');
    if name.is_empty() {
        return Err("must not be empty".to_owned());
    }
    if name.len() > LONGEST_NAME {
        return Err(format!("is longer than {LONGEST_NAME} characters"));
    }
    let and = if hyphen { ", `_` and `-`" } else { " and `_`" };
    if let Some(c) = name.chars().find(|&c| !allowed(c)) {
        return Err(format!("`{}` holds {c:?}; names are made of letters, digits{and}", name.escape_debug()));
    }
    if name.starts_with('-') {
        return Err(format!("`{name}` begins with `-`"));
    }
    Ok(())
}

fn check_operation(operation: &Operation, halves: bool) -> Result<(), SpaceError> {
    let wrong = |key, reason: String| Err(wrong(Place::Operation(operation.name.clone()), key, reason));
    check_name(&operation.name, false).or_else(|reason| wrong("name", reason))?;
    for alias in &operation.aliases {
        check_name(alias, false).or_else(|reason| wrong("aliases", reason))?;
    }
    if operation.label.is_empty() || operation.label.chars().any(char::is_control) {
        return wrong("label", "must be one line, and not empty".to_owned());
    }
    let Body::Layers(layers) = &operation.body else { return Ok(()) };
    if layers.is_empty() {
        return wrong("layers", "there is none; the identity is the built-in operation `skip_connect`".to_owned());
    }
    if layers.len() > MOST_LAYERS {
        return wrong("layers", format!("{} of them; at most {MOST_LAYERS} can be built", layers.len()));
    }
    for layer in layers {
        let (kernel, dilation) = match *layer {
            Layer::Conv { kernel } | Layer::AvgPool { kernel } | Layer::MaxPool { kernel } => (kernel, 1),
            Layer::Depthwise { kernel, dilation } => (kernel, dilation),
            Layer::Relu | Layer::Pointwise | Layer::Norm => continue,
        };
        if kernel.is_multiple_of(2) || kernel > MOST_KERNEL {
            return wrong(
                "layers",
                format!("a window of {kernel}x{kernel}; its side must be odd, between 1 and {MOST_KERNEL}"),
            );
        }
        if !(1..=MOST_DILATION).contains(&dilation) {
            return wrong("layers", format!("a dilation of {dilation}; between 1 and {MOST_DILATION} can be built"));
        }
    }
    if halves && !layers.iter().any(|layer| layer.takes_stride()) {
        return wrong(
            "layers",
            "none of them can halve the image, as the edges from a reduction cell's inputs must; a convolution or a pool \
             can (`conv = 1` instead of `pointwise`)"
                .to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{Skeleton, operations};

    fn cell(operations: impl IntoIterator<Item = Operation>) -> CellSpace {
        CellSpace::one_input("cell", 2, operations)
    }

    fn complaint(space: &Space) -> String {
        space.validate().expect_err("not a valid space").to_string()
    }

    fn relu(name: &str) -> Operation {
        Operation::new(name, [Layer::Relu, Layer::Norm])
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_reason() {
        let good = Space::residual("good", cell([operations::skip_connect(), operations::conv(3)]));
        assert_eq!(good.validate(), Ok(()));
        let with = |change: &dyn Fn(&mut Space)| {
            let mut space = good.clone();
            change(&mut space);
            complaint(&space)
        };
        let cases = [
            (with(&|s| s.name = "a b".into()), "`name` of the space: `a b` holds ' '"),
            (with(&|s| s.name = String::new()), "`name` of the space: must not be empty"),
            (with(&|s| s.cells[0].name = "a=b".into()), "`name` of cell `a=b`: `a=b` holds '='"),
            (with(&|s| s.cells[0].nodes = 0), "`nodes` of cell `cell`: is 0"),
            (with(&|s| s.cells[0].nodes = 1000), "`nodes` of cell `cell`: is 1000"),
            (with(&|s| s.cells[0].inputs = 2), "`inputs` of cell `cell`: is 2, but the skeleton's cells have 1"),
            (with(&|s| s.cells[0].operations.clear()), "`operations` of cell `cell`: 0 of them"),
            (with(&|s| s.cells.clear()), "`cells` of the space: 0 of them; a residual skeleton has one"),
            (with(&|s| s.skeleton.widths.clear()), "`widths` of the skeleton: 0 stages"),
            (with(&|s| s.skeleton.widths[1] = 0), "`widths` of the skeleton: 0 is not between 1 and 64"),
            (with(&|s| s.cells[0].output = CellOutput::Concat), "`output` of cell `cell`: `concat` multiplies"),
            (
                with(&|s| s.cells[0] = cell([operations::conv(3), operations::conv(3)])),
                "`operations` of cell `cell`: `nor_conv_3x3` is there twice",
            ),
            (
                with(&|s| s.cells[0] = cell([operations::separable_conv(3), relu("sep_conv_3x3")])),
                "`operations` of cell `cell`: `sep_conv_3x3` is there twice",
            ),
            (with(&|s| s.cells[0] = cell([operations::none()])), "`operations` of cell `cell`: all of them"),
            (
                with(&|s| s.cells[0] = cell([operations::conv(4)])),
                "`layers` of operation `nor_conv_4x4`: a window of 4x4",
            ),
            (
                with(&|s| s.cells[0] = cell([operations::conv(0)])),
                "`layers` of operation `nor_conv_0x0`: a window of 0x0",
            ),
            (
                with(&|s| s.cells[0] = cell([Operation::new("empty", [])])),
                "`layers` of operation `empty`: there is none",
            ),
            (
                with(&|s| {
                    s.cells[0] = cell([operations::conv(3)]);
                    s.cells[0].derivation = Derivation::TwoBestPerNode;
                }),
                "`derivation` of cell `cell`: `two-best-per-node` needs two",
            ),
        ];
        for (said, expected) in cases {
            assert!(said.starts_with(expected), "{said}\nshould begin with\n{expected}");
        }
        for name in ["a|b", "a~0", "a b", "a\tb", "a+b", "a;b", "a=b", "ä", "a-b", "a.b", "a/b"] {
            let said = with(&|s| s.cells[0] = cell([relu(name)]));
            assert!(said.starts_with(&format!("`name` of operation `{name}`")), "{said}");
        }
    }

    #[test]
    fn a_reduction_cell_needs_operations_that_can_halve_the_image() {
        let two = |reduction: Operation| {
            let normal = CellSpace::two_inputs("normal", 2, [operations::conv(3), operations::avg_pool(3)]);
            let reduction = CellSpace::two_inputs("reduction", 2, [operations::skip_connect(), reduction]);
            Space::two_inputs("two", normal, reduction)
        };
        assert_eq!(two(operations::max_pool(3)).validate(), Ok(()));
        assert!(complaint(&two(relu("only_relu"))).contains("none of them can halve the image"));
        let mut one_stage = two(operations::max_pool(3));
        one_stage.skeleton = Skeleton::with_widths(one_stage.skeleton.wiring, [1]);
        assert!(complaint(&one_stage).contains("no place for the reduction cell"));
        let mut same = two(operations::max_pool(3));
        same.cells[1].name = "normal".into();
        assert!(complaint(&same).contains("another cell has the same name"));
        // One name, two meanings: a genotype that uses it would be ambiguous.
        let other = Operation::new("nor_conv_3x3", [Layer::Conv { kernel: 3 }]);
        assert!(complaint(&two(other)).contains("also names an operation of other layers"));
    }
}
