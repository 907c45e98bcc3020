//! Closes every opened call with what came of it, exactly once, whatever happens.

use std::sync::Arc;

use policy::Permit;
use proof::entry::{Entry, Kind, Outcome, Usage};
use terms::{CallId, ModelVersionId, Moment};

use crate::{
    Shared,
    lease::{Live, Recall},
    metrics::CallLabels,
    record::{draft, spelled},
    tally::{Settled, used, used_so_far},
    upstream::Endpoint,
};

/// The duty to close one opened call. Dropped without being told more, it closes the call as abandoned by the client.
#[derive(Debug)]
pub(crate) struct Settlement {
    shared: Arc<Shared>,
    call: CallId,
    subject: [u8; 16],
    model: ModelVersionId,
    began: Moment,
    opened: Option<u64>,
    server: Option<Arc<Endpoint>>,
    live: Option<Arc<Live>>,
    /// What was used so far; kept up to date by whoever relays.
    pub(crate) usage: Usage,
}

impl Settlement {
    /// Takes on the duty for a call that is about to be opened.
    pub(crate) fn new(shared: Arc<Shared>, call: CallId, subject: [u8; 16], permit: &Permit) -> Self {
        let began = shared.clock.now();
        Self {
            shared,
            call,
            subject,
            model: permit.model().clone(),
            began,
            opened: None,
            server: None,
            live: None,
            usage: Usage::default(),
        }
    }

    /// Learns the index of the opening entry.
    pub(crate) fn opened_at(mut self, index: u64) -> Self {
        self.opened = Some(index);
        self
    }

    /// Learns which live call this is, whose use may count under capped licenses.
    pub(crate) fn of_live(&mut self, live: Arc<Live>) {
        self.live = Some(live);
    }

    /// Counts what the call used so far under the capped licenses it runs under; may recall it and others.
    pub(crate) fn charge(&self) {
        if let Some(live) = self.live.as_ref().filter(|live| live.tab.is_open()) {
            self.shared.charge(live, used_so_far(&self.usage));
        }
    }

    /// Learns which endpoint answered, for the operator's log.
    pub(crate) fn served_by(&mut self, endpoint: Arc<Endpoint>) {
        self.server = Some(endpoint);
    }

    /// Returns the index of the opening entry, until the call is closed.
    pub(crate) fn opened(&self) -> Option<u64> {
        self.opened
    }

    /// Closes the call.
    pub(crate) fn close(mut self, outcome: Outcome, code: Option<String>) {
        self.write(outcome, code, None);
    }

    /// Closes the call as cut, with the facts on which it was decided.
    pub(crate) fn cut(mut self, recall: &Recall) {
        self.shared.metrics.cut(recall.at.elapsed());
        self.write(Outcome::Cut, Some(recall.code.to_owned()), Some(recall));
    }

    fn write(&mut self, outcome: Outcome, code: Option<String>, recall: Option<&Recall>) {
        let Some(opened) = self.opened.take() else { return };
        self.observe(outcome, code.as_deref(), opened);
        let mut entry = Entry::new(Kind::Close);
        entry.call = Some(self.call.0);
        entry.opened = Some(opened);
        entry.subject = Some(self.subject);
        entry.model = Some(self.model.as_str().to_owned());
        entry.outcome = Some(outcome);
        entry.code = code;
        entry.usage = Some(self.usage);
        if let Some(recall) = recall {
            entry.snapshot = Some(recall.snapshot);
            entry.basis = Some(spelled(&recall.denied_by));
        }
        let private = recall.map(|recall| recall.facts.clone()).unwrap_or_default();
        let closed = self.shared.ledger.close(draft(entry, private)).map(|pending| pending.index());
        self.settle(outcome, closed.as_ref().ok().copied());
        if let Err(error) = closed {
            // The opening entry is durable; recovery closes the call as interrupted.
            tracing::error!(call = %self.call, %error, "a call could not be closed in the ledger");
        }
    }

    /// Settles what the call used under capped licenses. The closing entry is submitted by now, so whoever counts from
    /// the ledger either finds it there or is told of it here.
    fn settle(&self, outcome: Outcome, index: Option<u64>) {
        if let Some(live) = self.live.as_ref().filter(|live| live.tab.is_open()) {
            let (at, tokens) = (self.shared.clock.now(), used(&self.usage, outcome));
            self.shared.settle(live, Settled { index: index.unwrap_or(u64::MAX), at, tokens });
        }
    }

    fn observe(&self, outcome: Outcome, code: Option<&str>, opened: u64) {
        let took = self.shared.clock.now().since(self.began);
        self.shared.metrics.call_ended(&CallLabels::new(&self.model, outcome), took, &self.usage);
        tracing::info!(
            target: "exeat::call",
            call = %self.call,
            ledger.index = opened,
            gen_ai.response.model = %self.model,
            server.address = self.server.as_ref().map(|server| tracing::field::display(server.url())),
            gen_ai.usage.input_tokens = self.usage.input_tokens,
            gen_ai.usage.output_tokens = self.usage.output_tokens,
            delivered_events = self.usage.delivered_events,
            outcome = ?outcome,
            code,
            duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "call settled"
        );
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        self.write(Outcome::ClientGone, None, None);
    }
}
