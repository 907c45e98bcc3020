//! Which crate may depend on which.

use toml::{Table, Value};

use super::{Fault, tree::Tree};

/// The architecture, in one table: each crate of ours and the crates of ours that it may depend on.
///
/// `testkit` stands on no right side: it is for tests only. Tests may look at every crate but the binary.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("terms", &[]),
    ("proof", &[]),
    ("policy", &["terms"]),
    ("jose", &["terms"]),
    ("vc", &["jose", "terms"]),
    ("secevent", &["jose", "terms"]),
    ("scim", &["terms"]),
    ("fetch", &[]),
    ("tsp", &["terms"]),
    ("identity", &["jose", "terms"]),
    ("ledger", &["proof", "terms"]),
    ("produce", &["ledger", "proof", "terms"]),
    ("lake", &["ledger", "proof", "terms"]),
    ("gateway", GATEWAY),
    // Alone with the solver: nothing of it reaches `policy` or the verifier.
    ("prover", &["policy", "terms"]),
    ("control", &["identity", "jose", "ledger", "policy", "proof", "prover", "terms"]),
    (
        "federation",
        &["control", "fetch", "identity", "jose", "ledger", "policy", "proof", "scim", "secevent", "terms", "vc"],
    ),
    ("verifier", &["policy", "proof", "terms"]),
    ("page", &["proof"]),
    ("witness", &["fetch", "ledger", "proof", "terms"]),
    ("views", &["fetch", "ledger", "proof", "terms"]),
    // Reads the dialects with the gateway's eyes; nothing else of the gateway reaches it.
    ("meter", &["fetch", "gateway", "jose", "ledger", "proof", "terms"]),
    ("exeat", PRODUCT),
    ("testkit", GATEWAY),
    ("xtask", &[]),
    // Measures the binary from outside, with the servers of `testkit`.
    ("exeat-bench", &["testkit"]),
    // Repeats single operations, for their instructions to be counted.
    ("exeat-gate", &["fetch", "gateway", "identity", "ledger", "policy", "proof", "terms", "testkit"]),
    ("exeat-fuzz", PRODUCT),
];
const GATEWAY: &[&str] = &["fetch", "identity", "jose", "ledger", "policy", "proof", "terms"];
const PRODUCT: &[&str] = &[
    "control",
    "federation",
    "fetch",
    "gateway",
    "identity",
    "jose",
    "lake",
    "ledger",
    "meter",
    "policy",
    "produce",
    "proof",
    "prover",
    "scim",
    "secevent",
    "terms",
    "tsp",
    "vc",
    "verifier",
    "views",
    "witness",
];

/// The crate that names functions for a page to call, which is `unsafe_code`: denied and excepted there, not forbidden.
const NAMES_FUNCTIONS: &str = "crates/page/Cargo.toml";
/// Needed by nothing but the fuzz targets, and only while fuzzing.
const FUZZER: &str = "libfuzzer-sys";

/// Finds every arrow that the table does not have, and every crate that it does not know.
pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, manifest) in manifests(tree, &mut faults) {
        check_crate(path, &manifest, &mut faults);
    }
    faults
}

/// Finds dependencies and lints that a crate sets for itself instead of inheriting them.
pub(crate) fn check_inherited(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, manifest) in manifests(tree, &mut Vec::new()) {
        for (_, name, value) in dependencies(&manifest) {
            if !is_inherited(&value) && name != FUZZER {
                let why = format!("write `{name}.workspace = true` and put `{name}` into the workspace's manifest");
                faults.push(Fault::new(path, why));
            }
        }
        let lints = manifest.get("lints");
        if path == NAMES_FUNCTIONS {
            if lints != lints_with_names(tree).as_ref() {
                faults.push(Fault::new(path, "write the workspace's lints, with `unsafe_code = \"deny\"`"));
            }
        } else if !lints.is_some_and(is_inherited) {
            faults.push(Fault::new(path, "write `[lints]` and `workspace = true`"));
        }
    }
    faults.extend(check_features(tree));
    faults
}

fn manifests<'a>(tree: &'a Tree, faults: &mut Vec<Fault>) -> Vec<(&'a str, Table)> {
    let mut found = Vec::new();
    for (path, text) in tree.with_ending("toml") {
        let ours = path.ends_with("/Cargo.toml");
        match (ours, text.parse()) {
            (true, Ok(manifest)) => found.push((path, manifest)),
            (true, Err(error)) => faults.push(Fault::new(path, format!("does not parse: {error}"))),
            (false, _) => {}
        }
    }
    found
}

fn check_crate(path: &str, manifest: &Table, faults: &mut Vec<Fault>) {
    let name =
        manifest.get("package").and_then(|package| package.get("name")).and_then(Value::as_str).unwrap_or_default();
    let Some(allowed) = allowed_for(name) else {
        let why = format!("crate `{name}` has no place in the table of xtask/src/tidy/arrows.rs");
        faults.push(Fault::new(path, why));
        return;
    };
    for (kind, dependency, value) in dependencies(manifest) {
        let package = value.get("package").and_then(Value::as_str).unwrap_or(&dependency);
        let permitted = match kind {
            Kind::Dev => package != "exeat",
            Kind::Normal => allowed.contains(&package),
        };
        if allowed_for(package).is_some() && !permitted {
            faults.push(Fault::new(path, format!("`{name}` may not depend on `{package}`")));
        }
    }
}

fn allowed_for(name: &str) -> Option<&'static [&'static str]> {
    let row = MAY_DEPEND_ON.iter().find(|(crate_name, _)| *crate_name == name);
    row.map(|(_, allowed)| *allowed)
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Normal,
    Dev,
}

/// Returns every dependency of a manifest, those of build scripts and of single targets too.
fn dependencies(manifest: &Table) -> Vec<(Kind, String, Value)> {
    let mut found = dependencies_in(manifest);
    let targets = manifest.get("target").and_then(Value::as_table);
    for table in targets.into_iter().flat_map(Table::values).filter_map(Value::as_table) {
        found.extend(dependencies_in(table));
    }
    found
}

fn dependencies_in(table: &Table) -> Vec<(Kind, String, Value)> {
    let kinds = [("dependencies", Kind::Normal), ("build-dependencies", Kind::Normal), ("dev-dependencies", Kind::Dev)];
    let mut found = Vec::new();
    for (key, kind) in kinds {
        for (name, value) in table.get(key).and_then(Value::as_table).into_iter().flatten() {
            found.push((kind, name.clone(), value.clone()));
        }
    }
    found
}

fn is_inherited(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

/// Returns what the workspace's manifest has under this name.
fn of_workspace(tree: &Tree, name: &str) -> Option<Value> {
    let manifest: Table = tree.text("Cargo.toml")?.parse().ok()?;
    manifest.get("workspace")?.get(name).cloned()
}

/// Returns the workspace's lints as [`NAMES_FUNCTIONS`] has them.
fn lints_with_names(tree: &Tree) -> Option<Value> {
    let mut lints = of_workspace(tree, "lints")?;
    *lints.get_mut("rust")?.get_mut("unsafe_code")? = "deny".into();
    Some(lints)
}

fn check_features(tree: &Tree) -> Vec<Fault> {
    let shared = of_workspace(tree, "dependencies").unwrap_or_else(|| Table::new().into());
    let loose = shared.as_table().into_iter().flatten().filter(|(_, value)| {
        let features = value.get("default-features").and_then(Value::as_bool);
        value.get("path").is_none() && features != Some(false)
    });
    loose
        .map(|(name, _)| {
            Fault::new(
                "Cargo.toml",
                format!("`{name}` needs `default-features = false` and the features it is used for"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(manifest: &str) -> Vec<String> {
        let tree = Tree::of(&[("crates/x/Cargo.toml", manifest)]);
        check(&tree).into_iter().map(|fault| fault.why).collect()
    }

    #[test]
    fn an_arrow_that_the_table_does_not_have_is_a_fault_wherever_it_hides() {
        for table in ["dependencies", "build-dependencies", "target.'cfg(unix)'.dependencies"] {
            let manifest = format!("[package]\nname = \"policy\"\n[{table}]\nledger.workspace = true\n");
            assert_eq!(faults_of(&manifest), ["`policy` may not depend on `ledger`"], "{table}");
        }
        let renamed = "[package]\nname = \"policy\"\n[dependencies]\nl = { package = \"ledger\", path = \"../l\" }\n";
        assert_eq!(faults_of(renamed).len(), 1);
    }

    #[test]
    fn testkit_is_for_tests_only() {
        let normal = "[package]\nname = \"gateway\"\n[dependencies]\ntestkit.workspace = true\n";
        assert_eq!(faults_of(normal), ["`gateway` may not depend on `testkit`"]);
        let dev = "[package]\nname = \"gateway\"\n[dev-dependencies]\ntestkit.workspace = true\n";
        assert!(faults_of(dev).is_empty());
    }

    #[test]
    fn a_crate_without_a_place_in_the_table_is_a_fault() {
        assert_eq!(faults_of("[package]\nname = \"extra\"\n").len(), 1);
        assert_eq!(faults_of("[package\n").len(), 1);
    }

    #[test]
    fn a_crate_inherits_its_versions_and_its_lints() {
        let own = "[package]\nname = \"terms\"\n[dependencies]\nserde = \"1\"\n";
        let tree = Tree::of(&[
            ("crates/terms/Cargo.toml", own),
            ("Cargo.toml", "[workspace.dependencies]\nserde = \"1\"\nterms = { path = \"x\" }\n"),
        ]);
        assert_eq!(check_inherited(&tree).len(), 3);
    }

    #[test]
    fn the_crate_that_names_functions_has_the_lints_of_all_but_one() {
        let faults = |lints: &str| {
            let manifest = format!("[package]\nname = \"page\"\n{lints}");
            let workspace =
                "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n[workspace.lints.clippy]\nx = \"warn\"\n";
            check_inherited(&Tree::of(&[(NAMES_FUNCTIONS, &manifest), ("Cargo.toml", workspace)])).len()
        };
        assert_eq!(faults("[lints.rust]\nunsafe_code = \"deny\"\n[lints.clippy]\nx = \"warn\"\n"), 0);
        for less in ["", "[lints]\nworkspace = true\n", "[lints.rust]\nunsafe_code = \"deny\"\n"] {
            assert_eq!(faults(less), 1, "{less}");
        }
    }
}
