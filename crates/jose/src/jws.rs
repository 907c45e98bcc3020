//! Signed tokens in compact form (RFC 7515), read as one kind and as no other.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::{
    Alg, JsonFault, Keys, Times, Use, base64url,
    claims::{self, ClaimFault},
    json::{self, Object},
    jwk::KID_BYTES_MAX,
    usage::Subject,
};

/// The longest value of a header that an error repeats, in characters.
const SHOWN: usize = 40;

/// Claims that are never `null` even where none requires them: a claim that is there but says nothing would pass for one
/// that is not there.
const REGISTERED: [&str; 9] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "auth_time", "cnf"];

/// A token that does not count.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// More bytes than a token of this kind may have.
    #[error("the token is longer than {max} bytes")]
    TooLong {
        /// How many it may have.
        max: usize,
    },
    /// Not three parts in base64url.
    #[error("the token is not a JWS in compact form: `header.payload.signature`, each in base64url without padding")]
    Form,
    /// The header's JSON.
    #[error("the token's header {0}")]
    Header(JsonFault),
    /// The payload's JSON.
    #[error("the token's payload {0}")]
    Payload(JsonFault),
    /// A member of the header that is missing or malformed.
    #[error("the token's header has no good `{0}`")]
    Member(&'static str),
    /// A token of another kind.
    #[error("the token's `typ` is `{found}`: it must be `{wanted}`")]
    Typ {
        /// What it is; empty if it is not there.
        found: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// An algorithm that does not exist here, or not for this kind.
    #[error("the token's `alg` is `{0}`, which is not accepted")]
    Alg(String),
    /// An extension that must be understood, and none is.
    #[error("the token's header has `crit`: no critical extension is supported")]
    Crit,
    /// No key of the issuer has this `kid` and this `alg`, or several have.
    #[error("the issuer has no one key for the token's `kid` and `alg`")]
    UnknownKey,
    /// The signature is wrong.
    #[error("the token's signature does not verify")]
    Signature,
    /// A claim is missing, malformed, or says that this is another kind.
    #[error("{0}")]
    Claim(#[from] ClaimFault),
}

/// The protected header of a token. What is not known is ignored, as RFC 7515 asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    alg: Alg,
    members: Object,
}

impl Header {
    /// Returns the algorithm.
    #[must_use]
    pub fn alg(&self) -> Alg {
        self.alg
    }

    /// Returns the name of the key, as the token says.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.get("kid").and_then(Value::as_str)
    }

    /// Returns any member, such as `x5c` or `jwk`. Nothing in a header makes a key trusted.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// Returns all members, for kinds that allow no other than their own.
    #[must_use]
    pub fn members(&self) -> &Object {
        &self.members
    }

    fn parse(bytes: &[u8], use_: &Use) -> Result<Self, Fault> {
        let members = json::parse_object(bytes, use_.bytes_max).map_err(Fault::Header)?;
        if members.contains_key("crit") {
            return Err(Fault::Crit);
        }
        // Of a payload that is signed as it stands (RFC 7797) two readers would read two things.
        if members.get("b64").is_some_and(|b64| *b64 != Value::Bool(true)) {
            return Err(Fault::Member("b64"));
        }
        let typ = text(&members, "typ")?;
        if !use_.accepts_typ(typ) {
            let wanted = use_.typ.first().copied().unwrap_or_default();
            return Err(Fault::Typ { found: shown(typ.unwrap_or_default()), wanted });
        }
        let name = text(&members, "alg")?.ok_or(Fault::Member("alg"))?;
        let alg = Alg::from_name(name).filter(|alg| use_.algs.contains(alg)).ok_or_else(|| Fault::Alg(shown(name)))?;
        if text(&members, "kid")?.is_some_and(|kid| kid.len() > KID_BYTES_MAX) {
            return Err(Fault::Member("kid"));
        }
        Ok(Self { alg, members })
    }
}

/// A token whose form is right and whose signature nobody has looked at: good for finding its issuer's keys, and for
/// nothing else.
pub struct Unverified<'a> {
    header: Header,
    payload: Object,
    signing_input: &'a str,
    signature: Vec<u8>,
    use_: &'a Use,
}

impl<'a> Unverified<'a> {
    /// Reads a token as the kind `use_`.
    ///
    /// # Errors
    ///
    /// [`Fault`]: too long, malformed, or of another kind.
    ///
    /// # Source
    ///
    /// RFC 7515 section 5.2; RFC 8725 sections 3.1, 3.2 and 3.11.
    pub fn parse(token: &'a str, use_: &'a Use) -> Result<Self, Fault> {
        if token.len() > use_.bytes_max {
            return Err(Fault::TooLong { max: use_.bytes_max });
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(Fault::Form)?;
        let (header, payload) = signing_input.split_once('.').ok_or(Fault::Form)?;
        let decoded = |part: &str| base64url::decode(part).map_err(|_| Fault::Form);
        let header = Header::parse(&decoded(header)?, use_)?;
        let payload = json::parse_object(&decoded(payload)?, use_.bytes_max).map_err(Fault::Payload)?;
        Ok(Self { header, payload, signing_input, signature: decoded(signature)?, use_ })
    }

    /// Returns the header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns who the token says issued it.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.payload.get("iss").and_then(Value::as_str)
    }

    /// Returns what the token says, which anybody may have written.
    pub(crate) fn claims<'de, T: Deserialize<'de>>(&'de self) -> Result<T, ClaimFault> {
        T::deserialize(&self.payload).map_err(|error| ClaimFault::shape(&error))
    }

    /// Verifies the token with the one key of `keys` that its header names.
    ///
    /// # Errors
    ///
    /// [`Fault::UnknownKey`]: the keys may be out of date. [`Fault::Signature`], [`Fault::Claim`]: it does not count.
    pub fn verify(self, keys: &impl Keys) -> Result<Verified, Fault> {
        let key = keys.key(self.header.kid(), self.header.alg).ok_or(Fault::UnknownKey)?;
        if !key.verify(self.header.alg, self.signing_input.as_bytes(), &self.signature) {
            return Err(Fault::Signature);
        }
        check_claims(&self.payload, self.use_)?;
        Ok(Verified { header: self.header, payload: self.payload })
    }
}

/// Shows the header only: with its signature, the token is a secret of whoever bears it.
impl fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified").field("header", &self.header).finish_non_exhaustive()
    }
}

/// Reads a token as the kind `use_` and verifies it with the one key of `keys` that its header names.
///
/// Times, audience and what else the kind asks of the values of claims are the caller's to check, by [`Verified::times`]
/// and [`Verified::claims`].
///
/// # Errors
///
/// [`Fault`]: why it does not count.
///
/// # Source
///
/// RFC 7515 section 5.2.
pub fn verify(token: &str, use_: &Use, keys: &impl Keys) -> Result<Verified, Fault> {
    Unverified::parse(token, use_)?.verify(keys)
}

/// A token whose signature verified, with all the claims that its kind requires.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    /// Its header.
    pub header: Header,
    /// Its claims.
    pub payload: Object,
}

impl Verified {
    /// Returns the claims as a type of their kind.
    ///
    /// # Errors
    ///
    /// [`ClaimFault`]: one is missing or of the wrong type.
    pub fn claims<'de, T: Deserialize<'de>>(&'de self) -> Result<T, ClaimFault> {
        T::deserialize(&self.payload).map_err(|error| ClaimFault::shape(&error))
    }

    /// Returns when the token was made, and from when until when it holds.
    ///
    /// # Errors
    ///
    /// [`ClaimFault`]: one is no time.
    pub fn times(&self) -> Result<Times, ClaimFault> {
        Times::of(&self.payload)
    }

    /// Returns a claim that is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.payload.get(name).and_then(Value::as_str)
    }

    /// Tells whether `aud` names `audience`.
    ///
    /// # Errors
    ///
    /// [`ClaimFault`]: `aud` is neither text nor an array of text.
    pub fn is_for(&self, audience: &str) -> Result<bool, ClaimFault> {
        Ok(claims::Audience::of(&self.payload)?.contains(audience))
    }
}

fn check_claims(payload: &Object, use_: &Use) -> Result<(), ClaimFault> {
    let registered = REGISTERED.iter().chain(use_.requires);
    if let Some(&name) = registered.into_iter().find(|name| payload.get(**name).is_some_and(Value::is_null)) {
        return Err(ClaimFault::Wrong(name));
    }
    if let Some(&name) = use_.requires.iter().find(|name| !payload.contains_key(**name)) {
        return Err(ClaimFault::Missing(name));
    }
    if let Some(&name) = use_.forbids.iter().find(|name| payload.contains_key(**name)) {
        return Err(ClaimFault::Foreign(name));
    }
    let own = payload.get("iss") == payload.get("sub");
    match use_.subject {
        Subject::Issuer if !own => Err(ClaimFault::Foreign("sub")),
        Subject::Other if own => Err(ClaimFault::Foreign("sub")),
        _ => Ok(()),
    }
}

fn text<'a>(members: &'a Object, name: &'static str) -> Result<Option<&'a str>, Fault> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Fault::Member(name)),
    }
}

fn shown(text: &str) -> String {
    text.chars().filter(|each| !each.is_control()).take(SHOWN).collect()
}
