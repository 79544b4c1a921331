//! Whole inputs of every kind, small ones, to begin from.

use std::fs;

use gdas::config::{Layer, SearchConfig, TrainConfig, resolve, to_toml};
use gdas::run::{Array, Checkpoint, Event, RunDir};
use gdas::space::Genotype;
use serde_json::json;

const CELL: &str = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|";

pub(crate) fn genotypes() -> Vec<Vec<u8>> {
    let mut seeds = vec![CELL.as_bytes().to_vec(), b"GDAS_V1".to_vec()];
    for name in Genotype::names() {
        let genotype = Genotype::named(name).unwrap();
        seeds.push(genotype.to_string().into_bytes());
        seeds.push(serde_json::to_vec(&genotype).unwrap());
    }
    seeds
}

pub(crate) fn spaces() -> Vec<Vec<u8>> {
    let own = "name = \"wide\"\n[skeleton]\nwiring = \"residual\"\n[[operation]]\nname = \"conv_5x5\"\n\
               layers = [\"relu\", { conv = 5 }, \"norm\"]\n[[cell]]\nname = \"cell\"\nnodes = 1\n\
               operations = [\"skip_connect\", \"conv_5x5\"]\n";
    let known = gdas::space::spaces::all().iter().map(|space| space.to_toml().into_bytes());
    known.chain([own.as_bytes().to_vec()]).collect()
}

pub(crate) fn configs() -> Vec<Vec<u8>> {
    let search: SearchConfig = resolve(&[]).unwrap();
    let train: TrainConfig = resolve(&[Layer::file("f", &format!("genotype = \"{CELL}\"")).unwrap()]).unwrap();
    vec![
        to_toml(&search).unwrap().into_bytes(),
        to_toml(&train).unwrap().into_bytes(),
        b"preset = \"paper\"\nepochs = 3\n".to_vec(),
        b"task = \"auto\"\ndata = \"digits\"\nimage_size = \"auto\"\nspace = \"nas-bench-201\"\nbudget_seconds = 10.0\n\
          seed = 0\nthreads = 2\n"
            .to_vec(),
    ]
}

pub(crate) fn checkpoints() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let mut run = RunDir::create(&path, "task = \"search\"\n").unwrap();
    let mut checkpoint = Checkpoint::new(&json!({ "epoch": 1, "step": 7, "best": null })).unwrap();
    checkpoint.insert("alpha/0", Array::f64(&[2, 3], vec![0.5; 6]));
    checkpoint.insert("weights/stem", Array::f32(&[4], vec![1.0; 4]));
    checkpoint.insert("counts", Array::u64(&[2], vec![1, 2]));
    run.save(&checkpoint).unwrap();
    vec![fs::read(path.join("checkpoint.0")).unwrap()]
}

pub(crate) fn logs() -> Vec<Vec<u8>> {
    let events = [
        Event::Warning { message: "something".to_owned() },
        Event::Checkpoint { epoch: 0, step: 5, generation: 1, bytes: 100, seconds: 0.1 },
        Event::Finished { step: 9, genotype: CELL.to_owned(), accuracy: Some(0.5), seconds: 1.0 },
    ];
    let lines = events.iter().map(|event| serde_json::to_string(event).unwrap() + "\n").collect::<String>();
    vec![lines.into_bytes()]
}
