//! The wallet part over HTTP on the loopback interface, for tests with other implementations: one JSON object a line in,
//! one out. There is one person, Ada, who works for Larkspur.

#[path = "common/mod.rs"]
mod common;

use std::{
    collections::BTreeSet,
    fs,
    io::{self, BufRead as _, Write as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use control::{Actor, Control, FederatedChange, Role, Source};
use federation::{
    ClaimKind, ClientIdPrefix, CredentialIssuer, RequestCertificate, TrustEntry, TrustList, Wallet, WalletParts,
    WalletSettings,
};
use fetch::{AddressRule, Client, Roots};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use terms::{Assurance, Attestation, AttestationId, Claim, IssuerId, PersonId, SystemClock, UsPersonLimb};
use tokio::{net::TcpListener, sync::mpsc};

/// As whom the issuer of the tests is known to the trust list.
const ISSUER: &str = "pid-provider";
/// Who attests where Ada stands.
const REGISTRAR: &str = "registrar";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let peer = Peer::open(dir.path(), &origin)?;
    let router = peer.wallet.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    tokio::spawn(peer.wallet.clone().run(std::future::pending()));
    let mut lines = lines();
    while let Some(line) = lines.recv().await {
        let asked: Value = serde_json::from_str(&line)?;
        let told = peer.answer(&asked, &origin).unwrap_or_else(|fault| json!({ "fault": format!("{fault:#}") }));
        writeln!(io::stdout(), "{told}")?;
    }
    Ok(())
}

/// Reads lines on a thread of its own, so that requests are answered meanwhile.
fn lines() -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if send.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receive
}

struct Peer {
    control: Control,
    wallet: Wallet,
    ada: PersonId,
}

impl Peer {
    fn open(dir: &Path, origin: &str) -> Result<Self> {
        let control = registry(dir)?;
        let rule = AddressRule::allowing(["127.0.0.1"])?;
        let client = Client::new(fetch::Settings::new(Roots::native()?, rule));
        let parts = WalletParts { control: control.clone(), trust: Arc::new(trust()?), client, pages: None };
        let certificate = Some(certificate(dir)?);
        let data_dir = dir.join("wallet");
        let settings = WalletSettings { origin: origin.to_owned(), data_dir, certificate, encrypted: true };
        Ok(Self { control, wallet: Wallet::open(parts, settings)?, ada: PersonId::parse("ada")? })
    }

    fn answer(&self, asked: &Value, origin: &str) -> Result<Value> {
        match asked["do"].as_str() {
            Some("origin") => Ok(json!({ "origin": origin })),
            Some("trust") => {
                let issuer: CredentialIssuer = serde_json::from_value(asked["issuer"].clone())?;
                self.wallet.set_issuer(&issuer).context("set_issuer")?;
                Ok(json!({}))
            }
            Some("link") => Ok(json!({ "link": self.wallet.link(&self.ada)? })),
            Some("attest") => self.commit(FederatedChange::Attestation(self.standing()?)),
            Some("withdraw") => self.withdraw(),
            Some("held") => {
                let claims: Vec<_> = self.held(ISSUER)?.into_iter().map(|one| one.claim).collect();
                Ok(json!({ "claims": claims }))
            }
            _ => bail!("`do` is not known"),
        }
    }

    fn commit(&self, change: FederatedChange) -> Result<Value> {
        self.control.federation().commit(&Source::own("peer.change"), |_| Ok(vec![change]))?;
        Ok(json!({}))
    }

    fn withdraw(&self) -> Result<Value> {
        let held = self.held(REGISTRAR)?.pop().context("nothing is attested")?;
        self.commit(FederatedChange::Withdrawal { attestation: held.id, reason: "a test".to_owned() })
    }

    /// Returns what an issuer attests about Ada now.
    fn held(&self, issuer: &str) -> Result<Vec<Attestation>> {
        let ada = self.control.directory().person(&self.ada).context("Ada is not there")?;
        Ok(ada.attestations.iter().filter(|one| one.issuer.as_str() == issuer).cloned().collect())
    }

    fn standing(&self) -> Result<Attestation> {
        let now = self.control.federation().now();
        Ok(Attestation {
            id: AttestationId::parse(&format!("standing-{}", now.as_millis()))?,
            person: self.ada.clone(),
            claim: Claim::UsPerson { limb: UsPersonLimb::Citizen },
            issuer: IssuerId::parse(REGISTRAR)?,
            evidence: "file/1".to_owned(),
            assurance: Assurance::Ial2,
            issued_at: now,
            expires_at: now.plus(Duration::from_hours(24)),
            supersedes: None,
            means: None,
            fresh_until: None,
            channel: None,
        })
    }
}

fn registry(dir: &Path) -> Result<Control> {
    let control = common::control(dir, Arc::new(SystemClock::default()))?;
    fill(&control)?;
    Ok(control)
}

fn fill(control: &Control) -> Result<()> {
    let actor = Actor::process("peer", Role::Root);
    let admin = control.admin(&actor);
    let registrar = admin.registrar()?;
    registrar.add_organization(serde_json::from_value(json!({
        "id": "larkspur", "legal_name": "Larkspur", "country": "US", "kind": "us", "screening": "cleared",
        "coverage": "none",
    }))?)?;
    registrar.add_person(serde_json::from_value(json!({
        "id": "ada", "display_name": "Ada Lark", "screening": "cleared",
    }))?)?;
    let now = control.federation().now();
    registrar.add_affiliation(serde_json::from_value(json!({
        "id": "aff-ada", "person": "ada", "organization": "larkspur", "engagement": "employee", "issuer": "registrar",
        "evidence": "hr/1", "attested_at": now, "ends_at": now.plus(Duration::from_hours(24)),
    }))?)?;
    Ok(())
}

fn trust() -> Result<TrustList> {
    let entry = TrustEntry {
        issuer: IssuerId::parse(ISSUER)?,
        claims: vec![ClaimKind::Citizenship],
        assurance: Assurance::Ial2,
        means: BTreeSet::new(),
        frameworks: BTreeSet::new(),
        good_for_days: None,
    };
    Ok(TrustList::new(vec![entry])?)
}

fn certificate(dir: &Path) -> Result<RequestCertificate> {
    let pair = KeyPair::generate()?;
    let params = CertificateParams::new(vec!["exeat.example.com".to_owned()])?;
    let (chain, key) = (dir.join("chain.pem"), dir.join("key.pem"));
    fs::write(&chain, params.self_signed(&pair)?.pem())?;
    fs::write(&key, pair.serialize_pem())?;
    Ok(RequestCertificate { chain, key, client_id: ClientIdPrefix::X509Hash })
}
