//! Servers of others that tests talk to, built from their published source in pinned versions.

use std::path::PathBuf;

use anyhow::Result;

use crate::{repo::Repo, run, say};

/// A program that `cargo install` makes.
struct Server {
    /// The folder in `tests` whose suites want it.
    area: &'static str,
    /// The package, and the name of its program.
    package: &'static str,
    version: &'static str,
    features: &'static str,
    /// The environment variable that tells the tests where it is.
    variable: &'static str,
}

/// S3 on a folder, with conditional writes. Versions after this one want a later Rust.
const S3S_FS: Server =
    Server { area: "lake", package: "s3s-fs", version: "0.14.1", features: "binary", variable: "S3S_FS" };

/// Returns the servers that an area wants, each with the variable that names it; builds what is missing, which takes minutes.
///
/// # Errors
///
/// If one cannot be built.
pub(crate) fn of_area(repo: &Repo, area: &str) -> Result<Vec<(&'static str, PathBuf)>> {
    let wanted = [S3S_FS].into_iter().filter(|server| server.area == area);
    wanted.map(|server| Ok((server.variable, server.program(repo)?))).collect()
}

impl Server {
    /// Each version has a folder of its own, so a program that is there is the one that is wanted.
    fn program(&self, repo: &Repo) -> Result<PathBuf> {
        let folder = repo.cache.join(format!("{}-{}", self.package, self.version));
        let program = folder.join("bin").join(self.package);
        if !program.exists() {
            say::line(&format!("    building {} {} in {}", self.package, self.version, folder.display()));
            let mut cargo = repo.cargo();
            cargo.args(["install", "--quiet", "--locked", "--debug", self.package, "--version", self.version]);
            // Nothing of it is built in our target folder: cargo removes its own when it is done.
            cargo.args(["--features", self.features, "--root"]).arg(&folder).env_remove("CARGO_TARGET_DIR");
            run::must(&mut cargo)?;
        }
        Ok(program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_was_built_is_not_built_again_and_only_its_area_wants_it() {
        let cache = tempfile::tempdir().unwrap();
        let repo = Repo { cache: cache.path().to_owned(), ..Repo::find().unwrap() };
        let bin = cache.path().join("s3s-fs-0.14.1/bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::write(bin.join("s3s-fs"), "").unwrap();
        assert_eq!(of_area(&repo, "lake").unwrap(), [("S3S_FS", bin.join("s3s-fs"))]);
        assert!(of_area(&repo, "vc").unwrap().is_empty());
    }
}
