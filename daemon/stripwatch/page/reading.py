"""The journal and the pictures as the page's threads read them, a few at a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

from stripwatch.errors import StorageError
from stripwatch.journal.pictures import Picture, PictureStore
from stripwatch.journal.reader import JournalReader
from stripwatch.journal.store import FILE

THREADS = 3  # a large strip that is read keeps one of them

T = TypeVar("T")


class Kept(NamedTuple):
    """What is kept of the pictures of a defect."""

    pictures: list[Picture]
    last_seq: int  # of the defect whose pictures were written last; 0: none were


class Reading:
    """Runs what reads the journal in threads, each with a connection of its own."""

    def __init__(self, folder: Path) -> None:
        """Nothing is opened yet: the daemon may start later."""
        self.folder = folder
        self._threads = ThreadPoolExecutor(THREADS, "journal")
        self._idle: list[tuple[JournalReader, int]] = []  # and the inode of its file

    async def run(self, read: Callable[[JournalReader], T]) -> T:
        """Call a function with a reader, in a thread.

        Raises:
            StorageError: the journal cannot be read.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._with, read)

    async def pictures(self, stream: str, seq: int) -> Kept:
        """The pictures of a defect; none where they are not kept."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._pictures, stream, seq)

    def close(self) -> None:
        """Wait for what is being read, and close the files."""
        self._threads.shutdown(cancel_futures=True)
        for reader, _ in self._idle:
            reader.close()

    def _with(self, read: Callable[[JournalReader], T]) -> T:
        with self._reader() as reader:
            return read(reader)

    @contextlib.contextmanager
    def _reader(self) -> Iterator[JournalReader]:
        """A reader of the journal that is there now; one that failed is not used again."""
        inode = _inode(self.folder / FILE)
        reader = None
        with contextlib.suppress(IndexError):
            reader, opened = self._idle.pop()  # in one step: threads do not meet here
            if opened != inode:
                reader.close()
                reader = None
        reader = reader or JournalReader(self.folder)
        try:
            yield reader
        except BaseException:
            reader.close()
            raise
        self._idle.append((reader, inode))

    def _pictures(self, stream: str, seq: int) -> Kept:
        try:
            store = PictureStore(self.folder, read_only=True)
        except StorageError:
            return Kept([], 0)
        with contextlib.closing(store):
            last_seq = store.last_seq(stream)  # first: what is written meanwhile is found
            return Kept(store.get(stream, seq), last_seq)


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0
