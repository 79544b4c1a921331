//! What a word on the command line names: a run, or a genotype. The one place that decides it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use gdas::config::{space_of, task_of};
use gdas::run::{RunInfo, is_run, read_config};
use gdas::shell;
use gdas::space::{Genotype, GenotypeError, Space};

use crate::cli::RunsDir;
use crate::commands::genotype::{self, SpaceFlag};
use crate::live;
use crate::output::note;

/// The run or genotype that a command-line argument names.
#[derive(Debug)]
pub(crate) enum Named {
    /// A run: its name in the directory of runs, or the path to its directory.
    Run(NamedRun),
    /// A genotype: a published name, a file with one in it, or the text itself.
    Genotype(Genotype),
}

/// A run that was named.
#[derive(Clone, Debug)]
pub(crate) struct NamedRun {
    pub(crate) path: PathBuf,
    pub(crate) task: Task,
}

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Search,
    /// A training, or a network that was imported.
    Train,
    /// A search and a training in one.
    Auto,
}

impl RunsDir {
    /// Resolves a command-line argument. A run comes first, then a published genotype, a file, the text of a genotype. A
    /// genotype is read for the space that was named with it, if one was.
    pub(crate) fn resolve(&self, word: &str, space: &SpaceFlag) -> anyhow::Result<Named> {
        if let Some(path) = self.place_of(word) {
            return NamedRun::open(path).map(Named::Run);
        }
        let space = space.space.as_deref().map(genotype::space).transpose()?;
        if let Some(genotype) = Genotype::named(word) {
            let fitted = space.map_or(Ok(genotype.clone()), |space| Genotype::parse(&genotype.to_string(), &space))?;
            Ok(Named::Genotype(fitted))
        } else if let Some((file, name)) = file_of(word) {
            Ok(Named::Genotype(in_file(file, name, space.as_ref())?))
        } else if word.is_empty() || word.contains(['|', '~', '(', '{']) {
            Ok(Named::Genotype(Genotype::find_in(word, None, space.as_ref())?.genotype))
        } else {
            Err(self.nothing(word).into())
        }
    }

    /// The run that a word names.
    pub(crate) fn run(&self, word: &str) -> anyhow::Result<NamedRun> {
        match self.resolve(word, &SpaceFlag::default()) {
            Ok(Named::Run(run)) => Ok(run),
            Ok(Named::Genotype(_)) => bail!("`{word}` is a genotype, and this needs a run{}", self.hint(word)),
            Err(_) if Path::new(word).is_file() => bail!("`{word}` is a file, and this needs a run{}", self.hint(word)),
            Err(error) => Err(error),
        }
    }

    /// The directory of the run that a word names, whatever state its files are in.
    pub(crate) fn place(&self, word: &str) -> anyhow::Result<PathBuf> {
        self.place_of(word).ok_or_else(|| self.nothing(word).into())
    }

    /// The genotype that a word names: of a run, the one that it found or was given.
    pub(crate) fn genotype(&self, word: &str, space: &SpaceFlag) -> anyhow::Result<Genotype> {
        match self.resolve(word, space)? {
            Named::Run(run) => run.genotype(space),
            Named::Genotype(genotype) => Ok(genotype),
        }
    }

    /// The directory of the run that a word names, by path or by name in the directory of runs.
    fn place_of(&self, word: &str) -> Option<PathBuf> {
        if word.is_empty() {
            return None;
        }
        [PathBuf::from(word), self.runs.join(word)].into_iter().find(|path| is_run(path))
    }

    fn nothing(&self, word: &str) -> Nothing {
        let folder = Path::new(word).is_dir();
        Nothing { word: word.to_owned(), folder, runs: self.runs.clone(), hint: self.hint(word) }
    }

    /// Runs with names like this, or how to find them.
    fn hint(&self, word: &str) -> String {
        let known: Vec<String> = live::runs(&self.runs).into_iter().map(|(name, _)| name).collect();
        let name = Path::new(word).strip_prefix(&self.runs).unwrap_or(Path::new(word)).to_string_lossy();
        let near = nearest(&name, &known);
        match near[..] {
            [] if known.is_empty() => format!("; there are no runs in {}, --runs looks elsewhere", self.runs.display()),
            [] => "; `gdas runs list` shows the runs there are".to_owned(),
            _ => format!("; did you mean {}?", near.join(" or ")),
        }
    }
}

/// The three known names most like `name`, in backticks.
fn nearest(name: &str, known: &[String]) -> Vec<String> {
    let name = name.to_lowercase();
    let mut near: Vec<(f64, &String)> = known
        .iter()
        .map(|run| (strsim::jaro_winkler(&name, &run.to_lowercase()), run))
        .filter(|(likeness, _)| *likeness > 0.7)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.into_iter().take(3).map(|(_, run)| format!("`{run}`")).collect()
}

/// A word that names nothing.
#[derive(Debug)]
struct Nothing {
    word: String,
    folder: bool,
    runs: PathBuf,
    hint: String,
}

impl fmt::Display for Nothing {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { word, folder, runs, hint } = self;
        if *folder {
            write!(f, "`{word}` is a folder without a run in it (no config.toml){hint}")
        } else {
            write!(f, "`{word}` is neither a run in {}, nor a file, nor a genotype{hint}", runs.display())
        }
    }
}

impl std::error::Error for Nothing {}

impl NamedRun {
    /// The run in a directory.
    pub(crate) fn open(path: PathBuf) -> anyhow::Result<Self> {
        let file = path.join("config.toml");
        let task = match task_of(&read_config(&path)?).as_deref() {
            Some("search") => Task::Search,
            Some("train") => Task::Train,
            Some("auto") => Task::Auto,
            Some(other) => bail!("{}: this gdas knows no task `{other}`", file.display()),
            None => bail!("{} does not say its task (`task = \"search\"`)", file.display()),
        };
        Ok(Self { path, task })
    }

    /// The directory with the trained network of this run: its own, or an automatic run's training.
    pub(crate) fn trained(&self) -> anyhow::Result<PathBuf> {
        let (name, word) = (self.path.display(), shell::path(&self.path));
        let finished = RunInfo::status_of(&self.path) == "finished";
        let train = self.path.join("train");
        match self.task {
            Task::Train => Ok(self.path.clone()),
            Task::Auto if is_run(&train) => Ok(train),
            Task::Auto => bail!("{name} has not come to its training yet; go on with it: gdas resume {word}"),
            Task::Search if finished => {
                bail!("{name} is a search, and what it found is not trained; train it first: gdas train {word}")
            }
            Task::Search => bail!(
                "{name} is a search that is not finished; finish it, then train what it finds: gdas resume {word} && \
                 gdas train {word}"
            ),
        }
    }

    /// The directory of the search: the run's own, or that of an automatic run.
    pub(crate) fn search(&self) -> anyhow::Result<PathBuf> {
        let search = self.path.join("search");
        match self.task {
            Task::Search => Ok(self.path.clone()),
            Task::Auto if is_run(&search) => Ok(search),
            Task::Auto => bail!("{} has not begun its search yet", self.path.display()),
            Task::Train => bail!("{} is a training, and this needs a search", self.path.display()),
        }
    }

    /// The genotype that it found or was given, of the run's space unless another one was named.
    pub(crate) fn genotype(&self, space: &SpaceFlag) -> anyhow::Result<Genotype> {
        let name = self.path.display();
        let text = RunInfo::read(&self.path)?.genotype.with_context(|| format!("{name} has no genotype yet"))?;
        let space = match &space.space {
            Some(space) => genotype::space(space)?,
            None => space_of(&read_config(&self.path)?).with_context(|| format!("in the configuration of {name}"))?,
        };
        Genotype::parse(&text, &space).with_context(|| format!("the genotype of {name}"))
    }
}

/// A file that was named, and the name of the genotype in it, if one was: `FILE` or `FILE:NAME`.
fn file_of(word: &str) -> Option<(&Path, Option<&str>)> {
    let file = |path| Some(Path::new(path)).filter(|path| path.is_file());
    if let Some(file) = file(word) {
        return Some((file, None));
    }
    let (path, name) = word.rsplit_once(':')?;
    Some((file(path)?, Some(name)))
}

/// The genotype in a file; of several without names the last.
fn in_file(file: &Path, name: Option<&str>, space: Option<&Arc<Space>>) -> anyhow::Result<Genotype> {
    let place = file.display();
    let text = std::fs::read(file).with_context(|| format!("cannot read {place}"))?;
    // Not every text is UTF-8; what is lost in the conversion is no part of a genotype.
    let found = Genotype::find_in(&String::from_utf8_lossy(&text), name, space).map_err(|error| match error {
        GenotypeError::Several { .. } => anyhow::anyhow!("in {place}: {error}, as in {place}:NAME"),
        other => anyhow::Error::from(other).context(format!("in {place}")),
    })?;
    if found.of > 1 {
        note(format_args!("{place} holds {} genotypes; this is the last of them", found.of));
    }
    Ok(found.genotype)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_like_the_one_given_are_offered() {
        let known = ["digits-1", "digits-2", "photos", "photos/search", "photos/train"].map(str::to_owned);
        assert_eq!(nearest("digts-1", &known)[0], "`digits-1`");
        assert_eq!(nearest("Photo", &known)[0], "`photos`");
        assert_eq!(nearest("zebra", &known), Vec::<String>::new());
    }
}
