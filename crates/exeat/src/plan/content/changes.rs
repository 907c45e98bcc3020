//! What differs between the document now and then, and the document itself.

use serde_json::Value;

use super::{
    super::{
        page::{Block, Cell, ColumnKind, Section, Table, Tone},
        view::{ChangeView, Effect, View},
    },
    section,
};

/// The document and what changes in it; none if neither was given.
pub(super) fn document(view: &View) -> Option<Section> {
    let mut blocks = Vec::new();
    if !view.changes.is_empty() {
        blocks.push(Block::Table(table(&view.changes)));
    }
    if let Some(document) = &view.document {
        blocks.push(Block::Facts(head(document)));
        blocks.push(Block::Document(serde_json::to_string_pretty(document).unwrap_or_default()));
    }
    (!blocks.is_empty()).then(|| section("document", "The document", blocks))
}

fn table(changes: &[ChangeView]) -> Table {
    let heads = [
        (ColumnKind::Id, "effect"),
        (ColumnKind::Words, "what"),
        (ColumnKind::Words, "now"),
        (ColumnKind::Words, "then"),
        (ColumnKind::Words, "place"),
    ];
    let text = |value: &Option<String>| match value {
        Some(text) => Cell::from(text.as_str()),
        None => Cell::toned("nothing", Tone::Quiet),
    };
    Table::new("What changes in it, field by field", &heads).fill(changes, usize::MAX, |change| {
        let (effect, tone) = effect(change.effect);
        let place = Cell::toned(change.path.as_str(), Tone::Quiet);
        vec![Cell::toned(effect, tone), change.meaning.as_str().into(), text(&change.old), text(&change.new), place]
    })
}

fn effect(effect: Effect) -> (&'static str, Tone) {
    match effect {
        Effect::Narrows => ("narrows", Tone::Deny),
        Effect::Widens => ("widens", Tone::Permit),
        Effect::Neutral => ("neutral", Tone::Quiet),
        Effect::Unknown => ("UNKNOWN", Tone::Loud),
    }
}

/// Who issued it, on what authority, and the digest of the letter it was transcribed from.
fn head(document: &Value) -> Vec<(String, String)> {
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let version = document.pointer("/version").and_then(Value::as_u64).map(|version| version.to_string());
    let cites = document.pointer("/authority").and_then(Value::as_array).map(|all| {
        let cites = all.iter().filter_map(|one| one.pointer("/cite").and_then(Value::as_str));
        cites.collect::<Vec<_>>().join("; ")
    });
    let known = [
        ("id", text("/id")),
        ("version", version),
        ("type", text("/type")),
        ("status", text("/status")),
        ("issued by", text("/issuer/agency")),
        ("official", text("/issuer/official")),
        ("authority", cites),
        ("SHA-256 of the letter", text("/source/sha256")),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
