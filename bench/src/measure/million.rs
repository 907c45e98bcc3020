//! A directory of a million people, the fast way.

use std::path::Path;

use anyhow::Context;
use rusqlite::{Connection, params};
use testkit::server::Server;

/// The person that is copied. No other text of a row may contain this.
const MODEL: &str = "model-person-of-many";

/// Makes a person through the admin API who is to be copied by [`fill`].
///
/// # Errors
///
/// The admin API's.
pub(super) fn add_model(server: &Server) -> anyhow::Result<()> {
    server.person(MODEL, true).map(drop)
}

/// Returns the id of a copy, from 1 on.
pub(super) fn id(copy: u32) -> String {
    format!("{MODEL}{copy}")
}

/// Copies the model so often in the registry of a server that is stopped: the person, each attestation and each
/// affiliation, but no key. The rows are those that the admin API itself wrote, with other ids, so that the next start
/// reads them as any other; what is missing are the entries of the ledger, which a start does not read again.
///
/// # Errors
///
/// The registry cannot be written, or has another form.
pub(super) fn fill(data: &Path, people: u32) -> anyhow::Result<()> {
    let path = data.join("registry.sqlite3");
    let mut db = Connection::open(&path).with_context(|| format!("cannot open `{}`", path.display()))?;
    db.pragma_update(None, "synchronous", "OFF")?;
    let tx = db.transaction()?;
    tx.execute_batch("CREATE TEMP TABLE turn (n INTEGER PRIMARY KEY)")?;
    tx.execute(
        "WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < ?1)
         INSERT INTO turn SELECT n FROM counted",
        [people],
    )?;
    for table in ["person", "attestation", "affiliation"] {
        copy(&tx, table).with_context(|| format!("cannot fill table `{table}`"))?;
    }
    tx.commit()?;
    Ok(())
}

/// `table` is one of our own names.
fn copy(db: &Connection, table: &str) -> rusqlite::Result<()> {
    let (owner, columns) = match table {
        "person" => ("id", "replace(id, ?1, ?1 || turn.n)"),
        "attestation" => ("person", "id || '-' || turn.n, ?1 || turn.n, supersedes"),
        _ => ("person", "id || '-' || turn.n, ?1 || turn.n, organization"),
    };
    let body = match table {
        "person" => "replace(body, ?1, ?1 || turn.n)",
        _ => "json_set(body, '$.id', id || '-' || turn.n, '$.person', ?1 || turn.n)",
    };
    let sql = format!(
        "INSERT INTO {table} SELECT {columns}, {body}, entry
         FROM turn CROSS JOIN {table} WHERE {owner} = ?1"
    );
    db.execute(&sql, params![MODEL]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The schema as the product makes it, with the model and another person.
    fn registry(data: &Path) -> Connection {
        let db = Connection::open(data.join("registry.sqlite3")).unwrap();
        db.execute_batch(include_str!("../../../crates/control/src/store/schema-1.sql")).unwrap();
        db.execute_batch("INSERT INTO organization VALUES ('lab', '{}', 1)").unwrap();
        for (person, at) in [(MODEL, 1), ("ada", 2)] {
            let body = format!(r#"{{"id":"{person}","display_name":"{person}","active":true}}"#);
            db.execute("INSERT INTO person VALUES (?1, ?2, ?3)", params![person, body, at]).unwrap();
            for id in [format!("a{at}"), format!("b{at}")] {
                let body = format!(r#"{{"id":"{id}","person":"{person}","supersedes":null}}"#);
                let row = params![id, person, body, at];
                db.execute("INSERT INTO attestation VALUES (?1, ?2, NULL, ?3, ?4)", row).unwrap();
            }
            let body = format!(r#"{{"id":"f{at}","person":"{person}"}}"#);
            let row = params![format!("f{at}"), person, body, at];
            db.execute("INSERT INTO affiliation VALUES (?1, ?2, 'lab', ?3, ?4)", row).unwrap();
        }
        db
    }

    fn rows(db: &Connection, sql: &str) -> Vec<String> {
        db.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn every_copy_has_what_the_model_has_under_its_own_ids_and_nobody_else_is_copied() {
        let data = tempfile::tempdir().unwrap();
        let db = registry(data.path());
        fill(data.path(), 3).unwrap();
        let people = rows(&db, "SELECT id FROM person ORDER BY id");
        assert_eq!(people, ["ada".to_owned(), MODEL.to_owned(), id(1), id(2), id(3)]);
        for table in ["attestation", "affiliation"] {
            let sql = format!(
                "SELECT DISTINCT person FROM {table} WHERE id = body ->> '$.id' AND person = body ->> '$.person' ORDER BY 1"
            );
            assert_eq!(rows(&db, &sql), people, "{table}");
        }
        let second = rows(&db, &format!("SELECT body FROM attestation WHERE person = '{}' ORDER BY id", id(2)));
        assert_eq!(second.len(), 2);
        assert_eq!(second[0], format!(r#"{{"id":"a1-2","person":"{}","supersedes":null}}"#, id(2)));
    }

    #[test]
    fn a_registry_of_another_form_is_an_error_that_names_the_table() {
        let data = tempfile::tempdir().unwrap();
        let error = fill(data.path(), 3).unwrap_err();
        assert!(error.to_string().contains("table `person`"), "{error}");
    }
}
