//! `init`, `config` and `completions`.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::{CommandFactory, Subcommand};
use serde_json::{Value, json};

use super::Exit;
use crate::{
    cli::Cli,
    config,
    output::{self, Format},
    secrets,
};

/// Checks a configuration, or prints the commented example.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Reads the file and the environment as the server would, and names every fault.
    #[command(after_help = "Example:\n  exeat config check --config /etc/exeat/exeat.toml")]
    Check {
        /// The configuration file.
        #[arg(long, env = "EXEAT_CONFIG", default_value = "exeat.toml")]
        config: PathBuf,
    },
    /// Prints the commented example.
    #[command(after_help = "Example:\n  exeat config example > exeat.toml")]
    Example,
}

/// Does what `exeat config` says.
///
/// # Errors
///
/// Every fault of the configuration.
pub(crate) fn config(command: &ConfigCommand, format: Format) -> anyhow::Result<Exit> {
    match command {
        ConfigCommand::Example => output::line(config::EXAMPLE.trim_end())?,
        ConfigCommand::Check { config } => {
            let meant = config::load(config)?;
            let models: Vec<String> = meant.models.iter().map(|model| model.id.to_string()).collect();
            let answer = json!({ "config": config, "ok": true, "data_dir": meant.data_dir, "models": models });
            output::answer(format, &answer)?;
        }
    }
    Ok(Exit::Done)
}

/// Writes `exeat.toml` into `dir` and makes the data folder beside it.
///
/// # Errors
///
/// If there is an `exeat.toml` already, or the folder cannot be written.
pub(crate) fn init(dir: &Path, format: Format) -> anyhow::Result<Exit> {
    output::answer(format, &begin(dir)?)?;
    Ok(Exit::Done)
}

fn begin(dir: &Path) -> anyhow::Result<Value> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
    let file = dir.join("exeat.toml");
    write_new(&file)?;
    let data = dir.join("exeat-data");
    secrets::private_dir(&data)?;
    let next =
        format!("edit the file, then run `exeat doctor --config {0}` and `exeat serve --config {0}`", file.display());
    Ok(json!({ "config": file, "data_dir": data, "next": next }))
}

fn write_new(file: &Path) -> anyhow::Result<()> {
    match OpenOptions::new().write(true).create_new(true).open(file) {
        Ok(mut open) => {
            open.write_all(config::EXAMPLE.as_bytes()).with_context(|| format!("cannot write `{}`", file.display()))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("`{}` is there already: edit it, or move it away first", file.display())
        }
        Err(error) => Err(error).with_context(|| format!("cannot write `{}`", file.display())),
    }
}

/// Prints a completion script.
///
/// # Errors
///
/// If standard output is closed.
pub(crate) fn completions(shell: clap_complete::Shell) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "exeat", &mut script);
    output::line(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn init_writes_a_configuration_that_checks_and_never_overwrites_one() {
        let dir = tempfile::tempdir().unwrap();
        begin(dir.path()).unwrap();
        let file = dir.path().join("exeat.toml");
        assert_eq!(config::load_with(&file, std::iter::empty()).unwrap().models.len(), 2);
        fs::write(&file, "mine").unwrap();
        assert!(begin(dir.path()).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    }
}
