-- Version 5 of the registry: legal holds, and whose accounts ever were of which organization.
CREATE TABLE hold (
    id TEXT PRIMARY KEY, body TEXT NOT NULL, entry INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE account_organization (
    person TEXT NOT NULL, organization TEXT NOT NULL, PRIMARY KEY (person, organization)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO account_organization
    SELECT person, json_extract(body, '$.account.organization') FROM account
    WHERE json_extract(body, '$.account.organization') IS NOT NULL;
