//! Files: how long, and whether they begin by saying what they are.

use super::{Fault, tree::Tree};

const LINES_MAX: usize = 1_000;
/// Assembled, so that this file does not contain what it looks for.
const LOCK_HOST: &str = concat!("\"reso", "lved\":");

/// Finds files that are too long, Rust files without a heading, and lock files that name a host.
pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for ending in ["rs", "py", "cjs"] {
        for (path, text) in tree.with_ending(ending) {
            faults.extend(check_length(path, text));
        }
    }
    for (path, text) in tree.with_ending("rs") {
        if !text.starts_with("//!") {
            faults.push(Fault::new(path, "begin with a `//!` line that says what the file is for"));
        }
    }
    for (path, text) in tree.with_ending("json") {
        if path.ends_with("package-lock.json") && text.contains(LOCK_HOST) {
            faults.push(Fault::new(
                path,
                "names the host it came from: write it with `--omit-lockfile-registry-resolved`",
            ));
        }
    }
    faults
}

fn check_length(path: &str, text: &str) -> Option<Fault> {
    let lines = text.lines().count();
    let why = format!("{lines} lines, at most {LINES_MAX}: split it by what its parts are about");
    (lines > LINES_MAX).then(|| Fault::new(path, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_1000_lines_passes_and_one_of_1001_does_not() {
        let text = |lines: usize| format!("//! x\n{}", "\n".repeat(lines - 1));
        let tree = Tree::of(&[("a.rs", &text(1_000)), ("tests/b.rs", &text(1_001))]);
        let faults = check(&tree);
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].at, "tests/b.rs");
    }

    #[test]
    fn a_rust_file_without_a_heading_is_a_fault() {
        assert_eq!(check(&Tree::of(&[("a.rs", "fn main() {}\n")])).len(), 1);
    }

    #[test]
    fn a_lock_file_that_names_its_host_is_a_fault() {
        let lock = format!("{{{LOCK_HOST} \"https://packages.example/x\"}}");
        assert_eq!(check(&Tree::of(&[("t/package-lock.json", &lock)])).len(), 1);
        assert!(check(&Tree::of(&[("t/package-lock.json", "{}")])).is_empty());
    }
}
