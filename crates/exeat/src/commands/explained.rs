//! An explanation on a terminal: the answer first, then what it rests on, then what would change it.

use serde_json::Value;

/// Renders a recorded call.
pub(crate) fn call(shown: &Value) -> String {
    let mut lines = Lines::default();
    let kind = if is(shown, "/kind", "open") { "was permitted" } else { "was refused" };
    lines
        .push(0, format!("call {} {kind} at {} (entry {})", at(shown, "/call"), at(shown, "/at"), at(shown, "/entry")));
    if !is(shown, "/agrees", "true") {
        lines.push(0, "DECIDING AGAIN ON THE RECORDED FACTS DOES NOT SAY WHAT THE ENTRY SAYS".to_owned());
    }
    lines.blank();
    shown.get("explanation").into_iter().for_each(|explanation| lines.explanation(explanation));
    if let Some(closed) = shown.get("closed") {
        lines.closed(closed);
    }
    match shown.get("now") {
        Some(now) => {
            lines.heading("Decided now");
            items(now, "/tried").for_each(|tried| lines.verdict(1, tried));
        }
        None => lines.heading("Decided now: the key is not known any more"),
    }
    lines.text()
}

/// Renders what would be decided about somebody.
pub(crate) fn asked(shown: &Value) -> String {
    let mut lines = Lines::default();
    lines.times(shown);
    lines.blank();
    shown.get("explanation").into_iter().for_each(|explanation| lines.explanation(explanation));
    lines.text()
}

/// Renders every version of every instrument.
pub(crate) fn instruments(shown: &Value) -> String {
    let mut lines = Lines::default();
    lines.times(shown);
    lines.blank();
    if items(shown, "/items").next().is_none() {
        lines.push(0, "no directive and no license".to_owned());
    }
    items(shown, "/items").for_each(|version| lines.version(0, version));
    lines.text()
}

#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    fn text(self) -> String {
        self.0.join("\n")
    }

    fn push(&mut self, depth: usize, text: String) {
        let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.0.push(format!("{}{}", "  ".repeat(depth), plain.trim_end()));
    }

    fn blank(&mut self) {
        self.0.push(String::new());
    }

    fn heading(&mut self, text: &str) {
        self.blank();
        self.push(0, text.to_owned());
    }

    fn times(&mut self, shown: &Value) {
        self.push(0, format!("as of {}, as known at {}", at(shown, "/as_of"), at(shown, "/known_at")));
        let (epoch, entry) = (at(shown, "/in_force/epoch"), at(shown, "/in_force/entry"));
        self.push(0, format!("in force: epoch {epoch} (entry {entry}, since {})", at(shown, "/in_force/since")));
        if is(shown, "/in_force/has_past", "false") {
            self.push(
                0,
                "earlier versions do not compile beside the latest: this holds since the latest only".to_owned(),
            );
        }
    }

    fn explanation(&mut self, explanation: &Value) {
        self.push(0, format!("asked for {} at {}", at(explanation, "/requested"), at(explanation, "/at")));
        items(explanation, "/tried").for_each(|tried| self.tried(tried));
        self.heading("People");
        items(explanation, "/people").for_each(|person| self.person(person));
        self.none_if_last("nobody is bound to the call");
        self.heading("Organizations");
        items(explanation, "/organizations").for_each(|organization| self.organization(organization));
        self.none_if_last("none");
        self.heading("Instruments");
        items(explanation, "/instruments").for_each(|version| self.version(1, version));
        self.none_if_last("none");
    }

    /// Says that a section is empty if its heading is the last line.
    fn none_if_last(&mut self, words: &str) {
        if self.0.last().is_some_and(|line| !line.starts_with(' ')) {
            self.push(1, words.to_owned());
        }
    }

    fn verdict(&mut self, depth: usize, tried: &Value) {
        let outcome = at(tried, "/answer/outcome").replace('_', " ");
        let code = tried.pointer("/answer/code").and_then(Value::as_str).unwrap_or_default();
        self.push(depth, format!("{}: {outcome} {code}", at(tried, "/model")));
    }

    fn tried(&mut self, tried: &Value) {
        self.blank();
        self.verdict(0, tried);
        if let Some(message) = tried.pointer("/answer/message").and_then(Value::as_str) {
            self.push(1, format!("told: {message}"));
        }
        items(tried, "/answer/basis").chain(items(tried, "/answer/denied_by")).for_each(|note| self.provision(note));
        for (name, pointer) in [("flags", "/answer/flags"), ("demands", "/answer/obligations")] {
            let all: Vec<String> = items(tried, pointer).map(word).collect();
            if !all.is_empty() {
                self.push(1, format!("{name}: {}", all.join(", ")));
            }
        }
        let ends: Vec<String> =
            items(tried, "/answer/ends_by").map(|end| format!("{} {}", at(end, "/about"), at(end, "/what"))).collect();
        if !ends.is_empty() {
            self.push(1, format!("holds until {}, when {}", at(tried, "/answer/valid_until"), ends.join(" and ")));
        }
        items(tried, "/licenses").for_each(|license| self.license(license));
        self.nearest(tried);
    }

    fn provision(&mut self, note: &Value) {
        let version = note.get("version").map_or_else(String::new, |version| format!(" (version {version})"));
        self.push(1, format!("{}{version} {}: {}", at(note, "/id"), at(note, "/effect"), at(note, "/basis")));
        if let Some(cite) = note.get("cite").and_then(Value::as_str) {
            self.push(2, cite.to_owned());
        }
    }

    fn license(&mut self, license: &Value) {
        let outcome = match () {
            () if is(license, "/in_effect", "false") => "is not in effect",
            () if is(license, "/permits", "true") => "permits",
            () => "does not permit",
        };
        let named = format!("license {} version {}", at(license, "/license"), at(license, "/version"));
        self.push(1, format!("{named} {outcome} {}", at(license, "/person")));
        for condition in items(license, "/conditions") {
            let met = if is(condition, "/met", "true") { "met" } else { "NOT MET" };
            let code =
                condition.get("code").and_then(Value::as_str).map_or_else(String::new, |code| format!(" ({code})"));
            self.push(2, format!("{:<20} {met}{code}", at(condition, "/clause").replace('_', " ")));
        }
    }

    fn nearest(&mut self, tried: &Value) {
        let permitted = tried.pointer("/answer/code").is_none_or(Value::is_null);
        let all: Vec<&Value> = items(tried, "/nearest").collect();
        if all.is_empty() {
            self.push(1, "no change of the menu, and no two together, would change this".to_owned());
            return;
        }
        self.push(
            1,
            if permitted { "what would end it:" } else { "what would permit it, the smallest first:" }.to_owned(),
        );
        for nearest in all {
            let step = |step: &Value| format!("{} ({})", at(step, "/what"), at(step, "/who_can_give_it"));
            let steps: Vec<String> = items(nearest, "/steps").map(step).collect();
            let basis: Vec<String> = items(nearest, "/would_be/basis").map(word).collect();
            let outcome = at(nearest, "/would_be/outcome").replace('_', " ");
            self.push(2, format!("{}: {outcome} by {}", steps.join(", and "), basis.join(", ")));
        }
    }

    fn person(&mut self, person: &Value) {
        let active = if is(person, "/active", "true") { "" } else { ", access withdrawn" };
        self.push(1, format!("{}: screening {}{active}", at(person, "/id"), at(person, "/screening")));
        for reading in items(person, "/readings") {
            self.reading(reading);
        }
        for held in items(person, "/affiliations") {
            let state = match () {
                () if is(held, "/stale", "true") => "too old",
                () if is(held, "/current", "true") => "current",
                () => "not current",
            };
            let engagement = at(held, "/engagement").replace('_', " ");
            let organization = at(held, "/organization");
            self.push(
                2,
                format!("{}: {engagement} of {organization} until {}, {state}", at(held, "/id"), at(held, "/ends_at")),
            );
        }
    }

    fn reading(&mut self, reading: &Value) {
        let under = reading.get("under").and_then(Value::as_str).map_or_else(String::new, |id| format!("under {id}: "));
        let limb = reading.get("limb").and_then(Value::as_str).map_or_else(String::new, |limb| format!(" ({limb})"));
        let place = reading.get("location").and_then(Value::as_str).unwrap_or("nowhere known");
        let mut text = format!("{under}{}{limb}, in {place}", at(reading, "/standing"));
        for (rule, pointer) in [("EAR", "/nationality_ear"), ("ITAR", "/nationality_itar")] {
            if let Some(Value::Array(countries)) = reading.pointer(pointer) {
                let countries: Vec<String> = countries.iter().map(word).collect();
                let countries = if countries.is_empty() { "not established".to_owned() } else { countries.join(" ") };
                text.push_str(&format!("; nationality under the {rule}: {countries}"));
            }
        }
        self.push(2, text);
        for evidence in items(reading, "/evidence") {
            let counts = match evidence.get("why_not").and_then(Value::as_str) {
                Some(why_not) => format!("does not count: {why_not}"),
                None => format!("counts until {}", at(evidence, "/counts_until")),
            };
            let hours = evidence.get("age_seconds").and_then(Value::as_u64).unwrap_or_default() / 3_600;
            let (id, claims, issuer) = (at(evidence, "/id"), at(evidence, "/claims"), at(evidence, "/issuer"));
            let assurance = at(evidence, "/assurance");
            self.push(3, format!("{id}: {claims} by {issuer}, {assurance}, {hours} h old, {counts}"));
        }
    }

    fn organization(&mut self, organization: &Value) {
        let tenant = if is(organization, "/is_tenant", "true") { " (tenant)" } else { "" };
        if is(organization, "/known", "false") {
            self.push(1, format!("{}{tenant}: not known", at(organization, "/id")));
            return;
        }
        let part = |name: &str| at(organization, name);
        let (kind, country) = (part("/kind"), part("/country"));
        let (screening, coverage) = (part("/screening"), part("/coverage"));
        let resells = if is(organization, "/resells", "true") { ", resells" } else { "" };
        self.push(
            1,
            format!("{}{tenant}: {kind}, {country}, screening {screening}, ownership {coverage}{resells}", part("/id")),
        );
    }

    fn version(&mut self, depth: usize, version: &Value) {
        let mark = if is(version, "/in_effect", "true") { "*" } else { " " };
        let why = at(version, "/why").replace('_', " ");
        let (kind, id, number) = (at(version, "/kind"), at(version, "/id"), at(version, "/version"));
        self.push(
            depth,
            format!("{mark} {kind} {id} version {number}: {why} (speaks since {})", at(version, "/status_since")),
        );
    }

    fn closed(&mut self, closed: &Value) {
        let code = closed.get("code").and_then(Value::as_str).map_or_else(String::new, |code| format!(" {code}"));
        let (outcome, entry) = (at(closed, "/outcome"), at(closed, "/entry"));
        self.heading(&format!("Closed at {} (entry {entry}): {outcome}{code}", at(closed, "/at")));
        let tried = closed.get("explanation").into_iter().flat_map(|explanation| items(explanation, "/tried"));
        tried.for_each(|tried| self.tried(tried));
    }
}

fn items<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn at(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).map_or_else(|| "-".to_owned(), word)
}

fn is(value: &Value, pointer: &str, wanted: &str) -> bool {
    at(value, pointer) == wanted
}

fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_says_why_and_what_would_help_and_by_whom() {
        let tried = json!({
            "model": "mythos-5.0",
            "answer": {
                "outcome": "hold", "code": "standing_unattested", "message": "refused: standing", "basis": [],
                "denied_by": [{"id": "D.person-scope", "effect": "bars", "basis": "foreign persons", "version": 2}],
                "flags": [], "obligations": [], "valid_until": null, "ends_by": [],
            },
            "licenses": [{
                "license": "L", "version": 1, "person": "ada", "in_effect": true, "permits": false,
                "conditions": [{"clause": "end_uses", "met": false, "code": "license_condition_unmet"}],
            }],
            "nearest": [{
                "steps": [{"what": "attest the standing of `ada`", "who_can_give_it": "the employer"}],
                "would_be": {"outcome": "permit", "basis": ["D.us-person"]},
            }],
        });
        let mut lines = Lines::default();
        lines.tried(&tried);
        let expected = "\nmythos-5.0: hold standing_unattested\n  told: refused: standing\n  \
            D.person-scope (version 2) bars: foreign persons\n  license L version 1 does not permit ada\n    \
            end uses             NOT MET (license_condition_unmet)\n  what would permit it, the smallest first:\n    \
            attest the standing of `ada` (the employer): permit by D.us-person";
        assert_eq!(lines.text(), expected);
    }

    #[test]
    fn text_from_elsewhere_cannot_move_the_cursor() {
        let mut lines = Lines::default();
        lines.push(1, "a\u{1b}[2Jb\n".to_owned());
        assert_eq!(lines.text(), "  a [2Jb");
    }
}
