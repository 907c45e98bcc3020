//! `[[meters]]` and `[[counters]]`: who counts beside the gateway, and is asked every hour what it counted.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use fetch::{AddressRule, Client, Roots, Url};
use meter::{ANSWER_BYTES_MAX, CounterSource, Peer};
use proof::note::VerifierKey;
use serde::Deserialize;
use terms::ModelVersionId;

/// A meter reads an hour of its log to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(300);

/// A meter in front of model servers.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct MeterConfig {
    /// Its URL, without a path.
    pub(crate) url: String,
    /// The verifier key of its log, whose name is the origin of that log: the content of `ledger/log/log.vkey` there.
    pub(crate) vkey: String,
    /// The file of the secret that it shows its sums for.
    pub(crate) secret_file: PathBuf,
    /// The certificate authorities to trust, in place of the operating system's.
    #[serde(default)]
    pub(crate) ca_file: Option<PathBuf>,
}

impl MeterConfig {
    /// Returns what is wrong that can be seen before anything is started, as key and reason.
    pub(crate) fn check(&self) -> Option<(&'static str, String)> {
        if let Err(error) = Url::parse(&self.url) {
            return Some(("url", error.to_string()));
        }
        if self.vkey.trim().parse::<VerifierKey>().is_err() {
            return Some((
                "vkey",
                "is no verifier key: copy `ledger/log/log.vkey` of the meter's data folder".to_owned(),
            ));
        }
        None
    }

    /// Returns the way to ask it.
    ///
    /// # Errors
    ///
    /// If its secret or its authorities cannot be read.
    pub(crate) fn peer(&self) -> anyhow::Result<Peer> {
        peer(&self.url, self.vkey.trim(), &self.secret_file, self.ca_file.as_deref())
    }
}

/// The counters of a model server that no meter is in front of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct CountersConfig {
    /// Where it shows them: `http://host:port/metrics`.
    pub(crate) url: String,
    /// The model version that it serves, and no other.
    pub(crate) model: ModelVersionId,
    /// The certificate authorities to trust, in place of the operating system's.
    #[serde(default)]
    pub(crate) ca_file: Option<PathBuf>,
}

impl CountersConfig {
    /// Returns what is wrong that can be seen before anything is started, as key and reason.
    pub(crate) fn check(&self) -> Option<(&'static str, String)> {
        Url::parse(&self.url).err().map(|error| ("url", error.to_string()))
    }

    /// Returns where to read them.
    ///
    /// # Errors
    ///
    /// If its authorities cannot be read.
    pub(crate) fn source(&self) -> anyhow::Result<CounterSource> {
        let url = Url::parse(&self.url).with_context(|| format!("`{}` is not a URL", self.url))?;
        let client = client_for(&url, self.ca_file.as_deref())?;
        Ok(CounterSource { url, model: self.model.clone(), client })
    }
}

/// Returns the way to ask the meter at `url`.
///
/// # Errors
///
/// If something of it is malformed, or a file cannot be read.
pub(crate) fn peer(url: &str, vkey: &str, secret: &Path, ca_file: Option<&Path>) -> anyhow::Result<Peer> {
    let parsed = Url::parse(url).with_context(|| format!("`{url}` is not the URL of a meter"))?;
    let client = client_for(&parsed, ca_file)?;
    let key = vkey.parse().with_context(|| format!("the verifier key of the meter at `{url}` is malformed"))?;
    Ok(Peer::new(url, key, meter::read_secret(secret)?, client))
}

/// Returns what asks the host of a URL and no other that is not public: one that an operator names may have any address.
fn client_for(parsed: &Url, ca_file: Option<&Path>) -> anyhow::Result<Client> {
    let authority = parsed.authority();
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.split(':').next().unwrap_or(authority),
    };
    let roots = match ca_file {
        Some(file) => Roots::of_file(file)?,
        None if parsed.is_tls() => Roots::native()?,
        None => Roots::nobody()?,
    };
    let settings = fetch::Settings::new(roots, AddressRule::allowing([host])?);
    Ok(Client::new(fetch::Settings { max_body: ANSWER_BYTES_MAX, answer_within: ANSWER_WITHIN, ..settings }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    fn meter(url: &str, vkey: &str) -> MeterConfig {
        let (url, vkey, secret_file) = (url.to_owned(), vkey.to_owned(), PathBuf::from("secret"));
        MeterConfig { url, vkey, secret_file, ca_file: None }
    }

    #[test]
    fn what_is_wrong_with_a_meter_is_told_by_its_key() {
        assert_eq!(meter("http://127.0.0.1:8090", VKEY).check(), None);
        assert_eq!(meter("127.0.0.1:8090", VKEY).check().unwrap().0, "url");
        assert_eq!(meter("https://meter.example.com", "").check().unwrap().0, "vkey");
        let counters = CountersConfig { url: "/metrics".to_owned(), model: "m".parse().unwrap(), ca_file: None };
        assert_eq!(counters.check().unwrap().0, "url");
    }

    #[test]
    fn a_meter_may_have_any_address_that_its_operator_names() {
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("secret");
        std::fs::write(&secret, "x".repeat(32)).unwrap();
        for url in ["http://127.0.0.1:8090", "http://[::1]:8090", "http://meter.internal:8090"] {
            assert!(peer(url, VKEY, &secret, None).is_ok(), "{url}");
        }
        std::fs::write(&secret, "short").unwrap();
        let short = peer("http://127.0.0.1:8090", VKEY, &secret, None).unwrap_err();
        assert!(short.to_string().contains("32 to 256"), "{short}");
    }
}
