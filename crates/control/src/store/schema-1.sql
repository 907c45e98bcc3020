-- Version 1 of the registry. Each row keeps, as JSON, the state that the ledger entry `entry` records.
CREATE TABLE progress (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 0),
    next_entry INTEGER NOT NULL
) STRICT;
INSERT INTO progress VALUES (0, 0);

CREATE TABLE organization (
    id TEXT PRIMARY KEY, body TEXT NOT NULL, entry INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE person (
    id TEXT PRIMARY KEY, body TEXT NOT NULL, entry INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE workload (
    id TEXT PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organization (id),
    body TEXT NOT NULL, entry INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE attestation (
    id TEXT PRIMARY KEY,
    person TEXT NOT NULL REFERENCES person (id),
    supersedes TEXT UNIQUE REFERENCES attestation (id),
    body TEXT NOT NULL, entry INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX attestation_person ON attestation (person, id);
CREATE TRIGGER attestation_is_never_edited BEFORE UPDATE ON attestation
BEGIN SELECT RAISE (ABORT, 'an attestation is never edited, only superseded'); END;
CREATE TRIGGER attestation_is_never_deleted BEFORE DELETE ON attestation
BEGIN SELECT RAISE (ABORT, 'an attestation is never deleted, only superseded'); END;

CREATE TABLE withdrawal (
    id TEXT PRIMARY KEY REFERENCES attestation (id),
    body TEXT NOT NULL, entry INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE affiliation (
    id TEXT PRIMARY KEY,
    person TEXT NOT NULL REFERENCES person (id),
    organization TEXT NOT NULL REFERENCES organization (id),
    body TEXT NOT NULL, entry INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX affiliation_person ON affiliation (person, id);

CREATE TABLE api_key (
    id TEXT PRIMARY KEY,
    person TEXT REFERENCES person (id),
    workload TEXT REFERENCES workload (id),
    organization TEXT REFERENCES organization (id),
    body TEXT NOT NULL, entry INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE admin_token (
    id TEXT PRIMARY KEY, body TEXT NOT NULL, entry INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A version is filed once and never edited; `applied` says that it took force, now or earlier.
CREATE TABLE instrument (
    kind TEXT NOT NULL CHECK (kind IN ('directive', 'license')),
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    applied INTEGER NOT NULL CHECK (applied IN (0, 1)),
    body TEXT NOT NULL, entry INTEGER NOT NULL,
    PRIMARY KEY (kind, id, version)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER instrument_is_never_edited BEFORE UPDATE OF kind, id, version, body ON instrument
BEGIN SELECT RAISE (ABORT, 'a version of an instrument is never edited'); END;

CREATE TABLE snapshot (
    epoch INTEGER PRIMARY KEY, digest BLOB NOT NULL, body TEXT NOT NULL, entry INTEGER NOT NULL
) STRICT;

-- Answers to requests with an `Idempotency-Key`, kept for 24 hours; never with a secret in them.
CREATE TABLE idempotency (
    actor TEXT NOT NULL,
    key TEXT NOT NULL,
    request BLOB NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (actor, key)
) STRICT, WITHOUT ROWID;
