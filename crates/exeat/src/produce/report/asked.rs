//! What was asked for, and how to verify the answer.

use super::{super::summary::Summary, facts, section};
use crate::plan::{
    page::{Block, Section},
    words,
};

/// What belongs beside the headline.
pub(super) fn beside(summary: &Summary) -> Vec<String> {
    let shown = &summary.shown;
    let mut lines = vec![format!(
        "{} can be made again from what is shown, and must come out the same.",
        words::of(shown.decisions, "decision", "decisions")
    )];
    if summary.open > 0 {
        lines.push(format!(
            "{} had not ended when this was made: what came of them is in a later production.",
            words::of(summary.open, "call", "calls")
        ));
    }
    if shown.destroyed > 0 {
        lines.push(format!(
            "The private fields of {} were destroyed before this was asked for; the entries themselves are shown.",
            words::of(shown.destroyed, "entry", "entries")
        ));
    }
    lines
}

/// The selection, in words.
pub(super) fn asked(summary: &Summary) -> Section {
    let selection = serde_json::to_value(&summary.selection).unwrap_or_default();
    let text = |name: &str| selection.get(name).and_then(|value| value.as_str()).unwrap_or("any").to_owned();
    let disclosed = selection.get("disclose").and_then(|value| value.as_array());
    let disclosed: Vec<String> =
        disclosed.into_iter().flatten().filter_map(|value| value.as_str()).map(str::to_owned).collect();
    let asked = facts([
        ("Whose calls", text("name")),
        ("On which model version", text("model")),
        ("Opened or refused from", text("from")),
        ("and before", text("to")),
        ("Private fields", words::list(&disclosed)),
        ("From the log", summary.origin.clone()),
    ]);
    section("asked", "What was asked for", vec![asked])
}

/// Two commands and nothing to trust but the key.
pub(super) fn verify(summary: &Summary) -> Section {
    let blocks = vec![
        Block::Text(
            "Everything below can be checked without a network and without trusting whoever made this folder. Get the log's \
             verifier key from somebody else than from here, put it into a file, and run one of these in this folder:"
                .to_owned(),
        ),
        Block::Code(commands(summary)),
        Block::Text(
            "The two programs were written by different hands after the same description, which is here as log-format.md; \
             a third can be written from it."
                .to_owned(),
        ),
        facts([("The key that came along", summary.key.clone())]),
        Block::Note("A key that comes with what it is to prove proves nothing: compare it.".to_owned()),
    ];
    section("verify", "How to verify it", blocks)
}

/// The verifier is in the folder if it lay beside the program that wrote it.
fn commands(summary: &Summary) -> String {
    let is_here = summary.files.iter().any(|(name, _)| name == "exeat-verify");
    let own = if is_here { "./exeat-verify" } else { "exeat-verify" };
    format!("{own} production . --key log-key.txt\npython3 -B verify.py production . --key log-key.txt")
}
