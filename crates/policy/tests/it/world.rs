//! Arbitrary worlds: instruments made from the two examples, and callers with arbitrary evidence.

use std::sync::Arc;

use policy::{
    CallerFacts, Consumed, CountryGroups, CredentialFacts, Directive, Facts, License, Period, Regime, Reliance,
    SnapshotDocument,
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};
use terms::{
    Account, AccountState, Affiliation, AffiliationId, Assurance, Attestation, AttestationId, ChannelId, Claim,
    Clearance, Control, Country, Coverage, EndUse, Engagement, InstrumentId, IssuerId, KeyId, LocationMethod,
    ModelFamily, ModelVersion, ModelVersionId, Moment, Organization, OrganizationId, OrganizationKind, Person,
    PersonId, Screening, SubjectName, Tie, TieKind, UsPersonLimb, Workload, WorkloadId,
};

const JUNE_12: &str = include_str!("../../../../examples/june-12.directive.json");
const ANNEX_A: &str = include_str!("../../../../examples/annex-a.license.json");
/// 2026-06-29T15:00:00Z.
const NOW: i64 = 1_782_745_200_000;
const HOUR: i64 = 3_600_000;
const ORGANIZATIONS: [&str; 4] = ["larkspur-labs", "northgate-grid", "harbor-tools", "hanbit-telecom"];

/// What is in force, and one call.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) document: SnapshotDocument,
    pub(crate) facts: Facts,
}

pub(crate) fn worlds() -> impl Strategy<Value = World> {
    (documents(), facts()).prop_map(|(document, facts)| World { document, facts })
}

pub(crate) fn documents() -> impl Strategy<Value = SnapshotDocument> {
    let first = option::weighted(0.9, directives("DIR-1", 1));
    let later = option::weighted(0.3, directives("DIR-1", 2));
    let second = option::weighted(0.2, directives("DIR-2", 1));
    let regimes = option::weighted(0.3, (times(), times()));
    (first, later, second, vec(licenses(), 0..3), option::weighted(0.2, licenses()), regimes).prop_map(
        |(first, later, second, licenses, later_license, regime)| {
            let directives: Vec<Directive> = first.into_iter().chain(later).chain(second).collect();
            let known = |license: &License| license.under().iter().all(|id| directives.iter().any(|d| d.id() == id));
            let licenses = licenses.into_iter().enumerate().map(|(at, json)| license(json, at, 1));
            let later = later_license.map(|json| license(json, 0, 2));
            let licenses = licenses.chain(later).filter(known).collect();
            let regimes = regime.map_or_else(|| vec![Regime::bundled()], |(one, other)| vec![suspended(one, other)]);
            document(directives, licenses, regimes)
        },
    )
}

/// Suspends the rule on ownership by listed parties between two moments.
fn suspended(one: Moment, other: Moment) -> Regime {
    let (from, to) = (one.min(other), one.max(other).plus(std::time::Duration::from_secs(1)));
    let json = json!({
        "type": "regime/v1", "id": "test", "version": 1, "as_of": "2026-06-29",
        "issuer": {"agency": "BIS", "official": "Federal Register"},
        "provisions": [{"id": "base.entity-ownership", "cite": "90 FR 50857", "in_force": [
            {"from": "2020-01-01T00:00:00Z", "to": from}, {"from": to, "to": null},
        ]}],
    });
    Regime::parse(json.to_string().as_bytes()).unwrap()
}

pub(crate) fn document(directives: Vec<Directive>, licenses: Vec<License>, regimes: Vec<Regime>) -> SnapshotDocument {
    SnapshotDocument {
        version: 1,
        epoch: 1,
        lab: OrganizationId::parse("larkspur-labs").ok(),
        country_groups: CountryGroups::bundled(),
        regimes,
        models: models(),
        aliases: Vec::new(),
        directives,
        licenses,
    }
}

fn models() -> Vec<ModelVersion> {
    let model = |id: &str, control, clearance| ModelVersion {
        id: ModelVersionId::parse(id).unwrap(),
        family: ModelFamily::parse("mythos-5").unwrap(),
        control,
        clearance,
        certificate_required: false,
        derived_from: None,
    };
    vec![
        model("mythos-attested", Control::Subject, Clearance::Attested),
        model("mythos-identified", Control::Subject, Clearance::Identified),
        model("mythos-open", Control::Subject, Clearance::Open),
        model("mythos-published", Control::Published, Clearance::Open),
    ]
}

fn directives(id: &'static str, version: u32) -> impl Strategy<Value = Directive> {
    let person = select(vec![
        json!({"deny": "foreign_person", "definition": "ear_772", "unknown": "hold"}),
        json!({"deny": "foreign_person", "definition": "citizens_nationals_only", "unknown": "deny"}),
        json!({"deny": "none"}),
        json!({"deny": "nationals_of", "groups": ["D:5"], "rule": "ear", "unknown": "hold"}),
        json!({"deny": "nationals_of", "groups": ["D:5"], "rule": "itar", "unknown": "deny"}),
        json!({"deny": "everyone"}),
    ]);
    let entity = select(vec![
        json!({"deny": "foreign_organization"}),
        json!({"deny": "foreign_organization", "headquartered_in": ["D:5"]}),
        json!({"deny": "headquarters", "headquartered_in": ["D:5"]}),
    ]);
    let employment = select(vec![json!(null), json!(600)]);
    let destination = select(vec![
        json!({"deny": "none"}),
        json!({"deny": "all_foreign", "unsettled": true}),
        json!({"deny": "groups", "groups": ["D:5"], "unsettled": false}),
    ]);
    let status = prop_oneof![5 => Just("in_force"), 1 => Just("stayed")];
    (person, destination, times(), option::of(times()), status, entity, employment, times()).prop_map(
        move |(person, destination, from, to, status, entity, employment, since)| {
            let mut json: Value = serde_json::from_str(JUNE_12).unwrap();
            json["id"] = json!(id);
            json["version"] = json!(version);
            json["status_since"] = json!(since);
            json["entity_scope"] = entity;
            if !employment.is_null() {
                json["evidence"]["employment_max_age_minutes"] = employment;
            }
            json["person_scope"] = person;
            json["destination_scope"] = destination;
            json["status"] = json!(status);
            json["effective_at"] = json!(from);
            json["comply_by"] = json!(null);
            json["expires_at"] = json!(to.filter(|to| *to > from));
            Directive::parse(json.to_string().as_bytes()).unwrap()
        },
    )
}

fn licenses() -> impl Strategy<Value = Value> {
    let scope =
        select(vec![json!(null), json!("direct"), json!("regular_120_64"), json!("employees_contractors_interns")]);
    let capped = |per: &str| json!([{"tokens": 1000, "per": per}]);
    let cap = select(vec![json!([]), json!([]), capped("month"), capped("day"), capped("total")]);
    let under = select(vec![json!(["DIR-1"]), json!(["DIR-1", "DIR-2"])]);
    let optional = (any::<[bool; 3]>(), select(vec!["ear", "itar"]), times());
    (scope, cap, under, any::<bool>(), times(), option::of(times()), optional).prop_map(
        |(scope, cap, under, binding, from, to, ([reaches, excludes, limited], rule, since))| {
            let mut json: Value = serde_json::from_str(ANNEX_A).unwrap();
            json["beneficiaries"]["employee_scope"] = scope;
            json["conditions"]["token_caps"] = cap;
            json["under"] = under;
            json["tenant_binding"] = json!(binding);
            json["status_since"] = json!(since);
            if reaches {
                json["entity_scope"] = json!("wholly_owned");
            }
            if excludes {
                json["nationality_exclude"] = json!({"groups": ["D:5"], "rule": rule});
            }
            if limited {
                json["end_uses"] = json!(["cyber_defence"]);
            }
            json["valid"] = json!({"from": from, "to": to.filter(|to| *to > from)});
            json
        },
    )
}

fn license(mut json: Value, at: usize, version: u32) -> License {
    json["version"] = json!(version);
    json["id"] = json!(format!("LIC-{at}"));
    License::parse(json.to_string().as_bytes()).unwrap()
}

/// Within two days of now, on the half hour, so that events coincide often.
fn times() -> impl Strategy<Value = Moment> {
    (-96_i64..96).prop_map(|halves| Moment::from_millis(NOW + halves * HOUR / 2))
}

fn facts() -> impl Strategy<Value = Facts> {
    let names = select(vec!["mythos-open", "mythos-open", "mythos-identified", "mythos-attested", "mythos-published"]);
    let tenant = option::of(select(ORGANIZATIONS.to_vec()));
    let end_use = option::weighted(0.7, select(vec!["cyber_defence", "marketing"]));
    let periods = select(vec![Period::Day, Period::Month, Period::Total]);
    (names, tenant, callers(), organizations(), vec((0_usize..3, 0_u64..1500, periods), 0..5), end_use).prop_map(
        |(model, tenant, caller, organizations, consumed, end_use)| Facts {
            at: Moment::from_millis(NOW),
            model: ModelVersionId::parse(model).unwrap(),
            credential: CredentialFacts {
                id: KeyId::parse("key-1").unwrap(),
                expires_at: Moment::from_millis(NOW + 40 * HOUR),
                revoked: false,
                organization: tenant.map(|id| OrganizationId::parse(id).unwrap()),
                end_use: end_use.map(|end_use| EndUse::parse(end_use).unwrap()),
            },
            caller,
            organizations,
            consumed: consumed.into_iter().map(|(at, tokens, per)| use_of(at, tokens, per)).collect(),
            channels: relied(),
        },
    )
}

/// One channel is heard for some hours more, one has been silent for too long.
pub(crate) fn relied() -> Vec<Reliance> {
    let until = |channel: &str, hours| Reliance {
        channel: ChannelId::parse(channel).unwrap(),
        until: Moment::from_millis(NOW + hours * HOUR),
    };
    vec![until("directory", 5), until("wallet", -1)]
}

fn channels() -> impl Strategy<Value = Option<ChannelId>> {
    let named = select(vec!["directory", "directory", "wallet", "unheard"]);
    option::weighted(0.3, named.prop_map(|id| ChannelId::parse(id).unwrap()))
}

fn accounts() -> impl Strategy<Value = Vec<Account>> {
    let states = prop_oneof![4 => Just(AccountState::Active), 1 => Just(AccountState::Suspended)];
    vec((option::of(select(ORGANIZATIONS.to_vec())), states), 0..2).prop_map(|all| {
        let account = |(tenant, state): (Option<&str>, AccountState)| Account {
            channel: ChannelId::parse("directory").unwrap(),
            subject: SubjectName::parse("4711").unwrap(),
            organization: tenant.map(|id| OrganizationId::parse(id).unwrap()),
            state,
            sessions_end: None,
        };
        all.into_iter().map(account).collect()
    })
}

fn use_of(license: usize, tokens: u64, per: Period) -> Consumed {
    let instrument = InstrumentId::parse(&format!("LIC-{license}")).unwrap();
    Consumed { instrument, per, tokens }
}

fn callers() -> impl Strategy<Value = CallerFacts> {
    prop_oneof![
        6 => people("ada").prop_map(|person| CallerFacts::Person { person: Arc::new(person) }),
        2 => (people("ada"), people("bob"), any::<bool>()).prop_map(|(ada, bob, fixed)| workload(ada, bob, fixed)),
        1 => Just(CallerFacts::Unbound),
    ]
}

fn workload(owner: Person, recipient: Person, fixed: bool) -> CallerFacts {
    CallerFacts::Workload {
        workload: Arc::new(Workload {
            id: WorkloadId::parse("agent").unwrap(),
            purpose: "builds".to_owned(),
            organization: OrganizationId::parse("northgate-grid").unwrap(),
            owners: vec![owner.id.clone()],
            recipients: if fixed { vec![recipient.id.clone()] } else { Vec::new() },
            active: true,
        }),
        owners: vec![Arc::new(owner)],
        recipients: if fixed { vec![Arc::new(recipient)] } else { Vec::new() },
    }
}

fn people(id: &'static str) -> impl Strategy<Value = Person> {
    let screening = prop_oneof![8 => Just(Screening::Cleared), 1 => Just(Screening::Review)];
    (screening, vec(attestations(), 0..5), vec(affiliations(), 0..3), accounts()).prop_map(
        move |(screening, said, works, accounts)| {
            let person = PersonId::parse(id).unwrap();
            Person {
                id: person.clone(),
                display_name: id.to_owned(),
                screening,
                active: true,
                attestations: said.into_iter().enumerate().map(|(at, a)| numbered(a, at, &person)).collect(),
                affiliations: works.into_iter().enumerate().map(|(at, a)| placed(a, at, &person)).collect(),
                accounts,
            }
        },
    )
}

fn numbered(mut attestation: Attestation, at: usize, person: &PersonId) -> Attestation {
    attestation.id = AttestationId::parse(&format!("a{at}")).unwrap();
    attestation.person = person.clone();
    attestation
}

fn placed(mut affiliation: Affiliation, at: usize, person: &PersonId) -> Affiliation {
    affiliation.id = AffiliationId::parse(&format!("w{at}")).unwrap();
    affiliation.person = person.clone();
    affiliation
}

pub(crate) fn location(country: &str) -> Claim {
    Claim::Location { country: Country::parse(country).unwrap(), method: LocationMethod::Managed }
}

fn citizenship(code: &str, from: Option<Moment>) -> Claim {
    Claim::Citizenship { country: Country::parse(code).unwrap(), from, until: None }
}

fn tie(to: &str) -> Tie {
    Tie { to: OrganizationId::parse(to).unwrap(), kind: TieKind::WhollyOwned }
}

fn claims() -> impl Strategy<Value = Claim> {
    prop_oneof![
        4 => Just(Claim::UsPerson { limb: UsPersonLimb::Citizen }),
        2 => Just(Claim::UsPerson { limb: UsPersonLimb::Asylee }),
        4 => Just(Claim::ForeignPerson),
        5 => Just(location("US")),
        1 => Just(location("CN")),
        1 => Just(location("IR")),
        1 => Just(Claim::Location { country: Country::US, method: LocationMethod::Network }),
        4 => (select(vec!["CA", "CN", "IN"]), option::of(times())).prop_map(|(code, from)| citizenship(code, from)),
        1 => Just(Claim::Stateless),
    ]
}

fn attestations() -> impl Strategy<Value = Attestation> {
    let assurance = prop_oneof![6 => Just(Assurance::Ial2), 1 => Just(Assurance::Ial1), 1 => Just(Assurance::Ial3)];
    let supersedes = option::weighted(0.2, 0_usize..5);
    (claims(), select(vec!["civic", "roster"]), assurance, -30_i64..4, times(), supersedes, channels()).prop_map(
        |(claim, issuer, assurance, issued, expires_at, supersedes, channel)| Attestation {
            id: AttestationId::parse("a").unwrap(),
            person: PersonId::parse("ada").unwrap(),
            claim,
            issuer: IssuerId::parse(issuer).unwrap(),
            evidence: "file".to_owned(),
            assurance,
            issued_at: Moment::from_millis(NOW + issued * HOUR),
            expires_at: expires_at.max(Moment::from_millis(NOW - 2 * HOUR)),
            supersedes: supersedes.map(|at| AttestationId::parse(&format!("a{at}")).unwrap()),
            means: None,
            fresh_until: None,
            channel,
        },
    )
}

fn affiliations() -> impl Strategy<Value = Affiliation> {
    let capacities = [Engagement::Employee, Engagement::RegularEmployee, Engagement::Contractor, Engagement::Intern];
    (select(ORGANIZATIONS.to_vec()), select(capacities.to_vec()), -30_i64..4, times(), channels()).prop_map(
        |(organization, engagement, attested, ends, channel)| Affiliation {
            id: AffiliationId::parse("w").unwrap(),
            person: PersonId::parse("ada").unwrap(),
            organization: OrganizationId::parse(organization).unwrap(),
            engagement,
            issuer: IssuerId::parse("roster").unwrap(),
            evidence: "file".to_owned(),
            attested_at: Moment::from_millis(NOW + attested * HOUR),
            ends_at: ends.max(Moment::from_millis(NOW - HOUR)),
            channel,
        },
    )
}

fn organizations() -> impl Strategy<Value = Vec<Arc<Organization>>> {
    let coverage =
        prop_oneof![12 => Just(Coverage::None), 1 => Just(Coverage::RedFlag), 1 => Just(Coverage::Undetermined)];
    let headquarters = option::weighted(0.8, select(vec!["US", "CN", "KR"]));
    vec((coverage, prop::bool::weighted(0.1), headquarters), 4).prop_map(|traits| {
        let named = ORGANIZATIONS.iter().zip(traits);
        let made = |(id, (coverage, resells, headquarters)): (&&str, (Coverage, bool, Option<&str>))| {
            let headquarters = headquarters.map(|code| Country::parse(code).unwrap());
            Arc::new(Organization { headquarters, ..organization(id, coverage, resells) })
        };
        named.map(made).collect()
    })
}

fn organization(id: &str, coverage: Coverage, resells: bool) -> Organization {
    let (country, kind) = match id {
        "hanbit-telecom" => ("KR", OrganizationKind::Foreign),
        _ => ("US", OrganizationKind::Us),
    };
    Organization {
        id: OrganizationId::parse(id).unwrap(),
        legal_name: id.to_owned(),
        country: Country::parse(country).unwrap(),
        kind,
        screening: Screening::Cleared,
        coverage,
        resells,
        headquarters: None,
        ties: match id {
            "harbor-tools" => vec![tie("northgate-grid")],
            _ => Vec::new(),
        },
    }
}
