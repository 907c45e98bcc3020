//! The one sentence to remember, and what somebody should think about before approving.

use policy::plan::{ModelReport, Reach, Report, Warning, WarningKind};

use super::{
    super::{
        law,
        page::{Block, Callout, Section, Tone},
        words,
    },
    section,
};

/// Says the one sentence to remember: about the model version that most traffic is lost on.
pub(super) fn headline(report: &Report) -> String {
    let when = words::moment(report.at);
    match ranked(report).first() {
        Some(model) => format!("If applied at {when}: {}.", sentence(model)),
        None => format!("If applied at {when}: there is no model version to speak of."),
    }
}

/// Returns the model versions, those first on which most tokens a minute are lost, then most keys.
pub(crate) fn ranked(report: &Report) -> Vec<&ModelReport> {
    let mut models: Vec<&ModelReport> = report.models.iter().collect();
    models.sort_by_key(|model| {
        let lost = &model.turn_off.reach;
        std::cmp::Reverse((lost.tokens_per_minute, lost.keys))
    });
    models
}

/// Says when was planned for, and from which snapshot to which.
pub(super) fn subtitle(report: &Report) -> String {
    let (before, after) = (&report.before, &report.after);
    let when = words::moment(report.at);
    format!("Planned for {when}, from epoch {} to epoch {}", words::count(before.epoch), words::count(after.epoch))
}

/// Says what belongs beside the headline: the other model versions, and everyone who loses something.
pub(super) fn beside(report: &Report) -> Vec<String> {
    let others = ranked(report).into_iter().skip(1).filter(|model| model.turn_off.reach.keys > 0);
    let mut lines: Vec<String> = others.map(|model| format!("Also: {}.", sentence(model))).collect();
    lines.push(in_all(&report.cut));
    lines
}

/// What somebody should think about, the loudest first.
pub(super) fn warnings(report: &Report) -> Section {
    let loud = |warning: &&Warning| is_loud(&warning.kind);
    let (first, rest): (Vec<_>, Vec<_>) = report.warnings.iter().partition(loud);
    let mut blocks: Vec<Block> =
        first.into_iter().chain(rest).map(|warning| Block::Callout(callout(warning))).collect();
    if blocks.is_empty() {
        blocks.push(Block::Text("Nothing was found that needs a second thought.".to_owned()));
    }
    section("warnings", "Before approving", blocks)
}

/// Who loses, who keeps, who is held: one model version.
fn sentence(model: &ModelReport) -> String {
    let (id, lost, after) = (&model.model, &model.turn_off.reach, &model.after);
    let keep = match model.diff.newly_allowed.keys {
        0 => format!("{} keep it", words::count(after.permit.persons)),
        _ => format!("{} have it then", words::count(after.permit.persons)),
    };
    format!("{}; {keep}; {}", losing(id.as_str(), lost), held(model))
}

fn losing(model: &str, lost: &Reach) -> String {
    if lost.keys == 0 {
        return format!("nobody loses {model}");
    }
    let (who, one) = if lost.persons > 0 {
        (words::people(lost.persons), lost.persons == 1)
    } else {
        (words::of(lost.keys, "key", "keys"), lost.keys == 1)
    };
    let verb = if one { "loses" } else { "lose" };
    let tenants = words::of(lost.tenants, "tenant", "tenants");
    format!("{who} at {tenants} {verb} {model} ({} of its tokens)", words::share(lost))
}

/// Evidence restores only whom it was seen to restore; rulings are not simulated, so they count as possible.
fn held(model: &ModelReport) -> String {
    let persons = model.after.hold.persons;
    let helps = |hold: &policy::plan::Hold| {
        hold.supplied.iter().any(|supplied| supplied.result.permit.keys > 0) || !hold.not_simulated.is_empty()
    };
    let verb = if persons == 1 { "is" } else { "are" };
    let also = if model.holds.iter().any(helps) { " and could be restored" } else { "" };
    format!("{} {verb} held{also}", words::count(persons))
}

fn in_all(cut: &Reach) -> String {
    if cut.keys == 0 {
        return "Nobody loses any model version.".to_owned();
    }
    let tokens = words::count(cut.tokens_per_minute);
    let tenants = words::of(cut.tenants, "tenant", "tenants");
    let share = words::share(cut);
    format!(
        "In all, {} at {tenants} lose a model version: {tokens} tokens a minute, {share} of all.",
        words::reach(cut)
    )
}

fn callout(warning: &Warning) -> Callout {
    let tone = if is_loud(&warning.kind) { Tone::Loud } else { Tone::Hold };
    let mut text = warning.message.clone();
    if warning.reach.keys > 0 {
        let end = if text.ends_with('.') { "" } else { "." };
        text.push_str(&format!("{end} Concerned: {}.", words::reach(&warning.reach)));
    }
    if let Some(cite) = &warning.cite {
        text.push_str(&format!(" See {cite}."));
    }
    let model = warning.model.as_ref().map_or_else(String::new, |model| format!(" ({model})"));
    Callout { tone, title: format!("{}{model}", about(&warning.kind)), text }
}

fn is_loud(kind: &WarningKind) -> bool {
    matches!(kind, WarningKind::CitizensOnly { .. } | WarningKind::ProtectedDenied { .. })
}

fn about(kind: &WarningKind) -> String {
    match kind {
        WarningKind::CitizensOnly { directive } => format!("{directive} bars everyone but citizens and nationals"),
        WarningKind::ProtectedDenied { limb } => format!("Protected individuals denied: {}", law::limb(*limb)),
        WarningKind::UsPersonsHeld => "U.S. persons held for old or weak evidence".to_owned(),
        WarningKind::TenantCut { tenant } => format!("Tenant {tenant} cut, most of it U.S. persons"),
        WarningKind::Notice { at } => format!("Notice about {at}"),
    }
}
