//! What the registry answers.

use identity::KeyRecord;
use policy::SnapshotDocument;
use rusqlite::{OptionalExtension, Row, ToSql, params};
use serde::de::DeserializeOwned;
use terms::{
    Affiliation, AffiliationId, Attestation, AttestationId, InstrumentId, KeyId, Organization, OrganizationId, Person,
    PersonId, Workload, WorkloadId,
};

use super::{Store, StoreError, signed, sqlite, unsigned};
use crate::{
    instrument::{Instrument, InstrumentKind},
    record::PersonRecord,
    token::TokenRecord,
};

/// One page of a list in order of id.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// The last id of the page before; empty for the first page.
    pub(crate) after: String,
    /// At most this many.
    pub(crate) limit: u32,
}

impl Page {
    /// Everything at once; for loading and for lists that are bounded elsewhere.
    pub(crate) const ALL: Self = Self { after: String::new(), limit: u32::MAX };
}

/// Keeps only the rows whose column, one of our own names, has this value.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) column: &'static str,
    pub(crate) value: String,
}

/// One version of an instrument with what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Filed {
    pub(crate) instrument: Instrument,
    pub(crate) applied: bool,
    /// The entry that filed or applied it.
    pub(crate) entry: u64,
    /// Who filed it, if it was filed before it was applied.
    pub(crate) proposer: Option<String>,
}

impl Store {
    pub(crate) fn organization(&self, id: &OrganizationId) -> Result<Option<Organization>, StoreError> {
        self.get("organization", id.as_str())
    }

    pub(crate) fn organizations(&self, page: &Page) -> Result<Vec<Organization>, StoreError> {
        self.list("organization", None, page)
    }

    pub(crate) fn workload(&self, id: &WorkloadId) -> Result<Option<Workload>, StoreError> {
        self.get("workload", id.as_str())
    }

    pub(crate) fn workloads(&self, page: &Page) -> Result<Vec<Workload>, StoreError> {
        self.list("workload", None, page)
    }

    pub(crate) fn key(&self, id: &KeyId) -> Result<Option<KeyRecord>, StoreError> {
        self.get("api_key", id.as_str())
    }

    pub(crate) fn keys(&self, filter: Option<Filter>, page: &Page) -> Result<Vec<KeyRecord>, StoreError> {
        self.list("api_key", filter, page)
    }

    pub(crate) fn tokens(&self, page: &Page) -> Result<Vec<TokenRecord>, StoreError> {
        self.list("admin_token", None, page)
    }

    pub(crate) fn attestation(&self, id: &AttestationId) -> Result<Option<Attestation>, StoreError> {
        self.get("attestation", id.as_str())
    }

    /// Returns attestations, superseded and withdrawn ones too.
    pub(crate) fn attestations(&self, filter: Option<Filter>, page: &Page) -> Result<Vec<Attestation>, StoreError> {
        self.list("attestation", filter, page)
    }

    /// Returns true if the attestation is neither superseded nor withdrawn.
    pub(crate) fn is_held(&self, id: &AttestationId) -> Result<bool, StoreError> {
        self.db
            .query_row(
                "SELECT NOT EXISTS (SELECT 1 FROM attestation WHERE supersedes = ?1)
                    AND NOT EXISTS (SELECT 1 FROM withdrawal WHERE id = ?1)",
                [id.as_str()],
                |row| row.get(0),
            )
            .map_err(sqlite("look up an attestation"))
    }

    pub(crate) fn affiliation(&self, id: &AffiliationId) -> Result<Option<Affiliation>, StoreError> {
        self.get("affiliation", id.as_str())
    }

    pub(crate) fn affiliations(&self, filter: Option<Filter>, page: &Page) -> Result<Vec<Affiliation>, StoreError> {
        self.list("affiliation", filter, page)
    }

    pub(crate) fn person_record(&self, id: &PersonId) -> Result<Option<PersonRecord>, StoreError> {
        self.get("person", id.as_str())
    }

    /// Returns a person with the attestations now held and every affiliation, ended ones too.
    pub(crate) fn person(&self, id: &PersonId) -> Result<Option<Person>, StoreError> {
        let record = self.person_record(id)?;
        record.map(|record| self.compose(record)).transpose()
    }

    pub(crate) fn people(&self, page: &Page) -> Result<Vec<Person>, StoreError> {
        let records: Vec<PersonRecord> = self.list("person", None, page)?;
        let people = records.into_iter().map(|record| self.compose(record));
        people.collect()
    }

    fn compose(&self, record: PersonRecord) -> Result<Person, StoreError> {
        let of = |column| Some(Filter { column, value: record.id.as_str().to_owned() });
        Ok(Person {
            attestations: self.held(&record.id)?,
            affiliations: self.affiliations(of("person"), &Page::ALL)?,
            accounts: self.accounts_of(&record.id)?,
            id: record.id,
            display_name: record.display_name,
            screening: record.screening,
            active: record.active,
        })
    }

    fn held(&self, person: &PersonId) -> Result<Vec<Attestation>, StoreError> {
        self.bodies(
            "attestation",
            "SELECT body FROM attestation AS a WHERE person = ?1
                AND NOT EXISTS (SELECT 1 FROM attestation WHERE supersedes = a.id)
                AND NOT EXISTS (SELECT 1 FROM withdrawal WHERE id = a.id)
             ORDER BY id",
            &[&person.as_str()],
        )
    }

    /// Returns every version of one instrument, oldest first.
    pub(crate) fn versions(&self, kind: InstrumentKind, id: &InstrumentId) -> Result<Vec<Filed>, StoreError> {
        self.filed(
            kind,
            "SELECT body, applied, entry, proposer FROM instrument WHERE kind = ?1 AND id = ?2
             ORDER BY version",
            &[&kind.as_str(), &id.as_str()],
        )
    }

    /// Returns the latest version of each instrument of a kind.
    pub(crate) fn instruments(&self, kind: InstrumentKind, page: &Page) -> Result<Vec<Filed>, StoreError> {
        self.filed(
            kind,
            "SELECT body, applied, entry, proposer FROM instrument AS i WHERE kind = ?1 AND id > ?2
                AND version = (SELECT max(version) FROM instrument WHERE kind = i.kind AND id = i.id)
             ORDER BY id LIMIT ?3",
            &[&kind.as_str(), &page.after, &page.limit],
        )
    }

    fn filed(&self, kind: InstrumentKind, sql: &str, params: &[&dyn ToSql]) -> Result<Vec<Filed>, StoreError> {
        let read = sqlite("read an instrument");
        let rows: Vec<(String, bool, i64, Option<String>)> =
            self.query(sql, params, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).map_err(read)?;
        rows.into_iter()
            .map(|(body, applied, entry, proposer)| {
                Ok(Filed { instrument: stored_instrument(kind, &body)?, applied, entry: unsigned(entry), proposer })
            })
            .collect()
    }

    /// Returns the snapshot last put in force.
    pub(crate) fn snapshot(&self) -> Result<Option<SnapshotDocument>, StoreError> {
        let sql = "SELECT body FROM snapshot ORDER BY epoch DESC LIMIT 1";
        let found: Vec<SnapshotDocument> = self.bodies("snapshot", sql, &[])?;
        Ok(found.into_iter().next())
    }

    /// Returns the entry that put the snapshot of an epoch in force.
    pub(crate) fn snapshot_entry(&self, epoch: u64) -> Result<Option<u64>, StoreError> {
        self.db
            .query_row("SELECT entry FROM snapshot WHERE epoch = ?1", [signed(epoch)], |row| row.get(0).map(unsigned))
            .optional()
            .map_err(sqlite("look up a snapshot"))
    }

    pub(super) fn get<T: DeserializeOwned>(&self, table: &'static str, id: &str) -> Result<Option<T>, StoreError> {
        let sql = format!("SELECT body FROM {table} WHERE id = ?1");
        let body: Option<String> =
            self.db.query_row(&sql, params![id], |row| row.get(0)).optional().map_err(sqlite("look up a row"))?;
        body.map(|body| parse(table, &body)).transpose()
    }

    pub(super) fn list<T: DeserializeOwned>(
        &self,
        table: &'static str,
        filter: Option<Filter>,
        page: &Page,
    ) -> Result<Vec<T>, StoreError> {
        let (also, value) = match filter {
            Some(filter) => (format!("AND {} = ?3", filter.column), filter.value),
            None => ("AND ?3 = ''".to_owned(), String::new()),
        };
        let sql = format!("SELECT body FROM {table} WHERE id > ?1 {also} ORDER BY id LIMIT ?2");
        self.bodies(table, &sql, &[&page.after, &page.limit, &value])
    }

    pub(super) fn bodies<T: DeserializeOwned>(
        &self,
        table: &'static str,
        sql: &str,
        params: &[&dyn ToSql],
    ) -> Result<Vec<T>, StoreError> {
        let bodies: Vec<String> = self.query(sql, params, |row| row.get(0)).map_err(sqlite("list rows"))?;
        bodies.iter().map(|body| parse(table, body)).collect()
    }

    fn query<T>(
        &self,
        sql: &str,
        params: &[&dyn ToSql],
        map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        let mut statement = self.db.prepare(sql)?;
        statement.query_map(params, map)?.collect()
    }
}

fn stored_instrument(kind: InstrumentKind, body: &str) -> Result<Instrument, StoreError> {
    match kind {
        InstrumentKind::Directive => parse("instrument", body).map(Instrument::Directive),
        InstrumentKind::License => parse("instrument", body).map(Instrument::License),
    }
}

fn parse<T: DeserializeOwned>(table: &'static str, body: &str) -> Result<T, StoreError> {
    serde_json::from_str(body).map_err(|source| StoreError::Row { table, source })
}
