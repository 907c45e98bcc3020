//! Between a log and its followers: TLS 1.3, both sides with a certificate of the authority the other trusts.

use std::{
    io,
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, anyhow};
use ledger::quorum::{Channel, Connect, Quorum};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    crypto::{CryptoProvider, aws_lc_rs},
    server::WebPkiClientVerifier,
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};

use crate::config::QuorumConfig;

/// After so long without a word the other side is gone; a leader says something every few seconds.
const SILENCE: Duration = Duration::from_secs(30);

/// What one side shows and whom it trusts.
pub(crate) struct Papers<'a> {
    /// Its certificate chain, in PEM.
    pub(crate) cert_chain: &'a Path,
    /// The key of that, in PEM.
    pub(crate) key: &'a Path,
    /// The authorities of the other side, in PEM.
    pub(crate) ca_file: &'a Path,
}

/// Returns the storage to open the log in `dir` with, which brings the followers up to it from then on.
///
/// # Errors
///
/// If a certificate cannot be read.
pub(crate) fn begin(dir: &Path, origin: &str, config: &QuorumConfig) -> anyhow::Result<Quorum> {
    let QuorumConfig { followers, cert_chain, key, ca_file, .. } = config;
    let tls = Arc::new(Papers { cert_chain, key, ca_file }.client()?);
    let patience = config.patience();
    let connect = |address: &String| -> anyhow::Result<Arc<dyn Connect>> {
        let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host).with_context(|| format!("`{address}` names no host"))?;
        Ok(Arc::new(Remote { address: address.clone(), name, tls: Arc::clone(&tls), patience }))
    };
    let followers = followers.iter().map(connect).collect::<anyhow::Result<_>>()?;
    Ok(Quorum::new(dir, origin, followers, patience))
}

/// One follower, over the network.
#[derive(Clone)]
struct Remote {
    address: String,
    name: ServerName<'static>,
    tls: Arc<ClientConfig>,
    patience: Duration,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.address)
    }
}

impl Connect for Remote {
    fn connect(&self) -> io::Result<Box<dyn Channel>> {
        let stream = reach(self.address.to_socket_addrs()?, self.patience)?;
        prepare(&stream)?;
        let tls = ClientConnection::new(Arc::clone(&self.tls), self.name.clone()).map_err(io::Error::other)?;
        Ok(Box::new(StreamOwned::new(tls, stream)))
    }
}

/// Connects to the first of a name's addresses that answers.
fn reach(addresses: impl Iterator<Item = SocketAddr>, patience: Duration) -> io::Result<TcpStream> {
    let mut refused = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, patience) {
            Err(error) => refused = error,
            connected => return connected,
        }
    }
    Err(refused)
}

/// Returns the channel to a leader that connected, before it has shown who it is: the first read tells.
///
/// # Errors
///
/// The operating system's answer.
pub(crate) fn accept(stream: TcpStream, tls: &Arc<ServerConfig>) -> io::Result<impl Channel + use<>> {
    prepare(&stream)?;
    let tls = ServerConnection::new(Arc::clone(tls)).map_err(io::Error::other)?;
    Ok(StreamOwned::new(tls, stream))
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))
}

impl Papers<'_> {
    /// Returns how a leader speaks to followers.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or holds something else.
    pub(crate) fn client(&self) -> anyhow::Result<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
        let builder = builder.with_root_certificates(self.authorities()?);
        Ok(builder.with_client_auth_cert(self.chain()?, self.private()?)?)
    }

    /// Returns how a follower speaks to leaders.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or holds something else.
    pub(crate) fn server(&self) -> anyhow::Result<ServerConfig> {
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(self.authorities()?), provider()).build()?;
        let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
        Ok(builder.with_client_cert_verifier(verifier).with_single_cert(self.chain()?, self.private()?)?)
    }

    fn authorities(&self) -> anyhow::Result<RootCertStore> {
        let mut store = RootCertStore::empty();
        for certificate in certificates(self.ca_file)? {
            store.add(certificate).with_context(|| format!("`{}` holds no authority", self.ca_file.display()))?;
        }
        Ok(store)
    }

    fn chain(&self) -> anyhow::Result<Vec<CertificateDer<'static>>> {
        certificates(self.cert_chain)
    }

    fn private(&self) -> anyhow::Result<PrivateKeyDer<'static>> {
        PrivateKeyDer::from_pem_file(self.key)
            .with_context(|| format!("cannot read a key from `{}`", self.key.display()))
    }
}

fn certificates(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let read = read.with_context(|| format!("cannot read certificates from `{}`", file.display()))?;
    if read.is_empty() {
        return Err(anyhow!("`{}` holds no certificate", file.display()));
    }
    Ok(read)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

#[cfg(test)]
mod tests {
    use std::{fs, net::TcpListener, path::PathBuf};

    use ledger::{Draft, Ledger, quorum::Follower};
    use proof::entry::{Entry, Kind};
    use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
    use terms::SystemClock;

    use super::*;
    use crate::config::LedgerConfig;

    const ORIGIN: &str = "log.larkspur.example/exeat/1";

    /// An authority and what it certified, in files.
    struct Authority {
        dir: tempfile::TempDir,
        issuer: Issuer<'static, KeyPair>,
    }

    impl Authority {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            fs::write(dir.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
            Self { dir, issuer: Issuer::new(params, key) }
        }

        fn certify(&self, name: &str) {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
            let certificate = params.signed_by(&key, &self.issuer).unwrap();
            fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
            fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }
    }

    /// Follows at a free port, and returns where.
    fn follow(authority: &Authority, dir: &Path) -> String {
        authority.certify("follower");
        let (chain, key, ca) =
            (authority.path("follower.pem"), authority.path("follower.key"), authority.path("ca.pem"));
        let tls = Arc::new(Papers { cert_chain: &chain, key: &key, ca_file: &ca }.server().unwrap());
        let follower = Follower::open(dir, ORIGIN).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let _ended = accept(stream.unwrap(), &tls).and_then(|mut channel| follower.serve(&mut channel));
            }
        });
        format!("localhost:{port}")
    }

    /// Opens a log whose one follower is at `address`, with papers of `leaders` and trust in `followers`.
    fn open(dir: &Path, address: &str, leaders: &Authority, followers: &Authority) -> anyhow::Result<Ledger> {
        leaders.certify("leader");
        let config = QuorumConfig {
            followers: vec![address.to_owned()],
            cert_chain: leaders.path("leader.pem"),
            key: leaders.path("leader.key"),
            ca_file: followers.path("ca.pem"),
            patience_ms: 2_000,
        };
        let options = LedgerConfig { origin: ORIGIN.to_owned(), segment_mib: 1, ..LedgerConfig::default() }.options();
        let storage = Arc::new(begin(dir, ORIGIN, &config)?);
        Ok(Ledger::open_on(storage, dir, options, Arc::new(SystemClock::default()))?.0)
    }

    #[test]
    fn a_follower_is_reached_at_whichever_of_its_addresses_answers() {
        let bind = || TcpListener::bind("127.0.0.1:0").unwrap();
        let silent = bind().local_addr().unwrap();
        let listener = bind();
        let there = listener.local_addr().unwrap();
        let reach = |addresses: &[SocketAddr]| reach(addresses.iter().copied(), Duration::from_secs(2));
        assert_eq!(reach(&[silent, there]).unwrap().peer_addr().unwrap(), there);
        assert!(reach(&[silent]).is_err());
        assert!(reach(&[]).is_err());
    }

    #[test]
    fn an_entry_is_at_the_follower_when_somebody_is_told_of_it() {
        let (home, copy, authority) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), Authority::new());
        let address = follow(&authority, copy.path());
        let ledger = open(home.path(), &address, &authority, &authority).unwrap();
        let _recorded = ledger.append(Draft::new(Entry::new(Kind::Admin), "noted")).unwrap().wait().unwrap();
        let name = "wal/00000000000000000000.seg";
        assert_eq!(fs::read(copy.path().join(name)).unwrap(), fs::read(home.path().join(name)).unwrap());
        ledger.stop().unwrap();
    }

    #[test]
    fn who_is_not_certified_by_whom_the_other_trusts_neither_leads_nor_follows() {
        let (ours, theirs) = (Authority::new(), Authority::new());
        for (leaders, followers) in [(&theirs, &ours), (&ours, &theirs)] {
            let (home, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let address = follow(&ours, copy.path());
            let refused = open(home.path(), &address, leaders, followers).unwrap_err().to_string();
            assert!(refused.contains("too few followers"), "{refused}");
            assert_eq!(fs::read_dir(copy.path().join("wal")).unwrap().count(), 1, "nothing but the lock");
        }
    }
}
