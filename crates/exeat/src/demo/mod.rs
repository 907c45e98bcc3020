//! `exeat demo`: a gateway before a small real model, two people with keys, and the whole story of one order.

mod chat;
mod desk;
mod drill;
mod install;
mod process;
mod proofs;
mod runs;
mod script;
mod show;
mod upstream;
mod world;

use std::{
    env,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Args;
use gateway::{EndpointSettings, Limits, Settings, UpstreamSettings};
use policy::Alias;
use serde_json::json;
use terms::{
    AliasName, Clearance, Control, Dialect, ModelFamily, ModelVersion, ModelVersionId, OrganizationId, Retention,
    SystemClock,
};

use crate::{
    commands::{Exit, admin::Admin},
    config::{
        ControlConfig, CosigningConfig, FederationConfig, LedgerConfig, LogConfig, LogFormat, Meant, OutboundConfig,
    },
    logging,
    output::{self, Format},
    secrets,
    serve::{Asked, Running, Signals},
};
use drill::Front;
use show::Show;
use upstream::Upstreams;
use world::World;

/// What the demo is asked for.
#[derive(Clone, Debug, Args)]
pub(crate) struct DemoOptions {
    /// Plays the whole story by itself in about a minute; ends with 0 only if every step held.
    #[arg(long, conflicts_with_all = ["headless"])]
    script: bool,
    /// Drills a directive day: traffic through a meter, a simulated order, cuts, reconciliation, a production, and its
    /// verification offline; ends with 0 only if every step held.
    #[arg(long, conflicts_with_all = ["headless", "script"])]
    drill: bool,
    /// Uses this OpenAI- or Anthropic-compatible server instead of installing a small model.
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// The name by which that server knows its model.
    #[arg(long, requires = "upstream", value_name = "NAME")]
    upstream_model: Option<String>,
    /// What that server speaks; may be repeated. The OpenAI dialect unless given.
    #[arg(long = "upstream-dialect", requires = "upstream", value_parser = ["openai", "anthropic"])]
    upstream_dialects: Vec<String>,
    /// The environment variable that holds that server's API key.
    #[arg(long, requires = "upstream", value_name = "NAME")]
    upstream_key_env: Option<String>,
    /// Where the model and the records go; `$XDG_DATA_HOME/exeat-demo` or `~/.local/share/exeat-demo` unless given.
    #[arg(long, value_name = "DIR", env = "EXEAT_DEMO_DATA")]
    data: Option<PathBuf>,
    /// Where clients call; 8080 unless given, or any free port if that is in use. 0 takes any free port.
    #[arg(long)]
    port: Option<u16>,
    /// Where the admin API is; 8081 unless given, or any free port if that is in use. 0 takes any free port.
    #[arg(long)]
    admin_port: Option<u16>,
    /// Port for identity providers and employers; 8082 if it is free, else any.
    #[arg(long)]
    identity_port: Option<u16>,
    /// Prints one JSON document with addresses, keys and process ids, then serves until a signal; for test harnesses.
    #[arg(long)]
    headless: bool,
    /// Writes that JSON document to this file (mode 0600), once everything answers.
    #[arg(long, value_name = "FILE", requires = "headless")]
    ready_file: Option<PathBuf>,
    /// Accepted for scripts that pass it; the demo asks nothing.
    #[arg(long)]
    yes: bool,
}

impl DemoOptions {
    /// Returns true if the demo plays by itself, with orders that two people approve.
    fn plays(&self) -> bool {
        self.script || self.drill
    }
}

/// The two model versions of the demo.
const MYTHOS: &str = "mythos-5";
const EMBER: &str = "ember-2";
const ALIAS: &str = "assistant";
const LAB: &str = "larkspur-labs";

/// Runs the demo.
///
/// # Errors
///
/// What could not be set up and what to do about it; for the script, the step that did not hold.
pub(crate) fn run(options: &DemoOptions, format: Format) -> anyhow::Result<Exit> {
    let headless = options.headless || (format == Format::Json && !options.plays());
    let show = Show::new(headless);
    logging::start(&LogConfig {
        format: LogFormat::Text,
        level: env::var("EXEAT_DEMO_LOG").unwrap_or_else(|_| "warn".to_owned()),
    });
    let data = data_dir(options)?;
    secrets::private_dir(&data)?;
    let upstreams = Upstreams::start(options, &data, &show)?;
    let run_dir = runs::begin(&data)?;
    let front = options.drill.then(|| Front::choose(options.upstream_model.as_deref())).transpose()?;
    let running = show.step("starting the gateway", || {
        let mut meant = meant(options, &upstreams, &run_dir)?;
        front.iter().for_each(|front| front.stand_before(&mut meant.settings.upstreams));
        Running::start(meant, Arc::new(SystemClock::default()))
    })?;
    let demo = show.step("adding an organization, two people and their evidence", || {
        Demo::new(&running, &upstreams, data, run_dir)
    })?;
    let told = if let Some(front) = &front {
        upstreams.endpoint(MYTHOS).and_then(|endpoint| drill::play(&demo, &running, &show, front, &endpoint.url))
    } else if options.script {
        script::play(&demo, &running, &show)
    } else if headless {
        tell_harness(options, &demo).and_then(|()| until_signal(&running))
    } else {
        show.newcomer(&demo).and_then(|()| until_signal(&running))
    };
    let stopped = show.step("stopping", || running.stop());
    drop(upstreams);
    let exit = told?;
    stopped.map(|()| exit)
}

/// A demo that runs: what a person or a harness needs to know of it.
pub(crate) struct Demo {
    base_url: String,
    admin_url: String,
    token_file: PathBuf,
    data: PathBuf,
    run_dir: PathBuf,
    world: World,
    admin: Admin,
    /// What both stand-ins understand beyond the two dialects: generate on past the end of an answer.
    ignores_eos: bool,
    speaks_anthropic: bool,
    pids: Vec<u32>,
}

impl Demo {
    fn new(running: &Running, upstreams: &Upstreams, data: PathBuf, run_dir: PathBuf) -> anyhow::Result<Self> {
        let admin_url = format!("http://{}", running.admin_address());
        let token_file = running.token_file().to_owned();
        let token = std::fs::read_to_string(&token_file).context("cannot read the admin token of this run")?;
        let admin = Admin::new(&admin_url, token.trim())?;
        let address = running.gateway.addresses().first().context("the gateway listens nowhere")?;
        Ok(Self {
            base_url: format!("http://{address}"),
            world: World::create(&admin)?,
            admin_url,
            token_file,
            data,
            run_dir,
            admin,
            ignores_eos: upstreams.is_embedded(),
            speaks_anthropic: upstreams.speaks(Dialect::Anthropic),
            pids: upstreams.pids(),
        })
    }

    fn ledger_dir(&self) -> PathBuf {
        self.run_dir.join(crate::serve::LEDGER_DIR)
    }
}

fn data_dir(options: &DemoOptions) -> anyhow::Result<PathBuf> {
    if let Some(dir) = &options.data {
        return std::path::absolute(dir).context("cannot tell where the data folder is");
    }
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || set("HOME").map(|home| home.join(".local/share"));
    let Some(share) = set("XDG_DATA_HOME").filter(|dir| dir.is_absolute()).or_else(home) else {
        bail!("neither HOME nor XDG_DATA_HOME is set: name a folder with --data");
    };
    Ok(share.join("exeat-demo"))
}

/// Makes the configuration of a run: the embedded defaults, nothing to be edited.
fn meant(options: &DemoOptions, upstreams: &Upstreams, run_dir: &Path) -> anyhow::Result<Meant> {
    let listen = fixed(address(options.port, 8080))?;
    let settings = Settings {
        listen: vec![listen],
        external_origin: Some(format!("http://{listen}")),
        limits: Limits { connections: 400, ..Limits::default() },
        upstreams: [MYTHOS, EMBER].iter().map(|id| upstream(id, upstreams)).collect::<Result<_, _>>()?,
        drain_seconds: 2,
        ..Settings::default()
    };
    Ok(Meant {
        timestamps: None,
        witnesses: Vec::new(),
        mirrors: Vec::new(),
        cosigning: CosigningConfig::default(),
        lake: None,
        retention: Retention::default(),
        siem: Vec::new(),
        outbound: OutboundConfig { allow: vec!["127.0.0.1".to_owned()], ca_file: None },
        meters: Vec::new(),
        counters: Vec::new(),
        federation: Some(federation(options)?),
        settings,
        control: ControlConfig { listen: address(options.admin_port, 8081), ..ControlConfig::default() },
        data_dir: run_dir.to_owned(),
        lab: Some(OrganizationId::parse(LAB)?),
        models: vec![
            model(MYTHOS, Control::Subject, Clearance::Attested)?,
            model(EMBER, Control::Published, Clearance::Open)?,
        ],
        aliases: vec![Alias {
            name: AliasName::parse(ALIAS)?,
            versions: vec![ModelVersionId::parse(MYTHOS)?, ModelVersionId::parse(EMBER)?],
        }],
        desk: desk::policy(options.plays()),
        proofs: desk::proofs(),
        ledger: LedgerConfig {
            origin: "exeat.demo/log".to_owned(),
            segment_mib: 8,
            checkpoint_ms: 250,
            ..LedgerConfig::default()
        },
        log: LogConfig::default(),
    })
}

/// Whoever vouches for people may, on this machine.
fn federation(options: &DemoOptions) -> anyhow::Result<FederationConfig> {
    let listen = fixed(address(options.identity_port, 8082))?;
    Ok(FederationConfig::on_loopback(listen))
}

fn model(id: &str, control: Control, clearance: Clearance) -> anyhow::Result<ModelVersion> {
    Ok(ModelVersion {
        id: ModelVersionId::parse(id)?,
        family: ModelFamily::parse(id)?,
        control,
        clearance,
        certificate_required: false,
        derived_from: None,
    })
}

fn upstream(id: &str, upstreams: &Upstreams) -> anyhow::Result<UpstreamSettings> {
    let endpoint: EndpointSettings = upstreams.endpoint(id)?;
    Ok(UpstreamSettings::new(ModelVersionId::parse(id)?, vec![endpoint]))
}

/// Returns an address with a port that is free now in place of any: clients are told it before it is bound.
fn fixed(address: SocketAddr) -> anyhow::Result<SocketAddr> {
    let free = || TcpListener::bind(address).and_then(|listener| listener.local_addr());
    if address.port() == 0 { free().context("no port is free") } else { Ok(address) }
}

/// Returns the port that was asked for, or the usual one if it is free, or any.
fn address(asked: Option<u16>, usual: u16) -> SocketAddr {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let is_free = || TcpListener::bind(at(usual)).is_ok();
    at(asked.unwrap_or_else(|| if is_free() { usual } else { 0 }))
}

fn tell_harness(options: &DemoOptions, demo: &Demo) -> anyhow::Result<()> {
    let token = std::fs::read_to_string(&demo.token_file).context("cannot read the admin token of this run")?;
    let told = json!({
        "base_url": demo.base_url, "admin_url": demo.admin_url,
        "admin_token": token.trim(), "admin_token_file": demo.token_file,
        "keys": { "ada": demo.world.ada.key, "minh": demo.world.minh.key, "shared": demo.world.shared.key },
        "models": [MYTHOS, EMBER], "alias": ALIAS,
        "data_dir": demo.data, "run_dir": demo.run_dir, "ledger_dir": demo.ledger_dir(),
        "pid": std::process::id(), "upstream_pids": demo.pids,
    });
    match &options.ready_file {
        Some(file) => secrets::write_private(file, told.to_string().as_bytes()),
        None => output::answer(Format::Json, &told).context("standard output is closed"),
    }
}

fn until_signal(running: &Running) -> anyhow::Result<Exit> {
    let mut signals = Signals::new(&running.runtime)?;
    while running.runtime.block_on(signals.next()) != Asked::End {}
    Ok(Exit::Done)
}

/// How long a model may take to say one thing on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
