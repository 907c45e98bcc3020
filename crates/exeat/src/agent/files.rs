//! What the agent keeps: its key, and the secret by which local programs may use it until the next start.

use std::{
    env, fs, io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf, absolute},
    process,
    sync::Arc,
};

use anyhow::{Context, bail, ensure};
use jose::{Alg, SigningKey, base64url};
use zeroize::Zeroizing;

use crate::secrets;

const KEY: &str = "agent.key";
const SECRET: &str = "secret";

/// The agent's folder, with the key in it. Only this user can read it.
pub(super) struct Folder {
    dir: PathBuf,
    owner: u32,
    key: Arc<SigningKey>,
}

impl Folder {
    /// Opens the folder, or makes it with a new key.
    ///
    /// # Errors
    ///
    /// If the folder or the key is another user's or open to others, cannot be read or made, or is not what the agent
    /// wrote.
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        let dir = absolute(dir).with_context(|| format!("`{}` is not a folder", dir.display()))?;
        secrets::private_dir(&dir)?;
        let owner = owner(&dir)?;
        let file = dir.join(KEY);
        let key = match private(&file, owner)? {
            Some(der) => SigningKey::from_pkcs8(Alg::Es256, &der)
                .with_context(|| format!("`{}` is not a P-256 key: remove it to make a new one", file.display()))?,
            None => new_key(&file)?,
        };
        Ok(Self { dir, owner, key: Arc::new(key) })
    }

    /// Returns the key that tokens are bound to.
    pub(super) fn key(&self) -> Arc<SigningKey> {
        Arc::clone(&self.key)
    }

    /// Returns the thumbprint of the key, as `cnf.jkt` spells it.
    pub(super) fn thumbprint(&self) -> String {
        base64url::encode(self.key.public().thumbprint())
    }

    /// Makes the secret that local programs send as their API key, in place of the last one: whoever took the port while
    /// no agent ran may have been sent that.
    ///
    /// # Errors
    ///
    /// If there is no randomness, or the file cannot be written.
    pub(super) fn new_secret(&self) -> anyhow::Result<Zeroizing<String>> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut()).context("the operating system has no randomness to give")?;
        let secret = Zeroizing::new(base64url::encode(bytes.as_ref()));
        secrets::write_private(&self.secret_file(), secret.as_bytes())?;
        Ok(secret)
    }

    /// Removes the secret, if it is still that one.
    pub(super) fn forget(&self, secret: &Zeroizing<String>) {
        let file = self.secret_file();
        let is_ours = private(&file, self.owner).is_ok_and(|now| now.is_some_and(|now| *now == secret.as_bytes()));
        if is_ours && let Err(error) = fs::remove_file(&file) {
            tracing::warn!(%error, "the local secret was not removed");
        }
    }

    /// Returns the file that holds the secret, as a full path.
    pub(super) fn secret_file(&self) -> PathBuf {
        self.dir.join(SECRET)
    }
}

/// Returns the folder that is used unless one is named.
///
/// # Errors
///
/// If the environment does not say where this user keeps such things.
///
/// # Source
/// XDG Base Directory Specification 0.8, `$XDG_STATE_HOME`: a relative path is to be ignored.
pub(super) fn usual() -> anyhow::Result<PathBuf> {
    let set = |name| env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    let state = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    state
        .map(|state| state.join("exeat-agent"))
        .context("neither HOME nor XDG_STATE_HOME is set: name a folder with `--dir`")
}

/// Returns the id of the user that this process runs as, if the folder is theirs and nobody else's.
fn owner(dir: &Path) -> anyhow::Result<u32> {
    let name = dir.display();
    let known = fs::metadata(dir).with_context(|| format!("cannot read `{name}`"))?;
    ensure!(known.is_dir(), "`{name}` is not a folder");
    ensure!(
        known.mode() & 0o077 == 0,
        "others can reach into `{name}`: name a new folder, or `chmod 700` it if it is yours"
    );
    let us = us(dir).with_context(|| format!("cannot write in `{name}`: name a folder of your own"))?;
    ensure!(known.uid() == us, "`{name}` is the folder of another user: name one of your own");
    Ok(us)
}

/// Finds out as whom this process makes files; follows no link that somebody else may have laid.
fn us(dir: &Path) -> io::Result<u32> {
    let probe = dir.join(format!("owner.{}.probe", process::id()));
    let _ = fs::remove_file(&probe);
    let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&probe)?;
    let us = made.metadata()?.uid();
    fs::remove_file(&probe)?;
    Ok(us)
}

/// Reads a file that belongs to `owner` and that nobody else may read; `None` if it is not there.
fn private(file: &Path, owner: u32) -> anyhow::Result<Option<Zeroizing<Vec<u8>>>> {
    let name = file.display();
    let known = match fs::symlink_metadata(file) {
        Ok(known) => known,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read `{name}`")),
    };
    if !known.is_file() || known.uid() != owner {
        bail!("`{name}` is not a file of this user: remove it, and a new one is made");
    }
    ensure!(
        known.mode() & 0o077 == 0,
        "others can read `{name}`: take it to be known, remove it, and a new one is made"
    );
    fs::read(file).map(|bytes| Some(Zeroizing::new(bytes))).with_context(|| format!("cannot read `{name}`"))
}

fn new_key(file: &Path) -> anyhow::Result<SigningKey> {
    let key = SigningKey::generate(Alg::Es256).context("cannot make a key")?;
    secrets::write_private(file, &key.to_pkcs8().context("cannot write a key")?)?;
    Ok(key)
}
