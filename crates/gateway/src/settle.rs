//! Closes every opened call with what came of it, exactly once, whatever happens.

use std::{cell::Cell, sync::Arc};

use bytes::Bytes;
use ledger::{Draft, Ledger};
use policy::Permit;
use proof::{
    commit::Field,
    entry::{Entry, Kind, Outcome, Usage, meter_id},
};
use terms::{CallId, ModelVersionId, Moment};

use crate::{
    Problem, Shared,
    closing::{Closing, Submit, Submitted},
    config::Recording,
    delivered::Delivered,
    lease::{Decision, Live, Recall},
    metrics::CallLabels,
    party::Party,
    record::{Durable, spelled, unavailable, with},
    tally::{used, used_so_far},
    upstream::Endpoint,
};

/// The duty to close one opened call. Dropped without being told more, it closes the call as abandoned by the client.
#[derive(Debug)]
pub(crate) struct Settlement {
    shared: Arc<Shared>,
    call: CallId,
    party: Party,
    model: ModelVersionId,
    began: Moment,
    opened: Option<u64>,
    lease: u64,
    server: Option<Arc<Endpoint>>,
    /// The meter of the endpoint that was asked last; whoever waits for its answer may be gone at any moment.
    meter: Cell<Option<[u8; 8]>>,
    live: Option<Arc<Live>>,
    /// What was used so far; kept up to date by whoever relays.
    pub(crate) usage: Usage,
    /// What was delivered so far; kept up to date by whoever relays.
    pub(crate) delivered: Delivered,
    /// What the upstream called its response, once it is known.
    pub(crate) response_id: Option<String>,
}

impl Settlement {
    /// Takes on the duty for a call that is about to be opened and is recorded as `recording` says.
    pub(crate) fn new(shared: Arc<Shared>, call: CallId, party: Party, permit: &Permit, recording: &Recording) -> Self {
        let began = shared.clock.now();
        Self {
            shared,
            call,
            party,
            model: permit.model().clone(),
            began,
            opened: None,
            lease: recording.lease_events,
            server: None,
            meter: Cell::new(None),
            live: None,
            usage: Usage::default(),
            delivered: Delivered::new(recording.content.clone()),
            response_id: None,
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

    /// Learns that the call is sent to an endpoint with the ticket of the meter whose log this is, or without one.
    pub(crate) fn goes_to(&self, meter: Option<&str>) {
        self.meter.set(meter.map(meter_id));
    }

    /// Learns which endpoint answered, for the operator's log.
    pub(crate) fn served_by(&mut self, endpoint: Arc<Endpoint>) {
        self.server = Some(endpoint);
    }

    /// Returns the index of the opening entry and whom it is about, until the call is closed.
    pub(crate) fn opened(&self) -> Option<(u64, &Party)> {
        self.opened.map(|index| (index, &self.party))
    }

    /// Returns true once the closing entry was submitted.
    pub(crate) fn is_closed(&self) -> bool {
        self.opened.is_none()
    }

    /// Returns how many events the opening entry allows.
    pub(crate) fn lease(&self) -> u64 {
        self.lease
    }

    /// Submits an entry that allows `lease` events in all.
    ///
    /// # Errors
    ///
    /// [`Problem::LedgerUnavailable`]: nothing was submitted.
    pub(crate) fn extend(&self, lease: u64) -> Result<Durable, Problem> {
        let mut entry = self.about(Kind::Lease);
        entry.opened = self.opened;
        entry.lease = Some(lease);
        self.shared.ledger.append(self.draft(entry, Bytes::new())).map(Durable::of).map_err(unavailable)
    }

    /// Closes the call before its last event; that may leave once what this returns has come true.
    pub(crate) fn end(&mut self, outcome: Outcome, code: Option<String>) -> Durable {
        let closed = self.write(outcome, code, None, Ledger::append);
        closed.map_or_else(|| Durable::new(async { Err(Problem::LedgerUnavailable) }), Submitted::durable)
    }

    /// Closes the call; nobody waits for it.
    pub(crate) fn close(mut self, outcome: Outcome, code: Option<String>) {
        self.write(outcome, code, None, Ledger::close);
    }

    /// Closes the call as cut, with the decision that cut it, if one did; nobody waits for it.
    pub(crate) fn cut(mut self, recall: &Recall) {
        self.shared.metrics.cut(recall.at.elapsed());
        self.write(Outcome::Cut, Some(recall.code.to_owned()), recall.decision.as_ref(), Ledger::close);
    }

    /// Submits the closing entry, once; `None` if that was done before or the ledger will never take it.
    fn write(
        &mut self,
        outcome: Outcome,
        code: Option<String>,
        decision: Option<&Decision>,
        submit: Submit,
    ) -> Option<Submitted> {
        let opened = self.opened.take()?;
        self.observe(outcome, code.as_deref(), opened);
        self.live.iter().for_each(|live| live.closes());
        let mut entry = self.about(Kind::Close);
        entry.opened = Some(opened);
        entry.outcome = Some(outcome);
        entry.code = code;
        entry.usage = Some(self.usage);
        entry.meter = self.meter.get();
        entry.snapshot = decision.map(|decision| decision.snapshot);
        entry.basis = decision.map(|decision| spelled(&decision.denied_by));
        let facts = decision.map(|decision| decision.facts.clone()).unwrap_or_default();
        let response_id = self.response_id.take().map(|id| (Field::UpstreamId, id.into()));
        let fields = self.delivered.fields(self.call).into_iter().chain(response_id);
        let draft = with(self.draft(entry, facts), fields);
        let live = self.live.clone().filter(|live| live.tab.is_open());
        self.shared.close(Closing { call: self.call, draft, live, tokens: used(&self.usage, outcome) }, submit)
    }

    fn about(&self, kind: Kind) -> Entry {
        Entry {
            call: Some(self.call.0),
            subject: Some(self.party.subject),
            model: Some(self.model.as_str().to_owned()),
            ..Entry::new(kind)
        }
    }

    fn draft(&self, entry: Entry, main: Bytes) -> Draft {
        Draft::new(entry, main).on(Arc::clone(&self.party.chains))
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
        self.write(Outcome::ClientGone, None, None, Ledger::close);
    }
}
