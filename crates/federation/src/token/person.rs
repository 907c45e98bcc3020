//! For whom a token of ours is, where a person shows it to another part of this server.

use axum::http::{HeaderMap, header};
use identity::Holder;
use terms::PersonId;

use super::{TokenService, binding::Presenter, presented::IssuedTo};

impl TokenService {
    /// Returns the person whose token of ours a request carries as `Authorization: Bearer`; nobody for anything else, for a
    /// token that is over, and for one that is bound to a key other than that of the connection's certificate.
    ///
    /// A token stays a proof of who somebody is while they may not call a model: that is decided elsewhere.
    ///
    /// # Source
    ///
    /// RFC 6750 section 2.1; RFC 8705 section 3.
    pub(crate) async fn person_of(&self, headers: &HeaderMap, presenter: Presenter) -> Option<PersonId> {
        let presented = self.own_token(bearer(headers)?).ok()??;
        // A proof of a DPoP key is made for one endpoint, and this is none of them.
        let held = self.held(&HeaderMap::new(), "", presenter).ok()?;
        self.require_proof(&held, &presented).ok()?;
        let Some(IssuedTo { holder: Holder::Person { person }, .. }) = presented.issued_to.clone() else { return None };
        self.read(move |view| presented.check_sessions(view)).await.ok()?;
        Some(person)
    }
}

/// Returns the one bearer token of a request.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(one), None) = (all.next(), all.next()) else { return None };
    let (scheme, token) = one.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{path::Path, sync::Arc, time::Duration};

    use control::{FederatedChange, Source};
    use fetch::{AddressRule, Client, Roots};
    use identity::SessionEnd;
    use jose::Object;
    use serde_json::{Value, json};
    use terms::{ChannelId, Clock, SubjectName};

    use super::*;
    use crate::{token::Settings, world::World};

    const ISSUER: &str = "https://gateway.example.com";

    /// Opens a service over a world.
    pub(crate) fn service(world: &World, folder: &Path) -> TokenService {
        let client =
            Client::new(fetch::Settings::new(Roots::native().unwrap(), AddressRule::allowing(["127.0.0.1"]).unwrap()));
        let settings = Settings::new(ISSUER, "https://models.example.com", folder.to_owned());
        TokenService::open(&world.control, Arc::clone(&world.clock) as Arc<dyn Clock>, client, settings).unwrap()
    }

    /// Signs a token for Ada as the service does, with `change` made to its claims.
    pub(crate) fn token(service: &TokenService, world: &World, change: impl FnOnce(&mut Value)) -> String {
        let now = world.now().as_millis() / 1_000;
        let mut claims = json!({
            "iss": ISSUER, "aud": ISSUER, "sub": "person:ada", "client_id": "cli", "iat": now, "exp": now + 300,
            "jti": "t-1", "src": { "channel": "larkspur-hr", "sub": "u-1", "sid": "s-1" },
        });
        change(&mut claims);
        service.0.keyring.signing(world.now()).unwrap().sign("at+jwt", &Object::new(), &claims).unwrap()
    }

    async fn person(service: &TokenService, authorization: &str) -> Option<String> {
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, authorization.parse().unwrap())]);
        service.person_of(&headers, Presenter::default()).await.map(|person| person.to_string())
    }

    #[tokio::test]
    async fn a_bearer_token_of_ours_stands_for_its_person_while_it_lasts() {
        let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
        let service = service(&world, folder.path());
        let good = token(&service, &world, |_| ());
        assert_eq!(person(&service, &format!("Bearer {good}")).await.as_deref(), Some("ada"));
        for wrong in [format!("DPoP {good}"), good.clone(), format!("Bearer {good}x"), "Bearer".to_owned()] {
            assert_eq!(person(&service, &wrong).await, None, "{wrong}");
        }
        world.clock.advance(Duration::from_mins(10));
        assert_eq!(person(&service, &format!("Bearer {good}")).await, None, "it is over");
    }

    #[tokio::test]
    async fn a_token_of_a_workload_a_client_another_issuer_or_another_key_stands_for_nobody() {
        let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
        let service = service(&world, folder.path());
        let changes: [(&str, Value); 5] = [
            ("sub", json!("workload:nightly")),
            ("sub", json!("client:cli")),
            ("iss", json!("https://other.example.com")),
            ("aud", json!("https://other.example.com")),
            ("cnf", json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" })),
        ];
        for (claim, value) in changes {
            let wrong = token(&service, &world, |claims| claims[claim] = value.clone());
            assert_eq!(person(&service, &format!("Bearer {wrong}")).await, None, "{claim} {value}");
        }
    }

    #[tokio::test]
    async fn a_token_whose_session_ended_stands_for_nobody() {
        let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
        let service = service(&world, folder.path());
        let good = format!("Bearer {}", token(&service, &world, |_| ()));
        assert!(person(&service, &good).await.is_some());
        let (channel, session) = (ChannelId::parse("larkspur-hr").unwrap(), SubjectName::parse("s-1").unwrap());
        let end = FederatedChange::SessionEnd(SessionEnd { channel, session, at: world.now() });
        world.federation().commit(&Source::own("test"), |_| Ok(vec![end])).unwrap();
        assert_eq!(person(&service, &good).await, None);
    }
}
