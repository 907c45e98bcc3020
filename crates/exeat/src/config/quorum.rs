//! `[ledger.quorum]`: the machines that keep a copy of the log, and how this one shows them who it is.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

/// Copies of the log on other machines, of which, together with this one, more than half must have an entry before
/// anybody is told of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuorumConfig {
    /// Where they listen: host and port, as their certificates name the host. Two, or four.
    pub(crate) followers: Vec<String>,
    /// This machine's certificate chain, in PEM: what it shows to followers.
    pub(crate) cert_chain: PathBuf,
    /// The key of that, in PEM.
    pub(crate) key: PathBuf,
    /// The authorities that certify followers, in PEM; nobody else is trusted.
    pub(crate) ca_file: PathBuf,
    /// How long a commit may wait for them, in milliseconds, before the log takes nothing more; 10,000 unless set.
    #[serde(default = "patience_ms")]
    pub(crate) patience_ms: u64,
}

fn patience_ms() -> u64 {
    10_000
}

impl QuorumConfig {
    /// Returns how long a commit may wait for followers.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_millis(self.patience_ms)
    }

    /// Returns every fault, as key and reason.
    pub(super) fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let count = self.followers.len();
        if !(1..=8).contains(&count) {
            faults.push(("ledger.quorum.followers".into(), format!("names {count} followers, and there are 1 to 8")));
        }
        for (n, follower) in self.followers.iter().enumerate() {
            let parts = follower.rsplit_once(':').filter(|(host, _)| !host.is_empty());
            if parts.and_then(|(_, port)| port.parse::<u16>().ok()).is_none() {
                let why = format!("`{follower}` is not a host and a port: write `log-2.example.com:7443`");
                faults.push((format!("ledger.quorum.followers[{n}]"), why));
            }
            // It would count twice, and be one machine.
            if self.followers.iter().take(n).any(|other| other.eq_ignore_ascii_case(follower)) {
                let why = format!("`{follower}` is named twice: each follower is another machine");
                faults.push((format!("ledger.quorum.followers[{n}]"), why));
            }
        }
        if !(100..=600_000).contains(&self.patience_ms) {
            let why = format!("{} is not between 100 and 600000", self.patience_ms);
            faults.push(("ledger.quorum.patience_ms".into(), why));
        }
        faults
    }

    /// Visits every path, to make it relative to the folder of the configuration file.
    pub(super) fn each_path(&mut self, place: impl Fn(&mut PathBuf)) {
        [&mut self.cert_chain, &mut self.key, &mut self.ca_file].into_iter().for_each(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_follower_is_named_once_with_host_and_port() {
        let faults = |followers: &[&str]| {
            let followers = followers.iter().map(|name| (*name).to_owned()).collect();
            let (cert_chain, key, ca_file) = Default::default();
            QuorumConfig { followers, cert_chain, key, ca_file, patience_ms: 10_000 }.faults()
        };
        assert_eq!(faults(&["log-2.example.com:7443", "log-3.example.com:7443"]), []);
        let [(key, why)] = &faults(&["log-2.example.com:7443", "Log-2.example.com:7443"])[..] else { panic!() };
        assert_eq!(key, "ledger.quorum.followers[1]");
        assert!(why.contains("named twice"), "{why}");
        assert_eq!(faults(&["log-2.example.com"]).len(), 1);
        assert_eq!(faults(&[]).len(), 1);
    }
}
