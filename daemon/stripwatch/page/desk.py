"""What the handlers of the page share: the journal, the daemon, and the strips that were read."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from stripwatch.config.sections import Config
from stripwatch.errors import StorageError
from stripwatch.journal.reader import JournalReader
from stripwatch.net.curve import ClientCurve
from stripwatch.page.bodies import not_found
from stripwatch.page.daemon_link import Asking
from stripwatch.page.lengths import length_of
from stripwatch.page.live import LiveCamera
from stripwatch.page.now import Now
from stripwatch.page.reading import Reading
from stripwatch.page.reviews import Reviews
from stripwatch.page.stream import Streams
from stripwatch.page.strip_table import StripTable

STRIPS_MAX = 4  # that are kept
ROWS_MAX = 500_000  # of all of them; the one that is asked for is kept in any case

T = TypeVar("T")


class Desk:
    """Belongs to the event loop; what takes long it does in threads."""

    def __init__(self, config: Config, curve: ClientCurve | None = None) -> None:
        """Connect, with a key where the daemon wants one; it may start later."""
        self.config = config
        self.reading = Reading(Path(config.journal.folder or "journal"))
        self.asking = Asking(config, curve)
        self.now = Now(config, self.reading, self.asking, has_key=curve is not None)
        self.streams = Streams(self.reading, self.now.live_row)
        self._cameras = {one.name: LiveCamera(config, one.name, curve) for one in config.cameras}
        self._reviews = Reviews()
        self._reviews_lock = asyncio.Lock()
        self._strips: OrderedDict[str, tuple[StripTable, asyncio.Lock]] = OrderedDict()

    def end_streams(self) -> None:
        """Let go of the browsers that wait for something."""
        self.streams.close()
        for camera in self._cameras.values():
            camera.let_go()

    async def close(self) -> None:
        """End everything."""
        self.end_streams()
        for camera in self._cameras.values():
            await camera.close()
        await asyncio.to_thread(self.reading.close)
        await asyncio.to_thread(self.asking.close)

    def camera(self, name: str) -> LiveCamera:
        """The live pictures of a camera.

        Raises:
            RefusedError: there is no such camera.
        """
        if name not in self._cameras:
            raise not_found(f"no camera {name!r}; there are: {', '.join(self._cameras)}")
        return self._cameras[name]

    async def reviews(self) -> Reviews:
        """All judgements up to now."""
        async with self._reviews_lock:
            await self.reading.run(self._reviews.follow)
        return self._reviews

    async def with_strip(self, name: str, use: Callable[[StripTable], T]) -> T:
        """Call a function with the table of a strip, kept up with the journal.

        Raises:
            RefusedError: the journal has no such strip.
            StorageError: the journal cannot be read.
        """
        classes = dict(self.now.class_index)
        known = self._strips.get(name)
        if known is None or known[0].class_index != classes:
            known = StripTable(name, self.config, classes), asyncio.Lock()
        self._strips[name] = known
        self._strips.move_to_end(name)
        table, lock = known
        length = length_of(self.now.unnamed, name)

        def read(reader: JournalReader) -> T | None:
            table.follow(reader, length.events if length else None)
            return use(table) if table.first_seq else None

        async with lock:  # before a thread is taken: others have use for it
            try:
                result = await self.reading.run(read)
            except StorageError:
                self._strips.pop(name, None)
                raise
        if not table.first_seq:
            self._strips.pop(name, None)
            raise not_found(f"the journal has no strip {name!r}")
        self._forget_strips()
        assert result is not None
        return result

    def _forget_strips(self) -> None:
        while len(self._strips) > 1 and (
            len(self._strips) > STRIPS_MAX
            or sum(table.size for table, _ in self._strips.values()) > ROWS_MAX
        ):
            self._strips.popitem(last=False)
