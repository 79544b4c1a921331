//! Promise 5 and its neighbours: full disks, failing writes, directories that cannot be written, and many processes
//! that want the same one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gdas::Device;
use gdas::config::{Layer, SearchConfig, resolve, to_toml};
use gdas::data::{self, Dataset};
use gdas::run::{Interrupt, RunDir, RunError, Silent, Storage};
use gdas::search::{Outcome, search};

use super::stage::{self, SEARCH, figure, same, succeed};
use crate::command::{gdas, outcome};

/// Lets every operation of a whole search on the disk fail in turn; what is left must be resumable to the same bits.
pub(crate) fn every_write_fails(at_most: usize) {
    let keys = "preset = \"smoke\"\nepochs = 1\nmax_steps_per_epoch = 2\nbatch_size = 8\nchannels = 4\ncells = 1\n\
                checkpoint_seconds = 0\n";
    let config: SearchConfig = resolve(&[Layer::file("keys", keys).expect("keys")]).expect("a configuration");
    let dataset = data::digits().hold_out(0.2);
    let dir = tempfile::tempdir().expect("temporary directory");
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let counting = Storage::with_fault(move |_, _| {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    let whole = attempt(counting, &dir.path().join("whole"), &config, &dataset).expect("an undisturbed search");
    let operations = count.load(Ordering::Relaxed);
    let stride = operations.div_ceil(at_most).max(1);
    let mut failed = 0;
    for n in (0..operations).step_by(stride) {
        let path = dir.path().join(format!("run{n}"));
        let error = match attempt(Storage::full_after(n), &path, &config, &dataset) {
            Err(error) => error,
            // Only the last operations can fail to no harm: the run is complete.
            Ok(digest) => {
                assert_eq!(digest, whole);
                continue;
            }
        };
        assert!(error.contains("no space left") && error.contains("free some space"), "operation {n}: {error}");
        failed += 1;
        let again = attempt(Storage::disk(), &path, &config, &dataset).expect("a search that goes on");
        assert_eq!(again, whole, "after operation {n} failed");
        fs::remove_dir_all(&path).expect("remove");
    }
    assert!(failed > 0);
    figure(format_args!(
        "failing writes: {failed} of {failed} left a good state, said so, and were resumed bit-identically \
         ({operations} operations in a search)"
    ));
}

/// Makes or takes up the run at `path`, and returns the digest of its result or the error.
fn attempt(storage: Storage, path: &Path, config: &SearchConfig, dataset: &Dataset) -> Result<String, String> {
    let text = to_toml(config).expect("TOML");
    let run = match RunDir::create_on(storage.clone(), path, &text) {
        Err(RunError::Exists(_)) => RunDir::open_on(storage, path),
        other => other,
    };
    let mut run = run.map_err(|error| error.to_string())?;
    let outcome = search(config, dataset, &mut run, &mut Silent, &Interrupt::default(), &Device::flex());
    match outcome.map_err(|error| error.to_string())? {
        Outcome::Finished(result) => Ok(result.digest),
        Outcome::Interrupted { .. } => Err("interrupted by nobody".to_string()),
    }
}

/// A file system of chosen size; taken away at the end.
struct Mounted<'p>(&'p Path);

impl<'p> Mounted<'p> {
    /// `None`, with a message, for those who may not mount.
    fn new(path: &'p Path, options: &str) -> Option<Self> {
        fs::create_dir_all(path).expect("a folder");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "gdas-test"])
            .arg(path)
            .stderr(Stdio::null())
            .status();
        if mount.is_ok_and(|status| status.success()) {
            return Some(Self(path));
        }
        eprintln!("skipped: this user may not mount file systems");
        None
    }

    fn change(&self, options: &str) {
        let options = format!("remount,{options}");
        let status = Command::new("mount").args(["-o", &options]).arg(self.0).status().expect("mount");
        assert!(status.success());
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

/// Searches on real file systems too small for them; then more space is given.
pub(crate) fn small_disk(sizes: usize) {
    let dir = tempfile::tempdir().expect("temporary directory");
    stage::undisturbed(dir.path(), SEARCH);
    let needed: u64 = fs::read_dir(dir.path().join("undisturbed/run"))
        .expect("a run")
        .map(|entry| entry.and_then(|entry| entry.metadata()).map_or(0, |m| m.len().div_ceil(4096) * 4096))
        .sum();
    let mut full = 0;
    for i in 1..=sizes as u64 {
        let mount = dir.path().join(format!("disk{i}"));
        let size = (needed * i / (sizes as u64 + 1)).next_multiple_of(4096).max(8192);
        let Some(disk) = Mounted::new(&mount, &format!("size={size}")) else { return };
        let runs = mount.display().to_string();
        let (status, error) = stage::run(gdas(dir.path()).args(SEARCH).args(["--runs", &runs]));
        assert_eq!(status.code(), Some(1), "{size} bytes: {error}");
        assert!(error.contains("No space left") && error.contains("free some space"), "{size} bytes: {error}");
        full += 1;
        disk.change("size=64m");
        let run = format!("{runs}/run");
        if mount.join("run/config.toml").is_file() {
            succeed(gdas(dir.path()).args(["resume", &run, "--quiet"]));
        } else {
            succeed(gdas(dir.path()).args(SEARCH).args(["--runs", &runs]));
        }
        same(dir.path(), &format!("disk{i}/run"), &format!("{size} bytes"));
    }
    figure(format_args!("full disk: {full} of {full} sizes said so, and went on to the same bits with more space"));
}

/// A file system and a directory that cannot be written.
pub(crate) fn read_only() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let mount = dir.path().join("disk");
    if let Some(disk) = Mounted::new(&mount, "size=64m") {
        let runs = mount.display().to_string();
        succeed(gdas(dir.path()).args(SEARCH).args(["--runs", &runs]));
        disk.change("ro");
        // To go on is refused with the reason; to look is not.
        let text = outcome(dir.path(), &["resume", &format!("{runs}/run")]);
        assert!(text.contains("exit code 1") && text.contains("Read-only") && text.contains("--runs"), "{text}");
        let text = outcome(dir.path(), &["search", "--preset", "smoke", "--name", "other", "--runs", &runs]);
        assert!(text.contains("exit code 1") && text.contains("Read-only"), "{text}");
        for command in [&["runs", "list", "--runs", &runs] as &[&str], &["genotype", "parse", &format!("{runs}/run")]] {
            let text = outcome(dir.path(), command);
            assert!(text.contains("exit code 0"), "{text}");
        }
        figure("read-only file system: refused with the reason; looking at runs works");
    }
    let closed = dir.path().join("closed");
    fs::create_dir(&closed).expect("a folder");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).expect("permissions");
    let arguments = [SEARCH, &["--runs", "closed"]].concat();
    let (status, error) = if fs::write(closed.join("probe"), b"").is_ok() {
        // This user may write anywhere; nobody may not.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
        let program = gdas(dir.path()).get_program().to_owned();
        let mut nobody = Command::new("setpriv");
        nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program).args(&arguments);
        stage::run(nobody.current_dir(dir.path()))
    } else {
        stage::run(gdas(dir.path()).args(&arguments))
    };
    assert!(status.code() == Some(1) && error.contains("denied") && error.contains("--runs"), "{status}: {error}");
    figure("read-only directory: refused with the reason");
}

/// Many processes want to go on with one run at the same time: one does, the others are told who.
pub(crate) fn many_processes(rounds: usize) {
    const PROCESSES: usize = 5;
    let dir = tempfile::tempdir().expect("temporary directory");
    stage::undisturbed(dir.path(), SEARCH);
    let mut away = 0;
    for round in 0..rounds {
        let runs = format!("runs{round}");
        let run = format!("{runs}/run");
        let raise = ("GDAS_RAISE", "15@weight step#3");
        let (status, error) = stage::run(gdas(dir.path()).args(SEARCH).args(["--runs", &runs]).env(raise.0, raise.1));
        assert_eq!(status.code(), Some(75), "{error}");
        let children: Vec<_> =
            (0..PROCESSES).map(|_| stage::start(gdas(dir.path()).args(["resume", &run, "--quiet"]))).collect();
        let mut through = 0;
        for child in children {
            let (status, error) = stage::finish(child);
            if status.success() {
                through += 1;
            } else {
                assert!(status.code() == Some(1) && error.contains("is in use by process "), "{status}: {error}");
                away += 1;
            }
        }
        // A late one may find the run finished, which is no failure.
        assert!(through >= 1);
        same(dir.path(), &run, &format!("round {round}"));
    }
    assert!(away > 0);
    figure(format_args!(
        "{PROCESSES} processes on one run, {rounds} times: {away} turned away with the holder's id, the result the same"
    ));
}
