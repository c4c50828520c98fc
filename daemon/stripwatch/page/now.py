"""How the line is now, for the page: the daemon's status, the journal, and the classes in force."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stripwatch.config.sections import Config
from stripwatch.engines.manifest import Manifest, load_manifest
from stripwatch.errors import StorageError, StripwatchError
from stripwatch.page.daemon_link import Asking
from stripwatch.page.defect_rows import Told, class_items, geometry, live_row
from stripwatch.page.journal_state import JournalState, journal_state
from stripwatch.page.reading import Reading
from stripwatch.page.stream import Streams
from stripwatch.page.unnamed import Unnamed
from stripwatch.page.watch import Watch
from stripwatch.service.engine_fit import resolve_classes
from stripwatch.service.kept_thresholds import applied, load_kept
from stripwatch.wire.event import Status
from stripwatch.wire.operator import ClassInForce
from stripwatch.wire.requests import AskThresholds, Classes

LOOK_S = 0.5  # between two looks into the journal
CLASSES_S = 5.0  # between two questions for the classes in force
TELL_S = 1.0
ASKER = "page"


class Now:
    """The present of one line; belongs to the event loop."""

    def __init__(
        self, config: Config, reading: Reading, asking: Asking, *, has_key: bool = False
    ) -> None:
        """Begin with what the files say; the daemon may start later."""
        frame_m = config.line.frame_lines * config.line.mm_per_line / 1000
        self._config = config
        self._reading = reading
        self._asking = asking
        self._watch = Watch(frame_m, time.time_ns(), has_key=has_key)
        self._journal: JournalState | None = None
        self.unnamed = Unnamed(
            frame_mm=frame_m * 1000, line_mm=config.line.mm_per_line, sessions={}
        )
        self._journal_error = ""
        self._counted_seq = 0  # up to which defects were counted
        self._defects = 0  # since the last status
        self._manifest: Manifest | None = None
        self.beat_s = time.monotonic()  # when the event loop was last seen to turn
        self.classes: tuple[ClassInForce, ...] = ()
        self._read_classes()

    @property
    def class_index(self) -> Mapping[str, int]:
        """The place of each class in lists."""
        return {entry.name: place for place, entry in enumerate(self.classes)}

    @property
    def stream(self) -> str:
        """Of the journal; "" where it cannot be read."""
        return self._journal.stream if self._journal else ""

    def take(self, status: Status) -> None:
        """A status has come."""
        defects, self._defects = self._defects, 0
        self._watch.add(status, time.time_ns(), defects)

    async def look(self) -> None:
        """Look into the journal."""
        after = self._counted_seq
        try:
            state = await self._reading.run(
                lambda reader: journal_state(reader, self._config, after)
            )
        except StorageError as error:
            self._journal_error = str(error)
            return
        if self._journal is not None and state.stream == self._journal.stream:
            self._defects += state.defects
        self.unnamed = self.unnamed.followed(state.sessions)
        self._counted_seq = state.last_seq
        self._journal, self._journal_error = state, ""

    async def follow_journal(self) -> None:
        """Look again and again, until it is cancelled; the first time is due after `LOOK_S`."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()

    async def follow_classes(self) -> None:
        """Ask the daemon for the classes in force, until it is cancelled."""
        while True:
            await self.ask_classes()
            await asyncio.sleep(CLASSES_S)

    async def follow_status(self, streams: Streams) -> None:
        """Tell everybody once a second, until it is cancelled."""
        while True:
            self.beat_s = time.monotonic()
            streams.set_status(self.status_items())
            await asyncio.sleep(TELL_S)

    async def ask_classes(self) -> None:
        """Ask once; what is known stays where the daemon does not answer."""
        if self._config.requests is None:
            return
        request = AskThresholds(id=self._asking.next_id(), who=ASKER, classes=())
        try:
            answer = await self._asking.ask(request)
        except StripwatchError:
            self._read_classes()
            return
        if isinstance(answer, Classes):
            self.classes = answer.classes

    def status_items(self) -> dict[str, Any]:
        """What changes all the time."""
        now_ns = time.time_ns()
        return {
            "status": self._watch.status,
            "status_age_s": self._watch.status_age_s(now_ns),
            "speed_m_per_min": self._watch.speed_m_per_min,
            "blind": self._watch.blind(now_ns),
            "strips": self._strips(),
        }

    def state_items(self, listeners: int) -> dict[str, Any]:
        """Everything about now."""
        journal = self._journal
        grading = self._config.grading
        files = dict(journal.journal) if journal else {}
        manifest = self._manifest
        return {
            "stream": journal.stream if journal else None,
            "first_seq": journal.first_seq if journal else None,
            "last_seq": journal.last_seq if journal else None,
            **self.status_items(),
            "config": {
                **geometry(self._config),
                "classes": class_items(self.classes),
                "grading": grading if grading.rules else None,
            },
            "engine": manifest
            and {
                "target": manifest.target,
                "precision": manifest.precision,
                "hash": manifest.engine_hash,
            },
            "journal": {**files, "error": self._journal_error},
            "readers": journal.readers if journal else (),
            "lookers": listeners,
        }

    def live_row(self, event: Told) -> list[Any]:
        """A defect as a row of an event stream."""
        return live_row(self.unnamed.placed(event), self.class_index)

    def _strips(self) -> Sequence[Mapping[str, Any]]:
        """What is under each camera."""
        if not self.unnamed.sessions:
            return self._journal.strips if self._journal else ()
        return self.unnamed.strips()

    def chart(self, span: str) -> dict[str, Any]:
        """The last minute or hour."""
        return self._watch.chart("hour" if span == "hour" else "minute")

    def _read_classes(self) -> None:
        """The classes as a start of the daemon would have them."""
        try:
            self._manifest = load_manifest(Path(self._config.engine.folder))
            configured = resolve_classes(self._config, self._manifest)
            kept = load_kept(self._reading.folder)
        except StripwatchError:
            return  # the daemon has something to say about it
        self.classes = tuple(
            ClassInForce(
                id=entry.id,
                name=entry.name,
                threshold=entry.threshold,
                min_area_px=entry.min_area_px,
                configured_threshold=given.threshold,
                configured_min_area_px=given.min_area_px,
            )
            for entry, given in zip(applied(kept, configured), configured, strict=True)
        )
