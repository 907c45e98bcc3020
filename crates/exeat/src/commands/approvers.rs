//! Approvers and their keys.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, ensure};
use clap::Subcommand;
use control::ApproverKey;
use serde_json::json;

use super::{
    Exit,
    admin::{Call, Connection, Page, escaped},
};
use crate::{
    output::{self, Format},
    secrets,
};

/// Approvers.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ApproverCommand {
    /// Makes a key in a file that only its owner may read, and prints the public key. Calls no server.
    #[command(after_help = "Example:\n  exeat approver keygen --out iris.jwk")]
    Keygen {
        /// The file, which must not be there yet.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Registers an approver, or a new key for one whose key was revoked. Only root may.
    #[command(
        after_help = "Example:\n  exeat approver add iris --role counsel --public-key bf8v2JB2pHkwGjzJ3IunA_P9rLScEGQCY2QuR2fC_vI"
    )]
    Add {
        /// The natural person's id, as which they sign.
        id: String,
        /// In which capacity they approve; two approvals never count in one.
        #[arg(long, value_parser = ["compliance", "counsel", "security", "executive"])]
        role: String,
        /// What `keygen` printed.
        #[arg(long, allow_hyphen_values = true)]
        public_key: String,
    },
    /// Lists approvers, those with a revoked key too.
    #[command(after_help = "Example:\n  exeat approver list")]
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Revokes an approver's key; what was signed with it and is not applied yet no longer counts. Only root may.
    #[command(after_help = "Example:\n  exeat approver revoke iris")]
    Revoke {
        /// The approver.
        id: String,
    },
}

impl ApproverCommand {
    /// Does what the command says and prints the answer.
    ///
    /// # Errors
    ///
    /// If the key cannot be made or written, or the server cannot be reached or refuses.
    pub(crate) fn run(&self, connection: &Connection, format: Format) -> anyhow::Result<Exit> {
        const PATH: &str = "/admin/v1/approvers";
        let call = match self {
            Self::Keygen { out } => return keygen(out, format),
            Self::Add { id, role, public_key } => {
                Call::post(PATH, json!({ "id": id, "role": role, "public_key": public_key }))
            }
            Self::List { page } => page.of(PATH, &[]),
            Self::Revoke { id } => Call::post(format!("{PATH}/{}/revoke", escaped(id)), json!({})),
        };
        output::answer(format, &connection.ask(&call)?)?;
        Ok(Exit::Done)
    }
}

fn keygen(out: &Path, format: Format) -> anyhow::Result<Exit> {
    let name = out.display();
    ensure!(!out.try_exists().unwrap_or(true), "`{name}` is there already: name a file that is not");
    let key = ApproverKey::generate().context("the operating system has no randomness to give")?;
    secrets::write_private(out, format!("{}\n", *key.to_jwk()?).as_bytes())?;
    output::answer(format, &json!({ "file": out, "public_key": key.public() }))?;
    Ok(Exit::Done)
}

/// Reads a private key that nobody else can have read.
///
/// # Errors
///
/// If the file cannot be read, others can read it too, or it holds no private key.
pub(super) fn key(file: &Path) -> anyhow::Result<ApproverKey> {
    let name = file.display();
    let meta = fs::metadata(file).with_context(|| format!("cannot read `{name}`"))?;
    let mode = meta.permissions().mode() & 0o777;
    ensure!(mode & 0o077 == 0, "others can read `{name}` (mode {mode:03o}): make a new key, this one may be known");
    let text = fs::read_to_string(file).with_context(|| format!("cannot read `{name}`"))?;
    ApproverKey::from_jwk(&text).map_err(|why| anyhow!("`{name}`: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_private_and_read_back_only_while_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("iris.jwk");
        keygen(&file, Format::Json).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let first = fs::read(&file).unwrap();
        assert!(keygen(&file, Format::Json).is_err());
        assert_eq!(fs::read(&file).unwrap(), first);
        key(&file).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(key(&file).unwrap_err().to_string().contains("mode 640"));
    }
}
