//! A part of the record, asked for, approved by two, written, and checked for what it must not show.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "parts of a test")]

#[path = "../../../tsp/tests/it/authority.rs"]
mod authority;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::Command,
    sync::Arc,
    thread,
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
    production::HeadsFile,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use verifier::{Meters, ProductionOptions, verify_production};

use crate::{
    record::{HERE, Record, THERE, files},
    world::{World, said},
};

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
    check_in_rust(&record, &dir);
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
fn a_production_without_facts_holds_where_the_facts_were_recorded_before_it_begins() {
    let mut record = Record::new();
    let before = record.approved();
    let (_, out) = record.out("before");
    // The server writes down where its chains stand: facts that this process recorded earlier are then before `from`.
    record.json(&["ledger", "produce", &before, "--out", &out]);
    record.go_on(2);
    for disclose in ["digests", "facts"] {
        let id = record.approved_with(disclose);
        let (dir, out) = record.out(disclose);
        record.json(&["ledger", "produce", &id, "--out", &out]);
        let heads = HeadsFile::parse(&fs::read(dir.join("heads.json")).unwrap()).unwrap();
        let from = heads.chain.from.unwrap().entry;
        let asked = |entry: &Entry| entry.model.as_deref() == Some("mythos-5") && record.in_time(entry);
        let shown = entries(&dir).into_iter().filter(|(entry, _)| asked(entry));
        let earlier = shown.filter(|(entry, _)| entry.facts.is_some_and(|facts| facts < from));
        assert_eq!(earlier.count(), 2, "both calls were decided on facts that were recorded earlier");
        check_in_rust(&record, &dir);
        check_in_python(&record, &dir);
    }
}

/// Requires that the auditor's verifier finds nothing wrong.
fn check_in_rust(record: &Record, dir: &Path) {
    let options = ProductionOptions {
        key: record.reader().verifier_key().unwrap().parse().unwrap(),
        policy: None,
        approvers: Vec::new(),
        meters: Meters::default(),
        allow_withheld: false,
    };
    let report = verify_production(dir, &options, &mut ()).unwrap();
    assert!(report.holds(), "{report}");
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
