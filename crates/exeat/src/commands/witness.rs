//! Witnesses and mirrors: their keys, and serving.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, Subcommand};
use proof::cosignature::Algorithm;
use serde_json::json;
use zeroize::Zeroizing;

use super::Exit;
use crate::{
    output::{self, Format},
    secrets,
    serve::{Role, new_key, run_witness},
};

/// Where the configuration is.
#[derive(Clone, Debug, Args)]
pub(crate) struct WitnessFile {
    /// The configuration file; `witness.example.toml` in the source shows one.
    #[arg(long, env = "EXEAT_WITNESS_CONFIG", default_value = "witness.toml")]
    config: PathBuf,
}

/// A witness of other people's logs.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum WitnessCommand {
    /// Cosigns the checkpoints of the logs it knows, until a signal ends it (C2SP tlog-witness).
    #[command(after_help = "Example:\n  exeat witness serve --config /etc/exeat/witness.toml")]
    Serve(WitnessFile),
    /// Makes the secret keys of a witness or a mirror, for Ed25519 and ML-DSA-44; prints its verifier keys.
    #[command(
        after_help = "Examples:\n  exeat witness key --name witness.agency.example/w1 --out witness.key\n  exeat witness key --name mirror.agency.example/m1 --out mirror.key"
    )]
    Key {
        /// Its name: a URL without scheme. It never changes, and no two have the same.
        #[arg(long)]
        name: String,
        /// The file to write; must not be there yet.
        #[arg(long)]
        out: PathBuf,
    },
}

/// A mirror of other people's logs.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum MirrorCommand {
    /// Holds the logs it knows, serves them and cosigns what it holds, until a signal ends it (C2SP tlog-mirror).
    #[command(after_help = "Example:\n  exeat mirror serve --config /etc/exeat/mirror.toml")]
    Serve(WitnessFile),
}

/// Does what `exeat witness` says.
///
/// # Errors
///
/// Why a witness cannot start, or a key not be written.
pub(crate) fn run(command: &WitnessCommand, format: Format) -> anyhow::Result<Exit> {
    match command {
        WitnessCommand::Serve(file) => run_witness(Role::Witness, &file.config),
        WitnessCommand::Key { name, out } => make_keys(name, out, format),
    }
}

/// Does what `exeat mirror` says.
///
/// # Errors
///
/// Why a mirror cannot start.
pub(crate) fn run_mirror(command: &MirrorCommand) -> anyhow::Result<Exit> {
    match command {
        MirrorCommand::Serve(file) => run_witness(Role::Mirror, &file.config),
    }
}

fn make_keys(name: &str, out: &Path, format: Format) -> anyhow::Result<Exit> {
    if out.exists() {
        bail!("`{}` is there: a key that is overwritten is lost", out.display());
    }
    let keys = [new_key(name, Algorithm::Ed25519)?, new_key(name, Algorithm::MlDsa44)?];
    let secret: Zeroizing<String> = Zeroizing::new(keys.iter().map(|key| key.to_secret_text() + "\n").collect());
    secrets::write_private(out, secret.as_bytes())?;
    let public = keys.map(|key| key.public().to_string());
    match format {
        Format::Json => output::answer(format, &json!({ "file": out, "keys": public }))?,
        Format::Text => output::line(&public.join("\n"))?,
    }
    Ok(Exit::Done)
}
