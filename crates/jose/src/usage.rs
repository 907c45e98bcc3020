//! The kinds of signed tokens, each pinned to its type: a token of one kind is never taken for another.

use crate::Alg;

/// A kind of token: what its header must say, and which claims it must and must not have.
///
/// # Source
///
/// RFC 8725 sections 3.11 and 3.12 (explicit typing; rules that exclude each other).
#[derive(Debug)]
pub struct Use {
    /// What `typ` may be, without `application/`, in any case.
    pub typ: &'static [&'static str],
    /// Whether `typ` may be missing: kinds older than explicit typing only.
    pub untyped: bool,
    /// What `alg` may be.
    pub algs: &'static [Alg],
    /// Claims without which it is not of this kind.
    pub requires: &'static [&'static str],
    /// Claims with which it is of another kind.
    pub forbids: &'static [&'static str],
    /// Whether `iss` and `sub` must be the same, or must not.
    pub subject: Subject,
    /// The longest token that is read, in bytes.
    pub bytes_max: usize,
}

/// How `sub` stands to `iss`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Subject {
    /// Nothing is asked.
    Any,
    /// The issuer speaks about itself: a client authenticates.
    Issuer,
    /// The issuer speaks about another.
    Other,
}

const KIB: usize = 1024;
const TYPED: Use = Use {
    typ: &[],
    untyped: false,
    algs: Alg::ALL,
    requires: &[],
    forbids: &[],
    subject: Subject::Any,
    bytes_max: 16 * KIB,
};

/// Access tokens. RFC 9068 section 2.
pub const AT_JWT: Use =
    Use { typ: &["at+jwt"], requires: &["iss", "exp", "aud", "sub", "client_id", "iat", "jti"], ..TYPED };

/// Security event tokens. RFC 8417 sections 2.2 and 2.3.
pub const SECEVENT: Use =
    Use { typ: &["secevent+jwt"], requires: &["iss", "iat", "jti", "events"], bytes_max: 64 * KIB, ..TYPED };

/// Proofs of possession. RFC 9449 section 4.2; verified by [`crate::dpop`] with the key in their own header.
pub const DPOP: Use = Use { typ: &["dpop+jwt"], requires: &["jti", "htm", "htu", "iat"], bytes_max: 8 * KIB, ..TYPED };

/// Key bindings of presentations. RFC 9901 section 4.3.
pub const KB_JWT: Use = Use { typ: &["kb+jwt"], requires: &["iat", "aud", "nonce", "sd_hash"], ..TYPED };

/// Credentials with selective disclosure; `vc+sd-jwt` is what earlier drafts called it.
pub const SD_JWT_VC: Use = Use { typ: &["dc+sd-jwt", "vc+sd-jwt"], requires: &["vct"], bytes_max: 256 * KIB, ..TYPED };

/// Token status lists; a list of a million credentials that are half revoked has 170 kB.
pub const STATUS_LIST: Use =
    Use { typ: &["statuslist+jwt"], requires: &["sub", "iat", "status_list"], bytes_max: 2 * KIB * KIB, ..TYPED };

/// Requests for presentations and authorizations. RFC 9101 section 10.8; OpenID4VP 1.0 section 5.
pub const AUTHZ_REQUEST: Use =
    Use { typ: &["oauth-authz-req+jwt"], requires: &["client_id", "response_type"], bytes_max: 64 * KIB, ..TYPED };

/// Assertions by which a client authenticates. RFC 7523 section 3; without the type, as most clients still write it,
/// only if it speaks about its own issuer.
pub const CLIENT_ASSERTION: Use = Use {
    typ: &["client-authentication+jwt", "JWT"],
    untyped: true,
    requires: &["iss", "sub", "aud", "exp", "jti"],
    forbids: &["events"],
    subject: Subject::Issuer,
    ..TYPED
};

/// ID tokens, and what is written like them: an issuer's plain assertion about another. OpenID Connect Core 1.0
/// section 2. A logout token has `events` (Back-Channel Logout 1.0 section 2.4).
pub const ID_TOKEN: Use = Use {
    typ: &["JWT"],
    untyped: true,
    requires: &["iss", "sub", "aud", "exp", "iat"],
    forbids: &["events"],
    subject: Subject::Other,
    ..TYPED
};

/// Assertions of a platform about a workload. RFC 7523 section 3. Written like an ID token: only the issuer, whose keys
/// are asked, tells the two apart.
pub const WORKLOAD_ASSERTION: Use = Use { requires: &["iss", "sub", "aud", "exp"], ..ID_TOKEN };

/// What a service says about the person for whom it calls.
pub const END_USER_ASSERTION: Use =
    Use { typ: &["txntoken+jwt"], requires: &["iss", "sub", "aud", "exp", "iat", "jti"], ..TYPED };

/// What authorizes an identity provider's request to end all that was begun for a user. OAuth 2.0 Global Token Revocation
/// (draft-parecki-oauth-global-token-revocation-06) section 3.
pub const GLOBAL_TOKEN_REVOCATION: Use = Use {
    typ: &["global-token-revocation+jwt"],
    requires: &["iss", "aud", "iat", "exp", "jti"],
    forbids: &["events"],
    ..TYPED
};

/// Acts of approval; their payload travels beside the signature (RFC 7515 appendix F).
pub const APPROVAL: Use = Use {
    typ: &["exeat-approval+jws"],
    algs: &[Alg::EdDsa],
    requires: &["type", "act", "kind", "id", "version", "document_sha256", "valid_until"],
    bytes_max: 4 * KIB,
    ..TYPED
};

/// Tickets, by which a gateway says to the meter of a model server that a call is on record; see [`crate::ticket`].
pub const TICKET: Use = Use {
    typ: &["exeat-ticket+jwt"],
    algs: &[Alg::EdDsa],
    requires: &["iss", "aud", "jti", "sub", "idx", "leaf", "iat", "exp", "hour"],
    bytes_max: 4 * KIB,
    ..TYPED
};

impl Use {
    /// Tells whether `typ` in a header is that of this kind.
    pub(crate) fn accepts_typ(&self, typ: Option<&str>) -> bool {
        match typ {
            None => self.untyped,
            Some(typ) => self.typ.iter().any(|mine| mine.eq_ignore_ascii_case(media_subtype(typ))),
        }
    }
}

/// Cuts off `application/`, which a writer may leave out if no other slash follows (RFC 7515 section 4.1.9).
fn media_subtype(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match (typ.get(..PREFIX.len()), typ.get(PREFIX.len()..)) {
        (Some(head), Some(rest)) if head.eq_ignore_ascii_case(PREFIX) && !rest.contains('/') => rest,
        _ => typ,
    }
}
