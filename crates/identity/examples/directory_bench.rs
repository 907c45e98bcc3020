//! Measures the directory without a harness: bytes of memory per person and per key, and reads per second.
//!
//! `cargo run --release -p identity --example directory_bench`. Linux only: memory is what the kernel says is resident.

use std::{
    io::{self, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use identity::{Change, Directory, Holder, KeyRecord};
use terms::{
    Affiliation, AffiliationId, Assurance, Attestation, AttestationId, Claim, Country, Engagement, IssuerId, KeyId,
    LocationMethod, Moment, OrganizationId, Person, PersonId, Screening, UsPersonLimb,
};

const PEOPLE: u64 = 1_000_000;
const READS: u64 = 1_000_000;

fn main() -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let directory = Directory::default();
    let before = resident()?;
    for number in 0..PEOPLE {
        directory.apply(Change::Person(Arc::new(person(number)?)));
    }
    let people = resident()?;
    writeln!(out, "people          {PEOPLE}, each with standing, location and one affiliation attested")?;
    writeln!(out, "bytes a person  {}", people.saturating_sub(before) / PEOPLE)?;
    for number in 0..PEOPLE {
        directory.apply(Change::Key(Arc::new(key(number)?)));
    }
    writeln!(out, "bytes a key     {}", resident()?.saturating_sub(people) / PEOPLE)?;
    let start = Instant::now();
    for read in 0..READS {
        let id = PersonId::parse(&name(read.wrapping_mul(0x9E37_79B9_7F4A_7C15) % PEOPLE))?;
        std::hint::black_box(directory.person(&id));
    }
    writeln!(out, "ns a read       {}", start.elapsed().as_nanos() / u128::from(READS))?;
    Ok(())
}

fn name(number: u64) -> String {
    format!("person-{number:07}")
}

/// Makes ids as the registry does: a word and 32 hexadecimal digits.
fn id(prefix: &str, number: u64) -> String {
    format!(
        "{prefix}-{:016x}{:016x}",
        number.wrapping_mul(0x9E37_79B9_7F4A_7C15),
        number.wrapping_mul(0xC2B2_AE3D_27D4_EB4F)
    )
}

fn person(number: u64) -> anyhow::Result<Person> {
    let person = PersonId::parse(&name(number))?;
    let at = Moment::parse("2026-06-12T12:00:00Z")?;
    let standing = match number % 4 {
        0 => Claim::ForeignPerson,
        1 => Claim::UsPerson { limb: UsPersonLimb::LawfulPermanentResident },
        _ => Claim::UsPerson { limb: UsPersonLimb::Citizen },
    };
    let place = Claim::Location { country: Country::US, method: LocationMethod::Managed };
    let said = |claim, at_id: u64| -> anyhow::Result<Attestation> {
        Ok(Attestation {
            id: AttestationId::parse(&id("att", number * 2 + at_id))?,
            person: person.clone(),
            claim,
            issuer: IssuerId::parse("civic-proofing")?,
            evidence: format!("case {number}"),
            assurance: Assurance::Ial2,
            issued_at: at,
            expires_at: at.plus(Duration::from_hours(24 * 365)),
            supersedes: None,
            channel: None,
            fresh_until: None,
            means: None,
        })
    };
    let affiliation = Affiliation {
        id: AffiliationId::parse(&id("aff", number))?,
        person: person.clone(),
        organization: OrganizationId::parse(&format!("organization-{}", number % 5_000))?,
        engagement: Engagement::Employee,
        issuer: IssuerId::parse("roster")?,
        evidence: "roster 2026-06".to_owned(),
        attested_at: at,
        ends_at: at.plus(Duration::from_hours(24 * 90)),
        channel: None,
    };
    Ok(Person {
        display_name: format!("Person {number}"),
        screening: Screening::Cleared,
        active: true,
        attestations: vec![said(standing, 0)?, said(place, 1)?],
        affiliations: vec![affiliation],
        id: person,
        accounts: Vec::new(),
    })
}

fn key(number: u64) -> anyhow::Result<KeyRecord> {
    let at = Moment::parse("2026-06-12T12:00:00Z")?;
    Ok(KeyRecord {
        id: KeyId::parse(&format!("{number:016}"))?,
        holder: Holder::Person { person: PersonId::parse(&name(number))? },
        organization: OrganizationId::parse(&format!("organization-{}", number % 5_000)).ok(),
        digest: [7; 32],
        created_at: at,
        expires_at: at.plus(Duration::from_hours(24 * 90)),
        revoked_at: None,
        end_use: None,
        confirmation: None,
    })
}

/// Returns the bytes that are resident, by `/proc/self/statm`; pages are of 4 KiB.
fn resident() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages = text.split(' ').nth(1).ok_or_else(|| anyhow::anyhow!("statm has no second field"))?;
    Ok(pages.parse::<u64>()? * 4_096)
}
