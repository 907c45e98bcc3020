//! Who had it made, who signed for it, when it was there, and what it consists of.

use super::{super::summary::Summary, facts, section};
use crate::plan::{
    page::{Block, ColumnKind, Section, Table},
    words,
};

/// The way from the log into this folder.
pub(super) fn custody(summary: &Summary) -> Section {
    let custody = &summary.custody;
    let (size, root) = &summary.checkpoint;
    let made = facts([
        ("Made by", custody.actor.clone()),
        ("Recorded as entry", custody.entry.to_string()),
        ("at", words::moment(custody.at)),
        ("From a log of", words::of(*size, "entry", "entries")),
        ("whose root is", root.clone()),
    ]);
    let columns = [(ColumnKind::Id, "signed by"), (ColumnKind::Words, "as"), (ColumnKind::Words, "good until")];
    let approvals = Table::new("Who signed for exactly this selection; the signatures are in that entry", &columns);
    let approvals = approvals.fill(&custody.approvals, usize::MAX, |(who, role, at)| {
        vec![who.as_str().into(), role.as_str().into(), words::moment(*at).into()]
    });
    let mut blocks = vec![made, Block::Table(approvals)];
    blocks.push(match summary.stamps.is_empty() {
        true => Block::Note("No time-stamping authority was asked when the log was so far.".to_owned()),
        false => Block::Table(stamps(summary)),
    });
    section("custody", "Custody", blocks)
}

fn stamps(summary: &Summary) -> Table {
    let columns = [(ColumnKind::Words, "at"), (ColumnKind::Id, "authority"), (ColumnKind::Id, "serial number")];
    let table =
        Table::new("Who else says that the log was so far (RFC 3161); the responses are in timestamps/", &columns);
    table.fill(&summary.stamps, usize::MAX, |stamp| {
        vec![words::moment(stamp.at).into(), stamp.authority.as_str().into(), stamp.serial.as_str().into()]
    })
}

/// Every file but this one and those that name it.
pub(super) fn files(summary: &Summary) -> Section {
    let columns = [(ColumnKind::Id, "file"), (ColumnKind::Id, "SHA-256")];
    let table =
        Table::new("The files beside this page; manifest.json lists every one, signed by the log's key", &columns);
    let table =
        table.fill(&summary.files, usize::MAX, |(name, digest)| vec![name.as_str().into(), digest.as_str().into()]);
    section("files", "Files", vec![Block::Table(table)])
}
