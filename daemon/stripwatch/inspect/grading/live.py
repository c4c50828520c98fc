"""Grades of the strips that pass: each `strip_end` carries the verdict so far, the last the whole.

What is kept of a strip is bounded; beyond it the verdict says so, and `stripwatch grade` knows all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from stripwatch.config.sections import Config
from stripwatch.inspect.grading.build import RecordBuilder
from stripwatch.inspect.grading.grade import grade
from stripwatch.wire.event import Event, NumberedEvent, StripEnd, StripEvent, StripStart

STRIPS_KEPT = 4  # cameras apart along the line may be on different strips
KEPT_MAX = 5000  # defects of a strip, and gaps: 10 rules over them take a quarter of a second


class LiveGrades:
    """Follows the events of all cameras, in the order in which they happen."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._is_on = bool(config.grading.rules)
        self._strips: dict[str, RecordBuilder] = {}  # by name, the one begun last is the last
        self._rebuilt: set[str] = set()  # begun under the daemon before this one

    def resume(self, strip: str, events: Iterable[NumberedEvent]) -> None:
        """Continue a strip that is open, from its events in the journal."""
        if not self._is_on:
            return
        self._begin(strip)
        self._rebuilt.add(strip)
        for event in events:
            self._strips[strip].add(event)

    def follow(self, event: Event) -> Event:
        """The same event; that of a strip's end with the verdict, where there are rules."""
        if not self._is_on or not isinstance(event, StripEvent) or event.strip is None:
            return event
        strip = event.strip
        builder = self._strips.get(strip)
        comes_again = isinstance(event, StripStart) and builder and builder.has_ended(event.camera)
        if builder is None or comes_again:
            builder = self._begin(strip)
        builder.add(event)
        if not isinstance(event, StripEnd):
            return event
        source: Literal["daemon", "journal"] = "journal" if strip in self._rebuilt else "daemon"
        verdict = grade(self._config.grading, builder.record(), source)
        return msgspec.structs.replace(event, verdict=verdict)

    def _begin(self, strip: str) -> RecordBuilder:
        self._strips.pop(strip, None)
        self._rebuilt.discard(strip)
        if len(self._strips) == STRIPS_KEPT:
            oldest = next(iter(self._strips))
            del self._strips[oldest]
            self._rebuilt.discard(oldest)
        builder = self._strips[strip] = RecordBuilder(strip, self._config, KEPT_MAX)
        return builder
