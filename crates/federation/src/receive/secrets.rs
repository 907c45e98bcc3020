//! Secrets that other parties issued to this server: one file each, in one directory, named in settings and never shown.

use std::{fs, path::PathBuf};

use terms::IssuerId;
use zeroize::Zeroizing;

/// The longest secret, in bytes: an access token may be a long one.
const LONGEST: usize = 16 * 1024;

/// A secret cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("secret `{name}`: {why}")]
pub(crate) struct SecretFault {
    name: String,
    why: String,
}

/// The directory of secrets. A file is read each time it is used, so that whoever renews it needs to tell nobody.
#[derive(Clone, Debug)]
pub(crate) struct Secrets(PathBuf);

impl Secrets {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self(dir)
    }

    /// Returns the text of a secret, without the line end after it.
    ///
    /// # Errors
    ///
    /// [`SecretFault`] if the name is not 1 to 64 of `a-z A-Z 0-9 . _ -`, or the file is absent, empty, too long or not a
    /// line of visible ASCII.
    pub(crate) fn read(&self, name: &str) -> Result<Zeroizing<String>, SecretFault> {
        let fault = |why: String| SecretFault { name: name.chars().take(64).collect(), why };
        // The grammar of ids has no slash and no dot at the front, so a name cannot leave the directory.
        let id = IssuerId::parse(name).map_err(|_| fault("is not a name".to_owned()))?;
        let text = fs::read_to_string(self.0.join(id.as_str())).map(Zeroizing::new);
        let text = text.map_err(|error| fault(error.to_string()))?;
        let line = text.trim_end_matches(['\r', '\n']);
        if line.is_empty() || line.len() > LONGEST || !line.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
            return Err(fault("must be one line of visible ASCII, at most 16 KiB".to_owned()));
        }
        Ok(Zeroizing::new(line.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_one_line_of_a_file_in_the_directory_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("acme"), "Bearer abc.def\n").unwrap();
        fs::write(dir.path().join("two"), "a\nb\n").unwrap();
        fs::write(dir.path().join("empty"), "\n").unwrap();
        let secrets = Secrets::new(dir.path().join("."));
        assert_eq!(secrets.read("acme").unwrap().as_str(), "Bearer abc.def");
        for name in ["two", "empty", "absent", "../acme", "/etc/hostname", "", "."] {
            assert!(secrets.read(name).is_err(), "{name}");
        }
    }
}
