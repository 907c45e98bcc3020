//! Selective disclosure: a signed payload of digests, and beside it what its holder chose to show.
//!
//! # Source
//! RFC 9901.

mod conceal;
mod disclosure;
pub mod key_binding;
mod resolve;
#[cfg(test)]
mod tests;

use std::fmt;

pub use self::{
    conceal::{ConcealFault, Concealed, conceal},
    disclosure::{Disclosure, DisclosureFault, HashAlg},
    resolve::{Disclosed, ResolveFault, resolve},
};

/// Bytes of the longest SD-JWT: a portrait of 40 kB in a PID fits.
pub const MAX_BYTES: usize = 128 * 1024;
/// Disclosures that one SD-JWT may bring.
pub const MAX_DISCLOSURES: usize = 256;

/// What is wrong with the form of an SD-JWT.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SdJwtFault {
    /// Too long.
    #[error("it is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// Too many disclosures.
    #[error("it has more than {MAX_DISCLOSURES} disclosures")]
    TooManyDisclosures,
    /// No tilde after the issuer's JWT.
    #[error("no `~` follows its JWT")]
    NoTilde,
    /// A disclosure that does not parse.
    #[error("disclosure {index}: {cause}")]
    Disclosure {
        /// Which, from zero.
        index: usize,
        /// Why.
        #[source]
        cause: DisclosureFault,
    },
}

/// An SD-JWT in its compact form, taken apart; nothing in it is verified yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SdJwt {
    jwt: String,
    disclosures: Vec<Disclosure>,
    key_binding: Option<String>,
}

impl SdJwt {
    /// Takes `<jwt>~<disclosure>~...~` or `<jwt>~<disclosure>~...~<key binding JWT>` apart.
    ///
    /// # Errors
    ///
    /// [`SdJwtFault`] if it is too long, has too many disclosures, or one of them does not parse.
    ///
    /// # Source
    /// RFC 9901, section 4.
    pub fn parse(text: &str) -> Result<Self, SdJwtFault> {
        if text.len() > MAX_BYTES {
            return Err(SdJwtFault::TooLong);
        }
        let (signed, key_binding) = text.rsplit_once('~').ok_or(SdJwtFault::NoTilde)?;
        let mut parts = signed.split('~');
        let jwt = parts.next().unwrap_or_default().to_owned();
        let disclosures = parts.enumerate().map(read_disclosure).collect::<Result<_, _>>()?;
        Ok(Self { jwt, disclosures, key_binding: Some(key_binding.to_owned()).filter(|text| !text.is_empty()) })
    }

    /// Makes the form that an issuer hands out: everything disclosed, no key binding.
    #[must_use]
    pub fn issued(jwt: String, disclosures: Vec<Disclosure>) -> Self {
        Self { jwt, disclosures, key_binding: None }
    }

    /// Returns the issuer's JWT.
    #[must_use]
    pub fn jwt(&self) -> &str {
        &self.jwt
    }

    /// Returns what its holder shows.
    #[must_use]
    pub fn disclosures(&self) -> &[Disclosure] {
        &self.disclosures
    }

    /// Returns the key binding JWT, if it brings one.
    #[must_use]
    pub fn key_binding(&self) -> Option<&str> {
        self.key_binding.as_deref()
    }

    /// Returns the same with only the disclosures that `keep` chooses, and without key binding.
    #[must_use]
    pub fn showing(&self, keep: impl Fn(&Disclosure) -> bool) -> Self {
        let disclosures = self.disclosures.iter().filter(|disclosure| keep(disclosure)).cloned().collect();
        Self { jwt: self.jwt.clone(), disclosures, key_binding: None }
    }

    /// Returns the same with this key binding JWT.
    #[must_use]
    pub fn bound_by(mut self, key_binding: String) -> Self {
        self.key_binding = Some(key_binding);
        self
    }

    /// Returns the digest that its key binding JWT must hold: of all up to and with the last `~`.
    ///
    /// # Source
    /// RFC 9901, section 4.3.1.
    #[must_use]
    pub fn sd_hash(&self, alg: HashAlg) -> String {
        alg.digest(&self.unbound())
    }

    fn unbound(&self) -> String {
        let mut text = format!("{}~", self.jwt);
        for disclosure in &self.disclosures {
            text.push_str(disclosure.text());
            text.push('~');
        }
        text
    }
}

fn read_disclosure((index, text): (usize, &str)) -> Result<Disclosure, SdJwtFault> {
    if index >= MAX_DISCLOSURES {
        return Err(SdJwtFault::TooManyDisclosures);
    }
    Disclosure::parse(text).map_err(|cause| SdJwtFault::Disclosure { index, cause })
}

impl fmt::Display for SdJwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.unbound())?;
        f.write_str(self.key_binding().unwrap_or_default())
    }
}
