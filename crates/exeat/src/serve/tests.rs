//! A whole server in this process, on free ports, asked over its sockets.

use std::{
    fs,
    net::TcpListener,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use control::{
    Actor, ApprovalAct, ApproverKey, ApproverRole, Emergency, InstrumentKind, NewApprover, Role, SignedAct, Turn,
};
use ledger::Draft;
use proof::entry::{Entry, Kind};
use terms::{Clock, ManualClock, Moment, SystemClock};

use super::Running;
use crate::{
    client::{Request, Server},
    config, logging,
    reload::Reloader,
};

const CONFIG: &str = r#"
data_dir = "data"
[server]
listen = ["127.0.0.1:0"]
workers = 1
drain_seconds = 1
[control]
listen = "127.0.0.1:0"
[ledger]
segment_mib = 1
checkpoint_ms = 50
[[models]]
id = "mythos-5"
family = "mythos-5"
control = "subject"
clearance = "attested"
endpoints = [{ url = "http://127.0.0.1:9" }]
"#;

struct World {
    dir: tempfile::TempDir,
    running: Running,
    reloader: Arc<Reloader>,
}

impl World {
    fn start() -> Self {
        Self::start_at(Arc::new(SystemClock::default()))
    }

    fn start_at(clock: Arc<dyn Clock>) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), clock)
    }

    fn start_in(dir: tempfile::TempDir, clock: Arc<dyn Clock>) -> Self {
        let file = dir.path().join("exeat.toml");
        fs::write(&file, CONFIG).unwrap();
        let meant = config::load_with(&file, std::iter::empty()).unwrap();
        let running = Running::start(meant, clock).unwrap();
        let reloader = running.offer_reload(file, logging::Level::default());
        Self { dir, running, reloader }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("exeat.toml")
    }

    fn write(&self, change: impl Fn(&str) -> String) {
        fs::write(self.file(), change(CONFIG)).unwrap();
    }

    fn reload(&self) -> Result<control::Effect, Vec<String>> {
        control::Reload::reload(&*self.reloader)
    }

    fn models(&self) -> Vec<String> {
        let snapshot = self.running.control.snapshot();
        snapshot.document().models.iter().map(|model| model.id.to_string()).collect()
    }

    fn get(&self, path: &str) -> (u16, String) {
        let server = Server::at(&format!("http://{}", self.running.admin_address())).unwrap();
        let response = server.send(&Request::get(path), Duration::from_secs(5)).unwrap();
        (response.status, response.text().unwrap())
    }
}

const EMBER: &str = r#"
[[models]]
id = "ember-2"
family = "ember-2"
control = "published"
clearance = "open"
endpoints = [{ url = "http://127.0.0.1:9" }]
"#;

/// What is done to the configuration.
type Change<'a> = &'a dyn Fn(&str) -> String;

#[test]
fn a_server_changes_the_key_of_the_vault_after_an_erasure_and_the_old_one_is_gone() {
    let clock = Arc::new(ManualClock::at(Moment::parse("2026-06-12T21:21:00Z").unwrap()));
    let World { dir, running, .. } = World::start_at(Arc::<ManualClock>::clone(&clock));
    let ada = running.ledger.pseudonym("person:ada");
    let mut entry = Entry::new(Kind::Admin);
    entry.subject = Some(ada);
    let _noted = running.ledger.append(Draft::new(entry, "noted")).unwrap().wait().unwrap();
    clock.advance(Duration::from_secs(92 * 86_400));
    assert!(running.ledger.erase(&ada, 2_026 * 4 + 1).unwrap());
    assert!(running.ledger.is_rekey_due());
    running.stop().unwrap();
    let world = World::start_in(dir, clock);
    let since = Instant::now();
    while world.running.ledger.is_rekey_due() {
        assert!(since.elapsed() < Duration::from_secs(20), "the key of the vault was not changed");
        thread::sleep(Duration::from_millis(5));
    }
    let vault = world.dir.path().join("data/ledger/vault");
    let names = ["1.kek", "1.keys", "2.kek", "2.keys"].map(|name| vault.join(name).exists());
    assert_eq!(names, [false, false, true, true]);
    world.running.stop().unwrap();
}

#[test]
fn a_reload_puts_a_new_model_in_force_and_records_it() {
    let world = World::start();
    let before = *world.running.control.snapshot().digest();
    world.write(|text| format!("{text}{EMBER}"));
    world.reload().unwrap();
    assert_eq!(world.models(), ["ember-2", "mythos-5"]);
    assert_ne!(*world.running.control.snapshot().digest(), before);
    world.running.stop().unwrap();
}

#[test]
fn a_reload_that_cannot_be_whole_changes_nothing_at_all() {
    let world = World::start();
    let before = *world.running.control.snapshot().digest();
    let with_another_port =
        |text: &str| format!("{}{EMBER}", text.replace("listen = [\"127.0.0.1:0\"]", "listen = [\"127.0.0.1:1\"]"));
    let with_a_missing_key = |text: &str| format!("{text}{}", EMBER.replace("9\" }", "9\", api_key_file = \"none\" }"));
    let with_an_unknown_alias_target =
        |text: &str| format!("{text}{EMBER}\n[[aliases]]\nname = \"a\"\nversions = [\"fable-5\"]\n");
    let broken = |_: &str| "data_dir = ".to_owned();
    let bad: [(&str, Change<'_>); 4] = [
        ("restart", &with_another_port),
        ("none", &with_a_missing_key),
        ("aliases[0].versions[0]", &with_an_unknown_alias_target),
        ("exeat.toml:1", &broken),
    ];
    for (named, change) in bad {
        world.write(change);
        let faults = world.reload().unwrap_err().join("\n");
        assert!(faults.contains(named), "{named}: {faults}");
        assert_eq!(world.models(), ["mythos-5"], "{named}");
        assert_eq!(*world.running.control.snapshot().digest(), before, "{named}");
    }
    world.write(str::to_owned);
    world.reload().unwrap();
    world.running.stop().unwrap();
}

#[test]
fn operations_are_answered_on_the_admin_listener() {
    let world = World::start();
    assert_eq!(world.get("/healthz").0, 200);
    assert_eq!(world.get("/readyz").0, 200);
    let (status, metrics) = world.get("/metrics");
    assert_eq!(status, 200);
    assert!(metrics.contains("# TYPE exeat_"), "{metrics}");
    assert!(metrics.starts_with("# HELP exeat_break_glass_open ") && metrics.contains("\nexeat_break_glass_open 0\n"));
    assert_eq!(world.get("/admin/v1/whoami").0, 401);
    world.running.stop().unwrap();
}

/// Starts a server on what `change` makes of the configuration.
fn started(change: impl Fn(&str) -> String) -> anyhow::Result<World> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("exeat.toml");
    fs::write(&file, change(CONFIG)).unwrap();
    let meant = config::load_with(&file, std::iter::empty()).unwrap();
    let running = Running::start(meant, Arc::new(SystemClock::default()))?;
    let reloader = running.offer_reload(file, logging::Level::default());
    Ok(World { dir, running, reloader })
}

#[test]
fn what_cannot_be_read_ends_the_start_before_a_call_can_be_served() {
    // The port of calls is taken: a start that came as far as binding it would say so.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("listen = [\"{}\"]", taken.local_addr().unwrap());
    let meter = "\n[[meters]]\nurl = \"http://127.0.0.1:9\"\nsecret_file = \"no-such-secret\"\n\
        vkey = \"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\"\n";
    let siem = "\n[[siem]]\nname = \"soc\"\nsyslog = \"tls://127.0.0.1:9\"\nca_file = \"no-such-authority\"\n";
    for (added, named) in [(meter, "no-such-secret"), (siem, "no-such-authority"), ("", "listen")] {
        let failed = started(|text| text.replacen("listen = [\"127.0.0.1:0\"]", &listen, 1) + added).err().unwrap();
        assert!(format!("{failed:#}").contains(named), "{named}: {failed:#}");
    }
}

#[test]
fn a_receiver_that_is_not_there_and_the_lake_behind_the_log_are_seen_in_the_metrics() {
    let lake = tempfile::tempdir().unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let added = format!(
        "[[siem]]\nname = \"soc\"\nsyslog = \"tcp://{closed}\"\n[lake]\nurl = \"file://{}\"\n",
        lake.path().display()
    );
    let world = started(|text| format!("{text}{added}")).unwrap();
    let value = |name: &str| -> Option<u64> {
        let (_, text) = world.get("/metrics");
        text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().parse().ok())
    };
    let until = Instant::now() + Duration::from_secs(60);
    while value("exeat_siem_failed{name=\"soc\"}") != Some(1) || value("exeat_lake_behind") == Some(0) {
        assert!(Instant::now() < until, "{}", world.get("/metrics").1);
        thread::sleep(Duration::from_millis(20));
    }
    assert!(value("exeat_siem_behind{name=\"soc\"}").unwrap() > 0);
    assert_eq!((value("exeat_lake_failed"), value("exeat_tasks_ended")), (Some(0), Some(0)));
    world.running.stop().unwrap();
}

#[test]
fn a_server_starts_again_on_what_it_left_and_mints_no_second_root_token() {
    let world = World::start();
    let token = fs::read_to_string(world.running.token_file()).unwrap();
    let World { dir, running, reloader } = world;
    drop(reloader);
    running.stop().unwrap();
    let meant = config::load_with(&dir.path().join("exeat.toml"), std::iter::empty()).unwrap();
    let running = Running::start(meant, Arc::new(SystemClock::default())).unwrap();
    assert_eq!(fs::read_to_string(running.token_file()).unwrap(), token);
    running.stop().unwrap();
}

#[test]
fn a_second_server_on_the_same_folder_is_refused_and_leaves_the_first_alone() {
    let world = World::start();
    let meant = config::load_with(&world.file(), std::iter::empty()).unwrap();
    let error = Running::start(meant, Arc::new(SystemClock::default())).err().unwrap();
    assert!(format!("{error:#}").contains("another process holds the log"), "{error:#}");
    assert_eq!(world.get("/readyz").0, 200);
    world.running.stop().unwrap();
}

/// Puts the order of June 12 in force with the two approvals that it needs.
fn order(world: &World, now: Moment) {
    let actor = Actor::process("test", Role::Root);
    let admin = world.running.control.admin(&actor);
    let (kind, officer) = (InstrumentKind::Directive, admin.officer().unwrap());
    let order = include_bytes!("../../../../examples/june-12.directive.json");
    let document = officer.file(kind, order).unwrap().item.state.document;
    for (who, role) in [("iris", ApproverRole::Counsel), ("otto", ApproverRole::Security)] {
        let key = ApproverKey::generate().unwrap();
        let approver = NewApprover { id: who.parse().unwrap(), role, public_key: key.public() };
        admin.root().unwrap().add_approver(approver).unwrap();
        let act = ApprovalAct::on(&document.json(), now.plus(Duration::from_mins(5))).unwrap();
        let jws = key.sign(&act, &who.parse().unwrap()).unwrap();
        officer.approve(kind, document.id(), SignedAct { act, jws }).unwrap();
    }
    officer.apply(kind, document.id(), None).unwrap();
}

#[test]
fn a_running_server_undoes_by_itself_what_gave_access_without_approvals() {
    let now = Moment::parse("2026-06-13T12:00:00Z").unwrap();
    let clock = Arc::new(ManualClock::at(now));
    let world = World::start_at(Arc::clone(&clock) as Arc<dyn Clock>);
    order(&world, now);
    let actor = Actor::process("night-desk", Role::Officer);
    let admin = world.running.control.admin(&actor);
    let why = Emergency { reason: "the plant stands still".to_owned(), minutes: 1 };
    let id = "DIR-2026-06-12".parse().unwrap();
    admin.officer().unwrap().turn_by_break_glass(InstrumentKind::Directive, &id, Turn::Stay, why).unwrap();
    let version = || world.running.control.snapshot().document().directives[0].version();
    assert!(world.get("/metrics").1.contains("\nexeat_break_glass_open 1\n"));
    assert_eq!(version(), 2);
    clock.advance(Duration::from_mins(1));
    let until = Instant::now() + Duration::from_secs(20);
    while version() == 2 {
        assert!(Instant::now() < until, "it was not undone");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(world.running.control.snapshot().document().directives[0].status(), policy::Status::InForce);
    world.running.stop().unwrap();
}
