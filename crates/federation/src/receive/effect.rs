//! What an event does: the rule for each type, apart from whom it is about and how that is stored.
//!
//! An event is a signal, and a signal only takes away. So nothing here restores an account, adds a statement or makes a
//! key good again; an event that speaks in somebody's favor opens a review, and a person decides.

use secevent::{
    Event,
    event::{
        AssuranceChange, AssuranceNamespace, Caep, Change, ChangeType, Compliance, CredentialChange, CredentialType,
        Direction, Risc, RiskLevel, Scim, Ssf,
    },
};
use serde_json::{Map, Value};
use terms::Assurance;

use super::question;

/// One thing that an event does to whom it is about, within the tenant of the channel that it came through.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Sessions and tokens that began until then are over.
    EndSessions,
    /// The account opens nothing until somebody who may restores it.
    Suspend,
    /// The account opens nothing any more, for good.
    End,
    /// The name that the event used no longer stands for the person.
    Detach,
    /// Keys open nothing any more.
    RevokeKeys(Which),
    /// What the tenant attested and the new values contradict no longer counts.
    Contradict(Map<String, Value>),
    /// What the tenant attested counts only as far as this level of assurance.
    Cap(Assurance),
    /// What the tenant's wallets presented no longer counts.
    DropPresented,
    /// Somebody must look.
    Review(&'static str),
}

/// Which keys of a person.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Which {
    /// Every key.
    All,
    /// Those bound to a certificate.
    Certificate,
}

/// Returns what an event does; nothing for one that is only recorded. Events about a stream do nothing here.
pub(crate) fn effects(event: &Event) -> Vec<Effect> {
    match event {
        Event::Caep(event, _) => caep(event),
        Event::Risc(event, _) => risc(event),
        Event::Scim(event) => scim(event),
        Event::Ssf(_) | Event::Unknown { .. } => Vec::new(),
    }
}

/// Returns the stable verb by which the record shows an event.
pub(crate) fn code(event: &Event) -> &'static str {
    match event {
        Event::Caep(event, _) => caep_code(event),
        Event::Risc(event, _) => risc_code(event),
        Event::Ssf(Ssf::Verification { .. }) => "signal.verification",
        Event::Ssf(Ssf::StreamUpdated { .. }) => "signal.stream_updated",
        Event::Scim(event) => scim_code(event),
        Event::Unknown { .. } => "signal.unknown",
    }
}

fn caep_code(event: &Caep) -> &'static str {
    match event {
        Caep::SessionRevoked => "signal.session_revoked",
        Caep::TokenClaimsChange(_) => "signal.token_claims_change",
        Caep::CredentialChange(_) => "signal.credential_change",
        Caep::AssuranceLevelChange(_) => "signal.assurance_level_change",
        Caep::DeviceComplianceChange(_) => "signal.device_compliance_change",
        Caep::SessionEstablished(_) => "signal.session_established",
        Caep::SessionPresented(_) => "signal.session_presented",
        Caep::RiskLevelChange(_) => "signal.risk_level_change",
    }
}

fn risc_code(event: &Risc) -> &'static str {
    match event {
        Risc::AccountCredentialChangeRequired => "signal.account_credential_change_required",
        Risc::AccountPurged => "signal.account_purged",
        Risc::AccountDisabled { .. } => "signal.account_disabled",
        Risc::AccountEnabled => "signal.account_enabled",
        Risc::IdentifierChanged { .. } => "signal.identifier_changed",
        Risc::IdentifierRecycled => "signal.identifier_recycled",
        Risc::CredentialCompromise { .. } => "signal.credential_compromise",
        Risc::OptIn => "signal.opt_in",
        Risc::OptOutInitiated => "signal.opt_out_initiated",
        Risc::OptOutCancelled => "signal.opt_out_cancelled",
        Risc::OptOutEffective => "signal.opt_out_effective",
        Risc::RecoveryActivated => "signal.recovery_activated",
        Risc::RecoveryInformationChanged => "signal.recovery_information_changed",
        Risc::SessionsRevoked => "signal.sessions_revoked",
    }
}

fn scim_code(event: &Scim) -> &'static str {
    match event {
        Scim::FeedAdd => "signal.scim_feed_add",
        Scim::FeedRemove => "signal.scim_feed_remove",
        Scim::Create(_) => "signal.scim_create",
        Scim::Patch(_) => "signal.scim_patch",
        Scim::Put(_) => "signal.scim_put",
        Scim::Delete => "signal.scim_delete",
        Scim::Activate => "signal.scim_activate",
        Scim::Deactivate => "signal.scim_deactivate",
        Scim::AsyncResponse => "signal.scim_async_response",
    }
}

fn caep(event: &Caep) -> Vec<Effect> {
    match event {
        Caep::SessionRevoked => vec![Effect::EndSessions],
        Caep::TokenClaimsChange(change) => vec![Effect::Contradict(change.claims.clone())],
        Caep::CredentialChange(change) => credential(change),
        Caep::AssuranceLevelChange(change) => assurance(change),
        Caep::DeviceComplianceChange(change) if change.current_status == Compliance::NotCompliant => {
            vec![Effect::Suspend, Effect::Review("a device no longer complies")]
        }
        Caep::RiskLevelChange(change) if change.current_level == RiskLevel::High => {
            vec![Effect::Suspend, Effect::Review("the risk was assessed as high")]
        }
        Caep::DeviceComplianceChange(_)
        | Caep::RiskLevelChange(_)
        | Caep::SessionEstablished(_)
        | Caep::SessionPresented(_) => Vec::new(),
    }
}

/// A credential that is gone ends what was begun with it. Which key was bound to a certificate cannot be told from issuer
/// and serial number, so every key of the person in this tenant that is bound to one goes with it.
fn credential(change: &CredentialChange) -> Vec<Effect> {
    if !matches!(change.change_type, ChangeType::Revoke | ChangeType::Delete) {
        return Vec::new();
    }
    let mut effects = vec![Effect::EndSessions];
    match change.credential_type {
        CredentialType::X509 => effects.push(Effect::RevokeKeys(Which::Certificate)),
        CredentialType::VerifiableCredential => effects.push(Effect::DropPresented),
        _ => {}
    }
    effects
}

/// A level of identity assurance caps what was attested, whichever way it is said to have changed: what is at or below it
/// stays. Any other level that did not rise ends what was begun at the old one.
fn assurance(change: &AssuranceChange) -> Vec<Effect> {
    if change.namespace == AssuranceNamespace::NistIal {
        return vec![Effect::Cap(ial(&change.current_level))];
    }
    match change.change_direction {
        Some(Direction::Increase) => Vec::new(),
        Some(Direction::Decrease) | None => vec![Effect::EndSessions],
    }
}

/// Reads `nist-ial2`, `IAL2` or `2`; what cannot be read is no assurance.
fn ial(level: &str) -> Assurance {
    let lower = level.trim().to_ascii_lowercase();
    let digits = lower.strip_prefix("nist-").unwrap_or(&lower);
    match digits.strip_prefix("ial").unwrap_or(digits) {
        "1" => Assurance::Ial1,
        "2" => Assurance::Ial2,
        "3" => Assurance::Ial3,
        _ => Assurance::None,
    }
}

fn risc(event: &Risc) -> Vec<Effect> {
    match event {
        Risc::SessionsRevoked | Risc::AccountCredentialChangeRequired => vec![Effect::EndSessions],
        Risc::AccountDisabled { .. } => vec![Effect::Suspend],
        Risc::AccountPurged => vec![Effect::End, Effect::RevokeKeys(Which::All)],
        Risc::AccountEnabled => vec![Effect::Review("the account is said to be enabled again")],
        Risc::IdentifierChanged { .. } => vec![Effect::Detach, Effect::Review("an identifier was changed")],
        Risc::IdentifierRecycled => {
            let review = Effect::Review("an identifier now belongs to somebody else");
            vec![Effect::EndSessions, Effect::Detach, review]
        }
        Risc::CredentialCompromise { .. } => vec![Effect::EndSessions, Effect::RevokeKeys(Which::All)],
        Risc::OptOutEffective => unheard_of(),
        Risc::OptIn
        | Risc::OptOutInitiated
        | Risc::OptOutCancelled
        | Risc::RecoveryActivated
        | Risc::RecoveryInformationChanged => Vec::new(),
    }
}

fn scim(event: &Scim) -> Vec<Effect> {
    match event {
        Scim::Deactivate => vec![Effect::Suspend],
        Scim::Delete => vec![Effect::End, Effect::RevokeKeys(Which::All)],
        Scim::Activate => vec![Effect::Review("the account is said to be active again")],
        Scim::Patch(change) => changed(change, change.told()),
        Scim::Create(change @ Change::Full { .. }) | Scim::Put(change @ Change::Full { .. }) => {
            let told = change.told().into_iter().filter(|(name, _)| question::is_comparable(name));
            changed(change, told.collect())
        }
        // A notice of a whole resource names what it has, not what changed.
        Scim::Create(change) | Scim::Put(change) => changed(change, Map::new()),
        Scim::FeedRemove => unheard_of(),
        Scim::FeedAdd | Scim::AsyncResponse => Vec::new(),
    }
}

fn changed(change: &Change, told: Map<String, Value>) -> Vec<Effect> {
    let suspended = change.may_deactivate().then_some(Effect::Suspend);
    let contradicted = (!told.is_empty()).then_some(Effect::Contradict(told));
    suspended.into_iter().chain(contradicted).collect()
}

/// From here on the source says nothing more about this person: what rests on it cannot be kept true.
fn unheard_of() -> Vec<Effect> {
    vec![Effect::Suspend, Effect::Review("the source no longer tells of this person")]
}

#[cfg(test)]
mod tests {
    use secevent::event;
    use serde_json::json;

    use super::*;

    const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type/";
    const RISC: &str = "https://schemas.openid.net/secevent/risc/event-type/";
    const SCIM: &str = "urn:ietf:params:scim:event:";

    fn of(base: &str, name: &str, claims: Value) -> Vec<Effect> {
        effects(&Event::read(&format!("{base}{name}"), claims.as_object().unwrap()).unwrap())
    }

    #[test]
    fn each_event_does_what_the_table_says() {
        let all = Effect::RevokeKeys(Which::All);
        let contradict = |claims: Value| Effect::Contradict(claims.as_object().unwrap().clone());
        let table = [
            (CAEP, "session-revoked", json!({}), vec![Effect::EndSessions]),
            (RISC, "sessions-revoked", json!({}), vec![Effect::EndSessions]),
            (RISC, "account-disabled", json!({"reason": "hijacking"}), vec![Effect::Suspend]),
            (RISC, "account-purged", json!({}), vec![Effect::End, all.clone()]),
            (
                RISC,
                "credential-compromise",
                json!({"credential_type": "password"}),
                vec![Effect::EndSessions, all.clone()],
            ),
            (SCIM, "prov:deactivate", json!({}), vec![Effect::Suspend]),
            (SCIM, "prov:delete", json!({}), vec![Effect::End, all]),
            (SCIM, "prov:put:notice", json!({"attributes": ["active"]}), vec![Effect::Suspend]),
            (SCIM, "prov:put:full", json!({"data": {"active": true, "statusExpires": "2027-01-01"}}), vec![]),
            (
                SCIM,
                "prov:put:full",
                json!({"data": {"title": "engineer", "urn:example:x:User": {"citizenships": ["FR"]}}}),
                vec![contradict(json!({"urn:example:x:User:citizenships": ["FR"]}))],
            ),
            (
                SCIM,
                "prov:patch:notice",
                json!({"attributes": ["active"]}),
                vec![Effect::Suspend, contradict(json!({"active": null}))],
            ),
            (SCIM, "prov:create:notice", json!({"attributes": ["userName"]}), vec![]),
            (CAEP, "session-established", json!({}), vec![]),
            (RISC, "opt-in", json!({}), vec![]),
        ];
        for (base, name, claims, expected) in table {
            assert_eq!(of(base, name, claims), expected, "{name}");
        }
    }

    #[test]
    fn what_speaks_in_somebodys_favor_opens_a_review_and_nothing_else() {
        for (base, name) in [(RISC, "account-enabled"), (SCIM, "prov:activate")] {
            assert!(matches!(of(base, name, json!({})).as_slice(), [Effect::Review(_)]), "{name}");
        }
    }

    #[test]
    fn a_risk_or_a_device_suspends_only_when_it_is_bad() {
        let risk = |level: &str| of(CAEP, "risk-level-change", json!({"principal": "USER", "current_level": level}));
        assert!(risk("HIGH").contains(&Effect::Suspend));
        assert!(risk("MEDIUM").is_empty() && risk("LOW").is_empty());
        let device = |before: &str, now: &str| {
            of(CAEP, "device-compliance-change", json!({"previous_status": before, "current_status": now}))
        };
        assert!(device("compliant", "not-compliant").contains(&Effect::Suspend));
        assert!(device("not-compliant", "compliant").is_empty());
    }

    #[test]
    fn a_credential_takes_with_it_what_was_bound_to_it() {
        let change = |kind: &str, change: &str| {
            of(CAEP, "credential-change", json!({"credential_type": kind, "change_type": change}))
        };
        assert!(change("x509", "revoke").contains(&Effect::RevokeKeys(Which::Certificate)));
        assert!(change("verifiable-credential", "delete").contains(&Effect::DropPresented));
        assert_eq!(change("fido2-roaming", "delete"), [Effect::EndSessions]);
        assert!(change("x509", "create").is_empty() && change("password", "update").is_empty());
    }

    #[test]
    fn a_level_of_identity_assurance_caps_and_what_cannot_be_read_is_none() {
        let level =
            |level: &str| of(CAEP, "assurance-level-change", json!({"namespace": "NIST-IAL", "current_level": level}));
        for (text, cap) in [
            ("nist-ial1", Assurance::Ial1),
            ("IAL2", Assurance::Ial2),
            ("3", Assurance::Ial3),
            ("0", Assurance::None),
            ("superb", Assurance::None),
        ] {
            assert_eq!(level(text), [Effect::Cap(cap)], "{text}");
        }
    }

    #[test]
    fn another_assurance_that_did_not_rise_ends_sessions() {
        let change = |direction: Value| {
            let claims = json!({"namespace": "NIST-AAL", "current_level": "1", "change_direction": direction});
            of(CAEP, "assurance-level-change", claims)
        };
        assert_eq!(change(json!("decrease")), [Effect::EndSessions]);
        assert_eq!(change(Value::Null), [Effect::EndSessions]);
        assert!(change(json!("increase")).is_empty());
    }

    #[test]
    fn no_event_of_any_type_does_more_than_remove_or_ask() {
        // Exhaustive on purpose: whoever adds an effect must say here that it takes away.
        let takes_away = |effect: &Effect| match effect {
            Effect::EndSessions
            | Effect::Suspend
            | Effect::End
            | Effect::Detach
            | Effect::RevokeKeys(_)
            | Effect::Contradict(_)
            | Effect::Cap(_)
            | Effect::DropPresented
            | Effect::Review(_) => true,
        };
        for uri in event::types() {
            let claims = json!({
                "claims": {"nationalities": ["US"]}, "credential_type": "x509", "change_type": "revoke",
                "namespace": "NIST-IAL", "current_level": "LOW", "previous_status": "not-compliant",
                "current_status": "compliant", "principal": "USER", "status": "enabled",
            });
            let claims = match uri.rsplit(':').next() {
                Some("notice") => json!({"attributes": ["active"]}),
                Some("full") => json!({"data": {"active": true}}),
                _ => claims,
            };
            let event = Event::read(&uri, claims.as_object().unwrap()).unwrap();
            assert!(effects(&event).iter().all(takes_away), "{uri}");
        }
    }
}
