//! How fast is a production written? Makes a log of invented calls in a folder, unless it is there, and times both passes
//! over it for one organization of many: `cargo run --release -p produce --example speed -- DIR CALLS`.

#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::{
    env,
    error::Error,
    io,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use ledger::{Draft, Ledger, Options, Reader};
use produce::{Act, Survey, write_entries};
use proof::{
    entry::{Class, Entry, Kind, Outcome, Usage},
    production::{Disclosure, Selection},
};
use terms::{Clock, ManualClock, Moment};

const BEGIN: &str = "2026-06-01T00:00:00Z";
/// Between the beginnings of two calls: some 140,000 an hour.
const EVERY: Duration = Duration::from_millis(26);
const ORGANIZATIONS: u64 = 100;
const PEOPLE: u64 = 5_000;
const MODEL: &str = "mythos-5";
/// Calls between two heads entries.
const HEADS_EVERY: u64 = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let usage = "name a folder and a number of calls";
    let dir = arguments.next().ok_or(usage)?;
    let calls: u64 = arguments.next().ok_or(usage)?.parse()?;
    let dir = Path::new(&dir);
    if !dir.exists() {
        let began = Instant::now();
        make(dir, calls)?;
        println!("made a log of {calls} calls in {:.1?}", began.elapsed());
    }
    measure(dir)
}

fn make(dir: &Path, calls: u64) -> Result<(), Box<dyn Error>> {
    let clock = Arc::new(ManualClock::at(Moment::parse(BEGIN)?));
    let options = Options {
        origin: "log.larkspur.example/exeat/1".to_owned(),
        segment_bytes: 64 << 20,
        queue_entries: 100_000,
        checkpoint_every: Duration::from_millis(500),
        heads_every: Duration::from_hours(1),
    };
    let (ledger, _) = Ledger::open(dir, options, Arc::<ManualClock>::clone(&clock))?;
    let snapshot = Entry { snapshot: Some([7; 32]), ..Entry::new(Kind::Snapshot) };
    let _ = ledger.append(Draft::new(snapshot, "{}"))?.wait()?;
    let mut open = std::collections::VecDeque::new();
    for call in 0..calls {
        clock.advance(EVERY);
        open.push_back((call, opened(&ledger, call)?));
        // A hundred calls are under way at any time.
        if open.len() > 100 {
            open.pop_front().map_or(Ok(()), |(call, index)| closed(&ledger, call, index))?;
        }
        if call % HEADS_EVERY == HEADS_EVERY - 1 {
            let _ = ledger.heads()?.wait()?;
        }
    }
    open.into_iter().try_for_each(|(call, index)| closed(&ledger, call, index))?;
    clock.advance(Duration::from_hours(1));
    let last = ledger.heads()?.wait()?.index();
    while ledger.health().checkpoint <= last {
        thread::sleep(Duration::from_millis(10));
    }
    ledger.stop()?;
    Ok(())
}

/// Facts of about the length that they have.
fn facts(call: u64) -> String {
    let evidence: String = (0..20).map(|n| format!(r#"{{"id": "att-{call}-{n}", "issuer": "verity"}},"#)).collect();
    format!(r#"{{"model": "{MODEL}", "organizations": [{{"id": "org-{}"}}], "evidence": [{evidence}0]}}"#, of(call))
}

fn of(call: u64) -> u64 {
    call % ORGANIZATIONS
}

fn chains(ledger: &Ledger, call: u64) -> Arc<[ledger::Chain]> {
    let person = call % PEOPLE;
    let chain = |class, name: String| ledger.chain(class, &name);
    Arc::new([
        chain(Class::Subject, format!("person:p-{person}")),
        chain(Class::Key, format!("key:k-{person}")),
        chain(Class::Organization, format!("organization:org-{}", of(call))),
        chain(Class::Model, format!("model:{MODEL}")),
    ])
}

/// Submits an entry; where the queue is full, as soon as it is not.
fn submit(ledger: &Ledger, make: impl Fn() -> Draft) -> Result<u64, Box<dyn Error>> {
    loop {
        match ledger.append(make()) {
            Ok(pending) => return Ok(pending.index()),
            Err(ledger::Unavailable::Full) => thread::sleep(Duration::from_millis(1)),
            Err(other) => return Err(other.into()),
        }
    }
}

fn opened(ledger: &Ledger, call: u64) -> Result<u64, Box<dyn Error>> {
    submit(ledger, || {
        let entry = Entry {
            call: Some(u128::from(call).to_be_bytes()),
            subject: Some(ledger.pseudonym(&format!("person:p-{}", call % PEOPLE))),
            model: Some(MODEL.to_owned()),
            snapshot: Some([7; 32]),
            basis: Some(vec!["base.no-license-required".to_owned()]),
            ..Entry::new(Kind::Open)
        };
        Draft::new(entry, facts(call)).on(chains(ledger, call))
    })
}

fn closed(ledger: &Ledger, call: u64, index: u64) -> Result<(), Box<dyn Error>> {
    let usage =
        Usage { input_tokens: Some(900), output_tokens: Some(310), delivered_events: 280, delivered_bytes: 9_000 };
    submit(ledger, || {
        let entry = Entry {
            call: Some(u128::from(call).to_be_bytes()),
            opened: Some(index),
            outcome: Some(Outcome::Completed),
            model: Some(MODEL.to_owned()),
            usage: Some(usage),
            ..Entry::new(Kind::Close)
        };
        Draft::new(entry, "").on(chains(ledger, call))
    })
    .map(drop)
}

fn measure(dir: &Path) -> Result<(), Box<dyn Error>> {
    let reader = Reader::open(dir)?;
    let size = reader.checkpoint_size()?;
    let last = Entry::decode(&reader.stored(size - 1)?.leaf)?;
    let begin = Moment::parse(BEGIN)?.as_millis().unsigned_abs();
    let selection = Selection {
        class: Class::Organization,
        name: "organization:org-7".to_owned(),
        model: None,
        from_ms: begin,
        to_ms: last.at_ms.saturating_sub(3_000_000),
        disclose: vec![Disclosure::Facts],
    };
    let at = ManualClock::at(Moment::parse(BEGIN)?).now();
    let act = Act { entry: size - 1, at, selection, json: b"{}".to_vec() };
    let began = Instant::now();
    let survey = Survey::take(&reader, &act, size, &mut ())?;
    let surveyed = began.elapsed();
    write_entries(&reader, &act, &survey, (io::sink(), io::sink()), &mut ())?;
    let written = began.elapsed() - surveyed;
    let rate = size as f64 / surveyed.as_secs_f64();
    println!("surveyed {size} entries in {surveyed:.2?}: {rate:.0} entries/s");
    println!("wrote {} entries that are shown in {written:.2?}", survey.entries.len());
    Ok(())
}
