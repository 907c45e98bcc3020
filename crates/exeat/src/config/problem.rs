//! What is wrong with a configuration, said so that it can be mended.

use std::{fmt, path::Path};

use super::place;

/// One thing to correct: where it stands and what to write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Problem {
    /// The file, or the environment variable.
    source: String,
    line: Option<usize>,
    key: Option<String>,
    why: String,
}

impl Problem {
    /// A problem of a whole file.
    pub(crate) fn of_file(path: &Path, why: impl Into<String>) -> Self {
        Self { source: path.display().to_string(), line: None, key: None, why: why.into() }
    }

    /// A problem of an environment variable.
    pub(crate) fn of_variable(name: &str, why: &str) -> Self {
        Self { source: name.to_owned(), line: None, key: None, why: one_line(why) }
    }

    /// A problem that the TOML reader found in `text`.
    pub(crate) fn of_toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map(|span| span.start);
        Self {
            source: path.display().to_string(),
            line: start.map(|start| place::line_at(text, start)),
            key: start.and_then(|start| place::key_at(text, start)),
            why: one_line(error.message()),
        }
    }

    /// A problem with the value of `key`, looked up in `text`.
    fn of_key(path: &Path, text: &str, key: &str, why: &str) -> Self {
        Self {
            source: path.display().to_string(),
            line: place::line_of(text, key),
            key: Some(key.to_owned()),
            why: why.to_owned(),
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}", self.why)
    }
}

/// Everything that is wrong with a configuration; one line each.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    /// Finds the line of every fault, given as key and reason.
    pub(crate) fn locate(path: &Path, text: &str, faults: Vec<(String, String)>) -> Self {
        let found = |(key, why): (String, String)| Problem::of_key(path, text, &key, &why);
        Self(faults.into_iter().map(found).collect())
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            let end = if n == 0 { "" } else { "\n" };
            write!(f, "{end}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
