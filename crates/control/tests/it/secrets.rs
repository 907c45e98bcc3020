//! No secret reaches the registry, the ledger or the logs.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, Mutex, Once},
};

use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::world::World;

static LOGS: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Everything that is logged in this process.
#[derive(Clone, Copy)]
struct Logs;

impl Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOGS.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Logs {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        *self
    }
}

/// Keeps everything that is logged from now on, down to the finest level.
pub(crate) fn capture_logs() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(Logs).finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

fn contains(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
}

/// Visits every file that is still there when it is read: the ledger goes on replacing some under way.
fn every_file(dir: &Path, visit: &mut impl FnMut(&Path, &[u8])) {
    let Some(entries) = unless_gone(fs::read_dir(dir)) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            every_file(&path, visit);
        } else if let Some(bytes) = unless_gone(fs::read(&path)) {
            visit(&path, &bytes);
        }
    }
}

fn unless_gone<T>(read: io::Result<T>) -> Option<T> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        read => Some(read.unwrap()),
    }
}

#[tokio::test]
async fn no_secret_is_found_in_any_file_or_log() {
    let world = World::new();
    world.populate().await;
    let key = json!({ "holder": { "kind": "person", "person": "ada" } });
    let mut mint = crate::world::request(&world.root, "POST /admin/v1/keys", key);
    let name = "kept-answer".parse().unwrap();
    mint.headers_mut().insert("idempotency-key", name);
    let key = world.send(mint).await.body["key"].clone();
    let token = json!({ "role": "auditor", "label": "audit" });
    let token = world.done("POST /admin/v1/admin-tokens", token).await["key"].clone();
    let mistyped = world.root.replace("ex_admin_", "ex_admin_X");
    world.call(&mistyped, "GET /admin/v1/people", Value::Null).await;

    let secret = |text: &str| text.rsplit_once('_').unwrap().1.to_owned();
    let secrets = [&key, &token].map(|text| secret(text.as_str().unwrap()));
    let secrets = [secrets.to_vec(), vec![secret(&world.root)]].concat();
    let arc = Arc::clone(&world.dir);
    let _world = world.restart();
    let mut files = 0;
    every_file(arc.path(), &mut |path, bytes| {
        files += 1;
        for secret in &secrets {
            assert!(!contains(bytes, secret), "{}", path.display());
        }
    });
    assert!(files > 1);
    let logs = LOGS.lock().unwrap();
    assert!(contains(&logs, "registry changed") && contains(&logs, "admin request refused"));
    for secret in &secrets {
        assert!(!contains(&logs, secret));
    }
}

#[tokio::test]
async fn the_registry_is_readable_by_its_owner_alone() {
    let world = World::new();
    world.populate().await;
    let registry = world.dir.path().join("registry");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&registry), 0o700);
    every_file(&registry, &mut |path, _| {
        assert_eq!(mode(path), 0o600, "{}", path.display());
    });
}
