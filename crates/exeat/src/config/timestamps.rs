//! `[timestamps]`: who else says when a checkpoint was there.

use std::{fs, path::PathBuf};

use anyhow::Context;
use fetch::Url;
use serde::Deserialize;
use tsp::Roots;

/// A time-stamping authority (RFC 3161).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimestampsConfig {
    /// Where it answers; a host of the public internet, or one that `outbound.allow` lists.
    pub(crate) url: String,
    /// The root certificates under which its own must stand, in PEM.
    pub(crate) roots: PathBuf,
}

impl TimestampsConfig {
    /// Returns where it answers.
    ///
    /// # Errors
    ///
    /// Why that is no URL.
    pub(crate) fn url(&self) -> Result<Url, String> {
        Url::parse(&self.url).map_err(|error| error.to_string())
    }

    /// Reads the root certificates.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or holds none.
    pub(crate) fn roots(&self) -> anyhow::Result<Roots> {
        roots(&self.roots)
    }
}

/// Reads root certificates of time-stamping authorities, in PEM.
///
/// # Errors
///
/// If the file cannot be read or holds none.
pub(crate) fn roots(file: &std::path::Path) -> anyhow::Result<Roots> {
    let text = fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    Roots::parse_pem(&text).with_context(|| format!("`{}` is no file of root certificates", file.display()))
}
