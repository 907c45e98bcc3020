//! Risk Incident Sharing and Coordination Profile 1.0: accounts.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{caep::CredentialType, typed, written};
use crate::Fault;

pub(super) const BASE: &str = "https://schemas.openid.net/secevent/risc/event-type/";

pub(super) const NAMES: [&str; 14] = [
    "account-credential-change-required",
    "account-purged",
    "account-disabled",
    "account-enabled",
    "identifier-changed",
    "identifier-recycled",
    "credential-compromise",
    "opt-in",
    "opt-out-initiated",
    "opt-out-cancelled",
    "opt-out-effective",
    "recovery-activated",
    "recovery-information-changed",
    "sessions-revoked",
];

/// An event type of RISC.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Risc {
    /// The subject had to change a credential.
    AccountCredentialChangeRequired,
    /// The account is gone for good.
    AccountPurged,
    /// The account was disabled.
    AccountDisabled {
        /// Why, where told.
        reason: Option<DisabledReason>,
    },
    /// The account was enabled.
    AccountEnabled,
    /// The identifier in the subject, the old one, was replaced.
    IdentifierChanged {
        /// The new one, where told.
        new_value: Option<String>,
    },
    /// The identifier in the subject now belongs to somebody else.
    IdentifierRecycled,
    /// A credential of the subject was found compromised.
    CredentialCompromise {
        /// What kind of credential.
        credential_type: CredentialType,
    },
    /// The subject takes part in the exchange of events.
    OptIn,
    /// The subject asked to be left out.
    OptOutInitiated,
    /// The subject took that back.
    OptOutCancelled,
    /// The subject is left out.
    OptOutEffective,
    /// The subject began to recover the account.
    RecoveryActivated,
    /// What the subject can recover the account with changed.
    RecoveryInformationChanged,
    /// Every session of the subject is over; deprecated in favor of CAEP `session-revoked`.
    SessionsRevoked,
}

/// Why an account was disabled.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DisabledReason {
    /// Somebody else had taken it over.
    Hijacking,
    /// It was one of many made at once.
    BulkAccount,
    /// A reason of the transmitter's own.
    #[serde(untagged)]
    Other(String),
}

/// The claims that some types of RISC have.
#[derive(Default, Deserialize, Serialize)]
struct Claims {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<DisabledReason>,
    #[serde(default, rename = "new-value", skip_serializing_if = "Option::is_none")]
    new_value: Option<String>,
}

/// The claim that `credential-compromise` requires.
#[derive(Deserialize, Serialize)]
struct Compromised {
    credential_type: CredentialType,
}

impl Risc {
    pub(super) fn read(name: &str, uri: &str, claims: &Map<String, Value>) -> Result<Option<Self>, Fault> {
        Ok(Some(match name {
            "account-credential-change-required" => Self::AccountCredentialChangeRequired,
            "account-purged" => Self::AccountPurged,
            "account-disabled" => Self::AccountDisabled { reason: typed::<Claims>(uri, claims)?.reason },
            "account-enabled" => Self::AccountEnabled,
            "identifier-changed" => Self::IdentifierChanged { new_value: typed::<Claims>(uri, claims)?.new_value },
            "identifier-recycled" => Self::IdentifierRecycled,
            "credential-compromise" => {
                Self::CredentialCompromise { credential_type: typed::<Compromised>(uri, claims)?.credential_type }
            }
            "opt-in" => Self::OptIn,
            "opt-out-initiated" => Self::OptOutInitiated,
            "opt-out-cancelled" => Self::OptOutCancelled,
            "opt-out-effective" => Self::OptOutEffective,
            "recovery-activated" => Self::RecoveryActivated,
            "recovery-information-changed" => Self::RecoveryInformationChanged,
            "sessions-revoked" => Self::SessionsRevoked,
            _ => return Ok(None),
        }))
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::AccountCredentialChangeRequired => "account-credential-change-required",
            Self::AccountPurged => "account-purged",
            Self::AccountDisabled { .. } => "account-disabled",
            Self::AccountEnabled => "account-enabled",
            Self::IdentifierChanged { .. } => "identifier-changed",
            Self::IdentifierRecycled => "identifier-recycled",
            Self::CredentialCompromise { .. } => "credential-compromise",
            Self::OptIn => "opt-in",
            Self::OptOutInitiated => "opt-out-initiated",
            Self::OptOutCancelled => "opt-out-cancelled",
            Self::OptOutEffective => "opt-out-effective",
            Self::RecoveryActivated => "recovery-activated",
            Self::RecoveryInformationChanged => "recovery-information-changed",
            Self::SessionsRevoked => "sessions-revoked",
        }
    }

    pub(super) fn claims(&self) -> Map<String, Value> {
        match self {
            Self::AccountDisabled { reason } => written(&Claims { reason: reason.clone(), ..Claims::default() }),
            Self::IdentifierChanged { new_value } => {
                written(&Claims { new_value: new_value.clone(), ..Claims::default() })
            }
            Self::CredentialCompromise { credential_type } => {
                written(&Compromised { credential_type: credential_type.clone() })
            }
            _ => Map::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(name: &str, claims: Value) -> Result<Option<Risc>, Fault> {
        Risc::read(name, name, claims.as_object().unwrap())
    }

    #[test]
    fn the_reason_of_a_disabled_account_is_kept_even_if_it_is_not_registered() {
        let reason = |text: &str| match read("account-disabled", json!({"reason": text})).unwrap() {
            Some(Risc::AccountDisabled { reason }) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason("hijacking"), Some(DisabledReason::Hijacking));
        assert_eq!(reason("bulk-account"), Some(DisabledReason::BulkAccount));
        assert_eq!(reason("left the firm"), Some(DisabledReason::Other("left the firm".to_owned())));
    }

    #[test]
    fn a_compromise_must_say_of_what() {
        assert!(read("credential-compromise", json!({})).is_err());
        let phone = read("credential-compromise", json!({"credential_type": "phone-sms"})).unwrap();
        assert_eq!(phone, Some(Risc::CredentialCompromise { credential_type: CredentialType::PhoneSms }));
    }

    #[test]
    fn a_changed_identifier_is_written_with_its_hyphen() {
        let event = Risc::IdentifierChanged { new_value: Some("ada.r@example.com".to_owned()) };
        assert_eq!(Value::Object(event.claims()), json!({"new-value": "ada.r@example.com"}));
    }
}
