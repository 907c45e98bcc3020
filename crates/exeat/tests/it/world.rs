//! A folder, a scripted upstream and the setup of a server between them.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world fails")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use ledger::Reader;
use proof::entry::Entry;
use testkit::{
    server::{Server, Setup},
    upstream::FakeUpstream,
};

/// What a test stands on; removed with its folder.
pub(crate) struct World {
    upstream: Option<FakeUpstream>,
    pub(crate) setup: Setup,
    dir: tempfile::TempDir,
}

/// Two people with keys.
pub(crate) struct Keys {
    /// A U.S. citizen's.
    pub(crate) citizen: String,
    /// A foreign person's.
    pub(crate) foreign: String,
}

/// An entry of the record with its leaf hash.
pub(crate) struct Recorded {
    pub(crate) entry: Entry,
    pub(crate) leaf: [u8; 32],
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let upstream = FakeUpstream::start().unwrap();
        let exeat = env!("CARGO_BIN_EXE_exeat");
        let setup = Setup::new(exeat, dir.path().join("server"), upstream.address()).unwrap();
        Self { upstream: Some(upstream), setup, dir }
    }

    /// Ends the upstream.
    pub(crate) fn end_upstream(&mut self) {
        self.upstream = None;
    }

    /// Returns a path in the world's folder, outside of the server's.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns the folder of the ledger.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.setup.dir.join("data/ledger")
    }

    /// Returns every entry of the record, each checked against the tree and its commitment.
    pub(crate) fn record(&self) -> Vec<Recorded> {
        let reader = Reader::open(&self.ledger()).unwrap();
        let entries = reader.entries(0).unwrap();
        let recorded = |(n, stored): (usize, Result<ledger::Stored, _>)| {
            let stored = stored.unwrap();
            assert_eq!(stored.index, n as u64);
            let entry = Entry::decode(&stored.leaf).unwrap();
            let leaf = proof::tree::leaf_hash(&stored.leaf);
            Recorded { entry, leaf }
        };
        entries.enumerate().map(recorded).collect()
    }

    /// Exports the record with the program and verifies the bundle as an auditor would.
    pub(crate) fn verify(&self) -> verifier::Report {
        let bundle = self.path("bundle");
        let mut export = Command::new(&self.setup.exeat);
        export.args(["ledger", "export"]).arg(&bundle);
        export.arg("--ledger").arg(self.ledger());
        let exported = export.output().unwrap();
        assert!(exported.status.success(), "{}", said(&exported));
        let key = Reader::open(&self.ledger()).unwrap().verifier_key().unwrap();
        let options = verifier::Options { key: Some(key.parse().unwrap()), ..verifier::Options::default() };
        verifier::verify_bundle(&bundle, &options, &mut ()).unwrap()
    }

    /// Runs `exeat doctor --json` and returns its findings.
    pub(crate) fn doctor(&self) -> Vec<serde_json::Value> {
        let looked = self.setup.command("doctor").arg("--json").output().unwrap();
        let findings: serde_json::Value = serde_json::from_slice(&looked.stdout).unwrap();
        findings.as_array().unwrap().clone()
    }
}

/// Registers the lab and two people of it.
pub(crate) fn populate(server: &Server) -> Keys {
    server.lab().unwrap();
    Keys { citizen: server.person("ada", true).unwrap(), foreign: server.person("minh", false).unwrap() }
}

/// Returns what a command wrote.
pub(crate) fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(err)
}

/// Returns the program, told where the admin API of `server` is.
pub(crate) fn administered(server: &Server) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_exeat"));
    command.env("EXEAT_ADMIN_URL", format!("http://{}", server.admin));
    command.env("EXEAT_ADMIN_TOKEN_FILE", server.data().join("admin.token"));
    command
}

/// Runs a command that must succeed; returns what it answers in JSON.
pub(crate) fn answered(command: &mut Command) -> serde_json::Value {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs a command that must fail with exit code 1; returns what it wrote.
pub(crate) fn failed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{command:?}: {}", said(&output));
    output
}

/// Returns the finding of `doctor` whose subject begins with `about`.
pub(crate) fn finding<'a>(findings: &'a [serde_json::Value], about: &str) -> &'a serde_json::Value {
    let is_it = |finding: &&serde_json::Value| {
        let subject = finding.get("about").and_then(|about| about.as_str());
        subject.is_some_and(|subject| subject.starts_with(about))
    };
    findings.iter().find(is_it).unwrap()
}

/// A file system of its own in `dir`, unmounted when dropped.
pub(crate) struct Mount(PathBuf);

impl Mount {
    /// Mounts `mib` MiB of memory; `None`, and a message, where that is not allowed.
    pub(crate) fn new(dir: &Path, mib: u32) -> Option<Self> {
        std::fs::create_dir_all(dir).unwrap();
        let options = format!("mode=700,size={mib}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "none"]).arg(dir);
        match mount.output() {
            Ok(done) if done.status.success() => Some(Self(dir.to_owned())),
            _ => {
                skipped("only root may mount a small file system");
                None
            }
        }
    }

    /// Allows no more writes.
    pub(crate) fn read_only(&self) {
        let mut mount = Command::new("mount");
        let done = mount.args(["-o", "remount,ro"]).arg(&self.0).output().unwrap();
        assert!(done.status.success(), "{}", said(&done));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily, since the server may be going down at this moment.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Says why a test did not run to its end.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn skipped(why: &str) {
    println!("skipped: {why}");
}
