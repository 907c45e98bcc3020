//! Takes the deliveries of three proofing vendors over a control plane in a temporary folder, for other programs to try.
//!
//! ```text
//! cargo run -p federation --example webhook_server -- http://127.0.0.1:9000
//! ```
//!
//! The argument is where the API of every vendor is. Prints one line of JSON with the URL of the endpoint, and serves until
//! it is stopped. Besides, `GET /held` says what is held about the one invented person.

#[path = "common/mod.rs"]
mod common;

use std::{collections::BTreeSet, io::Write, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use axum::{Json, Router, routing::get};
use control::{Actor, Control, NewPerson, Role};
use federation::{ClaimKind, Secret, TrustEntry, TrustList, Vault, Vendor, VendorKind, Webhooks};
use fetch::{AddressRule, Client, Roots, Url};
use serde_json::{Value, json};
use terms::{Assurance, ChannelId, IssuerId, Person, PersonId, SubjectName, SystemClock};

/// What every vendor calls the one person, and its channels with their kinds.
const SUBJECT: &str = "ada-7";
const VENDORS: [(&str, VendorKind); 3] =
    [("stripe", VendorKind::Stripe), ("persona", VendorKind::Persona), ("onfido", VendorKind::Onfido)];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let api = std::env::args().nth(1).context("name the URL of the vendors' API")?;
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let control = control(folder.path())?;
    let hooks = webhooks(&control, folder.path(), &Url::parse(&api)?)?;
    let router = hooks.router().merge(held(&control)?);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("cannot listen")?;
    let ready = json!({ "url": format!("http://{}", listener.local_addr().context("cannot listen")?) });
    writeln!(std::io::stdout(), "{ready}").context("cannot write")?;
    axum::serve(listener, router).await.context("cannot serve")
}

fn webhooks(control: &Control, folder: &Path, api: &Url) -> Result<Webhooks> {
    let client = Client::new(fetch::Settings::new(Roots::native()?, AddressRule::allowing(["127.0.0.1"])?));
    let trust = VENDORS.iter().map(|(name, _)| trusted(name)).collect::<Result<Vec<_>>>()?;
    let vendors = VENDORS.iter().map(|(name, kind)| vendor(name, *kind, api)).collect::<Result<Vec<_>>>()?;
    let (trust, vault) = (Arc::new(TrustList::new(trust)?), Arc::new(Vault::open(folder)?));
    let hooks = Webhooks::new(control.federation(), client, trust, vault, vendors)?;
    for (name, _) in VENDORS {
        hooks.enroll(&ChannelId::parse(name)?, &PersonId::parse("ada")?, Some(SubjectName::parse(SUBJECT)?))?;
    }
    Ok(hooks)
}

fn vendor(name: &str, kind: VendorKind, api: &Url) -> Result<Vendor> {
    Ok(Vendor {
        channel: ChannelId::parse(name)?,
        kind,
        issuer: IssuerId::parse(name)?,
        secrets: vec![Secret::new("whsec_of_now"), Secret::new("whsec_of_before")],
        tolerance: Duration::from_secs(300),
        api: api.clone(),
        api_key: Secret::new("key-1"),
    })
}

fn trusted(name: &str) -> Result<TrustEntry> {
    Ok(TrustEntry {
        issuer: IssuerId::parse(name)?,
        claims: vec![ClaimKind::Standing, ClaimKind::Citizenship],
        assurance: Assurance::Ial2,
        means: BTreeSet::new(),
        frameworks: BTreeSet::from(["us_nist_800_63_4".to_owned()]),
        good_for_days: None,
    })
}

/// Tells what is held about the person.
fn held(control: &Control) -> Result<Router> {
    let (federation, ada) = (control.federation(), PersonId::parse("ada")?);
    let tell = move || {
        let person = federation.read(|view| view.person(&ada));
        async move { Json(person.ok().flatten().map_or_else(Vec::new, told)) }
    };
    Ok(Router::new().route("/held", get(tell)))
}

fn told(person: Person) -> Vec<Value> {
    let held = person.attestations.into_iter();
    held.map(|held| json!({ "claim": held.claim, "issuer": held.issuer, "assurance": held.assurance })).collect()
}

fn control(folder: &Path) -> Result<Control> {
    let control = common::control(folder, Arc::new(SystemClock::default()))?;
    let ada: NewPerson = serde_json::from_value(json!({ "id": "ada", "display_name": "Ada Quill" }))?;
    control.admin(&Actor::process("example", Role::Root)).registrar()?.add_person(ada)?;
    Ok(control)
}
