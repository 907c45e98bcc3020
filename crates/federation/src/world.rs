//! A registry over a temporary folder, for tests: Ada works for Larkspur; there is a proofing channel of no organization
//! and one channel of each of two employers.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{body::Body, http::Request};
use control::{
    Actor, AdminToken, Control, DeskPolicy, FederatedChange, Federation, InstrumentKind, NewAffiliation,
    NewOrganization, NewPerson, ProofPolicy, Role, Settings, Source,
};
use identity::Pepper;
use ledger::Ledger;
use serde_json::{Value, json};
use tempfile::TempDir;
use terms::{
    Channel, ChannelId, ChannelKind, Clearance, Clock, Control as Controlled, ManualClock, ModelFamily, ModelVersion,
    ModelVersionId, Moment, OrganizationId, Person, PersonId,
};
use tower::ServiceExt;

const JUNE_12: &str = include_str!("../../../examples/june-12.directive.json");
const ANNEX_A: &str = include_str!("../../../examples/annex-a.license.json");

/// A registry with its clock.
pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) control: Control,
    root: AdminToken,
    dir: TempDir,
}

impl World {
    /// Opens a registry and fills it.
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::at(Moment::parse("2026-11-20T12:00:00Z").unwrap()));
        let options = ledger::Options {
            origin: "log.example.com/exeat/1".to_owned(),
            segment_bytes: 1 << 20,
            queue_entries: 1024,
            checkpoint_every: Duration::from_millis(20),
            heads_every: Duration::from_secs(3_600),
        };
        let (ledger, _) =
            Ledger::open(&dir.path().join("ledger"), options, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let settings = Settings {
            data_dir: dir.path().join("registry"),
            lab: None,
            models: vec![model("mythos-5")],
            aliases: Vec::new(),
            desk: DeskPolicy::SINGLE_PERSON,
            proofs: ProofPolicy::Off,
        };
        let control =
            Control::open(settings, ledger, Arc::clone(&clock) as Arc<dyn Clock>, Pepper::new([9; 32])).unwrap();
        let root = control.bootstrap().unwrap().unwrap();
        let world = Self { clock, control, root, dir };
        world.fill();
        world
    }

    pub(crate) fn federation(&self) -> Federation {
        self.control.federation()
    }

    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    pub(crate) fn ada(&self) -> Person {
        let ada = PersonId::parse("ada").unwrap();
        self.federation().read(|view| view.person(&ada)).unwrap().unwrap()
    }

    /// Asks the admin API as root, `METHOD /path`, which must do it.
    pub(crate) async fn admin(&self, line: &str, body: Value) {
        let (method, path) = line.split_once(' ').unwrap();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.root.reveal()))
            .header("content-type", "application/json");
        let request = request.body(Body::from(body.to_string())).unwrap();
        let response = self.control.router().oneshot(request).await.unwrap();
        assert!(response.status().is_success(), "{line}: {}", response.status());
    }

    /// Puts the order of June 12 in force, which bars foreign persons, with `change` made to it.
    pub(crate) fn direct(&self, change: impl FnOnce(&mut Value)) {
        let mut directive: Value = serde_json::from_str(JUNE_12).unwrap();
        change(&mut directive);
        let officer = Actor::process("test", Role::Officer);
        let admin = self.control.admin(&officer);
        let json = serde_json::to_vec(&directive).unwrap();
        admin.officer().unwrap().file_and_apply(InstrumentKind::Directive, &json).unwrap();
    }

    /// Puts the license of Annex A in force under that order, with `change` made to it.
    pub(crate) fn license(&self, change: impl FnOnce(&mut Value)) {
        let mut license: Value = serde_json::from_str(ANNEX_A).unwrap();
        change(&mut license);
        let officer = Actor::process("test", Role::Officer);
        let admin = self.control.admin(&officer);
        let json = serde_json::to_vec(&license).unwrap();
        admin.officer().unwrap().file_and_apply(InstrumentKind::License, &json).unwrap();
    }

    /// Returns every byte of the ledger and of the registry, and what the ledger has sealed, opened.
    pub(crate) fn stored(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![self.dir.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                match entry.file_type().unwrap().is_dir() {
                    true => folders.push(entry.path()),
                    false => found.push((entry.path(), std::fs::read(entry.path()).unwrap())),
                }
            }
        }
        let reader = ledger::Reader::open(&self.dir.path().join("ledger")).unwrap();
        for stored in reader.entries(0).unwrap().map(Result::unwrap) {
            let name = PathBuf::from(format!("entry-{}", stored.index));
            found.push((name, stored.main().unwrap_or_default().to_vec()));
        }
        found
    }

    fn fill(&self) {
        let actor = Actor::process("test", Role::Root);
        let admin = self.control.admin(&actor);
        let registrar = admin.registrar().unwrap();
        for id in ["larkspur", "umbra"] {
            let new = json!({
                "id": id, "legal_name": id, "country": "US", "kind": "us", "screening": "cleared", "coverage": "none",
            });
            registrar.add_organization(of::<NewOrganization>(new)).unwrap();
        }
        let ada = json!({ "id": "ada", "display_name": "Ada <Lark>", "screening": "cleared" });
        registrar.add_person(of::<NewPerson>(ada)).unwrap();
        registrar.add_affiliation(of::<NewAffiliation>(employment())).unwrap();
        let channels = [
            channel("proofing", ChannelKind::Webhook, None),
            channel("larkspur-hr", ChannelKind::Scim, Some("larkspur")),
            channel("umbra-hr", ChannelKind::Scim, Some("umbra")),
        ];
        let changes = channels.map(|channel| FederatedChange::Channel(Channel { heard_at: self.now(), ..channel }));
        self.federation().commit(&Source::own("test.channels"), |_| Ok(changes.to_vec())).unwrap();
    }
}

fn model(id: &str) -> ModelVersion {
    ModelVersion {
        id: ModelVersionId::parse(id).unwrap(),
        family: ModelFamily::parse(id).unwrap(),
        control: Controlled::Subject,
        clearance: Clearance::Identified,
        certificate_required: false,
        derived_from: None,
    }
}

fn employment() -> Value {
    json!({
        "id": "aff-ada", "person": "ada", "organization": "larkspur", "engagement": "employee", "issuer": "registrar",
        "evidence": "hr/1", "attested_at": "2026-11-01T00:00:00Z", "ends_at": "2027-11-01T00:00:00Z",
    })
}

fn channel(id: &str, kind: ChannelKind, organization: Option<&str>) -> Channel {
    Channel {
        id: ChannelId::parse(id).unwrap(),
        kind,
        organization: organization.map(|id| OrganizationId::parse(id).unwrap()),
        issuer: None,
        heard_at: Moment::from_millis(0),
        interval_s: 3_600,
        grace_s: 600,
        enabled: true,
    }
}

fn of<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}
