"""The judgements of the journal, by defect."""

from __future__ import annotations

from stripwatch.journal.reader import JournalReader
from stripwatch.journal.schema import IS_RARE
from stripwatch.wire.event import Review, parse_event

READ_AT_ONCE = 10_000


class Reviews:
    """All judgements, kept up with the journal; used by one thread at a time."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._stream = ""
        self._last_seq = 0
        self.all: dict[int, list[Review]] = {}  # by number of the defect, the oldest first

    @property
    def latest(self) -> dict[int, Review]:
        """The one that holds, of each defect that was judged."""
        return {seq: reviews[-1] for seq, reviews in self.all.items()}

    def follow(self, reader: JournalReader) -> None:
        """Read what is new.

        Raises:
            StorageError: the journal cannot be read.
        """
        stream = reader.bounds().stream
        if stream != self._stream:
            self._stream, self._last_seq, self.all = stream, 0, {}
        statement = (
            "SELECT seq, topic, payload FROM event "  # noqa: S608 - a constant
            f"WHERE type = 'review' AND {IS_RARE} AND seq > ? ORDER BY seq LIMIT ?"
        )
        while rows := reader.rows(statement, (self._last_seq, READ_AT_ONCE)):
            for seq, topic, payload in rows:
                event = parse_event(topic.encode(), payload)
                assert isinstance(event, Review)
                self.all.setdefault(event.defect_seq, []).append(event)
                self._last_seq = seq
