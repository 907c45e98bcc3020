//! The page as a browser gets it: links, sessions, what is said, and that nothing of it is markup.

use std::time::Duration;

use axum::{body::Body, http::Request};
use http_body_util::BodyExt;
use quick_xml::{Reader, events::Event};
use serde_json::json;
use terms::{
    Account, AccountState, Assurance, Attestation, AttestationId, Channel, ChannelId, Claim, Country, IssuerId,
    OrganizationId, SubjectName,
};
use tower::ServiceExt;

use super::*;
use crate::{token::person as token, world::World};

const ORIGIN: &str = "https://exeat.example.com";
const WALLET: &str = "/wallet/present?purpose=nationality&kind=pid";

/// What came back.
struct Reply {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Reply {
    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

struct Scene {
    world: World,
    pages: Pages,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let pages = Pages::new(world.control.clone(), ORIGIN, Some(WALLET.to_owned()));
        Self { world, pages }
    }

    fn link(&self) -> String {
        self.pages.link(&PersonId::parse("ada").unwrap()).unwrap()
    }

    async fn ask(&self, line: &str, cookie: &str) -> Reply {
        let (method, path) = line.split_once(' ').unwrap();
        let request = Request::builder().method(method).uri(path).header(header::COOKIE, cookie);
        let response = self.pages.router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        if parts.headers[header::CONTENT_TYPE].as_bytes().starts_with(b"text/html") {
            well_formed(&body);
        }
        Reply { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Enters by a new link and returns the cookie as a browser would send it.
    async fn enter(&self) -> String {
        let entered = self.ask(&format!("POST {}", self.link()), "").await;
        assert_eq!((entered.status, entered.header(header::LOCATION)), (303, "/me"));
        entered.header(header::SET_COOKIE).split(';').next().unwrap().to_owned()
    }

    async fn page(&self) -> String {
        let cookie = self.enter().await;
        self.ask("GET /me", &cookie).await.body
    }

    fn commit(&self, changes: Vec<FederatedChange>) {
        self.world.federation().commit(&Source::own("test"), |_| Ok(changes)).unwrap();
    }

    fn attest(&self, claim: Claim, days: (u64, u64), channel: Option<&str>) {
        let now = self.world.now();
        let after = |days: u64| now.plus(Duration::from_secs(days * 86_400));
        self.commit(vec![FederatedChange::Attestation(Attestation {
            id: AttestationId::parse(&format!("a-{}-{}", days.0, days.1)).unwrap(),
            person: PersonId::parse("ada").unwrap(),
            claim,
            issuer: IssuerId::parse("vendor").unwrap(),
            evidence: "file".to_owned(),
            assurance: Assurance::Ial2,
            issued_at: now,
            expires_at: after(days.1),
            supersedes: None,
            means: None,
            fresh_until: Some(after(days.0)),
            channel: channel.map(|id| ChannelId::parse(id).unwrap()),
        })]);
    }
}

/// Reads the page as XML: every tag is closed, and none is there that the renderer does not write.
fn well_formed(page: &str) {
    let mut reader = Reader::from_str(page.strip_prefix("<!DOCTYPE html>").unwrap());
    reader.config_mut().check_end_names = true;
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => return,
            Event::Start(tag) | Event::Empty(tag) => {
                let name = tag.name().as_ref().to_owned();
                assert!(!["script", "style", "iframe", "img", "object"].contains(&name.as_str()), "{name}");
                for attribute in tag.attributes() {
                    let key = attribute.unwrap().key;
                    assert!(!key.as_ref().starts_with("on") && key.as_ref() != "style", "{name}");
                }
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_link_works_once_and_looking_at_it_does_not_use_it_up() {
    let scene = Scene::new();
    let link = scene.link();
    for _ in 0..2 {
        let door = scene.ask(&format!("GET {link}"), "").await;
        assert_eq!((door.status, door.headers.contains_key(header::SET_COOKIE)), (200, false));
    }
    let entered = scene.ask(&format!("POST {link}"), "").await;
    assert_eq!(entered.status, 303);
    let again = scene.ask(&format!("POST {link}"), "").await;
    assert_eq!((again.status, again.headers.contains_key(header::SET_COOKIE)), (410, false));
    let links = scene.world.federation().read(|view| view.documents(LINKS, "", 10)).unwrap();
    assert_eq!(links, []);
}

#[tokio::test]
async fn a_link_is_over_after_15_minutes_and_a_guess_is_answered_like_it() {
    let scene = Scene::new();
    let link = scene.link();
    scene.world.clock.advance(Duration::from_mins(15));
    let late = scene.ask(&format!("POST {link}"), "").await;
    let guess = scene.ask(&format!("POST /me/link/{}", "A".repeat(43)), "").await;
    let malformed = scene.ask("POST /me/link/x", "").await;
    assert_eq!([late.status, guess.status, malformed.status], [410; 3]);
    assert_eq!((&late.body, &late.body), (&guess.body, &malformed.body));
}

#[tokio::test]
async fn old_links_are_dropped_when_a_new_one_is_made_and_none_holds_its_secret() {
    let scene = Scene::new();
    let link = scene.link();
    scene.world.clock.advance(Duration::from_mins(15));
    scene.link();
    let links = scene.world.federation().read(|view| view.documents(LINKS, "", 10)).unwrap();
    assert_eq!(links.len(), 1);
    assert!(!format!("{links:?}").contains(link.rsplit('/').next().unwrap()));
    let nobody = scene.pages.link(&PersonId::parse("nobody").unwrap());
    assert!(matches!(nobody, Err(Fault::NotFound { .. })));
}

#[tokio::test]
async fn a_session_is_in_a_cookie_that_only_the_browser_and_this_site_see_and_ends_in_time() {
    let scene = Scene::new();
    let entered = scene.ask(&format!("POST {}", scene.link()), "").await;
    let set = entered.header(header::SET_COOKIE).to_owned();
    assert!(
        set.starts_with("__Host-exeat-me=")
            && set.ends_with("; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=900")
    );
    let cookie = set.split(';').next().unwrap().to_owned();
    assert_eq!(scene.ask("GET /me", &format!("other=1; {cookie}")).await.status, 200);
    assert_eq!(scene.ask("GET /me", &format!("{cookie}; {cookie}")).await.status, 401, "two sessions are none");
    assert_eq!(scene.ask("GET /me", "").await.status, 401);
    assert_eq!(scene.ask("GET /me", &format!("{COOKIE}={}", "A".repeat(43))).await.status, 401);
    scene.world.clock.advance(Duration::from_mins(15));
    assert_eq!(scene.ask("GET /me", &cookie).await.status, 401);
}

#[tokio::test]
async fn whoever_leaves_is_gone() {
    let scene = Scene::new();
    let cookie = scene.enter().await;
    let left = scene.ask("POST /me/leave", &cookie).await;
    assert!(left.header(header::SET_COOKIE).ends_with("Max-Age=0"));
    assert_eq!(scene.ask("GET /me", &cookie).await.status, 401);
}

#[tokio::test]
async fn every_answer_forbids_scripts_frames_referrers_and_keeping() {
    let scene = Scene::new();
    for line in ["GET /me", "GET /me/link/x", "POST /me/link/x", "POST /me/leave", "GET /me/style.css"] {
        let reply = scene.ask(line, "").await;
        assert_eq!(reply.header(header::CONTENT_SECURITY_POLICY), POLICY, "{line}");
        assert_eq!(reply.header(header::CACHE_CONTROL), "no-store", "{line}");
        assert_eq!(reply.header(header::REFERRER_POLICY), "same-origin", "{line}");
        assert_eq!(reply.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{line}");
    }
}

#[tokio::test]
async fn a_person_without_evidence_sees_the_reason_and_what_restores_access() {
    let scene = Scene::new();
    scene.world.direct(|_| ());
    let page = scene.page().await;
    assert!(page.contains("<code>standing_unattested</code>"), "{page}");
    assert!(page.contains("standing under 15 CFR 772.1 is not established"), "{page}");
    assert!(page.contains("href=\"/wallet/present?purpose=nationality&amp;kind=pid\""), "{page}");
    assert!(page.contains("No attestation is held."), "{page}");
    assert!(page.contains("work for larkspur"), "{page}");
    assert!(page.contains("Ada &lt;Lark&gt;") && !page.contains("<Lark>"), "{page}");
}

#[tokio::test]
async fn evidence_is_fresh_then_in_grace_then_stale_as_it_ages() {
    let scene = Scene::new();
    let korea = Claim::Citizenship { country: Country::parse("KR").unwrap(), from: None, until: None };
    scene.attest(korea, (10, 17), None);
    let row = |page: &str| page.split("<tr>").find(|row| row.contains("citizen of KR")).unwrap().to_owned();
    let seen = row(&scene.page().await);
    assert!(
        seen.contains("class=\"yes\">fresh</td>") && seen.contains("renew by <time datetime=\"2026-11-30T12:00:00Z\">"),
        "{seen}"
    );
    scene.world.clock.advance(Duration::from_secs(10 * 86_400));
    let seen = row(&scene.page().await);
    assert!(seen.contains("class=\"soon\">in grace</td>") && seen.contains("counts until"), "{seen}");
    scene.world.clock.advance(Duration::from_secs(7 * 86_400));
    let seen = row(&scene.page().await);
    assert!(seen.contains("class=\"no\">stale</td>") && seen.contains("counts no more since"), "{seen}");
}

#[tokio::test]
async fn evidence_is_no_fresher_than_the_channel_it_rests_on() {
    let scene = Scene::new();
    scene.attest(Claim::Stateless, (10, 17), Some("proofing"));
    let row = |page: &str| page.split("<tr>").find(|row| row.contains("citizen of no country")).unwrap().to_owned();
    let seen = row(&scene.page().await);
    assert!(seen.contains("class=\"yes\">fresh</td>") && seen.contains("2026-11-20T13:00:00Z"), "{seen}");
    scene.world.clock.advance(Duration::from_secs(3_600));
    assert!(row(&scene.page().await).contains("class=\"soon\">in grace</td>"));
    scene.world.clock.advance(Duration::from_secs(600));
    assert!(row(&scene.page().await).contains("class=\"no\">stale</td>"));
    let proofing = ChannelId::parse("proofing").unwrap();
    scene.world.federation().heard(&proofing, scene.world.now()).unwrap();
    assert!(row(&scene.page().await).contains("class=\"yes\">fresh</td>"));
    let channel = scene.world.federation().read(|view| view.channel(&proofing)).unwrap().unwrap();
    scene.commit(vec![FederatedChange::Channel(Channel { enabled: false, ..channel })]);
    assert!(row(&scene.page().await).contains("class=\"no\">stale</td>"), "a channel that was turned off");
}

fn hr_account(state: AccountState) -> FederatedChange {
    let account = Account {
        channel: ChannelId::parse("larkspur-hr").unwrap(),
        subject: SubjectName::parse("u-1").unwrap(),
        organization: Some(OrganizationId::parse("larkspur").unwrap()),
        state,
        sessions_end: None,
    };
    FederatedChange::Account { person: PersonId::parse("ada").unwrap(), account }
}

fn signal(channel: &str, code: &'static str) -> Source {
    Source::signal(ChannelId::parse(channel).unwrap(), code, "jti-1")
}

#[tokio::test]
async fn the_signal_that_ended_access_is_told_until_access_returns() {
    let scene = Scene::new();
    scene.commit(vec![hr_account(AccountState::Active)]);
    let key = json!({ "holder": { "kind": "person", "person": "ada" }, "organization": "larkspur" });
    scene.world.admin("POST /admin/v1/keys", key).await;
    assert!(!scene.page().await.contains("What ended"));
    scene.world.clock.advance(Duration::from_secs(60));
    let source = signal("larkspur-hr", "signal.account_disabled");
    let suspended = |_: &View<'_>| Ok(vec![hr_account(AccountState::Suspended)]);
    let committed = scene.world.federation().commit(&source, suspended).unwrap();
    let page = scene.page().await;
    let row = page.split("<tr>").find(|row| row.contains("your account at larkspur is suspended")).unwrap();
    assert!(row.contains("larkspur, through larkspur-hr"), "{row}");
    assert!(row.contains("2026-11-20T12:01:00Z"), "{row}");
    assert!(row.contains(&format!("<code>signal.account_disabled</code>, entry {}", committed.index)), "{row}");
    assert!(page.contains("<code>credential_ended</code>"), "{page}");
    let restored = Source::evidence(ChannelId::parse("larkspur-hr").unwrap(), "scim.user_update", "request-1");
    scene.world.federation().commit(&restored, |_| Ok(vec![hr_account(AccountState::Active)])).unwrap();
    assert!(!scene.page().await.contains("What ended"));
}

#[tokio::test]
async fn a_statement_that_was_withdrawn_is_told_until_the_issuer_makes_it_anew() {
    let scene = Scene::new();
    let korea = Claim::Citizenship { country: Country::parse("KR").unwrap(), from: None, until: None };
    scene.attest(korea.clone(), (10, 17), Some("proofing"));
    let (attestation, reason) = (AttestationId::parse("a-10-17").unwrap(), "the vendor no longer has it".to_owned());
    let gone = FederatedChange::Withdrawal { attestation, reason };
    scene.world.federation().commit(&signal("proofing", "webhook.withdrawn"), |_| Ok(vec![gone])).unwrap();
    let page = scene.page().await;
    assert!(page.contains("the statement “citizen of KR” by vendor: the vendor no longer has it"), "{page}");
    assert!(page.contains("<code>webhook.withdrawn</code>") && page.contains("<td>proofing</td>"), "{page}");
    scene.attest(korea, (20, 27), Some("proofing"));
    assert!(!scene.page().await.contains("What ended"));
}

#[tokio::test]
async fn a_revoked_key_is_told_unless_there_is_a_newer_one_and_so_is_a_withdrawal_by_an_administrator() {
    let scene = Scene::new();
    let key = json!({ "holder": { "kind": "person", "person": "ada" }, "organization": "larkspur" });
    scene.world.admin("POST /admin/v1/keys", key.clone()).await;
    let ada = PersonId::parse("ada").unwrap();
    let keys = || scene.world.federation().read(|view| view.keys_of(&ada)).unwrap();
    scene.commit(vec![FederatedChange::RevokeKey(keys()[0].id.clone())]);
    assert!(scene.page().await.contains(&format!("your key {}", keys()[0].id)));
    scene.world.admin("POST /admin/v1/keys", key).await;
    assert!(!scene.page().await.contains("your key "));
    scene.world.admin("PATCH /admin/v1/people/ada", json!({ "active": false })).await;
    let page = scene.page().await;
    assert!(page.contains("your access as a whole") && page.contains("those who run this service"), "{page}");
}

#[tokio::test]
async fn nothing_of_another_person_or_tenant_is_told() {
    let scene = Scene::new();
    scene.world.direct(|_| ());
    scene.world.admin("POST /admin/v1/people", json!({ "id": "bob", "display_name": "Bob Umbra" })).await;
    let account = Account {
        channel: ChannelId::parse("umbra-hr").unwrap(),
        subject: SubjectName::parse("u-9").unwrap(),
        organization: Some(OrganizationId::parse("umbra").unwrap()),
        state: AccountState::Suspended,
        sessions_end: None,
    };
    scene.commit(vec![FederatedChange::Account { person: PersonId::parse("bob").unwrap(), account }]);
    scene.commit(vec![hr_account(AccountState::Suspended)]);
    let page = scene.page().await;
    assert!(page.contains("your account at larkspur is suspended"), "{page}");
    assert!(!page.to_lowercase().contains("umbra") && !page.to_lowercase().contains("bob"), "{page}");
}

#[test]
fn what_is_shown_is_text_and_never_markup() {
    assert_eq!(html::escaped("<a href='x'>&\"\u{0}"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;\u{fffd}");
    well_formed(&html::notice("<script>alert(1)</script>", "</main><iframe>"));
}

#[tokio::test]
async fn neither_a_link_nor_a_session_is_in_any_file() {
    let scene = Scene::new();
    let link = scene.link();
    let entered = scene.ask(&format!("POST {link}"), "").await;
    let session = entered.header(header::SET_COOKIE).split(['=', ';']).nth(1).unwrap().to_owned();
    let secrets = [link.trim_start_matches("/me/link/").to_owned(), session];
    for (file, bytes) in scene.world.stored() {
        for secret in &secrets {
            assert_eq!(secret.len(), 43);
            assert!(!bytes.windows(43).any(|window| window == secret.as_bytes()), "{}", file.display());
        }
    }
}

#[tokio::test]
async fn a_person_with_a_token_of_ours_makes_a_link_of_their_own_and_nobody_else_does() {
    let (scene, folder) = (Scene::new(), tempfile::tempdir().unwrap());
    let tokens = token::tests::service(&scene.world, folder.path());
    let bearer = format!("Bearer {}", token::tests::token(&tokens, &scene.world, |_| ()));
    let pages = scene.pages.clone().with_tokens(tokens);
    let ask = async |pages: &Pages, authorization: &str| {
        let request =
            Request::post("/me/link").header(header::AUTHORIZATION, authorization).body(Body::empty()).unwrap();
        let response = pages.router().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    };
    let (status, body) = ask(&pages, &bearer).await;
    assert_eq!(status, 201);
    let link: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let entered = scene.ask(&format!("POST {}", link["link"].as_str().unwrap()), "").await;
    assert_eq!(entered.status, 303);
    for (pages, authorization) in [(&pages, "Bearer x"), (&pages, "Basic eA=="), (&scene.pages, bearer.as_str())] {
        assert_eq!(ask(pages, authorization).await.0, 401, "{authorization}");
    }
    for _ in 0..8 {
        assert_eq!(ask(&pages, &bearer).await.0, 201);
    }
    assert_eq!(ask(&pages, &bearer).await.0, 429, "no more than eight at a time");
}

#[tokio::test]
async fn links_that_are_used_up_at_once_are_made_at_a_rate_all_the_same() {
    let (scene, folder) = (Scene::new(), tempfile::tempdir().unwrap());
    let tokens = token::tests::service(&scene.world, folder.path());
    let bearer = format!("Bearer {}", token::tests::token(&tokens, &scene.world, |_| ()));
    let pages = scene.pages.clone().with_tokens(tokens);
    let mint = async || {
        let request = Request::post("/me/link").header(header::AUTHORIZATION, &bearer).body(Body::empty()).unwrap();
        let response = pages.router().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let link = serde_json::from_slice::<serde_json::Value>(&body).ok();
        if let Some(link) = link {
            scene.ask(&format!("POST {}", link["link"].as_str().unwrap()), "").await;
        }
        status
    };
    for _ in 0..12 {
        assert_eq!(mint().await, 201);
    }
    assert_eq!(mint().await, 429);
    scene.world.clock.advance(Duration::from_secs(5));
    assert_eq!((mint().await, mint().await), (201, 429));
}

#[tokio::test]
async fn a_link_that_a_page_of_another_site_posts_begins_no_session_and_is_not_used_up() {
    let scene = Scene::new();
    let link = scene.link();
    let post = async |name: &str, value: &str| {
        let request = Request::post(&link).header(name, value).body(Body::empty()).unwrap();
        let response = scene.pages.router().oneshot(request).await.unwrap();
        (response.status().as_u16(), response.headers().contains_key(header::SET_COOKIE))
    };
    for (name, value) in
        [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "https://evil.example")]
    {
        assert_eq!(post(name, value).await, (403, false), "{name}: {value}");
    }
    assert_eq!(post("sec-fetch-site", "same-origin").await, (303, true));
}
