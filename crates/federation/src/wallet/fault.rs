//! Why a wallet or a person is refused, and how they are told.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use control::Fault;
use jose::SigningFault;
use terms::PersonId;
use vc::{
    openid4vp::{PresentationFault, RequestFault, ResponseFault},
    pid::PidFault,
};

use super::{discovery::Undiscovered, lists::ListUnavailable, shelf::ShelfFault};
use crate::token::KeyringFault;

/// Nothing here may be kept by anybody on the way.
pub(super) const NO_STORE: (HeaderName, HeaderValue) = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// Why a presentation cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum WalletFault {
    /// Nothing of this name waits, or no longer.
    #[error("there is no such presentation, or it is over: begin again")]
    Gone,
    /// An answer was taken, is being verified, or there were too many.
    #[error("this presentation takes no further answer: begin again")]
    Closed,
    /// No issuer is registered.
    #[error("credentials of no issuer are taken here: ask the operator")]
    NoIssuer,
    /// The keys of an issuer.
    #[error("{0}")]
    Undiscovered(#[from] Undiscovered),
    /// A credential of nobody in particular.
    #[error("the credential is bound to no key of its holder")]
    Unbound,
    /// There is no such person.
    #[error("there is no person `{0}`")]
    Person(PersonId),
    /// Too many, or no randomness.
    #[error("{0}")]
    Shelf(#[from] ShelfFault),
    /// No signature, or no key.
    #[error("{0}")]
    Signing(#[from] SigningFault),
    /// The request cannot be signed.
    #[error("{0}")]
    Request(#[from] RequestFault),
    /// The answer cannot be read.
    #[error("{0}")]
    Response(#[from] ResponseFault),
    /// In the open where it should be encrypted, or the other way round, or not for this key.
    #[error("the answer is not encrypted as the request asks")]
    Encryption,
    /// The answer to another request.
    #[error("the answer's `state` is not that of the request")]
    State,
    /// What was presented does not count.
    #[error("{0}")]
    Presentation(#[from] PresentationFault),
    /// It establishes nothing.
    #[error("{0}")]
    Pid(#[from] PidFault),
    /// Revoked, suspended, or not on its list.
    #[error("the credential is revoked or suspended by its issuer")]
    Status,
    /// A credential that could never be taken back.
    #[error("the credential has no status and is good for more than a day")]
    Irrevocable,
    /// Nothing that a clearance credential could say is established.
    #[error("nothing is established of where the person stands: attest it first")]
    Unattested,
    /// No proof of the key that a credential is to be bound to.
    #[error("send one `DPoP` header that proves the key to bind the credential to")]
    Proof,
    /// A credential that cannot be issued.
    #[error("{0}")]
    Issue(#[from] vc::sd_jwt_vc::IssueFault),
    /// The keys of our own credentials.
    #[error("{0}")]
    Keyring(#[from] KeyringFault),
    /// The list of its status.
    #[error("{0}")]
    List(#[from] ListUnavailable),
    /// The registry.
    #[error("{0}")]
    Registry(#[from] Fault),
}

impl WalletFault {
    /// Returns the status and the error code of RFC 6749, section 4.1.2.1, or of OpenID4VP, section 8.5.
    pub(super) fn code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Gone | Self::Closed => (StatusCode::NOT_FOUND, "invalid_request"),
            Self::Registry(Fault::Invalid(_)) => (StatusCode::FORBIDDEN, "access_denied"),
            Self::Shelf(_)
            | Self::Signing(_)
            | Self::Keyring(_)
            | Self::List(_)
            | Self::Registry(_)
            | Self::NoIssuer
            | Self::Undiscovered(_) => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
            Self::Status | Self::Irrevocable | Self::Unattested | Self::Person(_) => {
                (StatusCode::FORBIDDEN, "access_denied")
            }
            _ => (StatusCode::BAD_REQUEST, "invalid_request"),
        }
    }
}

impl WalletFault {
    /// Says why in words: what the registry refused by name, too.
    fn description(&self) -> String {
        let Self::Registry(Fault::Invalid(faults)) = self else { return self.to_string() };
        let each = faults.iter().map(|fault| format!("`{}` {}", fault.field, fault.detail));
        each.collect::<Vec<_>>().join("; ")
    }
}

impl IntoResponse for WalletFault {
    fn into_response(self) -> Response {
        let (status, error) = self.code();
        let description = self.description();
        tracing::info!(why = description, error, "a wallet's request was refused");
        let body = serde_json::json!({ "error": error, "error_description": description });
        (status, [NO_STORE], Json(body)).into_response()
    }
}
