//! Salts for commitments, drawn many at a time: one call to the operating system for 256 entries.

use std::sync::Mutex;

use crate::queue::lock;

const SALT: usize = 16;
const DRAWN: usize = 256 * SALT;

/// Random bytes that were drawn and not used yet.
#[derive(Debug, Default)]
pub(crate) struct Salts(Mutex<Vec<u8>>);

impl Salts {
    /// Returns 16 random bytes that nobody gets again; the operating system's error if it has no randomness to give.
    pub(crate) fn draw(&self) -> Result<[u8; SALT], getrandom::Error> {
        let mut drawn = lock(&self.0);
        if drawn.len() < SALT {
            drawn.resize(DRAWN, 0);
            // Should this fail, nothing that was not drawn is ever handed out.
            getrandom::fill(&mut drawn).inspect_err(|_| drawn.clear())?;
        }
        let rest = drawn.len() - SALT;
        let salt = drawn.last_chunk().copied().ok_or(getrandom::Error::UNEXPECTED)?;
        drawn.truncate(rest);
        Ok(salt)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_salt_is_handed_out_twice() {
        let salts = Salts::default();
        let all: BTreeSet<_> = (0..1_000).map(|_| salts.draw().unwrap()).collect();
        assert_eq!(all.len(), 1_000);
    }
}
