//! Time stamps over checkpoints (RFC 3161): asked for, checked, and exchanged by files where there is no network.

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use fetch::{Client, Request, Url};
use http::header::CONTENT_TYPE;
use sha2::{Digest, Sha256};
use tsp::{Asked, Query, Roots, Stamp};

use crate::config::{OutboundConfig, TimestampsConfig};

/// The media type of a response.
///
/// # Source
///
/// RFC 3161 section 3.4.
const REPLY: &str = "application/timestamp-reply";

/// A time-stamping authority that can be asked.
#[derive(Debug)]
pub(crate) struct Authority {
    client: Client,
    url: Url,
    roots: Roots,
}

impl Authority {
    /// Makes one of its settings.
    ///
    /// # Errors
    ///
    /// If its URL is none, or root certificates cannot be read.
    pub(crate) fn new(config: &TimestampsConfig, outbound: &OutboundConfig) -> anyhow::Result<Self> {
        let url = config.url().map_err(|why| anyhow::anyhow!("`timestamps.url`: {why}"))?;
        Ok(Self { client: outbound.client()?, url, roots: config.roots()? })
    }

    /// Has a checkpoint stamped; returns the response and what it says. Blocks.
    ///
    /// # Errors
    ///
    /// If the authority cannot be reached, refuses, or answers what its roots do not vouch for.
    pub(crate) fn stamp(&self, checkpoint: &[u8]) -> anyhow::Result<(Vec<u8>, Stamp)> {
        let query = query(checkpoint)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let response = runtime.block_on(self.ask(query.to_der()))?;
        let stamp = tsp::verify(&response, Asked::Now(&query), &self.roots)?;
        Ok((response, stamp))
    }

    /// Returns the roots under which its certificate must stand.
    pub(crate) fn roots(&self) -> &Roots {
        &self.roots
    }

    async fn ask(&self, query: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        let request = Request::post(self.url.clone(), Query::MEDIA_TYPE, Bytes::from(query));
        let answer = self.client.send(request).await.context("cannot ask the time-stamping authority")?;
        ensure!(answer.status.is_success(), "the time-stamping authority answered {}", answer.status);
        let kind = answer.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(REPLY) {
            bail!("the time-stamping authority answered `{kind}`, not `{REPLY}`");
        }
        Ok(answer.body.to_vec())
    }
}

/// Makes the query for a checkpoint, with a nonce of its own.
///
/// # Errors
///
/// The operating system has no randomness.
pub(crate) fn query(checkpoint: &[u8]) -> anyhow::Result<Query> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).context("the operating system has no randomness to give")?;
    Ok(Query { digest: sha256(checkpoint), nonce })
}

/// Requires that a stored response stamps this checkpoint, under these roots.
///
/// # Errors
///
/// If it does not.
pub(crate) fn check(response: &[u8], checkpoint: &[u8], roots: &Roots) -> anyhow::Result<Stamp> {
    Ok(tsp::verify(response, Asked::Earlier(&sha256(checkpoint)), roots)?)
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
