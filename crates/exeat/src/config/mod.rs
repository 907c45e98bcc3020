//! The one configuration file, as typed. [`check`] gives it its meaning, [`overrides`] lets the environment speak.

mod check;
mod cosigners;
mod federation;
mod lake;
pub(crate) mod meters;
mod overrides;
pub(crate) mod place;
mod problem;
mod quorum;
mod siem;
mod timestamps;

use std::{
    env,
    ffi::OsString,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use control::{DeskPolicy, ProofPolicy};
use gateway::{EndpointSettings, Settings, UpstreamSettings};
use serde::{Deserialize, de::DeserializeOwned};
use terms::{Clearance, Control, ModelFamily, ModelVersion, ModelVersionId, OrganizationId, Retention};

pub(crate) use check::Meant;
pub(crate) use cosigners::{CosigningConfig, PeerConfig, peers};
pub(crate) use federation::{FederationConfig, OutboundConfig};
pub(crate) use lake::{LakeConfig, ObjectLock};
pub(crate) use meters::{CountersConfig, MeterConfig};
pub(crate) use problem::{Problem, Problems};
pub(crate) use quorum::QuorumConfig;
pub(crate) use siem::SiemConfig;
pub(crate) use timestamps::{TimestampsConfig, roots};

/// The commented example that `exeat init` and `exeat config example` write.
pub(crate) const EXAMPLE: &str = include_str!("../../../../exeat.example.toml");

/// The configuration file as an operator types it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where the registry, the ledger and the keys live; relative to the file's own folder.
    pub(crate) data_dir: PathBuf,
    /// The lab's own organization, whose staff a license may name.
    #[serde(default)]
    pub(crate) lab: Option<OrganizationId>,
    /// The data path.
    #[serde(default)]
    pub(crate) server: Settings,
    /// The admin listener.
    #[serde(default)]
    pub(crate) control: ControlConfig,
    /// The model versions and where each is served.
    #[serde(default)]
    pub(crate) models: Vec<ModelConfig>,
    /// Who counts beside the model servers.
    #[serde(default)]
    pub(crate) meters: Vec<MeterConfig>,
    /// Model servers that count for themselves.
    #[serde(default)]
    pub(crate) counters: Vec<CountersConfig>,
    /// Names that resolve to the best version a caller may use.
    #[serde(default)]
    pub(crate) aliases: Vec<policy::Alias>,
    /// How many people must approve what the directive desk does.
    #[serde(default)]
    pub(crate) desk: DeskPolicy,
    /// What must be proved before a snapshot goes live.
    #[serde(default)]
    pub(crate) proofs: ProofsConfig,
    /// Whom this server may ask.
    #[serde(default)]
    pub(crate) outbound: OutboundConfig,
    /// Who vouches for people; nobody but administrators without.
    #[serde(default)]
    pub(crate) federation: Option<FederationConfig>,
    /// How the log is kept.
    #[serde(default)]
    pub(crate) ledger: LedgerConfig,
    /// Who else says when a checkpoint was there; nobody without.
    #[serde(default)]
    pub(crate) timestamps: Option<TimestampsConfig>,
    /// Who cosigns the checkpoints of the log.
    #[serde(default)]
    pub(crate) witnesses: Vec<PeerConfig>,
    /// Who holds the log besides.
    #[serde(default)]
    pub(crate) mirrors: Vec<PeerConfig>,
    /// How checkpoints are cosigned.
    #[serde(default)]
    pub(crate) cosigning: CosigningConfig,
    /// Where the record is archived; nowhere without.
    #[serde(default)]
    pub(crate) lake: Option<LakeConfig>,
    /// How long records are kept at least, and by which rules.
    #[serde(default)]
    pub(crate) retention: Retention,
    /// Who is told of every entry as it is written.
    #[serde(default)]
    pub(crate) siem: Vec<SiemConfig>,
    /// What is written to standard error.
    #[serde(default)]
    pub(crate) log: LogConfig,
}

/// The admin listener.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ControlConfig {
    /// Where; `127.0.0.1:8081` unless set.
    pub(crate) listen: SocketAddr,
    /// Allows another than a loopback address, for a mesh that encrypts by itself.
    pub(crate) allow_plaintext: bool,
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)), allow_plaintext: false }
    }
}

/// One model version and where it is served. What is not set is as in [`UpstreamSettings`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelConfig {
    id: ModelVersionId,
    family: ModelFamily,
    control: Control,
    clearance: Clearance,
    #[serde(default)]
    certificate_required: bool,
    /// The family it was fine-tuned, distilled or merged from, if another.
    derived_from: Option<ModelFamily>,
    endpoints: Vec<EndpointSettings>,
    connect_seconds: Option<u64>,
    first_byte_seconds: Option<u64>,
    idle_seconds: Option<u64>,
    in_flight: Option<usize>,
    retries: Option<u32>,
    failover_statuses: Option<Vec<u16>>,
    eject_after: Option<u32>,
    health_path: Option<String>,
    health_seconds: Option<u64>,
    ca_file: Option<PathBuf>,
    meter: Option<String>,
}

impl ModelConfig {
    /// Returns what policy knows of the version.
    pub(crate) fn version(&self) -> ModelVersion {
        ModelVersion {
            id: self.id.clone(),
            family: self.family.clone(),
            control: self.control,
            clearance: self.clearance,
            certificate_required: self.certificate_required,
            derived_from: self.derived_from.clone(),
        }
    }

    /// Returns where the version is served.
    pub(crate) fn upstream(&self) -> UpstreamSettings {
        let unset = UpstreamSettings::new(self.id.clone(), self.endpoints.clone());
        UpstreamSettings {
            connect_seconds: self.connect_seconds.unwrap_or(unset.connect_seconds),
            first_byte_seconds: self.first_byte_seconds.unwrap_or(unset.first_byte_seconds),
            idle_seconds: self.idle_seconds.unwrap_or(unset.idle_seconds),
            in_flight: self.in_flight.unwrap_or(unset.in_flight),
            retries: self.retries.unwrap_or(unset.retries),
            failover_statuses: self.failover_statuses.clone().unwrap_or(unset.failover_statuses),
            eject_after: self.eject_after.unwrap_or(unset.eject_after),
            health_path: self.health_path.clone().or(unset.health_path),
            health_seconds: self.health_seconds.unwrap_or(unset.health_seconds),
            ca_file: self.ca_file.clone().or(unset.ca_file),
            meter: self.meter.clone().or(unset.meter),
            model: unset.model,
            endpoints: unset.endpoints,
        }
    }
}

/// How the log is kept.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LedgerConfig {
    /// The log's name in its checkpoints: a URL without a scheme. Never changes over the life of a log.
    pub(crate) origin: String,
    /// One segment of the write-ahead log, in MiB; 64 unless set: at about 1 KiB an entry with its facts, 65,536 entries.
    pub(crate) segment_mib: u64,
    /// Between two signed checkpoints while entries arrive, in milliseconds; 1,000 unless set.
    pub(crate) checkpoint_ms: u64,
    /// Entries that may wait for the disk; 65,536 unless set: at about 1 KiB each, 64 MiB.
    pub(crate) queue_entries: usize,
    /// Copies on other machines that must have what anybody is told of; without, this machine's disk is enough.
    pub(crate) quorum: Option<QuorumConfig>,
}

impl Default for LedgerConfig {
    fn default() -> Self {
        let origin = "exeat.local/log".to_owned();
        Self { origin, segment_mib: 64, checkpoint_ms: 1_000, queue_entries: 65_536, quorum: None }
    }
}

impl LedgerConfig {
    /// Returns the options a ledger opens with.
    pub(crate) fn options(&self) -> ledger::Options {
        ledger::Options {
            origin: self.origin.clone(),
            segment_bytes: self.segment_mib << 20,
            queue_entries: self.queue_entries,
            checkpoint_every: Duration::from_millis(self.checkpoint_ms),
            heads_every: Duration::from_secs(3_600),
        }
    }
}

/// What must be proved before the directive desk puts a snapshot in force.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ProofsConfig {
    /// False to go without; true unless set.
    pub(crate) required: bool,
    /// The solver: a path, or a name to look for on `PATH`; `cvc5` unless set.
    pub(crate) solver: PathBuf,
    /// The most that one property may take, in seconds.
    pub(crate) property_seconds: u64,
    /// The most that all of them may take, in seconds.
    pub(crate) total_seconds: u64,
}

impl Default for ProofsConfig {
    fn default() -> Self {
        let prover::Settings { solver, per_property, total } = prover::Settings::default();
        Self { required: true, solver, property_seconds: per_property.as_secs(), total_seconds: total.as_secs() }
    }
}

impl ProofsConfig {
    /// Returns the solver and its limits.
    pub(crate) fn settings(&self) -> prover::Settings {
        prover::Settings {
            solver: self.solver.clone(),
            per_property: Duration::from_secs(self.property_seconds),
            total: Duration::from_secs(self.total_seconds),
        }
    }

    /// Returns what the directive desk asks for.
    pub(crate) fn policy(&self) -> ProofPolicy {
        if self.required { ProofPolicy::Required(self.settings()) } else { ProofPolicy::Off }
    }
}

/// What is written to standard error.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogConfig {
    /// One JSON object a line, or text for people; JSON unless set.
    pub(crate) format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or per crate as in `info,gateway=debug`.
    pub(crate) level: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Json, level: "info".to_owned() }
    }
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Text,
}

/// Reads the file at `path` and the process's environment, and checks everything.
///
/// # Errors
///
/// Every [`Problem`] found, each with file, line and key where it has them.
pub(crate) fn load(path: &Path) -> Result<Meant, Problems> {
    load_with(path, env::vars_os())
}

/// As [`load`], with the environment given.
///
/// # Errors
///
/// As [`load`].
pub(crate) fn load_with(
    path: &Path,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Meant, Problems> {
    let text = fs::read_to_string(path).map_err(|error| {
        let why = format!("cannot be read: {error}; write one with `exeat init`");
        Problems::from(Problem::of_file(path, why))
    })?;
    let set = overrides::from_environment(environment)?;
    let config = parse(path, &text, &set)?;
    let base = path.parent().unwrap_or_else(|| Path::new("."));
    check::check(config.relative_to(base)).map_err(|faults| Problems::locate(path, &text, faults))
}

/// Reads the file of a program that takes no settings from the environment.
///
/// # Errors
///
/// The file cannot be read, or the first mistake in it, with its line.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Problems> {
    let text = fs::read_to_string(path).map_err(|error| Problem::of_file(path, format!("cannot be read: {error}")))?;
    of_text(path, &text)
}

fn of_text<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, Problems> {
    toml::from_str(text).map_err(|error| Problem::of_toml(path, text, &error).into())
}

/// Parses the file alone first, so that its own mistakes are shown with their line.
fn parse(path: &Path, text: &str, set: &[overrides::Override]) -> Result<Config, Problems> {
    if set.is_empty() {
        return of_text(path, text);
    }
    let mut table: toml::Table = of_text(path, text)?;
    overrides::apply(&mut table, set)?;
    table.clone().try_into().map_err(|error| blame(path, text, set, &error))
}

/// Says whether the file or which variable is at fault for a table that does not fit.
fn blame(path: &Path, text: &str, set: &[overrides::Override], error: &toml::de::Error) -> Problems {
    if let Err(own) = toml::from_str::<Config>(text) {
        return Problem::of_toml(path, text, &own).into();
    }
    let culprit = set.iter().find(|one| {
        let mut table: toml::Table = toml::from_str(text).unwrap_or_default();
        let applied = overrides::apply(&mut table, std::slice::from_ref(one));
        applied.is_ok() && table.try_into::<Config>().is_err()
    });
    let name = culprit.map_or("the environment", |one| one.name.as_str());
    Problem::of_variable(name, error.message()).into()
}

impl Config {
    /// Makes every path of a file relative to the folder of the configuration file.
    fn relative_to(mut self, base: &Path) -> Self {
        let place = |path: &mut PathBuf| *path = base.join(&*path);
        place(&mut self.data_dir);
        if let Some(tls) = &mut self.server.tls {
            place(&mut tls.cert_chain);
            place(&mut tls.key);
        }
        self.outbound.ca_file.iter_mut().for_each(place);
        self.timestamps.iter_mut().for_each(|timestamps| place(&mut timestamps.roots));
        self.siem.iter_mut().filter_map(|siem| siem.ca_file.as_mut()).for_each(place);
        self.ledger.quorum.iter_mut().for_each(|quorum| quorum.each_path(place));
        if let Some(federation) = &mut self.federation {
            federation.each_path(place);
        }
        let asked = self.server.issuers.iter_mut().filter_map(|issuer| issuer.introspection.as_mut());
        asked.filter_map(|asked| asked.client_secret_file.as_mut()).for_each(place);
        for meter in &mut self.meters {
            place(&mut meter.secret_file);
            meter.ca_file.iter_mut().for_each(place);
        }
        self.counters.iter_mut().filter_map(|counters| counters.ca_file.as_mut()).for_each(place);
        for model in &mut self.models {
            model.ca_file.iter_mut().for_each(place);
            let keys = model.endpoints.iter_mut().filter_map(|end| end.api_key_file.as_mut());
            keys.for_each(place);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
data_dir = "data"
[[models]]
id = "mythos-5"
family = "mythos-5"
control = "subject"
clearance = "attested"
endpoints = [{ url = "http://127.0.0.1:9000" }]
[[aliases]]
name = "assistant"
versions = ["mythos-5"]
"#;

    fn load_text(text: &str, environment: &[(&str, &str)]) -> Result<Meant, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("exeat.toml");
        fs::write(&path, text).unwrap();
        let vars = environment.iter().map(|(name, value)| (name.into(), value.into()));
        load_with(&path, vars)
            .map_err(|problems| problems.to_string().replace(&format!("{}/", dir.path().display()), ""))
    }

    fn fault(text: &str, environment: &[(&str, &str)]) -> String {
        load_text(text, environment).unwrap_err()
    }

    #[test]
    fn the_commented_example_is_a_configuration() {
        let meant = load_text(EXAMPLE, &[]).unwrap();
        assert_eq!(meant.models.len(), 2);
        assert_eq!(meant.aliases.len(), 1);
    }

    #[test]
    fn a_small_file_gets_every_default() {
        let meant = load_text(SMALL, &[]).unwrap();
        assert_eq!(meant.control.listen.to_string(), "127.0.0.1:8081");
        assert_eq!(meant.settings.upstreams.len(), 1);
        assert!(meant.data_dir.ends_with("data"));
        assert_eq!(meant.desk.approvals, 2);
        assert!(meant.data_dir.is_absolute());
    }

    #[test]
    fn a_mistake_is_named_with_file_line_key_and_what_to_write() {
        let text = SMALL.replace("control = \"subject\"", "control = \"secret\"");
        let fault = fault(&text, &[]);
        assert!(fault.starts_with("exeat.toml:6: models[0].control: "), "{fault}");
        assert!(fault.contains("`published`") && fault.contains("`subject`"), "{fault}");
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let fault = fault(&format!("{SMALL}[server]\nlistne = []\n"), &[]);
        assert!(fault.starts_with("exeat.toml:13: server.listne: unknown field"), "{fault}");
    }

    #[test]
    fn a_fault_of_meaning_is_found_in_the_file_too() {
        let text = format!("{SMALL}[server]\nlisten = [\"127.0.0.1:1\", \"0.0.0.0:8080\"]\n");
        let fault = fault(&text, &[]);
        assert!(fault.starts_with("exeat.toml:13: server.listen[1]: "), "{fault}");
    }

    #[test]
    fn every_fault_of_meaning_is_reported_at_once() {
        let text = SMALL.replace("http:", "ftp:").replace("[\"mythos-5\"]", "[\"fable-5\"]");
        let fault = fault(&text, &[]);
        assert!(fault.contains("exeat.toml:8: models[0].endpoints[0].url: "), "{fault}");
        assert!(fault.contains("exeat.toml:11: aliases[0].versions[0]: "), "{fault}");
    }

    #[test]
    fn the_environment_overrides_the_file_and_is_typed_like_it() {
        let set = [
            ("EXEAT__SERVER__LISTEN", r#"["127.0.0.1:9999"]"#),
            ("EXEAT__SERVER__DRAIN_SECONDS", "7"),
            ("EXEAT__CONTROL__LISTEN", "127.0.0.1:9998"),
            ("EXEAT__MODELS__0__ENDPOINTS__0__URL", "http://127.0.0.1:9001"),
            ("EXEAT_ADMIN_TOKEN", "is not an override"),
        ];
        let meant = load_text(SMALL, &set).unwrap();
        assert_eq!(meant.settings.listen, ["127.0.0.1:9999".parse().unwrap()]);
        assert_eq!(meant.settings.drain_seconds, 7);
        assert_eq!(meant.control.listen.port(), 9998);
        assert_eq!(meant.settings.upstreams[0].endpoints[0].url, "http://127.0.0.1:9001");
    }

    #[test]
    fn an_authentication_counts_for_as_long_as_the_freshness_table_says_unless_set() {
        let dir = tempfile::tempdir().unwrap();
        let (table, other) = (dir.path().join("table.json"), dir.path().join("other.json"));
        let shipped = include_str!("../../../policy/data/freshness.json");
        assert!(shipped.contains("43200"));
        fs::write(&table, shipped.replace("43200", "3600")).unwrap();
        let text = |more: &str, table: &Path| {
            format!(
                "{SMALL}[server]\nexternal_origin = \"https://gateway.example.com\"\n{more}\
                 [federation]\norigin = \"https://id.example.com\"\nfreshness = {:?}\n",
                table.display()
            )
        };
        let counts = |more: &str| load_text(&text(more, &table), &[]).unwrap().settings.tokens.authentication_seconds;
        assert_eq!(counts(""), Some(3_600));
        assert_eq!(counts("tokens = { authentication_seconds = 600 }\n"), Some(600));
        assert_eq!(load_text(SMALL, &[]).unwrap().settings.tokens.authentication_seconds, None);
        let fault = fault(&text("", &other), &[]);
        assert!(fault.contains("federation.freshness: cannot read `"), "{fault}");
    }

    #[test]
    fn an_unknown_or_ill_typed_variable_is_an_error_that_names_it() {
        let good = ("EXEAT__LAB", "larkspur-labs");
        for (bad, value) in [
            ("EXEAT__SERVER__LISTNE", "x"),
            ("EXEAT__SERVER__DRAIN_SECONDS", "soon"),
            ("EXEAT__MODELS__7__ID", "x"),
            ("EXEAT__LAB__NAME__", "x"),
            ("EXEAT__DATA_DIR__X", "x"),
        ] {
            let fault = fault(SMALL, &[good, (bad, value)]);
            assert!(fault.starts_with(bad), "{bad}: {fault}");
        }
    }

    #[test]
    fn the_environment_may_supply_what_the_file_lacks() {
        let text = SMALL.replace("data_dir = \"data\"", "");
        assert!(load_text(&text, &[]).is_err());
        assert!(load_text(&text, &[("EXEAT__DATA_DIR", "elsewhere")]).is_ok());
    }

    #[test]
    fn a_desk_asks_for_no_more_approvals_than_there_are_roles() {
        let most = format!("{SMALL}[desk]\napprovals = 4\n");
        assert_eq!(load_text(&most, &[]).unwrap().desk.approvals, 4);
        let more = fault(&most.replace('4', "5"), &[]);
        assert!(more.starts_with("exeat.toml:13: desk.approvals: "), "{more}");
    }

    #[test]
    fn a_body_that_is_kept_fits_into_an_entry_of_the_log() {
        let kept = |mib: u64, bytes: u64| {
            let key = "j0DFrbaPJWJK5bIU6nZ6bslNgp09e14a0bpvPiE4KF8=";
            format!(
                "{SMALL}[server.content]\nescrow_key = \"{key}\"\nmax_bytes = {bytes}\n[ledger]\nsegment_mib = {mib}\n"
            )
        };
        let most = |mib: u64| (mib << 18) - (128 << 10);
        for (mib, bytes) in [(1, most(1)), (8, most(8)), (17, 4 << 20), (64, 4 << 20), (5, 1 << 20)] {
            load_text(&kept(mib, bytes), &[]).unwrap();
        }
        for (mib, bytes) in [(1, most(1) + 1), (8, 3 << 20), (16, 4 << 20), (4, 1 << 20)] {
            let fault = fault(&kept(mib, bytes), &[]);
            assert!(fault.contains("server.content.max_bytes") && fault.contains("`ledger.segment_mib`"), "{fault}");
        }
        assert!(
            fault(&kept(8, 3 << 20), &[])
                .contains("keep at most 1966080 bytes, or set `ledger.segment_mib` to 13 or more")
        );
    }

    #[test]
    fn a_meter_may_stand_before_one_endpoint_of_a_model() {
        let at = |key: &str| SMALL.replace("{ url =", &format!("{{ {key}url ="));
        let origin = "meter.example.com/exeat/1";
        let meant = load_text(&at(&format!("meter = \"{origin}\", ")), &[]).unwrap();
        assert_eq!(meant.settings.upstreams[0].endpoints[0].meter.as_deref(), Some(origin));
        let fault = fault(&at("meter = \"https://meter.example.com\", "), &[]);
        assert!(fault.contains("models[0].endpoints[0].meter"), "{fault}");
    }

    #[test]
    fn the_admin_listener_stays_on_loopback_unless_told_otherwise() {
        let open = ("EXEAT__CONTROL__LISTEN", "0.0.0.0:8081");
        assert!(fault(SMALL, &[open]).contains("control.listen"));
        assert!(load_text(SMALL, &[open, ("EXEAT__CONTROL__ALLOW_PLAINTEXT", "true")]).is_ok());
    }
}
