//! What is sealed opens for its person and purpose, and for nobody once the person is forgotten.

use std::{fs, os::unix::fs::PermissionsExt};

use control::{Document, Fault, FederatedChange, Source};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::world::World;

fn person(id: &str) -> PersonId {
    PersonId::parse(id).unwrap()
}

fn vault() -> (TempDir, Vault) {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(folder.path()).unwrap();
    (folder, vault)
}

#[test]
fn a_value_opens_for_its_person_and_purpose_only_and_after_a_restart() {
    let (folder, vault) = vault();
    let sealed = vault.seal(&person("ada"), "mail", "ada@example.com").unwrap();
    assert!(!sealed.contains("ada"));
    vault.seal(&person("bob"), "mail", "bob@example.com").unwrap();
    drop(vault);
    let vault = Vault::open(folder.path()).unwrap();
    assert_eq!(vault.open_sealed(&person("ada"), "mail", &sealed).unwrap().as_str(), "ada@example.com");
    assert!(matches!(vault.open_sealed(&person("bob"), "mail", &sealed), Err(VaultFault::Sealed(_))));
    assert!(matches!(vault.open_sealed(&person("ada"), "name", &sealed), Err(VaultFault::Sealed(_))));
    assert!(matches!(vault.open_sealed(&person("eve"), "mail", &sealed), Err(VaultFault::Sealed(_))));
}

#[test]
fn a_value_that_was_changed_anywhere_does_not_open() {
    let (_folder, vault) = vault();
    let sealed = vault.seal(&person("ada"), "mail", "x").unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(&sealed[PREFIX.len()..]).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let changed = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(changed));
        assert!(vault.open_sealed(&person("ada"), "mail", &changed).is_err(), "byte {at}");
    }
    for text in ["", "v1.", "v1.AAAA", "v2.AAAA", &sealed[1..], &format!("{sealed}A")] {
        assert!(vault.open_sealed(&person("ada"), "mail", text).is_err(), "{text}");
    }
}

#[test]
fn the_same_value_seals_differently_each_time() {
    let (_folder, vault) = vault();
    let seal = || vault.seal(&person("ada"), "mail", "ada@example.com").unwrap();
    assert_ne!(seal(), seal());
}

#[test]
fn what_was_sealed_for_somebody_who_was_forgotten_is_unreadable_for_good() {
    let (folder, vault) = vault();
    let of_ada = vault.seal(&person("ada"), "mail", "ada@example.com").unwrap();
    let of_bob = vault.seal(&person("bob"), "mail", "bob@example.com").unwrap();
    let wrapped = vault.keyring.wrapped(&person("ada")).unwrap().unwrap();
    vault.destroy(&person("ada")).unwrap();
    vault.destroy(&person("ada")).unwrap();
    vault.destroy(&person("eve")).unwrap();
    drop(vault);
    let vault = Vault::open(folder.path()).unwrap();
    for forgotten in ["ada", "eve"] {
        let again = vault.seal(&person(forgotten), "mail", "x");
        assert!(matches!(again, Err(VaultFault::Forgotten(_))), "{forgotten}");
    }
    assert!(matches!(vault.open_sealed(&person("ada"), "mail", &of_ada), Err(VaultFault::Forgotten(_))));
    assert_eq!(vault.open_sealed(&person("bob"), "mail", &of_bob).unwrap().as_str(), "bob@example.com");
    for file in fs::read_dir(folder.path()).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(wrapped.len()).any(|window| window == wrapped), "the key is still on disk");
    }
}

#[test]
fn a_master_key_that_is_missing_or_cut_is_never_replaced() {
    let (folder, vault) = vault();
    vault.seal(&person("ada"), "mail", "x").unwrap();
    drop(vault);
    let file = folder.path().join("vault.key");
    let key = fs::read(&file).unwrap();
    fs::write(&file, &key[..31]).unwrap();
    assert!(matches!(Vault::open(folder.path()), Err(VaultFault::MasterSize(_))));
    fs::remove_file(&file).unwrap();
    assert!(matches!(Vault::open(folder.path()), Err(VaultFault::MasterGone(_))));
    assert!(!file.exists());
}

#[test]
fn the_files_of_the_vault_are_private() {
    let (folder, _vault) = vault();
    for name in ["vault.key", "vault.db"] {
        let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_term_is_the_same_for_the_same_value_and_vault_and_different_for_any_other() {
    let (_folder, here) = vault();
    let (_other_folder, there) = vault();
    assert_eq!(here.term("mail", "ada@example.com"), here.term("mail", "ada@example.com"));
    assert_eq!(here.term("mail", "ada@example.com").len(), 43);
    assert_ne!(here.term("mail", "ada@example.com"), here.term("name", "ada@example.com"));
    assert_ne!(here.term("ab", "c"), here.term("a", "bc"));
    assert_ne!(here.term("mail", "ada@example.com"), there.term("mail", "ada@example.com"));
}

#[test]
fn a_value_that_is_too_long_is_refused() {
    let (_folder, vault) = vault();
    let long = "x".repeat(MAX_PLAIN + 1);
    assert!(matches!(vault.seal(&person("ada"), "mail", &long), Err(VaultFault::TooLong)));
    assert!(vault.seal(&person("ada"), "mail", &long[1..]).is_ok());
}

#[test]
fn many_threads_that_seal_first_for_one_person_agree_on_the_key() {
    let (_folder, vault) = vault();
    let sealed: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| vault.seal(&person("ada"), "x", "y").unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(sealed.iter().all(|sealed| vault.open_sealed(&person("ada"), "x", sealed).is_ok()));
}

#[test]
fn a_commitment_is_opened_by_its_opening_only_and_differs_each_time() {
    let (one, opening) = Vault::commit("passport").unwrap();
    let (other, _) = Vault::commit("passport").unwrap();
    assert_ne!(one, other);
    assert_eq!(commitment(&opening), one);
    assert_eq!(&opening[43..], "passport");
    assert_ne!(commitment("passport"), one);
}

#[tokio::test]
async fn a_person_is_forgotten_once_their_access_is_withdrawn_and_that_is_on_record() {
    let (world, (_folder, vault)) = (World::new(), vault());
    let (federation, ada) = (world.federation(), person("ada"));
    let sealed = vault.seal(&ada, "verified_claims", "citizen of Freedonia").unwrap();
    let document = |collection: &str| {
        let (collection, id, terms) = (collection.to_owned(), "1".to_owned(), Vec::new());
        FederatedChange::Document(Document { collection, id, owner: Some(ada.clone()), terms, body: sealed.clone() })
    };
    let kept = vec![document("evidence"), document("wallet.credential")];
    federation.commit(&Source::own("test"), |_| Ok(kept)).unwrap();
    let refused = vault.forget(&federation, &ada).unwrap_err();
    assert!(matches!(&refused, Fault::Conflict(why) if why.contains("withdraw their access first")), "{refused}");
    assert!(vault.open_sealed(&ada, "verified_claims", &sealed).is_ok());
    world.admin("PATCH /admin/v1/people/ada", json!({ "active": false })).await;
    vault.forget(&federation, &ada).unwrap();
    vault.forget(&federation, &ada).unwrap();
    assert!(matches!(vault.open_sealed(&ada, "verified_claims", &sealed), Err(VaultFault::Forgotten(_))));
    assert_eq!(Vault::forgotten(&federation).unwrap(), [(ada.clone(), world.now())]);
    let left = federation.read(|view| view.documents_of(&ada)).unwrap();
    let left: Vec<&str> = left.iter().map(|document| document.collection.as_str()).collect();
    assert_eq!(left, ["vault.forgotten", "wallet.credential"], "what is not sealed stays");
    assert!(matches!(vault.forget(&federation, &person("nobody")), Err(Fault::NotFound { .. })));
}
