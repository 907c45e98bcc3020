//! What may be asked about the stream of a channel, by an operator or of the receiver's own accord.

use control::{Fault, Source};
use secevent::{
    Subject, event,
    stream::{Configuration, Delivery, Metadata, Requested, Status, StreamStatus, StreamSubject, VerificationRequest},
};
use terms::ChannelId;

use super::{
    Receiver,
    manage::{self, ManageFault, Manager},
    settings::{self, Known, Management, Receive, Stream},
};

impl Receiver {
    /// Asks for a verification with a state that nobody can guess. When its echo has come, the channel was alive now.
    ///
    /// # Errors
    ///
    /// [`ManageFault`]; a stream that is gone is forgotten, and made again.
    pub async fn request_verification(&self, channel: &ChannelId) -> Result<(), ManageFault> {
        let (manager, stream_id) = self.managed(channel).await?;
        let state = self.asked().ask(channel, self.federation().now());
        let state = state.map_err(|error| ManageFault::Here(error.to_string()))?;
        let asked = manager.verify(&VerificationRequest { stream_id, state: Some(state) }).await;
        if asked.as_ref().is_err_and(ManageFault::is_gone) {
            self.remember(channel, |stream| stream.stream_id = None).await?;
        }
        asked
    }

    /// Makes a stream as the settings ask for it, and remembers it; returns the one that there is if there is one. A crash
    /// in between leaves a stream that the transmitter has and this server does not know: the next attempt finds it.
    ///
    /// # Errors
    ///
    /// [`ManageFault`]: what was asked may not have been done; ask again.
    pub async fn create_stream(&self, channel: &ChannelId) -> Result<Configuration, ManageFault> {
        // The server makes it of its own accord too, and one channel must not get two.
        let making = self.making(channel);
        let _making = making.lock().await;
        let known = self.settled(channel).await?;
        if known.stream_id().is_some() {
            return self.read_stream(channel).await;
        }
        let manager = self.manager(&known).await?;
        let configuration = manager.create(&self.requested(&known)?, &known.settings.audience).await?;
        let made = configuration.clone();
        self.remember(channel, move |stream| {
            stream.stream_id = Some(made.stream_id.clone());
            stream.poll_endpoint = manage::poll_endpoint(&made).map(ToOwned::to_owned);
            stream.min_verification_s = made.min_verification_interval;
            stream.status = None;
        })
        .await?;
        Ok(configuration)
    }

    /// Reads the configuration of the stream at its transmitter.
    ///
    /// # Errors
    ///
    /// [`ManageFault`]: what was asked may not have been done; ask again.
    pub async fn read_stream(&self, channel: &ChannelId) -> Result<Configuration, ManageFault> {
        let (manager, stream_id) = self.managed(channel).await?;
        manager.read(&stream_id).await
    }

    /// Asks for the event types and the delivery of the settings again; the rest of the stream stays.
    ///
    /// # Errors
    ///
    /// [`ManageFault`]: what was asked may not have been done; ask again.
    pub async fn update_stream(&self, channel: &ChannelId) -> Result<Configuration, ManageFault> {
        let (manager, stream_id) = self.managed(channel).await?;
        let requested = self.requested(&self.settled(channel).await?)?;
        manager.update(&Requested { stream_id: Some(stream_id), ..requested }).await
    }

    /// Replaces the whole stream by what the settings ask for.
    ///
    /// # Errors
    ///
    /// [`ManageFault`]: what was asked may not have been done; ask again.
    pub async fn replace_stream(&self, channel: &ChannelId) -> Result<Configuration, ManageFault> {
        let (manager, stream_id) = self.managed(channel).await?;
        let requested = self.requested(&self.settled(channel).await?)?;
        manager.replace(&Requested { stream_id: Some(stream_id), ..requested }).await
    }

    /// Deletes the stream and forgets it. While the channel is registered and managed, another one is made.
    ///
    /// # Errors
    ///
    /// [`ManageFault`]: what was asked may not have been done; ask again.
    pub async fn delete_stream(&self, channel: &ChannelId) -> Result<(), ManageFault> {
        let (manager, stream_id) = self.managed(channel).await?;
        manager.delete(&stream_id).await?;
        self.remember(channel, |stream| stream.stream_id = None).await
    }

    /// Takes a transmitter back, as [`super::unregister`], and then deletes the stream there if it is managed here.
    ///
    /// # Errors
    ///
    /// [`ManageFault::NotOffered`] if none is registered under this name. Any other: nothing of it is listened to any more,
    /// but the transmitter still has the stream.
    pub async fn remove(&self, channel: &ChannelId) -> Result<(), ManageFault> {
        let known = self.settled(channel).await?;
        let (this, id) = (self.clone(), channel.clone());
        let removed = self.blocking(move || settings::unregister(this.federation(), &id)).await;
        match removed {
            Ok(Ok(()) | Err(Fault::Behind { .. })) => {}
            Ok(Err(fault)) => return Err(ManageFault::Here(fault.to_string())),
            Err(refusal) => return Err(ManageFault::Here(refusal.to_string())),
        }
        match (&known.settings.management, known.stream_id()) {
            (Some(_), Some(stream_id)) => self.manager(&known).await?.delete(stream_id).await,
            _ => Ok(()),
        }
    }

    /// Reads the status of the stream at its transmitter.
    ///
    /// # Errors
    ///
    /// [`ManageFault`]: what was asked may not have been done; ask again.
    pub async fn read_status(&self, channel: &ChannelId) -> Result<StreamStatus, ManageFault> {
        let (manager, stream_id) = self.managed(channel).await?;
        manager.status(&stream_id).await
    }

    /// Has the transmitter pause, stop or run the stream, and remembers what it answers.
    ///
    /// # Errors
    ///
    /// [`ManageFault`]: what was asked may not have been done; ask again.
    pub async fn set_status(&self, channel: &ChannelId, status: Status) -> Result<StreamStatus, ManageFault> {
        let (manager, stream_id) = self.managed(channel).await?;
        let set = manager.set_status(&stream_id, status).await?;
        let status = set.status;
        self.remember(channel, move |stream| stream.status = Some(status)).await?;
        Ok(set)
    }

    /// Adds a subject to the stream.
    ///
    /// # Errors
    ///
    /// [`ManageFault`]: what was asked may not have been done; ask again.
    pub async fn add_subject(&self, channel: &ChannelId, subject: Subject) -> Result<(), ManageFault> {
        let (manager, stream_id) = self.managed(channel).await?;
        manager.add_subject(&StreamSubject { stream_id, subject, verified: Some(true) }).await
    }

    /// Removes a subject from the stream; events about it may still come, and are taken in.
    ///
    /// # Errors
    ///
    /// [`ManageFault`]: what was asked may not have been done; ask again.
    pub async fn remove_subject(&self, channel: &ChannelId, subject: Subject) -> Result<(), ManageFault> {
        let (manager, stream_id) = self.managed(channel).await?;
        manager.remove_subject(&StreamSubject { stream_id, subject, verified: None }).await
    }

    pub(super) async fn settled(&self, channel: &ChannelId) -> Result<Known, ManageFault> {
        let known = self.known(channel).await.map_err(|refusal| ManageFault::Here(refusal.to_string()))?;
        known.ok_or(ManageFault::NotOffered("there is no such transmitter"))
    }

    async fn managed(&self, channel: &ChannelId) -> Result<(Manager, String), ManageFault> {
        let known = self.settled(channel).await?;
        let stream_id = known.stream_id().map(ToOwned::to_owned);
        let stream_id = stream_id.ok_or(ManageFault::NotOffered("there is no stream yet"))?;
        Ok((self.manager(&known).await?, stream_id))
    }

    async fn manager(&self, known: &Known) -> Result<Manager, ManageFault> {
        let management = managed_by(known)?;
        let metadata = self.discover(known).await?;
        let authorization = self.authorization(&known.channel.id, &management.authorization).await?;
        Ok(Manager { receiver: self.clone(), channel: known.channel.id.clone(), metadata, authorization })
    }

    /// Reads what a transmitter says about itself now, and remembers what tokens are judged by.
    pub(super) async fn discover(&self, known: &Known) -> Result<Metadata, ManageFault> {
        let metadata = manage::discover(self.client(), &known.settings.issuer).await?;
        let (keys, critical) = (metadata.jwks_uri.clone(), metadata.critical_subject_members.clone());
        self.remember(&known.channel.id, move |stream| {
            stream.jwks_uri.clone_from(&keys);
            stream.critical.clone_from(&critical);
        })
        .await?;
        Ok(metadata)
    }

    fn requested(&self, known: &Known) -> Result<Requested, ManageFault> {
        let management = managed_by(known)?;
        let events = if management.events.is_empty() { event::types().collect() } else { management.events.clone() };
        let delivery = match &known.settings.delivery {
            Receive::Poll { .. } => Delivery::Poll { endpoint_url: None },
            Receive::Push { authorization } => {
                let secret = authorization.as_ref().map(|name| self.secret(name)).transpose()?;
                Delivery::Push {
                    endpoint_url: format!("{}/ssf/push/{}", self.base_url(), known.channel.id),
                    authorization_header: secret.map(|secret| secret.as_str().to_owned()),
                }
            }
        };
        let description = Some(format!("exeat, channel {}", known.channel.id));
        Ok(Requested { stream_id: None, events_requested: Some(events), delivery: Some(delivery), description })
    }

    /// Changes what is remembered of a stream, durably.
    pub(super) async fn remember(
        &self,
        channel: &ChannelId,
        change: impl Fn(&mut Stream) + Send + 'static,
    ) -> Result<(), ManageFault> {
        let (this, id) = (self.clone(), channel.clone());
        let write = move || {
            let now = this.federation().read(|view| Known::read(view, &id))?;
            let changed = |known: &Known| {
                let mut stream = known.stream.clone();
                change(&mut stream);
                (stream != known.stream).then_some(stream)
            };
            if now.as_ref().and_then(changed).is_none() {
                return Ok(());
            }
            let made = this.federation().commit(&Source::own("channel.stream_changed"), |view| {
                let stream = Known::read(view, &id)?.as_ref().and_then(changed);
                stream.map(|stream| stream.change(&id)).into_iter().collect()
            });
            made.map(drop)
        };
        match self.blocking(write).await {
            Ok(Ok(()) | Err(Fault::Behind { .. })) => Ok(()),
            Ok(Err(fault)) => Err(ManageFault::Here(fault.to_string())),
            Err(refusal) => Err(ManageFault::Here(refusal.to_string())),
        }
    }
}

fn managed_by(known: &Known) -> Result<&Management, ManageFault> {
    known.settings.management.as_ref().ok_or(ManageFault::NotOffered("the stream of this channel is managed by people"))
}
