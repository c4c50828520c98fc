"""Events of a journal by number, strip, type and time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stripwatch.journal.reader import JournalReader, StoredEvent

PAGE_ROWS = 500  # looked at by one statement: short, so that the writer's log does not grow


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which events are wanted; all of them where nothing is given."""

    after_seq: int = 0
    strip: str | None = None
    types: tuple[str, ...] = ()
    from_ns: int | None = None  # journalled at or after, Unix time
    to_ns: int | None = None  # journalled before


def find(reader: JournalReader, query: Query) -> Iterator[list[StoredEvent]]:
    """The events that are wanted, in pages; a page may be empty.

    In the order of their numbers; of a time and no strip in the order in which they were
    journalled, which is the same unless the clock was set back.

    Raises:
        StorageError: the journal cannot be read.
    """
    by_time = query.strip is None and (query.from_ns, query.to_ns) != (None, None)
    columns, key = "seq", [query.after_seq]
    if by_time:
        columns, key = "t_ns, seq", [query.from_ns or 0, 0]
    # The plus keeps SQLite from choosing an index that would have to be sorted.
    conditions = {
        "strip = ?": query.strip,
        "+t_ns >= ?": query.from_ns,
        "t_ns < ?" if by_time else "+t_ns < ?": query.to_ns,
        "+seq > ?": query.after_seq,
    }
    wanted = {text: value for text, value in conditions.items() if value is not None}
    places = ", ".join("?" * len(key))
    statement = (
        "SELECT seq, type, topic, t_ns, payload FROM event "  # noqa: S608
        f"WHERE ({columns}) > ({places}) AND {' AND '.join(wanted)} ORDER BY {columns} LIMIT ?"
    )
    while rows := reader.rows(statement, (*key, *wanted.values(), PAGE_ROWS)):
        yield [
            StoredEvent(seq, topic, t_ns, payload)
            for seq, kind, topic, t_ns, payload in rows
            if not query.types or kind in query.types
        ]
        seq, _, _, t_ns, _ = rows[-1]
        key = [t_ns, seq] if by_time else [seq]
