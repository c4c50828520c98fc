"""The tables of the journal, and how a journal of an older program becomes one of this.

SQLite numbers the schema in the file's header (`user_version`) and keeps there whose file it is
(`application_id`). Migration number n makes schema n from schema n - 1.
"""

from __future__ import annotations

import sqlite3
import time
import uuid

from stripwatch.errors import StorageError

APPLICATION_ID = 0x53545750  # "STWP"

_EVENTS_AND_COVERAGE = """
CREATE TABLE journal (stream TEXT NOT NULL, created_ns INTEGER NOT NULL) STRICT;

-- Every numbered event, as published.
CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    type TEXT NOT NULL,
    topic TEXT NOT NULL,
    t_ns INTEGER NOT NULL,    -- when it was journalled, Unix time
    camera TEXT,
    strip TEXT,
    downweb_mm REAL,          -- of a defect's centroid
    class_name TEXT,
    payload BLOB NOT NULL
) STRICT;
-- An index ends with the row's key, which is seq.
CREATE INDEX event_of_strip ON event (strip) WHERE strip IS NOT NULL;
CREATE INDEX event_at_time ON event (t_ns);

-- How far each session of a camera is booked; written with the events of its frames.
CREATE TABLE coverage (
    camera TEXT NOT NULL,
    session TEXT NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    inspected INTEGER NOT NULL,
    missed TEXT NOT NULL,     -- JSON: number by cause
    strip TEXT,               -- of the last frame
    line_end INTEGER,         -- `line` of the frame that follows it; NULL if unknown
    t_ns INTEGER NOT NULL,    -- when it was booked, Unix time
    PRIMARY KEY (camera, session)
) STRICT, WITHOUT ROWID;

-- The strip that each camera has begun and not ended: its counts so far.
CREATE TABLE open_strip (camera TEXT PRIMARY KEY, tally TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""

# All types but those of which a strip may have very many. A query has to say this, word for word:
# only then does SQLite use the index (https://www.sqlite.org/partialindex.html).
IS_RARE = "type NOT IN ('defect', 'defect_closed', 'gap')"
# Strips, judgements and changes are looked for among millions of defects.
_RARE_EVENTS = f"CREATE INDEX event_of_rare_type ON event (type) WHERE {IS_RARE}"

MIGRATIONS = (_EVENTS_AND_COVERAGE, _RARE_EVENTS)
SCHEMA = len(MIGRATIONS)


def prepare(database: sqlite3.Connection) -> None:
    """Make a new file a journal, or bring an older one up to date, in one transaction.

    Raises:
        StorageError: the file belongs to another program, or to a newer stripwatch.
        sqlite3.Error: it cannot be read or written.
    """
    version = check(database)
    if version == SCHEMA:
        return
    # One script, so that a journal is never between two schemas.
    statements = ["BEGIN IMMEDIATE", *MIGRATIONS[version:]]
    if not version:
        # The script takes no parameters; both values are made here.
        statements.append(
            f"INSERT INTO journal VALUES ('{uuid.uuid4().hex}', {time.time_ns()})"  # noqa: S608
        )
        statements.append(f"PRAGMA application_id = {APPLICATION_ID}")
    statements += [f"PRAGMA user_version = {SCHEMA}", "COMMIT"]
    try:
        database.executescript(";\n".join(statements))
    except sqlite3.Error:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def check(database: sqlite3.Connection) -> int:
    """The schema of a journal; 0 for an empty file.

    Raises:
        StorageError: the file belongs to another program, or to a newer stripwatch.
        sqlite3.Error: it cannot be read.
    """
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (tables,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != APPLICATION_ID and (tables or version):
        raise StorageError("is a database of another program; choose another folder")
    if version > SCHEMA:
        raise StorageError(
            f"has schema {version}, written by a newer stripwatch; this one knows up to {SCHEMA}: "
            "install the newer one again, or choose another folder"
        )
    return int(version)
