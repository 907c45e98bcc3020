//! Our own word to others: the transmitter of the Shared Signals Framework.
//!
//! What the record says happened to people, keys and sessions becomes security events for those who act on our word:
//! employers, other laboratories, auditors. [`follow`] reads the record from where it left off and puts what [`tell`] makes
//! of it into the [`queue`] of each stream that may hear of it, by the name that [`subject`] finds. Nothing is lost by a
//! crash: an event stays queued until its receiver has it, and the record is read on from the last entry whose events are
//! queued; an event that is sent twice has the same `jti`. [`push`] delivers, or [`poll`] is asked. [`manage`] is what
//! receivers may ask of their streams, [`operate`] what an operator may.

mod client;
mod follow;
mod http;
mod manage;
mod operate;
mod poll;
mod push;
mod queue;
mod refusal;
mod settings;
mod stream;
mod subject;
mod tell;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::Router;
use control::{Fault, Federation};
use fetch::Client;
use jose::Alg;
use secevent::{Event, SecurityEvent, Subject, stream::Audience};
use terms::Moment;
use tokio::sync::Notify;

pub use self::{
    client::{SsfAccess, SsfClient},
    operate::StreamReport,
    queue::{DeadLetter, QueueFault},
    settings::{Retry, TransmitterSettings},
};
use self::{
    queue::{Queue, Queued},
    refusal::Refusal,
    stream::Stream,
};
use crate::{
    Vault,
    token::{
        TokenService, file,
        keyring::{Keyring, KeyringFault, Rotation},
        limit::Limits,
    },
};

/// A key signs for 90 days and is published a day before, and for a month after: a token has no end, and may be looked at
/// late. RS256 is what every receiver must understand.
///
/// # Source
///
/// CAEP Interoperability Profile 1.0, section 2.6.
const ROTATION: Rotation = Rotation {
    alg: Alg::Rs256,
    every: Duration::from_hours(90 * 24),
    ahead: Duration::from_hours(24),
    after: Duration::from_hours(30 * 24),
};
/// Requests a minute of one receiver.
const REQUESTS_PER_MINUTE: u64 = 3_000;

/// What a transmitter needs of the server around it.
pub struct TransmitterParts {
    /// What happens, and where streams are kept.
    pub federation: Federation,
    /// Whose tokens receivers may show; without it they have secrets.
    pub tokens: Option<TokenService>,
    /// Keeps what receivers call people.
    pub vault: Arc<Vault>,
    /// Pushes; its rule says which hosts may be pushed to.
    pub client: Client,
    /// The folder of signing keys and queues; made if absent, with mode 0700.
    pub data_dir: PathBuf,
    /// How it behaves.
    pub settings: TransmitterSettings,
}

/// The transmitter cannot be opened; nothing would be told.
#[derive(Debug, thiserror::Error)]
pub enum TransmitterFault {
    /// A setting; correct it.
    #[error("the settings of the transmitter cannot be used: {0:?}")]
    Settings(Vec<control::FieldFault>),
    /// The folder.
    #[error("cannot use `{0}`")]
    Folder(String, #[source] std::io::Error),
    /// The signing keys.
    #[error("the signing keys cannot be used")]
    Keys(#[from] KeyringFault),
    /// The queues.
    #[error(transparent)]
    Queue(#[from] QueueFault),
    /// The registry.
    #[error("the streams cannot be read: {0}")]
    Registry(#[from] Fault),
}

/// Tells every registered receiver what happens to whom it may hear of. Cheap to clone; every clone is the same one.
#[derive(Clone)]
pub struct Transmitter(Arc<Inner>);

struct Inner {
    parts: TransmitterParts,
    keyring: Keyring,
    queue: Queue,
    limits: Limits,
    state: Mutex<State>,
    /// Wakes whoever waits for events.
    news: Notify,
}

/// What is known besides what is kept; lost by a restart without harm.
#[derive(Debug, Default)]
struct State {
    /// The entry of the record to go on from, and the one noted on disk.
    next: u64,
    noted: u64,
    /// Streams whose queues are to be looked at.
    stirred: BTreeSet<String>,
    streams: BTreeMap<String, Seen>,
}

/// What is known of one stream since the start.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// When its receiver last gave a sign.
    receiver: Option<Moment>,
    /// When its receiver last asked for a verification.
    verification: Option<Moment>,
    /// When something was last put into its queue.
    queued: Option<Moment>,
    /// Polls that wait.
    waiting: u32,
}

impl Transmitter {
    /// Reads or makes the signing keys and the queues. It answers through [`Transmitter::router`]; what it does of its own
    /// accord is [`Transmitter::run`]. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`TransmitterFault`].
    pub fn open(parts: TransmitterParts) -> Result<Self, TransmitterFault> {
        if let Err(Fault::Invalid(faults)) = parts.settings.check() {
            return Err(TransmitterFault::Settings(faults));
        }
        let folder = &parts.data_dir;
        file::private_folder(folder).map_err(|error| TransmitterFault::Folder(folder.display().to_string(), error))?;
        let keyring = Keyring::open(&folder.join("ssf-keys"), ROTATION, parts.federation.now())?;
        let queue = Queue::open(&folder.join("transmit.db"))?;
        let next = queue.next()?;
        let streams = parts.federation.read(stream::all)?;
        for stopped in streams.iter().filter(|stream| stream.is_disabled()) {
            queue.write(|writing| writing.drop_all(&stopped.id))?;
        }
        let stirred = streams.into_iter().map(|stream| stream.id).collect();
        let state = State { next, noted: next, stirred, streams: BTreeMap::new() };
        let limits = Limits::per_minute(REQUESTS_PER_MINUTE);
        Ok(Self(Arc::new(Inner { parts, keyring, queue, limits, state: Mutex::new(state), news: Notify::new() })))
    }

    /// Returns the routes at which receivers call.
    pub fn router(&self) -> Router {
        http::router(self.clone())
    }

    fn federation(&self) -> &Federation {
        &self.0.parts.federation
    }

    fn vault(&self) -> &Vault {
        &self.0.parts.vault
    }

    fn settings(&self) -> &TransmitterSettings {
        &self.0.parts.settings
    }

    fn queue(&self) -> &Queue {
        &self.0.queue
    }

    fn now(&self) -> Moment {
        self.federation().now()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known of a stream and returns what `change` returns.
    fn seen<T>(&self, stream: &str, change: impl FnOnce(&mut Seen) -> T) -> T {
        change(self.state().streams.entry(stream.to_owned()).or_default())
    }

    /// Has the queue of a stream looked at, and every poll that waits answered if there is something for it.
    fn stir(&self, stream: &str) {
        self.state().stirred.insert(stream.to_owned());
        self.0.news.notify_waiters();
    }

    /// Runs what blocks on the disk where that is allowed.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|_| Err(Refusal::Unavailable("the work was given up".to_owned())))
    }

    /// Makes an event ready for a stream.
    fn queued(&self, to: (&Stream, &SsfClient), name: Named, subject: Subject, event: Event) -> Queued {
        let (stream, client) = to;
        let uri = event.uri();
        let urgent = name.urgent;
        let said = SecurityEvent { jti: name.jti, iat: self.now(), txn: Some(name.txn), subject, events: vec![event] };
        let claims = said.to_claims(&self.settings().base_url, &Audience::One(client.audience.clone()));
        let claims = serde_json::Value::Object(claims).to_string();
        Queued { stream: stream.id.clone(), jti: said.jti, uri, claims, urgent }
    }

    /// Signs the token of an event. The same event makes the same token while the key is the same.
    fn signed(&self, event: &Queued) -> Result<String, Refusal> {
        let unavailable = |why: &dyn std::fmt::Display| Refusal::Unavailable(format!("cannot sign: {why}"));
        let claims: jose::Object = serde_json::from_str(&event.claims).map_err(|error| unavailable(&error))?;
        let key = self.0.keyring.signing(self.now()).map_err(|fault| unavailable(&fault))?;
        key.sign("secevent+jwt", &jose::Object::new(), &claims).map_err(|fault| unavailable(&fault))
    }
}

/// What an event is called.
struct Named {
    jti: String,
    txn: String,
    urgent: bool,
}

impl std::fmt::Debug for Transmitter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transmitter").field("settings", &self.0.parts.settings).finish_non_exhaustive()
    }
}
