//! What the rules can tell apart at all: thresholds, countries and names, read from the documents themselves.
//!
//! Read from their JSON, by the form of a field and not by its place, so that a document with a new field that names
//! a country, an organization or a greatest age is understood without a change here.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::Value;
use terms::{Assurance, Country};

use super::shape::Word;
use crate::CountryGroup;

/// Groups that rules name which hold without any instrument.
const BASE_GROUPS: [&str; 3] = ["D:5", "E:1", "E:2"];

/// What the documents considered can tell apart.
#[derive(Debug)]
pub(crate) struct Lens {
    /// Levels of assurance that some rule asks for, in rising order.
    assurances: Vec<Assurance>,
    /// Greatest ages of attestations, in rising order.
    ages: Vec<Duration>,
    /// Greatest ages of affiliations, in rising order.
    employment_ages: Vec<Duration>,
    /// Of each country, its kind and its place among the countries of that kind.
    places: BTreeMap<Country, (usize, usize)>,
    /// Countries that are in exactly the same lists, in order.
    kinds: Vec<Vec<Country>>,
    /// A country in no list.
    ordinary: Option<Country>,
    /// Of each text in an instrument, where it stands.
    mentions: BTreeMap<String, BTreeSet<String>>,
    /// The names of all fields.
    fields: BTreeSet<String>,
}

impl Lens {
    /// Reads what `documents` can tell apart; each is a snapshot document or a part of one.
    pub(crate) fn new<'a>(documents: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut seen = Seen { assurances: BTreeSet::from([Assurance::Ial2]), ..Seen::default() };
        for (at, document) in documents.into_iter().enumerate() {
            seen.read(&at.to_string(), "", document);
        }
        let lists = seen.visible_lists();
        let kinds = kinds(&lists);
        let ordinary = all_countries().find(|country| !lists.iter().any(|list| list.contains(country)));
        Self {
            ordinary,
            fields: seen.fields,
            assurances: seen.assurances.into_iter().collect(),
            ages: seen.ages.into_iter().collect(),
            employment_ages: seen.employment_ages.into_iter().collect(),
            mentions: seen.mentions,
            places: places(&kinds),
            kinds,
        }
    }

    /// Returns how many of the levels that are asked for an assurance reaches.
    pub(crate) fn assurance(&self, assurance: Assurance) -> u8 {
        count(self.assurances.iter().filter(|asked| assurance >= **asked))
    }

    /// Returns an assurance that reaches exactly `levels` of the levels asked for.
    pub(crate) fn assurance_of(&self, levels: u8) -> Assurance {
        let place = usize::from(levels).checked_sub(1);
        place.and_then(|at| self.assurances.get(at)).copied().unwrap_or(Assurance::None)
    }

    /// Tells whether evidence is good enough for every rule.
    pub(crate) fn is_best<T>(&self, word: &Word<T>) -> bool {
        usize::from(word.assurance) >= self.assurances.len() && word.age == 0
    }

    /// Returns the greatest ages of attestations, in rising order.
    pub(crate) fn ages(&self) -> &[Duration] {
        &self.ages
    }

    /// Returns the greatest ages of affiliations, in rising order.
    pub(crate) fn employment_ages(&self) -> &[Duration] {
        &self.employment_ages
    }

    /// Returns the kind of a country.
    pub(crate) fn kind(&self, country: Country) -> usize {
        self.places.get(&country).map_or(0, |(kind, _)| *kind)
    }

    /// Returns a country that is in none of the lists, if there is one.
    pub(crate) fn ordinary(&self) -> Option<Country> {
        self.ordinary
    }

    /// Returns the `nth` country of a kind, counted from 0.
    pub(crate) fn country(&self, kind: usize, nth: usize) -> Option<Country> {
        self.kinds.get(kind)?.get(nth).copied()
    }

    /// Tells whether some document asks about nationality.
    pub(crate) fn asks_nationality(&self) -> bool {
        self.fields.contains("nationality_exclude") || self.mentions.contains_key("nationals_of")
    }

    /// Tells whether some document has a field of this name.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.fields.contains(field)
    }

    /// Returns a text that no document has.
    pub(crate) fn unmentioned(&self) -> String {
        let mut text = "unmentioned".to_owned();
        while self.mentions.contains_key(&text) {
            text.push('-');
        }
        text
    }

    /// Returns where the instruments name something, in order; empty if nowhere.
    pub(crate) fn mentions(&self, id: &str) -> impl Iterator<Item = &str> {
        self.mentions.get(id).into_iter().flatten().map(String::as_str)
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u8 {
    u8::try_from(items.count()).unwrap_or(u8::MAX)
}

#[derive(Default)]
struct Seen {
    assurances: BTreeSet<Assurance>,
    ages: BTreeSet<Duration>,
    employment_ages: BTreeSet<Duration>,
    /// Countries by the name of the list.
    lists: BTreeSet<(String, BTreeSet<Country>)>,
    mentions: BTreeMap<String, BTreeSet<String>>,
    fields: BTreeSet<String>,
}

impl Seen {
    fn read(&mut self, path: &str, key: &str, value: &Value) {
        match value {
            Value::Object(fields) => {
                let of_instrument = instrument_path(path, fields);
                let path = of_instrument.as_deref().unwrap_or(path);
                for (key, value) in fields {
                    self.fields.insert(key.clone());
                    self.read(&format!("{path}/{key}"), key, value);
                }
            }
            Value::Array(items) => self.read_list(path, key, items),
            Value::String(text) => self.read_text(path, key, text),
            Value::Number(number) => self.read_age(key, number.as_u64().unwrap_or(0)),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn read_list(&mut self, path: &str, key: &str, items: &[Value]) {
        let countries: Option<BTreeSet<Country>> = items.iter().map(country).collect();
        if let Some(countries) = countries.filter(|countries| !countries.is_empty()) {
            self.lists.insert((key.to_owned(), countries));
            return;
        }
        for (at, item) in items.iter().enumerate() {
            // Texts in one list say the same of each of them; objects may not.
            let place = if item.is_string() { "*".to_owned() } else { at.to_string() };
            self.read(&format!("{path}/{place}"), key, item);
        }
    }

    /// Leaves out country groups that no rule names: nobody asks whether a country is in one.
    fn visible_lists(&self) -> BTreeSet<&BTreeSet<Country>> {
        let is_asked = |name: &str| {
            let is_group = CountryGroup::parse(name).is_ok();
            !is_group || BASE_GROUPS.contains(&name) || self.mentions.contains_key(name)
        };
        self.lists.iter().filter(|(name, _)| is_asked(name)).map(|(_, list)| list).collect()
    }

    fn read_text(&mut self, path: &str, key: &str, text: &str) {
        if let Ok(country) = Country::parse(text) {
            self.lists.insert((key.to_owned(), BTreeSet::from([country])));
        }
        if key.contains("assurance") {
            self.assurances.extend(serde_json::from_value::<Assurance>(Value::from(text)).ok());
        }
        self.mentions.entry(text.to_owned()).or_default().insert(path.to_owned());
    }

    fn read_age(&mut self, key: &str, number: u64) {
        let Some((of, unit)) = key.split_once("max_age_") else {
            return;
        };
        let seconds = match unit {
            "minutes" => 60,
            "hours" => 3_600,
            "days" => 86_400,
            _ => 1,
        };
        let age = Duration::from_secs(number.saturating_mul(seconds));
        let ages = if of.is_empty() { &mut self.ages } else { &mut self.employment_ages };
        ages.insert(age);
    }
}

/// Names an instrument by its id and version, wherever it stands in the document.
fn instrument_path(path: &str, fields: &serde_json::Map<String, Value>) -> Option<String> {
    let (id, version) = (fields.get("id")?.as_str()?, fields.get("version")?);
    let document = path.split('/').next()?;
    Some(format!("{document}/{id}/{version}"))
}

fn country(value: &Value) -> Option<Country> {
    Country::parse(value.as_str()?).ok()
}

/// Sorts all countries by the lists they are in.
fn kinds(lists: &BTreeSet<&BTreeSet<Country>>) -> Vec<Vec<Country>> {
    let mut by_lists: BTreeMap<Vec<usize>, Vec<Country>> = BTreeMap::new();
    for country in all_countries() {
        let within = lists.iter().enumerate().filter(|(_, list)| list.contains(&country)).map(|(at, _)| at);
        by_lists.entry(within.collect()).or_default().push(country);
    }
    by_lists.into_values().collect()
}

/// Returns of each country its kind and its place in it.
fn places(kinds: &[Vec<Country>]) -> BTreeMap<Country, (usize, usize)> {
    let numbered = kinds.iter().enumerate();
    numbered.flat_map(|(kind, members)| members.iter().enumerate().map(move |(nth, c)| (*c, (kind, nth)))).collect()
}

fn all_countries() -> impl Iterator<Item = Country> {
    let letters = || 'A'..='Z';
    let codes = letters().flat_map(move |one| letters().map(move |two| format!("{one}{two}")));
    codes.filter_map(|code| Country::parse(&code).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lens() -> Lens {
        let document = json!({
            "country_groups": {"united_states": ["US", "PR"], "D:5": ["CN", "IR"], "E:1": ["IR"], "B": ["FR"]},
            "lab": "larkspur-labs",
            "directives": [{
                "id": "DIR-1", "version": 2,
                "evidence": {"min_assurance": "ial3", "max_age_hours": 24, "employment_max_age_minutes": 15}
            }],
            "licenses": [
                {"id": "LIC-1", "version": 1, "grantees": {"organizations": ["northgate", "harbor"]}},
                {"id": "LIC-2", "version": 1, "grantees": [{"id": "northgate", "ordinal": 1}]}
            ]
        });
        Lens::new([&document])
    }

    fn kind(lens: &Lens, code: &str) -> usize {
        lens.kind(Country::parse(code).unwrap())
    }

    #[test]
    fn countries_in_the_same_lists_are_of_one_kind() {
        let lens = lens();
        assert_eq!(kind(&lens, "US"), kind(&lens, "PR"));
        assert_eq!(kind(&lens, "DE"), kind(&lens, "FR"));
        let kinds: BTreeSet<usize> = ["US", "CN", "IR", "DE"].iter().map(|code| kind(&lens, code)).collect();
        assert_eq!(kinds.len(), 4);
        let first = lens.country(kind(&lens, "FR"), 0).unwrap();
        assert_eq!(lens.kind(first), kind(&lens, "FR"));
    }

    #[test]
    fn thresholds_are_found_by_the_form_of_their_names() {
        let lens = lens();
        assert_eq!(lens.ages(), [Duration::from_secs(86_400)]);
        assert_eq!(lens.employment_ages(), [Duration::from_secs(900)]);
        let levels = [Assurance::None, Assurance::Ial1, Assurance::Ial2, Assurance::Ial3].map(|a| lens.assurance(a));
        assert_eq!(levels, [0, 0, 1, 2]);
        assert_eq!(
            [0, 1, 2].map(|levels| lens.assurance_of(levels)),
            [Assurance::None, Assurance::Ial2, Assurance::Ial3]
        );
    }

    #[test]
    fn a_name_is_known_by_where_instruments_name_it() {
        let lens = lens();
        let of = |id| lens.mentions(id).collect::<Vec<_>>();
        assert_eq!(of("harbor"), ["0/LIC-1/1/grantees/organizations/*"]);
        assert_eq!(of("northgate"), ["0/LIC-1/1/grantees/organizations/*", "0/LIC-2/1/grantees/0/id"]);
        assert_eq!(of("larkspur-labs"), ["0/lab"]);
        assert!(of("hanbit").is_empty());
    }
}
