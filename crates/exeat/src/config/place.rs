//! Where in a TOML text a key stands, and which key stands at a place.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// Returns the line, from 1, that holds the byte at `offset`.
pub(crate) fn line_at(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    1 + before.filter(|byte| **byte == b'\n').count()
}

/// Returns line and column, both from 1, of the byte at `offset`; columns count characters.
pub(crate) fn position_at(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let column = before.chars().rev().take_while(|c| *c != '\n').count();
    (line_at(text, offset), column + 1)
}

/// Returns line and column of the name of `key`, or of that of the nearest table around it.
pub(crate) fn position_of(text: &str, key: &str) -> Option<(usize, usize)> {
    start_of(text, key).map(|start| position_at(text, start))
}

/// Returns the line of the value at `key`, such as `models[0].endpoints[1].url`, or of the nearest table around it.
pub(crate) fn line_of(text: &str, key: &str) -> Option<usize> {
    start_of(text, key).map(|start| line_at(text, start))
}

fn start_of(text: &str, key: &str) -> Option<usize> {
    let wanted = Place::all(text);
    let mut key = key;
    loop {
        if let Some(place) = wanted.iter().find(|place| place.key == key) {
            return Some(place.name.start);
        }
        let cut = key.rfind(['.', '['])?;
        key = key.get(..cut)?;
    }
}

/// Returns the key whose name or value holds the byte at `offset`: the innermost one.
pub(crate) fn key_at(text: &str, offset: usize) -> Option<String> {
    let places = Place::all(text);
    let holds = |range: &Range<usize>| range.contains(&offset);
    let around = places.iter().filter(|place| holds(&place.name) || holds(&place.value));
    around.max_by_key(|place| place.key.len()).map(|place| place.key.clone())
}

/// One key of a text, in full, with where its name and its value stand.
struct Place {
    key: String,
    name: Range<usize>,
    value: Range<usize>,
}

impl Place {
    /// Returns every key of `text`; none if it is not TOML.
    fn all(text: &str) -> Vec<Self> {
        let mut places = Vec::new();
        if let Ok(table) = DeTable::parse(text) {
            collect_table("", table.get_ref(), &mut places);
        }
        places
    }
}

fn collect_table(under: &str, table: &DeTable<'_>, places: &mut Vec<Place>) {
    for (name, value) in table.iter() {
        let dot = if under.is_empty() { "" } else { "." };
        let key = format!("{under}{dot}{}", name.get_ref());
        places.push(Place { key: key.clone(), name: name.span(), value: value.span() });
        collect_value(&key, value.get_ref(), places);
    }
}

fn collect_value(key: &str, value: &DeValue<'_>, places: &mut Vec<Place>) {
    if let Some(table) = value.as_table() {
        collect_table(key, table, places);
    }
    for (n, item) in value.as_array().into_iter().flat_map(|array| array.iter()).enumerate() {
        let key = format!("{key}[{n}]");
        places.push(Place { key: key.clone(), name: item.span(), value: item.span() });
        collect_value(&key, item.get_ref(), places);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a = 1\n[b]\nc = [\n  2,\n  3]\n[[d]]\ne = { f = 4 }\n[[d]]\ne = 5\n";

    #[test]
    fn a_key_is_found_at_its_line_and_a_line_leads_back_to_its_key() {
        for (key, line) in [("a", 1), ("b.c", 3), ("b.c[1]", 5), ("d[0].e.f", 7), ("d[1].e", 9)] {
            assert_eq!(line_of(TEXT, key), Some(line), "{key}");
        }
        assert_eq!(key_at(TEXT, TEXT.find('4').unwrap()).as_deref(), Some("d[0].e.f"));
    }

    #[test]
    fn a_key_that_is_absent_is_placed_at_the_table_around_it() {
        assert_eq!(line_of(TEXT, "d[1].missing"), Some(8));
        assert_eq!(line_of(TEXT, "nowhere"), None);
    }
}
