//! How to undo the change, and how to make the report again.

use policy::plan::{Report, SnapshotMark};

use super::{
    super::{
        page::{Block, Callout, Cell, ColumnKind, Section, Table, Tone},
        view::View,
        words,
    },
    section,
};

/// What undoes the change.
pub(super) fn rollback(report: &Report) -> Section {
    let rollback = &report.schedule.rollback;
    let heads = [(ColumnKind::Id, "instrument"), (ColumnKind::Words, "set back to")];
    let instruments: Vec<_> = rollback.instruments.iter().collect();
    let table = Table::new("Instruments to set back", &heads).fill(&instruments, usize::MAX, |(id, version)| {
        let back = version.map_or_else(|| "not in force".to_owned(), |version| format!("version {version}"));
        vec![Cell::from(id.as_str()), back.into()]
    });
    let text = format!("The snapshot to go back to is that of {}.", epoch(&rollback.snapshot));
    let digest = vec![("digest".to_owned(), rollback.snapshot.digest.clone())];
    section("rollback", "How it is undone", vec![Block::Text(text), Block::Facts(digest), Block::Table(table)])
}

/// From what, by what and by whom the report was made.
pub(super) fn reproduce(view: &View) -> Section {
    let report = &view.report;
    let mut blocks = vec![
        Block::Text("The same inputs give the same bytes. Whoever has them can make this report again.".to_owned()),
        Block::Facts(inputs(report)),
    ];
    blocks.push(signature(view));
    blocks.extend(view.command.clone().map(Block::Code));
    section("reproduce", "How it is made again", blocks)
}

fn inputs(report: &Report) -> Vec<(String, String)> {
    let people = &report.population;
    let facts = [
        ("format", report.format.clone()),
        ("engine", format!("policy {}", report.engine)),
        ("planned for", words::moment(report.at)),
        ("in force now", epoch(&report.before)),
        ("digest now", report.before.digest.clone()),
        ("in force then", epoch(&report.after)),
        ("digest then", report.after.digest.clone()),
        ("population digest", people.digest.clone()),
        ("population", population(report)),
        ("groups decided", words::count(people.classes)),
    ];
    facts.map(|(name, value)| (name.to_owned(), value)).into()
}

fn population(report: &Report) -> String {
    let people = &report.population;
    words::list(&[
        words::of(people.keys, "key", "keys"),
        words::people(people.persons),
        words::of(people.workloads, "workload", "workloads"),
        words::of(people.tenants, "tenant", "tenants"),
    ])
}

fn epoch(mark: &SnapshotMark) -> String {
    format!("epoch {}", words::count(mark.epoch))
}

fn signature(view: &View) -> Block {
    let (tone, title, text) = match (&view.signature, &view.report.signature) {
        (Some(checked), _) if checked.verified => {
            (Tone::Permit, "Signature verified", format!("Signed with key {}.", checked.key))
        }
        (Some(checked), _) => (
            Tone::Loud,
            "SIGNATURE DOES NOT VERIFY",
            format!("It claims to be of key {}. Do not rely on it.", checked.key),
        ),
        (None, Some(signed)) => {
            (Tone::Hold, "Signature not checked", format!("It claims to be of key {}.", signed.key))
        }
        (None, None) => (Tone::Hold, "Not signed", "Nobody has put their key to this report.".to_owned()),
    };
    Block::Callout(Callout { tone, title: title.to_owned(), text })
}
