//! The meter's own record: a ticket taken, a call that ended, a request refused.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use gateway::Used;
use jose::ticket::Ticket;
use ledger::{Chain, Draft, Ledger, Pending, Unavailable};
use proof::entry::{Class, Entry, Kind, Outcome, Usage};
use serde_json::json;
use terms::{CallId, Clock, ModelVersionId, Moment};

use crate::{metrics::Metrics, problem::Problem};

/// Refusals that are recorded one by one in a second; more are refused all the same, and counted.
const REFUSALS_PER_SECOND: u32 = 20;

/// The record, and what is counted beside it. Shared by all connections.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) ledger: Ledger,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    refusals: Mutex<Refusals>,
}

/// How much room refusals have in the record: who has no ticket must not be able to fill the disk.
#[derive(Debug, Default)]
struct Refusals {
    second: i64,
    recorded: u32,
    unrecorded: u64,
}

impl Refusals {
    /// Returns how many went unrecorded before this one if this one has room; else counts it.
    fn room(&mut self, now: Moment) -> Option<u64> {
        let second = now.as_millis() / 1_000;
        if self.second != second {
            (self.second, self.recorded) = (second, 0);
        }
        if self.recorded >= REFUSALS_PER_SECOND {
            self.unrecorded += 1;
            return None;
        }
        self.recorded += 1;
        Some(std::mem::take(&mut self.unrecorded))
    }
}

impl Book {
    pub(crate) fn new(ledger: Ledger, clock: Arc<dyn Clock>) -> Self {
        Self { ledger, clock, metrics: Metrics::new(), refusals: Mutex::default() }
    }

    /// Submits that the ticket of a call was taken. The model server may work from here on; nothing it says may leave
    /// before this is durable. The account closes the call whatever happens next.
    ///
    /// The private part is the ticket as it came, so that whoever audits this record sees the gateway's signature.
    pub(crate) fn taken(self: &Arc<Self>, ticket: &Ticket, token: &str) -> Result<(Pending<()>, Account), Unavailable> {
        let mut entry = Entry::new(Kind::Metered);
        entry.call = Some(ticket.call.0);
        entry.model = Some(ticket.model.as_str().to_owned());
        let chains = self.chains(&ticket.model);
        let draft = Draft::new(entry, Bytes::copy_from_slice(token.as_bytes())).on(Arc::clone(&chains));
        let pending = self.ledger.append(draft)?;
        let account = Account {
            book: Arc::clone(self),
            chains,
            call: ticket.call,
            model: ticket.model.clone(),
            opened: Some(pending.index()),
            used: Used::default(),
            bytes: 0,
        };
        Ok((pending, account))
    }

    /// Returns the chain in which the entries about calls of a model version are.
    fn chains(&self, model: &ModelVersionId) -> Arc<[Chain]> {
        Arc::new([self.ledger.chain(Class::Model, &format!("model:{model}"))])
    }

    /// Records that a request was refused, unless too many are just now. `ticket` is what verified of it, if anything.
    pub(crate) fn refused(&self, problem: &Problem, ticket: Option<&Ticket>, peer: IpAddr) {
        self.metrics.refused(problem.code());
        let room = self.refusals.lock().unwrap_or_else(PoisonError::into_inner).room(self.clock.now());
        let Some(unrecorded) = room else { return };
        let call = ticket.map(|ticket| tracing::field::display(ticket.call));
        tracing::warn!(target: "exeat::meter", code = problem.code(), %peer, call, unrecorded, "a request was refused");
        let mut entry = Entry::new(Kind::Metered);
        entry.call = ticket.map(|ticket| ticket.call.0);
        entry.model = ticket.map(|ticket| ticket.model.as_str().to_owned());
        entry.outcome = Some(Outcome::NotServed);
        entry.code = Some(problem.code().to_owned());
        let private = json!({ "peer": peer, "unrecorded": unrecorded }).to_string();
        if let Err(error) = self.ledger.append(Draft::new(entry, private)) {
            tracing::error!(%error, "a refusal could not be recorded");
        }
    }
}

/// The duty to close one call. Dropped without being told more, it closes the call as abandoned by the client.
#[derive(Debug)]
pub(crate) struct Account {
    book: Arc<Book>,
    chains: Arc<[Chain]>,
    call: CallId,
    model: ModelVersionId,
    opened: Option<u64>,
    /// What the model server reported and sent so far.
    pub(crate) used: Used,
    /// Body bytes that were passed back.
    pub(crate) bytes: u64,
}

impl Account {
    /// Submits how the call ended, once; durable before its last event may leave.
    pub(crate) fn close(&mut self, outcome: Outcome, code: Option<String>) -> Result<Option<Pending<()>>, Unavailable> {
        let Some(opened) = self.opened.take() else { return Ok(None) };
        self.book.metrics.ended(&self.model, outcome, &self.used);
        tracing::info!(
            target: "exeat::meter",
            call = %self.call,
            ledger.index = opened,
            gen_ai.response.model = %self.model,
            gen_ai.usage.input_tokens = self.used.input_tokens,
            gen_ai.usage.output_tokens = self.used.output_tokens,
            events = self.used.events,
            outcome = ?outcome,
            code = code.as_deref(),
            "call metered"
        );
        let mut entry = Entry::new(Kind::Close);
        entry.call = Some(self.call.0);
        entry.opened = Some(opened);
        entry.model = Some(self.model.as_str().to_owned());
        entry.outcome = Some(outcome);
        entry.code = code;
        entry.usage = Some(Usage {
            input_tokens: self.used.input_tokens,
            output_tokens: self.used.output_tokens,
            delivered_events: self.used.events,
            delivered_bytes: self.bytes,
        });
        let submit = if outcome == Outcome::ClientGone { Ledger::close } else { Ledger::append };
        let draft = Draft::new(entry, Bytes::new()).on(Arc::clone(&self.chains));
        submit(&self.book.ledger, draft).map(Some)
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Err(error) = self.close(Outcome::ClientGone, None) {
            // The entry that took the ticket is durable or not needed; recovery closes the call as interrupted.
            tracing::error!(call = %self.call, %error, "a call could not be closed in the record");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_takes_a_bounded_part_of_the_record_and_is_counted() {
        let mut refusals = Refusals::default();
        let now = Moment::from_millis(5_000);
        let recorded = (0..1_000).filter(|_| refusals.room(now).is_some()).count();
        assert_eq!(recorded, REFUSALS_PER_SECOND as usize);
        assert_eq!(refusals.room(Moment::from_millis(6_000)), Some(980));
        assert_eq!(refusals.room(Moment::from_millis(6_001)), Some(0));
    }
}
