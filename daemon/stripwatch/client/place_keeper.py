"""Keeps the place up to which a subscriber is done: in a file, and with the daemon."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from stripwatch.client.position_file import save_place
from stripwatch.client.requester import Requester
from stripwatch.errors import ConfigError
from stripwatch.wire.requests import Acknowledge, Acknowledged, Answer, Error, Place

PERIOD_S = 1.0


class PlaceKeeper:
    """Acknowledges under a reader's name, where there is one, and writes a file, where one is."""

    def __init__(
        self, requester: Requester, ids: Iterator[str], reader: str | None, file: Path | None
    ) -> None:
        self._requester = requester
        self._ids = ids
        self._reader = reader
        self._file = file
        self._stored: Place | None = None  # in the file
        self._confirmed: Place | None = None  # by the daemon
        self._next_s = 0.0
        self.place: Place | None = None  # after what the caller has dealt with

    def begin(self, place: Place, *, is_known: bool) -> None:
        """Start at a place, which the daemon may know already.

        Raises:
            StorageError: the file cannot be written.
        """
        self.place = place
        self._confirmed = place if is_known else None
        self._store()

    def keep(self, place: Place | None) -> None:
        """The caller is done up to a place; told once a second.

        Raises:
            ConfigError: the daemon refuses to keep it.
            StorageError: the file cannot be written.
        """
        self.place = place
        if time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + PERIOD_S
            self._store()
            for answer in self._requester.side_answers():
                self.confirm(answer)
            request = self.request()
            if request:
                self._requester.tell(request)

    def settle(self, wait_s: float) -> bool:
        """Tell the place now; whether daemon and file have it.

        Raises:
            ConfigError: the daemon refuses to keep it.
            StorageError: the file cannot be written.
        """
        self._store()
        request = self.request()
        if request:
            self._requester.ask(request)  # in place of a page, which is then asked for again
            reply = self._requester.reply(wait_s)
            self._requester.forget()
            if reply:
                self.confirm(reply.answer)
        return self.request() is None

    def request(self) -> Acknowledge | None:
        """What the daemon is to be told; None: nothing that it does not know."""
        if self._reader is None or self.place is None or self.place == self._confirmed:
            return None
        return Acknowledge(
            id=next(self._ids),
            reader=self._reader,
            stream=self.place.stream,
            seq=self.place.seq,
        )

    def confirm(self, answer: Answer) -> None:
        """Take in an answer to an acknowledgement.

        Raises:
            ConfigError: the daemon refuses to keep the place.
        """
        match answer:
            case Acknowledged():
                self._confirmed = Place(answer.stream, answer.seq)
            case Error(error="bad_request" | "too_many_readers"):
                raise ConfigError(f"the daemon refuses a request: {answer.message}")

    def _store(self) -> None:
        if self._file and self.place and self._stored != self.place:
            save_place(self._file, self.place)
            self._stored = self.place
