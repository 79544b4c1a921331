//! Broken and hostile input: an answer or an error, in bounded memory and time, never a panic. Shared by the tests `fuzz`
//! of several crates, each of which attacks its own readers.
//!
//! Each target mutates whole files, the crate's corpus (`tests/corpus/TARGET/`) and the inputs that led to a
//! new kind of answer. With all tests a few hundred inputs per target are tried, always the same ones; on request, for
//! so many seconds each, with another seed each time:
//!
//! ```text
//! GDAS_FUZZ_SECONDS=600 cargo test --release --workspace --test fuzz -- --ignored --nocapture --test-threads 1
//! ```
//!
//! `GDAS_FUZZ_TARGETS=csv,idx` picks targets, `GDAS_FUZZ_SEED` repeats a run. What makes a target fail is kept in the
//! system's folder for temporary files; put into the corpus, it is tried first from then on. `GDAS_FUZZ_GATHER=1` adds
//! the smallest input of every new kind of answer to the corpus.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gdas::rng::{Rng, Stream};

use super::mutate::mutate;

/// One reader, and where its inputs begin.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) seeds: Vec<Vec<u8>>,
    /// Pieces of the format's language.
    pub(crate) words: &'static [&'static str],
    /// Reads an input, in a folder of its own; says "ok" or the error.
    pub(crate) run: fn(&[u8], &Path) -> String,
    /// Inputs that the short test tries.
    pub(crate) few: usize,
}

/// "ok", or the text of the error.
pub(crate) fn say<T, E: std::fmt::Display>(result: Result<T, E>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "ok".to_owned())
}

/// Address space that one input may take: the unpickler's own limit is 1 GiB, an image's 64 megapixels.
const MEMORY: u64 = 3 << 29;
/// Time that one input may take, on a machine that does much else.
const TIME: Duration = Duration::from_secs(30);
/// Kinds of answers of which an input is kept to go on from.
const KEPT: usize = 400;
/// Bytes of an input, and inputs of a target, that may go into the corpus.
const SMALL: usize = 4096;
const FEW: usize = 40;

/// How long to go on with one target.
enum Until {
    Inputs(usize),
    Time(Duration),
}

/// Tries a few inputs per target, always the same ones.
pub(crate) fn briefly(targets: &[Target]) {
    for target in targets {
        attack(target, 1, &Until::Inputs(target.few));
    }
    // The bound would see too much: after all targets, since the peak stays.
    if cfg!(target_os = "linux") {
        let before = address_space("VmSize:");
        drop(std::hint::black_box(vec![1_u8; MEMORY as usize + (1 << 20)]));
        assert!(address_space("VmPeak:") - before > MEMORY);
    }
}

/// Goes on with each target for as long as `GDAS_FUZZ_SECONDS` says.
pub(crate) fn for_a_while(targets: &[Target]) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let seed = number("GDAS_FUZZ_SEED").unwrap_or(clock);
    let time = Duration::from_secs(number("GDAS_FUZZ_SECONDS").unwrap_or(60));
    let only = std::env::var("GDAS_FUZZ_TARGETS").ok();
    let chosen = |name: &str| only.as_ref().is_none_or(|only| only.split(',').any(|only| only == name));
    for target in targets.iter().filter(|target| chosen(target.name)) {
        let found = attack(target, seed, &Until::Time(time));
        if std::env::var_os("GDAS_FUZZ_GATHER").is_some() {
            gather(target, found);
        }
    }
}

/// Where the corpus of a target lies.
fn corpus_folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target.name)
}

/// Inputs that came another way through the code than the seeds, or once did harm.
fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let files = fs::read_dir(corpus_folder(target)).into_iter().flatten();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Adds the smallest of these inputs to the corpus, as long as that is small.
fn gather(target: &Target, mut inputs: Vec<Vec<u8>>) {
    let folder = corpus_folder(target);
    fs::create_dir_all(&folder).unwrap();
    let room = FEW.saturating_sub(corpus(target).len());
    inputs.retain(|input| input.len() <= SMALL);
    inputs.sort_by_key(Vec::len);
    for input in inputs.iter().take(room) {
        fs::write(folder.join(&blake3::hash(input).to_hex()[..12]), input).unwrap();
    }
}

/// Returns the smallest input of every kind of answer that neither seed nor corpus has.
fn attack(target: &Target, seed: u64, until: &Until) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = Rng::new(seed, Stream::Algorithm, target.name.len() as u64);
    let mut kept = target.seeds.clone();
    kept.extend(corpus(target));
    // Where in `kept` the input of each kind of answer is.
    let mut kinds = BTreeMap::new();
    // Threads and their stacks are there after the first inputs, and no longer counted.
    for (place, input) in kept.iter().enumerate() {
        kinds.entry(shape(&strike(target, input, folder.path(), seed))).or_insert(place);
    }
    let (known, given) = (kinds.len(), kept.len());
    let mut most = 0;
    let began = Instant::now();
    let mut tried = 0;
    let goes_on = |tried: usize| match until {
        Until::Inputs(inputs) => tried < *inputs,
        Until::Time(time) => began.elapsed() < *time,
    };
    while goes_on(tried) {
        let input = mutate(&kept, target.words, &mut rng);
        let before = address_space("VmSize:");
        let start = Instant::now();
        let answer = strike(target, &input, folder.path(), seed);
        let took = start.elapsed();
        // The peak may be of an earlier input: a bound from above.
        let grown = address_space("VmPeak:").saturating_sub(before);
        most = most.max(grown);
        assert!(grown <= MEMORY, "{}: {grown} bytes; {}", target.name, keep(target, &input));
        assert!(took <= TIME, "{}: {took:?}; {}", target.name, keep(target, &input));
        tried += 1;
        // A new kind of answer has come another way through the code.
        let kind = shape(&answer);
        match kinds.get(&kind) {
            None if kinds.len() < known + KEPT => {
                kinds.insert(kind, kept.len());
                kept.push(input);
            }
            Some(&place) if place >= given && input.len() < kept[place].len() => kept[place] = input,
            _ => {}
        }
    }
    println!(
        "figure: fuzz {}: {tried} inputs in {:.0} s, {} kinds of answers, at most {} MiB more memory, 0 panics (seed {seed})",
        target.name,
        began.elapsed().as_secs_f64(),
        kinds.len(),
        most >> 20
    );
    kept.split_off(given)
}

/// Hands an input over; the answer is "ok" or the text of the error.
fn strike(target: &Target, input: &[u8], folder: &Path, seed: u64) -> String {
    catch_unwind(AssertUnwindSafe(|| (target.run)(input, folder)))
        .unwrap_or_else(|_| panic!("{}: a panic (seed {seed}); {}", target.name, keep(target, input)))
}

/// Puts an input where it can be looked at.
fn keep(target: &Target, input: &[u8]) -> String {
    let name = format!("gdas-fuzz-{}-{}", target.name, &blake3::hash(input).to_hex()[..12]);
    let path = std::env::temp_dir().join(name);
    fs::write(&path, input).unwrap();
    format!("the input is {}", path.display())
}

/// An answer without its numbers and quotations, so that the same complaint about another byte is no news.
fn shape(answer: &str) -> String {
    let mut quoted = false;
    let mut text = String::new();
    for c in answer.chars().take(400) {
        if c == '`' {
            quoted = !quoted;
        } else if !quoted && c.is_ascii() && !c.is_ascii_digit() {
            text.push(c);
        }
    }
    text
}

/// The address space that this process has (`VmSize:`), or the most that it has had (`VmPeak:`), in bytes; 0 where the
/// system does not say.
fn address_space(which: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(which));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) << 10
}
