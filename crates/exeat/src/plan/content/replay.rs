//! What calls of the past would have been answered.

use super::{
    super::{
        page::{Block, Callout, Cell, ColumnKind, Section, Table, Tone},
        view::{ReplayRow, ReplaySplit, ReplayView},
        words,
    },
    section,
};

/// Days that are shown one by one.
const DAYS: usize = 31;

/// The past, decided again.
pub(super) fn past(replay: &ReplayView) -> Section {
    let mut blocks = vec![Block::Text(summary(replay))];
    if let (Some(first), Some(last)) = (replay.first, replay.last) {
        let (first, last) = (words::moment(first), words::moment(last));
        blocks.push(Block::Text(format!(
            "The first call that would not have been permitted was at {first}, the last at {last}."
        )));
    }
    if replay.dropped_groups > 0 {
        let groups = words::of(replay.dropped_groups, "group of calls", "groups of calls");
        let text = format!("{groups} could not be decided again and are in no count here: the figures are too low.");
        let title = "Not all of the past is counted".to_owned();
        blocks.push(Block::Callout(Callout { tone: Tone::Hold, title, text }));
    }
    let tables = [
        table("By reason", "reason", &replay.by_code, usize::MAX),
        table("By model version", "model version", &replay.by_model, usize::MAX),
        table("By day, UTC", "day", &replay.by_day, DAYS),
    ];
    blocks.extend(tables.into_iter().filter(|table| !table.rows.is_empty()).map(Block::Table));
    section("replay", "Calls of the past, decided again", blocks)
}

fn summary(replay: &ReplayView) -> String {
    let ReplaySplit { permitted, held, refused } = replay.answers;
    format!(
        "From {} to {}, {} with {} were permitted. Under these rules {} would have been refused and {} held ({} \
         together); {} would have been permitted. Decided again at {} calls a second.",
        words::moment(replay.from),
        words::moment(replay.to),
        words::of(replay.calls, "call", "calls"),
        words::of(replay.tokens, "token", "tokens"),
        words::count(refused),
        words::count(held),
        words::percent(words::per_mille(refused.saturating_add(held), replay.calls)),
        words::count(permitted),
        words::count(replay.calls_per_second),
    )
}

fn table(caption: &str, what: &'static str, rows: &[ReplayRow], limit: usize) -> Table {
    let heads = [
        (ColumnKind::Id, what),
        (ColumnKind::Number, "refused"),
        (ColumnKind::Number, "held"),
        (ColumnKind::Number, "permitted"),
        (ColumnKind::Number, "tokens lost"),
    ];
    Table::new(caption, &heads).fill(rows, limit, |row| {
        let ReplaySplit { permitted, held, refused } = row.answers;
        vec![
            row.name.as_str().into(),
            Cell::toned(words::count(refused), if refused > 0 { Tone::Deny } else { Tone::Quiet }),
            Cell::toned(words::count(held), if held > 0 { Tone::Hold } else { Tone::Quiet }),
            words::count(permitted).into(),
            words::count(row.tokens_lost).into(),
        ]
    })
}
