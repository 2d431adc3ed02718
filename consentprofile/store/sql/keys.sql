-- keys.db: the keyring. Small, never part of a data backup. Rollback journal, synchronous=EXTRA, secure_delete=ON.

-- The one row that says which store this is. origin: the name of its audit log, under which heads are signed.
-- changes counts the transactions that changed the keyring.
CREATE TABLE keyring (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    store   BLOB    NOT NULL CHECK (length(store) = 16),
    origin  TEXT    NOT NULL,
    epoch   INTEGER NOT NULL,
    changes INTEGER NOT NULL
) STRICT;

-- An epoch is the time of one root key. provider: public parameters; check_value: tells a wrong key from damage.
CREATE TABLE epoch (
    number      INTEGER PRIMARY KEY,
    provider    BLOB    NOT NULL,
    check_value BLOB    NOT NULL CHECK (length(check_value) = 32)
) STRICT;

-- index, signing, officer, import and one purpose key for each purpose, wrapped by the epoch's root.
CREATE TABLE epoch_key (
    epoch   INTEGER NOT NULL REFERENCES epoch (number),
    name    TEXT    NOT NULL,
    wrapped BLOB    NOT NULL CHECK (length(wrapped) = 60),
    PRIMARY KEY (epoch, name)
) STRICT, WITHOUT ROWID;

-- Slots name purposes by number.
CREATE TABLE purpose (
    number INTEGER PRIMARY KEY,
    name   TEXT    NOT NULL UNIQUE
) STRICT;

-- The policies that data.db keeps, by number. seal: an HMAC under the index key, so that nobody without keys can put
-- another policy, with other readers, into data.db.
CREATE TABLE accepted_policy (
    number INTEGER PRIMARY KEY,
    digest BLOB    NOT NULL CHECK (length(digest) = 32),
    seal   BLOB    NOT NULL CHECK (length(seal) = 32)
) STRICT;

-- The newest signed head of the audit log. It may lag behind the log; a log that does not reach it has been cut.
CREATE TABLE anchor (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    size INTEGER NOT NULL,
    root BLOB    NOT NULL CHECK (length(root) = 32)
) STRICT;

-- What a consent was given under. Slots name terms by number; the digest of a row is bound into the wrapped key.
CREATE TABLE terms (
    number        INTEGER PRIMARY KEY,
    purpose       TEXT NOT NULL,
    notice        TEXT NOT NULL,
    notice_sha256 BLOB NOT NULL CHECK (length(notice_sha256) = 32),
    declaration   BLOB NOT NULL CHECK (length(declaration) = 32),
    policy        BLOB NOT NULL CHECK (length(policy) = 32),
    UNIQUE (purpose, notice, declaration)
) STRICT;

-- Where wrapped keys live and die. Rows are never deleted and never change size, so SQLite overwrites them in place.
CREATE TABLE slot (
    number INTEGER PRIMARY KEY,
    record BLOB    NOT NULL CHECK (length(record) = 173)
) STRICT;

-- Slots whose key has died and which belong to nobody: the next key moves in under the next generation.
CREATE TABLE free_slot (
    number INTEGER PRIMARY KEY REFERENCES slot (number)
) STRICT;

-- Which slots are whose. place: 0 account key, 1 evidence key, 2 + purpose number for a compartment.
CREATE TABLE directory (
    tag   BLOB    NOT NULL CHECK (length(tag) = 32),
    place INTEGER NOT NULL,
    slot  INTEGER NOT NULL REFERENCES slot (number),
    PRIMARY KEY (tag, place)
) STRICT, WITHOUT ROWID;

-- Reasons that switch purposes off for an account. They outlive its erasure: whoever asked not to be contacted means it.
CREATE TABLE suppression (
    tag    BLOB NOT NULL CHECK (length(tag) = 32),
    reason TEXT NOT NULL,
    seal   BLOB NOT NULL CHECK (length(seal) = 32),
    PRIMARY KEY (tag, reason)
) STRICT, WITHOUT ROWID;

-- Work that data.db still has to see (pending work). body is sealed rows and leaf drafts: it can be finished without keys.
CREATE TABLE pending (
    operation BLOB PRIMARY KEY CHECK (length(operation) = 16),
    body      BLOB NOT NULL
) STRICT, WITHOUT ROWID;
