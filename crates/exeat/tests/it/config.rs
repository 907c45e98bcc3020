//! Configurations and folders with which there is nothing to serve.

#![expect(clippy::unwrap_used, reason = "parts of a test")]

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
};

use crate::world::{Mount, World, finding, said};

/// Writes a configuration with `old` replaced by `new`, and returns the number of the first line that differs.
fn spoil(world: &World, old: &str, new: &str) -> usize {
    fs::create_dir_all(&world.setup.dir).unwrap();
    let good = world.setup.config();
    let bad = good.replacen(old, new, 1);
    world.setup.write(&bad).unwrap();
    let differs = good.lines().zip(bad.lines()).position(|(a, b)| a != b);
    differs.unwrap() + 1
}

/// Starts a server that must not serve; returns its exit code and what it said.
fn refused(world: &World) -> (Option<i32>, String) {
    let output = world.setup.command("serve").output().unwrap();
    (output.status.code(), said(&output))
}

#[test]
fn a_configuration_with_a_fault_is_named_with_file_line_and_key_and_nothing_is_touched() {
    for (old, new, key) in [
        ("workers = 1", "workers = ", ""),
        ("workers = 1", "workers = \"two\"", "server.workers"),
        ("workers = 1", "wrokers = 1", "server.wrokers"),
        ("clearance = \"attested\"", "clearance = \"high\"", "models[0].clearance"),
        ("http://", "gopher://", "models[0].endpoints[0].url"),
    ] {
        let world = World::new();
        let line = spoil(&world, old, new);
        let (code, said) = refused(&world);
        let place = format!("{}:{line}: {key}", world.setup.file().display());
        assert!(said.contains(&place), "{new}: {said}");
        assert_eq!(code, Some(2), "{said}");
        assert!(!world.setup.dir.join("data").exists());
        let findings = world.doctor();
        assert_eq!(finding(&findings, "configuration")["grade"], "wrong", "{findings:?}");
    }
}

#[test]
fn a_missing_configuration_says_how_to_write_one() {
    let world = World::new();
    let (code, said) = refused(&world);
    assert_eq!(code, Some(2));
    assert!(said.contains("exeat init"), "{said}");
}

#[test]
fn a_second_server_on_the_same_folder_is_refused_and_the_first_serves_on() {
    let world = World::new();
    let first = world.setup.start().unwrap();
    let (old, new) = (world.setup.address.to_string(), world.setup.admin.to_string());
    let other = World::new();
    let elsewhere = world
        .setup
        .config()
        .replace(&old, &other.setup.address.to_string())
        .replace(&new, &other.setup.admin.to_string());
    world.setup.write(&elsewhere).unwrap();
    let (code, said) = refused(&world);
    assert_eq!(code, Some(1));
    assert!(said.contains("another process holds the log in") && said.contains("stop it first"), "{said}");
    world.setup.write(&world.setup.config()).unwrap();
    assert_eq!(finding(&world.doctor(), "ledger lock")["found"], "held: a server runs on this data folder");
    first.lab().unwrap();
    assert!(first.terminate().unwrap().success());
}

#[test]
fn an_address_in_use_is_named_and_the_ledger_is_left_in_good_order() {
    let world = World::new();
    let taken = std::net::TcpListener::bind(world.setup.address).unwrap();
    fs::create_dir_all(&world.setup.dir).unwrap();
    world.setup.write(&world.setup.config()).unwrap();
    let (code, said) = refused(&world);
    assert_eq!(code, Some(1));
    assert!(said.contains(&world.setup.address.to_string()), "{said}");
    let findings = world.doctor();
    let found = finding(&findings, "server.listen");
    assert_eq!(found["grade"], "wrong", "{found}");
    drop(taken);
    assert!(world.setup.start().unwrap().terminate().unwrap().success());
    assert_eq!(world.verify().unclean_starts, 0);
}

#[test]
fn a_data_folder_that_cannot_be_written_is_named() {
    let world = World::new();
    let data = world.setup.dir.join("data");
    // Root may write wherever it likes, except on a file system that takes no writes.
    let Some(mount) = Mount::new(&data, 32) else {
        fs::set_permissions(&data, Permissions::from_mode(0o500)).unwrap();
        return names_folder(&world);
    };
    mount.read_only();
    names_folder(&world);
}

fn names_folder(world: &World) {
    world.setup.write(&world.setup.config()).unwrap();
    let (code, said) = refused(world);
    let data = world.setup.dir.join("data");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&data.display().to_string()), "{said}");
    let why = ["Read-only", "ermission denied"].map(|why| said.contains(why));
    assert_ne!(why, [false, false], "{said}");
}
