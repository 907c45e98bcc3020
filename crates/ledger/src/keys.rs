//! Two of the log's secrets: the key that signs checkpoints, and the key of the pseudonyms.

use std::{io, path::Path};

use hmac::{Hmac, KeyInit, Mac};
use proof::{
    checkpoint::Checkpoint,
    commit::Salt,
    note::{SignerKey, VerifierKey},
    pseudonym::pseudonym,
    tree::Hash,
};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    handle::OpenError,
    layout::Layout,
    open::io_error,
    storage::{Storage, replace},
};

/// The key that signs the log's checkpoints, named by the log's origin.
#[derive(Debug)]
pub(crate) struct LogKey {
    signer: SignerKey,
    verifier: VerifierKey,
    text: String,
}

impl LogKey {
    /// Reads the log's key, or makes it if the log is `new`.
    pub(crate) fn open(storage: &dyn Storage, layout: &Layout, origin: &str, new: bool) -> Result<Self, OpenError> {
        let damaged = |why: String| OpenError::Damaged { dir: layout.dir().display().to_string(), why };
        let path = layout.key();
        let secret = read_or_make(storage, layout, &path, new, || make_signer(origin))?;
        let signer = std::str::from_utf8(&secret)
            .ok()
            .and_then(|text| SignerKey::parse(text.trim_end()).ok())
            .ok_or_else(|| damaged(format!("`{}` is no signer key", path.display())))?;
        if signer.name() != origin {
            let name = signer.name();
            return Err(damaged(format!("it is the log `{name}`, and the log asked for is `{origin}`")));
        }
        let verifier = signer.verifier();
        let text = verifier.to_string();
        Ok(Self { signer, verifier, text })
    }

    /// Writes the verifier key beside the checkpoint, unless it is there; call it once the checkpoint was found to be this
    /// key's.
    pub(crate) fn publish(&self, storage: &dyn Storage, layout: &Layout) -> Result<(), OpenError> {
        let path = layout.verifier_key();
        let text = format!("{}\n", self.text);
        if std::fs::read_to_string(&path).is_ok_and(|there| there == text) {
            return Ok(());
        }
        let written = storage.create_dir(&layout.log()).and_then(|()| replace(storage, &path, text.as_bytes()));
        written.map_err(|source| io_error("write", &path, source))
    }

    pub(crate) fn origin(&self) -> &str {
        self.signer.name()
    }

    pub(crate) fn verifier_key(&self) -> &str {
        &self.text
    }

    /// Returns the key itself.
    pub(crate) fn signer(&self) -> &SignerKey {
        &self.signer
    }

    /// Returns the signed checkpoint of a log of `size` entries.
    pub(crate) fn sign(&self, size: u64, root: Hash) -> io::Result<String> {
        let origin = self.origin().to_owned();
        let checkpoint = Checkpoint { origin, size, root };
        checkpoint.sign(&self.signer).map_err(io::Error::other)
    }

    /// Returns size and root of a checkpoint that this key signed, or why it is none.
    pub(crate) fn verify(&self, text: &str) -> Result<(u64, Hash), String> {
        let keys = std::slice::from_ref(&self.verifier);
        let checkpoint = Checkpoint::open(text.as_bytes(), self.origin(), keys);
        let Checkpoint { size, root, .. } = checkpoint.map_err(|why| why.to_string())?;
        Ok((size, root))
    }
}

/// What makes pseudonyms of names, under a key of the log's own. It does not print.
pub struct Pseudonyms(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pseudonyms(..)")
    }
}

impl Pseudonyms {
    /// Reads the key, or makes it if the log is `new`.
    pub(crate) fn open(storage: &dyn Storage, layout: &Layout, new: bool) -> Result<Self, OpenError> {
        let path = layout.pseudonym_key();
        let secret = read_or_make(storage, layout, &path, new, || Ok(Zeroizing::new(random()?.to_vec())))?;
        let key: Result<[u8; 32], _> = secret.as_slice().try_into();
        let key = key.map_err(|_| OpenError::Damaged {
            dir: layout.dir().display().to_string(),
            why: format!("`{}` is not 32 bytes long", path.display()),
        })?;
        Ok(Self(Zeroizing::new(key)))
    }

    /// Reads the key of a log that is there.
    pub(crate) fn read(layout: &Layout) -> io::Result<Self> {
        let secret = Zeroizing::new(std::fs::read(layout.pseudonym_key())?);
        let key = secret.as_slice().try_into().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        Ok(Self(Zeroizing::new(key)))
    }

    /// Returns the pseudonym of `name`, such as `person:ada`.
    #[must_use]
    pub fn of(&self, name: &str) -> [u8; 16] {
        pseudonym(&self.opening(name), name)
    }

    /// Returns what shows the pseudonym of `name` to be its own: the first 16 bytes of HMAC-SHA-256 over it.
    ///
    /// # Source
    ///
    /// RFC 2104; truncation as in its section 5.
    #[must_use]
    pub fn opening(&self, name: &str) -> Salt {
        let mut block = Zeroizing::new([0; 64]);
        block.split_at_mut(32).0.copy_from_slice(self.0.as_slice());
        let mac = Hmac::<Sha256>::new((&*block).into()).chain_update(name).finalize();
        let bytes: [u8; 32] = mac.into_bytes().into();
        bytes.first_chunk().copied().unwrap_or_default()
    }
}

/// Reads a secret; makes it, durably, if it is missing and the log is `new`.
fn read_or_make(
    storage: &dyn Storage,
    layout: &Layout,
    path: &Path,
    new: bool,
    make: impl FnOnce() -> io::Result<Zeroizing<Vec<u8>>>,
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    match std::fs::read(path) {
        Ok(secret) => Ok(Zeroizing::new(secret)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && new => {
            let failed = |source| io_error("make", path, source);
            let secret = make().map_err(failed)?;
            replace(storage, path, &secret).map_err(failed)?;
            Ok(secret)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(OpenError::Damaged {
            dir: layout.dir().display().to_string(),
            why: format!("`{}` is missing: restore it", path.display()),
        }),
        Err(source) => Err(io_error("read", path, source)),
    }
}

fn make_signer(origin: &str) -> io::Result<Zeroizing<Vec<u8>>> {
    let seed = random()?;
    let key = SignerKey::from_seed(origin, &seed).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
    let text = Zeroizing::new(key.to_secret_text());
    Ok(Zeroizing::new([text.as_bytes(), b"\n"].concat()))
}

/// Returns 32 random bytes.
pub(crate) fn random() -> io::Result<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut_slice()).map_err(io::Error::other)?;
    Ok(bytes)
}
