//! Whether presentations are genuine, fresh, bound to their holder and what was asked for.

use std::collections::BTreeMap;

use terms::Moment;

use super::VpToken;
use crate::{
    dcql::{Mismatch, Query, Shown},
    sd_jwt::{
        SdJwt, SdJwtFault,
        key_binding::{Expected, KeyBindingFault},
    },
    sd_jwt_vc::{SdJwtVc, VcFault},
};

/// Why presentations do not count: none of them does.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PresentationFault {
    /// Not an SD-JWT.
    #[error("`{id}`: {cause}")]
    Form {
        /// Which, by the id of the query.
        id: String,
        /// Why.
        #[source]
        cause: SdJwtFault,
    },
    /// Not a credential of a trusted issuer.
    #[error("`{id}`: {cause}")]
    Credential {
        /// Which.
        id: String,
        /// Why.
        #[source]
        cause: VcFault,
    },
    /// Not presented by its holder, for this request.
    #[error("`{id}`: {cause}")]
    KeyBinding {
        /// Which.
        id: String,
        /// Why.
        #[source]
        cause: KeyBindingFault,
    },
    /// Not what was asked for.
    #[error("{0}")]
    Mismatch(#[from] Mismatch),
}

/// One presentation that was verified.
#[derive(Clone, Debug)]
pub struct Presentation<I> {
    /// Its id in the query.
    pub id: String,
    /// Its issuer, as the one who verifies calls it.
    pub issuer: I,
    /// The credential.
    pub credential: SdJwtVc,
}

/// Verifies every presentation of an answer, and that together they answer `query`.
///
/// `credential` verifies one credential and says whose it is. Its status is still to be looked up.
///
/// # Errors
///
/// [`PresentationFault`]: the whole answer must be refused.
///
/// # Source
/// OpenID for Verifiable Presentations 1.0, section 8.6.
pub fn verify<I>(
    vp_token: &VpToken,
    query: &Query,
    expected: &Expected<'_>,
    credential: impl Fn(&SdJwt) -> Result<(I, SdJwtVc), VcFault>,
    now: Moment,
) -> Result<Vec<Presentation<I>>, PresentationFault> {
    let mut verified = Vec::new();
    let mut bound = Vec::new();
    for (id, texts) in vp_token {
        for text in texts {
            let id = || id.clone();
            let sd_jwt = SdJwt::parse(text).map_err(|cause| PresentationFault::Form { id: id(), cause })?;
            let (issuer, credential) =
                credential(&sd_jwt).map_err(|cause| PresentationFault::Credential { id: id(), cause })?;
            let binding = sd_jwt.key_binding().map(|_| credential.verify_binding(&sd_jwt, expected, now));
            binding.transpose().map_err(|cause| PresentationFault::KeyBinding { id: id(), cause })?;
            bound.push(binding_of(&sd_jwt));
            verified.push(Presentation { id: id(), issuer, credential });
        }
    }
    answers(query, &verified, &bound)?;
    Ok(verified)
}

fn binding_of(sd_jwt: &SdJwt) -> bool {
    sd_jwt.key_binding().is_some()
}

fn answers<I>(query: &Query, verified: &[Presentation<I>], bound: &[bool]) -> Result<(), Mismatch> {
    let mut shown: BTreeMap<String, Vec<Shown<'_>>> = BTreeMap::new();
    for (one, bound) in verified.iter().zip(bound) {
        let (vct, claims) = (one.credential.vct.as_str(), &one.credential.claims);
        shown.entry(one.id.clone()).or_default().push(Shown { vct, claims, bound: *bound });
    }
    query.evaluate(&shown)
}
