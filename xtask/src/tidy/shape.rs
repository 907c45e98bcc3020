//! Functions: how long, and whether a test among them is switched off.

use std::collections::BTreeMap;

use syn::{Attribute, Block, ItemFn, ItemImpl, ItemMod, ItemTrait, Signature, visit::Visit};

use super::{Fault, tree::Tree};

const LINES_MAX: usize = 70;
/// The functions that may be longer, each with its length: `path Type::name lines`.
const EXCEPTIONS: &str = "xtask/long-functions.txt";

/// Finds functions over the limit that are not excepted, and exceptions that no longer apply.
///
/// Tests are not counted: a long table of cases is no harm.
pub(crate) fn check_lengths(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut long = BTreeMap::new();
    for (path, text) in tree.with_ending("rs") {
        match functions(text) {
            Ok(all) => long.extend(over_limit(path, &all)),
            Err(error) => faults.push(Fault::new(path, format!("does not parse: {error}"))),
        }
    }
    faults.extend(compare(long, tree.text(EXCEPTIONS).unwrap_or_default()));
    faults
}

/// Finds tests and doctests that are switched off.
pub(crate) fn check_ignored(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, text) in tree.with_ending("rs") {
        for function in functions(text).unwrap_or_default() {
            if function.ignored {
                let why = format!("test `{}` is switched off: mend it or remove it", function.name);
                faults.push(Fault::new(format!("{path}:{}", function.line), why));
            }
        }
        for (number, line) in (1..).zip(text.lines()) {
            if is_ignored_doctest(line) {
                let why = "doctest is switched off: use `text`, `no_run` or `compile_fail`, or let it run";
                faults.push(Fault::new(format!("{path}:{number}"), why));
            }
        }
    }
    faults
}

/// One function of a source file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Function {
    /// `name`, or `Type::name` for a method.
    pub(crate) name: String,
    /// The line it begins on.
    pub(crate) line: usize,
    /// From the signature to the closing brace.
    pub(crate) lines: usize,
    /// True for a test and whatever stands in a test module.
    pub(crate) in_tests: bool,
    /// True for a function that the test runner runs.
    pub(crate) is_test: bool,
    /// True for a test that is switched off.
    pub(crate) ignored: bool,
}

/// Returns every function of a source file, in order.
pub(crate) fn functions(text: &str) -> syn::Result<Vec<Function>> {
    let file = syn::parse_file(text)?;
    let mut walk = Walk::default();
    walk.visit_file(&file);
    Ok(walk.found)
}

fn over_limit(path: &str, all: &[Function]) -> BTreeMap<(String, String), usize> {
    let in_tests = |path: &str| path.split('/').any(|part| part == "tests");
    let mut long = BTreeMap::new();
    for function in all {
        if function.lines > LINES_MAX && !function.in_tests && !in_tests(path) {
            let longest: &mut usize = long.entry((path.to_owned(), function.name.clone())).or_default();
            *longest = function.lines.max(*longest);
        }
    }
    long
}

fn compare(mut long: BTreeMap<(String, String), usize>, exceptions: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (number, line) in (1..).zip(exceptions.lines()) {
        let at = format!("{EXCEPTIONS}:{number}");
        let words: Vec<_> = line.split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            [comment, ..] if comment.starts_with('#') => {}
            [path, name, lines] => {
                let found = long.remove(&((*path).to_owned(), (*name).to_owned()));
                faults.extend(compare_one(found, lines).map(|why| Fault::new(at, why)));
            }
            _ => faults.push(Fault::new(at, "write `path name lines`")),
        }
    }
    faults.extend(long.into_iter().map(|((path, name), lines)| {
        let why = format!("`{name}` is {lines} lines, at most {LINES_MAX}: give its parts names of their own");
        Fault::new(path, why)
    }));
    faults
}

fn compare_one(found: Option<usize>, allowed: &str) -> Option<String> {
    match (found, allowed.parse::<usize>()) {
        (_, Err(_)) => Some(format!("`{allowed}` is not a number of lines")),
        (None, _) => Some("no such function is over the limit any more: remove the line".to_owned()),
        (Some(lines), Ok(allowed)) if lines > allowed => Some(format!("it has grown to {lines} lines: shorten it")),
        (Some(lines), Ok(allowed)) if lines < allowed => Some(format!("it has shrunk: write {lines} here")),
        _ => None,
    }
}

fn is_ignored_doctest(line: &str) -> bool {
    let line = line.trim_start();
    let doc = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
    let fence = doc.and_then(|doc| doc.trim_start().strip_prefix("```"));
    fence.is_some_and(|words| words.split(',').any(|word| word.trim().starts_with("ignore")))
}

#[derive(Debug, Default)]
struct Walk {
    found: Vec<Function>,
    owner: Option<String>,
    test_depth: usize,
}

impl Walk {
    fn add(&mut self, attributes: &[Attribute], signature: &Signature, block: &Block) {
        let is_test = attributes.iter().any(is_test_attribute);
        let name = &signature.ident;
        let name = match &self.owner {
            Some(owner) => format!("{owner}::{name}"),
            None => name.to_string(),
        };
        let line = signature.fn_token.span.start().line;
        let last = block.brace_token.span.close().end().line;
        self.found.push(Function {
            name,
            line,
            lines: last.saturating_sub(line) + 1,
            in_tests: is_test || self.test_depth > 0,
            is_test,
            ignored: attributes.iter().any(mentions_ignore),
        });
    }

    fn within(&mut self, owner: Option<String>, visit: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.owner, owner);
        visit(self);
        self.owner = before;
    }
}

impl<'ast> Visit<'ast> for Walk {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let depth = usize::from(item.attrs.iter().any(is_cfg_test));
        self.test_depth += depth;
        syn::visit::visit_item_mod(self, item);
        self.test_depth -= depth;
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let owner = match item.self_ty.as_ref() {
            syn::Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
            _ => None,
        };
        self.within(owner, |walk| syn::visit::visit_item_impl(walk, item));
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        let owner = Some(item.ident.to_string());
        self.within(owner, |walk| syn::visit::visit_item_trait(walk, item));
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.within(None, |walk| {
            walk.add(&item.attrs, &item.sig, &item.block);
            syn::visit::visit_item_fn(walk, item);
        });
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add(&item.attrs, &item.sig, &item.block);
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.add(&item.attrs, &item.sig, block);
        }
        syn::visit::visit_trait_item_fn(self, item);
    }
}

/// `#[test]`, `#[tokio::test]` and their like.
fn is_test_attribute(attribute: &Attribute) -> bool {
    let last = attribute.path().segments.last();
    last.is_some_and(|segment| segment.ident == "test")
}

fn is_cfg_test(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") && mentions(attribute, "test")
}

fn mentions_ignore(attribute: &Attribute) -> bool {
    let conditional = attribute.path().is_ident("cfg_attr") && mentions(attribute, "ignore");
    attribute.path().is_ident("ignore") || conditional
}

fn mentions(attribute: &Attribute, word: &str) -> bool {
    match &attribute.meta {
        syn::Meta::List(list) => list
            .tokens
            .to_string()
            .split_whitespace()
            .any(|token| token.trim_matches(|c: char| !c.is_alphanumeric()) == word),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function_of(lines: usize) -> String {
        format!("//! x\n\n#[inline]\nfn long(a: u8) {{\n{}}}\n", "    // {\n".repeat(lines - 2))
    }

    fn whys(files: &[(&str, &str)]) -> Vec<String> {
        let faults = check_lengths(&Tree::of(files));
        faults.into_iter().map(|fault| fault.why).collect()
    }

    #[test]
    fn a_function_of_70_lines_passes_and_one_of_71_does_not() {
        assert!(whys(&[("a.rs", &function_of(70))]).is_empty());
        assert_eq!(whys(&[("a.rs", &function_of(71))]).len(), 1);
    }

    #[test]
    fn the_list_of_exceptions_can_only_shrink() {
        let text = function_of(80);
        let with = |list: &str| whys(&[("a.rs", &text), (EXCEPTIONS, list)]);
        assert!(with("# why\na.rs long 80\n").is_empty());
        assert!(with("a.rs long 79")[0].contains("grown"));
        assert!(with("a.rs long 81")[0].contains("write 80"));
        assert!(with("a.rs long 80\nb.rs gone 90")[0].contains("remove"));
        assert_eq!(with("a.rs long").len(), 2);
    }

    #[test]
    fn tests_may_be_long_but_not_what_stands_beside_them() {
        let body = "    // x\n".repeat(80);
        let text = format!(
            "//! x\n#[cfg(test)]\nmod tests {{\n#[test]\nfn t() {{\n{body}}}\n}}\nimpl A {{ fn m(&self) {{\n{body}}} }}\n"
        );
        let faults = whys(&[("a.rs", &text), ("crates/a/tests/it/main.rs", &function_of(99))]);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains("`A::m`"));
    }

    #[test]
    fn a_test_that_is_switched_off_is_found_however_it_is_written() {
        let off = concat!("#[test]\n#[", "ignore]\nfn a() {}\n#[test]\n#[cfg_attr(unix, ", "ignore)]\nfn b() {}\n");
        let doc = concat!("/// ```", "ignore\n/// x\n/// ```\nfn c() {}\n");
        let found = check_ignored(&Tree::of(&[("a.rs", &format!("{off}{doc}"))]));
        assert_eq!(found.len(), 3, "{found:?}");
        let on = check_ignored(&Tree::of(&[("a.rs", "/// ignore ```\n#[test]\nfn a() {}\n")]));
        assert!(on.is_empty());
    }
}
