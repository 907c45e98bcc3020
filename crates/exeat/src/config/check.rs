//! The configuration as meant: every reference resolved, every limit checked.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use control::DeskPolicy;
use gateway::Settings;
use terms::{ModelVersion, OrganizationId};

use super::{Config, ControlConfig, FederationConfig, LedgerConfig, LogConfig, OutboundConfig, ProofsConfig};

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
    /// What is written to standard error.
    pub(crate) log: LogConfig,
}

impl Meant {
    /// Returns the options the ledger opens with.
    pub(crate) fn ledger_options(&self) -> ledger::Options {
        ledger::Options {
            origin: self.ledger.origin.clone(),
            segment_bytes: self.ledger.segment_mib << 20,
            queue_entries: self.ledger.queue_entries,
            checkpoint_every: Duration::from_millis(self.ledger.checkpoint_ms),
        }
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
    let settings = with_upstreams(&config, &mut faults);
    let settings = with_freshness(settings, config.federation.as_ref(), &mut faults);
    check_settings(&settings, &mut faults);
    if let Err(why) = config.outbound.rule() {
        faults.push(("outbound.allow".into(), why));
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
        aliases: config.aliases,
        desk: config.desk,
        proofs: config.proofs,
        outbound: config.outbound,
        federation: config.federation,
        ledger: config.ledger,
        log: config.log,
    })
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
