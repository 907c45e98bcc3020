//! Why a token was refused, and the code that says so to its transmitter.

use std::fmt;

/// A registered error code, as a recipient answers a push or reports with `setErrs`.
///
/// # Source
/// RFC 8935, section 2.4; OpenID Shared Signals Framework 1.0, section 12 (`invalid_state`).
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request body cannot be parsed as a SET, or its event payload does not conform.
    InvalidRequest,
    /// The key is not known, or the signature was not made with it.
    InvalidKey,
    /// The issuer is not the one of the stream.
    InvalidIssuer,
    /// The audience is not this recipient.
    InvalidAudience,
    /// The transmitter did not authenticate.
    AuthenticationFailed,
    /// The transmitter may not send to this recipient.
    AccessDenied,
    /// The state of a verification event is not the one that was asked for.
    InvalidState,
    /// A code of somebody else's.
    #[serde(untagged)]
    Other(String),
}

impl ErrorCode {
    /// Returns the code as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidKey => "invalid_key",
            Self::InvalidIssuer => "invalid_issuer",
            Self::InvalidAudience => "invalid_audience",
            Self::AuthenticationFailed => "authentication_failed",
            Self::AccessDenied => "access_denied",
            Self::InvalidState => "invalid_state",
            Self::Other(code) => code,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A security event token, or a part of one, is not acceptable.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// The signed envelope is not of this kind: its form, its type, its algorithm, its times.
    #[error("{0}")]
    Envelope(jose::Fault),
    /// No key of the issuer is known by the name that the token gives; the keys may be out of date.
    #[error("the issuer has no key for the token's `kid` and `alg`")]
    UnknownKey,
    /// The signature was not made with the key that the token names.
    #[error("the token's signature does not verify")]
    Signature,
    /// The `iss` is not the one pinned for the stream.
    #[error("the issuer is not that of this stream")]
    Issuer,
    /// The `aud` does not name this recipient.
    #[error("the audience does not name this recipient")]
    Audience,
    /// A claim is missing, of the wrong type, too long or not allowed.
    #[error("claim `{claim}` {what}")]
    Claim {
        /// Which claim.
        claim: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A subject identifier does not conform to its format.
    #[error("subject identifier `{format}`: {what}")]
    Subject {
        /// The format, at most 64 characters.
        format: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A member of the subject that the transmitter calls critical cannot be processed.
    #[error("critical subject member `{0}` cannot be processed here")]
    Critical(String),
    /// The payload of an event does not conform to its type.
    #[error("event `{event}`: {what}")]
    Event {
        /// The type of the event, at most 200 characters.
        event: String,
        /// What is wrong with it, at most 200 characters.
        what: String,
    },
}

impl Fault {
    /// Returns the code that tells the transmitter.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownKey | Self::Signature => ErrorCode::InvalidKey,
            Self::Issuer => ErrorCode::InvalidIssuer,
            Self::Audience => ErrorCode::InvalidAudience,
            Self::Envelope(_) | Self::Claim { .. } | Self::Subject { .. } | Self::Critical(_) | Self::Event { .. } => {
                ErrorCode::InvalidRequest
            }
        }
    }

    pub(crate) fn envelope(fault: jose::Fault) -> Self {
        match fault {
            jose::Fault::UnknownKey => Self::UnknownKey,
            jose::Fault::Signature => Self::Signature,
            other => Self::Envelope(other),
        }
    }

    pub(crate) fn subject(format: &str, what: &'static str) -> Self {
        Self::Subject { format: clip(format, 64), what }
    }

    pub(crate) fn event(event: &str, what: &str) -> Self {
        Self::Event { event: clip(event, 200), what: clip(what, 200) }
    }
}

fn clip(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_written_as_registered_and_a_foreign_one_is_kept() {
        for code in [
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidKey,
            ErrorCode::InvalidIssuer,
            ErrorCode::InvalidAudience,
            ErrorCode::AuthenticationFailed,
            ErrorCode::AccessDenied,
            ErrorCode::InvalidState,
            ErrorCode::Other("jwtParse".to_owned()),
        ] {
            let text = serde_json::to_string(&code).unwrap();
            assert_eq!(text, format!("\"{code}\""));
            assert_eq!(serde_json::from_str::<ErrorCode>(&text).unwrap(), code);
        }
    }

    #[test]
    fn a_long_text_of_the_sender_is_clipped_before_it_is_told_back() {
        let fault = Fault::event(&"e".repeat(900), &"w".repeat(900));
        assert!(fault.to_string().len() < 450, "{fault}");
    }
}
