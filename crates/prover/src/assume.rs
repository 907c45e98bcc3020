//! What is taken for granted of every question: that it speaks the words of the snapshot.
//!
//! A solver may otherwise invent a country in the United States and under embargo, or a standing that nobody has. What
//! is assumed here is what `policy` makes sure of before it asks.
//!
//! Assumptions come in steps: what a question is about, then its words. What holds after the first step holds for more
//! questions than can be asked, and is found out faster; so each step is taken only if the one before does not do.

use std::collections::BTreeSet;

use cedar_policy::Policy;

use crate::{
    Fault,
    rulebook::{Gate, Rulebook, document_of, parse_one},
};

/// Attributes that hold the groups of one or several countries, where they are established.
const SETS_OF_GROUPS: [&str; 3] = ["headquarters", "ear", "itar"];

/// How a directive says that it bars every country but one group, and how the rules name that group.
const ALL_FOREIGN: (&str, &str) = ("\"all_foreign\"", "\"united_states\"");

/// Forbids, in two steps, every release question that is not about `gate`, and that is not in the words of the snapshot.
///
/// # Errors
///
/// [`Fault::Rules`]: the assumption does not parse.
pub(crate) fn about_gate(book: &Rulebook<'_>, gate: &Gate<'_>) -> Result<Vec<Policy>, Fault> {
    Ok(vec![unless("release", &about(&[book], gate.parents))?, unless("release", &in_known_words(&[book], book))?])
}

/// As [`about_gate`], for all models under the gate's directive at once.
///
/// # Errors
///
/// As for [`about_gate`].
pub(crate) fn about_directive(book: &Rulebook<'_>, gate: &Gate<'_>) -> Result<Vec<Policy>, Fault> {
    let mut terms = about(&[book], gate.parents);
    terms.retain(|term| term.contains("Directive::"));
    Ok(vec![unless("release", &terms)?, unless("release", &in_known_words(&[book], book))?])
}

/// As [`about_gate`], for a gate as it is and as it was: one person asks at both.
///
/// # Errors
///
/// As for [`about_gate`].
pub(crate) fn about_change(
    before: &Rulebook<'_>,
    old: &Gate<'_>,
    after: &Rulebook<'_>,
    new: &Gate<'_>,
) -> Result<Vec<Policy>, Fault> {
    let books = [before, after];
    let parents = old.parents.union(new.parents).cloned().collect();
    Ok(vec![unless("release", &about(&books, &parents))?, unless("release", &in_known_words(&books, after))?])
}

/// Forbids every serve question of which `condition` is not true.
///
/// # Errors
///
/// As for [`about_gate`].
pub(crate) fn serve_question(condition: &str) -> Result<Vec<Policy>, Fault> {
    Ok(vec![unless("serve", &[condition.to_owned()])?])
}

fn unless(action: &str, terms: &[String]) -> Result<Policy, Fault> {
    let head = format!("@id(\"assumed\")\nforbid (principal, action == Action::\"{action}\", resource)");
    parse_one(&format!("{head}\nunless {{ {} }};", terms.join(" && ")))
}

fn about(books: &[&Rulebook<'_>], parents: &BTreeSet<String>) -> Vec<String> {
    let all: BTreeSet<&String> = books.iter().flat_map(|book| &book.formal.gates).flat_map(|g| &g.parents).collect();
    let inside = parents.iter().map(|parent| format!("resource in {parent}"));
    let outside = all.into_iter().filter(|parent| !parents.contains(*parent));
    inside.chain(outside.map(|parent| format!("!(resource in {parent})"))).collect()
}

fn in_known_words(books: &[&Rulebook<'_>], book: &Rulebook<'_>) -> Vec<String> {
    let standings: Vec<String> = book.formal.standings.keys().map(|word| format!("{word:?}")).collect();
    let groups = relevant_groups(books, book);
    let places: Vec<String> = signatures(book, &groups).iter().map(|signature| place_in(signature, &groups)).collect();
    let mut terms = vec![
        format!("[{}].contains(context.standing)", standings.join(", ")),
        format!("(if context has location then {} else true)", places.join(" || ")),
    ];
    let rules: String = books.iter().map(|book| rules_of(book)).collect();
    let asked = SETS_OF_GROUPS.iter().filter(|set| rules.contains(&format!("context.{set}")));
    terms.extend(asked.filter_map(|set| with_wider_groups(book, &groups, set)));
    terms
}

/// Returns the groups that a rule or a document names.
pub(crate) fn relevant_groups<'a>(books: &[&Rulebook<'_>], book: &Rulebook<'a>) -> BTreeSet<&'a String> {
    let named: String = books.iter().map(|book| rules_of(book) + &documents_of(book)).collect();
    let is_named = |group: &&String| group.split_once("::").is_some_and(|(_, name)| named.contains(name));
    book.formal.countries.values().flatten().filter(is_named).collect()
}

fn rules_of(book: &Rulebook<'_>) -> String {
    book.instruments().into_iter().filter_map(Policy::to_cedar).collect()
}

fn documents_of(book: &Rulebook<'_>) -> String {
    let document = book.document();
    let text = format!("{}{}", document_of(&document.directives), document_of(&document.licenses));
    text.replace(ALL_FOREIGN.0, ALL_FOREIGN.1)
}

/// Returns every set of these groups to which exactly some country belongs.
fn signatures<'a>(book: &Rulebook<'a>, groups: &BTreeSet<&'a String>) -> BTreeSet<BTreeSet<&'a String>> {
    let listed = book.formal.countries.values().map(|of| of.iter().filter(|group| groups.contains(group)).collect());
    listed.chain([BTreeSet::new()]).collect()
}

fn place_in(signature: &BTreeSet<&String>, groups: &BTreeSet<&String>) -> String {
    let term = |group: &&String| {
        let inside = format!("context.location in {group}");
        if signature.contains(*group) { inside } else { format!("!({inside})") }
    };
    let terms: Vec<String> = groups.iter().map(term).collect();
    if terms.is_empty() { "true".to_owned() } else { format!("({})", terms.join(" && ")) }
}

/// Writes that who is in a group is in every group that has all its members; `None` if there is nothing to write.
fn with_wider_groups(book: &Rulebook<'_>, groups: &BTreeSet<&String>, set: &str) -> Option<String> {
    let countries = &book.formal.countries;
    let within = |one: &String, other: &String| countries.values().all(|of| !of.contains(one) || of.contains(other));
    let pairs = groups.iter().flat_map(|one| groups.iter().map(move |other| (*one, *other)));
    let wider = pairs.filter(|(one, other)| one != other && within(one, other));
    let terms: Vec<String> = wider
        .map(|(one, other)| format!("(!context.{set}.contains({one}) || context.{set}.contains({other}))"))
        .collect();
    (!terms.is_empty()).then(|| format!("(if context has {set} then {} else true)", terms.join(" && ")))
}
