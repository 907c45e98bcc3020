//! `exeat ledger timestamp`: time stamps over a checkpoint by files, where there is no network.

use std::{fs, path::PathBuf};

use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::Exit;
use crate::{
    config::roots,
    output::{self, Format},
    timestamp,
};

/// A query that is carried to an authority, or its response, carried back.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  exeat ledger timestamp acme-june.part/checkpoint --request acme.tsq\n  exeat ledger timestamp acme-june.part/checkpoint --response acme.tsr --roots tsa-roots.pem"
)]
pub(crate) struct TimestampArgs {
    /// The signed checkpoint.
    checkpoint: PathBuf,
    /// Writes the query (RFC 3161) into this file.
    #[arg(long, value_name = "FILE", required_unless_present = "response", conflicts_with = "response")]
    request: Option<PathBuf>,
    /// Checks the response in this file.
    #[arg(long, value_name = "FILE", requires = "roots")]
    response: Option<PathBuf>,
    /// The root certificates of the authority, in PEM.
    #[arg(long, value_name = "FILE")]
    roots: Option<PathBuf>,
}

impl TimestampArgs {
    /// Writes the query, or checks the response and says what it says.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or written, or the response does not stamp the checkpoint.
    pub(crate) fn run(&self, format: Format) -> anyhow::Result<Exit> {
        let name = self.checkpoint.display();
        let checkpoint = fs::read(&self.checkpoint).with_context(|| format!("cannot read `{name}`"))?;
        if let Some(file) = &self.request {
            let query = timestamp::query(&checkpoint)?.to_der();
            fs::write(file, query).with_context(|| format!("cannot write `{}`", file.display()))?;
            output::answer(format, &json!({ "request": file }))?;
        }
        if let (Some(file), Some(trusted)) = (&self.response, &self.roots) {
            let response = fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
            let stamp = timestamp::check(&response, &checkpoint, &roots(trusted)?)?;
            let said = json!({
                "at": stamp.at, "authority": stamp.authority, "serial": stamp.serial, "policy": stamp.policy,
            });
            output::answer(format, &said)?;
        }
        Ok(Exit::Done)
    }
}
