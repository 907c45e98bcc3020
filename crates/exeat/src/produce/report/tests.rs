//! The report says what it must, shows it, and needs nothing else.

use super::{super::sample, *};

/// Reads the page as XML; returns the values of all attributes.
fn attributes(page: &str) -> Vec<String> {
    use quick_xml::{Reader, events::Event};
    let mut reader = Reader::from_str(page);
    let mut found = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => return found,
            Event::Start(tag) | Event::Empty(tag) => {
                found.extend(tag.attributes().map(|one| one.unwrap().value.into_owned()));
            }
            _ => {}
        }
    }
}

#[test]
fn the_report_says_what_was_asked_what_is_shown_and_how_to_verify_it() {
    let text = report(&sample::summary());
    for said in [
        "organization:acme",
        "10,619 calls, 847 refusals and 3,291,890 output tokens",
        "from number 41,210 to 63,943, none missing",
        "exeat-verify production . --key log-key.txt",
        "python3 -B verify.py production . --key log-key.txt",
        "otto",
        "another: 31,206 calls",
        "12 calls ended in hours that no meter confirmed",
        "DIR-2026-06-12 version 1 (in force)",
    ] {
        assert!(text.contains(said), "{said}");
    }
}

#[test]
fn the_report_needs_nothing_else_and_nothing_in_it_runs() {
    let page = report(&sample::summary());
    let attributes = attributes(&page);
    assert!(!page.contains("<script") && !page.contains("<link") && !page.contains("<img"));
    assert!(attributes.iter().all(|value| !value.contains("://")), "{attributes:?}");
    assert!(page.contains("Northgate Time") && !page.contains("Time <&>"));
}

#[test]
fn every_picture_is_there_and_described() {
    let page = report(&sample::summary());
    for name in ["calls", "chain", "in-force"] {
        assert!(page.contains(&format!("id=\"{name}-desc\"")), "{name}");
    }
}

#[test]
fn a_production_without_calls_has_a_report_too() {
    let mut empty = sample::summary();
    empty.totals.clear();
    empty.in_force.clear();
    empty.hours.clear();
    empty.unmetered = 0;
    empty.stamps.clear();
    empty.chain.numbers = (0, 0);
    let text = report(&empty);
    attributes(&text);
    assert!(text.contains("0 calls") && text.contains("No time-stamping authority"));
}
