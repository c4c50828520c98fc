"""Where a subscriber is in the numbers, and when it has to ask for events; pure.

Every numbered event is in the journal before it is published. So a live event that is not the next
one needs no keeping: the subscriber asks for what follows its place, and gets it again in order.
"""

from __future__ import annotations

import msgspec

from stripwatch.wire.event import NumberedEvent, Status
from stripwatch.wire.requests import Error, Events, Place


class Lost(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="lost"):
    """Events, of any topic, that retention removed before they were read."""

    stream: str
    first_seq: int
    last_seq: int


class Renumbered(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="renumbered"):
    """The numbers go on at another place: the journal was made anew, or an older copy put back.

    Whether there were events after `old_seq` that were not read cannot be known.
    """

    stream: str
    after_seq: int
    old_stream: str
    old_seq: int


class LossCounter:
    """Counts the numbers that did not arrive, where there is nobody to ask for them."""

    def __init__(self, *, is_complete: bool) -> None:
        """`is_complete`: all numbered topics are subscribed to, so that a hole means a loss."""
        self.missed: int | None = 0 if is_complete else None
        self.stream: str | None = None
        self.last_seq = 0  # of the stream, seen or known to be missed

    def pass_live(self, event: NumberedEvent | Status) -> bool:
        """Take in an event that has arrived; it is always yielded.

        A status shows losses after the last event received.
        """
        if isinstance(event, Status):
            self._expect_seen(event.stream, event.last_event_seq)
        else:
            self._expect_seen(event.stream, event.seq - 1)
            self.last_seq = max(self.last_seq, event.seq)
        return True

    def _expect_seen(self, stream: str, seq: int) -> None:
        """All events of a stream up to `seq` have been published; those not seen are missed."""
        if self.stream is None:  # events published before the first one received are not missed
            self.last_seq = seq
        elif stream != self.stream:  # the journal was made anew, and numbers from 1
            self.last_seq = 0
        if self.missed is not None:
            self.missed += max(0, seq - self.last_seq)
        self.stream = stream
        self.last_seq = max(self.last_seq, seq)


class Follower:
    """Decides about each live event, and follows the answers to `since`."""

    def __init__(self, place: Place | None = None) -> None:
        """`place`: after the last event that is known; None: not yet decided."""
        self.place = place
        self.is_behind = True  # there may be events that only the journal gives

    def take(self, stream: str, seq: int) -> bool:
        """Whether a live event is the next one; its place is then the follower's."""
        if self.is_behind or self.place is None:
            return False
        if stream == self.place.stream and seq <= self.place.seq:
            return False  # had before, from the journal
        if (stream, seq) != (self.place.stream, self.place.seq + 1):
            self.is_behind = True
            return False
        self.place = Place(stream, seq)
        return True

    def hear(self, stream: str, last_seq: int) -> None:
        """A status says which event was published last.

        It may be older than what the journal gave; but a number that is below the place for good
        belongs to a journal that was put back, and only an answer can tell.
        """
        if (stream, last_seq) != (self.place and (self.place.stream, self.place.seq)):
            self.is_behind = True

    def turn(self, page: Events) -> Lost | None:
        """Take in a page; its events follow what it has lost."""
        self.place = Place(page.stream, page.through_seq)
        self.is_behind = page.through_seq < page.last_seq
        if page.lost is None:
            return None
        return Lost(stream=page.stream, first_seq=page.lost.first, last_seq=page.lost.last)

    def renumber(self, error: Error) -> Renumbered | None:
        """Go on where the numbers now are; None: the error is of another kind."""
        old = self.place
        if error.stream is None or old is None:
            return None
        after_seq = (error.last_seq or 0) if error.error == "ahead" else 0
        self.place, self.is_behind = Place(error.stream, after_seq), True
        return Renumbered(
            stream=error.stream, after_seq=after_seq, old_stream=old.stream, old_seq=old.seq
        )
