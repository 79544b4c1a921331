use super::*;
use crate::space::Choice;

#[test]
fn named_genotypes_read_back() {
    for name in Genotype::names() {
        let genotype = Genotype::named(name).expect("a named genotype is valid");
        assert_eq!(genotype.to_string().parse::<Genotype>().as_ref(), Ok(&genotype), "{name}");
        let json = serde_json::to_string(&genotype).expect("serialises");
        assert_eq!(serde_json::from_str::<Genotype>(&json).expect("reads back"), genotype);
    }
}

#[test]
fn python_text_of_darts_and_autodl() {
    let darts = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
        ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], \
        reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), \
        ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])";
    assert_eq!(darts.parse::<Genotype>().ok(), Genotype::named("DARTS_V2"));
    let autodl = "{'normal': [(('skip_connect', 0, 0.2), ('skip_connect', 1, 0.1)), (('skip_connect', 0), ('sep_conv_5x5', 2)), \
        (('sep_conv_3x3', 3), ('skip_connect', 0)), (('sep_conv_5x5', 4), ('sep_conv_3x3', 3))], 'normal_concat': [2,3,4,5], \
        'reduce': [(('sep_conv_5x5', 0), ('sep_conv_3x3', 1)), (('sep_conv_5x5', 2), ('sep_conv_5x5', 1)), \
        (('dil_conv_5x5', 2), ('sep_conv_3x3', 1)), (('sep_conv_5x5', 0), ('sep_conv_5x5', 1))], 'reduce_concat': [2,3,4,5]}";
    assert_eq!(autodl.parse::<Genotype>().ok(), Genotype::named("GDAS_V1"));
}

#[test]
fn errors_say_where_and_how_to_mend() {
    let error = |text: &str| text.parse::<Genotype>().unwrap_err().to_string();
    assert!(error("|conv~0|").starts_with("unknown operation `conv` at byte 1"));
    assert!(error("|none~x|").contains("at byte 6: expected the number of a state"));
    assert!(error("|none~0").contains("a closing `|`"));
    assert!(error("").contains("at byte 0"));
    assert!(error("|none~0|+|none~0|none~2|+|none~0|none~1|none~2|").contains("cannot read state 2"));
    assert!(error("|none~0|+|none~1|none~0|+|none~0|none~1|none~2|").contains("where state 0 belongs"));
    assert!(error("normal=|none~0|").contains("nodes instead of"));
}

/// What `gdas genotype --json` and the Python module print has fields beside the genotype.
#[test]
fn json_with_other_fields_beside_the_genotype_is_read() {
    let genotype = Genotype::named("GDAS_V1").expect("published");
    let mut value = serde_json::to_value(&genotype).expect("JSON");
    value["text"] = genotype.to_string().into();
    value["parameter_free"] = 0.5.into();
    assert_eq!(value.to_string().parse::<Genotype>().expect("a genotype"), genotype);
}

/// A log of a search: the last genotype counts.
#[test]
fn of_several_genotypes_in_a_log_the_last_is_taken() {
    let line = |operation: &str| {
        let python = Genotype::named("DARTS_V2").expect("published").to_string();
        format!("06/27 01:20 genotype = {python}\n").replace("sep_conv_3x3", operation)
    };
    let pairs =
        |operation: &str| format!("[{}]", vec![format!("('{operation}', 0), ('{operation}', 1)"); 4].join(", "));
    let python = |operation: &str| {
        let pairs = pairs(operation);
        format!(
            "2018-06-27 epoch lr 2.5e-02\n2018-06-27 genotype = Genotype(normal={pairs}, normal_concat=range(2, 6), \
             reduce={pairs}, reduce_concat=range(2, 6))\n2018-06-27 train_acc 40.1\n"
        )
    };
    for (first, last) in
        [(line("max_pool_3x3"), line("dil_conv_3x3")), (python("max_pool_3x3"), python("dil_conv_3x3"))]
    {
        let found = Genotype::find_in(&format!("{first}{last}"), None, None).expect("a genotype");
        let alone = Genotype::find_in(&last, None, None).expect("a genotype");
        assert_eq!((found.of, alone.of), (2, 1));
        assert_eq!(found.genotype, alone.genotype);
        assert!(found.genotype.to_string().contains("dil_"));
    }
    let benchmark = "epoch 0 Structure(4 nodes with |none~0|+|none~0|none~1|+|none~0|none~1|none~2|)\n\
                     epoch 1 Structure(4 nodes with |nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|)\n";
    let found = Genotype::find_in(benchmark, None, None).expect("a genotype");
    assert_eq!((found.of, found.genotype.parameter_free_share()), (2, 5.0 / 6.0));
    // The log of a run: another cell beside the one that a line is about.
    let event = |genotype: &str| {
        format!(
            "{{\"genotype\":\"{genotype}\",\"own_genotype\":\"|none~0|+|none~0|none~1|+|none~0|none~1|none~2|\"}}\n"
        )
    };
    let last = "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|none~2|";
    let log = event("|none~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|") + &event(last);
    let found = Genotype::find_in(&log, None, None).expect("a genotype");
    assert_eq!((found.of, found.genotype.to_string().as_str()), (2, last));
}

#[test]
fn a_file_of_several_named_genotypes_asks_for_a_name() {
    let pairs =
        |operation: &str| format!("[{}]", vec![format!("('{operation}', 0), ('{operation}', 1)"); 4].join(", "));
    let line = |name: &str, operation: &str| {
        let pairs = pairs(operation);
        format!(
            "{name} = Genotype(\n  normal={pairs},\n  normal_concat=[2, 3, 4, 5],\n  reduce={pairs},\n  \
             reduce_concat=[2, 3, 4, 5])\n\n"
        )
    };
    let text = format!(
        "from collections import namedtuple\nGenotype = namedtuple('Genotype', 'normal normal_concat reduce')\n\
         PRIMITIVES = ['none', 'sep_conv_3x3']\n\n{}{}",
        line("FIRST", "sep_conv_3x3"),
        line("SECOND", "avg_pool_3x3")
    );
    let error = text.parse::<Genotype>().expect_err("which one?").to_string();
    assert_eq!(error, "the text holds several genotypes: FIRST, SECOND; say which one by its name");
    let second = Genotype::find_in(&text, Some("SECOND"), None).expect("the second");
    assert_eq!((second.of, second.genotype.parameter_free_share()), (1, 1.0));
    let error = Genotype::find_in(&text, Some("THIRD"), None).expect_err("there is none").to_string();
    assert_eq!(error, "the text holds no genotype named `THIRD`; it holds FIRST, SECOND");
}

/// Which nodes a cell concatenates is part of the network.
#[test]
fn a_concatenation_that_the_space_does_not_have_is_refused() {
    let text = |normal: &str, reduce: &str| {
        let pairs = ["('sep_conv_3x3', 0), ('sep_conv_3x3', 1)"; 4].join(", ");
        format!("Genotype(normal=[{pairs}], normal_concat={normal}, reduce=[{pairs}], reduce_concat={reduce})")
    };
    let all = ["[2, 3, 4, 5]", "range(2, 6)", "list(range(2, 6))", "(2, 3, 4, 5)", "[5, 4, 3, 2]", "None"];
    for concat in all {
        assert!(text(concat, concat).parse::<Genotype>().is_ok(), "{concat}");
    }
    for concat in ["[4, 5]", "range(3, 6)", "[]", "[2, 3, 4, 5, 6]", "[2, 2, 3, 4, 5]"] {
        for text in [text(concat, all[0]), text(all[0], concat)] {
            let error = text.parse::<Genotype>().expect_err(concat).to_string();
            assert!(error.contains("_concat is ") && error.contains("is another network"), "{concat}: {error}");
        }
    }
    for concat in ["all", "range(2, 99999999999)", "[2, x]", "[2, 3"] {
        let error = text(concat, all[0]).parse::<Genotype>().expect_err(concat);
        assert!(matches!(error, GenotypeError::Syntax { .. }), "{concat}: {error}");
    }
}

#[test]
fn what_surrounds_a_genotype_is_no_part_of_it() {
    let text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|";
    let genotype: Genotype = text.parse().expect("a genotype");
    let json = serde_json::to_string(&genotype).expect("JSON");
    for around in [
        format!("\u{feff}{text}"),
        format!("\u{feff}\r\n {text}\r\n"),
        format!("{text}\n\nspace  NAS-Bench-201\nparameters  1.0 M"),
        format!("{{\"event\":\"epoch\",\"genotype\":\"{text}\",\"x\":1}}\n{{\"event\":\"end\"}}\n"),
        format!("{{\"text\": \"{text}\", \"genotype\": {json}}}"),
        format!("{{\"genotype\": \"{text}\", \"cells\": {json}, \"seed\": 1}}"),
        format!("{{\"space\": \"nas-bench-201\", \"genotype\": \"{text}\"}}"),
        format!("\u{feff}{json}\n"),
    ] {
        assert_eq!(around.parse::<Genotype>().as_ref(), Ok(&genotype), "{around}");
    }
    let darts = Genotype::named("DARTS_V2").expect("published");
    let pairs = |cell: &CellGenotype| {
        let choice = |c: &Choice| format!("[\"{}\", {}]", c.operation.name, c.input);
        cell.nodes.iter().flatten().map(choice).collect::<Vec<_>>().join(", ")
    };
    let dictionary = format!("{{\"normal\": [{}], \"reduce\": [{}]}}", pairs(&darts.cells[0]), pairs(&darts.cells[1]));
    assert_eq!(dictionary.parse::<Genotype>(), Ok(darts));
    assert!(matches!("{\"a\": 1}".parse::<Genotype>(), Err(GenotypeError::Json(_))));
}

#[test]
fn a_space_of_ones_own_reads_its_genotypes_back_from_text_and_json() {
    use crate::alpha::Alpha;
    use crate::space::{Layer, Operation, operations};
    let wide = Operation::new("conv_5x5", [Layer::Relu, Layer::Conv { kernel: 5 }, Layer::Norm]);
    let one = CellSpace::one_input("cell", 2, [operations::skip_connect(), wide.clone()]);
    let normal = CellSpace::two_inputs("up", 2, [operations::skip_connect(), wide.clone()]);
    let reduction = CellSpace::two_inputs("down", 1, [operations::max_pool(3), wide]);
    for space in [Space::residual("mine", one), Space::two_inputs("mine", normal, reduction)].map(Arc::new) {
        let tables: Vec<_> =
            space.cells.iter().map(|cell| Alpha::from_fn(cell.edges().len(), 2, |_, k| k as f64)).collect();
        let genotype = Genotype::from_alpha(&space, &tables);
        assert_eq!(Genotype::parse(&genotype.to_string(), &space).as_ref(), Ok(&genotype));
        assert!(genotype.to_string().parse::<Genotype>().is_err(), "no built-in space has these cells");
        let json = serde_json::to_string(&genotype).expect("JSON");
        assert_eq!(serde_json::from_str::<Genotype>(&json).expect("reads back"), genotype);
        assert_eq!(json.parse::<Genotype>(), Ok(genotype));
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        let _ = text.parse::<Genotype>();
    }

    #[test]
    fn every_cell_of_the_benchmark_reads_back(picks in proptest::collection::vec(0usize..5, 6)) {
        let genotype = Genotype::from_picks(&spaces::nas_bench_201(), &[picks]);
        proptest::prop_assert_eq!(genotype.to_string().parse::<Genotype>(), Ok(genotype));
    }
}
