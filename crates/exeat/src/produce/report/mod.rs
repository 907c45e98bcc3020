//! The report of a production: one page of HTML that needs nothing else.

mod asked;
mod custody;
mod picture;
mod shown;

use super::summary::Summary;
use crate::plan::{
    html,
    page::{Block, Page, Section},
    words,
};

/// Renders the report: what was asked, what is shown and what is not, that nothing is missing, and how to verify it.
///
/// All text is escaped; there is no script, no font and no address in it.
pub(crate) fn report(summary: &Summary) -> String {
    html::page(&page(summary), &picture::drawings(summary))
}

fn page(summary: &Summary) -> Page {
    let sections = [
        Some(asked::asked(summary)),
        Some(asked::verify(summary)),
        Some(shown::shown(summary)),
        Some(shown::totals(summary)),
        Some(shown::complete(summary)),
        Some(shown::in_force(summary)),
        shown::meters(summary),
        Some(custody::custody(summary)),
        Some(custody::files(summary)),
    ];
    Page {
        title: format!("Production from the log {}", summary.origin),
        subtitle: format!("Recorded as entry {} at {}", summary.custody.entry, words::moment(summary.custody.at)),
        headline: headline(summary),
        beside: asked::beside(summary),
        sections: sections.into_iter().flatten().collect(),
    }
}

fn headline(summary: &Summary) -> String {
    let all = summary.all();
    let (from, to) = summary.chain.numbers;
    format!(
        "{}, {} and {}: every entry of the chain from number {} to {}, none missing as of entry {} of the log.",
        words::of(all.calls, "call", "calls"),
        words::of(all.refusals, "refusal", "refusals"),
        words::of(all.output, "output token", "output tokens"),
        words::count(from),
        words::count(to.saturating_sub(1)),
        summary.chain.heads.1,
    )
}

fn section(anchor: &str, title: &str, blocks: Vec<Block>) -> Section {
    Section { anchor: anchor.to_owned(), title: title.to_owned(), blocks }
}

fn facts<const N: usize>(facts: [(&str, String); N]) -> Block {
    Block::Facts(facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

#[cfg(test)]
mod tests;
