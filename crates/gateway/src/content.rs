//! Bodies that are kept: sealed to a key that the gateway does not have, and no longer than the configuration says.

use bytes::Bytes;
use rustls::crypto::{
    aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256,
    hpke::{Hpke, HpkePublicKey},
};
use terms::CallId;

/// What every sealed body is bound to, so that it passes for nothing else.
const INFO: &[u8] = b"exeat/content/v2";
/// Stands in the place of a body that is longer than what is kept.
pub(crate) const TOO_LONG: &[u8] = b"too_long";
/// Stands in the place of a body that could not be sealed.
const NOT_SEALED: &[u8] = b"not_sealed";

/// How bodies are kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Content {
    /// The X25519 public key that bodies are sealed to.
    pub(crate) escrow_key: [u8; 32],
    /// The longest body that is kept, in bytes.
    pub(crate) max_bytes: usize,
}

impl Content {
    /// Seals a body of `call`: the encapsulated key, then the ciphertext. In the place of a body that is not kept stands a
    /// code: `too_long`, or `not_sealed` where the operating system has no randomness.
    ///
    /// # Source
    ///
    /// RFC 9180 section 6.1 (base mode); `docs/log-format.md` section 2.
    pub(crate) fn seal(&self, call: CallId, body: &[u8]) -> Bytes {
        if body.len() > self.max_bytes {
            return Bytes::from_static(TOO_LONG);
        }
        let key = HpkePublicKey(self.escrow_key.to_vec());
        match DH_KEM_X25519_HKDF_SHA256_AES_256.seal(INFO, &call.0, body, &key) {
            Ok((secret, sealed)) => [secret.0, sealed].concat().into(),
            Err(error) => {
                tracing::error!(%call, %error, "a body could not be sealed and is not kept");
                Bytes::from_static(NOT_SEALED)
            }
        }
    }
}

/// Returns true if `key` is one that bodies can be sealed to.
pub(crate) fn is_usable(key: &[u8; 32]) -> bool {
    DH_KEM_X25519_HKDF_SHA256_AES_256.seal(INFO, b"", b"", &HpkePublicKey(key.to_vec())).is_ok()
}

#[cfg(test)]
mod tests {
    use rustls::crypto::{
        aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_128,
        hpke::{EncapsulatedSecret, HpkePrivateKey},
    };

    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    fn private() -> HpkePrivateKey {
        (0..32).collect::<Vec<u8>>().into()
    }

    /// The public key of [`private`].
    fn content(max_bytes: usize) -> Content {
        let key = bytes("8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f");
        Content { escrow_key: key.try_into().unwrap(), max_bytes }
    }

    fn opened(call: CallId, sealed: &[u8]) -> Option<Vec<u8>> {
        let (secret, sealed) = sealed.split_at_checked(32)?;
        let secret = EncapsulatedSecret(secret.to_vec());
        DH_KEM_X25519_HKDF_SHA256_AES_256.open(&secret, INFO, &call.0, sealed, &private()).ok()
    }

    /// RFC 9180 appendix A.1.1: the same key encapsulation and key derivation, with a shorter key of the cipher.
    #[test]
    fn the_provider_opens_the_test_vector_of_the_specification() {
        let secret = EncapsulatedSecret(bytes("37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431"));
        let key = bytes("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8").into();
        let info = bytes("4f6465206f6e2061204772656369616e2055726e");
        let sealed =
            bytes("f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a");
        let text = DH_KEM_X25519_HKDF_SHA256_AES_128.open(&secret, &info, b"Count-0", &sealed, &key).unwrap();
        assert_eq!(text, b"Beauty is truth, truth beauty");
    }

    /// Sealed by another implementation: pyhpke 0.6.5, with the suite, `info` and additional data of the log format.
    #[test]
    fn what_another_implementation_sealed_opens_and_only_as_what_it_is() {
        let call = CallId(std::array::from_fn(|n| u8::try_from(n).unwrap()));
        let sealed = bytes(
            "f2d4bc47f35c9b10985569f46fdb8672953305504464dff7bebccf7535eaea62c936141c9b58a30369bd9e27d2a279c0b64d996ac6725e\
             de2c9366e949c8d339b59fe731",
        );
        assert_eq!(opened(call, &sealed).unwrap(), br#"{"model":"mythos-5"}"#);
        assert_eq!(opened(CallId([0; 16]), &sealed), None, "it is bound to its call");
    }

    #[test]
    fn a_body_is_sealed_anew_each_time_and_opens_with_the_private_key() {
        let call = CallId([7; 16]);
        let [first, second] = [0, 1].map(|_| content(5).seal(call, b"hello"));
        assert_ne!(first, second);
        assert_eq!(
            (opened(call, &first).unwrap(), opened(call, &second).unwrap()),
            (b"hello".to_vec(), b"hello".to_vec())
        );
        assert_eq!(first.len(), 32 + 5 + 16);
        assert_eq!(content(4).seal(call, b"hello"), TOO_LONG);
    }

    #[test]
    fn a_key_to_which_everybody_could_open_is_not_usable() {
        assert!(is_usable(&content(1).escrow_key));
        assert!(!is_usable(&[0; 32]), "a point of small order");
    }
}
