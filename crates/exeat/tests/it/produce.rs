//! A part of the record, asked for, approved by two, written, and checked for what it must not show.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "parts of a test")]

#[path = "../../../tsp/tests/it/authority.rs"]
mod authority;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use authority::Authority;
use ledger::Reader;
use proof::{
    bundle::EntriesReader,
    checkpoint::Checkpoint,
    commit::Field,
    cosignature::{Algorithm, CosignerSecret},
    dsse::Envelope,
    entry::{Class, Entry, Kind},
    heads::Chain,
    note::{Note, VerifierKey},
    policy_file::Policy,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use terms::{Clock, Moment, SystemClock};
use testkit::server::Server;

use crate::{
    client::Ask,
    world::{World, said},
};

/// A server with calls of two organizations on two models, and two approvers.
struct Record {
    world: World,
    server: Server,
    /// From when to when calls were asked for.
    time: (String, String),
}

const HERE: &str = "larkspur-labs";
const THERE: &str = "northgate-grid";

impl Record {
    /// Makes calls before, in and after a time; the server is started anew before each, which writes down its chains.
    fn new() -> Self {
        let mut world = World::new();
        world.setup.approvals = 2;
        let server = world.setup.start().unwrap();
        server.lab().unwrap();
        let ada = server.person("ada", true).unwrap();
        let noor = elsewhere(&server);
        let keys = [ada.as_str(), noor.as_str()];
        traffic(&server, keys, 3);
        let server = again(&world, server);
        let from = now();
        traffic(&server, keys, 4);
        let to = now();
        let server = again(&world, server);
        traffic(&server, keys, 2);
        let record = Self { world, server, time: (from, to) };
        for (who, role) in [("iris", "counsel"), ("otto", "security")] {
            let key = record.json(&["approver", "keygen", "--out", &record.key(who)]);
            let public = key["public_key"].as_str().unwrap();
            record.json(&["approver", "add", who, "--role", role, "--public-key", public]);
        }
        record
    }

    fn key(&self, who: &str) -> String {
        self.world.path(&format!("{who}.jwk")).display().to_string()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.world.setup.exeat);
        command.arg("--json").args(arguments);
        command.env("EXEAT_ADMIN_URL", format!("http://{}", self.server.admin));
        command.env("EXEAT_ADMIN_TOKEN_FILE", self.server.data().join("admin.token"));
        command.env("EXEAT_LEDGER", self.world.ledger());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that must succeed; returns what it answers.
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs a command that must fail; returns what it says.
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", said(&output));
        said(&output)
    }

    /// Requests the calls of the lab on one model; returns the production.
    fn request(&self) -> String {
        let (from, to) = &self.time;
        let name = format!("organization:{HERE}");
        let arguments =
            ["production", "request", &name, "--model", "mythos-5", "--from", from, "--to", to, "--reason", "letter"];
        self.json(&arguments)["item"]["id"].as_str().unwrap().to_owned()
    }

    fn sign(&self, id: &str, who: &str) {
        self.json(&["production", "sign", id, "--key", &self.key(who), "--approver", who]);
    }

    /// Requests a production and has it approved.
    fn approved(&self) -> String {
        let id = self.request();
        self.sign(&id, "iris");
        self.sign(&id, "otto");
        id
    }

    fn in_time(&self, entry: &Entry) -> bool {
        let at = |text: &str| Moment::parse(text).unwrap().as_millis().unsigned_abs();
        (at(&self.time.0)..at(&self.time.1)).contains(&entry.at_ms)
    }

    fn out(&self, name: &str) -> (PathBuf, String) {
        let path = self.world.path(name);
        let text = path.display().to_string();
        (path, text)
    }

    fn reader(&self) -> Reader {
        Reader::open(&self.world.ledger()).unwrap()
    }
}

fn now() -> String {
    // Times of entries are whole milliseconds: nothing may be of the same one.
    thread::sleep(Duration::from_millis(3));
    let now = SystemClock::default().now().to_string();
    thread::sleep(Duration::from_millis(3));
    now
}

fn again(world: &World, server: Server) -> Server {
    assert!(server.terminate().unwrap().success());
    world.setup.start().unwrap()
}

/// Registers somebody of another organization; returns their key.
fn elsewhere(server: &Server) -> String {
    let post = |path: &str, body: Value| server.admin("POST", path, &body).unwrap();
    post(
        "/admin/v1/organizations",
        json!({
            "id": THERE, "legal_name": "Northgate Grid, Inc.", "country": "US", "kind": "us", "screening": "cleared",
            "coverage": "none",
        }),
    );
    post("/admin/v1/people", json!({"id": "noor", "display_name": "noor", "screening": "cleared"}));
    let (past, future) = ("2026-01-01T00:00:00Z", "2027-06-01T00:00:00Z");
    for claim in [
        json!({"kind": "us_person", "limb": "citizen"}),
        json!({"kind": "location", "country": "US", "method": "declared"}),
    ] {
        post(
            "/admin/v1/attestations",
            json!({
                "person": "noor", "claim": claim, "issuer": "verity-idv", "evidence": "case 2", "assurance": "ial2",
                "issued_at": past, "expires_at": future,
            }),
        );
    }
    post(
        "/admin/v1/affiliations",
        json!({
            "person": "noor", "organization": THERE, "engagement": "employee", "issuer": "northgate-hr",
            "evidence": "roster", "attested_at": past, "ends_at": future,
        }),
    );
    let key = json!({"holder": {"kind": "person", "person": "noor"}, "organization": THERE});
    let minted = post("/admin/v1/keys", key);
    minted["key"].as_str().unwrap().to_owned()
}

/// Makes `count` calls with each key on each model.
fn traffic(server: &Server, keys: [&str; 2], count: usize) {
    for _ in 0..count {
        for (key, model) in keys.iter().flat_map(|key| [(key, "mythos-5"), (key, "ember-2")]) {
            let ask = Ask { anthropic: false, model, stream: false, pieces: 1, gap_ms: 0 };
            assert_eq!(ask.call(server.address, key).unwrap().status, 200);
        }
    }
}

/// Returns every file of a folder by its path in it.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        match entry.path().is_dir() {
            true => {
                found.extend(files(&entry.path()).into_iter().map(|(file, bytes)| (format!("{name}/{file}"), bytes)))
            }
            false => drop(found.insert(name, fs::read(entry.path()).unwrap())),
        }
    }
    found
}

/// Returns the entries of a production with their facts, if these are shown.
fn entries(dir: &Path) -> Vec<(Entry, Option<Value>)> {
    let bytes = fs::read(dir.join("entries")).unwrap();
    let mut reader = EntriesReader::new(&bytes[..]).unwrap();
    let mut found = Vec::new();
    while let Some(read) = reader.read().unwrap() {
        let facts = read.fields.value(Field::Main).map(|facts| serde_json::from_slice(facts).unwrap());
        found.push((Entry::decode(&read.leaf).unwrap(), facts));
    }
    found
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn a_production_shows_one_organization_on_one_model_and_nothing_of_anybody_else() {
    let record = Record::new();
    let id = record.approved();
    let (dir, out) = record.out("acme");
    let made = record.json(&["ledger", "produce", &id, "--out", &out]);
    let files = files(&dir);
    for name in [
        "manifest.json",
        "checkpoint",
        "log.vkey",
        "policy",
        "entries",
        "hashes",
        "heads.json",
        "sums.json",
        "names.json",
        "calls.csv",
        "report.html",
        "certificate.txt",
        "log-format.md",
        "verify.py",
    ] {
        assert!(files.contains_key(name), "{name} is missing: {:?}", files.keys());
    }
    let pseudonyms = record.reader().pseudonyms().unwrap();
    let shown = entries(&dir);
    let chain = Chain { class: Class::Organization, id: pseudonyms.of(&format!("organization:{HERE}")) };
    let opens = |model: &str| {
        let all = shown.iter().filter(|(entry, _)| entry.kind == Kind::Open && entry.model.as_deref() == Some(model));
        let in_time = all.filter(|(entry, _)| record.in_time(entry));
        in_time.map(|(entry, facts)| facts.is_some() || entry.facts.is_some()).collect::<Vec<_>>()
    };
    assert_eq!(opens("mythos-5"), [true; 4]);
    assert_eq!(opens("ember-2").len(), 4, "of the same chain, so that nothing can be missing");
    assert!(shown.iter().all(|(entry, facts)| entry.model.as_deref() != Some("ember-2") || facts.is_none()));
    assert_eq!(String::from_utf8_lossy(&files["calls.csv"]).lines().count(), 5);
    let mut linked = shown.iter().filter(|(entry, _)| entry.subject.is_some());
    assert!(linked.all(|(entry, _)| entry.links.iter().flatten().any(|link| link.chain() == chain)));

    let key = shown_key(&record, "noor");
    let names = [format!("organization:{THERE}"), "person:noor".to_owned(), format!("key:{key}")];
    let mut forbidden: Vec<Vec<u8>> = [THERE, "noor", key.as_str()].map(|text| text.as_bytes().to_vec()).into();
    for name in names {
        let pseudonym = pseudonyms.of(&name);
        forbidden.push(pseudonym.to_vec());
        forbidden.push(pseudonym.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes());
    }
    for (file, bytes) in &files {
        for secret in &forbidden {
            assert!(!holds(bytes, secret), "`{file}` holds {}", String::from_utf8_lossy(secret));
        }
    }
    check_manifest(&record, &files, made["custody"].as_u64().unwrap());
    check_in_python(&record, &dir);
}

/// Requires that a verifier written by another hand finds nothing wrong.
fn check_in_python(record: &Record, dir: &Path) {
    let key = record.world.path("key.txt");
    fs::write(&key, record.reader().verifier_key().unwrap()).unwrap();
    let mut verify = Command::new("python3");
    verify.args(["-B", "verify.py", "production", ".", "--key"]).arg(&key).current_dir(dir);
    let verified = verify.output().unwrap();
    assert!(verified.status.success(), "{}", said(&verified));
}

/// Returns the public id of somebody's key.
fn shown_key(record: &Record, person: &str) -> String {
    let keys = record.server.admin("GET", &format!("/admin/v1/keys?person={person}"), &Value::Null).unwrap();
    keys["items"][0]["id"].as_str().unwrap().to_owned()
}

fn check_manifest(record: &Record, files: &BTreeMap<String, Vec<u8>>, custody: u64) {
    let key: VerifierKey = record.reader().verifier_key().unwrap().parse().unwrap();
    let envelope = Envelope::parse(&files["manifest.json"]).unwrap();
    let payload = envelope.verify("application/vnd.in-toto+json", &key).unwrap();
    let statement: Value = serde_json::from_slice(payload).unwrap();
    assert_eq!(statement["predicate"]["custody"], custody);
    let listed = statement["subject"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap());
    let there = files.keys().map(String::as_str).filter(|name| *name != "manifest.json");
    assert!(listed.eq(there));
}

#[test]
fn nothing_is_produced_before_two_have_signed_for_it() {
    let record = Record::new();
    let id = record.request();
    let (dir, out) = record.out("acme");
    let produce = ["ledger", "produce", id.as_str(), "--out", out.as_str()];
    assert!(record.fails(&produce).contains("approvals"));
    record.sign(&id, "iris");
    assert!(record.fails(&produce).contains("1 count"));
    assert!(
        record.fails(&["production", "sign", &id, "--key", &record.key("otto"), "--approver", "iris"]).contains("jws")
    );
    let other = record.request();
    let file = record.world.path("other.json");
    fs::write(&file, record.json(&["production", "show", &other]).to_string()).unwrap();
    let file = file.display().to_string();
    let key = record.key("otto");
    let wrong = ["production", "sign", id.as_str(), "--key", &key, "--approver", "otto", "--offline", &file];
    assert!(record.fails(&wrong).contains(&other));
    assert!(!dir.exists());
    record.sign(&id, "otto");
    record.json(&produce);
    assert!(record.fails(&produce).contains("there already"), "a folder is never written over");
}

#[test]
fn a_writer_that_is_killed_goes_on_and_never_leaves_half_a_folder_under_the_name() {
    let record = Record::new();
    let id = record.approved();
    let (whole, out) = record.out("whole");
    let custody = record.json(&["ledger", "produce", &id, "--out", &out])["custody"].to_string();
    let expected = files(&whole);
    let (dir, out) = record.out("killed");
    let produce = ["ledger", "produce", "--custody", &custody, "--out", &out];
    let mut killed = 0;
    for delay_us in (0..40).map(|n| n * 700) {
        let mut child: Child = record.command(&produce).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_micros(delay_us));
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
        if dir.exists() {
            break;
        }
    }
    assert!(killed > 0);
    if !dir.exists() {
        record.json(&produce);
    }
    let files = files(&dir);
    for name in ["entries", "heads.json", "sums.json", "names.json", "calls.csv"] {
        assert_eq!(files[name], expected[name], "{name}");
    }
    for left in ["killed.part", "killed.state", "killed.survey"] {
        assert!(!record.world.path(left).exists(), "{left}");
    }
}

#[test]
fn what_somebody_else_put_into_the_folder_is_named_and_never_signed() {
    let record = Record::new();
    let id = record.approved();
    let (dir, out) = record.out("shared");
    let produce = ["ledger", "produce", id.as_str(), "--out", out.as_str()];
    record.json(&[&produce[..], &["--unsigned"]].concat());
    let part = record.world.path("shared.part");
    fs::write(part.join("more.txt"), "more").unwrap();
    assert!(record.fails(&produce).contains("shared.part/more.txt"));
    fs::remove_file(part.join("more.txt")).unwrap();
    let calls = fs::read(part.join("calls.csv")).unwrap();
    fs::write(part.join("calls.csv"), "changed").unwrap();
    assert!(record.fails(&produce).contains("shared.part/calls.csv` changed"));
    assert!(!dir.exists());
    fs::write(part.join("calls.csv"), &calls).unwrap();
    record.json(&produce);
    assert!(files(&dir).contains_key("manifest.json"));
    let (_, out) = record.out("other");
    fs::create_dir(record.world.path("other.part")).unwrap();
    assert!(record.fails(&["ledger", "produce", &id, "--out", &out]).contains("other.part"));
}

#[test]
fn a_production_waits_for_the_witnesses_of_the_configuration_no_longer_than_it_is_told() {
    let record = Record::new();
    let id = record.approved();
    let witness = CosignerSecret::from_seed("w.example/1", Algorithm::Ed25519, &[5; 32]).unwrap();
    let witnesses = format!("[[witnesses]]\nurl = \"https://w.example/\"\nkeys = [\"{}\"]\n", witness.public());
    let file = record.world.path("witnessed.toml");
    fs::write(&file, format!("{}\n{witnesses}", record.world.setup.config())).unwrap();
    let (dir, out) = record.out("witnessed");
    let file = file.display().to_string();
    let produce = ["ledger", "produce", id.as_str(), "--out", out.as_str(), "--config", file.as_str(), "--wait", "1"];
    assert!(record.fails(&produce).contains("cosignatures of 0 witnesses"));
    assert!(!dir.exists() && !record.world.path("witnessed.part").exists(), "nothing was begun");

    let reader = record.reader();
    let key: VerifierKey = reader.verifier_key().unwrap().parse().unwrap();
    let note = reader.checkpoint().unwrap().unwrap();
    let checkpoint = Checkpoint::open(note.as_bytes(), key.name(), std::slice::from_ref(&key)).unwrap();
    let line = witness.cosign(&checkpoint, 1_780_000_000).unwrap();
    let mut cosigned = Note::parse(note.as_bytes()).unwrap();
    cosigned.attach(line);
    fs::write(record.world.ledger().join("log/checkpoint.cosigned"), cosigned.to_string()).unwrap();
    record.json(&produce);
    let policy = Policy::parse(&fs::read(dir.join("policy")).unwrap()).unwrap();
    let accepted = policy.check(&fs::read(dir.join("checkpoint")).unwrap()).unwrap();
    assert_eq!(accepted.witnesses.len(), 1);
}

/// Answers queries over HTTP with what the authority says.
fn served(authority: Arc<Authority>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                let line = line.trim_end().to_ascii_lowercase();
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.is_empty() {
                    break;
                }
            }
            let mut query = vec![0; length];
            stream.read_exact(&mut query).unwrap();
            let answer = authority.answer(&query);
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/timestamp-reply\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                answer.len()
            );
            stream.get_mut().write_all(&[head.as_bytes(), &answer].concat()).unwrap();
        }
    });
    address
}

#[test]
fn a_time_stamp_is_asked_for_checked_and_put_in_from_a_server_and_from_a_file() {
    let record = Record::new();
    let id = record.approved();
    let authority = Arc::new(Authority::new("P-256", "sha256"));
    let roots = record.world.path("roots.pem");
    fs::write(&roots, authority.root_pem()).unwrap();
    let config = format!(
        "{}\n[outbound]\nallow = [\"127.0.0.1\"]\n\n[timestamps]\nurl = \"http://{}/tsa\"\nroots = \"{}\"\n",
        record.world.setup.config(),
        served(Arc::clone(&authority)),
        roots.display()
    );
    let file = record.world.path("stamped.toml");
    fs::write(&file, config).unwrap();
    let (dir, out) = record.out("online");
    let file = file.display().to_string();
    let custody = record.json(&["ledger", "produce", &id, "--out", &out, "--config", &file])["custody"].to_string();
    let stamp = |dir: &Path, name: &str| {
        let arguments = [
            "ledger",
            "timestamp",
            &dir.join("checkpoint").display().to_string(),
            "--response",
            &dir.join(name).display().to_string(),
            "--roots",
            &roots.display().to_string(),
        ];
        record.json(&arguments)["authority"].clone()
    };
    assert_eq!(stamp(&dir, "timestamps/0.tsr"), "Northgate Time");
    let digest = Sha256::digest(fs::read(dir.join("checkpoint")).unwrap()).into();
    assert!(authority.confirms(&fs::read(dir.join("timestamps/0.tsr")).unwrap(), &digest));

    let (dir, out) = record.out("offline");
    let unsigned = record.json(&["ledger", "produce", "--custody", &custody, "--out", &out, "--unsigned"]);
    assert!(!dir.exists());
    let query = record.world.path("q.tsq").display().to_string();
    record.json(&["ledger", "timestamp", unsigned["checkpoint"].as_str().unwrap(), "--request", &query]);
    let response = record.world.path("r.tsr");
    fs::write(&response, authority.answer(&fs::read(&query).unwrap())).unwrap();
    let (response, trusted) = (response.display().to_string(), roots.display().to_string());
    let more = ["--timestamp", &response, "--timestamp-roots", &trusted];
    record.json(&[&["ledger", "produce", "--custody", &custody, "--out", &out][..], &more].concat());
    assert_eq!(stamp(&dir, "timestamps/1.tsr"), "Northgate Time");
    assert!(fs::read_to_string(dir.join("report.html")).unwrap().contains("Northgate Time"));

    let wrong = Authority::new("P-256", "sha256");
    fs::write(&roots, wrong.root_pem()).unwrap();
    let (_, out) = record.out("wrong");
    let refused = record.fails(&[&["ledger", "produce", "--custody", &custody, "--out", &out][..], &more].concat());
    assert!(refused.contains("r.tsr"), "{refused}");
}

#[test]
fn a_receipt_is_also_written_in_the_encoding_of_cose() {
    let world = World::new();
    let server = world.setup.start().unwrap();
    server.lab().unwrap();
    assert!(server.terminate().unwrap().success());
    let file = world.path("receipt.cbor");
    let mut command = Command::new(&world.setup.exeat);
    command.args(["ledger", "receipt", "1", "--cose"]).arg(&file).arg("--ledger").arg(world.ledger());
    let written = command.output().unwrap();
    assert!(written.status.success(), "{}", said(&written));
    let reader = Reader::open(&world.ledger()).unwrap();
    let receipt = proof::cose::CoseReceipt::parse(&fs::read(&file).unwrap()).unwrap();
    let key: VerifierKey = reader.verifier_key().unwrap().parse().unwrap();
    assert_eq!(receipt.verify(&reader.stored(1).unwrap().leaf, &key), Ok(()));
    assert!(receipt.verify(&reader.stored(2).unwrap().leaf, &key).is_err());
}
