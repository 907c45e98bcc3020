//! Channels, accounts, sessions, messages, documents and reviews in the registry.

use identity::SessionEnd;
use rusqlite::{OptionalExtension, Transaction, params};
use terms::{Account, Channel, ChannelId, OrganizationId, PersonId, SubjectName};

use super::{Page, Store, StoreError, json, put_plain, signed, sqlite, unsigned};
use crate::{
    federation::{Document, Review},
    record::{AccountRecord, Heard, SignalRecord},
};

impl Store {
    pub(crate) fn channel(&self, id: &ChannelId) -> Result<Option<Channel>, StoreError> {
        self.get("channel", id.as_str())
    }

    pub(crate) fn channels(&self, page: &Page) -> Result<Vec<Channel>, StoreError> {
        self.list("channel", None, page)
    }

    pub(crate) fn reviews(&self, page: &Page) -> Result<Vec<Review>, StoreError> {
        self.list("review", None, page)
    }

    pub(crate) fn review(&self, id: &str) -> Result<Option<Review>, StoreError> {
        self.get("review", id)
    }

    pub(crate) fn session_ends(&self) -> Result<Vec<SessionEnd>, StoreError> {
        self.bodies("session_end", "SELECT body FROM session_end", &[])
    }

    pub(crate) fn has_session_end(&self, channel: &ChannelId, session: &SubjectName) -> Result<bool, StoreError> {
        let sql = "SELECT body FROM session_end WHERE channel = ?1 AND session = ?2";
        let found: Vec<SessionEnd> = self.bodies("session_end", sql, &[&channel.as_str(), &session.as_str()])?;
        Ok(!found.is_empty())
    }

    pub(crate) fn account(
        &self,
        channel: &ChannelId,
        subject: &SubjectName,
    ) -> Result<Option<AccountRecord>, StoreError> {
        let sql = "SELECT body FROM account WHERE channel = ?1 AND subject = ?2";
        let found = self.bodies("account", sql, &[&channel.as_str(), &subject.as_str()])?;
        Ok(found.into_iter().next())
    }

    /// Returns the accounts at one source whose subject is this one but for case, in order of subject. Reads the subjects of
    /// the whole source, and the accounts of those only whose subject is equal but for ASCII case or is not ASCII.
    pub(crate) fn accounts_called(&self, channel: &ChannelId, subject: &str) -> Result<Vec<AccountRecord>, StoreError> {
        let sql = "SELECT body FROM account WHERE channel = ?1
             AND (subject = ?2 COLLATE NOCASE OR length(subject) <> length(CAST(subject AS BLOB))) ORDER BY subject";
        let folded = subject.to_lowercase();
        let found: Vec<AccountRecord> = self.bodies("account", sql, &[&channel.as_str(), &folded])?;
        Ok(found.into_iter().filter(|found| found.account.subject.as_str().to_lowercase() == folded).collect())
    }

    /// Returns the accounts of a person, in order of channel and subject.
    pub(super) fn accounts_of(&self, person: &PersonId) -> Result<Vec<Account>, StoreError> {
        let sql = "SELECT body FROM account WHERE person = ?1 ORDER BY channel, subject";
        let found: Vec<AccountRecord> = self.bodies("account", sql, &[&person.as_str()])?;
        Ok(found.into_iter().map(|record| record.account).collect())
    }

    /// Returns the organizations that accounts of a person are or were of, whatever became of them.
    pub(crate) fn account_organizations(&self, person: &PersonId) -> Result<Vec<OrganizationId>, StoreError> {
        let sql = "SELECT json_quote(organization) FROM account_organization WHERE person = ?1 ORDER BY organization";
        self.bodies("account_organization", sql, &[&person.as_str()])
    }

    /// Returns the accounts at one source, in order of subject.
    pub(crate) fn accounts(&self, channel: &ChannelId, page: &Page) -> Result<Vec<AccountRecord>, StoreError> {
        let sql = "SELECT body FROM account WHERE channel = ?1 AND subject > ?2 ORDER BY subject LIMIT ?3";
        self.bodies("account", sql, &[&channel.as_str(), &page.after, &page.limit])
    }

    /// Returns everybody who acts or acted for an organization, in order of id.
    pub(crate) fn people_of(&self, organization: &OrganizationId, page: &Page) -> Result<Vec<PersonId>, StoreError> {
        let sql = "SELECT DISTINCT json_quote(person) FROM affiliation WHERE organization = ?1 AND person > ?2
             ORDER BY person LIMIT ?3";
        self.bodies("affiliation", sql, &[&organization.as_str(), &page.after, &page.limit])
    }

    /// Returns the entry that a message was taken in with, if it was.
    pub(crate) fn message(&self, channel: &ChannelId, message: &str) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT entry FROM message WHERE channel = ?1 AND message = ?2";
        self.db
            .query_row(sql, [channel.as_str(), message], |row| row.get(0).map(unsigned))
            .optional()
            .map_err(sqlite("look up a message"))
    }

    pub(crate) fn document(&self, collection: &str, id: &str) -> Result<Option<Document>, StoreError> {
        let sql = "SELECT body FROM document WHERE collection = ?1 AND id = ?2";
        Ok(self.bodies("document", sql, &[&collection, &id])?.into_iter().next())
    }

    /// Returns documents in order of id.
    pub(crate) fn documents(&self, collection: &str, page: &Page) -> Result<Vec<Document>, StoreError> {
        let sql = "SELECT body FROM document WHERE collection = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
        self.bodies("document", sql, &[&collection, &page.after, &page.limit])
    }

    /// Returns the documents about a person, in order of collection and id.
    pub(crate) fn documents_of(&self, owner: &PersonId) -> Result<Vec<Document>, StoreError> {
        let sql = "SELECT body FROM document WHERE owner = ?1 ORDER BY collection, id";
        self.bodies("document", sql, &[&owner.as_str()])
    }

    /// Returns the documents that have a look-up word, in order of id.
    pub(crate) fn documents_with(&self, collection: &str, term: &str) -> Result<Vec<Document>, StoreError> {
        let sql = "SELECT body FROM document AS d WHERE collection = ?1 AND EXISTS
             (SELECT 1 FROM document_term WHERE collection = ?1 AND term = ?2 AND id = d.id) ORDER BY id";
        self.bodies("document", sql, &[&collection, &term])
    }

    /// Counts the documents that have a look-up word.
    pub(crate) fn count_documents_with(&self, collection: &str, term: &str) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM document_term WHERE collection = ?1 AND term = ?2";
        let counted = self.db.query_row(sql, [collection, term], |row| row.get(0).map(unsigned));
        counted.map_err(sqlite("count documents"))
    }
}

pub(super) fn put_account(tx: &Transaction<'_>, index: u64, body: &AccountRecord) -> rusqlite::Result<()> {
    let account = &body.account;
    tx.execute(
        "INSERT OR REPLACE INTO account VALUES (?1, ?2, ?3, ?4, ?5)",
        params![account.channel.as_str(), account.subject.as_str(), body.person.as_str(), json(body)?, signed(index)],
    )?;
    put_organization(tx, body)
}

/// Takes note of whose account it is or was, and of which organization; this stays when the account goes.
fn put_organization(tx: &Transaction<'_>, body: &AccountRecord) -> rusqlite::Result<()> {
    let Some(organization) = &body.account.organization else { return Ok(()) };
    let sql = "INSERT OR IGNORE INTO account_organization VALUES (?1, ?2)";
    tx.execute(sql, [body.person.as_str(), organization.as_str()]).map(drop)
}

/// Removes an account. A registry made again may never have had it: what gave it may have been destroyed.
pub(super) fn remove_account(tx: &Transaction<'_>, body: &AccountRecord) -> rusqlite::Result<()> {
    let account = &body.account;
    put_organization(tx, body)?;
    tx.execute(
        "DELETE FROM account WHERE channel = ?1 AND subject = ?2 AND person = ?3",
        [account.channel.as_str(), account.subject.as_str(), body.person.as_str()],
    )
    .map(drop)
}

pub(super) fn put_session_end(tx: &Transaction<'_>, index: u64, body: &SessionEnd) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT OR IGNORE INTO session_end VALUES (?1, ?2, ?3, ?4)",
        params![body.channel.as_str(), body.session.as_str(), json(body)?, signed(index)],
    )
    .map(drop)
}

pub(super) fn put_message(tx: &Transaction<'_>, index: u64, signal: &SignalRecord) -> rusqlite::Result<()> {
    let Some((channel, message)) = &signal.message else {
        return Ok(());
    };
    tx.execute("INSERT OR IGNORE INTO message VALUES (?1, ?2, ?3)", params![channel.as_str(), message, signed(index)])
        .map(drop)
}

pub(super) fn put_heard(tx: &Transaction<'_>, index: u64, heard: &Heard) -> rusqlite::Result<()> {
    let sql = "SELECT body FROM channel WHERE id = ?1";
    let body: Option<String> = tx.query_row(sql, [heard.channel.as_str()], |row| row.get(0)).optional()?;
    let known = body.and_then(|body| serde_json::from_str::<Channel>(&body).ok());
    match known.filter(|known| known.heard_at < heard.at) {
        Some(known) => {
            put_plain(tx, "channel", heard.channel.as_str(), &Channel { heard_at: heard.at, ..known }, index)
        }
        None => Ok(()),
    }
}

pub(super) fn put_document(tx: &Transaction<'_>, index: u64, body: &Document) -> rusqlite::Result<()> {
    let owner = body.owner.as_ref().map(PersonId::as_str);
    tx.execute(
        "INSERT INTO document VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (collection, id) DO UPDATE
         SET owner = excluded.owner, body = excluded.body, entry = excluded.entry",
        params![body.collection, body.id, owner, json(body)?, signed(index)],
    )?;
    tx.execute("DELETE FROM document_term WHERE collection = ?1 AND id = ?2", [&body.collection, &body.id])?;
    let mut put = tx.prepare("INSERT OR IGNORE INTO document_term VALUES (?1, ?2, ?3)")?;
    body.terms.iter().try_for_each(|term| put.execute([&body.collection, term, &body.id]).map(drop))
}

pub(super) fn remove_document(tx: &Transaction<'_>, collection: &str, id: &str) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM document WHERE collection = ?1 AND id = ?2", [collection, id]).map(drop)
}

#[cfg(test)]
mod tests {
    use terms::AccountState;

    use super::*;
    use crate::record::Record;

    #[test]
    fn the_organization_of_an_account_is_known_from_the_end_of_the_account_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let (person, organization): (PersonId, OrganizationId) =
            ("ada".parse().unwrap(), "larkspur-labs".parse().unwrap());
        let account = Account {
            channel: "larkspur-hr".parse().unwrap(),
            subject: "4711".parse().unwrap(),
            organization: Some(organization.clone()),
            state: AccountState::Active,
            sessions_end: None,
        };
        let gone = Record::AccountGone(AccountRecord { person: person.clone(), account });
        store.apply(7, "channel:larkspur-hr", &gone).unwrap();
        assert_eq!(store.account_organizations(&person).unwrap(), [organization]);
    }
}
