//! How a transmitter describes itself.

use serde::{Deserialize, Serialize};

/// The configuration metadata of a transmitter.
///
/// # Source
/// OpenID Shared Signals Framework 1.0, section 7.1.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Metadata {
    /// The version of the specification, such as `1_0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec_version: Option<String>,
    /// The issuer of its tokens.
    pub issuer: String,
    /// Where its keys are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// The methods of delivery, by URI.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delivery_methods_supported: Vec<String>,
    /// Where streams are created, read, changed and deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration_endpoint: Option<String>,
    /// Where the status of a stream is read and changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_endpoint: Option<String>,
    /// Where a subject is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add_subject_endpoint: Option<String>,
    /// Where a subject is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove_subject_endpoint: Option<String>,
    /// Where a verification is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification_endpoint: Option<String>,
    /// The members of a complex subject that a receiver must understand or else not act.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub critical_subject_members: Vec<String>,
    /// How to authorize requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorization_schemes: Vec<AuthorizationScheme>,
    /// Which subjects a new stream has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_subjects: Option<DefaultSubjects>,
}

/// One way to authorize requests to a transmitter.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AuthorizationScheme {
    /// The specification, such as `urn:ietf:rfc:6749`.
    pub spec_urn: String,
}

/// Which subjects a new stream has.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DefaultSubjects {
    /// Every subject that is appropriate.
    All,
    /// None until one is added.
    None,
}

/// Returns where the metadata of `issuer` is, at a well-known name such as `ssf-configuration`.
///
/// `None` if the issuer is not an `https` or `http` URL without query or fragment; whether plain `http` is allowed is for
/// who fetches to say.
///
/// # Source
/// OpenID Shared Signals Framework 1.0, section 7.2: the name is put between host and path, and a `/` at the end is
/// dropped; RFC 8615.
#[must_use]
pub fn well_known(issuer: &str, name: &str) -> Option<String> {
    let (scheme, rest) = issuer.split_once("://")?;
    if !matches!(scheme, "https" | "http") || issuer.contains(['?', '#']) {
        return None;
    }
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = path.strip_suffix('/').unwrap_or(path);
    (!host.is_empty()).then(|| format!("{scheme}://{host}/.well-known/{name}{path}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_well_known_name_goes_between_host_and_path() {
        let at = |issuer| well_known(issuer, "ssf-configuration");
        let told = |text: &str| Some(text.to_owned());
        assert_eq!(at("https://tr.example.com"), told("https://tr.example.com/.well-known/ssf-configuration"));
        assert_eq!(at("https://tr.example.com/"), told("https://tr.example.com/.well-known/ssf-configuration"));
        let issuer1 = told("https://tr.example.com:8443/.well-known/ssf-configuration/issuer1");
        assert_eq!(at("https://tr.example.com:8443/issuer1"), issuer1);
        assert_eq!(at("https://tr.example.com:8443/issuer1/"), issuer1);
        for issuer in ["tr.example.com", "https://", "https://tr.example.com?x=1", "ftp://tr.example.com", "https:///x"]
        {
            assert_eq!(at(issuer), None, "{issuer}");
        }
    }

    #[test]
    fn metadata_needs_an_issuer_and_nothing_else() {
        let least: Metadata = serde_json::from_value(json!({"issuer": "https://tr.example.com"})).unwrap();
        assert_eq!(serde_json::to_value(&least).unwrap(), json!({"issuer": "https://tr.example.com"}));
        assert!(serde_json::from_value::<Metadata>(json!({"jwks_uri": "https://tr.example.com/jwks"})).is_err());
    }

    #[test]
    fn what_a_transmitter_offers_is_read_back_as_written() {
        let text = json!({
            "spec_version": "1_0",
            "issuer": "https://tr.example.com",
            "jwks_uri": "https://tr.example.com/jwks.json",
            "delivery_methods_supported": ["urn:ietf:rfc:8935", "urn:ietf:rfc:8936"],
            "configuration_endpoint": "https://tr.example.com/ssf/mgmt/stream",
            "status_endpoint": "https://tr.example.com/ssf/mgmt/status",
            "add_subject_endpoint": "https://tr.example.com/ssf/mgmt/subject:add",
            "remove_subject_endpoint": "https://tr.example.com/ssf/mgmt/subject:remove",
            "verification_endpoint": "https://tr.example.com/ssf/mgmt/verification",
            "critical_subject_members": ["tenant", "user"],
            "authorization_schemes": [{"spec_urn": "urn:ietf:rfc:6749"}, {"spec_urn": "urn:ietf:rfc:8705"}],
            "default_subjects": "NONE",
        });
        let read: Metadata = serde_json::from_value(text.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), text);
    }
}
