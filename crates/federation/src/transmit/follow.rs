//! Reads the record on from where it was left, and looks after what time brings.

use std::{collections::BTreeSet, time::Duration};

use control::{Happening, View};
use secevent::{
    Event, Subject,
    event::Ssf,
    stream::{DefaultSubjects, Status},
};
use terms::{Moment, PersonId};

use super::{
    Named, Transmitter,
    client::{self, SsfClient},
    operate::Stop,
    queue::{Queued, Writing},
    refusal::Refusal,
    stream::{self, Stream},
    subject::{self, Roll},
    tell::{self, About, Telling, Whose},
};

/// Entries that are read at once; each time, reading begins at the start of a segment.
const ENTRIES_AT_ONCE: u64 = 16_384;
/// After how many entries with nothing to tell the place is noted on disk all the same.
const NOTED_EVERY: u64 = 50_000;
/// Attestations whose end is told at once.
const EXPIRED_AT_ONCE: u32 = 256;

/// The streams that something new was put into, and those that take nothing more.
#[derive(Debug, Default)]
struct Put {
    stirred: BTreeSet<String>,
    full: BTreeSet<String>,
}

impl Transmitter {
    /// Queues what the next entries of the record bring, whole or not at all; true if there may be more. Blocks.
    pub(super) fn follow(&self) -> Result<bool, Refusal> {
        let (from, noted) = {
            let state = self.state();
            (state.next, state.noted)
        };
        let (happenings, next) = self.federation().happened(from, ENTRIES_AT_ONCE)?;
        if !happenings.is_empty() || next - noted >= NOTED_EVERY {
            let put = self.0.queue.write(|writing| {
                let put = self.federation().read(|view| Ok(self.put_all(view, writing, &happenings)))??;
                writing.read_up_to(next)?;
                Ok::<_, Refusal>(put)
            })?;
            self.state().noted = next;
            self.settle(put)?;
        }
        self.state().next = next;
        Ok(next - from == ENTRIES_AT_ONCE)
    }

    /// Queues that attestations have expired. Blocks.
    pub(super) fn expire(&self) -> Result<(), Refusal> {
        let now = self.now();
        let due = self.queue().expired(now, EXPIRED_AT_ONCE)?;
        if due.is_empty() {
            return Ok(());
        }
        let put = self.queue().write(|writing| {
            let work = |view: &View<'_>| {
                let mut put = Put::default();
                let streams = self.listening(view)?;
                for (attestation, _) in &due {
                    let told = tell::expiry(view, writing, attestation, now)?;
                    self.put(view, writing, &streams, (&told, now), &mut put)?;
                }
                Ok::<_, Refusal>(put)
            };
            self.federation().read(|view| Ok(work(view)))?
        })?;
        self.settle(put)
    }

    /// Proves unasked that streams work on which nothing was sent for a while, and pauses those whose receivers are gone.
    /// Blocks.
    pub(super) fn look_after(&self) -> Result<(), Refusal> {
        let now = self.now();
        self.queue().write(|writing| writing.forget_acknowledged(now))?;
        let streams = self.federation().read(|view| Ok(self.listening(view)))??;
        for (stream, client) in streams.iter().filter(|(stream, _)| stream.status == Status::Enabled) {
            let seen = self.seen(&stream.id, |seen| {
                seen.receiver.get_or_insert(now);
                *seen
            });
            let quiet = |since: Option<Moment>, limit: Option<u64>| {
                limit.is_some_and(|limit| since.is_none_or(|since| now >= since.plus(Duration::from_secs(limit))))
            };
            if quiet(seen.receiver, self.settings().inactivity_s) {
                let reason = "the receiver gave no sign for too long".to_owned();
                self.stop(&stream.id, &Stop { status: Status::Paused, reason: Some(reason), held: false })?;
            } else if quiet(seen.queued, self.settings().heartbeat_s) && self.queue().waiting(&stream.id)? == 0 {
                self.verify((stream, client), None)?;
            }
        }
        Ok(())
    }

    /// Queues a verification for a stream that is not disabled.
    pub(super) fn verify(&self, to: (&Stream, &SsfClient), state: Option<String>) -> Result<(), Refusal> {
        let name = Named { jti: stream::name()?, txn: stream::name()?, urgent: false };
        let event = self.queued(to, name, own_subject(to.0)?, Event::Ssf(Ssf::Verification { state }));
        self.enqueue(&event)
    }

    /// Queues an event about the stream itself.
    pub(super) fn enqueue(&self, event: &Queued) -> Result<(), Refusal> {
        let now = self.now();
        let taken = self.queue().write(|writing| Ok::<_, Refusal>(writing.push(event, now)?))?;
        if !taken {
            return Err(Refusal::TooMany("the queue of the stream is full: take what is in it first"));
        }
        self.seen(&event.stream, |seen| seen.queued = Some(now));
        self.stir(&event.stream);
        Ok(())
    }

    fn put_all(&self, view: &View<'_>, writing: &Writing<'_>, happenings: &[Happening]) -> Result<Put, Refusal> {
        let mut put = Put::default();
        let streams = self.listening(view)?;
        for happening in happenings {
            let told = tell::tellings(view, writing, happening)?;
            self.put(view, writing, &streams, (&told, happening.at), &mut put)?;
        }
        Ok(put)
    }

    /// Returns every stream that is not disabled, with its receiver.
    fn listening(&self, view: &View<'_>) -> Result<Vec<(Stream, SsfClient)>, Refusal> {
        let mut found = Vec::new();
        for stream in stream::all(view)?.into_iter().filter(|stream| !stream.is_disabled()) {
            let client = client::client(view, &stream.client)?;
            found.extend(client.map(|client| (stream, client)));
        }
        Ok(found)
    }

    /// Puts what is told into the queue of each stream that may hear of it.
    fn put(
        &self,
        view: &View<'_>,
        writing: &Writing<'_>,
        streams: &[(Stream, SsfClient)],
        (told, at): (&[Telling], Moment),
        put: &mut Put,
    ) -> Result<(), Refusal> {
        for telling in told {
            let uri = telling.event.uri();
            for (stream, client) in streams.iter().filter(|(stream, _)| stream.since <= at && stream.delivers(&uri)) {
                let roll = Roll { view, vault: self.vault(), client, stream };
                let Some(subject) = named_on(&roll, telling)? else { continue };
                let event =
                    self.queued((stream, client), self.names(&stream.id, telling), subject, telling.event.clone());
                let taken = writing.push(&event, at)?;
                let set = if taken { &mut put.stirred } else { &mut put.full };
                set.insert(stream.id.clone());
            }
        }
        Ok(())
    }

    /// The same event has the same names whenever it is made again, and nobody without the key of the vault can make
    /// anything of them.
    fn names(&self, stream: &str, telling: &Telling) -> Named {
        let about = match &telling.about {
            About::Person { id, .. } => id.to_string(),
            About::Thing(subject) => subject.to_value().to_string(),
        };
        let key = |purpose: &'static str| move |text: &str| self.vault().term(purpose, text);
        let uri = telling.event.uri();
        let jti = stream::named(&[stream, &telling.mark, &uri, &about], key("ssf.transmitted.jti"));
        let txn = stream::named(&[&telling.cause], key("ssf.transmitted.txn"));
        Named { jti, txn, urgent: false }
    }

    fn settle(&self, put: Put) -> Result<(), Refusal> {
        let now = self.now();
        for stream in &put.stirred {
            self.seen(stream, |seen| seen.queued = Some(now));
            self.stir(stream);
        }
        for stream in &put.full {
            tracing::error!(stream, "the queue of a stream is full: it is disabled");
            let reason = "too much is undelivered: begin again".to_owned();
            self.stop(stream, &Stop { status: Status::Disabled, reason: Some(reason), held: false })?;
        }
        Ok(())
    }
}

/// Returns what whom an event is about is called on a stream; nothing if the stream is not to hear of it.
fn named_on(roll: &Roll<'_>, telling: &Telling) -> Result<Option<Subject>, Refusal> {
    if let (Some(own), Whose::Tenant(tenant)) = (&roll.client.organization, &telling.whose)
        && tenant.as_ref() != Some(own)
    {
        return Ok(None);
    }
    match &telling.about {
        About::Thing(subject) => Ok(Some(subject.clone()).filter(|_| roll.client.subjects == DefaultSubjects::All)),
        About::Person { id, account } => {
            let Some(person) = person(roll, id, telling)? else { return Ok(None) };
            Ok(roll.name(&person, account.as_ref())?)
        }
    }
}

/// Returns a person whom the receiver may hear of. Whoever belongs to its tenant may have ceased to by now.
fn person(roll: &Roll<'_>, id: &PersonId, telling: &Telling) -> Result<Option<terms::Person>, Refusal> {
    let person = roll.view.person(id)?;
    let belongs = telling.whose != Whose::Anybody;
    Ok(person.filter(|person| belongs || subject::is_visible(roll.client, person)))
}

/// Returns the subject of events about a stream.
///
/// # Source
///
/// OpenID Shared Signals Framework 1.0, section 8.1.4.1.
pub(super) fn own_subject(stream: &Stream) -> Result<Subject, Refusal> {
    let subject = serde_json::json!({"format": "opaque", "id": stream.id});
    Subject::read(&subject).map_err(|fault| Refusal::Unavailable(fault.to_string()))
}
