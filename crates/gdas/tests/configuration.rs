//! What a configuration is put together from, and what is said when it cannot be.
#![allow(clippy::unwrap_used)]

use gdas::config::{
    Auto, Config, EdgeOutput, Layer, SearchConfig, TrainConfig, Undrawn, resolve, space_of, task_of, to_toml,
};
use serde_json::json;

fn from_file(text: &str) -> Result<SearchConfig, String> {
    let layer = Layer::file("my.toml", text).map_err(|e| e.to_string())?;
    resolve(&[layer]).map_err(|e| e.to_string())
}

fn error(text: &str) -> String {
    from_file(text).unwrap_err()
}

#[test]
fn every_preset_of_every_space_is_whole_and_valid() {
    for preset in SearchConfig::PRESETS {
        let text = format!("space = \"{}\"\npreset = \"{}\"\n", preset.space, preset.name);
        let config = from_file(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!((config.space.name.as_str(), config.preset.as_str()), (preset.space, preset.name));
        let again = resolve::<SearchConfig>(&[Layer::file("config.toml", &to_toml(&config).unwrap()).unwrap()]);
        assert_eq!(again.unwrap(), config);
    }
}

#[test]
fn a_file_of_another_task_is_refused() {
    let text = to_toml(&from_file("").unwrap()).unwrap();
    assert_eq!(task_of(&text).as_deref(), Some("search"));
    assert!(error("task = \"train\"").starts_with("my.toml, line 1: unknown key `task`"));
}

#[test]
fn the_paper_preset_is_the_paper() {
    let c = from_file("preset = \"paper\"").unwrap();
    assert_eq!((c.epochs, c.batch_size, c.channels, c.cells), (250, 64, 16, 5));
    assert_eq!((c.learning_rate, c.learning_rate_min, c.momentum, c.weight_decay), (0.025, 0.001, 0.9, 5e-4));
    assert_eq!((c.alpha_learning_rate, c.alpha_betas, c.alpha_weight_decay), (3e-4, [0.5, 0.999], 1e-3));
    assert_eq!((c.alpha_init_std, c.tau_max, c.tau_min, c.clip_norm), (1e-3, 10.0, 0.1, 5.0));
    assert_eq!((c.edge_output, c.undrawn, c.nesterov), (EdgeOutput::AllGates, Undrawn::Decay, true));
    for space in ["nasnet", "nasnet-frc"] {
        let c = from_file(&format!("preset = \"paper\"\nspace = \"{space}\"")).unwrap();
        assert_eq!((c.batch_size, c.cells, c.edge_output), (256, 2, EdgeOutput::PickedGate));
        assert_eq!(c.undrawn, Undrawn::Decay);
    }
}

/// The short searches are not as published, and leave weights that were not drawn alone.
#[test]
fn only_long_searches_move_undrawn_weights() {
    for preset in SearchConfig::PRESETS {
        let c = from_file(&format!("preset = \"{}\"\nspace = \"{}\"", preset.name, preset.space)).unwrap();
        let expected = if ["paper", "robust"].contains(&preset.name) { Undrawn::Decay } else { Undrawn::Skip };
        assert_eq!(c.undrawn, expected, "{} {}", preset.space, preset.name);
    }
}

#[test]
fn flags_win_over_the_file_and_the_file_over_the_preset() {
    let file = Layer::file("my.toml", "epochs = 7\nseed = 3\nlearning_rate = 1\n").unwrap();
    let flags = Layer::flags(&json!({ "seed": 9, "batch_size": 8 })).unwrap();
    let config: SearchConfig = resolve(&[file, flags]).unwrap();
    assert_eq!((config.epochs, config.seed, config.batch_size, config.learning_rate), (7, 9, 8, 1.0));
    assert_eq!((config.data.as_str(), config.preset.as_str(), config.flip), ("digits", "digits", Auto::Auto));
    assert_eq!(config.threads, Auto::Auto);
}

#[test]
fn the_preset_follows_the_data() {
    assert_eq!(from_file("").unwrap().preset, "digits");
    assert_eq!(from_file("data = \"cifar10\"").unwrap().preset, "quick");
    let smoke = from_file("data = \"digits\"\npreset = \"smoke\"").unwrap();
    assert_eq!((smoke.data.as_str(), smoke.epochs), ("digits", 2));
}

#[test]
fn mistakes_are_named_with_their_place() {
    assert_eq!(
        error("seed = 1\n\nbatchsize = 2"),
        "my.toml, line 3: unknown key `batchsize`; did you mean `batch_size`?"
    );
    assert_eq!(
        error("learning-rate = 2"),
        "my.toml, line 1: unknown key `learning-rate`; did you mean `learning_rate`?"
    );
    assert!(error("zzz = 2").contains("--print-config"));
    assert!(error("[search]\nepochs = 2").starts_with("my.toml, line 1: unknown key `search`"));
    let text = error("seed = 1\nepochs = \"many\"");
    assert!(text.starts_with("my.toml, line 2: `epochs`: invalid type: string \"many\""), "{text}");
    let text = error("epochs = -1");
    assert!(text.starts_with("my.toml, line 1: `epochs`: invalid value"), "{text}");
    let text = error("edge_output = \"both\"");
    assert!(text.contains("all-gates") && text.contains("picked-gate"), "{text}");
    let text = error("seed = 1\nepochs = = 2");
    assert!(text.starts_with("my.toml, line 2: "), "{text}");
    let text = error("seed = 1\nseed = 2");
    assert!(text.starts_with("my.toml, line 2: duplicate key"), "{text}");
    assert_eq!(
        error("space = \"x\""),
        "my.toml, line 1: `space`: there is no space `x`; built in are nas-bench-201, nasnet, nasnet-frc; a space of your \
         own is the path of a TOML file"
    );
    assert_eq!(
        error("preset = \"fast\""),
        "my.toml, line 1: `preset` is `fast`, but must be one of paper, quick, digits, smoke, robust in space nas-bench-201"
    );
    assert_eq!(
        error("threads = \"all\""),
        "my.toml, line 1: `threads`: invalid value: string \"all\", expected a count or \"auto\""
    );
    assert_eq!(
        error("flip = 1"),
        "my.toml, line 1: `flip`: invalid value: integer `1`, expected true, false or \"auto\""
    );
}

#[test]
fn values_out_of_range_are_refused() {
    let refused = [
        ("epochs = 0", "between 1 and"),
        ("batch_size = 0", "between 1 and"),
        ("cells = 0", "between 1 and 64"),
        ("channels = 0", "between 1 and"),
        ("momentum = 1.0", "below 1"),
        ("momentum = nan", "below 1"),
        ("learning_rate = 0", "above 0"),
        ("learning_rate = inf", "above 0"),
        ("learning_rate_min = 0.5", "between 0 and 0.025"),
        ("weight_decay = -1e-3", "between 0 and 1"),
        ("clip_norm = nan", "between 0"),
        ("alpha_betas = [0.5, 1.0]", "below 1"),
        ("alpha_learning_rate = -0.1", "above 0"),
        ("alpha_init_std = -1.0", "between 0"),
        ("tau_min = 0", "above 0"),
        ("tau_min = 11", "at most 10"),
        ("tau_max = 0", "above 0"),
        ("threads = 0", "\"auto\" or between 1"),
        ("image_size = 7", "\"auto\" or between 8 and 224"),
        ("max_steps_per_epoch = 0", "\"auto\" or between 1"),
        ("data = \"\"", "name of a data set"),
        ("nesterov = true\nmomentum = 0.0", "false where momentum is 0"),
    ];
    for (text, reason) in refused {
        let message = error(text);
        let key = text.split_once(' ').unwrap().0;
        assert!(message.contains(&format!("`{key}`")) && message.contains(reason), "{text}: {message}");
        assert!(message.starts_with("my.toml, line 1:"), "{text}: {message}");
    }
    assert!(error("space = \"nasnet-frc\"\nchannels = 12").contains("multiple of 8"));
    let flags = Layer::flags(&json!({ "tau_max": -1.0 })).unwrap();
    let message = resolve::<SearchConfig>(&[flags]).unwrap_err().to_string();
    assert_eq!(message, "flag --tau-max: `tau_max` is -1.0, but must be above 0 and at most 1000000");
}

const WIDE: &str = "name = \"wide\"\n\n[skeleton]\nwiring = \"residual\"\n\n[[operation]]\nname = \"conv_5x5\"\n\
    layers = [\"relu\", { conv = 5 }, \"norm\"]\n\n[[cell]]\nname = \"cell\"\nnodes = 2\n\
    operations = [\"skip_connect\", \"conv_5x5\"]\n";

/// A space of one's own has the presets of its kind, and the written configuration holds it whole.
#[test]
fn a_space_from_a_file_has_presets_and_stays_in_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wide.toml");
    std::fs::write(&file, WIDE).unwrap();
    let by_flag = Layer::flags(&json!({ "space": file, "preset": "paper" })).unwrap();
    // A configuration file means a space beside it.
    let beside =
        Layer::file(&folder.path().join("my.toml").display().to_string(), "space = \"wide.toml\"\npreset = \"paper\"");
    for layer in [by_flag, beside.unwrap()] {
        let config: SearchConfig = resolve(&[layer]).unwrap();
        let paper = from_file("preset = \"paper\"").unwrap();
        assert_eq!(config.space.name, "wide");
        assert_eq!(SearchConfig { space: paper.space.clone(), ..config.clone() }, paper);
        let text = to_toml(&config).unwrap();
        assert_eq!(space_of(&text).unwrap(), config.space);
        let again: SearchConfig = resolve(&[Layer::file("config.toml", &text).unwrap()]).unwrap();
        assert_eq!(again, config);
        let keys = json!({ "space": *config.space, "genotype": "|conv_5x5~0|+|skip_connect~0|conv_5x5~1|" });
        let train: TrainConfig = resolve(&[Layer::flags(&keys).unwrap()]).unwrap();
        assert_eq!(train.space, config.space);
        let text = to_toml(&train).unwrap();
        assert_eq!(resolve::<TrainConfig>(&[Layer::file("config.toml", &text).unwrap()]).unwrap(), train);
    }
    let train = |genotype: &str| {
        let keys = json!({ "space": file, "genotype": genotype });
        resolve::<TrainConfig>(&[Layer::flags(&keys).unwrap()]).unwrap_err().to_string()
    };
    assert!(
        train("|nor_conv_3x3~0|")
            .contains("unknown operation `nor_conv_3x3` at byte 1; known operations: skip_connect, conv_5x5")
    );
    std::fs::write(&file, WIDE.replace("conv = 5", "conv = 6")).unwrap();
    let error = resolve::<SearchConfig>(&[Layer::flags(&json!({ "space": file })).unwrap()]).unwrap_err().to_string();
    let path = file.display();
    assert!(
        error.starts_with(&format!("flag --space: `space`: {path}, line 8: `layers` of operation `conv_5x5`")),
        "{error}"
    );
}

/// Every configuration and every error of a space is one of the file that it came from.
#[test]
fn a_space_defined_in_the_configuration_itself() {
    let text = format!("epochs = 3\n\n[space]\n{}", WIDE.replace("[skel", "[space.skel").replace("[[", "[[space."));
    assert_eq!(from_file(&text).unwrap().space.name, "wide");
    let message = error(&text.replace("nodes = 2", "nodes = 0"));
    assert!(message.starts_with("my.toml, line 3: `space`: `nodes` of cell `cell`: is 0"), "{message}");
    assert!(
        error("space = 3").starts_with("my.toml, line 1: `space`: invalid type: integer `3`, expected the name of")
    );
}

proptest::proptest! {
    /// Whatever a file says, the answer is a configuration or an error with a place.
    #[test]
    fn no_file_makes_the_reader_panic(
        key in "[a-z_]{1,12}|epochs|threads|data|alpha_betas|preset|space|task",
        value in "\\PC{0,12}|-?[0-9]{1,22}|[0-9.e-]{1,8}|nan|\"[a-z0-9-]{0,8}\"|\\[[0-9., ]{0,9}\\]|\\{ a = 1 \\}",
        noise in "\\PC{0,20}",
    ) {
        for text in [format!("{key} = {value}\n"), format!("{noise}\n{key} = {value}"), noise.clone()] {
            if let Err(message) = from_file(&text) {
                proptest::prop_assert!(message.starts_with("my.toml, line ") || message.starts_with("defaults"), "{}", message);
            }
        }
    }
}
