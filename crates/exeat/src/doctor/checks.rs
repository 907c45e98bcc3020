//! The single checks. Each looks, and says what it saw and what to do.

use std::{
    env, fs,
    fs::{File, TryLockError},
    io,
    net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use gateway::EndpointSettings;
use terms::Moment;

use super::Finding;
use crate::{
    client::{Request, Server},
    config::Meant,
    secrets,
    serve::LEDGER_DIR,
};

/// How far a clock may lie behind the last entry before the ledger refuses to open.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);

/// Looks whether every port is free, or already served by Exeat.
pub(super) fn listeners(meant: &Meant) -> Vec<Finding> {
    let calls = meant.settings.listen.iter().map(|address| ("server.listen", *address));
    let all = calls.chain([("control.listen", meant.control.listen)]);
    all.map(|(key, address)| listener(key, address)).collect()
}

fn listener(key: &str, address: SocketAddr) -> Finding {
    let about = format!("{key} {address}");
    match TcpListener::bind(address) {
        Ok(_) => Finding::fine(about, "free"),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && answers(address) => {
            Finding::fine(about, "in use by a server that answers /healthz: Exeat runs already")
        }
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Finding::wrong(about, "in use by another program", format!("stop it, or choose another port for `{key}`"))
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Finding::wrong(about, "not allowed", "choose a port above 1023, or grant CAP_NET_BIND_SERVICE")
        }
        Err(error) => {
            Finding::wrong(about, error.to_string(), format!("choose an address of this machine for `{key}`"))
        }
    }
}

fn answers(address: SocketAddr) -> bool {
    let asked = Server::at(&format!("http://{address}"));
    let answer = asked.and_then(|server| server.send(&Request::get("/healthz"), Duration::from_secs(2)));
    answer.is_ok_and(|answer| answer.status == 200)
}

/// Looks at the folder, its secrets, who owns them and who may read them.
pub(super) fn data_folder(dir: &Path) -> Vec<Finding> {
    let about = format!("data folder {}", dir.display());
    let Ok(meta) = fs::metadata(dir) else {
        return vec![Finding::caution(
            about,
            "is not there yet",
            "nothing, if this is a new installation: the first start makes it",
        )];
    };
    let mut findings = vec![folder(about, dir, &meta)];
    for name in [secrets::PEPPER, secrets::TOKEN] {
        findings.extend(secret(&dir.join(name)));
    }
    findings
}

fn folder(about: String, dir: &Path, meta: &fs::Metadata) -> Finding {
    let own = fs::metadata("/proc/self").map(|own| own.uid());
    if !meta.is_dir() {
        return Finding::wrong(about, "is not a folder", "move it away, or set `data_dir` to another place");
    }
    if own.as_ref().is_ok_and(|own| *own != meta.uid() && *own != 0) {
        return Finding::wrong(
            about,
            format!("belongs to user {}", meta.uid()),
            "run as that user, or change its owner",
        );
    }
    match meta.permissions().mode() & 0o777 {
        mode if mode & 0o700 != 0o700 => Finding::wrong(
            about,
            format!("its owner may not use it (mode {mode:03o})"),
            format!("chmod 700 {}", dir.display()),
        ),
        mode if mode & 0o077 != 0 => Finding::caution(
            about,
            format!("others can look into it (mode {mode:03o})"),
            format!("chmod 700 {}", dir.display()),
        ),
        _ => Finding::fine(about, "private and writable"),
    }
}

fn secret(file: &Path) -> Option<Finding> {
    let mode = fs::metadata(file).ok()?.permissions().mode() & 0o777;
    let about = format!("secret {}", file.display());
    Some(match mode & 0o077 {
        0 => Finding::fine(about, "readable by its owner alone"),
        _ => Finding::wrong(
            about,
            format!("others can read it (mode {mode:03o})"),
            format!("chmod 600 {0}; then mint new keys and tokens, since it may be known", file.display()),
        ),
    })
}

/// Looks whether the disk holds the segments that are pre-written, with room to spare.
pub(super) fn disk_space(dir: &Path, segment_mib: u64) -> Finding {
    let there = dir.ancestors().find(|dir| dir.is_dir()).unwrap_or_else(|| Path::new("/"));
    let about = format!("disk under {}", there.display());
    // Two segments are pre-written; the rest is for the registry and for tiles until somebody reacts.
    let wanted = segment_mib.saturating_mul(2).saturating_add(1_024);
    match free_mib(there) {
        None => {
            Finding::caution(about, "`df` does not say how much is free", format!("see that {wanted} MiB are free"))
        }
        Some(free) if free < segment_mib.saturating_mul(2) => Finding::wrong(
            about,
            format!("{free} MiB free"),
            format!("free {wanted} MiB: without room nothing is served"),
        ),
        Some(free) if free < wanted => {
            Finding::caution(about, format!("{free} MiB free"), format!("free {wanted} MiB"))
        }
        Some(free) => Finding::fine(about, format!("{free} MiB free")),
    }
}

/// Asks `df` (POSIX format), since the standard library cannot.
fn free_mib(dir: &Path) -> Option<u64> {
    let out = Command::new("df").arg("-Pk").arg(dir).output().ok().filter(|out| out.status.success())?;
    let text = String::from_utf8(out.stdout).ok()?;
    let kib: u64 = text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kib / 1_024)
}

/// Looks whether the log is held, whole, and not ahead of the clock.
pub(super) fn ledger(meant: &Meant, now: Moment) -> Vec<Finding> {
    let dir = meant.data_dir.join(LEDGER_DIR);
    if !dir.join("wal").is_dir() {
        return vec![Finding::fine("ledger", "none yet: the first start begins it")];
    }
    vec![held(&dir), whole(&dir, now)]
}

fn held(dir: &Path) -> Finding {
    let lock = dir.join("wal").join("lock");
    let opened = match File::open(&lock) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Finding::fine("ledger lock", "free");
        }
        Err(error) => {
            return Finding::wrong("ledger lock", error.to_string(), "run as the user that serves");
        }
    };
    // The lock is let go when `opened` is dropped, at the end of this function.
    match opened.try_lock() {
        Ok(()) => Finding::fine("ledger lock", "free"),
        Err(TryLockError::WouldBlock) => Finding::fine("ledger lock", "held: a server runs on this data folder"),
        Err(TryLockError::Error(error)) => {
            Finding::wrong("ledger lock", error.to_string(), "keep the data folder on a local disk")
        }
    }
}

fn whole(dir: &Path, now: Moment) -> Finding {
    let about = "ledger";
    match crate::commands::ledger::last_entry(dir) {
        Err(error) => Finding::wrong(
            about,
            format!("{error:#}"),
            "do not start it; keep a copy of the folder and run `exeat ledger verify`",
        ),
        Ok(None) => Finding::fine(about, "empty"),
        Ok(Some(last)) if last.since(now) > CLOCK_TOLERANCE => Finding::wrong(
            "clock",
            format!("says {now}, but the ledger's last entry is of {last}"),
            "set the clock: the ledger does not open while it is behind",
        ),
        Ok(Some(last)) => {
            Finding::fine(about, format!("readable; the last entry is of {last}, and the clock is not behind it"))
        }
    }
}

/// Looks whether the process may open as many files as the configured connections need.
pub(super) fn open_files(meant: &Meant) -> Finding {
    let about = "open files";
    // One descriptor for each client, one towards its upstream, and a few for the rest.
    let wanted = meant.settings.limits.connections.saturating_mul(2).saturating_add(256) as u64;
    match fs::read_to_string("/proc/self/limits").ok().and_then(|text| soft_limit(&text)) {
        None => Finding::caution(about, "the limit is unknown", format!("see that `ulimit -n` is at least {wanted}")),
        Some(limit) if limit < wanted => {
            let mend = format!(
                "raise it: `ulimit -n {wanted}`, or LimitNOFILE={wanted} in the unit; or lower `server.limits.connections`"
            );
            Finding::caution(about, format!("{limit} allowed, {wanted} needed at full load"), mend)
        }
        Some(limit) => Finding::fine(about, format!("{limit} allowed, {wanted} needed at full load")),
    }
}

fn soft_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    match line.split_whitespace().nth(3)? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// Looks whether every server of every model can be reached and its credential be read.
pub(super) fn upstreams(meant: &Meant) -> Vec<Finding> {
    let mut findings = Vec::new();
    for upstream in &meant.settings.upstreams {
        for endpoint in &upstream.endpoints {
            findings.push(reach(&format!("upstream {} {}", upstream.model, endpoint.url), &endpoint.url));
            findings.extend(credential(endpoint));
        }
    }
    findings
}

fn reach(about: &str, url: &str) -> Finding {
    let Some(target) = host_and_port(url) else {
        return Finding::wrong(about, "the URL names no host", "write `https://host` or `http://host:port`");
    };
    let found = match target.to_socket_addrs() {
        Ok(found) => found,
        Err(error) => {
            return Finding::wrong(
                about,
                format!("the name does not resolve: {error}"),
                "correct the URL, or mend the name server",
            );
        }
    };
    let mut last = "no address".to_owned();
    for address in found {
        match TcpStream::connect_timeout(&address, Duration::from_secs(3)) {
            Ok(_) => return Finding::fine(about, format!("reached at {address}")),
            Err(error) => last = error.to_string(),
        }
    }
    Finding::wrong(about, format!("cannot be reached: {last}"), "start it, correct the URL, or open the way to it")
}

fn host_and_port(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next().filter(|authority| !authority.is_empty())?;
    let named = authority.rsplit(']').next().is_some_and(|tail| tail.contains(':'));
    let port = if scheme == "https" { 443 } else { 80 };
    Some(if named { authority.to_owned() } else { format!("{authority}:{port}") })
}

fn credential(endpoint: &EndpointSettings) -> Option<Finding> {
    if let Some(name) = &endpoint.api_key_env {
        let about = format!("upstream key ${name}");
        return Some(match env::var_os(name).is_some_and(|value| !value.is_empty()) {
            true => Finding::fine(about, "set"),
            false => Finding::wrong(about, "not set in this environment", "set it where the server is started"),
        });
    }
    endpoint.api_key_file.as_ref().map(key_file)
}

fn key_file(file: &PathBuf) -> Finding {
    match fs::read_to_string(file) {
        Err(error) => Finding::wrong(
            format!("upstream key {}", file.display()),
            error.to_string(),
            "correct `api_key_file`, or let this user read it",
        ),
        Ok(text) if text.trim().is_empty() => {
            Finding::wrong(format!("upstream key {}", file.display()), "empty", "put the server's API key into it")
        }
        Ok(_) => secret(file).unwrap_or_else(|| Finding::fine(format!("upstream key {}", file.display()), "readable")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Grade;

    #[test]
    fn a_port_in_use_by_something_else_is_wrong_and_a_free_one_fine() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let held = std::thread::spawn(move || {
            // Accepts the doctor's question and answers nothing a web server would.
            let (stream, _) = taken.accept().unwrap();
            drop(stream);
            taken
        });
        let finding = listener("server.listen", address);
        assert_eq!(finding.grade, Grade::Wrong);
        assert!(finding.mend.contains("server.listen"), "{finding:?}");
        drop(held.join().unwrap());
        assert_eq!(listener("server.listen", "127.0.0.1:0".parse().unwrap()).grade, Grade::Fine);
    }

    #[test]
    fn a_data_folder_that_others_can_look_into_is_named_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let token = dir.path().join(secrets::TOKEN);
        fs::write(&token, "x").unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let grades: Vec<_> = data_folder(dir.path()).into_iter().map(|finding| finding.grade).collect();
        assert_eq!(grades, [Grade::Caution, Grade::Wrong]);
        assert_eq!(fs::metadata(&token).unwrap().permissions().mode() & 0o777, 0o644);
    }

    #[test]
    fn a_data_folder_that_is_absent_is_no_fault_and_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let absent = dir.path().join("none");
        assert_eq!(data_folder(&absent).first().map(|finding| finding.grade), Some(Grade::Caution));
        assert!(!absent.exists());
    }

    #[test]
    fn an_upstream_that_nobody_serves_is_wrong_and_says_why() {
        let finding = reach("upstream", "http://127.0.0.1:1");
        assert_eq!(finding.grade, Grade::Wrong);
        assert!(finding.found.contains("cannot be reached"), "{finding:?}");
    }

    #[test]
    fn the_host_and_port_of_a_url_are_found() {
        assert_eq!(host_and_port("https://a.example/x").as_deref(), Some("a.example:443"));
        assert_eq!(host_and_port("http://[::1]").as_deref(), Some("[::1]:80"));
        assert_eq!(host_and_port("http://[::1]:90/v").as_deref(), Some("[::1]:90"));
    }

    #[test]
    fn free_space_and_the_open_file_limit_are_read() {
        assert!(free_mib(Path::new("/")).is_some_and(|free| free > 0));
        assert_eq!(soft_limit("Max open files            1024                 4096                 files"), Some(1024));
        assert_eq!(soft_limit("nothing"), None);
    }
}
