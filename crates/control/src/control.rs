//! The control plane as the rest of the process holds it.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, atomic::AtomicU64},
    time::Duration,
};

use identity::{Change, Directory, Pepper};
use ledger::Ledger;
use policy::{Alias, CompileFault, CountryGroups, FreshnessTable, Regime, Snapshot, SnapshotDocument};
use terms::{Clock, InstrumentId, KeyId, ModelVersion, ModelVersionId, Moment, OrganizationId, Retention};

use crate::{
    Actor, Admin, AdminToken, DeskPolicy, Fault, FollowError, ProofPolicy, Role, Sources,
    access::Refusals,
    commit::{self, Act},
    follow::{self, Followed},
    gate::Proved,
    glass::BreakGlass,
    plan::Plans,
    store::{Page, Store, StoreError},
    token::TokenRecord,
};

/// What the control plane is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of the registry; made if absent, with mode 0700.
    pub data_dir: PathBuf,
    /// The lab's own organization, whose staff an instrument may name.
    pub lab: Option<OrganizationId>,
    /// Every model version served, in any order.
    pub models: Vec<ModelVersion>,
    /// Every alias, in any order.
    pub aliases: Vec<Alias>,
    /// How many people must approve what the directive desk does.
    pub desk: DeskPolicy,
    /// Whether the invariants must be proved before a snapshot goes live.
    pub proofs: ProofPolicy,
}

/// What a change did to calls that were live.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Deserialize, serde::Serialize, utoipa::ToSchema)]
pub struct Effect {
    /// Live calls that were decided again.
    pub examined: u64,
    /// Of these, calls whose permit was recalled.
    pub recalled: u64,
}

impl Effect {
    /// Returns what this and another did together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { examined: self.examined + other.examined, recalled: self.recalled + other.recalled }
    }
}

/// Carries a change to the live calls. Both methods return only when every live call that the change touches has been
/// decided again, and must not call back into [`Control`].
pub trait Publish: Send + Sync {
    /// Decides again every live call that a change of the directory touches. The directory has already changed.
    fn directory(&self, change: Change) -> Effect;
    /// Puts a snapshot in force for new calls and decides every live call again under it.
    fn snapshot(&self, snapshot: Arc<Snapshot>) -> Effect;
    /// Returns how many live calls each key has on each model version.
    fn live(&self) -> BTreeMap<(KeyId, ModelVersionId), u64>;
}

/// Reads the configuration again, on an operator's request.
pub trait Reload: Send + Sync {
    /// Loads the configuration whole or not at all, usually ending in [`Control::reconfigure`].
    ///
    /// # Errors
    ///
    /// Every fault found, in words for the operator; the old configuration stays.
    fn reload(&self) -> Result<Effect, Vec<String>>;
}

/// The control plane cannot be opened; nothing may be served.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The registry cannot be opened or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The registry cannot be brought up to the ledger.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// The configured models and aliases do not compile with the instruments in force; correct the configuration.
    #[error("the configuration does not compile: {}", join(.0))]
    DoesNotCompile(Vec<CompileFault>),
    /// The ledger takes no entry.
    #[error("cannot record the snapshot in force: {0}")]
    Unrecorded(#[from] ledger::Unavailable),
    /// An act without approvals has come to its limit, and what was in force before it cannot be put back.
    #[error("cannot undo an act whose limit has come: {0}")]
    Limit(#[source] Box<Fault>),
}

fn join(faults: &[CompileFault]) -> String {
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    faults.join("; ")
}

/// The control plane. Cheap to clone; every clone is the same one.
///
/// Its methods block on the disk: call them off the data path, and from async code through a blocking thread.
#[derive(Clone)]
pub struct Control(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) ledger: Ledger,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) pepper: Pepper,
    pub(crate) directory: Arc<Directory>,
    pub(crate) snapshot: RwLock<Arc<Snapshot>>,
    pub(crate) publish: RwLock<Option<Arc<dyn Publish>>>,
    pub(crate) reload: RwLock<Option<Arc<dyn Reload>>>,
    pub(crate) sources: RwLock<Option<Arc<dyn Sources>>>,
    pub(crate) freshness: RwLock<Arc<FreshnessTable>>,
    pub(crate) tokens: RwLock<BTreeMap<KeyId, TokenRecord>>,
    pub(crate) refusals: Mutex<Refusals>,
    pub(crate) desk: DeskPolicy,
    pub(crate) proofs: ProofPolicy,
    /// What was proved last, for the change that asked for it.
    pub(crate) proved: Mutex<Option<Proved>>,
    /// How long putting the last snapshot in force took, live calls decided again, in milliseconds; 0 before the first.
    pub(crate) last_apply_ms: AtomicU64,
    pub(crate) plans: Plans,
    /// Every act in force without its approvals.
    pub(crate) glass: RwLock<Vec<BreakGlass>>,
    /// Held for the whole of a request that names itself, so that its repetition waits for its answer.
    pub(crate) repeated: Mutex<()>,
    /// The heads entry that was written for each production that was asked for since the start.
    pub(crate) produced: Mutex<BTreeMap<InstrumentId, u64>>,
    /// How long records are kept at least.
    pub(crate) retention: RwLock<Retention>,
    registry: Mutex<Registry>,
}

/// What one writer at a time may change.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) store: Store,
    /// True if a durable entry is not applied yet, or not in effect.
    pub(crate) behind: bool,
    /// What is applied and has yet to come into effect, in order.
    pub(crate) unspread: VecDeque<Followed>,
}

impl Control {
    /// Opens the registry in `settings.data_dir`, brings it up to the ledger, fills the directory, and puts the snapshot
    /// of the configuration and of the applied instruments in force, recorded if it differs from the last. What was put
    /// in force without approvals and has come to its limit is undone before this returns.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; the caller must not serve. What was already brought up to the ledger stays so.
    pub fn open(settings: Settings, ledger: Ledger, clock: Arc<dyn Clock>, pepper: Pepper) -> Result<Self, OpenError> {
        let mut store = Store::open(&settings.data_dir)?;
        follow::follow(&mut store, &ledger)?;
        let (desk, proofs) = (settings.desk, settings.proofs.clone());
        let snapshot = in_force(&mut store, &ledger, settings)?;
        record_policy(&ledger, desk)?;
        let inner = Inner {
            directory: Arc::new(load_directory(&store)?),
            tokens: RwLock::new(load_tokens(&store)?),
            snapshot: RwLock::new(Arc::new(snapshot)),
            publish: RwLock::new(None),
            reload: RwLock::new(None),
            sources: RwLock::new(None),
            freshness: RwLock::new(Arc::new(FreshnessTable::bundled())),
            refusals: Mutex::default(),
            desk,
            proofs,
            proved: Mutex::default(),
            last_apply_ms: AtomicU64::new(0),
            plans: Plans::default(),
            glass: RwLock::new(store.open_glass()?),
            repeated: Mutex::default(),
            produced: Mutex::default(),
            retention: RwLock::new(Retention::default()),
            registry: Mutex::new(Registry { store, behind: false, unspread: VecDeque::new() }),
            ledger,
            clock,
            pepper,
        };
        let control = Self(Arc::new(inner));
        control.keep_limits().map_err(|fault| OpenError::Limit(Box::new(fault)))?;
        Ok(control)
    }

    /// Returns the directory, which changes with the registry.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.0.directory)
    }

    /// Returns the snapshot in force now; its entry is in the ledger.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshot()
    }

    /// Sends every later change to `publish` as well; before that, changes touch only directory and snapshot.
    ///
    /// Whoever attaches reads [`Control::snapshot`] once more afterwards, in case it changed in between.
    pub fn attach(&self, publish: Arc<dyn Publish>) {
        *write(&self.0.publish) = Some(publish);
    }

    /// Offers `POST /admin/v1/reload`, which calls `reload`.
    pub fn attach_reload(&self, reload: Arc<dyn Reload>) {
        *write(&self.0.reload) = Some(reload);
    }

    /// Offers the routes under `/admin/v1/sources`, which ask `sources`.
    pub fn attach_sources(&self, sources: Arc<dyn Sources>) {
        *write(&self.0.sources) = Some(sources);
    }

    /// Puts an operator's table of freshness in place of the one that this release carries, for keys and channels that are
    /// made from now on.
    pub fn attach_freshness(&self, table: FreshnessTable) {
        *write(&self.0.freshness) = Arc::new(table);
    }

    /// Keeps records for as long as `retention` says; before that, for the 5 years of 15 CFR 762.6(a).
    pub fn attach_retention(&self, retention: Retention) {
        *write(&self.0.retention) = retention;
    }

    /// Returns the admin API; the caller binds it to a listener of its own.
    pub fn router(&self) -> axum::Router {
        crate::http::router(self.clone())
    }

    /// Returns what `actor` may do.
    #[must_use]
    pub fn admin(&self, actor: &Actor) -> Admin<'_> {
        Admin::new(&self.0, actor.clone())
    }

    /// Mints a root token if none is current, good for as long as a key may live; to be shown once.
    ///
    /// # Errors
    ///
    /// [`Fault`] if it cannot be recorded or stored; start again.
    pub fn bootstrap(&self) -> Result<Option<AdminToken>, Fault> {
        let now = self.0.clock.now();
        let tokens = read(&self.0.tokens).clone();
        if tokens.values().any(|token| token.role == Role::Root && token.is_current(now)) {
            return Ok(None);
        }
        let actor = Actor::process("bootstrap", Role::Root);
        let admin = self.admin(&actor);
        let minted = admin.root()?.mint_token(crate::NewToken::first_root(now, self.0.key_life()))?;
        Ok(Some(minted.token))
    }

    /// Puts new models, aliases and lab in force, whole or not at all. Does nothing if nothing differs.
    ///
    /// # Errors
    ///
    /// [`Fault::DoesNotCompile`] with each fault, or [`Fault::Unrecorded`]; the old ones stay in force.
    pub fn reconfigure(
        &self,
        models: Vec<ModelVersion>,
        aliases: Vec<Alias>,
        lab: Option<OrganizationId>,
    ) -> Result<Effect, Fault> {
        let mut registry = self.0.registry()?;
        let old = self.snapshot();
        let document = configured(Some(old.document()), models, aliases, lab);
        if document == *old.document() {
            return Ok(Effect::default());
        }
        let actor = Actor::process("config", Role::Root);
        let act = Act::new(&actor, "config.reload");
        let snapshot = Snapshot::compile(document).map_err(Fault::does_not_compile)?;
        self.0.enact(&mut registry, act, snapshot).map(|receipt| receipt.effect)
    }

    /// Notes in the registry how far it has followed the ledger, so that the next start need not look at calls again.
    ///
    /// Optional: nothing is lost without it. Call it now and then, and before the ledger is stopped.
    ///
    /// # Errors
    ///
    /// [`Fault`] if the registry lags and still cannot follow.
    pub fn checkpoint(&self) -> Result<(), Fault> {
        self.0.flush_refusals();
        let mut registry = self.0.registry()?;
        let durable = self.0.ledger.health().durable;
        Ok(registry.store.pass(durable)?)
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}

impl Inner {
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&read(&self.snapshot))
    }

    /// Returns the longest life of a key or of an admin token.
    pub(crate) fn key_life(&self) -> Duration {
        read(&self.freshness).key()
    }

    /// Waits for the registry to write to it, brought up to the ledger.
    pub(crate) fn registry(&self) -> Result<MutexGuard<'_, Registry>, Fault> {
        let mut registry = lock(&self.registry);
        if registry.behind {
            self.catch_up(&mut registry)?;
        }
        Ok(registry)
    }

    /// Waits for the registry to read it, as it is.
    pub(crate) fn peek(&self) -> MutexGuard<'_, Registry> {
        lock(&self.registry)
    }

    pub(crate) fn catch_up(&self, registry: &mut Registry) -> Result<(), Fault> {
        let followed = follow::follow(&mut registry.store, &self.ledger)?;
        registry.unspread.extend(followed);
        while let Some(followed) = registry.unspread.front() {
            match followed {
                Followed::Record(record) => self.take_effect(&registry.store, record)?,
                Followed::Snapshot(document) => {
                    let snapshot = Snapshot::compile(document.as_ref().clone()).map_err(Fault::does_not_compile)?;
                    self.put_in_force(Arc::new(snapshot))
                }
            };
            registry.unspread.pop_front();
        }
        registry.behind = false;
        Ok(())
    }
}

/// Records how many people must approve, at each start; that one may act alone is also said in the log.
fn record_policy(ledger: &Ledger, desk: DeskPolicy) -> Result<(), ledger::Unavailable> {
    if desk.is_single_person() {
        tracing::warn!("`desk.approvals` is 0: one officer puts directives and licenses in force alone");
    }
    commit::record_policy(ledger, &Actor::process("config", Role::Root), desk)
}

/// Compiles what is in force; records it if it is not what the last snapshot entry says.
fn in_force(store: &mut Store, ledger: &Ledger, settings: Settings) -> Result<Snapshot, OpenError> {
    let last = store.snapshot()?;
    let document = configured(last.as_ref(), settings.models, settings.aliases, settings.lab);
    let is_new = last.as_ref() != Some(&document);
    let snapshot = Snapshot::compile(document).map_err(OpenError::DoesNotCompile)?;
    if is_new {
        let actor = Actor::process("config", Role::Root);
        let index = commit::record_snapshot(ledger, Act::new(&actor, "config.load"), &snapshot)?;
        store.apply_snapshot(index, snapshot.digest(), snapshot.document())?;
    }
    Ok(snapshot)
}

/// Returns `last` with this configuration: `last` itself if nothing differs, else with the next epoch.
fn configured(
    last: Option<&SnapshotDocument>,
    mut models: Vec<ModelVersion>,
    mut aliases: Vec<Alias>,
    lab: Option<OrganizationId>,
) -> SnapshotDocument {
    models.sort_by(|a, b| a.id.cmp(&b.id));
    aliases.sort_by(|a, b| a.name.cmp(&b.name));
    let mut document = SnapshotDocument {
        version: 1,
        epoch: last.map_or(1, |last| last.epoch),
        lab,
        country_groups: country_groups(last),
        regimes: regimes(last),
        models,
        aliases,
        directives: last.map_or_else(Vec::new, |last| last.directives.clone()),
        licenses: last.map_or_else(Vec::new, |last| last.licenses.clone()),
    };
    if last.is_some_and(|last| *last != document) {
        document.epoch = document.epoch.saturating_add(1);
    }
    document
}

/// Returns the table of this release, unless the last snapshot has one of a later date.
fn country_groups(last: Option<&SnapshotDocument>) -> CountryGroups {
    let bundled = CountryGroups::bundled();
    let last = last.map(|last| &last.country_groups);
    let later = last.filter(|last| last.as_of > bundled.as_of).cloned();
    later.unwrap_or(bundled)
}

/// Returns the regime of this release, unless the last snapshot has a later version of it, and every other.
fn regimes(last: Option<&SnapshotDocument>) -> Vec<Regime> {
    let bundled = Regime::bundled();
    let mut regimes = last.map_or_else(Vec::new, |last| last.regimes.clone());
    let newer = regimes.iter().any(|known| known.id() == bundled.id() && known.version() > bundled.version());
    if !newer {
        regimes.retain(|known| known.id() != bundled.id());
        regimes.push(bundled);
        regimes.sort_by(|a, b| a.id().cmp(b.id()));
    }
    regimes
}

fn load_directory(store: &Store) -> Result<Directory, StoreError> {
    let directory = Directory::default();
    let organizations = store.organizations(&Page::ALL)?;
    let people = store.people(&Page::ALL)?;
    let workloads = store.workloads(&Page::ALL)?;
    let keys = store.keys(None, &Page::ALL)?;
    let channels = store.channels(&Page::ALL)?;
    let sessions = store.session_ends()?;
    let changes = organizations
        .into_iter()
        .map(|body| Change::Organization(Arc::new(body)))
        .chain(people.into_iter().map(|body| Change::Person(Arc::new(body))))
        .chain(workloads.into_iter().map(|body| Change::Workload(Arc::new(body))))
        .chain(keys.into_iter().map(|body| Change::Key(Arc::new(body))))
        .chain(channels.into_iter().map(|body| Change::Channel(Arc::new(body))))
        .chain(sessions.into_iter().map(|body| Change::Session(Arc::new(body))));
    changes.for_each(|change| directory.apply(change));
    Ok(directory)
}

fn load_tokens(store: &Store) -> Result<BTreeMap<KeyId, TokenRecord>, StoreError> {
    let tokens = store.tokens(&Page::ALL)?.into_iter();
    Ok(tokens.map(|token| (token.id.clone(), token)).collect())
}

/// The life of a key or of an admin token when none is asked for, if it may live so long.
pub(crate) const KEY_LIFE: Duration = Duration::from_hours(30 * 24);

/// Returns when a key made now ends, if `asked` is acceptable; `longest` is the longest life of a key.
pub(crate) fn key_end(now: Moment, asked: Option<Moment>, longest: Duration) -> Result<Moment, Fault> {
    let end = asked.unwrap_or_else(|| now.plus(KEY_LIFE.min(longest)));
    if end <= now || end > now.plus(longest) {
        let days = longest.as_secs() / 86_400;
        let detail = format!("must be later than now and at most {days} days ahead, {}", now.plus(longest));
        return Err(Fault::invalid("not_after", detail));
    }
    Ok(end)
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
