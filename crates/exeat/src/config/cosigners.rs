//! `[[witnesses]]`, `[[mirrors]]` and `[cosigning]`: who else has seen the log, and says so.

use std::{collections::BTreeSet, time::Duration};

use fetch::Url;
use proof::cosignature::CosignerKey;
use serde::Deserialize;
use witness::Peer;

/// More of either are a mistake: each adds up to 3.4 kB to every receipt.
const PEERS_MAX: usize = 16;

/// A witness or a mirror.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct PeerConfig {
    /// Its submission prefix; a host of the public internet, or one that `outbound.allow` lists.
    url: String,
    /// Its verifier keys, at least one of which must cosign.
    keys: Vec<String>,
}

/// How checkpoints are cosigned.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CosigningConfig {
    /// Between two checkpoints that witnesses and mirrors are asked about, in milliseconds; 1,000 unless set.
    interval_ms: u64,
    /// Whether the log signs checkpoints with a key of its own for ML-DSA-44 too; false unless set.
    pub(crate) ml_dsa_44: bool,
    /// Whether nobody is told that an entry is durable before one of the mirrors holds it; false unless set.
    pub(crate) wait_for_mirror: bool,
}

impl Default for CosigningConfig {
    fn default() -> Self {
        Self { interval_ms: 1_000, ml_dsa_44: false, wait_for_mirror: false }
    }
}

impl CosigningConfig {
    /// Returns how often witnesses and mirrors are asked.
    pub(crate) fn every(&self) -> Duration {
        Duration::from_millis(self.interval_ms)
    }

    /// Returns what is wrong with it where there are so many mirrors, as key and reason.
    pub(crate) fn check(&self, mirrors: usize) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        if !(1_000..=3_600_000).contains(&self.interval_ms) {
            let why = format!("{} is not between 1000 and 3600000", self.interval_ms);
            faults.push(("cosigning.interval_ms".to_owned(), why));
        }
        if self.wait_for_mirror && mirrors == 0 {
            let why = "there is no mirror to wait for: add one to `mirrors`".to_owned();
            faults.push(("cosigning.wait_for_mirror".to_owned(), why));
        }
        faults
    }
}

/// Returns whom the tables under `section` name, or what is wrong with them, as key and reason.
pub(crate) fn peers(section: &str, configs: &[PeerConfig]) -> Result<Vec<Peer>, Vec<(String, String)>> {
    let mut faults = Vec::new();
    if configs.len() > PEERS_MAX {
        faults.push((section.to_owned(), format!("names more than {PEERS_MAX}")));
    }
    let mut seen = BTreeSet::new();
    let mut peers = Vec::new();
    for (n, config) in configs.iter().enumerate() {
        match config.peer(&mut seen) {
            Ok(peer) => peers.push(peer),
            Err((key, why)) => faults.push((format!("{section}[{n}].{key}"), why)),
        }
    }
    if faults.is_empty() { Ok(peers) } else { Err(faults) }
}

impl PeerConfig {
    fn peer(&self, seen: &mut BTreeSet<Vec<u8>>) -> Result<Peer, (String, String)> {
        let url = Url::parse(&self.url).map_err(|bad| ("url".to_owned(), bad.to_string()))?;
        if self.keys.is_empty() {
            return Err((
                "keys".to_owned(),
                "is empty: write the verifier keys that its operator published".to_owned(),
            ));
        }
        let mut keys = Vec::new();
        for (n, text) in self.keys.iter().enumerate() {
            let fault = |why: String| (format!("keys[{n}]"), why);
            let key: CosignerKey = text.parse().map_err(|bad: proof::note::BadKey| fault(bad.to_string()))?;
            if !seen.insert(key.public_bytes()) {
                return Err(fault(format!("`{}` is named twice: it would count twice", key.name())));
            }
            keys.push(key);
        }
        Ok(Peer { url, keys })
    }
}

#[cfg(test)]
mod tests {
    use proof::{
        cosignature::{Algorithm, CosignerSecret},
        note::SignerKey,
    };

    use super::*;

    fn key(name: &str, seed: u8) -> String {
        CosignerSecret::from_seed(name, Algorithm::Ed25519, &[seed; 32]).unwrap().public().to_string()
    }

    fn faults(configs: &[PeerConfig]) -> Vec<String> {
        let faults = peers("witnesses", configs).unwrap_err();
        faults.into_iter().map(|(key, why)| format!("{key}: {why}")).collect()
    }

    #[test]
    fn each_mistake_is_named_with_its_place() {
        let good = PeerConfig { url: "https://w.example/a".to_owned(), keys: vec![key("w.example", 1)] };
        assert_eq!(peers("witnesses", std::slice::from_ref(&good)).unwrap().len(), 1);
        let no_url = PeerConfig { url: "ftp://w.example".to_owned(), ..good.clone() };
        let no_keys = PeerConfig { keys: vec![], ..good.clone() };
        let log = SignerKey::from_seed("w.example", &[1; 32]).unwrap().verifier().to_string();
        let log_key = PeerConfig { keys: vec![log], ..good.clone() };
        let same = PeerConfig { keys: vec![key("other.example", 1)], ..good.clone() };
        let found = faults(&[no_url, no_keys, log_key, good.clone(), same]);
        assert!(found[0].starts_with("witnesses[0].url: "), "{found:?}");
        assert!(found[1].starts_with("witnesses[1].keys: "), "{found:?}");
        assert!(found[2].starts_with("witnesses[2].keys[0]: a key of type 1"), "{found:?}");
        assert!(found[3].starts_with("witnesses[4].keys[0]: `other.example` is named twice"), "{found:?}");
        let many: Vec<_> = std::iter::repeat_n(good, 17).collect();
        assert!(faults(&many)[0].contains("more than 16"));
    }

    #[test]
    fn nobody_is_asked_more_often_than_once_a_second() {
        let fast = CosigningConfig { interval_ms: 999, ..CosigningConfig::default() };
        assert_eq!(fast.check(0)[0].0, "cosigning.interval_ms");
        assert_eq!(CosigningConfig::default().check(0), []);
        let waiting = CosigningConfig { wait_for_mirror: true, ..CosigningConfig::default() };
        assert_eq!(waiting.check(0)[0].0, "cosigning.wait_for_mirror");
        assert_eq!(waiting.check(1), []);
    }
}
