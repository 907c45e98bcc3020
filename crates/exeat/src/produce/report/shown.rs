//! What is shown and what is not, in numbers; and why nothing can be missing.

use super::{
    super::summary::{Hour, InForce, Summary, Totals},
    facts, section,
};
use crate::plan::{
    page::{Block, Callout, Cell, ColumnKind, Section, Table, Tone},
    words,
};

/// Rows of a table that are shown; `calls.csv` has every call.
const ROWS: usize = 366;

/// How much is shown, and what that does not say.
pub(super) fn shown(summary: &Summary) -> Section {
    let shown = &summary.shown;
    let counted = facts([
        ("Entries shown", words::count(shown.entries)),
        ("of these, of the same chain but not asked for", words::count(shown.beside)),
        ("Private fields shown", words::count(shown.open)),
        ("Private fields withheld", words::count(shown.withheld)),
    ]);
    let blocks = vec![
        Block::Text(
            "Entries of the same chain that were not asked for are shown without their private fields: their numbers prove \
             that nothing lies between those that were. Of everybody else's entries there are only hashes."
                .to_owned(),
        ),
        counted,
        Block::Text(
            "What this cannot show: that the facts on which decisions were based were true, and that no call went past the \
             gateway. Where a meter stood before the model server, it counted for itself; see below."
                .to_owned(),
        ),
    ];
    section("shown", "What is shown and what is not", blocks)
}

/// Calls, refusals and tokens by model version and day.
pub(super) fn totals(summary: &Summary) -> Section {
    let rows: Vec<_> = summary.totals.iter().collect();
    let columns = [
        (ColumnKind::Id, "model version"),
        (ColumnKind::Words, "day (UTC)"),
        (ColumnKind::Number, "calls"),
        (ColumnKind::Number, "cut"),
        (ColumnKind::Number, "refused"),
        (ColumnKind::Number, "input tokens"),
        (ColumnKind::Number, "output tokens"),
        (ColumnKind::Number, "events"),
    ];
    let table = Table::new("Calls by model version and day; calls.csv has every one", &columns);
    let table = table.fill(&rows, ROWS, |((model, day), totals)| {
        let named = [model.as_str().into(), day.as_str().into()];
        named.into_iter().chain(counts(totals)).collect()
    });
    section("totals", "Totals", vec![Block::Picture("calls"), Block::Table(table)])
}

fn counts(totals: &Totals) -> [Cell; 6] {
    [totals.calls, totals.cut, totals.refusals, totals.input, totals.output, totals.events]
        .map(|n| words::count(n).into())
}

/// Why nothing can be missing, and what that takes for true.
pub(super) fn complete(summary: &Summary) -> Section {
    let chain = &summary.chain;
    let (from, to) = chain.numbers;
    let before = chain.heads.0.map_or_else(|| "the beginning of the log".to_owned(), |entry| format!("entry {entry}"));
    let text = format!(
        "The log numbers the entries about each organization, person, key and model version, and writes down every hour \
         how many there are. Between {before} and entry {} this chain grew from {} to {}; each number is here, each entry \
         names the one before it, and the sums of calls and tokens add up to what the log had written down. That this is \
         true in entry {} is not shown in this folder: whoever has all entries of the log, a mirror for one, can see it, \
         with `exeat-verify leaves`.",
        chain.heads.1,
        words::of(from, "entry", "entries"),
        words::count(to),
        chain.heads.1,
    );
    let whole = facts([("Chain", chain.id.clone()), ("Entries in it that are shown", words::count(to - from))]);
    let title = format!("Complete as of entry {}", chain.heads.1);
    section("complete", &title, vec![Block::Picture("chain"), Block::Text(text), whole])
}

/// What was in force, as a time line.
pub(super) fn in_force(summary: &Summary) -> Section {
    let columns = [
        (ColumnKind::Words, "from"),
        (ColumnKind::Number, "entry"),
        (ColumnKind::Words, "directives and licenses"),
        (ColumnKind::Id, "digest"),
    ];
    let table = Table::new("Every change of what was in force in this time", &columns);
    let table = table.fill(&summary.in_force, ROWS, |snapshot: &InForce| {
        vec![
            words::moment(snapshot.at).into(),
            words::count(snapshot.entry).into(),
            instruments(snapshot).into(),
            snapshot.digest.as_str().into(),
        ]
    });
    let text =
        "Each decision was made under one of these, whole; the documents are among the entries, and a verifier makes \
                every decision again with them."
            .to_owned();
    section("in-force", "What was in force", vec![Block::Picture("in-force"), Block::Text(text), Block::Table(table)])
}

/// Names the instruments of a snapshot.
pub(super) fn instruments(snapshot: &InForce) -> String {
    match snapshot.instruments.is_empty() {
        true => "no directive and no license".to_owned(),
        false => words::list(&snapshot.instruments),
    }
}

/// What gateway and meter counted; nothing where no call was of an hour that should have been compared.
pub(super) fn meters(summary: &Summary) -> Option<Section> {
    if summary.hours.is_empty() && summary.unmetered == 0 {
        return None;
    }
    let columns = [
        (ColumnKind::Id, "model version"),
        (ColumnKind::Words, "hour"),
        (ColumnKind::Number, "calls"),
        (ColumnKind::Number, "input tokens"),
        (ColumnKind::Number, "output tokens"),
        (ColumnKind::Words, "the meter"),
    ];
    let table =
        Table::new("What the gateway counted of all completed calls, and whether the meter counted the same", &columns);
    let table = table.fill(&summary.hours, ROWS, hour);
    let mut blocks = if summary.hours.is_empty() { Vec::new() } else { vec![Block::Table(table)] };
    if summary.unmetered > 0 {
        let calls = words::of(summary.unmetered, "call", "calls");
        let text = format!(
            "{calls} ended in hours that no meter confirmed, or went through none: there the gateway alone says what was used."
        );
        blocks.push(Block::Callout(Callout { tone: Tone::Hold, title: "Counted by one side only".to_owned(), text }));
    }
    Some(section("meters", "What the model servers counted", blocks))
}

fn hour(hour: &Hour) -> Vec<Cell> {
    let counted = hour.gateway.map(|n| words::count(n).into());
    let meter = match hour.agree {
        true => Cell::toned("the same", Tone::Permit),
        false => {
            let [calls, input, output] = hour.meter.map(words::count);
            Cell::toned(format!("another: {calls} calls, {input} and {output} tokens"), Tone::Deny)
        }
    };
    let named = [hour.model.as_str().into(), format!("{} (entry {})", words::moment(hour.at), hour.entry).into()];
    named.into_iter().chain(counted).chain([meter]).collect()
}
