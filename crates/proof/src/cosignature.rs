//! Cosignatures: what witnesses and mirrors, and a log's own ML-DSA-44 key, say about a checkpoint, and when.
//!
//! # Source
//!
//! C2SP tlog-cosignature v1.1.0; RFC 8032; FIPS 204.

use std::{fmt, str::FromStr};

use ed25519_dalek::Signer;

use crate::{
    checkpoint::Checkpoint,
    note::{BadKey, BadNote, Note, NoteSignature, check_name, key_id, parse_typed, typed},
};

#[cfg(feature = "ml-dsa")]
mod ml_dsa_44;

/// The latest time that a cosignature can carry, in seconds since 1970-01-01T00:00:00Z.
pub const TIME_MAX: u64 = i64::MAX as u64;
/// Names of cosigners and origins of what they sign are at most this long, in bytes: the length takes one byte.
pub const NAME_BYTES_MAX: usize = 255;

/// The kind of a cosigner's key.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Algorithm {
    /// Timestamped Ed25519, signature type 4; it does not sign the cosigner's name, so each cosigner has its own key.
    Ed25519,
    /// Timestamped ML-DSA-44, signature type 6.
    #[cfg(feature = "ml-dsa")]
    MlDsa44,
}

impl Algorithm {
    /// The signature type identifier byte.
    fn kind(self) -> u8 {
        match self {
            Self::Ed25519 => 0x04,
            #[cfg(feature = "ml-dsa")]
            Self::MlDsa44 => 0x06,
        }
    }

    fn of(kind: u8) -> Result<Self, BadKey> {
        match kind {
            0x04 => Ok(Self::Ed25519),
            #[cfg(feature = "ml-dsa")]
            0x06 => Ok(Self::MlDsa44),
            other => Err(BadKey::Type(other)),
        }
    }
}

/// The key that checks a cosigner's signatures, with its name; written `name+hash+key`.
#[derive(Clone, Debug, PartialEq)]
pub struct CosignerKey {
    name: String,
    id: u32,
    key: PublicKey,
}

#[derive(Clone, Debug, PartialEq)]
enum PublicKey {
    Ed25519(ed25519_dalek::VerifyingKey),
    #[cfg(feature = "ml-dsa")]
    MlDsa44(ml_dsa_44::PublicKey),
}

impl PublicKey {
    fn parse(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, BadKey> {
        match algorithm {
            Algorithm::Ed25519 => {
                let bytes = bytes.try_into().map_err(|_| BadKey::Malformed)?;
                let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| BadKey::Point)?;
                if key.is_weak() { Err(BadKey::Point) } else { Ok(Self::Ed25519(key)) }
            }
            #[cfg(feature = "ml-dsa")]
            Algorithm::MlDsa44 => ml_dsa_44::PublicKey::parse(bytes).map(Self::MlDsa44),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.as_bytes().to_vec(),
            #[cfg(feature = "ml-dsa")]
            Self::MlDsa44(key) => key.bytes(),
        }
    }
}

impl CosignerKey {
    fn new(name: &str, key: PublicKey) -> Result<Self, BadKey> {
        check_name(name)?;
        if name.len() > NAME_BYTES_MAX {
            return Err(BadKey::Name);
        }
        let mut made = Self { name: name.to_owned(), id: 0, key };
        made.id = key_id(name, made.algorithm().kind(), &made.key.bytes());
        Ok(made)
    }

    /// Returns the name of the cosigner.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the short identifier that signature lines carry; it identifies, it does not authenticate.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Returns the kind of the key.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.key {
            PublicKey::Ed25519(_) => Algorithm::Ed25519,
            #[cfg(feature = "ml-dsa")]
            PublicKey::MlDsa44(_) => Algorithm::MlDsa44,
        }
    }

    /// Returns the public key itself: two keys of different names are one if this is equal.
    #[must_use]
    pub fn public_bytes(&self) -> Vec<u8> {
        self.key.bytes()
    }

    /// Returns when this key cosigned the checkpoint with this text, in seconds since 1970-01-01T00:00:00Z; `None` if
    /// `signature` is not its own. 0 is no time: the cosigner does not say that the tree was the largest it knew.
    #[must_use]
    pub fn accepts(&self, text: &str, checkpoint: &Checkpoint, signature: &[u8]) -> Option<u64> {
        let (time, signature) = signature.split_first_chunk::<8>()?;
        let time = u64::from_be_bytes(*time);
        let signed = match &self.key {
            PublicKey::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(&timed(text, time), &signature).is_ok()),
            #[cfg(feature = "ml-dsa")]
            PublicKey::MlDsa44(key) => {
                ml_dsa_44::message(&self.name, time, checkpoint).is_some_and(|message| key.accepts(&message, signature))
            }
        };
        #[cfg(not(feature = "ml-dsa"))]
        let _ = checkpoint;
        (signed && time <= TIME_MAX).then_some(time)
    }
}

/// Returns what an Ed25519 cosigner signs.
fn timed(text: &str, time: u64) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

impl fmt::Display for CosignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = typed(self.algorithm().kind(), &self.key.bytes());
        write!(f, "{}+{:08x}+{key}", self.name, self.id)
    }
}

impl FromStr for CosignerKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let (name, id, kind, bytes) = parse_typed(text)?;
        let key = Self::new(name, PublicKey::parse(Algorithm::of(kind)?, &bytes)?)?;
        if key.id == id { Ok(key) } else { Err(BadKey::Hash) }
    }
}

/// The secret key of a cosigner, with its name. It does not print.
pub struct CosignerSecret {
    public: CosignerKey,
    key: SecretKey,
}

enum SecretKey {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    #[cfg(feature = "ml-dsa")]
    MlDsa44(ml_dsa_44::SecretKey),
}

impl SecretKey {
    fn from_seed(algorithm: Algorithm, seed: &[u8; 32]) -> Self {
        match algorithm {
            Algorithm::Ed25519 => Self::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(seed))),
            #[cfg(feature = "ml-dsa")]
            Algorithm::MlDsa44 => Self::MlDsa44(ml_dsa_44::SecretKey::from_seed(seed)),
        }
    }

    fn public(&self) -> PublicKey {
        match self {
            Self::Ed25519(key) => PublicKey::Ed25519(key.verifying_key()),
            #[cfg(feature = "ml-dsa")]
            Self::MlDsa44(key) => PublicKey::MlDsa44(key.public()),
        }
    }

    fn seed(&self) -> &[u8] {
        match self {
            Self::Ed25519(key) => key.as_bytes(),
            #[cfg(feature = "ml-dsa")]
            Self::MlDsa44(key) => key.seed(),
        }
    }
}

/// A checkpoint that cannot be cosigned.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadCosignature {
    /// The time is later than [`TIME_MAX`].
    #[error("a cosignature cannot carry a time that late: set the clock")]
    Time,
    /// The origin is empty or longer than [`NAME_BYTES_MAX`].
    #[error("the origin of the checkpoint is not 1 to 255 bytes long")]
    Origin,
}

impl CosignerSecret {
    /// Makes the key for `name` of a secret seed of 32 random bytes.
    ///
    /// # Errors
    ///
    /// [`BadKey::Name`].
    pub fn from_seed(name: &str, algorithm: Algorithm, seed: &[u8; 32]) -> Result<Self, BadKey> {
        let key = SecretKey::from_seed(algorithm, seed);
        Ok(Self { public: CosignerKey::new(name, key.public())?, key })
    }

    /// Reads a key written by [`CosignerSecret::to_secret_text`].
    ///
    /// # Errors
    ///
    /// [`BadKey`]; it does not repeat what was given.
    pub fn parse(text: &str) -> Result<Self, BadKey> {
        let rest = text.strip_prefix("PRIVATE+KEY+").ok_or(BadKey::Malformed)?;
        let (name, id, kind, seed) = parse_typed(rest)?;
        let seed = seed.as_slice().try_into().map_err(|_| BadKey::Malformed)?;
        let key = Self::from_seed(name, Algorithm::of(kind)?, seed)?;
        if key.public.id == id { Ok(key) } else { Err(BadKey::Hash) }
    }

    /// Writes the secret key as `PRIVATE+KEY+name+hash+seed`. Whoever reads this text can sign.
    #[must_use]
    pub fn to_secret_text(&self) -> String {
        let CosignerKey { name, id, .. } = &self.public;
        let seed = typed(self.public.algorithm().kind(), self.key.seed());
        format!("PRIVATE+KEY+{name}+{id:08x}+{seed}")
    }

    /// Returns the key that checks its signatures.
    #[must_use]
    pub fn public(&self) -> &CosignerKey {
        &self.public
    }

    /// Cosigns `checkpoint` at `time`, in seconds since 1970-01-01T00:00:00Z.
    ///
    /// A cosigner must have checked, and durably remember, that the checkpoint is consistent with all it cosigned before.
    ///
    /// # Errors
    ///
    /// [`BadCosignature`].
    pub fn cosign(&self, checkpoint: &Checkpoint, time: u64) -> Result<NoteSignature, BadCosignature> {
        if time > TIME_MAX {
            return Err(BadCosignature::Time);
        }
        let CosignerKey { name, id, .. } = &self.public;
        if checkpoint.origin.is_empty() || checkpoint.origin.len() > NAME_BYTES_MAX {
            return Err(BadCosignature::Origin);
        }
        let signature = match &self.key {
            SecretKey::Ed25519(key) => key.sign(&timed(&checkpoint.body(), time)).to_bytes().to_vec(),
            #[cfg(feature = "ml-dsa")]
            SecretKey::MlDsa44(key) => {
                key.sign(&ml_dsa_44::message(name, time, checkpoint).ok_or(BadCosignature::Origin)?)
            }
        };
        let bytes = [&time.to_be_bytes(), signature.as_slice()].concat();
        Ok(NoteSignature { name: name.clone(), id: *id, bytes })
    }
}

impl fmt::Debug for CosignerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CosignerSecret({}+{:08x})", self.public.name, self.public.id)
    }
}

/// Who cosigned a checkpoint, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Cosignature<'k> {
    /// The key.
    pub key: &'k CosignerKey,
    /// The latest time it carries, in seconds since 1970-01-01T00:00:00Z; 0 if none.
    pub time: u64,
}

/// Checks the cosignatures on `note` of all keys in `trusted`; returns those that cosigned, each once, perhaps nobody.
///
/// Signatures of other keys are ignored, also where they share a name or an identifier with a trusted key. Nothing is
/// said about who the log is: check its signature with [`Note::verify`].
///
/// # Errors
///
/// [`BadNote::Signature`] if a signature under the name and identifier of a trusted key is not its own;
/// [`BadNote::Malformed`] if the text is no checkpoint. Either way the text must be disregarded.
pub fn verify<'k>(note: &Note, trusted: &'k [CosignerKey]) -> Result<Vec<Cosignature<'k>>, BadNote> {
    let checkpoint = Checkpoint::parse_body(note.text()).map_err(|_| BadNote::Malformed)?;
    let mut found: Vec<Cosignature<'k>> = Vec::new();
    for signature in note.signatures() {
        let known = |key: &&CosignerKey| key.id == signature.id && key.name == signature.name;
        let Some(key) = trusted.iter().find(known) else {
            continue;
        };
        let time = key
            .accepts(note.text(), &checkpoint, &signature.bytes)
            .ok_or_else(|| BadNote::Signature(key.name.clone()))?;
        match found.iter_mut().find(|seen| seen.key == key) {
            Some(seen) => seen.time = seen.time.max(time),
            None => found.push(Cosignature { key, time }),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
