//! What gets the checkpoints of the ledger cosigned while the server runs.

use std::{fs, path::Path, sync::Arc};

use anyhow::{Context, anyhow};
use fetch::Client;
use ledger::Ledger;
use proof::{
    cosignature::{Algorithm, CosignerSecret},
    note::VerifierKey,
};
use terms::Clock;
use tokio::runtime::Runtime;
use witness::{Cosigner, CosignerSettings};
use zeroize::Zeroizing;

use super::LEDGER_DIR;
use crate::{
    config::{Meant, peers},
    secrets,
};

/// The log's own key for ML-DSA-44, in the folder of the ledger.
const OWN_KEY: &str = "key.ml-dsa-44";
/// What checks it, beside the checkpoints.
const OWN_VERIFIER_KEY: &str = "log/log.ml-dsa-44.vkey";

/// Starts to ask whom the configuration names.
///
/// # Errors
///
/// If the log's own key cannot be read or made.
pub(super) fn start(
    runtime: &Runtime,
    meant: &Meant,
    ledger: &Ledger,
    clock: &Arc<dyn Clock>,
    client: &Client,
) -> anyhow::Result<Arc<Cosigner>> {
    let named = |section, configs| peers(section, configs).map_err(|faults| anyhow!("{faults:?}"));
    let own = if meant.cosigning.ml_dsa_44 {
        vec![own_key(&meant.data_dir.join(LEDGER_DIR), &ledger.verifier_key())?]
    } else {
        Vec::new()
    };
    let settings = CosignerSettings {
        every: meant.cosigning.every(),
        witnesses: named("witnesses", &meant.witnesses)?,
        mirrors: named("mirrors", &meant.mirrors)?,
        own,
    };
    if meant.cosigning.wait_for_mirror {
        ledger.require_mirror();
    }
    Ok(Arc::new(Cosigner::start(runtime.handle(), ledger, &client.sibling(), clock, settings)))
}

/// Reads the log's key for ML-DSA-44, or makes it the first time; publishes what checks it.
fn own_key(dir: &Path, log: &str) -> anyhow::Result<CosignerSecret> {
    let log: VerifierKey = log.parse().context("the log's own key is none")?;
    let file = dir.join(OWN_KEY);
    let key = if file.exists() {
        let text =
            Zeroizing::new(fs::read_to_string(&file).with_context(|| format!("cannot read `{}`", file.display()))?);
        CosignerSecret::parse(text.trim_end()).with_context(|| format!("`{}` is no key: restore it", file.display()))?
    } else {
        let key = new_key(log.name(), Algorithm::MlDsa44)?;
        let text = Zeroizing::new(format!("{}\n", key.to_secret_text()));
        secrets::write_private(&file, text.as_bytes())?;
        key
    };
    if key.public().name() != log.name() {
        return Err(anyhow!("`{}` is the key of the log `{}`", file.display(), key.public().name()));
    }
    secrets::write_private(&dir.join(OWN_VERIFIER_KEY), format!("{}\n", key.public()).as_bytes())?;
    Ok(key)
}

/// Makes a key of random bytes.
///
/// # Errors
///
/// If the operating system has no randomness, or the name cannot be a key's.
pub(crate) fn new_key(name: &str, algorithm: Algorithm) -> anyhow::Result<CosignerSecret> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).context("the operating system has no randomness to give")?;
    CosignerSecret::from_seed(name, algorithm, &seed).with_context(|| format!("`{name}` cannot be the name of a key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "log.example.com/exeat/1";

    #[test]
    fn the_logs_further_key_is_made_once_and_published() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("log")).unwrap();
        let log = proof::note::SignerKey::from_seed(LOG, &[1; 32]).unwrap().verifier().to_string();
        let made = own_key(dir.path(), &log).unwrap();
        let read = own_key(dir.path(), &log).unwrap();
        assert_eq!(made.public(), read.public());
        let published = fs::read_to_string(dir.path().join(OWN_VERIFIER_KEY)).unwrap();
        assert_eq!(published, format!("{}\n", made.public()));
        let other = log.replace("exeat/1", "exeat/2");
        assert!(own_key(dir.path(), &other).is_err());
    }
}
