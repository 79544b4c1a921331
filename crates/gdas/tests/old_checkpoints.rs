//! Checkpoints of every format version that there has been, made by the builds of their time, are taken up and the
//! runs finished. A new version of the format adds a folder to `tests/fixtures/checkpoints`; none is ever removed.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use gdas::config::{Layer, resolve};
use gdas::data;
use gdas::run::{FORMAT_VERSION, Interrupt, RunDir, Silent, read_checkpoint};
use gdas::{search, train};

/// Folder, version of the format, steps done when it was saved. Those called `first` are of builds that did not yet
/// save the checksum of `config.toml` and know fewer keys than today's.
const FIXTURES: [(&str, u32, u64); 4] =
    [("v1-search-first", 1, 7), ("v1-search", 1, 6), ("v1-train-first", 1, 7), ("v1-train", 1, 6)];

#[test]
fn each_is_taken_up_and_the_run_finished() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoints");
    let folder = tempfile::tempdir().unwrap();
    let (dataset, device, never) = (data::digits().hold_out(0.2), Device::flex(), Interrupt::default());
    for (name, version, steps) in FIXTURES {
        let path = folder.path().join(name);
        fs::create_dir(&path).unwrap();
        for file in fs::read_dir(fixtures.join(name)).unwrap() {
            let file = file.unwrap();
            let bytes = fs::read(file.path()).unwrap();
            if file.file_name().to_string_lossy().starts_with("checkpoint") {
                assert_eq!(u32::from_le_bytes(bytes[8..12].try_into().unwrap()), version, "{name}");
            }
            fs::write(path.join(file.file_name()), bytes).unwrap();
        }
        let state = read_checkpoint(&path).unwrap().unwrap().checkpoint.state;
        assert_eq!(state["epoch"].as_u64().unwrap() * 4 + state["step"].as_u64().unwrap(), steps, "{name}");

        let mut run = RunDir::open(&path).unwrap();
        assert_eq!(run.load().unwrap().unwrap().warnings, [""; 0], "{name}");
        let layer = Layer::file(name, &run.config().unwrap()).unwrap();
        if name.contains("search") {
            let config = resolve(&[layer]).unwrap();
            let outcome = search::search(&config, &dataset, &mut run, &mut Silent, &never, &device).unwrap();
            assert!(matches!(outcome, search::Outcome::Finished(_)), "{name}");
        } else {
            let config = resolve(&[layer]).unwrap();
            let outcome = train::train(&config, &dataset, &mut run, &mut Silent, &never, &device).unwrap();
            assert!(matches!(outcome, train::Outcome::Finished(_)), "{name}");
        }
        let log = fs::read_to_string(path.join("events.jsonl")).unwrap();
        assert!(log.contains(&format!("\"step\":{steps}")) && log.contains("\"finished\""), "{name}: {log}");
    }
    assert_eq!(FIXTURES.map(|(_, version, _)| version).into_iter().max(), Some(FORMAT_VERSION), "a fixture is missing");
}
