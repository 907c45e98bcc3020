//! What the harness has the receiver do: the `drive` hook, as `tests/ssf/README.md` describes it.

use std::path::Path;

use anyhow::{Context, Result, bail};
use control::Federation;
use federation::{Authorization, ClientCredentials, KeySource, Management, Receive, SsfReceiver, register, registered};
use secevent::{Subject, stream::Status};
use serde_json::{Value, json};
use terms::{ChannelId, OrganizationId};

use crate::world::{EMPLOYER, World};

/// One action, with what every action comes with.
#[derive(serde::Deserialize)]
pub(crate) struct Asked {
    action: String,
    issuer: String,
    delivery: String,
    audience: String,
    token_url: String,
    client_id: String,
    client_secret: String,
    status: Option<Status>,
    subject: Option<Subject>,
}

impl World {
    /// Does what is asked; returns when the transmitter has answered.
    pub(crate) async fn drive(&self, asked: &Asked) -> Result<Value> {
        let (receiver, channel) = (&self.receiver, asked.channel()?);
        match asked.action.as_str() {
            "create" => {
                self.listen(asked, &channel).await?;
                let stream = receiver.create_stream(&channel).await?;
                return Ok(json!({ "stream_id": stream.stream_id }));
            }
            "read" => drop(receiver.read_stream(&channel).await?),
            "update" => drop(receiver.update_stream(&channel).await?),
            "replace" => drop(receiver.replace_stream(&channel).await?),
            "delete" => receiver.remove(&channel).await?,
            "read-status" => drop(receiver.read_status(&channel).await?),
            "set-status" => {
                let status = asked.status.context("`status` is missing")?;
                drop(receiver.set_status(&channel, status).await?);
            }
            "verify" => receiver.request_verification(&channel).await?,
            "remove-subject" => {
                let subject = asked.subject.clone().context("`subject` is missing")?;
                receiver.remove_subject(&channel, subject).await?;
            }
            other => bail!("there is no action `{other}`"),
        }
        Ok(json!({}))
    }

    /// Registers the transmitter, unless it is; a stream that could not be made before is asked for again.
    async fn listen(&self, asked: &Asked, channel: &ChannelId) -> Result<()> {
        let settings = asked.settings(channel, &self.secrets)?;
        let federation = self.federation.clone();
        tokio::task::spawn_blocking(move || listen(&federation, &settings)).await?
    }
}

fn listen(federation: &Federation, settings: &SsfReceiver) -> Result<()> {
    if registered(federation)?.iter().any(|known| known.settings == *settings) {
        return Ok(());
    }
    Ok(register(federation, settings)?)
}

impl Asked {
    /// One channel for each transmitter and delivery.
    fn channel(&self) -> Result<ChannelId> {
        let path = self.issuer.rsplit('/').next().unwrap_or_default();
        Ok(ChannelId::parse(&format!("tr{path}-{}", self.delivery))?)
    }

    /// Writes the secrets and returns the settings that name them.
    fn settings(&self, channel: &ChannelId, secrets: &Path) -> Result<SsfReceiver> {
        std::fs::write(secrets.join("client"), &self.client_secret).context("cannot write a secret")?;
        std::fs::write(secrets.join("push"), "Bearer the-token-of-every-push").context("cannot write a secret")?;
        let authorization = Authorization::ClientCredentials(ClientCredentials {
            token_endpoint: self.token_url.clone(),
            client_id: self.client_id.clone(),
            secret: "client".to_owned(),
            scope: Some("ssf.read ssf.manage".to_owned()),
        });
        let delivery = match self.delivery.as_str() {
            "poll" => Receive::Poll { endpoint: None, authorization: None },
            _ => Receive::Push { authorization: Some("push".to_owned()) },
        };
        Ok(SsfReceiver {
            channel: channel.clone(),
            organization: Some(OrganizationId::parse(EMPLOYER)?),
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            keys: KeySource::Discovered,
            delivery,
            management: Some(Management { authorization, events: Vec::new() }),
            stream_id: None,
            tenant: None,
            // The harness asks for verifications itself.
            verify_every_s: 0,
            grace_s: 0,
        })
    }
}
