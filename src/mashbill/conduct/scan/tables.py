"""What a scan keeps, as tables.

All of it is sums, least and greatest values, and bottom-k samples: in whichever order rows are
taken, and by however many processes, the same is kept.

A bottom-k sample keeps the k rows of the least hashes. It is uniform, it can be merged, and since
the hash of a row is of its name in the log, it is the same whoever draws it. Of items the hash is
of the item itself, so that two accounts draw the same items of what both did (Cohen and Kaplan,
PODC 2007).
"""

from __future__ import annotations

SAMPLED = {"all": 48, "J": 8, "X": 8}
"""pool -> exchanges that are kept of an account: of all, and of those whose words trip a level"""
ITEMS = 64
"""hashes of items that are kept of an account"""
VALUES = 16
"""cards and networks of an account that are kept, of each sort"""

TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS accounts (
    account BLOB PRIMARY KEY, organisation BLOB, signed_up BIGINT,
    first BIGINT NOT NULL, last BIGINT NOT NULL, exchanges BIGINT NOT NULL, limited BIGINT NOT NULL,
    tokens_in BIGINT NOT NULL, tokens_out BIGINT NOT NULL, scored BIGINT NOT NULL,
    j1 BIGINT NOT NULL, j2 BIGINT NOT NULL, x1 BIGINT NOT NULL, x2 BIGINT NOT NULL,
    declared BIGINT NOT NULL, banned BIGINT
);
CREATE TABLE IF NOT EXISTS touched (account BLOB PRIMARY KEY);
CREATE TABLE IF NOT EXISTS moments (
    account BLOB NOT NULL, slot BIGINT NOT NULL, PRIMARY KEY (account, slot)
);
CREATE INDEX IF NOT EXISTS moments_slot ON moments (slot);
CREATE TABLE IF NOT EXISTS worded (account BLOB PRIMARY KEY, trips BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS spans (
    account BLOB NOT NULL, span BIGINT NOT NULL, count BIGINT NOT NULL, PRIMARY KEY (account, span)
);
CREATE TABLE IF NOT EXISTS templates (
    account BLOB PRIMARY KEY, exchanges BIGINT NOT NULL, runs BLOB NOT NULL, shares BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS samples (
    account BLOB NOT NULL, pool TEXT NOT NULL, hash BIGINT NOT NULL, row TEXT NOT NULL,
    time BIGINT NOT NULL, skeleton BLOB NOT NULL,
    jailbreak DOUBLE PRECISION, extraction DOUBLE PRECISION,
    PRIMARY KEY (account, pool, hash, row)
);
CREATE TABLE IF NOT EXISTS tops (
    account BLOB NOT NULL, pool TEXT NOT NULL, hash BIGINT NOT NULL, PRIMARY KEY (account, pool)
);
CREATE TABLE IF NOT EXISTS items (
    account BLOB NOT NULL, hash BIGINT NOT NULL, count BIGINT NOT NULL, PRIMARY KEY (account, hash)
);
CREATE INDEX IF NOT EXISTS items_hash ON items (hash);
CREATE TABLE IF NOT EXISTS traits (
    account BLOB NOT NULL, trait TEXT NOT NULL, value BLOB NOT NULL, count BIGINT NOT NULL,
    PRIMARY KEY (account, trait, value)
);
CREATE INDEX IF NOT EXISTS traits_value ON traits (trait, value);
CREATE TABLE IF NOT EXISTS recent (
    time BIGINT NOT NULL, row TEXT NOT NULL, account BLOB NOT NULL, skeleton BLOB NOT NULL,
    PRIMARY KEY (time, row)
);
CREATE TABLE IF NOT EXISTS limits (
    time BIGINT NOT NULL, row TEXT NOT NULL, account BLOB NOT NULL, skeleton BLOB NOT NULL,
    PRIMARY KEY (time, row)
);
CREATE TABLE IF NOT EXISTS handovers (
    account BLOB NOT NULL, how TEXT NOT NULL, hit BIGINT NOT NULL, trials BIGINT NOT NULL,
    real BIGINT NOT NULL, PRIMARY KEY (account, how, hit)
);
CREATE TABLE IF NOT EXISTS takers (
    account BLOB NOT NULL, taker BLOB NOT NULL, how TEXT NOT NULL, count BIGINT NOT NULL,
    row TEXT NOT NULL, PRIMARY KEY (account, taker, how)
);
CREATE TABLE IF NOT EXISTS blobs (
    blob BLOB PRIMARY KEY, time BIGINT NOT NULL, account BLOB NOT NULL, model TEXT
);
CREATE TABLE IF NOT EXISTS presented (
    blob BLOB NOT NULL, account BLOB NOT NULL, model TEXT NOT NULL, time BIGINT NOT NULL,
    row TEXT NOT NULL, looked BIGINT NOT NULL, PRIMARY KEY (blob, account, model)
);
CREATE INDEX IF NOT EXISTS presented_looked ON presented (looked);
CREATE TABLE IF NOT EXISTS looks (name TEXT PRIMARY KEY, exchanges BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS readings (
    log TEXT PRIMARY KEY, position TEXT NOT NULL, rows BIGINT NOT NULL, digest TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS cases (
    id TEXT NOT NULL, version BIGINT NOT NULL, found BIGINT NOT NULL, kind TEXT NOT NULL,
    tier TEXT NOT NULL, accounts TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (id, version)
);
CREATE TABLE IF NOT EXISTS growth (
    subject TEXT NOT NULL, time BIGINT NOT NULL, kind TEXT NOT NULL,
    log10_e DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (subject, time, kind)
)
"""
