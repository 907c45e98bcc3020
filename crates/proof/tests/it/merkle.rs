//! Proof vectors: our own beside this test, and those of transparency-dev/merkle where they are at hand.
//!
//! Ours (`fixtures/merkle.json`) were made with a direct transcription of RFC 9162 section 2.1 into Python's `hashlib`.
//! The others are the directory `merkle/testdata` below `EXEAT_DATA`, or below `../shared/data` beside the workspace.

use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use proof::tree::{
    Frontier, Hash, leaf_hash, verify_consistency, verify_inclusion, verify_subtree_consistency,
    verify_subtree_inclusion,
};

/// One vector of any of the four kinds; each kind has its own fields.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Vector {
    desc: String,
    want_err: bool,
    proof: Option<Vec<String>>,
    leaf_idx: Option<u64>,
    leaf_hash: Option<String>,
    tree_size: Option<u64>,
    root: Option<String>,
    size1: Option<u64>,
    size2: Option<u64>,
    root1: Option<String>,
    root2: Option<String>,
    start: Option<u64>,
    end: Option<u64>,
    size: Option<u64>,
}

impl Vector {
    /// Returns true if the proof holds. A leaf or a step that is not 32 bytes long is no hash, and proves nothing.
    fn holds(&self) -> bool {
        let proof = self.proof.iter().flatten().map(|text| hash(text));
        let Some(proof) = proof.collect::<Option<Vec<Hash>>>() else {
            return false;
        };
        self.inclusion(&proof).or_else(|| self.consistency(&proof)).unwrap_or(false)
    }

    fn inclusion(&self, proof: &[Hash]) -> Option<bool> {
        let (leaf, root) = (optional(&self.leaf_hash)?, optional(&self.root)?);
        let index = self.leaf_idx?;
        let verified = match self.tree_size {
            Some(size) => verify_inclusion(&leaf, index, size, proof, &root),
            None => verify_subtree_inclusion(&leaf, index, self.start?, self.end?, proof, &root),
        };
        Some(verified.is_ok())
    }

    fn consistency(&self, proof: &[Hash]) -> Option<bool> {
        let (old, new) = (padded(&self.root1)?, padded(&self.root2)?);
        let verified = match (self.size1, self.size2) {
            (Some(from), Some(to)) => verify_consistency(from, to, proof, &old, &new),
            _ => verify_subtree_consistency(self.start?, self.end?, self.size?, proof, &old, &new),
        };
        Some(verified.is_ok())
    }
}

fn hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

fn optional(text: &Option<String>) -> Option<Hash> {
    hash(text.as_deref()?)
}

/// Some vectors compare texts shorter than a hash as roots; zeros after them keep equal equal and different different.
fn padded(text: &Option<String>) -> Option<Hash> {
    let mut bytes = STANDARD.decode(text.as_deref()?).ok()?;
    bytes.resize(32, 0);
    bytes.try_into().ok()
}

#[test]
fn our_own_vectors_are_accepted_and_refused_as_they_say() {
    #[derive(serde::Deserialize)]
    struct Fixture {
        roots: Vec<String>,
        vectors: Vec<Vector>,
    }
    let fixture: Fixture = serde_json::from_str(include_str!("../fixtures/merkle.json")).unwrap();
    let mut tree = Frontier::new();
    for (n, root) in (0_u64..).zip(&fixture.roots) {
        assert_eq!(Some(tree.root()), hash(root), "root of {n} leaves");
        tree.push(leaf_hash(&n.to_be_bytes()));
    }
    assert!(fixture.vectors.len() > 100 && fixture.roots.len() == 41);
    for vector in &fixture.vectors {
        assert_eq!(vector.holds(), !vector.want_err, "{vector:?}");
    }
}

#[test]
fn all_vectors_of_transparency_dev_merkle_are_accepted_and_refused_as_they_say() {
    let Some(root) = testdata() else {
        println!("skipped: no `merkle/testdata` below EXEAT_DATA or ../shared/data");
        return;
    };
    let mut files = Vec::new();
    collect(&root, &mut files).unwrap();
    for file in &files {
        let vector: Vector = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let (holds, wanted) = (vector.holds(), !vector.want_err);
        assert_eq!(holds, wanted, "{}: {}", file.display(), vector.desc);
    }
    assert_eq!(files.len(), 518);
}

fn testdata() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("EXEAT_DATA").map_or(beside, PathBuf::from);
    Some(data.join("merkle/testdata")).filter(|path| path.is_dir())
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
