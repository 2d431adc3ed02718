-- data.db: everything but keys. Ciphertext, except policies, leaves, and what has been released. WAL.

-- The one row that says which store this is: it must agree with keys.db.
CREATE TABLE store (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    store BLOB    NOT NULL CHECK (length(store) = 16)
) STRICT;

-- Every policy that the store has accepted, as canonical JSON. Blocks name policies by number.
CREATE TABLE policy (
    number INTEGER PRIMARY KEY,
    digest BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    text   BLOB    NOT NULL
) STRICT;

-- Blocks as they arrive, each events of one compartment sealed under its key, until compaction moves them into runs.
-- Clustered by slot, so that an arrival dirties one page; arrival tells the blocks of one slot apart.
CREATE TABLE block (
    slot       INTEGER NOT NULL,
    arrival    INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    sealed     BLOB    NOT NULL,
    PRIMARY KEY (slot, arrival)
) STRICT, WITHOUT ROWID;

-- Sorted runs of blocks. target: the run that this one is being merged into, where it is.
CREATE TABLE run (
    number INTEGER PRIMARY KEY CHECK (number BETWEEN 1 AND 8388607),
    level  INTEGER NOT NULL CHECK (level >= 0),
    target INTEGER
) STRICT;

-- Blocks of a run, packed in the order of their slots: about half a page of them, and all that the run has of a slot.
-- id: the run's number * 2^40 + the first slot, so that a slot is found with one search for each run.
CREATE TABLE pack (
    id   INTEGER PRIMARY KEY,
    body BLOB    NOT NULL
) STRICT;

-- The proof of consent decisions, sealed under the account's evidence key. Append-only.
CREATE TABLE evidence (
    id         INTEGER PRIMARY KEY,
    slot       INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    sealed     BLOB    NOT NULL
) STRICT;
CREATE INDEX evidence_slot ON evidence (slot);

-- The account's normalized id, sealed under its account key.
CREATE TABLE account (
    id         INTEGER PRIMARY KEY,
    slot       INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    sealed     BLOB    NOT NULL
) STRICT;
CREATE INDEX account_slot ON account (slot);

-- The erasable detail behind leaves, sealed in the compartment (reads) or the account (officer acts) that it concerns.
CREATE TABLE trail (
    id         INTEGER PRIMARY KEY,
    slot       INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    sealed     BLOB    NOT NULL
) STRICT;
CREATE INDEX trail_slot ON trail (slot);

-- Who did what when, without any account, sealed under the officer key. One entry for each leaf that has an actor.
CREATE TABLE actor_book (
    leaf   INTEGER PRIMARY KEY,
    sealed BLOB    NOT NULL
) STRICT;

-- The audit log: RFC 6962 leaves. hash is of body, and is kept so that an edited leaf can be named.
CREATE TABLE leaf (
    sequence INTEGER PRIMARY KEY,
    hash     BLOB NOT NULL CHECK (length(hash) = 32),
    body     BLOB NOT NULL
) STRICT;

-- The frontier of the Merkle tree over all leaves, so that appending costs the same however long the log is, and the
-- hour of the newest leaf, which the store's clock never runs behind. counts: how often recording said what, for each
-- purpose, without any account; they stand here because every recording changes this row anyway.
CREATE TABLE tree (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    frontier BLOB    NOT NULL,
    hour     INTEGER NOT NULL,
    counts   BLOB    NOT NULL
) STRICT;

-- Perfect subtrees of the log, from level 1 up (level 0 are the hashes of leaves). Written once; proofs are read from them.
CREATE TABLE node (
    level    INTEGER NOT NULL CHECK (level > 0),
    position INTEGER NOT NULL,
    hash     BLOB    NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, position)
) STRICT, WITHOUT ROWID;

-- Heads of the log, each a C2SP signed note. note is empty while a head is durable but not yet signed.
CREATE TABLE checkpoint (
    size INTEGER PRIMARY KEY,
    root BLOB    NOT NULL CHECK (length(root) = 32),
    note BLOB    NOT NULL
) STRICT;

-- Which pending work has been done here. The keyring asks; ids of finished work are forgotten.
CREATE TABLE operation (
    id BLOB PRIMARY KEY CHECK (length(id) = 16)
) STRICT, WITHOUT ROWID;

-- Releases, once for each question and period. digest: of the canonical specification. ledger: the entry of the ledger
-- with the bytes that left, the exact counts and the members' pseudonyms, sealed under the officer key.
CREATE TABLE release (
    number INTEGER PRIMARY KEY,
    digest BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    ledger BLOB    NOT NULL
) STRICT;
