//! Nonces of entries that no call tells apart, drawn many at a time: one call to the operating system for 256 entries.

use std::sync::Mutex;

use crate::queue::lock;

const NONCE: usize = 8;
const DRAWN: usize = 256 * NONCE;

/// Random bytes that were drawn and not used yet.
#[derive(Debug, Default)]
pub(crate) struct Nonces(Mutex<Vec<u8>>);

impl Nonces {
    /// Returns 8 random bytes that nobody gets again; the operating system's error if it has no randomness to give.
    pub(crate) fn draw(&self) -> Result<[u8; NONCE], getrandom::Error> {
        let mut drawn = lock(&self.0);
        if drawn.len() < NONCE {
            drawn.resize(DRAWN, 0);
            // Should this fail, nothing that was not drawn is ever handed out.
            getrandom::fill(&mut drawn).inspect_err(|_| drawn.clear())?;
        }
        let rest = drawn.len() - NONCE;
        let nonce = drawn.last_chunk().copied().ok_or(getrandom::Error::UNEXPECTED)?;
        drawn.truncate(rest);
        Ok(nonce)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_nonce_is_handed_out_twice() {
        let nonces = Nonces::default();
        let all: BTreeSet<_> = (0..1_000).map(|_| nonces.draw().unwrap()).collect();
        assert_eq!(all.len(), 1_000);
    }
}
