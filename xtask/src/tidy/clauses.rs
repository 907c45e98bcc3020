//! `docs/clauses.md`: every clause of the example instruments is there, with code, tests and cases that exist.
//!
//! That the tests of its column `Covering test` exist is checked with those of all documents.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    Fault,
    links::{code_spans, prose},
    tree::Tree,
};

const DOCUMENT: &str = "docs/clauses.md";
/// The instruments whose clauses it lists, each under a heading of its own.
const INSTRUMENTS: [&str; 2] = ["examples/june-12.directive.json", "examples/annex-a.license.json"];

/// Finds clauses without a row, rows without a clause, and rows that name code or cases that are not there.
pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let Some(text) = tree.text(DOCUMENT) else {
        return vec![Fault::new(DOCUMENT, "is missing: list every clause of the example instruments")];
    };
    let rows = rows(text);
    let mut faults: Vec<Fault> = INSTRUMENTS.iter().flat_map(|path| check_fields(tree, path, &rows)).collect();
    for row in &rows {
        let whys = code_faults(tree, row).into_iter().chain(case_faults(tree, row));
        faults.extend(whys.map(|why| Fault::new(format!("{DOCUMENT}:{}", row.line), why)));
    }
    faults
}

/// One row of a table.
#[derive(Debug, Default)]
struct Row<'a> {
    line: usize,
    /// The instrument, as the heading names it.
    instrument: &'a str,
    field: &'a str,
    /// The cells after the one that says what the clause says: code, tests, cases.
    code: &'a str,
    cases: &'a str,
}

fn rows(text: &str) -> Vec<Row<'_>> {
    let mut instrument = "";
    let mut rows = Vec::new();
    for (line, text) in prose(text) {
        if text.starts_with('#') {
            instrument = code_spans(text).first().copied().unwrap_or_default();
        }
        let Some(inner) = text.trim().strip_prefix('|').and_then(|inner| inner.strip_suffix('|')) else { continue };
        let cells: Vec<&str> = inner.split('|').map(str::trim).collect();
        if let [field, _, code, _, cases] = cells.as_slice()
            && let Some(field) = code_spans(field).first()
        {
            rows.push(Row { line, instrument, field, code, cases });
        }
    }
    rows
}

fn check_fields(tree: &Tree, path: &str, rows: &[Row<'_>]) -> Vec<Fault> {
    let Some(document) = tree.text(path).and_then(|text| serde_json::from_str(text).ok()) else {
        return vec![Fault::new(path, "is not there or no JSON")];
    };
    let mut fields = BTreeSet::new();
    leaves(&document, "", &mut fields);
    let listed: BTreeSet<&str> = rows.iter().filter(|row| row.instrument == path).map(|row| row.field).collect();
    let forgotten = fields.iter().filter(|field| !listed.contains(field.as_str()));
    let gone = listed.iter().filter(|field| !fields.contains(**field));
    let forgotten = forgotten.map(|field| format!("`{field}` of {path} is not listed: say where it is carried out"));
    let gone = gone.map(|field| format!("`{field}` is no field of {path}: take its row out"));
    forgotten.chain(gone).map(|why| Fault::new(DOCUMENT, why)).collect()
}

/// Collects the places of everything that a document states; the elements of a list are at the place of the list.
fn leaves(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| leaves(value, &format!("{at}/{name}"), found)),
        Value::Array(values) if !values.is_empty() => values.iter().for_each(|value| leaves(value, at, found)),
        _ => {
            found.insert(at.to_owned());
        }
    }
}

/// A file, and then the functions in it.
fn code_faults(tree: &Tree, row: &Row<'_>) -> Vec<String> {
    let spans = code_spans(row.code);
    let Some((file, functions)) = spans.split_first().filter(|(_, functions)| !functions.is_empty()) else {
        return vec![format!("`{}` names no function in a file that carries it out", row.field)];
    };
    let text = tree.text(file).unwrap_or_default();
    let missing = functions
        .iter()
        .filter(|name| !text.contains(&format!("fn {name}(")) && !text.contains(&format!("fn {name}<")));
    missing.map(|name| format!("there is no function `{name}` in `{file}`")).collect()
}

fn case_faults(tree: &Tree, row: &Row<'_>) -> Vec<String> {
    let spans = code_spans(row.cases).into_iter();
    let missing = spans.filter(|case| !tree.has(&format!("cases/{case}.yaml")));
    missing.map(|case| format!("there is no case `{case}`")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whys(rows: &str) -> Vec<String> {
        let heads = "| Field | Says | Carried out in | Covering test | Cases |\n|---|---|---|---|---|\n";
        let [directive, license] = INSTRUMENTS;
        let text = format!(
            "# Clauses\n## `{directive}`\n{heads}{rows}\n## `{license}`\n{heads}| `/id` | a name | `a.rs` `f` | | |\n"
        );
        let tree = Tree::of(&[
            (DOCUMENT, text.as_str()),
            (directive, r#"{"id": "D", "models": {"families": ["a", "b"]}, "duties": []}"#),
            (license, r#"{"id": "L"}"#),
            ("a.rs", "fn f() {}\nfn g<T>() {}\n"),
            ("cases/P01.yaml", ""),
        ]);
        check(&tree).into_iter().map(|fault| fault.why).collect()
    }

    const ALL: &str = "| `/id` | a name | `a.rs` `f` | | `P01` |\n| `/models/families` | whom | `a.rs` `f` `g` | | |\n\
                       | `/duties` | none | `a.rs` `f` | | |\n";

    #[test]
    fn a_table_that_lists_every_field_with_code_and_cases_that_exist_is_in_order() {
        assert_eq!(whys(ALL), Vec::<String>::new());
    }

    #[test]
    fn a_field_that_is_forgotten_and_a_row_about_none_are_faults() {
        assert_eq!(whys(&ALL.replace("/duties", "/duty")).len(), 2);
    }

    #[test]
    fn a_function_or_a_case_that_is_not_there_is_a_fault() {
        for (from, to) in [("`f` `g`", "`f` `h`"), ("`P01`", "`P99`"), ("`a.rs` `f` | | `P01`", "`a.rs` | | `P01`")] {
            assert_eq!(whys(&ALL.replace(from, to)).len(), 1, "{to}");
        }
    }

    #[test]
    fn the_table_may_not_be_missing() {
        assert_eq!(check(&Tree::of(&[("README.md", "")])).len(), 1);
    }
}
