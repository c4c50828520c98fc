"""Grades of the strips that pass: each `strip_end` carries the verdict so far, the last the whole.

What is kept of a strip is bounded; beyond it the verdict says so, and `stripwatch grade` knows all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import msgspec

from stripwatch.config.grading import Grading
from stripwatch.config.sections import Config
from stripwatch.inspect.grading.build import RecordBuilder
from stripwatch.inspect.grading.grade import grade
from stripwatch.wire.event import Event, NumberedEvent, StripEnd, StripEvent, StripStart

STRIPS_KEPT = 4  # cameras apart along the line may be on different strips
KEPT_MAX = 5000  # defects of a strip, and gaps: 10 rules over them take a quarter of a second


@dataclass(frozen=True, slots=True)
class _Strip:
    """A strip under way, and the rules with which it began."""

    grading: Grading
    builder: RecordBuilder


class LiveGrades:
    """Follows the events of all cameras, in the order in which they happen."""

    def __init__(self, config: Config) -> None:
        self._config = config
        # By name, the one begun last is the last; None: it began when there were no rules.
        self._strips: dict[str, _Strip | None] = {}
        self._rebuilt: set[str] = set()  # begun under the daemon before this one

    def resume(self, strip: str, events: Iterable[NumberedEvent]) -> None:
        """Continue a strip that is open, from its events in the journal."""
        begun = self._begin(strip)
        if begun is None:
            return
        self._rebuilt.add(strip)
        for event in events:
            begun.builder.add(event)

    def follow(self, event: Event) -> Event:
        """The same event; that of a strip's end with the verdict, where there are rules."""
        if not isinstance(event, StripEvent) or event.strip is None:
            return event
        strip = event.strip
        begun = self._strips.get(strip)
        is_start = isinstance(event, StripStart)
        comes_again = is_start and begun and begun.builder.has_ended(event.camera)
        if strip not in self._strips or comes_again:
            begun = self._begin(strip)
        if begun is None:
            return event
        begun.builder.add(event)
        if not isinstance(event, StripEnd):
            return event
        source: Literal["daemon", "journal"] = "journal" if strip in self._rebuilt else "daemon"
        verdict = grade(begun.grading, begun.builder.record(), source)
        return msgspec.structs.replace(event, verdict=verdict)

    def begin_with(self, config: Config) -> None:
        """Take other rules and cameras for the strips that begin from now on.

        One strip has one set of rules, and is to be seen by the cameras with which it began.
        """
        self._config = config

    def _begin(self, strip: str) -> _Strip | None:
        self._strips.pop(strip, None)
        self._rebuilt.discard(strip)
        if len(self._strips) == STRIPS_KEPT:
            oldest = next(iter(self._strips))
            del self._strips[oldest]
            self._rebuilt.discard(oldest)
        config = self._config
        begun = None
        if config.grading.rules:
            begun = _Strip(config.grading, RecordBuilder(strip, config, KEPT_MAX))
        self._strips[strip] = begun
        return begun
