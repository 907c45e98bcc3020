//! Tickets: past pending checkpoints, handed to clients so that the mirror need not keep them.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// What every tag is computed over first.
const LABEL: &[u8] = b"exeat/mirror-ticket/v1";

/// The key that authenticates tickets; made anew at each start, so that older tickets are no longer known.
pub(super) struct TicketKey(Zeroizing<[u8; 64]>);

impl std::fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TicketKey(..)")
    }
}

impl TicketKey {
    pub(super) fn random() -> Result<Self, getrandom::Error> {
        let mut key = Zeroizing::new([0; 64]);
        getrandom::fill(key.as_mut_slice())?;
        Ok(Self(key))
    }

    /// Makes a ticket that brings back `note`, a checkpoint that was pending; no secret is in it.
    pub(super) fn issue(&self, note: &str) -> Vec<u8> {
        let tag: [u8; 32] = self.mac(note.as_bytes()).finalize().into_bytes().into();
        [tag.as_slice(), note.as_bytes()].concat()
    }

    /// Returns the checkpoint in a ticket; `None` if this key did not make it.
    pub(super) fn open<'t>(&self, ticket: &'t [u8]) -> Option<&'t str> {
        let (tag, note) = ticket.split_first_chunk::<32>()?;
        self.mac(note).verify(&(*tag).into()).ok()?;
        std::str::from_utf8(note).ok()
    }

    fn mac(&self, note: &[u8]) -> Hmac<Sha256> {
        let key: &[u8; 64] = &self.0;
        Hmac::<Sha256>::new(&(*key).into()).chain_update(LABEL).chain_update(note)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_opens_with_its_key_and_unchanged_only() {
        let (key, other) = (TicketKey::random().unwrap(), TicketKey::random().unwrap());
        let ticket = key.issue("note\n");
        assert_eq!(key.open(&ticket), Some("note\n"));
        assert_eq!(other.open(&ticket), None);
        for bit in 0..ticket.len() * 8 {
            let mut bad = ticket.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.open(&bad), None, "bit {bit}");
        }
        assert_eq!(key.open(b"short"), None);
        assert_eq!(key.open(&[]), None);
    }
}
