//! Serves SCIM for one invented employer over a control plane in a folder, for other programs to try.
//!
//! ```text
//! cargo run -p federation --example scim_server [FOLDER]
//! ```
//!
//! Prints one line of JSON with the base URL and the token, and serves until it is stopped. Without a folder it makes a
//! temporary one; in a folder that it left before it goes on, with the same token. Beside SCIM it answers
//! `GET /registry/people` with what became of everybody: accounts, affiliations, attestations and keys.

#[path = "common/mod.rs"]
mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use axum::{Router, extract::State, response::Json, routing::get};
use control::{Actor, Control, Fault, Federation, NewOrganization, Role, View};
use federation::{ClaimKind, NewTenant, Scim, ScimSettings, TrustEntry, TrustList, Vault};
use serde_json::{Value, json};
use terms::{
    Assurance, ChannelId, Country, Coverage, IssuerId, OrganizationId, OrganizationKind, Screening, SystemClock,
};
use tokio::net::TcpListener;

const EMPLOYER: &str = "larkspur-labs";
const CHANNEL: &str = "larkspur-hr";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let temporary = tempfile::tempdir().context("cannot make a folder")?;
    let folder = std::env::args_os().nth(1).map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    fs::create_dir_all(&folder).context("cannot make a folder")?;
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen")?;
    let origin = format!("http://{}", listener.local_addr().context("cannot listen")?);
    let channel = ChannelId::parse(CHANNEL)?;
    let control = common::control(&folder, Arc::new(SystemClock::default()))?;
    let scim = Arc::new(server(&control, &folder, &origin, &channel)?);
    let token = token(&control, &scim, &folder, &channel)?;
    tokio::spawn(Arc::clone(&scim).run(std::future::pending()));
    let ready = json!({ "url": scim.base_url(&channel), "token": token });
    writeln!(std::io::stdout(), "{ready}").context("cannot write")?;
    let registry = Router::new().route("/registry/people", get(people)).with_state(control.federation());
    axum::serve(listener, scim.router().merge(registry)).await.context("cannot serve")
}

fn server(control: &Control, folder: &Path, origin: &str, channel: &ChannelId) -> Result<Scim> {
    let issuer = IssuerId::parse(CHANNEL)?;
    let settings = ScimSettings {
        origin: origin.to_owned(),
        issuers: BTreeMap::from([(channel.clone(), issuer.clone())]),
        trust: Arc::new(TrustList::new(vec![trusted(issuer)])?),
    };
    let vault = folder.join("vault");
    fs::create_dir_all(&vault).context("cannot make a folder")?;
    Ok(Scim::new(control.federation(), Arc::new(Vault::open(&vault)?), settings))
}

/// Registers the employer, or finds the token that it was given.
fn token(control: &Control, scim: &Scim, folder: &Path, channel: &ChannelId) -> Result<String> {
    let file = folder.join("token");
    if let Ok(token) = fs::read_to_string(&file) {
        return Ok(token);
    }
    let organization = OrganizationId::parse(EMPLOYER)?;
    let actor = Actor::process("example", Role::Root);
    control.admin(&actor).registrar()?.add_organization(NewOrganization {
        id: organization.clone(),
        legal_name: "Larkspur Labs, Inc.".to_owned(),
        country: Country::US,
        kind: OrganizationKind::Us,
        screening: Screening::Cleared,
        coverage: Coverage::None,
        resells: false,
        headquarters: None,
        ties: Vec::new(),
    })?;
    let tenant =
        NewTenant { channel: channel.clone(), organization, interval_s: 2400, grace_s: 2400, roster_within_s: None };
    let token = scim.register(&tenant)?;
    fs::write(&file, token.reveal()).context("cannot keep the token")?;
    Ok(token.reveal().to_owned())
}

/// Answers with everybody of the employer.
async fn people(State(federation): State<Federation>) -> Json<Value> {
    let found = tokio::task::spawn_blocking(move || federation.read(everybody)).await;
    Json(match found {
        Ok(Ok(people)) => json!(people),
        other => json!({ "error": format!("{other:?}") }),
    })
}

fn everybody(view: &View<'_>) -> Result<Vec<Value>, Fault> {
    const PAGE: u32 = 500;
    let Ok(channel) = ChannelId::parse(CHANNEL) else { return Ok(Vec::new()) };
    let (mut after, mut people) = (String::new(), Vec::new());
    loop {
        let page = view.accounts(&channel, &after, PAGE)?;
        let Some((_, last)) = page.last() else { return Ok(people) };
        last.subject.as_str().clone_into(&mut after);
        for (id, account) in &page {
            let keys = view.keys_of(id)?.iter().filter(|key| key.revoked_at.is_none()).count();
            let person = view.person(id)?;
            people.push(json!({ "id": account.subject, "state": account.state, "person": person, "live_keys": keys }));
        }
    }
}

fn trusted(issuer: IssuerId) -> TrustEntry {
    TrustEntry {
        issuer,
        claims: vec![ClaimKind::Standing, ClaimKind::Citizenship, ClaimKind::PermanentResidency, ClaimKind::Location],
        assurance: Assurance::Ial2,
        means: BTreeSet::new(),
        frameworks: BTreeSet::new(),
        good_for_days: Some(90),
    }
}
