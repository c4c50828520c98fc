"""Comparing the events of two runs over the same frames.

Fields that differ between any two runs are ignored: the stream and its numbers, the session, the
times, and the verdict, which follows from the other events. The model's hash is compared once for
all events. The names in `part_of` are numbers that shift with every defect before them: which
defects share one is compared, not the name. Whole defects are compared by their box.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from stripwatch.wire.event import Defect, DefectClosed, Gap, StripEvent

IGNORED = ("stream", "seq", "session", "t_ns", "model", "mark", "verdict")
NAMES = (*IGNORED, "part_of", "joined", "frames")  # ignored in whole defects: they hold sessions
VALUE_CHARACTERS_MAX = 40  # of a field in a line of text; masks are long

Kind = Literal["missing", "new", "changed"]


class Difference(msgspec.Struct, frozen=True):
    """One event that is missing, new or changed."""

    kind: Kind
    event: StripEvent  # the expected one; of a new event, that one
    changes: tuple[tuple[str, Any, Any], ...] = ()  # field, expected, actual


class Comparison(msgspec.Struct, frozen=True):
    """The events of two runs and their differences."""

    differences: tuple[Difference, ...]
    expected: tuple[StripEvent, ...]
    actual: tuple[StripEvent, ...]

    @property
    def models(self) -> tuple[list[str], list[str]]:
        """The hashes of the engines that found the defects, expected and actual."""
        expected, actual = (
            sorted({event.model for event in events if isinstance(event, Defect)})
            for events in (self.expected, self.actual)
        )
        return expected, actual


def compare_events(expected: Iterable[StripEvent], actual: Iterable[StripEvent]) -> Comparison:
    """Compare events by camera, frame, class and box (gaps and strips by camera and frames)."""
    expected, actual = tuple(expected), tuple(actual)
    pool: dict[tuple[object, ...], list[StripEvent]] = defaultdict(list)
    for event in actual:
        pool[_key(event)].append(event)
    differences: list[Difference] = []
    pairs: list[tuple[StripEvent, StripEvent]] = []
    for event in expected:
        partners = pool[_key(event)]
        if partners:
            pairs.append((event, partners.pop(0)))
        else:
            differences.append(Difference("missing", event))
    regrouped = _regrouped(pairs)
    for index, (event, partner) in enumerate(pairs):
        changes = _changes(event, partner, regrouped=index in regrouped)
        if changes:
            differences.append(Difference("changed", event, changes))
    differences += [Difference("new", event) for events in pool.values() for event in events]
    differences.sort(key=lambda difference: _position(difference.event))
    return Comparison(tuple(differences), expected, actual)


def format_difference(difference: Difference) -> str:
    """One line of text for a difference."""
    event = difference.event
    line = f"{difference.kind:<8} {event.camera} {_name(event)}"
    changes = (f"{field} {_short(old)} -> {_short(new)}" for field, old, new in difference.changes)
    return ": ".join(filter(None, (line, ", ".join(changes))))


def summary_rows(comparison: Comparison) -> list[tuple[str, int, int, int, int, int]]:
    """By kind of event: name, expected, actual, missing, new, changed."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0] * 5)
    for column, events in enumerate((comparison.expected, comparison.actual)):
        for event in events:
            counts[_kind(event)][column] += 1
    for difference in comparison.differences:
        column = ("missing", "new", "changed").index(difference.kind)
        counts[_kind(difference.event)][2 + column] += 1
    return [(name, *_five(row)) for name, row in sorted(counts.items())]


def _five(row: Sequence[int]) -> tuple[int, int, int, int, int]:
    first, second, third, fourth, fifth = row
    return first, second, third, fourth, fifth


def _kind(event: StripEvent) -> str:
    tag = str(event.__struct_config__.tag)
    return f"{tag} {event.class_name}" if isinstance(event, Defect | DefectClosed) else tag


def _key(event: StripEvent) -> tuple[object, ...]:
    place: tuple[object, ...]
    match event:
        case Defect():
            place = (event.frame_seq, event.class_name, event.bbox_px)
        case DefectClosed():
            place = (event.strip, event.class_name, event.box_mm)
        case Gap():
            place = (event.first_frame_seq, str(event.cause), event.last_frame_seq)
        case _:
            place = (event.frame_seq, event.strip)
    return (type(event).__name__, event.camera, *place)


def _position(event: StripEvent) -> tuple[str, int]:
    match event:
        case DefectClosed():
            return event.camera, event.frames[event.camera].last_frame_seq
        case Gap():
            return event.camera, event.first_frame_seq
        case _:
            return event.camera, event.frame_seq


def _regrouped(pairs: Sequence[tuple[StripEvent, StripEvent]]) -> set[int]:
    """Indices of the pairs of defects whose `part_of` groups them differently in the two runs.

    Each group is named by its first pair; members without a partner are missing or new themselves.
    """
    firsts: tuple[dict[str, int], dict[str, int]] = ({}, {})
    found: set[int] = set()
    for index, pair in enumerate(pairs):
        groups = [
            first.setdefault(event.part_of, index)
            for first, event in zip(firsts, pair, strict=True)
            if isinstance(event, Defect)
        ]
        if len(set(groups)) > 1:
            found.add(index)
    return found


def _changes(
    expected: StripEvent, actual: StripEvent, *, regrouped: bool
) -> tuple[tuple[str, Any, Any], ...]:
    before, after = _fields(expected), _fields(actual)
    return tuple(
        (field, before[field], after[field])
        for field in before
        if (regrouped if field == "part_of" else before[field] != after[field])
    )


def _fields(event: StripEvent) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(event)
    ignored = NAMES if isinstance(event, DefectClosed) else IGNORED
    return {name: value for name, value in fields.items() if name not in ignored}


def _name(event: StripEvent) -> str:
    match event:
        case Defect():
            x, y, width, height = event.bbox_px
            return (
                f"frame {event.frame_seq} {event.class_name} at ({x}, {y}), {width} x {height} px"
            )
        case DefectClosed():
            return f"whole {event.class_name} of {event.pieces} pieces at {event.box_mm}"
        case Gap():
            frames = f"{event.first_frame_seq} to {event.last_frame_seq}"
            return f"gap of frames {frames}, {event.cause}"
        case _:
            return f"frame {event.frame_seq} {_kind(event)} of {event.strip}"


def _short(value: Any) -> str:  # noqa: ANN401 - any field of an event
    text = str(value)
    if len(text) <= VALUE_CHARACTERS_MAX:
        return text
    return f"{text[: VALUE_CHARACTERS_MAX - 3]}..."
