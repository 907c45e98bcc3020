//! The official Python and Node SDKs, in pinned versions, against `exeat demo` with the real model.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{
    repo::Repo,
    run, say,
    tally::{Runner, Tally},
};

const REQUIREMENTS: &str = "tests/sdk/python/requirements.txt";
const NODE_TESTS: &str = "tests/sdk/node";
const LAUNCHER: &str = "tests/sdk/with_demo.py";
const PYTHON_LEAST: (u32, u32) = (3, 11);
const NODE_LEAST: (u32, u32) = (20, 0);

/// Runs the Python suite; installs its environment first where that is missing or out of date.
pub(crate) fn python(repo: &Repo, filter: Option<&str>) -> Result<Tally> {
    let python = python_environment(repo, "python", REQUIREMENTS)?;
    let mut command = launched(repo, &python);
    command.arg(&python).args(["-m", "pytest", "-q", "tests/sdk/python"]);
    if let Some(filter) = filter {
        command.args(["-k", filter]);
    }
    run::counted(Runner::Pytest, &mut command)
}

/// Runs the Node suite; installs its packages first where they are missing or out of date.
pub(crate) fn node(repo: &Repo, filter: Option<&str>) -> Result<Tally> {
    let python = python_environment(repo, "python", REQUIREMENTS)?;
    let modules = node_modules(repo, "node", NODE_TESTS)?;
    let mut command = launched(repo, &python);
    command.env("NODE_PATH", modules).args(["node", "--test", "--test-reporter=spec", "--test-concurrency=1"]);
    if let Some(filter) = filter {
        // Names are sentences here: words that a function name joins stand apart.
        command.arg(format!("--test-name-pattern={}", filter.replace('_', ".")));
    }
    run::counted(Runner::Node, command.args(node_tests(repo, NODE_TESTS)?))
}

/// Starts the launcher, which starts the demo, waits until it answers, runs what follows and stops the demo.
fn launched(repo: &Repo, python: &Path) -> std::process::Command {
    let mut command = repo.command(python);
    command
        .env("EXEAT_BIN", repo.binary("release", "exeat"))
        .env("EXEAT_SDK_CACHE", &repo.cache)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args([LAUNCHER, "--"]);
    command
}

/// Returns the test files in the folder `tests`, in order.
pub(crate) fn node_tests(repo: &Repo, tests: &str) -> Result<Vec<PathBuf>> {
    let folder = repo.root.join(tests);
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot list `{}`", folder.display()))?;
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut tests: Vec<_> = paths.filter(|path| path.to_string_lossy().ends_with(".test.cjs")).collect();
    tests.sort();
    Ok(tests)
}

/// Returns the Python of the environment `name`, made of the file `requirements` where it is missing or out of date.
pub(crate) fn python_environment(repo: &Repo, name: &str, requirements: &str) -> Result<PathBuf> {
    let folder = repo.cache.join(name);
    let python = folder.join("bin/python");
    let wanted = fs::read_to_string(repo.root.join(requirements)).with_context(|| requirements.to_owned())?;
    let version = at_least(repo, "python3", PYTHON_LEAST)?;
    let stamp = Stamp::new(&folder, &[&version, &wanted]);
    if stamp.is_current() {
        return Ok(python);
    }
    say::line(&format!("    making a Python environment in {}", folder.display()));
    stamp.clear()?;
    run::must(repo.command("python3").args(["-m", "venv"]).arg(&folder))
        .context("Python cannot make environments: install `python3-venv`")?;
    run::must(repo.command(&python).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
        requirements,
    ]))?;
    stamp.write()?;
    Ok(python)
}

/// Returns the packages `name`, installed from the manifest and the lock file in `tests` where they are missing or out
/// of date.
pub(crate) fn node_modules(repo: &Repo, name: &str, tests: &str) -> Result<PathBuf> {
    let folder = repo.cache.join(name);
    let version = at_least(repo, "node", NODE_LEAST)?;
    let read = |file: &str| {
        let path = repo.root.join(tests).join(file);
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    };
    let (package, lock) = (read("package.json")?, read("package-lock.json")?);
    let stamp = Stamp::new(&folder, &[&version, &package, &lock]);
    let modules = folder.join("node_modules");
    if stamp.is_current() {
        return Ok(modules);
    }
    say::line(&format!("    installing Node packages in {}", folder.display()));
    stamp.clear()?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    fs::write(folder.join("package.json"), package).context("cannot write package.json")?;
    fs::write(folder.join("package-lock.json"), lock).context("cannot write package-lock.json")?;
    let mut npm = repo.command("npm");
    run::must(npm.current_dir(&folder).args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]))?;
    stamp.write()?;
    Ok(modules)
}

/// Returns what a program says its version is; an error if it is missing or too old.
fn at_least(repo: &Repo, program: &str, (major, minor): (u32, u32)) -> Result<String> {
    let Some(text) = run::answer(repo.command(program).arg("--version")) else {
        bail!("`{program}` is missing: install version {major}.{minor} or later");
    };
    match version(&text) {
        Some(found) if found >= (major, minor) => Ok(text),
        _ => bail!("`{program}` is {text}: install version {major}.{minor} or later"),
    }
}

/// Reads `Python 3.11.7` or `v20.20.2`.
fn version(text: &str) -> Option<(u32, u32)> {
    let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
    let mut parts = digits.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

/// Remembers from what an environment was made, so that it is made again when that changes.
struct Stamp {
    folder: PathBuf,
    text: String,
}

impl Stamp {
    fn new(folder: &Path, parts: &[&str]) -> Self {
        Self { folder: folder.to_owned(), text: parts.join("\n--\n") }
    }

    fn path(&self) -> PathBuf {
        self.folder.join("made-from.txt")
    }

    fn is_current(&self) -> bool {
        fs::read_to_string(self.path()).is_ok_and(|text| text == self.text)
    }

    fn clear(&self) -> Result<()> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder).with_context(|| format!("cannot remove `{}`", self.folder.display()))?;
        }
        Ok(())
    }

    fn write(&self) -> Result<()> {
        fs::write(self.path(), &self.text).with_context(|| format!("cannot write `{}`", self.path().display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("Python 3.11.7"), Some((3, 11)));
        assert_eq!(version("v20.20.2"), Some((20, 20)));
        assert!(version("Python 3.9.1").unwrap() < PYTHON_LEAST);
        assert_eq!(version("unknown"), None);
    }

    #[test]
    fn an_environment_is_made_again_when_what_it_was_made_from_changes() {
        let folder = tempfile::tempdir().unwrap();
        let stamp = Stamp::new(folder.path(), &["Python 3.11.7", "pytest==9"]);
        assert!(!stamp.is_current());
        stamp.write().unwrap();
        assert!(stamp.is_current());
        assert!(!Stamp::new(folder.path(), &["Python 3.11.7", "pytest==10"]).is_current());
        stamp.clear().unwrap();
        assert!(!folder.path().exists());
    }
}
