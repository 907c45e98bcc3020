//! Continuous Access Evaluation Profile 1.0: sessions, credentials, assurance, devices, risk.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{typed, written};
use crate::Fault;

pub(super) const BASE: &str = "https://schemas.openid.net/secevent/caep/event-type/";

pub(super) const NAMES: [&str; 8] = [
    "session-revoked",
    "token-claims-change",
    "credential-change",
    "assurance-level-change",
    "device-compliance-change",
    "session-established",
    "session-presented",
    "risk-level-change",
];

/// An event type of CAEP.
#[derive(Clone, Debug, PartialEq)]
pub enum Caep {
    /// A session, or every session of the subject, is over.
    SessionRevoked,
    /// Claims in tokens have new values.
    TokenClaimsChange(TokenClaimsChange),
    /// A credential was created, changed, revoked or deleted.
    CredentialChange(CredentialChange),
    /// The assurance of an authentication or an identity changed.
    AssuranceLevelChange(AssuranceChange),
    /// A device began or ceased to comply.
    DeviceComplianceChange(ComplianceChange),
    /// A session began.
    SessionEstablished(SessionEstablished),
    /// A session was seen.
    SessionPresented(SessionPresented),
    /// A risk was assessed anew.
    RiskLevelChange(RiskChange),
}

impl Caep {
    pub(super) fn read(name: &str, uri: &str, claims: &Map<String, Value>) -> Result<Option<Self>, Fault> {
        Ok(Some(match name {
            "session-revoked" => Self::SessionRevoked,
            "token-claims-change" => Self::TokenClaimsChange(TokenClaimsChange::read(uri, claims)?),
            "credential-change" => Self::CredentialChange(typed(uri, claims)?),
            "assurance-level-change" => Self::AssuranceLevelChange(typed(uri, claims)?),
            "device-compliance-change" => Self::DeviceComplianceChange(typed(uri, claims)?),
            "session-established" => Self::SessionEstablished(typed(uri, claims)?),
            "session-presented" => Self::SessionPresented(typed(uri, claims)?),
            "risk-level-change" => Self::RiskLevelChange(typed(uri, claims)?),
            _ => return Ok(None),
        }))
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::SessionRevoked => "session-revoked",
            Self::TokenClaimsChange(_) => "token-claims-change",
            Self::CredentialChange(_) => "credential-change",
            Self::AssuranceLevelChange(_) => "assurance-level-change",
            Self::DeviceComplianceChange(_) => "device-compliance-change",
            Self::SessionEstablished(_) => "session-established",
            Self::SessionPresented(_) => "session-presented",
            Self::RiskLevelChange(_) => "risk-level-change",
        }
    }

    pub(super) fn claims(&self) -> Map<String, Value> {
        match self {
            Self::SessionRevoked => Map::new(),
            Self::TokenClaimsChange(claims) => written(claims),
            Self::CredentialChange(claims) => written(claims),
            Self::AssuranceLevelChange(claims) => written(claims),
            Self::DeviceComplianceChange(claims) => written(claims),
            Self::SessionEstablished(claims) => written(claims),
            Self::SessionPresented(claims) => written(claims),
            Self::RiskLevelChange(claims) => written(claims),
        }
    }
}

/// The claims of a token that have new values.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct TokenClaimsChange {
    /// The new values by name of claim; never empty.
    pub claims: Map<String, Value>,
}

impl TokenClaimsChange {
    fn read(uri: &str, claims: &Map<String, Value>) -> Result<Self, Fault> {
        let change: Self = typed(uri, claims)?;
        if change.claims.is_empty() {
            return Err(Fault::event(uri, "`claims` must name at least one claim"));
        }
        Ok(change)
    }
}

/// A kind of credential.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialType {
    /// A password.
    Password,
    /// A PIN.
    Pin,
    /// A certificate.
    X509,
    /// A FIDO2 authenticator built into a platform.
    Fido2Platform,
    /// A FIDO2 authenticator that is carried.
    Fido2Roaming,
    /// A U2F token.
    FidoU2f,
    /// A verifiable credential.
    VerifiableCredential,
    /// Calls to a telephone.
    PhoneVoice,
    /// Messages to a telephone.
    PhoneSms,
    /// An app.
    App,
    /// A kind agreed between two parties.
    #[serde(untagged)]
    Other(String),
}

/// What became of a credential.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeType {
    /// It was made.
    Create,
    /// It was revoked.
    Revoke,
    /// It was changed.
    Update,
    /// It was deleted.
    Delete,
}

/// A credential that changed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CredentialChange {
    /// What kind it is.
    pub credential_type: CredentialType,
    /// What became of it.
    pub change_type: ChangeType,
    /// What its holder calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub friendly_name: Option<String>,
    /// Who issued the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x509_issuer: Option<String>,
    /// The serial number of the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x509_serial: Option<String>,
    /// The model of the authenticator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fido2_aaguid: Option<String>,
}

/// Which scale a level of assurance is on.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum AssuranceNamespace {
    /// Methods of authentication.
    #[serde(rename = "RFC8176")]
    Rfc8176,
    /// Registered levels.
    #[serde(rename = "RFC6711")]
    Rfc6711,
    /// ISO/IEC 29115.
    #[serde(rename = "ISO-IEC-29115")]
    IsoIec29115,
    /// Identity assurance, NIST SP 800-63A.
    #[serde(rename = "NIST-IAL")]
    NistIal,
    /// Authenticator assurance, NIST SP 800-63B.
    #[serde(rename = "NIST-AAL")]
    NistAal,
    /// Federation assurance, NIST SP 800-63C.
    #[serde(rename = "NIST-FAL")]
    NistFal,
    /// A scale agreed between two parties.
    #[serde(untagged)]
    Other(String),
}

/// Which way an assurance changed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Up.
    Increase,
    /// Down.
    Decrease,
}

/// An assurance that changed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AssuranceChange {
    /// Which scale.
    pub namespace: AssuranceNamespace,
    /// The level now.
    pub current_level: String,
    /// The level before; absent if the transmitter does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_level: Option<String>,
    /// Which way, where told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_direction: Option<Direction>,
}

/// Whether a device complies.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compliance {
    /// It does.
    Compliant,
    /// It does not.
    NotCompliant,
}

/// A device whose compliance changed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ComplianceChange {
    /// What it was before.
    pub previous_status: Compliance,
    /// What it is now.
    pub current_status: Compliance,
}

/// A session that began.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct SessionEstablished {
    /// A fingerprint of the user agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fp_ua: Option<String>,
    /// The authentication context class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// The methods of authentication.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// The session elsewhere that this one belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ext_id: Option<String>,
}

/// A session that was seen.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct SessionPresented {
    /// A fingerprint of the user agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fp_ua: Option<String>,
    /// The session elsewhere that this one belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ext_id: Option<String>,
}

/// How great a risk is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RiskLevel {
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
}

/// A risk that was assessed anew.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RiskChange {
    /// Whose risk: `USER`, `DEVICE`, `SESSION`, `TENANT`, `ORG_UNIT`, `GROUP` or another.
    pub principal: String,
    /// The level now.
    pub current_level: RiskLevel,
    /// The level before; absent if the transmitter does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_level: Option<RiskLevel>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk_reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_kind_of_credential_is_written_as_the_specification_spells_it() {
        for (kind, text) in [
            (CredentialType::X509, "x509"),
            (CredentialType::Fido2Platform, "fido2-platform"),
            (CredentialType::FidoU2f, "fido-u2f"),
            (CredentialType::VerifiableCredential, "verifiable-credential"),
            (CredentialType::PhoneSms, "phone-sms"),
            (CredentialType::Other("smart-card".to_owned()), "smart-card"),
        ] {
            assert_eq!(serde_json::to_value(&kind).unwrap(), json!(text));
            assert_eq!(serde_json::from_value::<CredentialType>(json!(text)).unwrap(), kind);
        }
    }

    #[test]
    fn a_scale_of_assurance_is_known_by_its_name() {
        let read = |text: &str| serde_json::from_value::<AssuranceNamespace>(json!(text)).unwrap();
        assert_eq!(read("NIST-IAL"), AssuranceNamespace::NistIal);
        assert_eq!(read("RFC8176"), AssuranceNamespace::Rfc8176);
        assert_eq!(read("eidas"), AssuranceNamespace::Other("eidas".to_owned()));
    }
}
