//! The sources of word about people: what is set, how well each can be relied on, and what a person must look at.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::{
    admin::{AsCall, Call, Page, escaped},
    documents,
};

/// Sources.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum SourceCommand {
    /// Lists the kinds of settings, or what is set of one kind, without secrets.
    #[command(after_help = "Examples:\n  exeat source list\n  exeat source list token_issuer")]
    List {
        /// Which kind; all kinds are named if absent.
        kind: Option<String>,
    },
    /// Sets something of a source from a JSON or TOML file, in place of what had its name; a secret is shown once.
    #[command(
        after_help = "Examples:\n  exeat source set token_issuer idp.json\n  exeat source set scim_tenant northgate.toml"
    )]
    Set {
        /// Which kind.
        kind: String,
        /// The file; `-` for standard input.
        file: PathBuf,
    },
    /// Removes something of a source; what rested on it establishes nothing from then on.
    #[command(after_help = "Example:\n  exeat source remove token_issuer idp")]
    Remove {
        /// Which kind.
        kind: String,
        /// Its id.
        id: String,
    },
    /// Lists every channel with how well it can be relied on now.
    #[command(after_help = "Example:\n  exeat source channels")]
    Channels,
    /// Lists what a person must look at, settled ones too.
    #[command(after_help = "Example:\n  exeat source reviews")]
    Reviews {
        #[command(flatten)]
        page: Page,
    },
    /// Settles a review.
    #[command(after_help = "Example:\n  exeat source close rev-1")]
    Close {
        /// The review.
        id: String,
    },
}

impl AsCall for SourceCommand {
    fn call(&self) -> anyhow::Result<Call> {
        const PATH: &str = "/admin/v1/sources";
        Ok(match self {
            Self::List { kind: None } => Call::get(PATH),
            Self::List { kind: Some(kind) } => Call::get(format!("{PATH}/{}", escaped(kind))),
            Self::Set { kind, file } => Call::post(format!("{PATH}/{}", escaped(kind)), documents::value(file)?),
            Self::Remove { kind, id } => {
                Call::post(format!("{PATH}/{}/{}/remove", escaped(kind), escaped(id)), json!({}))
            }
            Self::Channels => Call::get("/admin/v1/channels"),
            Self::Reviews { page } => page.of("/admin/v1/reviews", &[]),
            Self::Close { id } => Call::post(format!("/admin/v1/reviews/{}/close", escaped(id)), json!({})),
        })
    }
}
