//! `exeat witness serve` and `exeat mirror serve`: a witness or a mirror of other people's logs, until a signal ends it.

use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail};
use axum::Router;
use gateway::TlsSettings;
use ledger::storage::Disk;
use proof::{cosignature::CosignerSecret, policy_file::Policy};
use serde::Deserialize;
use terms::SystemClock;
use tokio::{net::TcpListener, runtime::Builder, sync::watch};
use witness::{Mirror, Witness, mirror_router, router};
use zeroize::Zeroizing;

use super::{
    Signals,
    identity::acceptor,
    listener::{self, Serving},
};
use crate::{
    commands::Exit,
    config::{self, LogConfig, Problem, Problems},
    logging, output, secrets,
};

/// What is served.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// Cosigns checkpoints.
    Witness,
    /// Holds logs.
    Mirror,
}

/// The configuration file of a witness or a mirror, as an operator types it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The file of its secret keys, which `exeat witness key` writes.
    key_file: PathBuf,
    /// The logs it knows: a C2SP tlog-policy file.
    logs: PathBuf,
    /// For a mirror: the origins of logs of other software, whose entries are held and not looked into.
    #[serde(default)]
    unchecked: BTreeSet<String>,
    /// Where it keeps what it has seen.
    data_dir: PathBuf,
    /// Where it listens; `127.0.0.1:8090` unless set.
    #[serde(default = "loopback")]
    listen: SocketAddr,
    /// The certificate it serves with; plaintext without.
    #[serde(default)]
    tls: Option<TlsSettings>,
    /// Allows plaintext on another than a loopback address, for a proxy that ends TLS.
    #[serde(default)]
    allow_plaintext: bool,
    /// How many connections one address may have, of 1024 in all; 64 unless set.
    #[serde(default = "sixty_four")]
    connections_per_address: usize,
    /// What is written to standard error.
    #[serde(default)]
    log: LogConfig,
}

fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 8090))
}

fn sixty_four() -> usize {
    64
}

/// Serves what the file at `path` says until a signal ends it.
///
/// # Errors
///
/// Why it cannot start; nothing is served then.
pub(crate) fn run(role: Role, path: &Path) -> anyhow::Result<Exit> {
    let file = load(path)?;
    logging::start(&file.log);
    let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("witness").enable_all().build();
    let runtime = runtime.context("cannot start the threads of the listener")?;
    let mut signals = Signals::new(&runtime)?;
    let router = open(role, &file)?;
    let tls = file.tls.as_ref().map(acceptor).transpose()?;
    let listener = runtime.block_on(TcpListener::bind(file.listen));
    let listener =
        listener.with_context(|| format!("cannot listen on {}: stop what uses it, or change `listen`", file.listen))?;
    let address = listener.local_addr().context("the listener has no address")?;
    let (stop, stopped) = watch::channel(false);
    let serving = Serving { tls, router, per_address: file.connections_per_address, stop: stopped };
    let accepting = runtime.spawn(listener::accept(listener, serving));
    tracing::info!(%address, ?role, "serving logs");
    runtime.block_on(signals.end());
    stop.send_replace(true);
    // What was answered is durable; who waits for an answer asks again.
    let _ended = runtime.block_on(accepting);
    Ok(Exit::Done)
}

/// Opens the witness or the mirror and says under which keys it cosigns.
fn open(role: Role, file: &File) -> anyhow::Result<Router> {
    secrets::private_dir(&file.data_dir)?;
    let signers = read_keys(&file.key_file)?;
    let policy = fs::read(&file.logs).with_context(|| format!("cannot read `{}`", file.logs.display()))?;
    let policy = Policy::parse(&policy).with_context(|| format!("`{}` names no logs", file.logs.display()))?;
    if let Some(unknown) =
        file.unchecked.iter().find(|origin| policy.logs().iter().all(|log| log.key.origin() != *origin))
    {
        bail!("`unchecked` names `{unknown}`, which is none of the logs in `{}`", file.logs.display());
    }
    for log in policy.logs() {
        tracing::info!(origin = log.key.origin(), "knows the log");
    }
    let (storage, clock) = (Arc::new(Disk), Arc::new(SystemClock::default()));
    let (keys, router) = match role {
        Role::Witness => {
            let witness = Witness::open(storage, &file.data_dir, policy, signers)?;
            (witness.keys(), router(Arc::new(witness), clock))
        }
        Role::Mirror => {
            let mirror = Mirror::open(storage, &file.data_dir, policy, signers, &file.unchecked)?;
            (mirror.keys(), mirror_router(Arc::new(mirror), clock))
        }
    };
    keys.iter().for_each(|key| output::note(&format!("cosigns under {key}")));
    Ok(router)
}

/// Reads the secret keys in a file, one a line.
fn read_keys(path: &Path) -> anyhow::Result<Vec<CosignerSecret>> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`: make it with `exeat witness key`", path.display()))?;
    let text = Zeroizing::new(text);
    let keys = text.lines().map(CosignerSecret::parse).collect::<Result<Vec<_>, _>>();
    let keys = keys.with_context(|| format!("`{}` does not hold secret keys of a cosigner", path.display()))?;
    if keys.is_empty() {
        bail!("`{}` holds no key: make one with `exeat witness key`", path.display());
    }
    Ok(keys)
}

fn load(path: &Path) -> anyhow::Result<File> {
    let mut file: File = config::read(path)?;
    let base = path.parent().unwrap_or_else(|| Path::new("."));
    for path in [&mut file.key_file, &mut file.logs, &mut file.data_dir] {
        *path = base.join(&*path);
    }
    if let Some(tls) = &mut file.tls {
        tls.cert_chain = base.join(&tls.cert_chain);
        tls.key = base.join(&tls.key);
    }
    if file.tls.is_none() && !file.listen.ip().is_loopback() && !file.allow_plaintext {
        let why = "serves plaintext on another than a loopback address: set `tls`, or `allow_plaintext` behind a proxy";
        return Err(Problems::from(Problem::of_file(path, why.to_owned())).into());
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use proof::{cosignature::Algorithm, note::SignerKey};

    use super::*;
    use crate::serve::new_key;

    /// A folder with the example's files, and the configuration in `text`.
    fn folder(text: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let keys = [Algorithm::Ed25519, Algorithm::MlDsa44].map(|kind| new_key("w.example", kind).unwrap());
        let keys = keys.map(|key| key.to_secret_text()).join("\n") + "\n";
        fs::write(dir.path().join("witness.key"), keys).unwrap();
        let log = SignerKey::from_seed("log.example.com/exeat/1", &[1; 32]).unwrap().verifier();
        fs::write(dir.path().join("logs"), format!("log {log}\nquorum none\n")).unwrap();
        fs::write(dir.path().join("witness.toml"), text).unwrap();
        dir
    }

    #[test]
    fn the_example_is_a_configuration_of_either_role() {
        for role in [Role::Witness, Role::Mirror] {
            let dir = folder(include_str!("../../../../witness.example.toml"));
            let file = load(&dir.path().join("witness.toml")).unwrap();
            assert!(file.data_dir.starts_with(dir.path()));
            let _router = open(role, &file).unwrap();
        }
    }

    #[test]
    fn plaintext_is_served_on_loopback_addresses_only_unless_it_is_allowed() {
        let text = "key_file = \"witness.key\"\nlogs = \"logs\"\ndata_dir = \"d\"\nlisten = \"0.0.0.0:1\"\n";
        let dir = folder(text);
        let path = dir.path().join("witness.toml");
        assert!(load(&path).unwrap_err().to_string().contains("plaintext"));
        fs::write(&path, format!("{text}allow_plaintext = true\n")).unwrap();
        assert!(load(&path).is_ok());
        fs::write(&path, format!("{text}key = 1\n")).unwrap();
        assert!(load(&path).unwrap_err().to_string().contains("witness.toml:5"));
    }

    #[test]
    fn a_file_without_keys_is_refused_with_what_to_do() {
        let dir = folder("");
        let path = dir.path().join("witness.key");
        for text in ["", "PRIVATE+KEY+x\n"] {
            fs::write(&path, text).unwrap();
            assert!(read_keys(&path).is_err());
        }
        assert!(read_keys(&dir.path().join("none")).unwrap_err().to_string().contains("exeat witness key"));
    }
}
