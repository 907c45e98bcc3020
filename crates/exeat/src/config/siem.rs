//! `[[siem]]`: who is told of every entry as it is written.

use std::path::{Path, PathBuf};

use fetch::{Client, Roots, Url};
use serde::Deserialize;
use views::{Format, Limits, Sink, Stream};

/// One stream of events.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct SiemConfig {
    /// Its name: lower-case letters, digits and hyphens. The stream goes on where the one of this name stopped.
    pub(crate) name: String,
    /// `ocsf` unless set; `otel` or `jsonl`.
    #[serde(default)]
    pub(crate) format: Format,
    /// A webhook: an `https` URL of the public internet, or a host that `outbound.allow` lists.
    pub(crate) webhook: Option<String>,
    /// The environment variable with the webhook's secret, `whsec_...`.
    pub(crate) secret_env: Option<String>,
    /// A syslog collector: `tcp://HOST:PORT` or `tls://HOST:PORT`.
    pub(crate) syslog: Option<String>,
    /// The certificate authorities to trust for the collector, in place of the operating system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// Entries that are sent at a time.
    #[serde(default = "entries")]
    pub(crate) entries: u64,
}

fn entries() -> u64 {
    Limits::default().entries
}

impl SiemConfig {
    /// Says in words what is wrong, without looking at files or the environment.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(is_name) {
            faults.push("`name` must be 1 to 64 lower-case letters, digits and hyphens".to_owned());
        }
        if self.webhook.is_some() == self.syslog.is_some() {
            faults.push("write either `webhook` or `syslog`".to_owned());
        }
        if self.webhook.is_some() != self.secret_env.is_some() {
            faults.push("`webhook` and `secret_env` belong together".to_owned());
        }
        if !(1..=10_000).contains(&self.entries) {
            faults.push("`entries` must be from 1 to 10000".to_owned());
        }
        faults.extend(self.webhook.as_deref().and_then(|url| Url::parse(url).err()).map(|error| error.to_string()));
        faults
    }

    /// Makes the stream; `client` is what asks other servers.
    ///
    /// # Errors
    ///
    /// If the secret is missing or too short, there is nobody to trust, or the collector is none.
    pub(crate) fn stream(&self, client: &Client) -> anyhow::Result<Stream> {
        let sink = match (&self.webhook, &self.syslog) {
            (Some(url), _) => {
                let variable = self.secret_env.as_deref().unwrap_or_default();
                let secret = std::env::var(variable).map_err(|_| {
                    anyhow::anyhow!("`{variable}` is not set: it is the secret of `siem.{}`", self.name)
                })?;
                Sink::webhook(client.clone(), Url::parse(url)?, &secret)?
            }
            (None, address) => Sink::syslog(address.as_deref().unwrap_or_default(), self.roots()?)?,
        };
        let limits = Limits { entries: self.entries, ..Limits::default() };
        Ok(Stream { name: self.name.clone(), format: self.format, sink, limits })
    }

    fn roots(&self) -> anyhow::Result<Option<Roots>> {
        let is_tls = self.syslog.as_deref().is_some_and(|address| address.starts_with("tls://"));
        let of = |file: &PathBuf| Roots::of_file(Path::new(file));
        Ok(is_tls.then(|| self.ca_file.as_ref().map_or_else(Roots::native, of)).transpose()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> SiemConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_stream_goes_to_a_webhook_with_a_secret_or_to_syslog() {
        let good = [
            "name = 'soc'\nwebhook = 'https://soc.example/in'\nsecret_env = 'SOC'",
            "name = 'soc-2'\nsyslog = 'tls://soc.example:6514'\nformat = 'jsonl'\nentries = 10",
        ];
        for text in good {
            assert_eq!(read(text).faults(), Vec::<String>::new(), "{text}");
        }
        let bad = [
            ("name = 'SOC'\nsyslog = 'tcp://soc.example:514'", "`name` must be"),
            ("name = 'soc'", "either `webhook` or `syslog`"),
            ("name = 'soc'\nwebhook = 'https://soc.example/in'", "belong together"),
            ("name = 'soc'\nsyslog = 'tcp://soc.example:514'\nentries = 0", "`entries` must be"),
        ];
        for (text, why) in bad {
            assert!(read(text).faults().concat().contains(why), "{text}");
        }
    }

    #[test]
    fn a_collector_over_plain_tcp_needs_nobody_to_trust() {
        let client = Client::new(fetch::Settings::new(Roots::nobody().unwrap(), fetch::AddressRule::public()));
        let stream = read("name = 'soc'\nsyslog = 'tcp://127.0.0.1:514'").stream(&client).unwrap();
        assert_eq!((stream.format, stream.limits), (Format::Ocsf, Limits::default()));
        let missing = read("name = 'soc'\nwebhook = 'https://soc.example/in'\nsecret_env = 'EXEAT_NO_SUCH_SECRET'");
        assert!(missing.stream(&client).err().unwrap().to_string().contains("EXEAT_NO_SUCH_SECRET"));
    }
}
