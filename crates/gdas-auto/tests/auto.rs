//! From images to an exported network, on the embedded digits.
#![allow(missing_docs, clippy::unwrap_used)]

use burn::tensor::Device;
use gdas::config::Auto;
use gdas::run::{Event, Interrupt, RunDir, Silent};
use gdas_auto::{AutoConfig, Outcome, auto};

/// With a stop in each stage and a resume after it.
#[test]
fn an_automatic_run_survives_stops_and_exports() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let dataset = gdas::data::digits().hold_out(0.2);
    let config = AutoConfig {
        task: "auto".to_owned(),
        data: "digits".to_owned(),
        image_size: Auto::Auto,
        skip_damaged: false,
        space: gdas::space::spaces::nas_bench_201(),
        budget_seconds: 4.0,
        seed: 1,
        threads: Auto::Auto,
        tensorboard: false,
        device: gdas::device::DeviceName::Cpu,
        precision: gdas::device::Precision::Float32,
    };
    let mut run = RunDir::create(&path, &toml::to_string(&config).unwrap()).unwrap();
    for stage in ["search", "train"] {
        let interrupt = Interrupt::default();
        let stop = interrupt.clone();
        let mut observer = move |event: &Event| {
            if matches!(event, Event::Started { task, .. } if task == stage) {
                stop.request();
            }
        };
        let outcome = auto(&config, &dataset, &mut run, &mut observer, &interrupt, &Device::flex()).unwrap();
        assert!(matches!(outcome, Outcome::Interrupted));
        assert!(path.join(stage).join("checkpoint.0").is_file());
        drop(run);
        run = RunDir::open(&path).unwrap();
    }
    let outcome = auto(&config, &dataset, &mut run, &mut Silent, &Interrupt::default(), &Device::flex()).unwrap();
    let Outcome::Finished(result) = outcome else { panic!("nobody interrupted") };
    assert_eq!(result.search.genotype, result.train.genotype);
    assert!(result.train.test_accuracy.unwrap() > 0.3);
    for file in &result.exported {
        assert!(std::fs::metadata(path.join(file)).unwrap().len() > 1000);
    }
    assert!(run.is_finished());
}
