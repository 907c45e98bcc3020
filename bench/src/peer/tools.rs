//! Finding what `cargo xtask bench` installed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

use super::Kind;

/// Written last by the installation; holds the version.
const STAMP: &str = "version.txt";

/// One installed peer.
pub(super) struct Installed {
    /// Its folder.
    pub(super) root: PathBuf,
    /// As its package names it.
    pub(super) version: String,
}

impl Installed {
    /// Finds a peer.
    ///
    /// # Errors
    ///
    /// It is not installed, or its installation did not end.
    pub(super) fn find(tools: &Path, kind: Kind) -> anyhow::Result<Self> {
        let root = tools.join(kind.name());
        let version = fs::read_to_string(root.join(STAMP)).with_context(|| {
            format!("{kind} is not installed in `{}`: run `cargo xtask bench install {kind}`", tools.display())
        })?;
        Ok(Self { root, version: version.trim().to_owned() })
    }

    /// Returns a command of a program in the folder.
    ///
    /// # Errors
    ///
    /// There is no such program.
    pub(super) fn command(&self, program: &str) -> anyhow::Result<Command> {
        let path = self.root.join(program);
        ensure!(path.exists(), "`{}` is missing: remove its folder and install again", path.display());
        Ok(Command::new(path))
    }

    /// Returns a command of a program from an unpacked Debian package, with the libraries unpacked beside it.
    ///
    /// # Errors
    ///
    /// There is no such program.
    pub(super) fn debian(&self, program: &str) -> anyhow::Result<Command> {
        let mut command = self.command(program)?;
        let architecture = format!("{}-linux-gnu", std::env::consts::ARCH);
        command.env("LD_LIBRARY_PATH", self.root.join("usr/lib").join(architecture));
        Ok(command)
    }

    /// Returns a command of a program that a package of a Python environment carries, by its path among the packages.
    ///
    /// # Errors
    ///
    /// There is no such program.
    pub(super) fn python(&self, program: &str) -> anyhow::Result<Command> {
        let lib = self.root.join("lib");
        let pythons = fs::read_dir(&lib).with_context(|| format!("cannot list `{}`", lib.display()))?;
        let mut paths = pythons.flatten().map(|python| python.path().join("site-packages").join(program));
        let found = paths.find(|path| path.exists());
        found.map(Command::new).with_context(|| format!("`{}` has no `{program}`", lib.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_without_a_stamp_is_not_installed_and_the_error_says_what_to_do() {
        let tools = tempfile::tempdir().unwrap();
        fs::create_dir_all(tools.path().join("envoy")).unwrap();
        let error = Installed::find(tools.path(), Kind::Envoy).err().unwrap();
        assert!(error.to_string().contains("cargo xtask bench install envoy"), "{error}");
        fs::write(tools.path().join("envoy/version.txt"), "1.40.0\n").unwrap();
        assert_eq!(Installed::find(tools.path(), Kind::Envoy).unwrap().version, "1.40.0");
    }
}
