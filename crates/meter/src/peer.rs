//! A meter, as a gateway reaches it.

use std::{collections::BTreeSet, fmt};

use bytes::Bytes;
use fetch::{Client, Fault, Request, Url};
use http::{HeaderValue, StatusCode, header};
use proof::{
    note::VerifierKey,
    sums::{About, BadStatement, Side},
};
use terms::{CallId, ModelVersionId};
use zeroize::Zeroizing;

use crate::{
    tally::Hour,
    wire::{Asked, BadPage, Page},
};

/// Bytes of an answer of a meter that are accepted: a page of 20,000 calls has 4 MB.
pub const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Pages of one hour that are read: 10 million calls, of some 200 bytes each in memory.
const PAGES_MAX: usize = 500;

/// A meter, and the right to ask it.
pub struct Peer {
    /// Its URL, without a path.
    url: String,
    /// The verifier key of its log; the key's name is the log's origin.
    key: VerifierKey,
    secret: Zeroizing<String>,
    client: Client,
}

/// The secret is not shown.
impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("url", &self.url).field("key", &self.key).finish_non_exhaustive()
    }
}

/// A meter did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// It cannot be asked.
    #[error("the meter cannot be asked: {0}")]
    Unreachable(#[from] Fault),
    /// It refuses to answer.
    #[error("the meter answered {status}: {text}")]
    Refused {
        /// Its status.
        status: StatusCode,
        /// The beginning of what it said.
        text: String,
    },
    /// Its answer is none, or contradicts itself.
    #[error("the meter's answer is refused: {0}")]
    Malformed(String),
    /// Not signed by the key it is known by.
    #[error("the meter's sums are not signed by the key it is known by")]
    Signature,
}

impl From<BadPage> for PeerError {
    fn from(bad: BadPage) -> Self {
        Self::Malformed(bad.to_string())
    }
}

impl From<BadStatement> for PeerError {
    fn from(bad: BadStatement) -> Self {
        Self::Malformed(bad.to_string())
    }
}

impl Peer {
    /// Makes a peer of the meter at `url`, whose log has this verifier key, asked with `client` and this secret.
    #[must_use]
    pub fn new(url: &str, key: VerifierKey, secret: Zeroizing<String>, client: Client) -> Self {
        Self { url: url.trim_end_matches('/').to_owned(), key, secret, client }
    }

    /// Returns the verifier key of its log; the key's name is the log's origin.
    #[must_use]
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Asks for all calls of an hour that the meter took tickets of the gateway with the log `gateway` for.
    ///
    /// # Errors
    ///
    /// [`PeerError`].
    pub async fn hour(&self, gateway: &str, hour: u64) -> Result<Hour, PeerError> {
        let (mut found, mut after) = (Hour::default(), None);
        for _ in 0..PAGES_MAX {
            let from = after.map(|call: CallId| format!("&after={call}")).unwrap_or_default();
            let page = self.get(&format!("/exeat/v1/calls?gateway={gateway}&hour={hour}{from}")).await?;
            let page: Page = serde_json::from_slice(&page).map_err(|error| malformed(&error))?;
            after = page.read(self.key.name(), hour, after, &mut found)?;
            if after.is_none() {
                return Ok(found);
            }
        }
        Err(PeerError::Malformed("it has more pages than an hour can have".to_owned()))
    }

    /// Asks for the meter's signed sums of a model version in an hour, in which the `moved` calls stand in the other tree than
    /// the outcome in the meter's log says.
    ///
    /// # Errors
    ///
    /// [`PeerError`]; [`PeerError::Signature`] also if it is signed by another key than the one it is known by.
    pub async fn side(
        &self,
        about: &About,
        model: &ModelVersionId,
        moved: &BTreeSet<CallId>,
    ) -> Result<Side, PeerError> {
        let path = format!("/exeat/v1/sums?gateway={}", about.gateway);
        let mut answer = Bytes::new();
        for asked in Asked::all(about.hour, model, moved) {
            let asked = serde_json::to_vec(&asked).map_err(|error| malformed(&error))?;
            answer = self.post(&path, asked.into()).await?;
        }
        let side = Side::parse(&answer)?;
        if side.key != self.key || side.verify(about).is_err() {
            return Err(PeerError::Signature);
        }
        Ok(side)
    }

    /// Gives a statement to the meter, to be taken into its record.
    ///
    /// # Errors
    ///
    /// [`PeerError`].
    pub async fn tell(&self, statement: Vec<u8>) -> Result<(), PeerError> {
        self.post("/exeat/v1/statements", statement.into()).await.map(drop)
    }

    async fn get(&self, path: &str) -> Result<Bytes, PeerError> {
        self.send(Request::get(self.at(path)?)).await
    }

    async fn post(&self, path: &str, body: Bytes) -> Result<Bytes, PeerError> {
        self.send(Request::post(self.at(path)?, "application/json", body)).await
    }

    fn at(&self, path: &str) -> Result<Url, PeerError> {
        Url::parse(&format!("{}{path}", self.url)).map_err(|error| malformed(&error))
    }

    async fn send(&self, mut request: Request) -> Result<Bytes, PeerError> {
        let bearer = Zeroizing::new(format!("Bearer {}", *self.secret));
        let mut bearer = HeaderValue::try_from(bearer.as_str()).map_err(|error| malformed(&error))?;
        bearer.set_sensitive(true);
        request.headers.insert(header::AUTHORIZATION, bearer);
        let response = self.client.send(request).await?;
        if response.status == StatusCode::OK {
            return Ok(response.body);
        }
        let text = String::from_utf8_lossy(&response.body).chars().filter(|c| !c.is_control()).take(200).collect();
        Err(PeerError::Refused { status: response.status, text })
    }
}

fn malformed(error: &impl fmt::Display) -> PeerError {
    PeerError::Malformed(error.to_string())
}
