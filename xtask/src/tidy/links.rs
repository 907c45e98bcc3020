//! Documents: every link leads somewhere, every path of ours that is named exists.

use std::collections::BTreeSet;

use super::{Fault, tree::Tree};

/// A code span that begins with one of these is a path and must exist.
const FOLDERS: &[&str] = &[".ci/", "bench/", "cases/", "crates/", "docs/", "examples/", "fuzz/", "tests/", "xtask/"];

/// Finds links to files or headings that are not there, and named paths that do not exist.
pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, text) in tree.with_ending("md") {
        for (number, line) in prose(text) {
            let at = format!("{path}:{number}");
            let dead = links(line).into_iter().filter(|link| !leads_somewhere(tree, path, link));
            faults.extend(dead.map(|link| Fault::new(&at, format!("`{link}` leads nowhere"))));
            let gone = code_spans(line).into_iter().filter(|span| is_missing(tree, span));
            faults.extend(gone.map(|span| Fault::new(&at, format!("`{span}` does not exist"))));
        }
    }
    faults
}

/// Returns what stands between backticks in a line.
pub(crate) fn code_spans(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

/// Returns the lines outside code blocks, with their numbers.
pub(crate) fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_block = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        in_block ^= fence;
        !in_block && !fence
    })
}

fn links(line: &str) -> Vec<String> {
    let outside: Vec<_> = line.split('`').step_by(2).collect();
    let text = outside.join("``");
    let ends = text.split("](").skip(1);
    ends.filter_map(|rest| rest.split_once(')')).map(|(link, _)| link.to_owned()).collect()
}

fn leads_somewhere(tree: &Tree, from: &str, link: &str) -> bool {
    if ["https://", "http://", "mailto:"].iter().any(|scheme| link.starts_with(scheme)) {
        return true;
    }
    let (file, heading) = link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
    let target = if file.is_empty() { from.to_owned() } else { resolve(from, file) };
    match heading {
        None => tree.has(&target),
        Some(heading) => tree.text(&target).is_some_and(|text| headings(text).contains(heading)),
    }
}

/// Resolves a link relative to the document it stands in.
fn resolve(from: &str, link: &str) -> String {
    let mut parts: Vec<_> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// Returns the anchors of a document's headings, as repository hosts make them.
fn headings(text: &str) -> BTreeSet<String> {
    let titles = prose(text).filter(|(_, line)| line.starts_with('#'));
    titles.map(|(_, line)| anchor(line.trim_start_matches('#').trim())).collect()
}

fn anchor(title: &str) -> String {
    let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn is_missing(tree: &Tree, span: &str) -> bool {
    let path = span.split(':').next().unwrap_or_default().trim_end_matches('/');
    let ours = FOLDERS.iter().any(|folder| span.starts_with(folder));
    ours && !path.contains(['*', '<', '{', ' ']) && !tree.has(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whys(text: &str) -> Vec<String> {
        let tree = Tree::of(&[("docs/a.md", text), ("docs/b.md", "# Two words, and `code`\n"), ("README.md", "")]);
        check(&tree).into_iter().map(|fault| fault.why).collect()
    }

    #[test]
    fn a_link_to_a_file_or_a_heading_that_is_not_there_is_a_fault() {
        let good = "[a](b.md) [b](../README.md) [c](b.md#two-words-and-code) [d](https://example.com/x)\n";
        assert_eq!(whys(good), Vec::<String>::new());
        assert_eq!(whys("[a](c.md)\n"), ["`c.md` leads nowhere"]);
        assert_eq!(whys("[a](b.md#three)\n"), ["`b.md#three` leads nowhere"]);
    }

    #[test]
    fn a_path_that_is_named_must_exist() {
        assert_eq!(whys("see `docs/gone.md`\n"), ["`docs/gone.md` does not exist"]);
        assert!(whys("see `docs/b.md`, `docs/*.md`, `docs/` and `gone.md`\n").is_empty());
    }

    #[test]
    fn what_stands_in_code_is_not_a_link() {
        assert!(whys("```\n[a](gone.md)\n```\nand `[a](gone.md)`\n").is_empty());
    }
}
