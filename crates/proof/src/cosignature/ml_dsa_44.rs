//! ML-DSA-44 (FIPS 204), with the empty context and deterministic signatures.

use ml_dsa::{
    EncodedVerifyingKey, KeyExport, Keypair, MlDsa44, Seed, Signature, SignatureEncoding, Signer, SigningKey, Verifier,
    VerifyingKey,
};

use crate::{checkpoint::Checkpoint, note::BadKey};

/// What domain separates these messages: twelve bytes.
const LABEL: &[u8; 12] = b"subtree/v1\n\0";

/// Returns what an ML-DSA-44 cosigner of this name signs about a whole tree; `None` if a name has no place in it.
pub(super) fn message(cosigner: &str, time: u64, checkpoint: &Checkpoint) -> Option<Vec<u8>> {
    let mut message = LABEL.to_vec();
    push_name(&mut message, cosigner)?;
    message.extend_from_slice(&time.to_be_bytes());
    push_name(&mut message, &checkpoint.origin)?;
    message.extend_from_slice(&0_u64.to_be_bytes());
    message.extend_from_slice(&checkpoint.size.to_be_bytes());
    message.extend_from_slice(&checkpoint.root);
    Some(message)
}

fn push_name(message: &mut Vec<u8>, name: &str) -> Option<()> {
    let length = u8::try_from(name.len()).ok().filter(|length| *length > 0)?;
    message.push(length);
    message.extend_from_slice(name.as_bytes());
    Some(())
}

/// A public key of 1,312 bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PublicKey(Box<VerifyingKey<MlDsa44>>);

impl PublicKey {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, BadKey> {
        let encoded = EncodedVerifyingKey::<MlDsa44>::try_from(bytes).map_err(|_| BadKey::Malformed)?;
        Ok(Self(Box::new(VerifyingKey::decode(&encoded))))
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.to_bytes().to_vec()
    }

    pub(super) fn accepts(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::<MlDsa44>::try_from(signature).is_ok_and(|signature| self.0.verify(message, &signature).is_ok())
    }
}

/// A secret key, kept with its seed; cleared when it goes.
pub(super) struct SecretKey(Box<SigningKey<MlDsa44>>);

impl SecretKey {
    pub(super) fn from_seed(seed: &[u8; 32]) -> Self {
        Self(Box::new(SigningKey::from_seed(&Seed::from(*seed))))
    }

    pub(super) fn public(&self) -> PublicKey {
        PublicKey(Box::new(self.0.verifying_key()))
    }

    pub(super) fn seed(&self) -> &[u8] {
        self.0.as_seed()
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).to_bytes().to_vec()
    }
}
