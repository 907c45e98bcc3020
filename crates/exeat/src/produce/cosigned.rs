//! Under which checkpoint a production stands: the one that bears the signatures that its policy asks for.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use ledger::Reader;
use proof::{
    note::VerifierKey,
    policy_file::{Accepted, Policy},
};
use witness::Peer;

/// How often the log is looked at again.
const ASKED_EVERY: Duration = Duration::from_millis(100);

/// Whose signatures are asked for (C2SP tlog-policy).
#[derive(Debug)]
pub(crate) struct Signatures {
    text: Vec<u8>,
    policy: Policy,
}

impl Signatures {
    /// Asks for what a policy file says.
    ///
    /// # Errors
    ///
    /// If it cannot be read or is no policy.
    pub(crate) fn of_file(file: &Path) -> anyhow::Result<Self> {
        let text = fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
        Self::parse(text).with_context(|| format!("`{}`", file.display()))
    }

    /// Asks for the log's signature and one of every witness and every mirror, by whichever of its keys.
    ///
    /// # Errors
    ///
    /// If there are more of them than a policy may name.
    pub(crate) fn of_all(log: &VerifierKey, witnesses: &[Peer], mirrors: &[Peer]) -> anyhow::Result<Self> {
        let mut text = format!("log {log}\n");
        let mut groups = String::new();
        for (kind, peers) in [("witness", witnesses), ("mirror", mirrors)] {
            for (peer, number) in peers.iter().zip(1..) {
                let group = format!("{kind}-{number}");
                text.push_str(&party(&group, peer));
                groups.push_str(&format!(" {group}"));
            }
        }
        match groups.is_empty() {
            true => text.push_str("quorum none\n"),
            false => text.push_str(&format!("group everyone all{groups}\nquorum everyone\n")),
        }
        Self::parse(text.into_bytes())
    }

    fn parse(text: Vec<u8>) -> anyhow::Result<Self> {
        let policy = Policy::parse(&text)?;
        Ok(Self { text, policy })
    }

    /// Returns the policy as it is written into a production.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// Waits for a checkpoint that covers the entry at `index` and bears the signatures; returns it.
    ///
    /// # Errors
    ///
    /// If there is none within `patience`, saying whose are missing; if the log cannot be read.
    pub(crate) fn wait(&self, reader: &Reader, index: u64, patience: Duration) -> anyhow::Result<String> {
        let began = Instant::now();
        loop {
            let mut missing = format!("no checkpoint covers entry {index}");
            for note in [reader.cosigned()?, reader.checkpoint()?].into_iter().flatten() {
                match self.policy.check(note.as_bytes()) {
                    Ok(Accepted { checkpoint, .. }) if index < checkpoint.size => return Ok(note),
                    Ok(_) => {}
                    Err(why) => missing = why.to_string(),
                }
            }
            if began.elapsed() >= patience {
                bail!("{missing} after {} seconds: wait longer, or ask for others with `--policy`", patience.as_secs());
            }
            thread::sleep(ASKED_EVERY);
        }
    }
}

/// Writes the lines of a witness or a mirror: any of its keys counts.
fn party(group: &str, peer: &Peer) -> String {
    let mut lines = String::new();
    let mut members = String::new();
    for (key, number) in peer.keys.iter().zip(1..) {
        lines.push_str(&format!("witness {group}.{number} {key}\n"));
        members.push_str(&format!(" {group}.{number}"));
    }
    format!("{lines}group {group} any{members}\n")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ledger::{Draft, Ledger, Options};
    use proof::{
        cosignature::{Algorithm, CosignerSecret},
        entry::{Entry, Kind},
    };
    use terms::SystemClock;

    use super::*;

    fn cosigner(name: &str, algorithm: Algorithm, seed: u8) -> CosignerSecret {
        CosignerSecret::from_seed(name, algorithm, &[seed; 32]).unwrap()
    }

    fn peer(keys: &[&CosignerSecret]) -> Peer {
        let keys = keys.iter().map(|key| key.public().clone()).collect();
        Peer { url: "https://witness.example/".parse().unwrap(), keys }
    }

    fn log(dir: &Path) -> Ledger {
        let options = Options {
            origin: "log.larkspur.example/exeat/1".to_owned(),
            segment_bytes: 1 << 20,
            queue_entries: 64,
            checkpoint_every: Duration::from_millis(10),
            heads_every: Duration::from_hours(1),
        };
        Ledger::open(dir, options, Arc::new(SystemClock::default())).unwrap().0
    }

    #[test]
    fn a_policy_asks_for_every_witness_and_every_mirror_by_any_of_its_keys() {
        let (old, new) = (cosigner("w.example", Algorithm::Ed25519, 1), cosigner("w.example", Algorithm::MlDsa44, 2));
        let mirror = cosigner("m.example", Algorithm::Ed25519, 3);
        let log = proof::note::SignerKey::from_seed("log.example", &[4; 32]).unwrap().verifier().clone();
        let asked = Signatures::of_all(&log, &[peer(&[&old, &new])], &[peer(&[&mirror])]).unwrap();
        let text = String::from_utf8(asked.as_bytes().to_vec()).unwrap();
        let words: Vec<_> = text.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
        let log_line = format!("log {log}");
        let expected = [
            &*log_line,
            "witness witness-1.1",
            "witness witness-1.2",
            "group witness-1",
            "witness mirror-1.1",
            "group mirror-1",
            "group everyone",
            "quorum everyone",
        ];
        assert_eq!(words, expected);
        let alone = Signatures::of_all(&log, &[], &[]).unwrap();
        assert_eq!(alone.as_bytes(), format!("log {log}\nquorum none\n").as_bytes());
    }

    #[test]
    fn the_checkpoint_is_one_that_all_have_cosigned_and_is_waited_for_no_longer_than_said() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = log(dir.path());
        let index = ledger.append(Draft::new(Entry::new(Kind::Admin), "{}")).unwrap().wait().unwrap().index();
        let (witness, mirror) =
            (cosigner("w.example", Algorithm::Ed25519, 1), cosigner("m.example", Algorithm::Ed25519, 2));
        let key: VerifierKey = ledger.verifier_key().parse().unwrap();
        let nobody = Signatures::of_all(&key, &[], &[]).unwrap();
        let reader = ledger.reader();
        let plain = nobody.wait(&reader, index, Duration::from_secs(60)).unwrap();
        let asked = Signatures::of_all(&key, &[peer(&[&witness])], &[peer(&[&mirror])]).unwrap();
        let refused = || asked.wait(&reader, index, Duration::ZERO).unwrap_err().to_string();
        assert!(refused().contains("0 witnesses"), "{}", refused());
        let checkpoint = nobody.policy.check(plain.as_bytes()).unwrap().checkpoint;
        let sign = |secret: &CosignerSecret| secret.cosign(&checkpoint, 1_780_000_000).unwrap();
        ledger.cosign(&plain, &[sign(&witness)]).unwrap();
        assert!(refused().contains("1 witnesses"), "{}", refused());
        ledger.cosign(&plain, &[sign(&mirror)]).unwrap();
        let cosigned = asked.wait(&reader, index, Duration::ZERO).unwrap();
        assert!(cosigned.contains("w.example") && cosigned.contains("m.example"));
        let beyond = asked.wait(&reader, index + 1_000, Duration::ZERO).unwrap_err().to_string();
        assert!(beyond.contains("no checkpoint covers entry"), "{beyond}");
    }
}
