-- Version 2 of the registry: who may approve, what was approved, and where the glass was broken.
CREATE TABLE approver (
    id TEXT PRIMARY KEY, body TEXT NOT NULL, entry INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The latest approval of each person for each version.
CREATE TABLE approval (
    kind TEXT NOT NULL CHECK (kind IN ('directive', 'license')),
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    approver TEXT NOT NULL REFERENCES approver (id),
    body TEXT NOT NULL, entry INTEGER NOT NULL,
    PRIMARY KEY (kind, id, version, approver)
) STRICT, WITHOUT ROWID;

-- `open` is 1 until the act was approved, replaced, or undone.
CREATE TABLE break_glass (
    kind TEXT NOT NULL CHECK (kind IN ('directive', 'license')),
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    open INTEGER NOT NULL CHECK (open IN (0, 1)),
    body TEXT NOT NULL, entry INTEGER NOT NULL,
    PRIMARY KEY (kind, id, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX break_glass_open ON break_glass (open) WHERE open = 1;

-- Who filed a version; absent for what was filed before this schema, or put in force without being filed first.
ALTER TABLE instrument ADD COLUMN proposer TEXT;
