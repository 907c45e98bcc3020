//! The working tree as the checks see it: which paths exist, and the text of those that are read.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context, Result};

/// Folders that hold nothing of ours.
const SKIPPED: &[&str] = &["target", "node_modules", "__pycache__", "artifacts"];
/// Hidden folders that do hold something of ours.
const HIDDEN: &[&str] = &[".cargo", ".ci"];
/// Endings of the files whose text is checked.
const READ: &[&str] = &["cjs", "json", "md", "py", "rs", "toml", "txt"];

/// Paths and texts, relative to the root, with `/` between names.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    paths: BTreeSet<String>,
    texts: BTreeMap<String, String>,
}

impl Tree {
    /// Reads the working tree.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.add_folder(root, "")?;
        Ok(tree)
    }

    /// Makes a tree of given files, for tests.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            let mut parent = *path;
            while let Some((folder, _)) = parent.rsplit_once('/') {
                tree.paths.insert(folder.to_owned());
                parent = folder;
            }
            tree.paths.insert((*path).to_owned());
            tree.texts.insert((*path).to_owned(), (*text).to_owned());
        }
        tree
    }

    /// Returns true if a file or folder is there.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    /// Returns the text of one file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// Returns every file with this ending, in order of path.
    pub(crate) fn with_ending(&self, ending: &str) -> impl Iterator<Item = (&str, &str)> {
        self.texts
            .iter()
            .filter(move |(path, _)| path.rsplit_once('.').is_some_and(|(_, e)| e == ending))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    fn add_folder(&mut self, root: &Path, folder: &str) -> Result<()> {
        let at = root.join(folder);
        let entries = fs::read_dir(&at).with_context(|| format!("cannot list `{}`", at.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot list `{}`", at.display()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = join(folder, &name);
            let kind = entry.file_type().with_context(|| format!("cannot look at `{path}`"))?;
            if kind.is_dir() && !is_skipped(&name) {
                self.paths.insert(path.clone());
                self.add_folder(root, &path)?;
            } else if kind.is_file() {
                self.add_file(root, path)?;
            }
        }
        Ok(())
    }

    fn add_file(&mut self, root: &Path, path: String) -> Result<()> {
        let read = path.rsplit_once('.').is_some_and(|(_, ending)| READ.contains(&ending));
        if read {
            let text =
                fs::read_to_string(root.join(&path)).with_context(|| format!("cannot read `{path}` as UTF-8"))?;
            self.texts.insert(path.clone(), text);
        }
        self.paths.insert(path);
        Ok(())
    }
}

fn is_skipped(name: &str) -> bool {
    SKIPPED.contains(&name) || (name.starts_with('.') && !HIDDEN.contains(&name))
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_holds_our_files_and_not_what_was_built_or_installed() {
        let root = tempfile::tempdir().unwrap();
        for path in ["a/b.rs", "a/target/c.rs", ".git/config.toml", ".ci/run", "a/node_modules/d.json"] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "text").unwrap();
        }
        let tree = Tree::read(root.path()).unwrap();
        assert_eq!(tree.text("a/b.rs"), Some("text"));
        assert!(tree.has(".ci/run") && tree.has("a"));
        assert!(!tree.has("a/target/c.rs") && !tree.has(".git/config.toml"));
        assert_eq!(tree.with_ending("rs").count(), 1);
    }
}
