//! What was delivered of a response: how much, its digest, and the bytes themselves if they are kept.

use std::sync::Arc;

use bytes::Bytes;
use proof::commit::Field;
use sha2::{Digest, Sha256};
use terms::CallId;

use crate::content::Content;

/// The part of a response that was delivered so far.
#[derive(Debug)]
pub(crate) struct Delivered {
    bytes: u64,
    digest: Sha256,
    kept: Option<Kept>,
}

/// Bytes that are gathered until they are sealed; no more than one too many.
#[derive(Debug)]
struct Kept {
    content: Arc<Content>,
    body: Vec<u8>,
}

impl Delivered {
    /// Begins with nothing; keeps the bytes if `content` says how.
    pub(crate) fn new(content: Option<Arc<Content>>) -> Self {
        let kept = content.map(|content| Kept { content, body: Vec::new() });
        Self { bytes: 0, digest: Sha256::new(), kept }
    }

    /// Returns nothing, kept as this is.
    pub(crate) fn anew(&self) -> Self {
        Self::new(self.kept.as_ref().map(|kept| Arc::clone(&kept.content)))
    }

    /// Adds bytes that are delivered.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.digest.update(bytes);
        if let Some(kept) = &mut self.kept {
            let room = (kept.content.max_bytes + 1).saturating_sub(kept.body.len());
            kept.body.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        }
    }

    /// Returns how many bytes were delivered.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns what the private part of the closing entry says of it; nothing if nothing was delivered.
    pub(crate) fn fields(&self, call: CallId) -> Vec<(Field, Bytes)> {
        if self.bytes == 0 {
            return Vec::new();
        }
        let digest = self.digest.clone().finalize();
        let sealed = self.kept.as_ref().map(|kept| (Field::SealedResponse, kept.content.seal(call, &kept.body)));
        std::iter::once((Field::Response, Bytes::copy_from_slice(&digest))).chain(sealed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(max_bytes: usize) -> Delivered {
        // A public key that anything can be sealed to: the base point of the curve.
        let escrow_key = std::array::from_fn(|n| if n == 0 { 9 } else { 0 });
        Delivered::new(Some(Arc::new(Content { escrow_key, max_bytes })))
    }

    #[test]
    fn the_digest_is_that_of_all_pieces_and_nothing_delivered_has_none() {
        let mut delivered = Delivered::new(None);
        assert_eq!(delivered.fields(CallId([0; 16])), []);
        delivered.add(b"data: ");
        delivered.add(b"[DONE]\n\n");
        let digest = Bytes::copy_from_slice(&Sha256::digest(b"data: [DONE]\n\n"));
        assert_eq!(delivered.fields(CallId([0; 16])), [(Field::Response, digest)]);
        assert_eq!(delivered.bytes(), 14);
    }

    #[test]
    fn what_is_kept_is_sealed_whole_or_said_to_be_too_long_and_never_held_beyond_that() {
        for (bytes, sealed) in [(10, 32 + 10 + 16), (11, "too_long".len()), (1_000, "too_long".len())] {
            let mut delivered = kept(10);
            for _ in 0..bytes {
                delivered.add(b"x");
            }
            let fields = delivered.fields(CallId([0; 16]));
            assert_eq!((fields[1].0, fields[1].1.len()), (Field::SealedResponse, sealed), "{bytes}");
            assert!(delivered.kept.as_ref().unwrap().body.len() <= 11);
            assert_eq!(delivered.bytes(), bytes);
        }
    }
}
