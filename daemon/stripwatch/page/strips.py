"""Strips for the page: the list of those of the journal, and one with all that is not a defect."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Set
from typing import Any

from stripwatch.config.grading import Grading
from stripwatch.inspect.grading.grade import grade
from stripwatch.inspect.grading.intervals import Interval
from stripwatch.inspect.grading.record import StripRecord
from stripwatch.journal.reader import JournalReader
from stripwatch.journal.schema import IS_RARE
from stripwatch.wire.event import StripEnd, StripStart, parse_event
from stripwatch.wire.verdict import Measured, Verdict

LOOKED_AT = 2000  # strip events that one list looks at


def list_strips(
    reader: JournalReader, search: str, before: int | None, limit: int
) -> dict[str, Any]:
    """The strips that began last, the newest first, and where to go on.

    Raises:
        StorageError: the journal cannot be read.
    """
    rows = reader.rows(
        "SELECT seq, topic, payload FROM event "  # noqa: S608 - a constant
        f"WHERE type IN ('strip_start', 'strip_end') AND {IS_RARE} AND seq < ? "
        "AND instr(lower(strip), lower(?)) ORDER BY seq DESC LIMIT ?",
        (sys.maxsize if before is None else before, search, LOOKED_AT),
    )
    strips: dict[str, list[StripStart | StripEnd]] = {}
    next_seq = None
    for seq, topic, payload in rows:
        event = parse_event(topic.encode(), payload)
        assert isinstance(event, StripStart | StripEnd)
        assert event.strip is not None
        if event.strip not in strips and len(strips) == limit:
            break
        strips.setdefault(event.strip, []).append(event)
        next_seq = seq
    else:
        next_seq = next_seq if len(rows) == LOOKED_AT else None
    return {
        "strips": [_strip_item(strip, events) for strip, events in strips.items()],
        "next": next_seq,
    }


def _strip_item(strip: str, events: list[StripStart | StripEnd]) -> dict[str, Any]:
    """A strip from what its cameras told, the newest first; of each camera the latest passage."""
    ends: dict[str, StripEnd] = {}
    starts: dict[str, StripStart] = {}
    for event in events:
        if event.camera in starts:
            continue
        if isinstance(event, StripStart):
            starts[event.camera] = event
        else:
            ends.setdefault(event.camera, event)
    cameras = sorted({*starts, *ends})
    has_ended = bool(ends) and set(cameras) == set(ends)
    defects: Counter[str] = Counter()
    for end in ends.values():
        defects.update(end.whole_defects or end.defects)
    missed = [sum(end.metres_missed.values()) for end in ends.values()]
    lengths = [end.metres_inspected + sum(end.metres_missed.values()) for end in ends.values()]
    verdicts = [end.verdict for end in ends.values() if isinstance(end.verdict, Verdict)]
    final = [one for one in verdicts if one.is_final] or verdicts
    return {
        "strip": strip,
        "first_seq": min(event.seq for event in events),
        "start_ns": min((start.t_ns for start in starts.values()), default=None),
        "end_ns": max(end.t_ns for end in ends.values()) if has_ended else None,
        "has_ended": has_ended,
        "length_m": max(lengths) if has_ended else None,
        "metres_missed": max(missed) if has_ended else None,
        "defects": defects,
        "grade": final[0].grade if final else None,
        "cameras": cameras,
    }


def strip_items(
    record: StripRecord, grading: Grading, open_marks: Set[str] = frozenset()
) -> dict[str, Any]:
    """A strip with what is not a defect; `open_marks` are names of roll marks that go on."""
    verdict = grade(grading, record) if grading.rules else None
    counts: dict[str, Counter[str]] = {}
    for flaw in record.defects:
        counts.setdefault(flaw.class_name, Counter())[flaw.side] += 1
    return {
        "strip": record.strip,
        "start_ns": record.start_ns,
        "end_ns": record.end_ns,
        "has_ended": record.has_ended,
        "length_m": record.length_mm / 1000,
        "coverage": [
            {
                "camera": camera.name,
                "side": camera.side,
                "frames_inspected": camera.frames_inspected,
                "frames_missed": camera.frames_missed,
                "metres_inspected": camera.metres_inspected,
                "metres_missed": camera.metres_missed,
            }
            for camera in record.cameras.values()
        ],
        "counts": counts,
        "gaps": [
            {
                "camera": blind.camera,
                "side": blind.side,
                "cause": blind.cause,
                "from_m": blind.along_mm and blind.along_mm[0] / 1000,
                "to_m": blind.along_mm and blind.along_mm[1] / 1000,
                "length_m": blind.length_mm / 1000,
                "across_mm": record.cameras[blind.camera].field_mm,
                "seq": blind.seq,
            }
            for blind in record.blind
        ],
        "marks": [
            {
                "mark": mark.name,
                "side": mark.side,
                "lane_mm": mark.lane_mm,
                "period_mm": mark.period_mm,
                "rolls": mark.rolls,
                "first_m": mark.first_mm / 1000,
                "last_m": mark.last_mm / 1000,
                "teeth": mark.teeth,
                "missed_teeth": mark.missed_teeth,
                "p_value": mark.p_value,
                "is_open": mark.name in open_marks,
            }
            for mark in record.marks
        ],
        "verdict": verdict,
        "zones": list(_zones(verdict, record.sides)) if verdict else [],
        "edges_mm": record.edges_mm,
        "models": record.models,
    }


def _zones(verdict: Verdict, sides: Iterable[str]) -> Iterable[dict[str, Any]]:
    """Where limits are exceeded, as disjoint stretches of each side with the worst grade."""
    ranks = {name: rank for rank, name in enumerate(verdict.grades)}
    for side in sides:
        spans = [
            (place.downweb_mm, rule)
            for rule in verdict.rules
            for place in rule.places
            if place.side == side and place.downweb_mm
        ]
        for (first, last), rules in _disjoint(spans):
            yield {
                "side": side,
                "from_m": first / 1000,
                "to_m": last / 1000,
                "grade": max((rule.grade for rule in rules), key=lambda name: ranks[name]),
                "rules": sorted({rule.rule for rule in rules}),
            }


def _disjoint(
    spans: list[tuple[Interval, Measured]],
) -> Iterable[tuple[Interval, list[Measured]]]:
    """Spans that meet become one, with the rules of all."""
    joined: list[tuple[Interval, list[Measured]]] = []
    for (first, last), rule in sorted(spans, key=lambda one: one[0]):
        if joined and first <= joined[-1][0][1]:
            (begin, end), rules = joined[-1]
            joined[-1] = (begin, max(end, last)), [*rules, rule]
        else:
            joined.append(((first, last), [rule]))
    return joined
