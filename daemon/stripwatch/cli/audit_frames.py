"""Clean frames of a strip out of a recording, for an audit."""

from __future__ import annotations

import random
from pathlib import Path

import cv2

from stripwatch.config.sections import Config
from stripwatch.errors import ConfigError
from stripwatch.feed.sources.recording import Reading, read_recording
from stripwatch.inspect.grading.audit import CLEAN
from stripwatch.inspect.strip.coordinates import CameraPlace
from stripwatch.journal.reader import JournalReader
from stripwatch.journal.strips import strip_events
from stripwatch.service.console import ProgressBar
from stripwatch.view.audit_folder import Item
from stripwatch.wire.event import Defect, Gap
from stripwatch.wire.frame import BadFrame, FrameHeader, frame_pixels

Sampled = tuple[FrameHeader, bytes]


def clean_frames(
    path: Path,
    reader: JournalReader,
    config: Config,
    strip: str,
    count: int,
    chance: random.Random,
) -> list[tuple[Item, bytes | None]]:
    """At random so many frames of a strip that were inspected and in which no defect was found.

    Raises:
        ConfigError: the recording has no such frame.
        StorageError: recording or journal cannot be read.
    """
    not_clean, gaps = _not_clean(reader, strip)
    places = {camera.name: CameraPlace(camera, config.line) for camera in config.cameras}
    sample: list[Sampled] = []
    seen = 0
    with ProgressBar() as progress:
        for header, payload in read_recording(path, reading := Reading()):
            progress.show(f"reading {path.name}, {reading.frames} frames", 0, 0)
            frame = (header.camera, header.session, header.seq)
            in_gap = any(first <= header.seq <= last for first, last in gaps.get(frame[:2], ()))
            if header.strip != strip or header.camera not in places or in_gap:
                continue
            if frame in not_clean:
                continue
            # Vitter's algorithm R: each frame is in the sample with the same chance.
            seen += 1
            if len(sample) < count:
                sample.append((header, payload))
            elif (at := chance.randrange(seen)) < count:
                sample[at] = (header, payload)
    if not sample and count:
        raise ConfigError(
            f"{path} has no frame of strip {strip!r} that was inspected and has no defect"
        )
    return [_item(header, payload, places[header.camera]) for header, payload in sample]


def _not_clean(
    reader: JournalReader, strip: str
) -> tuple[set[tuple[str, str, int]], dict[tuple[str, str], list[tuple[int, int]]]]:
    """Frames with defects, and by camera and session the frames that were not inspected."""
    defective: set[tuple[str, str, int]] = set()
    gaps: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for event, _ in strip_events(reader, strip):
        if isinstance(event, Defect):
            defective.add((event.camera, event.session, event.frame_seq))
        elif isinstance(event, Gap):
            span = (event.first_frame_seq, event.last_frame_seq)
            gaps.setdefault((event.camera, event.session), []).append(span)
    return defective, gaps


def _item(header: FrameHeader, payload: bytes, place: CameraPlace) -> tuple[Item, bytes | None]:
    box = place.box(header, (0, 0, header.shape[1], header.shape[0]))
    item = Item(
        number=0,
        told=CLEAN,
        side=place.camera.side,
        downweb_mm=box.downweb_mm,
        crossweb_mm=box.crossweb_mm,
        frame=f"{header.camera} {header.session} {header.seq}",
    )
    try:
        return item, cv2.imencode(".png", frame_pixels(header, payload))[1].tobytes()
    except BadFrame:  # the place can be looked at all the same
        return item, None
