//! What an operator watches, in the Prometheus text format.

use std::{fmt, sync::atomic::AtomicU64, time::Duration};

use policy::Code;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use proof::entry::{Outcome, Usage};
use terms::ModelVersionId;

use crate::upstream::{EndpointStatus, HealthState};

/// Bounds of latency histograms, in seconds: 0.5 ms to 64 s, doubling.
const SECONDS: [f64; 18] =
    [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// The labels of a call that ended.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(crate) struct CallLabels {
    model: Model,
    outcome: &'static str,
}

impl CallLabels {
    /// Labels a call by the version that served it and by how it ended.
    pub(crate) fn new(model: &ModelVersionId, outcome: Outcome) -> Self {
        Self { model: Model(model.clone()), outcome: outcome.name() }
    }
}

/// A model version as a label.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Model(ModelVersionId);

impl EncodeLabelValue for Model {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        self.0.as_str().encode(encoder)
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct CodeLabels {
    code: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ModelLabels {
    model: Model,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct EndpointLabels {
    model: Model,
    url: String,
}

/// How access tokens are verified. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenChecks {
    /// Signatures that were verified.
    pub(crate) signatures: Counter,
    /// Tokens that their issuer was asked about.
    pub(crate) introspections: Counter,
    /// Uses of tokens that had been verified before.
    pub(crate) remembered: Counter,
}

/// What an operator watches. One per gateway; every worker counts into it without a lock on the common path.
pub(crate) struct Metrics {
    registry: Registry,
    calls: Family<CallLabels, Counter>,
    refusals: Family<CodeLabels, Counter>,
    problems: Family<CodeLabels, Counter>,
    output_tokens: Family<ModelLabels, Counter>,
    duration: Histogram,
    decided_again: Counter,
    recalled: Counter,
    cut_seconds: Histogram,
    tokens: TokenChecks,
    live: Gauge,
    upstream_up: Family<EndpointLabels, Gauge>,
    upstream_in_flight: Family<EndpointLabels, Gauge>,
    upstream_served: Family<EndpointLabels, Gauge>,
    ledger_entries: Gauge<u64, AtomicU64>,
    ledger_queued: Gauge<u64, AtomicU64>,
    ledger_commit_seconds: Gauge<f64, AtomicU64>,
    ledger_available: Gauge,
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
            registry: Registry::with_prefix("exeat"),
            calls: Family::default(),
            refusals: Family::default(),
            problems: Family::default(),
            output_tokens: Family::default(),
            duration: Histogram::new(SECONDS),
            decided_again: Counter::default(),
            recalled: Counter::default(),
            cut_seconds: Histogram::new(SECONDS),
            tokens: TokenChecks::default(),
            live: Gauge::default(),
            upstream_up: Family::default(),
            upstream_in_flight: Family::default(),
            upstream_served: Family::default(),
            ledger_entries: Gauge::default(),
            ledger_queued: Gauge::default(),
            ledger_commit_seconds: Gauge::default(),
            ledger_available: Gauge::default(),
        };
        new.register();
        new
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("calls", "Permitted calls that ended, by outcome", self.calls.clone());
        r.register("refusals", "Calls refused by policy, by code", self.refusals.clone());
        r.register("problems", "Calls that ended without output for another reason, by code", self.problems.clone());
        r.register("output_tokens", "Output tokens the upstream reported", self.output_tokens.clone());
        r.register("call_duration_seconds", "From the permit to the end of the call", self.duration.clone());
        r.register("decided_again", "Live calls decided again because something changed", self.decided_again.clone());
        r.register("recalled", "Live calls recalled", self.recalled.clone());
        r.register("cut_seconds", "From the recall to the last byte of the stream", self.cut_seconds.clone());
        let TokenChecks { signatures, introspections, remembered } = &self.tokens;
        r.register("token_signatures", "Signatures of tokens and assertions that were verified", signatures.clone());
        r.register("token_introspections", "Opaque tokens that an issuer was asked about", introspections.clone());
        r.register("token_remembered", "Uses of tokens that had been verified before", remembered.clone());
        r.register("live_calls", "Calls now live", self.live.clone());
        r.register("upstream_up", "1 if the endpoint is sent calls, 0 while it is left out", self.upstream_up.clone());
        r.register("upstream_in_flight", "Calls the endpoint carries now", self.upstream_in_flight.clone());
        r.register("upstream_served", "Calls the endpoint answered so far", self.upstream_served.clone());
        r.register("ledger_entries", "Entries that are durable", self.ledger_entries.clone());
        r.register("ledger_queued", "Entries that wait for the disk", self.ledger_queued.clone());
        r.register("ledger_commit_seconds", "The time the last commit took", self.ledger_commit_seconds.clone());
        r.register("ledger_available", "1 if the ledger takes entries", self.ledger_available.clone());
    }

    /// Returns where it is counted how access tokens are verified.
    pub(crate) fn tokens(&self) -> TokenChecks {
        self.tokens.clone()
    }

    pub(crate) fn call_ended(&self, labels: &CallLabels, took: Duration, usage: &Usage) {
        self.calls.get_or_create(labels).inc();
        self.duration.observe(took.as_secs_f64());
        if let Some(tokens) = usage.output_tokens {
            self.output_tokens.get_or_create(&ModelLabels { model: labels.model.clone() }).inc_by(tokens);
        }
    }

    pub(crate) fn refused(&self, code: Code) {
        self.refusals.get_or_create(&CodeLabels { code: code.as_str() }).inc();
    }

    pub(crate) fn problem(&self, code: &'static str) {
        self.problems.get_or_create(&CodeLabels { code }).inc();
    }

    pub(crate) fn decided_again(&self, examined: u64, recalled: u64) {
        self.decided_again.inc_by(examined);
        self.recalled.inc_by(recalled);
    }

    pub(crate) fn cut(&self, took: Duration) {
        self.cut_seconds.observe(took.as_secs_f64());
    }

    /// Writes everything, with the state of the moment, in the Prometheus text format.
    pub(crate) fn text(&self, live: usize, ledger: &ledger::Health, upstreams: &[EndpointStatus]) -> String {
        self.watch_upstreams(upstreams);
        self.live.set(count(live as u64));
        self.ledger_entries.set(ledger.durable);
        self.ledger_queued.set(u64::try_from(ledger.queued).unwrap_or(u64::MAX));
        self.ledger_commit_seconds.set(ledger.last_commit.as_secs_f64());
        self.ledger_available.set(i64::from(ledger.unavailable.is_none()));
        let mut text = String::new();
        // Writing into a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// Shows the endpoints that are configured now, and no others.
    fn watch_upstreams(&self, upstreams: &[EndpointStatus]) {
        for family in [&self.upstream_up, &self.upstream_in_flight, &self.upstream_served] {
            family.clear();
        }
        for status in upstreams {
            let labels = EndpointLabels { model: Model(status.model.clone()), url: status.url.clone() };
            self.upstream_up.get_or_create(&labels).set(i64::from(status.state != HealthState::Ejected));
            self.upstream_in_flight.get_or_create(&labels).set(count(status.in_flight as u64));
            self.upstream_served.get_or_create(&labels).set(count(status.served));
        }
    }
}

fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
