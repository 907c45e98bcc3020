//! API keys and admin tokens.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use jose::base64url;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use terms::Moment;

use super::{
    admin::{AsCall, Call, Page, escaped},
    parties::present,
};

/// Whom a key belongs to: exactly one.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Holder {
    /// One natural person.
    #[arg(long)]
    person: Option<String>,
    /// A workload with owners who answer for it.
    #[arg(long)]
    workload: Option<String>,
    /// Nobody in particular: good for open models only.
    #[arg(long)]
    shared: bool,
}

impl Holder {
    fn json(&self) -> Value {
        match (&self.person, &self.workload) {
            (Some(person), _) => json!({ "kind": "person", "person": person }),
            (_, Some(workload)) => json!({ "kind": "workload", "workload": workload }),
            _ => json!({ "kind": "shared" }),
        }
    }
}

/// What a key is bound to: at most one.
#[derive(Clone, Debug, Args)]
#[group(required = false, multiple = false)]
pub(crate) struct Bound {
    /// Binds the key to the first certificate of this PEM file: it works only in TLS connections made with it.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Binds the key to the key with this JWK thumbprint (RFC 7638): it works only with DPoP proofs made with it.
    #[arg(long, value_name = "BASE64URL")]
    jwk_thumbprint: Option<String>,
}

impl Bound {
    fn json(&self) -> anyhow::Result<Option<Value>> {
        let certificate = self.certificate.as_deref().map(thumbprint).transpose()?;
        let certificate = certificate.map(|sha256| json!({ "x5t#S256": sha256 }));
        Ok(certificate.or_else(|| self.jwk_thumbprint.as_ref().map(|jkt| json!({ "jkt": jkt }))))
    }
}

/// Returns the SHA-256 of the first certificate of a file.
fn thumbprint(file: &Path) -> anyhow::Result<String> {
    let certificate = CertificateDer::from_pem_file(file);
    let certificate = certificate.with_context(|| format!("`{}` holds no certificate in PEM form", file.display()))?;
    Ok(base64url::encode(Sha256::digest(&certificate)))
}

/// API keys.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Mints a key and shows it once; nobody can show it again.
    #[command(
        after_help = "Examples:\n  exeat key mint --person ada --organization larkspur-labs\n  exeat key mint --workload nightly --not-after 2026-12-31T00:00:00Z\n  exeat key mint --person ada --certificate client.pem"
    )]
    Mint {
        #[command(flatten)]
        holder: Holder,
        /// The organization whose tenant it belongs to.
        #[arg(long)]
        organization: Option<String>,
        /// When it expires (RFC 3339); in 30 days unless given, at most in 90.
        #[arg(long, value_parser = Moment::parse)]
        not_after: Option<Moment>,
        /// The end use it is made for, as licenses name it.
        #[arg(long)]
        end_use: Option<String>,
        #[command(flatten)]
        bound: Bound,
    },
    /// Shows a key, without its secret.
    #[command(after_help = "Example:\n  exeat key show 3f9c2b71d04e8a65")]
    Show {
        /// Its public id.
        id: String,
    },
    /// Lists keys, without their secrets.
    #[command(after_help = "Examples:\n  exeat key list\n  exeat key list --person ada")]
    List {
        /// Of this person only.
        #[arg(long)]
        person: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Revokes a key; live calls under it end at once.
    #[command(after_help = "Example:\n  exeat key revoke 3f9c2b71d04e8a65")]
    Revoke {
        /// Its public id.
        id: String,
    },
}

impl AsCall for KeyCommand {
    fn call(&self) -> anyhow::Result<Call> {
        const PATH: &str = "/admin/v1/keys";
        let one = |id: &str| format!("{PATH}/{}", escaped(id));
        Ok(match self {
            Self::Mint { holder, organization, not_after, end_use, bound } => {
                let not_after = not_after.map(|at| at.to_string());
                Call::post(
                    PATH,
                    present(json!({
                        "holder": holder.json(), "organization": organization, "not_after": not_after,
                        "end_use": end_use, "confirmation": bound.json()?,
                    })),
                )
            }
            Self::Show { id } => Call::get(one(id)),
            Self::List { person, page } => page.of(PATH, &[("person", person.as_deref())]),
            Self::Revoke { id } => Call::post(format!("{}/revoke", one(id)), json!({})),
        })
    }
}

/// Admin tokens.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum AdminTokenCommand {
    /// Mints an admin token and shows it once.
    #[command(after_help = "Example:\n  exeat admin-token mint --role officer --label 'directive desk' --person iris")]
    Mint {
        /// What its holder may do.
        #[arg(long, value_parser = ["root", "registrar", "officer", "auditor", "operator"])]
        role: String,
        /// Who holds it, in words.
        #[arg(long)]
        label: String,
        /// The natural person who holds it, by the id under which they approve: others approve what they propose.
        #[arg(long)]
        person: Option<String>,
        /// When it expires (RFC 3339); in 30 days unless given, at most in 90.
        #[arg(long, value_parser = Moment::parse)]
        not_after: Option<Moment>,
    },
    /// Lists admin tokens, without their secrets.
    #[command(after_help = "Example:\n  exeat admin-token list")]
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Revokes an admin token.
    #[command(after_help = "Example:\n  exeat admin-token revoke 3f9c2b71d04e8a65")]
    Revoke {
        /// Its public id.
        id: String,
    },
}

impl AsCall for AdminTokenCommand {
    fn call(&self) -> anyhow::Result<Call> {
        const PATH: &str = "/admin/v1/admin-tokens";
        Ok(match self {
            Self::Mint { role, label, person, not_after } => {
                let not_after = not_after.map(|at| at.to_string());
                let body = json!({ "role": role, "label": label, "person": person, "not_after": not_after });
                Call::post(PATH, present(body))
            }
            Self::List { page } => page.of(PATH, &[]),
            Self::Revoke { id } => Call::post(format!("{PATH}/{}/revoke", escaped(id)), json!({})),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_bound_to_the_first_certificate_of_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let pem = |der: &str| format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n");
        std::fs::write(file.path(), pem("MAMBAgM=") + &pem("MAA=")).unwrap();
        let bound = Bound { certificate: Some(file.path().to_owned()), jwk_thumbprint: None };
        // SHA-256 of 30 03 01 02 03.
        let expected = json!({ "x5t#S256": "P25swlFhE42QZ_-tnp6q9Xu7gvujz4PE7DfvqWzzGLo" });
        assert_eq!(bound.json().unwrap(), Some(expected));
        std::fs::write(file.path(), "no certificate").unwrap();
        let error = bound.json().unwrap_err().to_string();
        assert!(error.contains("holds no certificate"), "{error}");
    }
}
