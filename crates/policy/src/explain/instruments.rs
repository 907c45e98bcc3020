//! Which version of each instrument governs at a moment, and why the others do not.

use serde::Serialize;
use terms::{InstrumentId, KeyId, ModelVersionId, Moment, ProvisionId};

use crate::{
    CallerFacts, CredentialFacts, Directive, Facts, License, Snapshot, Status,
    decide::Inquiry,
    rules::{Tenure, tenure},
};

/// One version of an instrument at one moment.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct InstrumentVersion {
    /// `directive` or `license`.
    pub kind: &'static str,
    /// Its id.
    pub id: InstrumentId,
    /// Its version.
    pub version: u32,
    /// Its status, as its document says.
    pub status: Status,
    /// Since when this version speaks.
    pub status_since: Moment,
    /// True if this is the version that speaks for its instrument at the moment.
    pub governs: bool,
    /// True if it governs and binds or authorizes at the moment.
    pub in_effect: bool,
    /// Why it does, or why not.
    pub why: Force,
    /// From when it binds or authorizes by its own terms.
    pub from: Moment,
    /// Until when, if it ends by its own terms.
    pub until: Option<Moment>,
}

/// Why a version of an instrument is in effect, or is not.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Force {
    /// It governs and is in effect.
    InEffect,
    /// A version with a higher number speaks.
    LaterVersion,
    /// Its own `status_since` has not come.
    NotYetSpeaking,
    /// It governs and was only announced or applied for.
    Pending,
    /// It governs and is suspended.
    Stayed,
    /// It governs and was set aside.
    Vacated,
    /// It governs and was replaced by another instrument.
    Superseded,
    /// It governs and was ended by its issuer.
    Lifted,
    /// It governs, and the moment from which it binds or authorizes has not come.
    NotYetEffective,
    /// It governs, and its time is over.
    Expired,
}

impl Force {
    /// Returns the reason in words.
    #[must_use]
    pub fn as_words(self) -> &'static str {
        match self {
            Self::InEffect => "in effect",
            Self::LaterVersion => "a later version speaks",
            Self::NotYetSpeaking => "does not speak yet",
            Self::Pending => "pending",
            Self::Stayed => "stayed",
            Self::Vacated => "vacated",
            Self::Superseded => "superseded",
            Self::Lifted => "lifted",
            Self::NotYetEffective => "not effective yet",
            Self::Expired => "expired",
        }
    }
}

/// A provision that needs no instrument, and whether it is in force at the moment.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct RuleForce {
    /// The provision.
    pub provision: ProvisionId,
    /// The regime that gives it dates.
    pub regime: InstrumentId,
    /// True if it is in force.
    pub in_force: bool,
}

/// Returns every version of every instrument of a snapshot as it stands at a moment: directives first, each kind in
/// order of id and version.
#[must_use]
pub fn instruments_at(snapshot: &Snapshot, at: Moment) -> Vec<InstrumentVersion> {
    let facts = nobody(at);
    let mut inquiry = Inquiry::begin(snapshot, &facts);
    let document = snapshot.document();
    let directives = document.directives.iter().map(|d| directive(&mut inquiry, d, &document.directives));
    let mut all: Vec<InstrumentVersion> = directives.collect();
    for (place, license) in document.licenses.iter().enumerate() {
        all.push(self::license(&mut inquiry, snapshot, place, license));
    }
    all
}

/// Returns every provision that a regime gives dates to, as it stands at a moment.
pub(super) fn rules_at(snapshot: &Snapshot, at: Moment) -> Vec<RuleForce> {
    let regimes = &snapshot.document().regimes;
    let named = regimes.iter().flat_map(|regime| regime.provisions().map(move |provision| (regime, provision)));
    let state = |(regime, provision): (&crate::Regime, &ProvisionId)| RuleForce {
        provision: provision.clone(),
        regime: regime.id().clone(),
        in_force: regime.is_in_force(provision, at),
    };
    named.map(state).collect()
}

fn directive(inquiry: &mut Inquiry<'_>, directive: &Directive, all: &[Directive]) -> InstrumentVersion {
    let versions = all.iter().filter(|other| other.id() == directive.id());
    let tenure = tenure(directive.version(), versions.map(|other| (other.version(), other.status_since())));
    let governs = inquiry.speaks(&tenure);
    let own = inquiry.is_effective(&tenure, directive);
    let term = Term { from: directive.binds_at(), until: directive.expires_at() };
    InstrumentVersion {
        kind: "directive",
        id: directive.id().clone(),
        version: directive.version(),
        status: directive.status(),
        status_since: directive.status_since(),
        governs,
        in_effect: own,
        why: why(inquiry, &tenure, governs, own, directive.status(), term),
        from: term.from,
        until: term.until,
    }
}

fn license(inquiry: &mut Inquiry<'_>, snapshot: &Snapshot, place: usize, license: &License) -> InstrumentVersion {
    let tenure = snapshot.rules().tenure(place).cloned().unwrap_or_default();
    let governs = inquiry.speaks(&tenure);
    let own = inquiry.is_valid(place, license);
    let term = Term { from: license.valid_from(), until: license.valid_until() };
    InstrumentVersion {
        kind: "license",
        id: license.id().clone(),
        version: license.version(),
        status: license.status(),
        status_since: license.status_since(),
        governs,
        in_effect: own,
        why: why(inquiry, &tenure, governs, own, license.status(), term),
        from: term.from,
        until: term.until,
    }
}

/// From when and until when an instrument is good by its own terms.
#[derive(Clone, Copy)]
struct Term {
    from: Moment,
    until: Option<Moment>,
}

/// Names the first thing that keeps a version from being in effect.
fn why(
    inquiry: &mut Inquiry<'_>,
    tenure: &Tenure,
    governs: bool,
    in_effect: bool,
    status: Status,
    term: Term,
) -> Force {
    match status {
        _ if in_effect => Force::InEffect,
        _ if !governs && inquiry.is_replaced(tenure) => Force::LaterVersion,
        _ if !governs => Force::NotYetSpeaking,
        Status::Pending => Force::Pending,
        Status::Stayed => Force::Stayed,
        Status::Vacated => Force::Vacated,
        Status::Superseded => Force::Superseded,
        Status::Lifted => Force::Lifted,
        Status::InForce if inquiry.is_before(term.from) => Force::NotYetEffective,
        Status::InForce => Force::Expired,
    }
}

/// Facts about no call: instruments are in effect or not whoever asks.
fn nobody(at: Moment) -> Facts {
    let (Ok(id), Ok(model)) = (KeyId::parse("nobody"), ModelVersionId::parse("none")) else {
        unreachable!("both fit the grammar of ids")
    };
    let credential = CredentialFacts { id, expires_at: Moment::MAX, revoked: false, organization: None, end_use: None };
    Facts {
        at,
        model,
        credential,
        caller: CallerFacts::Unbound,
        organizations: Vec::new(),
        consumed: Vec::new(),
        channels: Vec::new(),
    }
}
