"""What must hold after a run, whatever was done to the line."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from stripwatch.errors import StorageError
from stripwatch.journal.verify import verify
from stripwatch.lab.faults.camera import FIRST_SEQ, LabCamera, defect_area
from stripwatch.lab.faults.daemon import Supervisor
from stripwatch.lab.faults.witness import Witness
from stripwatch.wire.event import Defect, Gap, NumberedEvent

GROWTH_BYTES_MAX = 64 * 1024 * 1024  # of the daemon's memory in a life of some seconds
SHOWN_MAX = 5  # frames that a sentence names

_decoder: msgspec.json.Decoder[NumberedEvent] = msgspec.json.Decoder(NumberedEvent)


@dataclass(slots=True)
class Found:
    """What the journals of a run say, together."""

    payloads: dict[tuple[str, int], bytes] = field(default_factory=dict)  # by stream and seq
    # By camera and session: numbers of frames.
    inspected: defaultdict[tuple[str, str], list[int]] = field(
        default_factory=lambda: defaultdict(list)
    )
    missed: defaultdict[tuple[str, str], list[int]] = field(
        default_factory=lambda: defaultdict(list)
    )
    counted: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    ranges: defaultdict[tuple[str, str], list[tuple[int, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    faults: list[str] = field(default_factory=list)


def verdict(
    journals: Sequence[Path],
    cameras: Sequence[LabCamera],
    witness: Witness,
    supervisor: Supervisor,
    log: Path,
) -> list[str]:
    """Everything that is wrong after a run.

    Args:
        journals: the files in the order in which they were written.
        cameras: that have sent.
        witness: that has subscribed to everything.
        supervisor: of the daemon.
        log: of the daemon.
    """
    faults = [*supervisor.faults, *witness.faults]
    found = Found()
    for journal in journals:
        try:
            faults += [f"{journal.parent.name}: {fault}" for fault in verify(journal)]
            _read(journal, found)
        except (StorageError, sqlite3.Error, msgspec.DecodeError) as error:
            faults.append(str(error))
    faults += found.faults
    for camera in cameras:
        faults += _coverage_faults(camera, found)
    faults += _witness_faults(witness, found)
    if supervisor.growth_bytes > GROWTH_BYTES_MAX:
        faults.append(f"its memory grew by {supervisor.growth_bytes / 2**20:.0f} MiB")
    text = log.read_text(errors="replace")
    if "Traceback" in text:
        faults.append("a traceback is in the log")
    return faults


def _read(journal: Path, found: Found) -> None:
    with closing(sqlite3.connect(f"{journal.absolute().as_uri()}?mode=ro", uri=True)) as database:
        for (payload,) in database.execute("SELECT payload FROM event ORDER BY seq"):
            event = _decoder.decode(payload)
            found.payloads[event.stream, event.seq] = payload
            if isinstance(event, Defect):
                found.inspected[event.camera, event.session].append(event.frame_seq)
                if event.area_px != defect_area(event.frame_seq):
                    found.faults.append(f"event {event.seq} has the pixels of another frame")
            elif isinstance(event, Gap):
                numbers = range(event.first_frame_seq, event.last_frame_seq + 1)
                found.missed[event.camera, event.session] += numbers
        for camera, session, first_seq, last_seq, inspected in database.execute(
            "SELECT camera, session, first_seq, last_seq, inspected FROM coverage"
        ):
            found.ranges[camera, session].append((first_seq, last_seq))
            found.counted[camera, session] += inspected


def _coverage_faults(camera: LabCamera, found: Found) -> Iterator[str]:
    """Every frame up to the last one booked was inspected once, or is in one gap."""
    expected = {
        session if number == 1 else f"{session}-{number}": (number, last)
        for (session, number), last in camera.used.items()
    }
    for name, session in found.ranges:
        if name != camera.camera:
            continue
        key, place = (name, session), f"camera {name}, session {session}"
        inspected, missed = found.inspected[key], found.missed[key]
        numbers = sorted(inspected + missed)
        first_seq = min(first for first, last in found.ranges[key] if last >= first)
        last_seq = max(last for _, last in found.ranges[key])
        whole = list(range(first_seq, last_seq + 1))
        if numbers != whole:
            absent = sorted(set(whole) - set(numbers))
            twice = [number for number, count in Counter(numbers).items() if count > 1]
            span = f"{first_seq} to {last_seq}"
            yield f"{place}: {span}: absent {_some(absent)}, twice {_some(twice)}"
        if len(inspected) != found.counted[key]:
            yield f"{place}: {len(inspected)} were inspected, {found.counted[key]} are counted"
        if session not in expected:
            yield f"{place}: nothing was sent under this name"
            continue
        number, last_used = expected[session]
        if last_seq > last_used:
            yield f"{place}: frame {last_seq} is booked, {last_used} was the last"
        if number == 1 and first_seq not in (0, *range(FIRST_SEQ, last_used + 1)):
            yield f"{place}: its frames before {first_seq} are not accounted for"


def _witness_faults(witness: Witness, found: Found) -> Iterator[str]:
    """What was published is in a journal, byte for byte, in order and once."""
    last: dict[str, int] = {}
    for stream, seq, payload in witness.numbered:
        if seq <= last.get(stream, 0):
            yield f"event {seq} was published after event {last[stream]}"
        last[stream] = seq
        if found.payloads.get((stream, seq)) != payload:
            yield f"event {seq} of stream {stream[:8]} was published and is not in the journal so"
    inspected = {(*key, number) for key, numbers in found.inspected.items() for number in numbers}
    unknown = sorted(witness.inspected - inspected)
    if unknown:
        yield f"results were published of frames without an event: {_some(unknown)}"


def _some(entries: Sequence[object]) -> str:
    shown = ", ".join(map(str, entries[:SHOWN_MAX]))
    return f"{shown or 'none'}{' ...' if len(entries) > SHOWN_MAX else ''} ({len(entries)})"
