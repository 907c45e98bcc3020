//! When what happens: the dates of the instruments, what fires by itself, what lapses.

use policy::plan::{Firing, InstrumentTimes, Lapse, Report};
use terms::Moment;

use super::{
    super::{
        law,
        page::{Block, Callout, Cell, ColumnKind, Section, Table, Tone},
        words,
    },
    ROWS, section,
};

/// The time plan.
pub(super) fn times(report: &Report) -> Section {
    let schedule = &report.schedule;
    let mut blocks: Vec<Block> = schedule.instruments.iter().filter_map(late).collect();
    blocks.extend([Block::Picture("time-plan.svg"), Block::Table(instruments(&schedule.instruments))]);
    match schedule.moments.is_empty() {
        true => blocks.push(Block::Text("Nothing fires by itself after that moment.".to_owned())),
        false => blocks.push(Block::Table(firings(&schedule.moments))),
    }
    blocks.extend(lapses(&schedule.lapses, schedule.lapses_until));
    section("schedule", "When what happens", blocks)
}

fn late(times: &InstrumentTimes) -> Option<Block> {
    let margin = times.margin_ms.filter(|margin| *margin < 0)?;
    let by = times.comply_by.unwrap_or(times.effective_at);
    let text = format!("Due by {}: {}.", words::moment(by), words::margin(margin));
    let title = format!("{} would be applied too late", times.id);
    Some(Block::Callout(Callout { tone: Tone::Loud, title, text }))
}

fn instruments(times: &[InstrumentTimes]) -> Table {
    let heads = [
        (ColumnKind::Id, "instrument"),
        (ColumnKind::Number, "version"),
        (ColumnKind::Id, "status"),
        (ColumnKind::Words, "received"),
        (ColumnKind::Id, "effective"),
        (ColumnKind::Words, "comply by"),
        (ColumnKind::Number, "apply, cut"),
        (ColumnKind::Number, "margin"),
    ];
    Table::new("The instruments that change; times in UTC", &heads).fill(times, usize::MAX, |times| {
        let late = times.margin_ms.is_some_and(|margin| margin < 0);
        vec![
            times.id.as_str().into(),
            versions(times).into(),
            law::status(times.status).into(),
            stamp(times.received_at),
            stamp(Some(times.effective_at)),
            stamp(times.comply_by),
            times.apply_and_cut_ms.map_or_else(|| unknown("not measured"), |took| words::span(took).into()),
            times.margin_ms.map_or_else(
                || unknown("unknown"),
                |margin| Cell::toned(words::margin(margin), if late { Tone::Loud } else { Tone::Plain }),
            ),
        ]
    })
}

fn versions(times: &InstrumentTimes) -> String {
    let version = |version: Option<u32>| version.map_or_else(|| "\u{2013}".to_owned(), |version| version.to_string());
    format!("{} \u{2192} {}", version(times.before), version(times.after))
}

fn stamp(at: Option<Moment>) -> Cell {
    at.map_or_else(
        || unknown("not stated"),
        |at| words::moment(at).strip_suffix(" UTC").unwrap_or_default().to_owned().into(),
    )
}

fn unknown(text: &str) -> Cell {
    Cell::toned(text, Tone::Quiet)
}

fn firings(moments: &[Firing]) -> Table {
    let heads = [
        (ColumnKind::Id, "when"),
        (ColumnKind::Words, "what"),
        (ColumnKind::Number, "keys that lose"),
        (ColumnKind::Number, "keys that gain"),
    ];
    Table::new("What takes or loses force by its own date", &heads).fill(moments, ROWS, |firing| {
        let keys = |reach: &Option<policy::plan::Reach>| match reach {
            Some(reach) => Cell::from(words::count(reach.keys)),
            None => unknown("not decided"),
        };
        let what: Vec<String> = firing.what.iter().map(|what| words::spaced(what)).collect();
        vec![words::moment(firing.at).into(), words::list(&what).into(), keys(&firing.losing), keys(&firing.gaining)]
    })
}

fn lapses(lapses: &[Lapse], until: Moment) -> Vec<Block> {
    let until = words::moment(until);
    if lapses.is_empty() {
        return vec![Block::Text(format!("No evidence and no key gets too old up to {until}."))];
    }
    let keys: u64 = lapses.iter().map(|lapse| lapse.keys).sum();
    let heads = [
        (ColumnKind::Id, "from"),
        (ColumnKind::Words, "to"),
        (ColumnKind::Id, "model version"),
        (ColumnKind::Words, "for"),
        (ColumnKind::Number, "keys"),
        (ColumnKind::Number, "tokens/min"),
    ];
    let table = Table::new("Permits that end unless evidence is renewed", &heads).fill(lapses, ROWS, |lapse| {
        let numbers = [lapse.keys, lapse.tokens_per_minute].map(|n| Cell::from(words::count(n)));
        let [keys, tokens] = numbers;
        let (from, to) = (words::moment(lapse.first), words::time(lapse.last));
        vec![from.into(), to.into(), lapse.model.as_str().into(), law::code(lapse.code).into(), keys, tokens]
    });
    let text =
        format!("Up to {until}, {} end by lapse of time if nothing is renewed.", words::of(keys, "permit", "permits"));
    vec![Block::Text(text), Block::Picture("lapses.svg"), Block::Table(table)]
}
