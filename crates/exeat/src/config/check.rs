//! The configuration as meant: every reference resolved, every limit checked.

use std::{collections::BTreeSet, path::PathBuf};

use control::DeskPolicy;
use gateway::Settings;
use terms::{ModelVersion, OrganizationId, Retention};

use super::{
    Config, ControlConfig, CosigningConfig, CountersConfig, FederationConfig, LakeConfig, LedgerConfig, LogConfig,
    MeterConfig, OutboundConfig, PeerConfig, ProofsConfig, SiemConfig, TimestampsConfig,
};

/// A configuration without a fault that can be seen before anything is started.
#[derive(Clone, Debug)]
pub(crate) struct Meant {
    /// The data path, with the upstreams of all models; its own check has passed.
    pub(crate) settings: Settings,
    /// The admin listener.
    pub(crate) control: ControlConfig,
    /// Where everything is kept; absolute if the file's path was.
    pub(crate) data_dir: PathBuf,
    /// The lab's own organization.
    pub(crate) lab: Option<OrganizationId>,
    /// The model versions.
    pub(crate) models: Vec<ModelVersion>,
    /// Who counts beside the model servers.
    pub(crate) meters: Vec<MeterConfig>,
    /// Model servers that count for themselves.
    pub(crate) counters: Vec<CountersConfig>,
    /// The aliases.
    pub(crate) aliases: Vec<policy::Alias>,
    /// How many people must approve what the directive desk does.
    pub(crate) desk: DeskPolicy,
    /// What must be proved before a snapshot goes live.
    pub(crate) proofs: ProofsConfig,
    /// Whom this server may ask.
    pub(crate) outbound: OutboundConfig,
    /// Who vouches for people.
    pub(crate) federation: Option<FederationConfig>,
    /// How the log is kept.
    pub(crate) ledger: LedgerConfig,
    /// Who else says when a checkpoint was there.
    pub(crate) timestamps: Option<TimestampsConfig>,
    /// Who cosigns the checkpoints of the log.
    pub(crate) witnesses: Vec<PeerConfig>,
    /// Who holds the log besides.
    pub(crate) mirrors: Vec<PeerConfig>,
    /// How checkpoints are cosigned.
    pub(crate) cosigning: CosigningConfig,
    /// Where the record is archived.
    pub(crate) lake: Option<LakeConfig>,
    /// How long records are kept at least.
    pub(crate) retention: Retention,
    pub(crate) siem: Vec<SiemConfig>,
    /// What is written to standard error.
    pub(crate) log: LogConfig,
}

impl Meant {
    /// Returns the options the ledger opens with.
    pub(crate) fn ledger_options(&self) -> ledger::Options {
        self.ledger.options()
    }
}

/// A key and what is wrong with its value.
type Fault = (String, String);

/// Gives a configuration its meaning.
///
/// # Errors
///
/// Every fault found, as key and reason.
pub(crate) fn check(config: Config) -> Result<Meant, Vec<Fault>> {
    let mut faults = Vec::new();
    check_control(&config.control, &mut faults);
    check_ledger(&config.ledger, &mut faults);
    // Each approval needs a role of its own, and there are four.
    range("desk.approvals", u64::from(config.desk.approvals), 0, 4, &mut faults);
    range("proofs.property_seconds", config.proofs.property_seconds, 1, 600, &mut faults);
    range("proofs.total_seconds", config.proofs.total_seconds, 1, 3_600, &mut faults);
    check_log(&config.log, &mut faults);
    let models: Vec<_> = config.models.iter().map(super::ModelConfig::version).collect();
    check_models(&models, &mut faults);
    check_aliases(&config.aliases, &models, &mut faults);
    check_meters(&config.meters, &mut faults);
    check_counters(&config.counters, &models, &mut faults);
    let settings = with_upstreams(&config, &mut faults);
    let settings = with_freshness(settings, config.federation.as_ref(), &mut faults);
    check_settings(&settings, &mut faults);
    check_kept(&settings, &config.ledger, &mut faults);
    if let Err(why) = config.outbound.rule() {
        faults.push(("outbound.allow".into(), why));
    }
    if let Some(Err(why)) = config.timestamps.as_ref().map(TimestampsConfig::url) {
        faults.push(("timestamps.url".into(), why));
    }
    faults.extend(config.cosigning.check(config.mirrors.len()));
    faults.extend(super::peers("witnesses", &config.witnesses).err().into_iter().flatten());
    faults.extend(super::peers("mirrors", &config.mirrors).err().into_iter().flatten());
    faults.extend(config.lake.as_ref().map(LakeConfig::faults).unwrap_or_default());
    faults.extend(config.retention.fault().map(|(key, why)| (format!("retention.{key}"), why.to_owned())));
    for (at, siem) in config.siem.iter().enumerate() {
        faults.extend(siem.faults().into_iter().map(|why| (format!("siem[{at}]"), why)));
        if config.siem.iter().take(at).any(|other| other.name == siem.name) {
            faults.push((format!("siem[{at}].name"), format!("`{}` is taken", siem.name)));
        }
    }
    if let Some(federation) = &config.federation {
        faults.extend(federation.check(settings.external_origin.as_deref()));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Meant {
        settings,
        control: config.control,
        data_dir: config.data_dir,
        lab: config.lab,
        models,
        meters: config.meters,
        counters: config.counters,
        aliases: config.aliases,
        desk: config.desk,
        proofs: config.proofs,
        outbound: config.outbound,
        federation: config.federation,
        ledger: config.ledger,
        timestamps: config.timestamps,
        witnesses: config.witnesses,
        mirrors: config.mirrors,
        cosigning: config.cosigning,
        lake: config.lake,
        retention: config.retention,
        siem: config.siem,
        log: config.log,
    })
}

fn check_meters(meters: &[MeterConfig], faults: &mut Vec<Fault>) {
    for (at, meter) in meters.iter().enumerate() {
        faults.extend(meter.check().map(|(key, why)| (format!("meters[{at}].{key}"), why)));
    }
}

fn check_counters(counters: &[CountersConfig], models: &[ModelVersion], faults: &mut Vec<Fault>) {
    for (at, one) in counters.iter().enumerate() {
        faults.extend(one.check().map(|(key, why)| (format!("counters[{at}].{key}"), why)));
        if !models.iter().any(|model| model.id == one.model) {
            faults.push((format!("counters[{at}].model"), format!("`{}` is not among `[[models]]`", one.model)));
        }
    }
}

fn with_upstreams(config: &Config, faults: &mut Vec<Fault>) -> Settings {
    if !config.server.upstreams.is_empty() {
        let why = "belongs to the model it serves: write `endpoints` under `[[models]]`";
        faults.push(("server.upstreams".into(), why.into()));
    }
    let upstreams = config.models.iter().map(super::ModelConfig::upstream).collect();
    Settings { upstreams, ..config.server.clone() }
}

/// Lets an authentication count for as long as the freshness table says, unless the data path is told otherwise.
fn with_freshness(mut settings: Settings, federation: Option<&FederationConfig>, faults: &mut Vec<Fault>) -> Settings {
    match federation.map(FederationConfig::freshness_table).transpose() {
        Ok(table) => {
            let says = table.flatten().map(|table| table.authentication().as_secs());
            settings.tokens.authentication_seconds = settings.tokens.authentication_seconds.or(says);
        }
        Err(error) => faults.push(("federation.freshness".into(), format!("{error:#}"))),
    }
    settings
}

fn check_settings(settings: &Settings, faults: &mut Vec<Fault>) {
    let found = settings.clone().check().err().unwrap_or_default();
    faults.extend(found.into_iter().map(|fault| (key_in_file(&fault.at), fault.why)));
}

/// What the private part of an entry holds beside a body, in bytes: facts of at most 64 KiB, digests, the server's name for
/// the response, and what sealing adds.
const BESIDE_A_BODY: u64 = 128 << 10;

/// A body that is kept must fit into an entry, or the call cannot be opened or closed.
fn check_kept(settings: &Settings, ledger: &LedgerConfig, faults: &mut Vec<Fault>) {
    let kept = settings.content.as_ref().map_or(0, |content| u64::try_from(content.max_bytes).unwrap_or(u64::MAX));
    let room = ledger::entry_bytes_max(ledger.segment_mib.saturating_mul(1 << 20)).saturating_sub(BESIDE_A_BODY);
    if kept > room {
        let mib = kept.saturating_add(BESIDE_A_BODY).saturating_mul(4).div_ceil(1 << 20);
        let why = format!(
            "{kept} bytes do not fit into an entry of a log whose segments have {} MiB: keep at most {room} bytes, or set \
             `ledger.segment_mib` to {mib} or more",
            ledger.segment_mib
        );
        faults.push(("server.content.max_bytes".into(), why));
    }
}

/// The gateway speaks of `upstreams[n]`, the file of `models[n]`; all else lies under `server`.
fn key_in_file(at: &str) -> String {
    match at.strip_prefix("upstreams") {
        Some(rest) => format!("models{}", rest.replace(".model", ".id")),
        None => format!("server.{at}"),
    }
}

fn check_control(control: &ControlConfig, faults: &mut Vec<Fault>) {
    if !control.listen.ip().is_loopback() && !control.allow_plaintext {
        let why = format!(
            "{} would serve admin tokens in plaintext: use a loopback address, or set `allow_plaintext` behind a mesh that encrypts",
            control.listen
        );
        faults.push(("control.listen".into(), why));
    }
}

fn check_ledger(ledger: &LedgerConfig, faults: &mut Vec<Fault>) {
    let origin = &ledger.origin;
    if origin.is_empty()
        || origin.len() > 128
        || origin.contains("://")
        || origin.contains(|c: char| c.is_whitespace() || c == '+')
    {
        let why = format!(
            "`{origin}` is not the name of a log: write a URL without scheme, spaces and `+`, such as `log.example.com/exeat/1`"
        );
        faults.push(("ledger.origin".into(), why));
    }
    range("ledger.segment_mib", ledger.segment_mib, 1, 4_096, faults);
    range("ledger.checkpoint_ms", ledger.checkpoint_ms, 50, 60_000, faults);
    let queue = u64::try_from(ledger.queue_entries).unwrap_or(u64::MAX);
    range("ledger.queue_entries", queue, 64, 16_777_216, faults);
    faults.extend(ledger.quorum.iter().flat_map(super::QuorumConfig::faults));
}

fn check_log(log: &LogConfig, faults: &mut Vec<Fault>) {
    if let Err(error) = log.level.parse::<tracing_subscriber::filter::Targets>() {
        let why = format!("{error}: write `info`, or `info,gateway=debug`");
        faults.push(("log.level".into(), why));
    }
}

fn range(key: &str, value: u64, low: u64, high: u64, faults: &mut Vec<Fault>) {
    if !(low..=high).contains(&value) {
        faults.push((key.into(), format!("{value} is not between {low} and {high}")));
    }
}

fn check_models(models: &[ModelVersion], faults: &mut Vec<Fault>) {
    if models.is_empty() {
        let why = "names no model: add one `[[models]]` with `id`, `family`, `control`, `clearance` and `endpoints`";
        faults.push(("models".into(), why.into()));
    }
}

fn check_aliases(aliases: &[policy::Alias], models: &[ModelVersion], faults: &mut Vec<Fault>) {
    let known: BTreeSet<&str> = models.iter().map(|model| model.id.as_str()).collect();
    let mut seen = BTreeSet::new();
    for (n, alias) in aliases.iter().enumerate() {
        let name = alias.name.as_str();
        if !seen.insert(name) || known.contains(name) {
            let why = format!("`{name}` is already the name of a model or an alias: choose another");
            faults.push((format!("aliases[{n}].name"), why));
        }
        check_alias(n, alias, &known, faults);
    }
}

fn check_alias(n: usize, alias: &policy::Alias, known: &BTreeSet<&str>, faults: &mut Vec<Fault>) {
    if alias.versions.is_empty() {
        faults.push((format!("aliases[{n}].versions"), "is empty: name model versions, best first".into()));
    }
    for (m, version) in alias.versions.iter().enumerate() {
        if !known.contains(version.as_str()) {
            let why = format!("`{version}` is not the `id` of one of the `[[models]]`");
            faults.push((format!("aliases[{n}].versions[{m}]"), why));
        }
    }
}
