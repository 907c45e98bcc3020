//! Measures a population that sources tell of: what it costs to take in, to hold and to load, and how long it takes to
//! suspend everybody of one organization, entry by entry, each durable before the next.
//!
//! `cargo run --release -p control --example population_bench -- [PEOPLE] [OF_ONE]`: so many people in all, 1,000,000 unless
//! given, each with 10 attestations and an account, of whom so many are of one organization, 100,000 unless given. Linux
//! only: memory is what the kernel says is resident.

use std::{
    env, fs,
    io::{self, Write},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use control::{Control, DeskPolicy, FederatedChange, ProofPolicy, Settings, Source};
use identity::Pepper;
use ledger::Ledger;
use terms::{
    Account, AccountState, Assurance, Attestation, AttestationId, Channel, ChannelId, ChannelKind, Claim, Clock,
    Country, IssuerId, LocationMethod, Moment, PersonId, SubjectName, SystemClock, UsPersonLimb,
};

/// People of one entry: with 12 changes each, below what one entry takes.
const AT_ONCE: u64 = 40;
/// Accounts of one entry of suspensions.
const SUSPENDED_AT_ONCE: u64 = 500;
const ATTESTATIONS: u64 = 10;

fn main() -> anyhow::Result<()> {
    let mut numbers = env::args().skip(1).map(|text| text.parse::<u64>());
    let people = numbers.next().transpose()?.unwrap_or(1_000_000);
    let of_one = numbers.next().transpose()?.unwrap_or(100_000).min(people);
    let folder = tempfile::tempdir()?;
    let mut out = io::stdout().lock();
    let took = take_in(folder.path(), people, of_one)?;
    writeln!(out, "people              {people}, each with {ATTESTATIONS} attestations and an account")?;
    writeln!(out, "taken in            {:.1} s, {:.0} people/s", took.as_secs_f64(), per_second(people, took))?;
    let before = resident()?;
    let start = Instant::now();
    let (control, ledger) = open(folder.path())?;
    writeln!(out, "loaded at start     {:.2} s", start.elapsed().as_secs_f64())?;
    writeln!(out, "resident            {} MiB more", resident()?.saturating_sub(before) >> 20)?;
    let start = Instant::now();
    suspend(&control, of_one)?;
    let took = start.elapsed();
    writeln!(out, "suspended           {of_one} people of one organization in {:.2} s", took.as_secs_f64())?;
    writeln!(out, "registry            {} MiB", fs::metadata(folder.path().join("registry.sqlite3"))?.len() >> 20)?;
    ledger.stop()?;
    Ok(())
}

fn open(folder: &Path) -> anyhow::Result<(Control, Ledger)> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let options = ledger::Options {
        origin: "log.example.com/exeat/bench".to_owned(),
        segment_bytes: 64 << 20,
        queue_entries: 65_536,
        checkpoint_every: Duration::from_secs(1),
        heads_every: Duration::from_secs(3_600),
    };
    let (ledger, _) = Ledger::open(&folder.join("ledger"), options, Arc::clone(&clock))?;
    let settings = Settings {
        data_dir: folder.to_owned(),
        lab: None,
        models: Vec::new(),
        aliases: Vec::new(),
        desk: DeskPolicy::SINGLE_PERSON,
        proofs: ProofPolicy::Off,
    };
    let control = Control::open(settings, ledger.clone(), clock, Pepper::new([7; 32]))?;
    Ok((control, ledger))
}

/// Takes everybody in as a directory would tell of them, several with each entry; returns how long that took.
fn take_in(folder: &Path, people: u64, of_one: u64) -> anyhow::Result<Duration> {
    let (control, ledger) = open(folder)?;
    let federation = control.federation();
    let now = federation.now();
    for name in ["one", "other"] {
        let channel = channel(name, now)?;
        federation.commit(&Source::own("bench.channel"), |_| Ok(vec![FederatedChange::Channel(channel)]))?;
    }
    let start = Instant::now();
    for first in (0..people).step_by(usize::try_from(AT_ONCE)?) {
        let mut changes = Vec::new();
        for number in first..people.min(first + AT_ONCE) {
            changes.extend(told(number, if number < of_one { "one" } else { "other" }, now)?);
        }
        federation.commit(&Source::own("bench.people"), |_| Ok(changes))?;
    }
    let took = start.elapsed();
    control.checkpoint()?;
    drop(control);
    ledger.stop()?;
    Ok(took)
}

fn channel(name: &str, now: Moment) -> anyhow::Result<Channel> {
    Ok(Channel {
        id: ChannelId::parse(name)?,
        kind: ChannelKind::Scim,
        organization: None,
        issuer: None,
        heard_at: now,
        interval_s: 0,
        grace_s: 0,
        enabled: true,
    })
}

fn told(number: u64, channel: &str, now: Moment) -> anyhow::Result<Vec<FederatedChange>> {
    let person = PersonId::parse(&name(number))?;
    let mut changes = vec![
        FederatedChange::NewPerson { person: person.clone(), display_name: format!("Person {number}") },
        FederatedChange::Account { person: person.clone(), account: account(number, channel, AccountState::Active)? },
    ];
    for turn in 0..ATTESTATIONS {
        changes.push(FederatedChange::Attestation(attestation(&person, number * ATTESTATIONS + turn, turn, now)?));
    }
    Ok(changes)
}

fn attestation(person: &PersonId, number: u64, turn: u64, now: Moment) -> anyhow::Result<Attestation> {
    let claim = match turn % 2 {
        0 => Claim::UsPerson { limb: UsPersonLimb::Citizen },
        _ => Claim::Location { country: Country::US, method: LocationMethod::Managed },
    };
    Ok(Attestation {
        id: AttestationId::parse(&format!("att-{number:032x}"))?,
        person: person.clone(),
        claim,
        issuer: IssuerId::parse(&format!("issuer-{turn}"))?,
        evidence: format!("case {number}"),
        assurance: Assurance::Ial2,
        issued_at: now,
        expires_at: now.plus(Duration::from_hours(24 * 365)),
        supersedes: None,
        means: None,
        fresh_until: None,
        channel: None,
    })
}

fn account(number: u64, channel: &str, state: AccountState) -> anyhow::Result<Account> {
    Ok(Account {
        channel: ChannelId::parse(channel)?,
        subject: SubjectName::parse(&format!("user-{number}"))?,
        organization: None,
        state,
        sessions_end: None,
    })
}

/// Suspends everybody of one organization, as a signal about the whole tenant does.
fn suspend(control: &Control, of_one: u64) -> anyhow::Result<()> {
    let source = Source::signal(ChannelId::parse("one")?, "bench.suspend", "bench");
    for first in (0..of_one).step_by(usize::try_from(SUSPENDED_AT_ONCE)?) {
        let mut changes = Vec::new();
        for number in first..of_one.min(first + SUSPENDED_AT_ONCE) {
            let person = PersonId::parse(&name(number))?;
            let account = account(number, "one", AccountState::Suspended)?;
            changes.push(FederatedChange::Account { person, account });
        }
        control.federation().commit(&source, |_| Ok(changes))?;
    }
    Ok(())
}

fn name(number: u64) -> String {
    format!("person-{number:07}")
}

#[expect(clippy::cast_precision_loss, reason = "a rate is shown, not counted with")]
fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

/// Returns how much memory of this process is resident, in bytes.
fn resident() -> anyhow::Result<u64> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages = statm.split(' ').nth(1).context("no second field in `/proc/self/statm`")?;
    Ok(pages.parse::<u64>()? * 4096)
}
