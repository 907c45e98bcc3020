//! A gateway with one person, whom an issuer knows, and that issuer's keys over HTTP.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use gateway::{EndpointSettings, Gateway, IssuerSettings, Parts, Settings, Unmonitored, UpstreamSettings};
use identity::{Change, Confirmation, Directory, Holder, KeyRecord, KeyText, Pepper};
use jose::{Alg, Jwk, SigningKey};
use ledger::{Ledger, Options};
use policy::{CountryGroups, Snapshot, SnapshotDocument};
use serde_json::json;
use terms::{
    Account, AccountState, Channel, ChannelKind, Clearance, Clock, Control, ModelVersion, Moment, Person, Screening,
    SystemClock,
};

/// The `iss` of tokens.
pub(crate) const ISSUER: &str = "https://idp.example";
/// Where the gateway is reached, as far as tokens and proofs know.
pub(crate) const ORIGIN: &str = "https://gateway.example.com";

/// A gateway, and an issuer that it trusts.
pub(crate) struct World {
    gateway: Gateway,
    directory: Arc<Directory>,
    clock: Arc<SystemClock>,
    pepper: Pepper,
    keys: [SigningKey; 2],
    /// An API key that is bound to nothing.
    pub(crate) key: String,
    _folder: tempfile::TempDir,
}

impl World {
    /// Starts both.
    ///
    /// # Errors
    ///
    /// What cannot be started.
    pub(crate) fn start() -> Result<Self> {
        let keys = [SigningKey::generate(Alg::Es256)?, SigningKey::generate(Alg::Rs256)?];
        let jwks = publish(keys.each_ref().map(SigningKey::public))?;
        let (folder, clock, directory) = (tempfile::tempdir()?, Arc::new(SystemClock::default()), Arc::default());
        let options = Options {
            origin: "log.example.com/bench".to_owned(),
            segment_bytes: 1 << 20,
            queue_entries: 1_000,
            checkpoint_every: Duration::from_secs(1),
            heads_every: Duration::from_secs(3_600),
        };
        let (ledger, _) = Ledger::open(folder.path(), options, Arc::clone(&clock) as Arc<dyn Clock>)?;
        let pepper = Pepper::new([7; 32]);
        let loopback = fetch::AddressRule::allowing(["127.0.0.1"])?;
        let gateway = Gateway::start(Parts {
            settings: settings(jwks)?.check().map_err(|faults| anyhow!("{faults:?}"))?,
            directory: Arc::clone(&directory),
            snapshot: Arc::new(snapshot()?),
            ledger,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            pepper: pepper.clone(),
            monitor: Arc::new(Unmonitored),
            client: fetch::Client::new(fetch::Settings::new(fetch::Roots::native()?, loopback)),
            own_tokens: None,
            ticket_key: None,
            aside: None,
        })?;
        directory.apply(Change::Channel(Arc::new(channel(clock.now())?)));
        directory.apply(Change::Person(Arc::new(ada()?)));
        let mut world = Self { gateway, directory, clock, pepper, keys, key: String::new(), _folder: folder };
        world.key = world.mint(None)?;
        Ok(world)
    }

    /// Returns where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.gateway.addresses().first().copied().unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into())
    }

    /// Returns the time.
    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Returns the issuer's key for an algorithm.
    pub(crate) fn signing(&self, alg: Alg) -> &SigningKey {
        let [es256, rs256] = &self.keys;
        if alg == Alg::Rs256 { rs256 } else { es256 }
    }

    /// Makes an API key that is bound to `holder`.
    ///
    /// # Errors
    ///
    /// There is no randomness.
    pub(crate) fn bound_key(&self, holder: &SigningKey) -> Result<String> {
        self.mint(Some(Confirmation::Jwk(holder.public().thumbprint())))
    }

    fn mint(&self, confirmation: Option<Confirmation>) -> Result<String> {
        let key = KeyText::mint()?;
        self.directory.apply(Change::Key(Arc::new(KeyRecord {
            id: key.id(),
            holder: Holder::Person { person: "ada".parse()? },
            organization: None,
            digest: self.pepper.digest(&key),
            created_at: self.now(),
            expires_at: self.now().plus(Duration::from_secs(86_400)),
            revoked_at: None,
            end_use: None,
            confirmation,
        })));
        Ok(key.reveal().to_owned())
    }
}

fn settings(jwks: SocketAddr) -> Result<Settings> {
    let issuer = json!({ "channel": "idp", "issuer": ISSUER, "jwks_uri": format!("http://{jwks}/keys") });
    let issuer: IssuerSettings = serde_json::from_value(issuer)?;
    let mut settings = Settings {
        listen: vec![(Ipv4Addr::LOCALHOST, 0).into()],
        workers: 1,
        external_origin: Some(ORIGIN.to_owned()),
        issuers: vec![issuer],
        upstreams: vec![UpstreamSettings::new("ember-2".parse()?, vec![EndpointSettings::new("http://127.0.0.1:9")])],
        ..Settings::default()
    };
    // All proofs are made before the first request is measured.
    settings.tokens.dpop_seconds = 300;
    Ok(settings)
}

fn snapshot() -> Result<Snapshot> {
    let document = SnapshotDocument {
        version: 1,
        epoch: 1,
        lab: None,
        country_groups: CountryGroups::bundled(),
        regimes: Vec::new(),
        models: vec![ModelVersion {
            id: "ember-2".parse()?,
            family: "ember-2".parse()?,
            control: Control::Published,
            clearance: Clearance::Open,
            certificate_required: false,
            derived_from: None,
        }],
        aliases: Vec::new(),
        directives: Vec::new(),
        licenses: Vec::new(),
    };
    Snapshot::compile(document).map_err(|faults| anyhow!("{faults:?}"))
}

fn channel(now: Moment) -> Result<Channel> {
    Ok(Channel {
        id: "idp".parse()?,
        kind: ChannelKind::Oidc,
        organization: None,
        issuer: Some(ISSUER.to_owned()),
        heard_at: now,
        interval_s: 0,
        grace_s: 0,
        enabled: true,
    })
}

fn ada() -> Result<Person> {
    let account = Account {
        channel: "idp".parse()?,
        subject: "ada@idp".parse()?,
        organization: None,
        state: AccountState::Active,
        sessions_end: None,
    };
    Ok(Person {
        id: "ada".parse()?,
        display_name: "Ada".to_owned(),
        screening: Screening::Cleared,
        active: true,
        attestations: Vec::new(),
        affiliations: Vec::new(),
        accounts: vec![account],
    })
}

/// Answers every request with these keys, for as long as the process runs.
fn publish(keys: [&Jwk; 2]) -> Result<SocketAddr> {
    let body = json!({ "keys": keys.map(Jwk::to_value) }).to_string();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr().context("the issuer has no address")?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Whoever asked and went away asks again.
            let _ = answer(stream, &body);
        }
    });
    Ok(address)
}

fn answer(stream: TcpStream, body: &str) -> Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    reader.get_mut().write_all(format!("{head}{body}").as_bytes())?;
    Ok(())
}
