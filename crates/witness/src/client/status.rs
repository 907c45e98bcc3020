//! What an operator watches of each peer.

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// What came of asking a peer.
#[derive(Debug)]
pub(super) struct PeerStatus {
    pub(super) name: String,
    pub(super) is_mirror: bool,
    size: AtomicU64,
    failures: AtomicU64,
    alarms: AtomicU64,
}

impl PeerStatus {
    pub(super) fn new(name: &str, is_mirror: bool) -> Self {
        let zero = || AtomicU64::new(0);
        Self { name: name.to_owned(), is_mirror, size: zero(), failures: zero(), alarms: zero() }
    }

    /// Notes that the peer cosigned a checkpoint of this size.
    pub(super) fn cosigned(&self, size: u64) {
        self.size.fetch_max(size, Ordering::Relaxed);
    }

    pub(super) fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    pub(super) fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_alarm(&self) {
        self.alarms.fetch_add(1, Ordering::Relaxed);
    }
}

/// Writes three metrics of all peers.
pub(super) fn metrics(peers: &[Arc<PeerStatus>]) -> String {
    let mut text = String::new();
    if peers.is_empty() {
        return text;
    }
    let load = |value: &AtomicU64| value.load(Ordering::Relaxed);
    family(&mut text, peers, "exeat_cosigned_entries", "gauge", "Entries that the peer cosigned.", |peer| peer.size());
    let failures = |peer: &PeerStatus| load(&peer.failures);
    family(&mut text, peers, "exeat_cosigner_failures", "counter", "Requests that failed.", failures);
    let alarms = |peer: &PeerStatus| load(&peer.alarms);
    family(&mut text, peers, "exeat_cosigner_alarms", "counter", "Times it knew another history of the log.", alarms);
    text
}

fn family(
    text: &mut String,
    peers: &[Arc<PeerStatus>],
    name: &str,
    kind: &str,
    help: &str,
    value: impl Fn(&PeerStatus) -> u64,
) {
    let suffix = if kind == "counter" { "_total" } else { "" };
    // Writing to a string never fails.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for peer in peers {
        let (label, role) = (escaped(&peer.name), if peer.is_mirror { "mirror" } else { "witness" });
        let _ = writeln!(text, "{name}{suffix}{{cosigner=\"{label}\",role=\"{role}\"}} {}", value(peer));
    }
}

/// Names have no control characters; these two are left.
fn escaped(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_has_a_line_for_each_peer() {
        assert_eq!(metrics(&[]), "");
        let peers = [Arc::new(PeerStatus::new("w\"1", false)), Arc::new(PeerStatus::new("m", true))];
        peers[0].cosigned(7);
        peers[0].cosigned(5);
        peers[1].count_alarm();
        let text = metrics(&peers);
        assert!(text.contains("exeat_cosigned_entries{cosigner=\"w\\\"1\",role=\"witness\"} 7\n"), "{text}");
        assert!(text.contains("exeat_cosigner_alarms_total{cosigner=\"m\",role=\"mirror\"} 1\n"), "{text}");
        assert_eq!(text.lines().count(), 12);
    }
}
