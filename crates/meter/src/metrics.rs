//! What an operator of a meter watches.

use std::{fmt, sync::atomic::AtomicU64};

use gateway::Used;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use proof::entry::Outcome;
use terms::ModelVersionId;

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct CallLabels {
    model: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct CodeLabels {
    code: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ModelLabels {
    model: String,
}

/// One per meter. Models are those of valid tickets, so nobody without one can make labels.
pub(crate) struct Metrics {
    registry: Registry,
    calls: Family<CallLabels, Counter>,
    refusals: Family<CodeLabels, Counter>,
    input_tokens: Family<ModelLabels, Counter>,
    output_tokens: Family<ModelLabels, Counter>,
    statements: Family<CodeLabels, Counter>,
    live: Gauge,
    entries: Gauge<u64, AtomicU64>,
    available: Gauge,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Registers everything.
    pub(crate) fn new() -> Self {
        let mut new = Self {
            registry: Registry::with_prefix("exeat_meter"),
            calls: Family::default(),
            refusals: Family::default(),
            input_tokens: Family::default(),
            output_tokens: Family::default(),
            statements: Family::default(),
            live: Gauge::default(),
            entries: Gauge::default(),
            available: Gauge::default(),
        };
        let r = &mut new.registry;
        r.register("calls", "Calls that ended, by model and outcome", new.calls.clone());
        r.register("refusals", "Requests refused, by code", new.refusals.clone());
        r.register("input_tokens", "Input tokens the model server reported", new.input_tokens.clone());
        r.register("output_tokens", "Output tokens the model server reported", new.output_tokens.clone());
        r.register("statements", "Reconciliations with a gateway, by result", new.statements.clone());
        r.register("live_calls", "Calls now under way", new.live.clone());
        r.register("ledger_entries", "Entries that are durable", new.entries.clone());
        r.register("ledger_available", "1 if the ledger takes entries", new.available.clone());
        new
    }

    pub(crate) fn ended(&self, model: &ModelVersionId, outcome: Outcome, used: &Used) {
        let model = model.as_str().to_owned();
        self.calls.get_or_create(&CallLabels { model: model.clone(), outcome: outcome.name() }).inc();
        let labels = ModelLabels { model };
        self.input_tokens.get_or_create(&labels).inc_by(used.input_tokens.unwrap_or(0));
        self.output_tokens.get_or_create(&labels).inc_by(used.output_tokens.unwrap_or(0));
    }

    pub(crate) fn refused(&self, code: &'static str) {
        self.refusals.get_or_create(&CodeLabels { code }).inc();
    }

    pub(crate) fn reconciled(&self, agree: bool) {
        self.statements.get_or_create(&CodeLabels { code: if agree { "agree" } else { "differ" } }).inc();
    }

    /// Writes everything in the Prometheus text format.
    pub(crate) fn text(&self, live: usize, ledger: &ledger::Health) -> String {
        self.live.set(i64::try_from(live).unwrap_or(i64::MAX));
        self.entries.set(ledger.durable);
        self.available.set(i64::from(ledger.unavailable.is_none()));
        let mut text = String::new();
        // Writing into a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
