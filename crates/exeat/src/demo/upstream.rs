//! What stands behind the gateway: two small model servers of ours, or one of the user's.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use gateway::EndpointSettings;
use terms::Dialect;

use super::{DemoOptions, EMBER, MYTHOS, install, install::Installed, process, process::Server, show::Show};
use crate::client;

const SERVE: &str = include_str!("serve.py");
/// Loading takes 2 s on a free core; a busy machine may be thirty times slower.
const LOADED_WITHIN: Duration = Duration::from_secs(60);

/// What stands behind the gateway.
#[derive(Debug)]
pub(super) enum Upstreams {
    /// Two servers of the same weights, one for each tier.
    Embedded(Vec<ModelServer>),
    /// The user's own.
    Own(EndpointSettings),
}

/// One model server of ours.
#[derive(Debug)]
pub(super) struct ModelServer {
    alias: &'static str,
    url: String,
    log: PathBuf,
    server: Server,
}

impl Upstreams {
    /// Installs and starts the embedded servers, unless the user brings one.
    ///
    /// # Errors
    ///
    /// What could not be installed or started, and what to do.
    pub(super) fn start(options: &DemoOptions, data: &Path, show: &Show) -> anyhow::Result<Self> {
        if let Some(url) = &options.upstream {
            return Ok(Self::Own(own(options, url)));
        }
        let installed = install::install(data, show)?;
        let started = show.step("starting two model servers", || start_both(&installed, data))?;
        Ok(Self::Embedded(started))
    }

    /// Returns where model version `id` is served.
    ///
    /// # Errors
    ///
    /// If no server of ours serves it.
    pub(super) fn endpoint(&self, id: &str) -> anyhow::Result<EndpointSettings> {
        match self {
            Self::Own(endpoint) => Ok(endpoint.clone()),
            Self::Embedded(servers) => {
                let server = servers.iter().find(|server| server.alias == id);
                let server = server.with_context(|| format!("no server serves `{id}`"))?;
                Ok(EndpointSettings {
                    dialects: vec![Dialect::Openai, Dialect::Anthropic],
                    ..EndpointSettings::new(server.url.clone())
                })
            }
        }
    }

    /// Returns true for the servers of ours.
    pub(super) fn is_embedded(&self) -> bool {
        matches!(self, Self::Embedded(_))
    }

    /// Returns true if calls in `dialect` can be served.
    pub(super) fn speaks(&self, dialect: Dialect) -> bool {
        match self {
            Self::Embedded(_) => true,
            Self::Own(endpoint) => endpoint.dialects.contains(&dialect),
        }
    }

    /// Returns the process ids of the servers of ours.
    pub(super) fn pids(&self) -> Vec<u32> {
        match self {
            Self::Embedded(servers) => servers.iter().map(|server| server.server.pid()).collect(),
            Self::Own(_) => Vec::new(),
        }
    }
}

fn own(options: &DemoOptions, url: &str) -> EndpointSettings {
    let named = options.upstream_dialects.iter().map(|name| match name.as_str() {
        "anthropic" => Dialect::Anthropic,
        _ => Dialect::Openai,
    });
    let mut dialects: Vec<Dialect> = named.collect();
    if dialects.is_empty() {
        dialects.push(Dialect::Openai);
    }
    EndpointSettings {
        dialects,
        upstream_model: options.upstream_model.clone(),
        api_key_env: options.upstream_key_env.clone(),
        ..EndpointSettings::new(url.trim_end_matches('/').trim_end_matches("/v1"))
    }
}

fn start_both(installed: &Installed, data: &Path) -> anyhow::Result<Vec<ModelServer>> {
    let script = data.join("serve.py");
    fs::write(&script, SERVE).with_context(|| format!("cannot write `{}`", script.display()))?;
    let ports = two_free_ports().context("cannot find two free ports on loopback")?;
    let each = [MYTHOS, EMBER].into_iter().zip(ports);
    let mut servers =
        each.map(|(alias, port)| start(installed, &script, data, alias, port)).collect::<anyhow::Result<Vec<_>>>()?;
    servers.iter_mut().try_for_each(ModelServer::wait_until_loaded)?;
    Ok(servers)
}

fn start(
    installed: &Installed,
    script: &Path,
    data: &Path,
    alias: &'static str,
    port: u16,
) -> anyhow::Result<ModelServer> {
    let log = data.join(format!("{alias}.log"));
    let mut command = Command::new(&installed.python);
    command.arg(script).arg(&installed.model).arg(port.to_string()).arg(alias);
    let server = Server::start(&mut command, &log)?;
    let url = format!("http://127.0.0.1:{port}");
    Ok(ModelServer { alias, url, log, server })
}

/// Both are held until both are known, so that they differ.
fn two_free_ports() -> std::io::Result<[u16; 2]> {
    let (one, two) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok([one.local_addr()?.port(), two.local_addr()?.port()])
}

impl ModelServer {
    fn wait_until_loaded(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + LOADED_WITHIN;
        while !self.is_healthy() {
            if self.server.has_ended() {
                bail!("the model server ended: {}; see `{}`", self.last_words(), self.log.display());
            }
            if Instant::now() > deadline {
                bail!("the model server did not load in {} s; see `{}`", LOADED_WITHIN.as_secs(), self.log.display());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn is_healthy(&self) -> bool {
        let asked = client::Server::at(&self.url);
        let answer = asked.and_then(|server| server.send(&client::Request::get("/health"), Duration::from_secs(2)));
        answer.is_ok_and(|answer| answer.status == 200)
    }

    fn last_words(&self) -> String {
        process::last_lines(&fs::read_to_string(&self.log).unwrap_or_default(), 3)
    }
}
