"""A journal as labels: defects of the frames of a recording, as operators judged them on the page.

What a judgement makes of a defect: right leaves it, wrong takes it away, another class renames it.
A judgement of a whole defect counts for all its pieces. A box that was corrected cuts the mask;
where it reaches beyond the old box it is the mask itself, as roughly as it was drawn.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from stripwatch.errors import ConfigError, StorageError
from stripwatch.journal.query import Query, find
from stripwatch.journal.reader import JournalReader, StoredEvent
from stripwatch.journal.store import FILE
from stripwatch.wire.causes import WireError
from stripwatch.wire.event import (
    Defect,
    DefectClosed,
    Gap,
    Periodic,
    Review,
    StripEnd,
    StripStart,
    parse_event,
)
from stripwatch.wire.operator import BoxPx
from stripwatch.wire.rle import decode_severstal, encode_severstal, runs_of_mask
from stripwatch_train.data.event_labels import (
    Coverage,
    DefectLabel,
    FrameKey,
    LocatedLabel,
    Session,
)


@dataclass(slots=True)
class Judged:
    """The defects of a journal with their judgements."""

    coverage: Coverage = field(default_factory=Coverage)
    labels: list[LocatedLabel] = field(default_factory=list)
    judged: int = 0  # defects of which an operator said something
    open_frames: set[FrameKey] = field(default_factory=set)  # with defects that nobody judged


def read_judged(folder: Path, sessions: Collection[Session]) -> Judged:
    """What a journal knows about the frames of some sessions.

    Raises:
        StorageError: there is no journal, or it cannot be read.
        ConfigError: it knows nothing about these sessions.
    """
    marks = [f'"{session}"'.encode() for _, session in sessions]
    found = Judged()
    defects: list[Defect] = []
    names_of: dict[int, tuple[str, ...]] = {}  # names of the pieces of whole defects
    reviews: dict[int, Review] = {}  # the latest of each defect
    with JournalReader(folder) as reader:
        for page in find(reader, Query()):
            for stored in page:
                is_review = stored.topic.startswith("review.")
                if not is_review and not any(mark in stored.payload for mark in marks):
                    continue  # without a look into it: a journal has millions of others
                event = _parsed(folder, stored)
                if isinstance(event, Review):
                    reviews[event.defect_seq] = event
                elif isinstance(event, DefectClosed):
                    names_of[event.seq] = (event.part_of, *event.joined)
                elif isinstance(event, Defect | Gap | Periodic | StripStart | StripEnd):
                    if (event.camera, event.session) not in sessions:
                        continue
                    found.coverage.add(event)
                    if isinstance(event, Defect):
                        defects.append(event)
    if not found.coverage.range_of:
        raise ConfigError(
            f"{folder / FILE} has no events of the frames of this recording; it is to be the "
            "journal of the daemon that inspected them while they were recorded"
        )
    by_name = {
        name: reviews[seq] for seq, names in names_of.items() if seq in reviews for name in names
    }
    for defect in defects:
        _add(found, folder, defect, reviews.get(defect.seq) or by_name.get(defect.part_of))
    return found


def _add(found: Judged, folder: Path, defect: Defect, review: Review | None) -> None:
    """Add a defect as its judgement leaves it."""
    if review is None:
        found.open_frames.add((defect.camera, defect.session, defect.frame_seq))
    else:
        found.judged += 1
    if review is not None and review.verdict == "wrong":
        return
    said = review.said if review is not None else None
    label = DefectLabel(
        camera=defect.camera,
        session=defect.session,
        frame_seq=defect.frame_seq,
        class_name=said or defect.class_name,
        frame_shape=defect.frame_shape,
        class_id=0 if said else defect.class_id,
        rle=defect.rle,
    )
    if review is not None and review.box_px is not None:
        label = msgspec.structs.replace(label, rle=_corrected(defect, review.box_px))
    found.labels.append(LocatedLabel(label, f"{folder / FILE}, event {defect.seq}"))


def _corrected(defect: Defect, box_px: BoxPx) -> str:
    """The mask that a corrected box leaves, as `rle`."""
    x, y, width, height = box_px
    old_x, old_y, old_width, old_height = defect.bbox_px
    box = np.zeros(defect.frame_shape, np.uint8)
    box[y : y + height, x : x + width] = 1
    is_inside = (
        old_x <= x
        and old_y <= y
        and x + width <= old_x + old_width
        and y + height <= old_y + old_height
    )
    if is_inside:
        cut = box & decode_severstal(defect.rle, defect.frame_shape)
        box = cut if cut.any() else box
    return encode_severstal(runs_of_mask(box))


def _parsed(folder: Path, stored: StoredEvent) -> object:
    try:
        return parse_event(stored.topic.encode(), stored.payload)
    except WireError as error:
        raise StorageError(
            f"{folder / FILE}: event {stored.seq} is damaged: {error.detail}"
        ) from error
