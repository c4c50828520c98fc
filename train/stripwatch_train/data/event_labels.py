"""Event files as labels: defects of frames, and which frames were inspected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from stripwatch.client.event_file import load_events
from stripwatch.engines.manifest import DefectClass
from stripwatch.errors import ConfigError, StorageError
from stripwatch.wire.event import Defect, DefectClosed, Gap, StripEvent
from stripwatch_train.data.samples import class_name, make_classes
from stripwatch_train.data.text import decode_text

Session = tuple[str, str]  # camera, session
FrameKey = tuple[str, str, int]  # camera, session, number
Range = tuple[int, int]  # first and last number


class _TypeTag(msgspec.Struct, frozen=True):
    """The one field that every line has."""

    type: str


class DefectLabel(msgspec.Struct, frozen=True):
    """The fields of a `defect` line that make a label; a line added by hand needs no others."""

    camera: str
    session: str
    frame_seq: int
    class_name: str
    frame_shape: tuple[int, int]
    class_id: int = 0
    rle: str | None = None
    rle_coco: str | None = None


@dataclass(frozen=True, slots=True)
class LocatedLabel:
    """A label and where it was read."""

    label: DefectLabel
    where: str  # file and line, for errors


@dataclass(slots=True)
class Coverage:
    """Which frames were inspected, according to the events."""

    range_of: dict[Session, Range] = field(default_factory=dict)
    gaps: defaultdict[Session, list[Range]] = field(default_factory=lambda: defaultdict(list))
    defective: set[FrameKey] = field(default_factory=set)

    def add(self, event: StripEvent) -> None:
        """Count an event; a whole defect says nothing more than its pieces do."""
        if isinstance(event, DefectClosed):
            return
        session = (event.camera, event.session)
        first = last = 0
        if isinstance(event, Gap):
            first, last = event.first_frame_seq, event.last_frame_seq
            self.gaps[session].append((first, last))
        else:
            first = last = event.frame_seq
            if isinstance(event, Defect):
                self.defective.add((*session, event.frame_seq))
        low, high = self.range_of.get(session, (first, last))
        self.range_of[session] = (min(low, first), max(high, last))


def read_coverage(path: Path) -> Coverage:
    coverage = Coverage()
    numbers: dict[str, set[int]] = defaultdict(set)
    for event in load_events(path):
        coverage.add(event)
        numbers[event.stream].add(event.seq)
    for stream, seen in numbers.items():
        holes = max(seen) - min(seen) + 1 - len(seen)
        if holes:
            raise ConfigError(
                f"{path}: {holes} events of stream {stream} are missing between {min(seen)} and "
                f"{max(seen)}, so that frames cannot be known to be clean; take all that "
                "`stripwatch events --json` writes, and give changes by hand as --corrections"
            )
    if not coverage.range_of:
        raise ConfigError(f"{path}: holds no events of a strip")
    return coverage


def read_labels(path: Path) -> list[LocatedLabel]:
    try:
        lines = decode_text(path.read_bytes()).splitlines()
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8; save it as UTF-8") from None
    placed: list[LocatedLabel] = []
    for number, line in enumerate(lines, 1):
        where = f"{path}, line {number}"
        try:
            if line.strip() and msgspec.json.decode(line, type=_TypeTag).type == "defect":
                # Not strict: tables of other programs hold whole numbers as 64.0.
                label = msgspec.convert(msgspec.json.decode(line), DefectLabel, strict=False)
                placed.append(LocatedLabel(label, where))
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise ConfigError(f"{where}: is not an event: {error}") from None
    return placed


def classes_of_labels(
    path: Path, placed: Sequence[LocatedLabel], names: Sequence[str]
) -> tuple[DefectClass, ...]:
    # A class renamed by hand may carry the old id, or none: it comes last.
    lowest: dict[str, int] = {}
    for entry in placed:
        name, class_id = entry.label.class_name, entry.label.class_id or 1000
        lowest[name] = min(lowest.get(name, class_id), class_id)
    if not names and not lowest:
        raise ConfigError(f"{path}: holds no defects that could name the classes; give --classes")
    known = make_classes(path, names or sorted(lowest, key=lambda name: (lowest[name], name)))
    allowed = [entry.name for entry in known]
    for entry in placed:
        if class_name(entry.label.class_name) not in allowed:
            raise ConfigError(
                f"{entry.where}: class {entry.label.class_name!r} is none of {', '.join(allowed)}"
            )
    return known
