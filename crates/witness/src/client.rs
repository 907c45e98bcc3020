//! Asks witnesses and mirrors for their cosignatures on a ledger's checkpoints, and publishes them.
//!
//! Each peer has a task of its own, so that a slow one delays nobody. A peer that fails is asked less and less often, down
//! to once a minute; one that knows another history of the log is an alarm: in the messages, and in the metrics.

mod ask;
mod mirror;
mod pace;
mod status;
mod witness;

use std::{sync::Arc, time::Duration};

use fetch::{Client, Url};
use ledger::Ledger;
use proof::{
    checkpoint::Checkpoint,
    cosignature::{CosignerKey, CosignerSecret},
    note::{Note, NoteSignature, VerifierKey},
};
use terms::Clock;
use tokio::{runtime::Handle, sync::watch, task::JoinHandle, time::MissedTickBehavior};

use crate::watch::cosign;
use pace::Pace;
use status::PeerStatus;

/// A witness or mirror to ask.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The submission prefix, without a slash at its end.
    pub url: Url,
    /// Its keys: at least one of them must cosign for an answer to count.
    pub keys: Vec<CosignerKey>,
}

impl Peer {
    /// Returns what it is called in messages and metrics: the name of its first key.
    fn name(&self) -> &str {
        self.keys.first().map_or("", CosignerKey::name)
    }
}

/// Whom to ask, and how often.
#[derive(Debug)]
pub struct CosignerSettings {
    /// Between two checkpoints that peers are asked about, at least 1 s. All are asked about the same ones.
    pub every: Duration,
    /// They cosign checkpoints.
    pub witnesses: Vec<Peer>,
    /// They hold the log.
    pub mirrors: Vec<Peer>,
    /// The log's own keys besides the one that signs every checkpoint, such as ML-DSA-44; their name is the log's origin.
    pub own: Vec<CosignerSecret>,
}

/// Brings cosignatures to the checkpoints of a ledger for as long as it is kept.
#[derive(Debug)]
pub struct Cosigner {
    peers: Vec<Arc<PeerStatus>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Cosigner {
    /// Starts a task on `runtime` for each peer, and one that chooses what they are asked about.
    #[must_use]
    pub fn start(
        runtime: &Handle,
        ledger: &Ledger,
        client: &Client,
        clock: &Arc<dyn Clock>,
        settings: CosignerSettings,
    ) -> Self {
        let CosignerSettings { every, witnesses, mirrors, own } = settings;
        let (sender, rounds) = watch::channel(None);
        let choosing = Choosing { ledger: ledger.clone(), own, clock: Arc::clone(clock), rounds: sender };
        let mut cosigner = Self { peers: Vec::new(), tasks: vec![runtime.spawn(choosing.run(every))] };
        for (peer, is_mirror) in witnesses.into_iter().map(|p| (p, false)).chain(mirrors.into_iter().map(|p| (p, true)))
        {
            let status = Arc::new(PeerStatus::new(peer.name(), is_mirror));
            let asking = Asking { ledger: ledger.clone(), client: client.clone(), peer, status: Arc::clone(&status) };
            cosigner.tasks.push(runtime.spawn(asking.run(is_mirror, rounds.clone(), every)));
            cosigner.peers.push(status);
        }
        cosigner
    }

    /// Returns the largest checkpoint that each mirror said it holds in this process's life, by name; 0 for none.
    #[must_use]
    pub fn held(&self) -> Vec<(String, u64)> {
        let mirrors = self.peers.iter().filter(|peer| peer.is_mirror);
        mirrors.map(|peer| (peer.name.clone(), peer.size())).collect()
    }

    /// Returns the state of all peers in the Prometheus text format; empty without any.
    #[must_use]
    pub fn metrics(&self) -> String {
        status::metrics(&self.peers)
    }
}

impl Drop for Cosigner {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// One peer, and the log it is asked about.
#[derive(Debug)]
struct Asking {
    ledger: Ledger,
    client: Client,
    peer: Peer,
    status: Arc<PeerStatus>,
}

/// What went wrong with a peer in one round.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// It could not be reached, or not understood; it is asked again, later.
    #[error("{0}")]
    Failed(String),
    /// It cannot answer yet, and asks to be asked again after that.
    #[error("it is busy, and is asked again in {} s", .0.as_secs())]
    Busy(Duration),
    /// It knows another history of this log: a person must look.
    #[error("{0}")]
    Contradicted(String),
}

impl Asking {
    /// Asks about each checkpoint that was chosen, or the last one if there were several meanwhile.
    async fn run(self, is_mirror: bool, mut rounds: watch::Receiver<Option<Latest>>, every: Duration) {
        let mut pace = Pace::new(every);
        let mut known = witness::Known::default();
        let mut upload = mirror::Upload::default();
        loop {
            let latest = rounds.borrow_and_update().clone();
            let round = match &latest {
                None => Ok(true),
                Some(latest) if is_mirror => self.mirror(latest, &mut known, &mut upload).await,
                Some(latest) => self.witness(latest, &mut known).await.map(|()| true),
            };
            match round {
                Ok(is_done) => {
                    pace.worked();
                    if is_done && rounds.changed().await.is_err() {
                        return;
                    }
                }
                Err(trouble) => {
                    self.report(&trouble);
                    let wait = match trouble {
                        Trouble::Busy(wait) => wait,
                        Trouble::Failed(_) | Trouble::Contradicted(_) => {
                            pace.failed();
                            pace.wait()
                        }
                    };
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    fn report(&self, trouble: &Trouble) {
        let peer = self.peer.name();
        match trouble {
            Trouble::Failed(why) => {
                self.status.count_failure();
                tracing::warn!(peer, why, "the checkpoint was not cosigned");
            }
            Trouble::Busy(_) => tracing::info!(peer, why = %trouble, "the checkpoint is not cosigned yet"),
            Trouble::Contradicted(why) => {
                self.status.count_alarm();
                tracing::error!(peer, why, "somebody knows another history of this log");
            }
        }
    }

    /// Checks the cosignatures of the peer on a checkpoint and publishes them.
    async fn publish(&self, latest: &Latest, lines: &str) -> Result<(), Trouble> {
        let signatures = ask::cosignatures(&latest.checkpoint, lines, &self.peer.keys).map_err(Trouble::Failed)?;
        publish(&self.ledger, &latest.note, signatures).await?;
        self.status.cosigned(latest.checkpoint.size);
        Ok(())
    }
}

/// A checkpoint as it is submitted: with the signatures of the log, and of nobody else.
#[derive(Clone, Debug)]
struct Latest {
    checkpoint: Checkpoint,
    note: String,
}

impl Latest {
    fn of(ledger: &Ledger, note: &str) -> Result<Self, Trouble> {
        let failed = |why: String| Trouble::Failed(format!("the log's own checkpoint cannot be read: {why}"));
        let key: VerifierKey =
            ledger.verifier_key().parse().map_err(|bad: proof::note::BadKey| failed(bad.to_string()))?;
        let checkpoint = Checkpoint::open(note.as_bytes(), key.name(), std::slice::from_ref(&key));
        let checkpoint = checkpoint.map_err(|bad| failed(bad.to_string()))?;
        let all = Note::parse(note.as_bytes()).map_err(|bad| failed(bad.to_string()))?;
        let mut own = Note::new(all.text().to_owned()).map_err(|bad| failed(bad.to_string()))?;
        let by_log = all.signatures().iter().filter(|signature| signature.name == key.name());
        by_log.cloned().for_each(|signature| own.attach(signature));
        Ok(Self { checkpoint, note: own.to_string() })
    }

    /// Adds signatures of the log itself.
    fn with(self, signatures: Vec<NoteSignature>) -> Result<Self, Trouble> {
        let note = Note::parse(self.note.as_bytes());
        let mut note =
            note.map_err(|bad| Trouble::Failed(format!("the log's own checkpoint cannot be read: {bad}")))?;
        signatures.into_iter().for_each(|signature| note.attach(signature));
        Ok(Self { note: note.to_string(), ..self })
    }
}

/// Chooses the checkpoints that everybody is asked about, and signs them with the log's further keys first.
struct Choosing {
    ledger: Ledger,
    own: Vec<CosignerSecret>,
    clock: Arc<dyn Clock>,
    rounds: watch::Sender<Option<Latest>>,
}

impl Choosing {
    async fn run(self, every: Duration) {
        let mut ticks = tokio::time::interval(every.max(Pace::LEAST));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut chosen = None;
        loop {
            ticks.tick().await;
            match self.choose(chosen).await {
                Ok(Some(latest)) => {
                    chosen = Some(latest.checkpoint.size);
                    self.rounds.send_replace(Some(latest));
                }
                Ok(None) => {}
                Err(trouble) => tracing::error!(%trouble, "no checkpoint is sent to witnesses"),
            }
        }
    }

    /// Returns the latest checkpoint, unless it has the size that was chosen last.
    async fn choose(&self, chosen: Option<u64>) -> Result<Option<Latest>, Trouble> {
        let Some(note) = self.ledger.checkpoint() else {
            return Ok(None);
        };
        let latest = Latest::of(&self.ledger, &note)?;
        if chosen == Some(latest.checkpoint.size) {
            return Ok(None);
        }
        let signatures = cosign(&self.own, &latest.checkpoint, self.clock.now());
        let signatures = signatures.map_err(|error| Trouble::Failed(error.to_string()))?;
        if signatures.is_empty() {
            return Ok(Some(latest));
        }
        publish(&self.ledger, &latest.note, signatures.clone()).await?;
        latest.with(signatures).map(Some)
    }
}

/// Publishes signatures on a checkpoint, off the runtime's threads.
async fn publish(ledger: &Ledger, note: &str, signatures: Vec<NoteSignature>) -> Result<(), Trouble> {
    let (ledger, note) = (ledger.clone(), note.to_owned());
    let published = tokio::task::spawn_blocking(move || ledger.cosign(&note, &signatures)).await;
    match published {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Trouble::Failed(format!("the cosignatures could not be written: {error}"))),
        Err(_) => Err(Trouble::Failed("the cosignatures could not be written".to_owned())),
    }
}
