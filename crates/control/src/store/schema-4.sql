-- Version 4 of the registry: what was requested to be produced of the record, and the entry that says it was.
CREATE TABLE production (
    id TEXT PRIMARY KEY, body TEXT NOT NULL, entry INTEGER NOT NULL, custody INTEGER
) STRICT, WITHOUT ROWID;

-- Approvals of productions stand beside those of instruments.
ALTER TABLE approval RENAME TO approval_3;
CREATE TABLE approval (
    kind TEXT NOT NULL CHECK (kind IN ('directive', 'license', 'production')),
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    approver TEXT NOT NULL REFERENCES approver (id),
    body TEXT NOT NULL, entry INTEGER NOT NULL,
    PRIMARY KEY (kind, id, version, approver)
) STRICT, WITHOUT ROWID;
INSERT INTO approval SELECT * FROM approval_3;
DROP TABLE approval_3;
