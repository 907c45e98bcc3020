//! The gateway with everything on, one worker: what one frame of a stream costs, and one whole call.
//!
//! The client and the model server are a process of their own (see [`crate::ends`]), which is not counted, and take
//! turns with the gateway: it always sleeps when the next bytes come, so that each repetition takes the same path.

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, ensure};
use gateway::{EndpointSettings, Gateway, Parts, Settings, Unmonitored, UpstreamSettings};
use identity::{Change, Directory, Holder, KeyText, Pepper};
use policy::CallerFacts;
use terms::{Clock, Dialect, ManualClock};
use testkit::cases::Check;

use crate::{append, ends, key, world};

/// Relays so many frames of one stream.
///
/// # Errors
///
/// The gateway cannot be set up, or did not relay what the model server sent.
pub(crate) fn frames(count: u32) -> anyhow::Result<()> {
    between_ends("frames", count)
}

/// Serves so many calls on one connection, each answered at once and whole.
///
/// # Errors
///
/// As [`frames`].
pub(crate) fn calls(count: u32) -> anyhow::Result<()> {
    between_ends("calls", count)
}

fn between_ends(what: &str, count: u32) -> anyhow::Result<()> {
    let check = world::check("E02")?;
    let dir = tempfile::tempdir()?;
    let mut ends = Command::new(std::env::current_exe()?)
        .args(["ends", what, &count.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the other ends")?;
    let outcome = play(&check, dir.path(), &mut ends);
    // Without a gateway it would wait for ever.
    let _ = ends.kill();
    let status = ends.wait()?;
    outcome?;
    ensure!(status.success(), "the other ends failed: {status}");
    Ok(())
}

fn play(check: &Check, dir: &Path, ends: &mut Child) -> anyhow::Result<()> {
    let upstream = ends::read_address(ends.stdout.take().context("no output of the other ends")?)?;
    let key = KeyText::mint()?;
    let clock = Arc::new(ManualClock::at(check.facts.at));
    let ledger = append::open(dir, Arc::clone(&clock) as Arc<dyn Clock>)?;
    let pepper = Pepper::new([7; 32]);
    let gateway = Gateway::start(Parts {
        settings: settings(check, upstream)?,
        directory: Arc::new(directory(check, &key, &pepper)?),
        snapshot: Arc::new(world::snapshot(check)?),
        ledger: ledger.clone(),
        clock,
        pepper,
        monitor: Arc::new(Unmonitored),
        client: fetch::Client::new(fetch::Settings::new(fetch::Roots::native()?, fetch::AddressRule::public())),
        own_tokens: None,
        ticket_key: None,
        aside: None,
    })?;
    let address = gateway.addresses().first().copied().context("the gateway listens nowhere")?;
    let mut told = ends.stdin.take().context("no input of the other ends")?;
    writeln!(told, "{address} {} {}", key.reveal(), check.facts.model)?;
    drop(told);
    let status = ends.wait()?;
    ensure!(status.success(), "the other ends failed: {status}");
    ensure!(gateway.drain(Duration::from_secs(30)), "a call did not end");
    ledger.stop()?;
    Ok(())
}

fn settings(check: &Check, upstream: SocketAddr) -> anyhow::Result<gateway::Checked> {
    let endpoint =
        EndpointSettings { dialects: vec![Dialect::Openai], ..EndpointSettings::new(format!("http://{upstream}")) };
    let settings = Settings {
        listen: vec![(Ipv4Addr::LOCALHOST, 0).into()],
        workers: 1,
        upstreams: vec![UpstreamSettings::new(check.facts.model.clone(), vec![endpoint])],
        ..Settings::default()
    };
    settings.check().map_err(|faults| anyhow::anyhow!("{faults:?}"))
}

/// Fills a directory with whom the case is about, and a key of theirs.
fn directory(check: &Check, key: &KeyText, pepper: &Pepper) -> anyhow::Result<Directory> {
    let CallerFacts::Person { person } = &check.facts.caller else {
        anyhow::bail!("the case is not about a person");
    };
    let directory = Directory::default();
    for organization in &check.facts.organizations {
        directory.apply(Change::Organization(Arc::clone(organization)));
    }
    directory.apply(Change::Person(Arc::clone(person)));
    let holder = Holder::Person { person: person.id.clone() };
    let tenant = check.facts.credential.organization.clone();
    directory.apply(Change::Key(Arc::new(key::record(key, pepper, holder, tenant, check.facts.at))));
    Ok(directory)
}
