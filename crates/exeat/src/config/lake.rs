//! `[lake]`: where the record is archived.

use std::time::Duration;

use serde::Deserialize;

/// Where the record is archived, and what is asked of that place.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct LakeConfig {
    /// `file:///...`, `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.
    pub(crate) url: String,
    /// Between two looks whether another file can be made, in seconds; 60 unless set.
    #[serde(default = "interval_seconds")]
    pub(crate) interval_seconds: u64,
    /// Whether objects are kept from everybody until their retention ends.
    #[serde(default)]
    pub(crate) object_lock: ObjectLock,
    /// Whether each checkpoint is swapped into the store before it is signed, so that no copy of the log goes on.
    #[serde(default)]
    pub(crate) guard_checkpoints: bool,
}

/// Whether objects are kept from everybody until their retention ends.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ObjectLock {
    /// They are not.
    #[default]
    Off,
    /// They are, and the server does not start unless a canary shows that the store holds what it is told to hold.
    Required,
}

const fn interval_seconds() -> u64 {
    60
}

impl LakeConfig {
    /// Returns how often to look.
    pub(crate) fn interval(&self) -> Duration {
        Duration::from_secs(self.interval_seconds)
    }

    /// Returns every key that cannot be, and why.
    pub(crate) fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let bucket = ["s3://", "gs://", "az://"].iter().any(|scheme| self.url.starts_with(scheme));
        if !bucket && !self.url.starts_with("file:///") {
            let why = "is no store: write `file:///folder`, `s3://bucket/prefix`, `gs://...` or `az://...`";
            faults.push(("lake.url".to_owned(), format!("`{}` {why}", self.url)));
        }
        if self.object_lock == ObjectLock::Required && !self.url.starts_with("s3://") {
            let why = "only `s3://` can hold objects: leave it out, or use such a bucket";
            faults.push(("lake.object_lock".to_owned(), why.to_owned()));
        }
        if self.guard_checkpoints && !bucket {
            let why = "a folder cannot swap objects: leave it out, or use a bucket";
            faults.push(("lake.guard_checkpoints".to_owned(), why.to_owned()));
        }
        if !(1..=86_400).contains(&self.interval_seconds) {
            faults.push(("lake.interval_seconds".to_owned(), "is 1 to 86400".to_owned()));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let lake: LakeConfig = toml::from_str(text).unwrap();
        lake.faults().into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn a_store_is_asked_only_for_what_it_can_do() {
        assert!(faults("url = \"s3://b/p\"\nobject_lock = \"required\"\nguard_checkpoints = true").is_empty());
        assert!(faults("url = \"file:///var/lake\"").is_empty());
        let folder = "url = \"file:///var/lake\"\nobject_lock = \"required\"\nguard_checkpoints = true";
        assert_eq!(faults(folder), ["lake.object_lock", "lake.guard_checkpoints"]);
        assert_eq!(faults("url = \"ftp://x\"\ninterval_seconds = 0"), ["lake.url", "lake.interval_seconds"]);
    }
}
