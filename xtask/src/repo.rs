//! Where things are: the working tree, the target folder, the cache.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

/// The working tree and the folders that belong to it.
#[derive(Clone, Debug)]
pub(crate) struct Repo {
    /// The folder of the workspace manifest.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// Where the environments of the SDK tests and the demo's model are kept between runs.
    pub(crate) cache: PathBuf,
}

impl Repo {
    /// Asks cargo where the workspace and its target folder are.
    ///
    /// The cache is `$EXEAT_CACHE`, or `sdk` in the target folder.
    pub(crate) fn find() -> Result<Self> {
        let metadata = metadata()?;
        let root = path_in(&metadata, "workspace_root")?;
        let target = path_in(&metadata, "target_directory")?;
        let cache = std::env::var_os("EXEAT_CACHE").map_or_else(|| target.join("sdk"), PathBuf::from);
        Ok(Self { root, target, cache })
    }

    /// Returns where cargo puts a binary built in this profile.
    pub(crate) fn binary(&self, profile: &str, name: &str) -> PathBuf {
        let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        self.target.join(profile).join(name)
    }

    /// Returns true if the working tree has this file or folder.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// Starts a cargo command in the working tree, with the cargo that runs us.
    pub(crate) fn cargo(&self) -> Command {
        self.command(cargo())
    }

    /// Starts any command in the working tree.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(&self.root);
        command
    }
}

fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

fn metadata() -> Result<serde_json::Value> {
    let output = Command::new(cargo())
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .context("cannot run `cargo metadata`")?;
    ensure!(output.status.success(), "`cargo metadata` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    serde_json::from_slice(&output.stdout).context("`cargo metadata` did not answer in JSON")
}

fn path_in(metadata: &serde_json::Value, key: &str) -> Result<PathBuf> {
    metadata
        .get(key)
        .and_then(serde_json::Value::as_str)
        .map(PathBuf::from)
        .with_context(|| format!("`cargo metadata` has no `{key}`"))
}
