//! What an auditor has to trust besides our own text: no crate that talks to a network is in the program.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

/// Crates that open sockets, or run what does, and those of TLS and name resolution.
const NETWORK: [&str; 26] = [
    "async-io",
    "async-std",
    "attohttpc",
    "axum",
    "curl",
    "h2",
    "h3",
    "hickory-resolver",
    "hyper",
    "isahc",
    "mio",
    "native-tls",
    "nix",
    "openssl",
    "quinn",
    "reqwest",
    "ring",
    "rustix",
    "rustls",
    "smol",
    "socket2",
    "tokio",
    "tonic",
    "trust-dns-resolver",
    "tungstenite",
    "ureq",
];
/// So many packages are in the program at most, those that only make code while it is built among them.
const PACKAGES_MAX: usize = 100;
/// The crates of this workspace in it.
const OURS: [&str; 4] = ["policy", "proof", "terms", "verifier"];

/// The names of all packages that the program is built from, without those of its tests.
fn packages() -> BTreeSet<String> {
    let tree = [
        "tree",
        "--package",
        "verifier",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{lib}",
        "--locked",
        "--offline",
    ];
    let output = Command::new(env!("CARGO")).args(tree).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split_whitespace().next()).map(|name| name.replace('_', "-")).collect()
}

#[test]
fn no_crate_that_talks_to_a_network_is_in_the_program() {
    let packages = packages();
    assert!(OURS.iter().all(|ours| packages.contains(*ours)), "{packages:?}");
    let found: Vec<_> = NETWORK.iter().filter(|name| packages.contains(**name)).collect();
    assert!(found.is_empty(), "{found:?} of {packages:?}");
    assert!(packages.len() <= PACKAGES_MAX, "{} packages: {packages:?}", packages.len());
}

#[test]
fn our_own_text_opens_no_socket_and_runs_no_program() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = 0;
    for ours in OURS {
        let mut folders = vec![crates.join(ours).join("src")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                    continue;
                }
                let text = fs::read_to_string(entry.path()).unwrap();
                for word in ["std::net", "os::unix::net", "TcpStream", "UdpSocket", "process::Command"] {
                    assert!(!text.contains(word), "`{word}` in {}", entry.path().display());
                }
                files += 1;
            }
        }
    }
    assert!(files > 50, "only {files} files were looked at");
}
