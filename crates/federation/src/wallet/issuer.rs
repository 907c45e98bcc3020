//! Whose credentials are taken: issuers that an operator trusts, kept as documents.

use control::{Document, Fault, FederatedChange, FieldFault, Source, View};
use fetch::Url;
use jose::{Jwks, Roots};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use terms::{Channel, IssuerId};
use vc::{
    claim_path::ClaimPath,
    dcql::{ClaimQuery, CredentialQuery, Format, Meta, Query},
    pid,
    sd_jwt_vc::SdJwtVc,
    trust::Trust,
};

use super::{
    Wallet,
    discovery::Undiscovered,
    evidence::{channels_of, read_stored, stored},
    names::{ISSUERS, NATIONALITIES, PID_QUERY},
};

/// Issuers that may be registered: one for each country, and some.
const MAX_ISSUERS: usize = 64;
/// Types of credentials of one issuer.
const MAX_TYPES: usize = 16;
/// The longest `iss`, in bytes.
const MAX_ISS: usize = 512;
/// Certificate authorities of one issuer.
const MAX_ROOTS: usize = 16;

/// Whose credentials are taken, and by what their signatures are known. What they are believed about is the trust list's.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialIssuer {
    /// What the trust list calls them.
    pub id: IssuerId,
    /// The `iss` of their credentials, exactly; absent where their certificates alone say who they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// The types of person identification data that they issue, such as `urn:eudi:pid:1`; 1 to 16.
    pub vct_values: Vec<String>,
    /// By what their credentials and their status lists are known.
    pub keys: CredentialKeys,
}

/// By what the credentials of an issuer are known.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKeys {
    /// By the keys that its metadata at `/.well-known/jwt-vc-issuer` names.
    Discovered,
    /// By these keys, a JWK set.
    Given(Value),
    /// By certificate authorities, 1 to 16 certificates in PEM: each credential brings its chain to one of them.
    Roots(String),
}

impl CredentialIssuer {
    /// Says whether a credential that verified by its keys is one that it may issue.
    pub(super) fn issues(&self, credential: &SdJwtVc) -> bool {
        self.speaks_as(credential.iss.as_deref()) && self.vct_values.contains(&credential.vct)
    }

    /// Says whether a credential with this `iss` may be of this issuer.
    pub(super) fn speaks_as(&self, iss: Option<&str>) -> bool {
        self.iss.is_none() || self.iss.as_deref() == iss
    }

    /// Says whether its keys are asked for, and may change.
    pub(super) fn is_discovered(&self) -> bool {
        self.keys == CredentialKeys::Discovered
    }

    /// Returns the keys that need not be asked for; `None` if they must be discovered.
    fn known_trust(&self) -> Result<Option<Trust>, Fault> {
        match &self.keys {
            CredentialKeys::Discovered => Ok(None),
            CredentialKeys::Given(set) => Ok(Some(Trust::Keys(given(set)?))),
            CredentialKeys::Roots(pem) => Ok(Some(Trust::Roots(roots(pem)?))),
        }
    }

    fn check(&self) -> Result<(), Fault> {
        let types = &self.vct_values;
        if !(1..=MAX_TYPES).contains(&types.len()) || !types.iter().all(|vct| pid::is_pid(vct)) {
            return Err(invalid("vct_values", "must be 1 to 16 types such as `urn:eudi:pid:1` or `urn:eudi:pid:de:1`"));
        }
        if self.iss.as_ref().is_some_and(|iss| !(1..=MAX_ISS).contains(&iss.len())) {
            return Err(invalid("iss", "must be 1 to 512 bytes"));
        }
        let url = self.iss.as_deref().map(Url::parse);
        match (&self.keys, url) {
            (CredentialKeys::Discovered, None | Some(Err(_))) => {
                Err(invalid("iss", "must be a URL for its keys to be discovered"))
            }
            (CredentialKeys::Given(_), None) => Err(invalid("iss", "must be given with keys")),
            _ => self.known_trust().map(drop),
        }
    }
}

impl Wallet {
    /// Takes credentials of an issuer from now on, or changes what is settled about one. Blocks on the disk.
    ///
    /// Channels of it that were turned off are turned on again: this is an operator's act.
    ///
    /// # Errors
    ///
    /// [`Fault::Invalid`] names the setting that is wrong; otherwise those of [`control::Federation::commit`].
    pub fn set_issuer(&self, issuer: &CredentialIssuer) -> Result<(), Fault> {
        issuer.check()?;
        let commit = self.federation().commit(&Source::own("wallet.set_issuer"), |view| {
            let others = all(view)?.into_iter().filter(|other| other.id != issuer.id);
            if others.count() >= MAX_ISSUERS {
                return Err(invalid("id", "there are 64 issuers already: remove one first"));
            }
            let (collection, id) = (ISSUERS.to_owned(), issuer.id.to_string());
            let document = Document { collection, id, owner: None, terms: Vec::new(), body: stored(issuer)? };
            Ok([vec![FederatedChange::Document(document)], switched(view, &issuer.id, true)?].concat())
        });
        commit.map(drop)
    }

    /// Returns every issuer whose credentials are taken, in order of id. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`Fault::Store`].
    pub fn issuers(&self) -> Result<Vec<CredentialIssuer>, Fault> {
        self.federation().read(all)
    }

    /// Takes no more credentials of an issuer. What rests on them counts no longer, and live calls are decided again
    /// before this returns. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`Fault::NotFound`]; otherwise those of [`control::Federation::commit`].
    pub fn remove_issuer(&self, id: &IssuerId) -> Result<(), Fault> {
        let commit = self.federation().commit(&Source::own("wallet.remove_issuer"), |view| {
            let missing = || Fault::NotFound { what: "credential issuer", id: id.to_string() };
            view.document(ISSUERS, id.as_str())?.ok_or_else(missing)?;
            let gone = FederatedChange::DocumentGone { collection: ISSUERS.to_owned(), id: id.to_string() };
            Ok([vec![gone], switched(view, id, false)?].concat())
        });
        commit.map(drop)
    }
}

impl Wallet {
    /// Returns by what an issuer's signatures are known; with `anew`, its published keys of now if it may be asked now.
    pub(super) async fn trust_of(&self, issuer: &CredentialIssuer, anew: bool) -> Result<Trust, Undiscovered> {
        let iss = issuer.iss.as_deref().unwrap_or_default();
        match issuer.known_trust() {
            Ok(Some(trust)) => Ok(trust),
            Ok(None) => self.0.discovery.keys(iss, anew, self.now()).await.map(Trust::Keys),
            Err(fault) => Err(Undiscovered(format!("{}: {fault}", issuer.id))),
        }
    }
}

/// Returns an issuer; `None` if none of this name is trusted.
pub(super) fn one(view: &View<'_>, id: &IssuerId) -> Result<Option<CredentialIssuer>, Fault> {
    let document = view.document(ISSUERS, id.as_str())?;
    document.map(|document| read_stored(&document.body)).transpose()
}

/// Returns every issuer, in order of id.
pub(super) fn all(view: &View<'_>) -> Result<Vec<CredentialIssuer>, Fault> {
    let most = u32::try_from(MAX_ISSUERS).unwrap_or(u32::MAX);
    view.documents(ISSUERS, "", most)?.iter().map(|document| read_stored(&document.body)).collect()
}

/// Returns the request for what these issuers' identity data says of nationality; `None` if there is no issuer.
pub(super) fn query(issuers: &[CredentialIssuer]) -> Option<Query> {
    let mut types: Vec<String> = issuers.iter().flat_map(|issuer| issuer.vct_values.clone()).collect();
    types.sort();
    types.dedup();
    let claims = vec![ClaimQuery { id: None, path: ClaimPath::named(NATIONALITIES), values: None }];
    let credential = CredentialQuery {
        id: PID_QUERY.to_owned(),
        format: Format::SdJwtVc,
        multiple: false,
        meta: Meta { vct_values: types },
        require_cryptographic_holder_binding: true,
        claims: Some(claims),
        claim_sets: None,
    };
    (!issuers.is_empty()).then(|| Query { credentials: vec![credential], credential_sets: None })
}

/// Turns every channel of an issuer on or off that is not so yet.
fn switched(view: &View<'_>, id: &IssuerId, enabled: bool) -> Result<Vec<FederatedChange>, Fault> {
    let channels = channels_of(view, id)?.into_iter().filter(|channel| channel.enabled != enabled);
    Ok(channels.map(|channel| FederatedChange::Channel(Channel { enabled, ..channel })).collect())
}

fn given(set: &Value) -> Result<Jwks, Fault> {
    match Jwks::from_value(set) {
        Ok(set) if set.iter().next().is_some() => Ok(set),
        Ok(_) => Err(invalid("keys", "must have a key of a kind that is used here")),
        Err(fault) => Err(invalid("keys", fault.to_string())),
    }
}

fn roots(pem: &str) -> Result<Roots, Fault> {
    let ders: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let ders = ders.map_err(|error| invalid("keys", format!("must be certificates in PEM: {error}")))?;
    if !(1..=MAX_ROOTS).contains(&ders.len()) {
        return Err(invalid("keys", "must be 1 to 16 certificates in PEM"));
    }
    Roots::parse(ders.iter().map(AsRef::as_ref)).map_err(|fault| invalid("keys", fault.to_string()))
}

fn invalid(field: &str, detail: impl Into<String>) -> Fault {
    Fault::Invalid(vec![FieldFault { field: field.to_owned(), detail: detail.into() }])
}
