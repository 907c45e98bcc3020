//! Productions: what is asked to be shown of the record, and that it was.

use proof::{
    entry::Class,
    production::{Disclosure, Selection},
};
use serde::{Deserialize, Serialize};
use terms::{BadId, InstrumentId, KeyId, ModelVersionId, Moment, OrganizationId, PersonId, WorkloadId};

use crate::{Approval, ApprovalAct, ApproverRole, FieldFault, PublicKey};

/// What the log keeps a chain about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Chained {
    Person(PersonId),
    Workload(WorkloadId),
    Key(KeyId),
    Organization(OrganizationId),
    Model(ModelVersionId),
}

impl Chained {
    /// Reads a name as the log spells it.
    pub(crate) fn parse(name: &str) -> Result<Self, FieldFault> {
        const EXAMPLES: &str = "write such as `organization:acme`, `person:ada`, `workload:nightly`, `key:ID` or \
                                `model:mythos-5.0`";
        let (noun, id) = name.split_once(':').unwrap_or_default();
        let read = match noun {
            "person" => id.parse().map(Self::Person),
            "workload" => id.parse().map(Self::Workload),
            "key" => id.parse().map(Self::Key),
            "organization" => id.parse().map(Self::Organization),
            "model" => id.parse().map(Self::Model),
            _ => return Err(FieldFault::new("name", format!("`{name}` names nothing: {EXAMPLES}"))),
        };
        read.map_err(|error: BadId| FieldFault::new("name", error.to_string()))
    }

    fn class(&self) -> Class {
        match self {
            Self::Person(_) | Self::Workload(_) => Class::Subject,
            Self::Key(_) => Class::Key,
            Self::Organization(_) => Class::Organization,
            Self::Model(_) => Class::Model,
        }
    }
}

/// Makes the selection of the calls of `name` that were opened or refused in a time; what is disclosed is put in order.
pub(crate) fn selection(
    name: &str,
    model: Option<&ModelVersionId>,
    (from, to): (Moment, Moment),
    mut disclose: Vec<Disclosure>,
) -> Result<Selection, FieldFault> {
    let chained = Chained::parse(name)?;
    if to <= from {
        let detail = format!("must be later than `from`, {from}: the time between them is empty");
        return Err(FieldFault::new("to", detail));
    }
    disclose.sort_unstable();
    disclose.dedup();
    let millis = |moment: Moment| u64::try_from(moment.as_millis()).unwrap_or(0);
    Ok(Selection {
        class: chained.class(),
        name: name.to_owned(),
        model: model.map(|model| model.as_str().to_owned()),
        from_ms: millis(from),
        to_ms: millis(to),
        disclose,
    })
}

/// A production as it was requested.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Production {
    /// Its id, made by the server.
    pub id: InstrumentId,
    /// Who requested it, as the record names actors.
    pub requester: String,
    /// What is to be shown.
    pub selection: Selection,
    /// For whom and on what authority, in the requester's words.
    pub reason: String,
    /// When it was requested.
    pub requested_at: Moment,
}

/// What the entry says that records a production.
///
/// # Source
///
/// `docs/log-format.md`, section 10.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Custody {
    /// Who had it produced, as the record names actors.
    pub actor: String,
    /// What is shown.
    pub selection: Selection,
    /// By whose signatures; all over this selection, for the same production.
    pub approvals: Vec<Signed>,
}

/// One signature under the act of producing, with all that it takes to check it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// What was signed.
    pub act: ApprovalAct,
    /// Who signed.
    pub approver: PersonId,
    /// In which capacity.
    pub role: ApproverRole,
    /// What verifies the signature.
    pub public_key: PublicKey,
    /// The signature, as in [`Approval::jws`].
    pub jws: String,
}

impl From<&Approval> for Signed {
    fn from(approval: &Approval) -> Self {
        let Approval { act, approver, role, public_key, jws, at: _ } = approval.clone();
        Self { act, approver, role, public_key, jws }
    }
}

impl Custody {
    /// Returns the production that it records: the one that every approval names.
    pub(crate) fn production(&self) -> Option<&InstrumentId> {
        self.approvals.first().map(|approval| &approval.act.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str, from: &str, to: &str) -> Result<Selection, String> {
        let time = (Moment::parse(from).unwrap(), Moment::parse(to).unwrap());
        let disclose = vec![Disclosure::Digests, Disclosure::Facts, Disclosure::Facts];
        selection(name, None, time, disclose).map_err(|fault| fault.field)
    }

    #[test]
    fn a_selection_has_one_spelling_and_reads_back() {
        let made = made("organization:acme", "2026-06-01T00:00:00Z", "2026-06-12T02:00:00+02:00").unwrap();
        let json = serde_json::to_value(&made).unwrap();
        assert_eq!(json["to"], "2026-06-12T00:00:00.000Z");
        assert_eq!(json["disclose"], serde_json::json!(["facts", "digests"]));
        assert_eq!(serde_json::from_value::<Selection>(json).unwrap(), made);
    }

    #[test]
    fn the_class_of_a_chain_is_that_of_its_name() {
        for (name, class) in [
            ("person:ada", Class::Subject),
            ("workload:nightly", Class::Subject),
            ("key:0123", Class::Key),
            ("organization:acme", Class::Organization),
            ("model:mythos-5.0", Class::Model),
        ] {
            assert_eq!(made(name, "2026-06-01T00:00:00Z", "2026-06-02T00:00:00Z").unwrap().class, class);
        }
    }

    #[test]
    fn a_selection_without_time_or_of_nothing_is_refused() {
        let (early, late) = ("2026-06-01T00:00:00Z", "2026-06-02T00:00:00Z");
        assert_eq!(made("person:ada", early, early).unwrap_err(), "to");
        assert_eq!(made("person:ada", late, early).unwrap_err(), "to");
        for name in ["acme", "organization:", "organization:../x", ":", "", "group:x"] {
            assert_eq!(made(name, early, late).unwrap_err(), "name", "{name}");
        }
    }
}
