-- Version 3 of the registry: the sources of word about people, and what they said.
CREATE TABLE channel (
    id TEXT PRIMARY KEY, body TEXT NOT NULL, entry INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a source calls a person; of one name at one source the latest counts.
CREATE TABLE account (
    channel TEXT NOT NULL REFERENCES channel (id),
    subject TEXT NOT NULL,
    person TEXT NOT NULL REFERENCES person (id),
    body TEXT NOT NULL, entry INTEGER NOT NULL,
    PRIMARY KEY (channel, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX account_person ON account (person);

-- Sessions and tokens that a source said are over.
CREATE TABLE session_end (
    channel TEXT NOT NULL REFERENCES channel (id),
    session TEXT NOT NULL,
    body TEXT NOT NULL, entry INTEGER NOT NULL,
    PRIMARY KEY (channel, session)
) STRICT, WITHOUT ROWID;

-- Messages taken in, so that one that comes again does nothing.
CREATE TABLE message (
    channel TEXT NOT NULL,
    message TEXT NOT NULL,
    entry INTEGER NOT NULL,
    PRIMARY KEY (channel, message)
) STRICT, WITHOUT ROWID;

-- What the protocols keep: one row a thing, and the words by which it is looked up.
CREATE TABLE document (
    collection TEXT NOT NULL,
    id TEXT NOT NULL,
    owner TEXT,
    body TEXT NOT NULL, entry INTEGER NOT NULL,
    PRIMARY KEY (collection, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX document_owner ON document (owner) WHERE owner IS NOT NULL;

CREATE TABLE document_term (
    collection TEXT NOT NULL,
    term TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (collection, term, id),
    FOREIGN KEY (collection, id) REFERENCES document (collection, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX document_term_id ON document_term (collection, id);

CREATE TABLE review (
    id TEXT PRIMARY KEY, body TEXT NOT NULL, entry INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX affiliation_organization ON affiliation (organization, person);
