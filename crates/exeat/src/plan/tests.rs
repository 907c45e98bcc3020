//! A realistic plan, rendered every way, and what must be found in each.

use std::collections::BTreeSet;

use policy::plan::{Reach, Report, Split};
use serde_json::{Value, json};

use super::*;

const SAMPLE: &str = include_str!("../../tests/fixtures/plan.json");
const HOSTILE: &str = "</title><script>alert('x')</script>&\"<b>\u{1b}[31m\u{202e}]]>";

/// The plan of June 12, with figures that add up.
fn sample() -> View {
    serde_json::from_str(SAMPLE).unwrap()
}

/// The plan of June 12 with one value replaced.
fn with(pointer: &str, value: Value) -> View {
    let mut view: Value = serde_json::from_str(SAMPLE).unwrap();
    *view.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
    serde_json::from_value(view).unwrap()
}

/// Text as one line, so that it does not matter where it was broken.
fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Both renderings, each with its name; the terminal so wide that nothing is cut off.
fn renderings(view: &View) -> [(&'static str, String); 2] {
    [("terminal", joined(&terminal(view, 400, false))), ("html", joined(&html(view)))]
}

/// What a browser shows of text that was escaped.
fn shown(text: &str) -> String {
    text.replace('\'', "&#39;")
}

fn keys(split: &Split) -> u64 {
    split.permit.keys + split.hold.keys + split.deny.keys
}

fn sum<'a>(reaches: impl Iterator<Item = &'a Reach>) -> u64 {
    reaches.map(|reach| reach.keys).sum()
}

/// The names of elements, and the names and values of attributes, in order.
type Markup = (Vec<String>, Vec<(String, String)>);

/// Parses as XML; anything but elements, text and a document type has no place in a plan.
fn parsed(text: &str) -> Markup {
    use quick_xml::{Reader, events::Event};
    let mut reader = Reader::from_str(text);
    let (mut names, mut attributes, mut open) = (Vec::new(), Vec::new(), 0);
    loop {
        let event = reader.read_event().unwrap();
        open += i32::from(matches!(event, Event::Start(_))) - i32::from(matches!(event, Event::End(_)));
        match event {
            Event::Eof => break,
            Event::Start(tag) | Event::Empty(tag) => {
                names.push(tag.name().as_ref().to_owned());
                let all = tag.attributes().map(Result::unwrap);
                attributes.extend(all.map(|one| (one.key.as_ref().to_owned(), one.value.into_owned())));
            }
            Event::Text(_) | Event::GeneralRef(_) | Event::End(_) | Event::DocType(_) => {}
            other => panic!("{other:?} has no place in a plan"),
        }
    }
    assert_eq!(open, 0, "elements that are not closed");
    (names, attributes)
}

/// Returns the values of one attribute wherever it stands.
fn values<'a>(markup: &'a Markup, wanted: &str) -> Vec<&'a str> {
    markup.1.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.as_str()).collect()
}

#[test]
fn the_figures_of_the_sample_add_up() {
    let report: Report = sample().report;
    for model in &report.models {
        assert_eq!(keys(&model.before), keys(&model.after), "{}", model.model);
        assert_eq!(sum(model.keeps.iter().map(|keep| &keep.reach)), model.after.permit.keys, "{}", model.model);
        assert_eq!(sum(model.holds.iter().map(|hold| &hold.reach)), model.after.hold.keys, "{}", model.model);
        let reasons = model.turn_off.reasons.iter().map(|reason| &reason.reach);
        assert_eq!(sum(reasons), model.turn_off.reach.keys, "{}", model.model);
        let diff = &model.diff;
        let changed = [&diff.newly_denied, &diff.newly_held, &diff.newly_allowed, &diff.basis_changed];
        let all = changed.into_iter().chain([&diff.reason_changed, &diff.unchanged]);
        assert_eq!(sum(all), keys(&model.after), "{}", model.model);
    }
}

#[test]
fn the_headline_says_the_numbers_of_the_report() {
    let view = sample();
    let model = view.report.models.iter().find(|model| model.model.as_str() == "mythos-5.0").unwrap();
    let lost = &model.turn_off.reach;
    assert_eq!((lost.persons, lost.tenants, lost.share_per_mille), (412, 37, 380));
    assert_eq!((model.after.permit.persons, model.after.hold.persons), (1_904, 88));
    let headline = "If applied at 2026-06-12 21:45 UTC: 412 people at 37 tenants lose mythos-5.0 (38% of its tokens); \
                    1,904 keep it; 88 are held and could be restored.";
    for (name, text) in renderings(&view) {
        assert!(text.contains(headline), "{name}");
    }
}

#[test]
fn other_numbers_make_another_headline() {
    let at = |field: &str| format!("/report/models/1/{field}");
    let view = with(
        &at("turn_off/reach"),
        json!(Reach { keys: 1, persons: 1, tenants: 1, tokens_per_minute: 9_999_999, ..Reach::default() }),
    );
    assert!(
        renderings(&view)[0].1.contains(": 1 person at 1 tenant loses mythos-5.0 (<0.1% of its tokens); 1,904 keep it")
    );
    let mut nobody = sample();
    nobody.report.models.iter_mut().for_each(|model| model.turn_off.reach = Reach::default());
    nobody.report.cut = Reach::default();
    let text = &renderings(&nobody)[0].1;
    assert!(
        text.contains(": nobody loses fable-5.2; 2,118 keep it;") && text.contains("Nobody loses any model version.")
    );
}

#[test]
fn evidence_that_restores_nobody_is_not_said_to_restore() {
    let mut view = sample();
    for hold in view.report.models.iter_mut().flat_map(|model| &mut model.holds) {
        hold.supplied.iter_mut().for_each(|supplied| supplied.result.permit = Reach::default());
    }
    assert!(renderings(&view)[0].1.contains("; 88 are held."));
}

#[test]
fn every_model_tenant_basis_and_reason_is_found_in_both_renderings() {
    let view = sample();
    for (name, text) in renderings(&view) {
        for model in &view.report.models {
            assert!(text.contains(model.model.as_str()), "{name}: {}", model.model);
            for tenant in model.turn_off.tenants.iter().filter_map(|row| row.tenant.as_ref()) {
                assert!(text.contains(tenant.as_str()), "{name}: {tenant}");
            }
            for basis in model.keeps.iter().flat_map(|keep| &keep.basis) {
                assert!(text.contains(basis.as_str()), "{name}: {basis}");
                assert!(text.contains(law::provision(basis)), "{name}: {basis} in words");
            }
            for reason in &model.turn_off.reasons {
                assert!(text.contains(&law::answer(&reason.answer)), "{name}: {:?}", reason.answer);
            }
            for remedy in model.holds.iter().flat_map(|hold| &hold.remedies) {
                assert!(
                    text.contains(law::remedy(*remedy))
                        && text.contains(&shown(law::giver(*remedy))) | text.contains(law::giver(*remedy)),
                    "{name}: {remedy:?}"
                );
            }
            if model.turn_off.tenants_left_out > 0 {
                assert!(text.contains(&format!("and {} more", model.turn_off.tenants_left_out)), "{name}");
            }
        }
    }
}

#[test]
fn digests_proofs_replay_changes_and_the_command_are_found_in_both_renderings() {
    let view = sample();
    let report = &view.report;
    let population = words::of(report.population.keys, "key", "keys");
    let wanted = [
        report.before.digest.as_str(),
        &report.after.digest,
        &report.population.digest,
        &population,
        "cvc5 1.3.1: 3 proved, 1 refuted, 0 without an answer",
        "I6 REFUTED",
        "A lawful permanent resident in the United States",
        "210,951 would have been refused and 75,204 held",
        "2 groups of calls could not be decided again",
        "whom it bars",
        "1 h 5 min left",
        "Signed with key plan-2026-06.",
        view.command.as_deref().unwrap(),
        "50 USC 4817(b)(1); 15 CFR 744.22(b)",
    ];
    for (name, text) in renderings(&view) {
        for wanted in wanted {
            assert!(text.contains(wanted), "{name}: {wanted}");
        }
    }
}

#[test]
fn the_reading_as_written_is_marked_and_the_others_are_told_as_differences() {
    for (name, text) in renderings(&sample()) {
        assert!(text.contains("\u{25c6} 1,904"), "{name}");
        assert!(text.contains("1,502 (\u{2212}402)") && text.contains("1,945 (+41)"), "{name}");
        assert!(text.contains("No reading makes a difference to quill-3.1."), "{name}");
    }
}

#[test]
fn readings_that_exclude_each_other_have_no_counts_and_a_reason() {
    let mut view = sample();
    let cell = view.report.matrix.as_mut().unwrap().cells.last_mut().unwrap();
    cell.models.clear();
    cell.fault = Some("a reason of its own".to_owned());
    for (name, text) in renderings(&view) {
        assert!(text.contains("not valid") && text.contains("a reason of its own"), "{name}");
    }
    assert!(pictures(&view)["matrix.svg"].contains("not valid"));
}

#[test]
fn protected_individuals_and_citizens_only_come_first_and_loud() {
    let loud = |kind: Value| {
        json!({ "kind": kind, "model": "mythos-5.0", "message": "Said in one sentence.",
                "reach": Reach { keys: 84, persons: 84, ..Reach::default() }, "cite": "8 USC 1324b" })
    };
    let calm = json!({ "kind": { "about": "notice", "at": "DIR-2026-06-12" }, "model": null, "message": "Calm.",
                       "reach": Reach::default(), "cite": null });
    let kinds = [
        json!({ "about": "protected_denied", "limb": "refugee" }),
        json!({ "about": "citizens_only", "directive": "DIR-2026-06-12" }),
    ];
    let [protected, citizens] = kinds.map(loud);
    let view = with("/report/warnings", json!([calm, protected, citizens]));
    let [(_, terminal), (_, html)] = renderings(&view);
    for title in ["Protected individuals denied: refugees", "DIR-2026-06-12 bars everyone but citizens and nationals"] {
        assert!(terminal.contains(&format!("!!! {title}")), "{title}");
        assert!(html.contains(&format!("role=\"alert\" class=\"callout loud\"> <p><strong>{title}")), "{title}");
        assert!(terminal.find(title) < terminal.find("Calm."), "{title}");
    }
    assert!(terminal.contains("Concerned: 84 people and 84 keys. See 8 USC 1324b."));
}

#[test]
fn without_a_solver_or_a_signature_both_say_so() {
    let mut view = with("/proofs", json!({ "prover": "no_solver", "why": "Install one." }));
    view.signature.as_mut().unwrap().verified = false;
    for (name, text) in renderings(&view) {
        assert!(text.contains("NOTHING IS PROVED") && text.contains("Install one."), "{name}");
        assert!(text.contains("SIGNATURE DOES NOT VERIFY"), "{name}");
    }
    view.proofs = None;
    view.signature = None;
    for (name, text) in renderings(&view) {
        assert!(text.contains("NOTHING IS PROVED") && text.contains("Not signed"), "{name}");
    }
}

#[test]
fn an_instrument_that_is_applied_too_late_is_loud() {
    let view = with("/report/schedule/instruments/0/margin_ms", json!(-4_000));
    for (name, text) in renderings(&view) {
        assert!(text.contains("DIR-2026-06-12 would be applied too late") && text.contains("4.0 s LATE"), "{name}");
    }
}

#[test]
fn no_line_of_a_terminal_is_wider_than_it() {
    for width in [80, 100, 140] {
        let text = terminal(&sample(), width, false);
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= width, "{width}: {widest}");
        for model in &sample().report.models {
            assert!(text.contains(model.model.as_str()), "{width}: {}", model.model);
            for tenant in model.turn_off.tenants.iter().filter_map(|row| row.tenant.as_ref()) {
                assert!(text.contains(tenant.as_str()), "{width}: {tenant}");
            }
            for basis in model.keeps.iter().flat_map(|keep| &keep.basis) {
                assert!(text.contains(basis.as_str()), "{width}: {basis}");
            }
        }
    }
    assert_eq!(terminal(&sample(), 20, false), terminal(&sample(), 80, false));
}

#[test]
fn ids_as_long_as_they_can_be_do_not_break_the_layout() {
    let long = "x".repeat(64);
    let view = with("/report/models/1/turn_off/tenants/0/tenant", json!(long));
    for width in [80, 100] {
        assert!(terminal(&view, width, false).lines().all(|line| line.chars().count() <= width), "{width}");
    }
    let text: String = SAMPLE.replace("mythos-5.0", &long).replace("DIR-2026-06-12", &"D".repeat(44));
    let view: View = serde_json::from_str(&text).unwrap();
    assert!(terminal(&view, 80, false).lines().all(|line| line.chars().count() <= 80));
}

#[test]
fn color_is_used_only_if_asked_and_changes_no_word() {
    let plain = terminal(&sample(), 100, false);
    let mut colored = terminal(&sample(), 100, true);
    assert!(!plain.contains('\u{1b}') && colored.contains('\u{1b}'));
    for code in ["0", "1", "1;31", "2", "31", "33", "36"] {
        colored = colored.replace(&format!("\u{1b}[{code}m"), "");
    }
    let trimmed = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    assert_eq!(trimmed(&colored), trimmed(&plain));
}

#[test]
fn hostile_text_becomes_neither_markup_nor_an_escape_sequence() {
    let places = [
        "/title",
        "/command",
        "/signature/key",
        "/report/engine",
        "/report/format",
        "/report/before/digest",
        "/report/warnings/0/message",
        "/report/warnings/0/cite",
        "/report/warnings/2/kind/at",
        "/report/models/1/turn_off/examples/0/attributes/0",
        "/report/matrix/knobs/0/name",
        "/report/schedule/moments/0/what/0",
        "/proofs/name",
        "/proofs/proofs/0/title",
        "/proofs/proofs/3/counterexample",
        "/proofs/proofs/3/replayed",
        "/replay/by_day/0/name",
        "/changes/0/meaning",
        "/changes/1/new",
        "/changes/1/path",
        "/document/issuer/agency",
    ];
    let elements = |view: &View| parsed(&html(view)).0;
    let usual = elements(&sample());
    for place in places {
        let view = with(place, json!(HOSTILE));
        let mut found = elements(&view);
        assert!(!found.contains(&"script".to_owned()) && !found.contains(&"b".to_owned()), "{place}");
        if place == "/report/matrix/knobs/0/name" {
            // Without its answers the question has no labels in the picture.
            found.retain(|name| name != "text");
            assert!(found.len() < usual.len(), "{place}");
        } else {
            assert_eq!(found, usual, "{place}");
        }
        let text = terminal(&view, 80, false);
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{place}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{place}");
        for (name, svg) in pictures(&view) {
            assert!(!parsed(&svg).0.contains(&"script".to_owned()), "{place}: {name}");
        }
    }
}

#[test]
fn the_page_is_well_formed_has_a_policy_and_needs_nothing_from_elsewhere() {
    let text = html(&sample());
    let (names, attributes) = parsed(&text);
    let policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:".to_owned();
    assert!(attributes.contains(&("content".to_owned(), policy)));
    for name in ["script", "link", "img", "iframe", "object", "embed", "base", "form", "use", "image"] {
        assert!(!names.contains(&name.to_owned()), "{name}");
    }
    for (name, value) in &attributes {
        assert!(!name.starts_with("on") && !["src", "style", "action"].contains(&name.as_str()), "{name}");
        assert!(name != "href" || value.starts_with('#'), "{value}");
    }
    assert!(!text.contains("://") && !text.contains("url(") && !text.contains("@import"));
}

#[test]
fn every_link_of_the_page_leads_somewhere_and_no_id_is_there_twice() {
    let page = parsed(&html(&sample()));
    let ids: BTreeSet<&str> = values(&page, "id").into_iter().collect();
    assert_eq!(ids.len(), values(&page, "id").len());
    assert!(values(&page, "href").len() > 8);
    assert!(values(&page, "href").iter().all(|link| ids.contains(&link[1..])));
    assert!(values(&page, "aria-labelledby").iter().flat_map(|ids| ids.split(' ')).all(|id| ids.contains(id)));
}

#[test]
fn every_table_of_the_page_has_a_caption_and_heads_with_a_scope() {
    let (names, attributes) = parsed(&html(&sample()));
    let count = |wanted: &str| names.iter().filter(|name| *name == wanted).count();
    assert!(count("table") > 20);
    assert_eq!(count("caption"), count("table"));
    assert_eq!(attributes.iter().filter(|(name, _)| name == "scope").count(), count("th"));
}

#[test]
fn every_picture_is_a_file_of_its_own_with_a_title_and_a_description() {
    let pictures = pictures(&sample());
    let names: Vec<&str> = pictures.keys().map(String::as_str).collect();
    assert_eq!(names, ["before-after.svg", "keeps.svg", "lapses.svg", "matrix.svg", "time-plan.svg"]);
    for (name, svg) in &pictures {
        let (elements, attributes) = parsed(svg);
        assert_eq!(elements[..4], ["svg", "title", "desc", "style"], "{name}");
        assert!(attributes.contains(&("role".to_owned(), "img".to_owned())), "{name}");
        assert!(attributes.iter().all(|(key, _)| key != "href" && key != "xlink:href"), "{name}");
        let without_namespace = svg.replace("http://www.w3.org/2000/svg", "");
        assert!(!without_namespace.contains("://") && !svg.contains("url("), "{name}");
    }
}

#[test]
fn no_shape_of_a_picture_lies_outside_of_it() {
    for (name, svg) in pictures(&sample()) {
        let picture = parsed(&svg);
        let number = |wanted| values(&picture, wanted).iter().map(|n| n.parse::<i64>().unwrap()).collect::<Vec<_>>();
        let (width, height) = (number("width")[0], number("height")[0]);
        assert!(number("x").iter().chain(&number("x2")).all(|x| (-16..width).contains(x)), "{name}");
        assert!(number("y").iter().chain(&number("y2")).all(|y| (-16..height - 16).contains(y)), "{name}");
    }
}

#[test]
fn the_pictures_say_the_numbers_of_the_report() {
    let pictures = pictures(&sample());
    assert!(pictures["before-after.svg"].contains("2,054 permit") && pictures["before-after.svg"].contains("101 hold"));
    assert!(pictures["keeps.svg"].contains("1,904 people, 2,054 keys, 61.9% of its tokens"));
    assert!(pictures["matrix.svg"].contains("\u{25c6} 1,904") && pictures["matrix.svg"].contains("\u{2212}402"));
    assert!(pictures["time-plan.svg"].contains("applying and cutting takes 340 ms, 1 h 5 min left"));
    let ended: u64 =
        sample().report.schedule.lapses.iter().filter(|l| l.model.as_str() == "mythos-5.0").map(|l| l.keys).sum();
    assert!(pictures["lapses.svg"].contains(&words::of(ended, "permit", "permits")));
}

#[test]
fn what_has_nothing_to_show_is_left_out() {
    let mut view = sample();
    view.report.matrix = None;
    view.report.schedule.lapses.clear();
    view.report.schedule.moments.clear();
    view.report.schedule.instruments.clear();
    view.report.models.clear();
    view.report.warnings.clear();
    (view.replay, view.document, view.command) = (None, None, None);
    view.changes.clear();
    assert!(pictures(&view).is_empty());
    for (name, text) in renderings(&view) {
        assert!(text.contains("there is no model version to speak of"), "{name}");
        assert!(!text.contains("What each reading costs") && !text.contains("Calls of the past"), "{name}");
    }
    parsed(&html(&view));
}

#[test]
fn the_same_view_gives_the_same_bytes() {
    let again: View = serde_json::from_str(&serde_json::to_string(&sample()).unwrap()).unwrap();
    assert_eq!(html(&sample()), html(&again));
    assert_eq!(terminal(&sample(), 100, true), terminal(&again, 100, true));
    assert_eq!(pictures(&sample()), pictures(&again));
}
