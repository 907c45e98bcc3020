//! What an operator may ask about streams, and how they stop and run again.

use control::{Fault, Source};
use secevent::{
    Event,
    event::Ssf,
    stream::{Configuration, Status, StreamStatus},
};

use super::{
    Named, Transmitter,
    client::{self, SsfClient},
    follow,
    queue::{DeadLetter, Queued},
    refusal::Refusal,
    stream::{self, Stream},
    subject,
};

/// One stream, for an operator.
#[derive(Clone)]
pub struct StreamReport {
    /// What its receiver asked for.
    pub configuration: Configuration,
    /// Whether it runs, and why not.
    pub status: StreamStatus,
    /// Events that are still to be delivered.
    pub waiting: u64,
    /// Events that its receiver refused; they are tried again when the stream is enabled.
    pub dead: Vec<DeadLetter>,
}

/// A change of a stream's status on our own account.
pub(super) struct Stop {
    pub(super) status: Status,
    pub(super) reason: Option<String>,
    /// True if its receiver cannot undo it.
    pub(super) held: bool,
}

impl Transmitter {
    /// Returns every stream with what is undelivered, in order of id. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`Fault::Store`] or [`Fault::Conflict`] if that cannot be read.
    pub fn streams(&self) -> Result<Vec<StreamReport>, Fault> {
        let streams = self.federation().read(|view| {
            let all = stream::all(view)?.into_iter();
            let with_client = all.map(|stream| Ok((client::client(view, &stream.client)?, stream)));
            with_client.collect::<Result<Vec<_>, Fault>>()
        })?;
        let known = streams.into_iter().filter_map(|(client, stream)| Some((client?, stream)));
        known.map(|(client, stream)| self.report(&client, &stream)).collect()
    }

    /// Pauses, disables or enables a stream on the operator's account, and tells its receiver before. What an operator
    /// stopped, only an operator lets run again. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`Fault::NotFound`] if there is no such stream; [`Fault::Conflict`] if it cannot be done now.
    pub fn set_status(&self, stream: &str, status: Status, reason: Option<&str>) -> Result<(), Fault> {
        let reason = reason.map(|reason| reason.chars().take(256).collect());
        let stop = Stop { status, reason, held: status != Status::Enabled };
        self.stop(stream, &stop).map(drop).map_err(|refusal| match refusal {
            Refusal::NotFound => Fault::NotFound { what: "stream", id: stream.to_owned() },
            Refusal::Unavailable(why) => Fault::Conflict(why),
            other => Fault::Conflict(other.to_string()),
        })
    }

    /// Changes a status on our own account: first the announcement is queued, then the change is made. Blocks.
    ///
    /// A crash in between leaves a stream that runs although it was said to stop; its receiver sees so when it asks.
    ///
    /// # Source
    ///
    /// OpenID Shared Signals Framework 1.0, section 8.1.5.
    pub(super) fn stop(&self, id: &str, stop: &Stop) -> Result<(), Refusal> {
        let announcement = self.announcement(id, stop)?;
        self.enqueue(&announcement)?;
        let made = self.change_status(id, |stream| {
            stream.status = stop.status;
            stream.reason.clone_from(&stop.reason);
            stream.held = stop.held;
            Ok(())
        });
        if made.is_err() {
            let (jti, now) = (std::slice::from_ref(&announcement.jti), self.now());
            self.queue().write(|writing| writing.acknowledge(id, jti, now))?;
        }
        made.map(drop)
    }

    fn announcement(&self, id: &str, stop: &Stop) -> Result<Queued, Refusal> {
        let (stream, client) = self.stream_and_client(id)?;
        let event = Event::Ssf(Ssf::StreamUpdated { status: stop.status, reason: stop.reason.clone() });
        let name = Named { jti: stream::name()?, txn: stream::name()?, urgent: true };
        Ok(self.queued((&stream, &client), name, follow::own_subject(&stream)?, event))
    }

    /// Changes a stream durably, and its queue with it: what is disabled drops what it holds, what runs again tries again
    /// what was refused. Blocks.
    pub(super) fn change_status(
        &self,
        id: &str,
        change: impl FnOnce(&mut Stream) -> Result<(), Refusal>,
    ) -> Result<Stream, Refusal> {
        let changed = self.change_stream("ssf.stream_status", id, |stream, now| {
            let was_disabled = stream.is_disabled();
            change(stream)?;
            if was_disabled && !stream.is_disabled() {
                stream.since = now;
            }
            Ok(())
        })?;
        match changed.status {
            Status::Disabled => self.queue().write(|writing| writing.drop_all(id))?,
            Status::Enabled => self.queue().write(|writing| writing.try_again(id))?,
            Status::Paused => {}
        }
        self.stir(id);
        Ok(changed)
    }

    /// Changes a stream durably. Blocks.
    pub(super) fn change_stream(
        &self,
        code: &'static str,
        id: &str,
        change: impl FnOnce(&mut Stream, terms::Moment) -> Result<(), Refusal>,
    ) -> Result<Stream, Refusal> {
        let mut changed = Err(Refusal::NotFound);
        let made = self.federation().commit(&Source::own(code), |view| {
            let Some(mut stream) = stream::read(view, id)? else {
                return Err(Fault::NotFound { what: "stream", id: id.to_owned() });
            };
            match change(&mut stream, view.now()) {
                Ok(()) => {
                    let document = stream.change()?;
                    changed = Ok(stream);
                    Ok(vec![document])
                }
                Err(refusal) => {
                    changed = Err(refusal);
                    Err(Fault::Conflict("refused".to_owned()))
                }
            }
        });
        match (changed, made) {
            (Err(refusal), _) => Err(refusal),
            (Ok(stream), Ok(_) | Err(Fault::Behind { .. })) => Ok(stream),
            (Ok(_), Err(fault)) => Err(fault.into()),
        }
    }

    /// Forgets a stream with its subjects and what it holds. Blocks.
    pub(super) fn drop_stream(&self, id: &str) -> Result<(), Refusal> {
        let (stream, _) = self.stream_and_client(id)?;
        let federation = self.federation();
        // First it is gone, so that nothing more is put into its queue; its subjects follow in as many commits as it takes.
        federation.commit(&Source::own("ssf.stream_delete"), |_| Ok(vec![stream.gone()]))?;
        loop {
            let mut some = federation.read(|view| subject::forget(view, id))?;
            some.truncate(SUBJECTS_AT_ONCE);
            if some.is_empty() {
                break;
            }
            federation.commit(&Source::own("ssf.stream_delete"), |_| Ok(some))?;
        }
        self.queue().write(|writing| {
            writing.remove(id)?;
            stream.secret().map_or(Ok(()), |name| writing.forget_push_secret(name))
        })?;
        self.state().streams.remove(id);
        self.stir(id);
        Ok(())
    }

    /// Returns a stream and whose it is. Blocks.
    pub(super) fn stream_and_client(&self, id: &str) -> Result<(Stream, SsfClient), Refusal> {
        self.federation().read(|view| {
            let Some(stream) = stream::read(view, id)? else { return Ok(Err(Refusal::NotFound)) };
            let client = client::client(view, &stream.client)?;
            Ok(client.map(|client| (stream, client)).ok_or(Refusal::NotFound))
        })?
    }

    fn report(&self, client: &SsfClient, stream: &Stream) -> Result<StreamReport, Fault> {
        let unreadable = |fault: super::QueueFault| Fault::Conflict(fault.to_string());
        Ok(StreamReport {
            configuration: stream.configuration(client, self.settings()),
            status: stream.told_status(),
            waiting: self.queue().waiting(&stream.id).map_err(unreadable)?,
            dead: self.queue().dead(&stream.id).map_err(unreadable)?,
        })
    }
}

/// Subjects that are forgotten in one commit.
const SUBJECTS_AT_ONCE: usize = 256;
