//! What of a person's access is over, read back from the rows and the entries that made them so.

use terms::PersonId;

use super::{Store, StoreError};
use crate::federation::Ended;

/// Each branch makes one [`Row`]; what a newer row of the same source took back is no longer there.
const ENDED: &str = "
    SELECT json_object('entry', entry, 'what', 'person')
        FROM person WHERE id = ?1 AND NOT json_extract(body, '$.active')
    UNION ALL
    SELECT json_object('entry', entry, 'what', json_object('account', json_extract(body, '$.account')))
        FROM account WHERE person = ?1 AND json_extract(body, '$.account.state') <> 'active'
    UNION ALL
    SELECT json_object('entry', entry, 'what', json_object('key', id))
        FROM api_key WHERE person = ?1 AND json_extract(body, '$.revoked_at') IS NOT NULL
    UNION ALL
    SELECT row FROM (
        SELECT json_object('entry', w.entry, 'what', json_object('attestation', json_object(
                'attestation', json(a.body), 'reason', json_extract(w.body, '$.reason')))) AS row
            FROM attestation AS a JOIN withdrawal AS w ON w.id = a.id
            WHERE a.person = ?1 ORDER BY w.entry DESC LIMIT 32)";

#[derive(serde::Deserialize)]
struct Row {
    entry: u64,
    what: Ended,
}

impl Store {
    /// Returns what of a person's access ended and has not returned, each with the index of its entry; of withdrawn
    /// attestations the latest 32.
    pub(crate) fn ended(&self, person: &PersonId) -> Result<Vec<(u64, Ended)>, StoreError> {
        let rows: Vec<Row> = self.bodies("ended", ENDED, &[&person.as_str()])?;
        Ok(rows.into_iter().map(|row| (row.entry, row.what)).collect())
    }
}
