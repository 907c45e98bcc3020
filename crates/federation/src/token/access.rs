//! What a token of one of our own clients opens at our other interfaces.

use terms::{ClientId, SubjectName};

use super::{
    TokenService,
    client::registered,
    refusal::{Code, Refusal},
};

/// What a client's token says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ClientAccess {
    /// The client it was issued to.
    pub(crate) client: ClientId,
    /// What it opens.
    pub(crate) scopes: Vec<String>,
}

impl TokenService {
    /// Returns what a token opens that one of our clients got for itself: what it was issued for, as far as the client is
    /// still registered for that. Nothing if it is none, is over or was ended, or the client was removed.
    ///
    /// A token that is bound to a key is none here: nobody checks a proof at these interfaces.
    ///
    /// # Errors
    ///
    /// What went wrong here, for the log: whether the token is good cannot be told now.
    ///
    /// # Source
    ///
    /// RFC 6750 section 3.1; RFC 9068 section 4.
    pub(crate) async fn client_access(&self, token: &str) -> Result<Option<ClientAccess>, String> {
        let Ok(verified) = self.own_claims(token) else { return Ok(None) };
        let text = |name: &str| verified.text(name).map(str::to_owned);
        let jti = text("jti").and_then(|jti| SubjectName::parse(&jti).ok());
        let client = text("client_id").and_then(|id| ClientId::parse(&id).ok());
        let (Some(jti), Some(client)) = (jti, client) else { return Ok(None) };
        let is_its_own = text("sub").is_some_and(|sub| sub.strip_prefix("client:") == Some(client.as_str()));
        let is_for_us = verified.is_for(&self.0.settings.issuer).unwrap_or(false);
        if !is_its_own || !is_for_us || verified.payload.contains_key("cnf") {
            return Ok(None);
        }
        let (own, asked) = (self.0.own.clone(), client.clone());
        let known = self.read(move |view| {
            let over = view.session_ended(&own, &jti)?;
            Ok(if over { None } else { registered(view, &asked)? })
        });
        match known.await {
            Ok(Some(known)) => {
                let said = text("scope").unwrap_or_default();
                let scopes =
                    said.split_ascii_whitespace().filter(|scope| known.may(scope)).map(str::to_owned).collect();
                Ok(Some(ClientAccess { client, scopes }))
            }
            Ok(None) => Ok(None),
            Err(Refusal { code: Code::Unavailable, why, .. }) => Err(why),
            Err(_) => Ok(None),
        }
    }
}
