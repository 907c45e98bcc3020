//! The gateway's side of a reconciliation: compares an hour with each meter, records what came of it, and tells the meter.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ledger::{Ledger, LookupError, Reader, Unavailable};
use proof::{
    entry::meter_id,
    note::SignerKey,
    sums::{About, BadSums, Side, Statement},
};
use terms::ModelVersionId;
use tokio::task::spawn_blocking;

use crate::{
    compare::Comparison,
    peer::{Peer, PeerError},
    sums::{alarm, entry_of},
    tally::{Hour, Open},
};

/// Why something of an hour could not be reconciled; to be tried again.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The gateway's own log.
    #[error("the gateway's log cannot be read: {0}")]
    Log(#[from] LookupError),
    /// The meter.
    #[error("{meter}: {source}")]
    Peer {
        /// The origin of its log.
        meter: String,
        /// What is wrong.
        source: PeerError,
    },
    /// The meter signed something else than it listed.
    #[error("{0}: the meter signed other sums than those of the calls it lists")]
    Contradiction(String),
    /// Sums that no model server ever reports in truth.
    #[error("the sums are refused: {0}")]
    Sums(#[from] BadSums),
    /// The statement could not be recorded.
    #[error("the statement cannot be recorded: {0}")]
    Unavailable(#[from] Unavailable),
}

/// What came of an attempt to reconcile an hour.
#[derive(Debug, Default)]
pub struct Reconciled {
    /// Statements in which gateway and meter agree.
    pub agree: u64,
    /// Statements in which they do not.
    pub differ: u64,
    /// Calls that have not ended: their model versions are to be reconciled later.
    pub open: u64,
    /// Calls of meters that are none of those asked: nothing reconciles them.
    pub unasked: u64,
    /// What failed and is to be tried again; the rest was done all the same.
    pub failed: Vec<ReconcileError>,
}

/// Statements that wait for their meters, at 2 KB each; of more, the oldest hours are forgotten, and made again.
const UNTOLD_MAX: usize = 10_000;

/// Of which meters, by the origins of their logs, and model versions an hour has its statements.
pub type Settled = BTreeSet<(String, ModelVersionId)>;

/// An hour, a meter by the origin of its log, and a model version.
type Told = (u64, String, ModelVersionId);

/// A gateway's log, and the meters that its calls went through.
#[derive(Debug)]
pub struct Reconciler {
    ledger: Ledger,
    meters: Vec<Peer>,
    /// Calls that hours wait for, if for nothing else.
    waited_for: Mutex<BTreeMap<u64, Open>>,
    /// Statements that are recorded here and not yet at the meter.
    untold: Mutex<BTreeMap<Told, Vec<u8>>>,
}

impl Reconciler {
    /// Reconciles the calls in `ledger` with these meters.
    #[must_use]
    pub fn new(ledger: Ledger, meters: Vec<Peer>) -> Self {
        Self { ledger, meters, waited_for: Mutex::default(), untold: Mutex::default() }
    }

    /// Compares what the gateway and every meter counted in `hour` (milliseconds / 3,600,000), records a statement for
    /// each meter and model version with calls, durably, gives it to the meter, and puts it into `settled`; what is in there
    /// already is not done again.
    ///
    /// A model version with a call that has not ended gets no statement yet. A meter or a version with which something
    /// fails does not keep the others from theirs.
    pub async fn hour(&self, hour: u64, settled: &mut Settled) -> Reconciled {
        let mut reconciled = Reconciled::default();
        match self.still_open(hour).await {
            Ok(0) => {}
            Ok(open) => return Reconciled { open, ..reconciled },
            Err(error) => return Reconciled { failed: vec![error], ..reconciled },
        }
        let mut ours = None;
        for peer in &self.meters {
            if let Err(error) = self.with(peer, hour, &mut ours, settled, &mut reconciled).await {
                reconciled.failed.push(error);
            }
        }
        reconciled.unasked = ours.as_ref().map_or(0, |(ours, _)| self.unasked(ours));
        if let Some((_, open)) = ours.filter(|(_, open)| reconciled.failed.is_empty() && !open.is_empty()) {
            held(&self.waited_for).insert(hour, open);
        }
        reconciled
    }

    /// Counts the calls that belong to another meter than those asked.
    fn unasked(&self, ours: &Hour) -> u64 {
        let asked: BTreeSet<[u8; 8]> = self.meters.iter().map(|peer| meter_id(peer.key().name())).collect();
        let calls = ours.models().flat_map(|model| ours.calls(model).values());
        calls.filter(|call| call.meter.is_some_and(|meter| !asked.contains(&meter))).count() as u64
    }

    /// Looks whether the calls have ended that an hour waits for, and returns how many have not.
    async fn still_open(&self, hour: u64) -> Result<u64, ReconcileError> {
        let Some(mut open) = held(&self.waited_for).remove(&hour) else { return Ok(0) };
        let reader = self.ledger.reader();
        let open = blocking(move || open.look(&reader).map(|()| open)).await?;
        let left = open.len() as u64;
        if left > 0 {
            held(&self.waited_for).insert(hour, open);
        }
        Ok(left)
    }

    /// Reconciles an hour with one meter, which is asked before the log is gone through.
    async fn with(
        &self,
        peer: &Peer,
        hour: u64,
        ours: &mut Option<(Arc<Hour>, Open)>,
        settled: &mut Settled,
        reconciled: &mut Reconciled,
    ) -> Result<(), ReconcileError> {
        self.tell(peer, hour, settled).await?;
        let theirs = peer.hour(self.signer().name(), hour).await.map_err(|source| failed(peer, source))?;
        let theirs = Arc::new(theirs);
        let ours = match ours {
            Some((ours, _)) => Arc::clone(ours),
            None => Arc::clone(&ours.insert(self.ours(hour).await?).0),
        };
        let models: BTreeSet<ModelVersionId> = ours.models().chain(theirs.models()).cloned().collect();
        for model in models {
            if settled.contains(&(peer.key().name().to_owned(), model.clone())) {
                continue;
            }
            match self.model(peer, hour, &model, (&ours, &theirs), reconciled).await {
                Ok(true) => self.tell(peer, hour, settled).await?,
                Ok(false) => {}
                Err(error) => reconciled.failed.push(error),
            }
        }
        Ok(())
    }

    /// Reconciles a model version; returns true if a statement was recorded.
    async fn model(
        &self,
        peer: &Peer,
        hour: u64,
        model: &ModelVersionId,
        (ours, theirs): (&Arc<Hour>, &Arc<Hour>),
        reconciled: &mut Reconciled,
    ) -> Result<bool, ReconcileError> {
        let about = self.about(peer, hour, model);
        let compared = compared(&about, model, ours, theirs).await?;
        reconciled.open += compared.open;
        if compared.open > 0 || compared.is_empty() {
            if !compared.agrees() {
                let kinds = compared.kinds();
                tracing::error!(target: "exeat::reconciliation", ?about, ?kinds, "gateway and meter do not agree so far");
            }
            return Ok(false);
        }
        let statement = self.state(peer, about, model, &compared).await?;
        self.record(&statement, model).await?;
        reconciled.add(&statement);
        Ok(true)
    }

    fn about(&self, peer: &Peer, hour: u64, model: &ModelVersionId) -> About {
        let [gateway, meter] = [self.signer().name(), peer.key().name()].map(str::to_owned);
        About { gateway, meter, model: model.as_str().to_owned(), hour }
    }

    fn signer(&self) -> &SignerKey {
        self.ledger.signer()
    }

    async fn ours(&self, hour: u64) -> Result<(Arc<Hour>, Open), ReconcileError> {
        let reader: Reader = self.ledger.reader();
        let (hour, open) = blocking(move || Hour::with_open(&reader, hour)).await?;
        Ok((Arc::new(hour), open))
    }

    async fn state(
        &self,
        peer: &Peer,
        about: About,
        model: &ModelVersionId,
        compared: &Comparison,
    ) -> Result<Statement, ReconcileError> {
        let meter = peer.side(&about, model, &compared.moved).await.map_err(|source| failed(peer, source))?;
        if meter.trees != compared.meter {
            return Err(ReconcileError::Contradiction(about.meter));
        }
        let gateway = Side::sign(compared.gateway, &about, self.signer());
        Ok(Statement { about, gateway, meter, differ: compared.differ()? })
    }

    /// Records a statement durably. From then on only the meter is left to be told.
    async fn record(&self, statement: &Statement, model: &ModelVersionId) -> Result<(), ReconcileError> {
        if !statement.agrees() {
            alarm(statement);
        }
        let root = statement.gateway.trees.commitment();
        let _recorded = self.ledger.append(entry_of(&self.ledger, statement, root))?.durable().await?;
        let key = (statement.about.hour, statement.about.meter.clone(), model.clone());
        let mut untold = held(&self.untold);
        untold.insert(key, statement.to_json());
        while untold.len() > UNTOLD_MAX {
            untold.pop_first();
        }
        Ok(())
    }

    /// Gives a meter the statements about an hour that it has not yet.
    async fn tell(&self, peer: &Peer, hour: u64, settled: &mut Settled) -> Result<(), ReconcileError> {
        for (key, statement) in self.untold(peer, hour) {
            peer.tell(statement).await.map_err(|source| failed(peer, source))?;
            held(&self.untold).remove(&key);
            settled.insert((key.1, key.2));
        }
        Ok(())
    }

    fn untold(&self, peer: &Peer, hour: u64) -> Vec<(Told, Vec<u8>)> {
        let untold = held(&self.untold);
        let its = untold.iter().filter(|((of, meter, _), _)| *of == hour && meter == peer.key().name());
        its.map(|(key, statement)| (key.clone(), statement.clone())).collect()
    }
}

impl Reconciled {
    fn add(&mut self, statement: &Statement) {
        if statement.agrees() {
            self.agree += 1;
        } else {
            self.differ += 1;
        }
    }

    /// Says whether nothing is left to do.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.open == 0 && self.failed.is_empty()
    }
}

async fn compared(
    about: &About,
    model: &ModelVersionId,
    ours: &Arc<Hour>,
    theirs: &Arc<Hour>,
) -> Result<Comparison, ReconcileError> {
    let (ours, theirs, model, id) = (Arc::clone(ours), Arc::clone(theirs), model.clone(), meter_id(&about.meter));
    let comparing = spawn_blocking(move || Comparison::of(ours.calls(&model), theirs.calls(&model), id));
    Ok(comparing.await.map_err(abandoned)??)
}

async fn blocking<T: Send + 'static>(
    reading: impl FnOnce() -> Result<T, LookupError> + Send + 'static,
) -> Result<T, ReconcileError> {
    Ok(spawn_blocking(reading).await.map_err(abandoned)??)
}

fn abandoned(error: tokio::task::JoinError) -> LookupError {
    LookupError::Io(io::Error::other(error))
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(peer: &Peer, source: PeerError) -> ReconcileError {
    ReconcileError::Peer { meter: peer.key().name().to_owned(), source }
}
