//! One round with a witness: submit the latest checkpoint, publish what comes back.

use bytes::Bytes;
use proof::{checkpoint::Checkpoint, note::VerifierKey};

use super::{
    Asking, Latest, Trouble,
    ask::{self, Answer},
};
use crate::{AddCheckpoint, origin_hash};

/// How often a peer may correct what it is thought to know, in one round.
const CORRECTIONS_MAX: usize = 3;

/// What a peer is thought to know.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Known {
    /// The size of the checkpoint it took last; 0 if none, or if it was never asked.
    pub(super) size: u64,
    /// True once it took one in this process's life.
    is_certain: bool,
}

impl Asking {
    /// Gets a checkpoint cosigned, unless it is.
    pub(super) async fn witness(&self, latest: &Latest, known: &mut Known) -> Result<(), Trouble> {
        if known.is_certain && known.size == latest.checkpoint.size {
            return Ok(());
        }
        let lines = self.submit(latest, known).await?;
        self.publish(latest, &lines).await
    }

    /// Submits a checkpoint; returns the lines of the answer once the peer took it.
    pub(super) async fn submit(&self, latest: &Latest, known: &mut Known) -> Result<String, Trouble> {
        for _ in 0..CORRECTIONS_MAX {
            let body = self.request(latest, known.size).await?;
            let media = "text/plain; charset=utf-8";
            let told = ask::post(&self.client, &self.peer.url, "add-checkpoint", media, body).await;
            let told = told.map_err(Trouble::Failed)?;
            match ask::answer(told.status.as_u16(), &told.body) {
                Answer::Taken(lines) => {
                    *known = Known { size: latest.checkpoint.size, is_certain: true };
                    return Ok(lines);
                }
                Answer::Knows(size) if size <= latest.checkpoint.size => known.size = size,
                Answer::Knows(size) => return Err(self.contradicted(latest, Some(size)).await),
                Answer::Inconsistent => return Err(self.contradicted(latest, None).await),
                Answer::Refused(why) => return Err(Trouble::Failed(why)),
            }
        }
        Err(Trouble::Failed("it says again and again that it knows another size".to_owned()))
    }

    async fn request(&self, latest: &Latest, old: u64) -> Result<Bytes, Trouble> {
        let (reader, size) = (self.ledger.reader(), latest.checkpoint.size);
        let proved = tokio::task::spawn_blocking(move || reader.consistency(old, size)).await;
        let proof = match proved {
            Ok(Ok(proof)) => proof,
            Ok(Err(error)) => return Err(Trouble::Failed(format!("the proof could not be made: {error}"))),
            Err(_) => return Err(Trouble::Failed("the proof could not be made".to_owned())),
        };
        Ok(Bytes::from(AddCheckpoint { old, proof, note: latest.note.clone() }.to_body()))
    }

    /// Finds out what a peer knows that does not fit: whether this log's key signed it.
    async fn contradicted(&self, latest: &Latest, size: Option<u64>) -> Trouble {
        let Checkpoint { origin, size: own, .. } = &latest.checkpoint;
        let claim = match size {
            Some(size) => format!("it knows {size} entries, and this log has {own}"),
            None => format!("the checkpoint of {own} entries does not follow from what it knows"),
        };
        let path = format!("{}/checkpoint", origin_hash(origin));
        let shown = ask::get(&self.client, &self.peer.url, &path).await.ok().flatten();
        let key = self.ledger.verifier_key().parse::<VerifierKey>().ok();
        let signed = shown
            .as_ref()
            .zip(key)
            .and_then(|(note, key)| Checkpoint::open(note.as_bytes(), origin, std::slice::from_ref(&key)).ok());
        match (signed, shown) {
            (Some(_), Some(note)) => Trouble::Contradicted(format!(
                "{claim}; this log's key signed what it knows, so the log was rolled back, or its key signs elsewhere: {note}"
            )),
            _ if size.is_some() => Trouble::Contradicted(format!("{claim}, and it does not show what it knows")),
            _ => Trouble::Contradicted(format!("{claim}, which it does not show")),
        }
    }
}
