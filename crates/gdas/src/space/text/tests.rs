use super::*;

const TINY: &str = r#"name = "tiny"
description = "two nodes"

[skeleton]
wiring = "residual"

[[operation]]
name = "conv_5x5"
layers = ["relu", { conv = 5 }, "norm"]

[[cell]]
name = "cell"
nodes = 2
operations = ["none", "skip_connect", "conv_5x5"]
"#;

#[test]
fn a_space_is_read_from_toml_and_written_whole() {
    let space = Space::from_toml(TINY).expect("a space");
    let wide = Operation::new("conv_5x5", [Layer::Relu, Layer::Conv { kernel: 5 }, Layer::Norm]);
    let cell = CellSpace::one_input("cell", 2, [operations::none(), operations::skip_connect(), wide]);
    let by_hand = Space { description: "two nodes".to_owned(), ..Space::residual("tiny", cell) };
    assert_eq!(space, by_hand);
    insta::assert_snapshot!(space.to_toml());
}

#[test]
fn every_built_in_space_reads_back_from_toml_and_json() {
    for space in spaces::all() {
        assert_eq!(Space::from_toml(&space.to_toml()).as_ref(), Ok(&**space));
        let json = serde_json::to_string(&**space).expect("JSON");
        assert_eq!(json, format!("\"{}\"", space.name));
        assert_eq!(&serde_json::from_str::<Space>(&json).expect("reads back"), &**space);
        let other = Space { name: "mine".to_owned(), ..(**space).clone() };
        let json = serde_json::to_string(&other).expect("JSON");
        assert_eq!(serde_json::from_str::<Space>(&json).expect("reads back"), other);
    }
}

#[test]
fn mistakes_are_named_with_line_and_key() {
    let change = |from: &str, to: &str| {
        assert!(TINY.contains(from), "{from}");
        Space::from_toml(&TINY.replacen(from, to, 1)).expect_err(to).to_string()
    };
    for (from, to, expected) in [
        ("nodes = 2", "nodes = 0", "line 13: `nodes` of cell `cell`: is 0"),
        ("nodes = 2", "nodes = \"two\"", "line 13: `nodes`: invalid type: string \"two\", expected usize"),
        ("nodes = 2", "nodes = -2", "line 13: `nodes`: invalid value: integer `-2`"),
        ("nodes = 2", "node = 2", "line 13: `node`: unknown field `node`"),
        ("nodes = 2", "nodes = 2\ninputs = 2", "line 14: `inputs` of cell `cell`: is 2"),
        ("\"none\", ", "\"nome\", ", "line 14: `operations` of cell `cell`: there is no operation `nome`"),
        ("{ conv = 5 }", "{ conv = 4 }", "line 9: `layers` of operation `conv_5x5`: a window of 4x4"),
        ("{ conv = 5 }", "{ konv = 5 }", "line 9: `layers`: `konv` does not belong here"),
        ("\"relu\"", "\"gelu\"", "line 9: `layers`: invalid value: string \"gelu\", expected a layer: \"relu\""),
        ("{ conv = 5 }", "{ conv = 5, dilation = 2 }", "line 9: `layers`: only a depthwise"),
        ("name = \"conv_5x5\"", "name = \"conv 5x5\"", "line 14: `operations` of cell `cell`: there is no operation"),
        ("\"residual\"", "\"residual\"\nreduction = \"fixed\"", "line 6: `reduction` of the skeleton"),
        ("\"residual\"", "\"residual\"\nwidths = [1, 0]", "line 6: `widths` of the skeleton: 0 is not"),
        ("name = \"tiny\"", "name = \"ti|ny\"", "line 1: `name` of the space"),
        (", \"conv_5x5\"]", "]", "line 8: `name` of operation `conv_5x5`: is defined, but no cell"),
        ("[[cell]]", "[[cel]]", "unknown field `cel`"),
        ("name = \"cell\"", "name = \"cell", "line 12"),
    ] {
        let said = change(from, to);
        assert!(said.contains(expected), "{to}: {said}\nshould hold\n{expected}");
    }
    let doubled = TINY.replace("[[cell]]", "[[operation]]\nname = \"conv_5x5\"\nlayers = \"skip\"\n\n[[cell]]");
    let said = Space::from_toml(&doubled).expect_err("twice").to_string();
    assert!(said.starts_with("line 12: `name` of operation `conv_5x5`: is defined twice"), "{said}");
}

proptest::proptest! {
    /// Whatever stands where in a file, it is a space or an error.
    #[test]
    fn any_text_is_a_space_or_an_error(from in 0usize..400, length in 0usize..40, put in "\\PC{0,12}|[0-9\\[\\]\"{}=, \\n-]{0,12}") {
        let bound = |at: usize| (0..=at.min(TINY.len())).rev().find(|&at| TINY.is_char_boundary(at)).unwrap_or(0);
        let (start, end) = (bound(from), bound(from + length));
        let text = format!("{}{put}{}", &TINY[..start], &TINY[end..]);
        if let Ok(space) = Space::from_toml(&text) {
            proptest::prop_assert_eq!(space.validate(), Ok(()));
        }
        let _ = Space::from_toml(&put);
    }
}

#[test]
fn a_file_that_is_not_there_and_a_name_that_is_not_known() {
    let said = |given: &str| Space::named_or_file(given).expect_err(given).to_string();
    assert!(said("nas-bench-202").starts_with("there is no space `nas-bench-202`; built in are nas-bench-201, nasnet"));
    assert!(said("no/such.toml").starts_with("cannot read no/such.toml: "));
    let file = tempfile::NamedTempFile::with_suffix(".toml").expect("a file");
    std::fs::write(file.path(), TINY.replace("nodes = 2", "nodes = 0")).expect("written");
    let path = file.path().display().to_string();
    assert!(said(&path).starts_with(&format!("{path}, line 13: `nodes` of cell `cell`")), "{}", said(&path));
}
