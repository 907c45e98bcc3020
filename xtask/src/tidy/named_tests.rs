//! Documents that promise something name the test that covers it; that test must exist.

use std::collections::BTreeSet;

use super::{
    Fault,
    links::{code_spans, prose},
    shape,
    tree::Tree,
};

/// The heading of a table's column that names tests.
const COLUMN: &str = "Covering test";
/// The document whose table may not be missing.
const REQUIRED: &str = "docs/evasions.md";

/// Finds cells of a `Covering test` column that are empty or name a test that is not in the tree.
///
/// A cell names tests by function name between backticks; a path that exists may stand beside them.
/// A compile-time guarantee is named by its file and the word doctest.
pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let known = known_tests(tree);
    let mut faults = Vec::new();
    for (path, text) in tree.with_ending("md") {
        let rows = rows(text);
        if path == REQUIRED && rows.is_empty() {
            faults.push(Fault::new(path, format!("has no table with a column `{COLUMN}`")));
        }
        for (number, cell) in rows {
            let whys = check_cell(tree, &known, cell);
            faults.extend(whys.into_iter().map(|why| Fault::new(format!("{path}:{number}"), why)));
        }
    }
    faults
}

/// Returns the cells of every such column, with their line numbers.
fn rows(text: &str) -> Vec<(usize, &str)> {
    let mut column = None;
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let Some(inner) = line.trim().strip_prefix('|') else {
            column = None;
            continue;
        };
        let cells: Vec<_> = inner.trim_end_matches('|').split('|').map(str::trim).collect();
        match column {
            None => column = Some(cells.iter().position(|cell| *cell == COLUMN)),
            Some(Some(at)) if !is_rule(&cells) => {
                found.push((number, cells.get(at).copied().unwrap_or_default()));
            }
            Some(_) => {}
        }
    }
    found
}

fn is_rule(cells: &[&str]) -> bool {
    cells.iter().all(|cell| cell.chars().all(|c| "-: ".contains(c)))
}

fn check_cell(tree: &Tree, known: &BTreeSet<String>, cell: &str) -> Vec<String> {
    let spans = code_spans(cell);
    let (paths, names): (Vec<_>, Vec<_>) = spans.into_iter().partition(|span| tree.has(span));
    let unknown = names.iter().filter(|name| !known.contains(last_segment(name)));
    let mut whys: Vec<_> = unknown.map(|name| format!("there is no test `{name}`")).collect();
    if names.is_empty() && !has_doctest(tree, &paths, cell) {
        whys.push(format!("`{cell}` names no test"));
    }
    whys
}

fn has_doctest(tree: &Tree, paths: &[&str], cell: &str) -> bool {
    let compiled = |path: &&str| tree.text(path).is_some_and(|text| text.contains("```compile_fail"));
    cell.contains("doctest") && paths.iter().any(compiled)
}

fn last_segment(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

fn known_tests(tree: &Tree) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for (_, text) in tree.with_ending("rs") {
        let tests = shape::functions(text).unwrap_or_default().into_iter();
        known.extend(tests.filter(|f| f.is_test).map(|f| last_segment(&f.name).to_owned()));
        known.extend(property_tests(text));
    }
    for (_, text) in tree.with_ending("py") {
        known.extend(defined(text, &["def ", "async def "]).filter(|name| name.starts_with("test_")));
    }
    known
}

/// Returns the tests inside `proptest!`, which the parser does not look into.
fn property_tests(text: &str) -> Vec<String> {
    let after = text.split("proptest! {").skip(1);
    after.flat_map(|block| defined(block, &["fn "]).collect::<Vec<_>>()).collect()
}

fn defined<'a>(text: &'a str, keywords: &'a [&'a str]) -> impl Iterator<Item = String> + 'a {
    text.lines().filter_map(|line| {
        let line = line.trim_start();
        let rest = keywords.iter().find_map(|keyword| line.strip_prefix(keyword))?;
        rest.split_once('(').map(|(name, _)| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whys(cell: &str) -> Vec<String> {
        let table = format!("| Evasion | Covering test |\n|---|---|\n| x | {cell} |\n");
        let tree = Tree::of(&[
            (REQUIRED, &table),
            (
                "a.rs",
                "#[test]\nfn a_key_is_refused() {}\nfn helper() {}\nproptest! {\n#[test]\nfn any_key(k in 0..9) {}\n}\n",
            ),
            ("b.rs", "//! ```compile_fail\n//! ```\n"),
            ("t.py", "async def test_cut():\n    pass\n"),
        ]);
        check(&tree).into_iter().map(|fault| fault.why).collect()
    }

    #[test]
    fn a_cell_names_tests_that_exist() {
        for cell in
            ["`a_key_is_refused`", "`gateway::a_key_is_refused`, `any_key` in `a.rs`", "`test_cut`", "`b.rs` (doctest)"]
        {
            assert_eq!(whys(cell), Vec::<String>::new(), "{cell}");
        }
    }

    #[test]
    fn an_empty_cell_or_a_test_that_does_not_exist_is_a_fault() {
        for cell in ["", "later", "`a.rs`", "`helper`", "`a_key_is_accepted`", "`a.rs` (doctest)"] {
            assert_eq!(whys(cell).len(), 1, "{cell}");
        }
    }

    #[test]
    fn the_table_of_evasions_may_not_be_missing() {
        assert_eq!(check(&Tree::of(&[(REQUIRED, "# Evasions\n")])).len(), 1);
        assert!(check(&Tree::of(&[("docs/other.md", "| a | b |\n|---|---|\n| c | d |\n")])).is_empty());
    }
}
