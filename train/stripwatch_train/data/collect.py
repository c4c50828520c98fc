"""A data set from a recorded strip and its events.

A frame counts as clean only where the events show that it was inspected: between the first and
the last event of its session, outside every gap, in a file of events without a hole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.manifest import DefectClass
from stripwatch.errors import ConfigError
from stripwatch.feed.sources.mcap_file import read_counts
from stripwatch.feed.sources.recording import Reading, read_recording
from stripwatch.service.console import Progress
from stripwatch.wire.causes import WireError
from stripwatch.wire.frame import BadFrame, FrameHeader, frame_pixels
from stripwatch.wire.rle import decode_coco, decode_severstal
from stripwatch_train.data.event_labels import (
    Coverage,
    FrameKey,
    LocatedLabel,
    Range,
    Session,
    classes_of_labels,
    read_coverage,
    read_labels,
)
from stripwatch_train.data.formats.coco_writer import LabelledImage, write_coco
from stripwatch_train.data.journal_labels import Judged, read_judged
from stripwatch_train.data.samples import class_name

Recorded = tuple[FrameHeader, bytes]  # and payload


@dataclass(slots=True)
class Collected:
    """Counts of a recording's frames and labels."""

    clean: int = 0  # written
    cleared: int = 0  # of the clean: the events have defects there, who corrected them none
    defective: int = 0
    labels: int = 0  # in defective frames
    missed: int = 0  # not inspected, according to a gap event
    uncovered: int = 0  # before the first or after the last event of their session
    repeated: int = 0  # recorded twice
    undecodable: int = 0
    thinned: int = 0  # clean, left out because of clean_every
    judged: int = 0  # defects of which an operator said what they are
    not_judged: int = 0  # left out because of only_judged
    without_frame: int = 0  # labels whose frame is not in the recording, or was left out
    remark: str = ""  # on unreadable parts of the recording


def collect(
    recording: Path,
    events: Path | None,
    output: Path,
    *,
    journal: Path | None = None,
    corrections: Path | None = None,
    only_judged: bool = False,
    classes: Sequence[str] = (),
    clean_every: int = 1,
    progress: Progress = lambda *_: None,
) -> Collected:
    """Write a recording's inspected frames, and the defects found in them, as a data set.

    Args:
        recording: MCAP file of `stripwatch record`.
        events: JSON lines of all numbered events of the same frames, as `stripwatch replay
            --write-events` or `stripwatch events --json` writes them; None: see `journal`.
        output: folder to write; frames of one strip, whatever camera saw them, form a group.
        journal: folder of the journal of the daemon that inspected these frames while they were
            recorded, in place of `events`; what operators judged on the page is taken over.
        corrections: JSON lines whose defects replace those in `events`.
        only_judged: leave out frames with a defect that no operator judged; needs `journal`.
        classes: names in order; () = those of the defects, in the order of their ids.
        clean_every: of the clean frames of each session, write the first and then every n-th: a
            strip is mostly clean, and its frames are similar. Frames with defects, and those that a
            correction or an operator cleared, are all kept.
        progress: called before each frame of the recording.

    Raises:
        ConfigError: a line cannot be used, events are missing, no frame is covered by them, or
            the output exists.
        StorageError: a file cannot be read or written.
    """
    if clean_every < 1:
        raise ConfigError(f"--clean-every {clean_every}: give 1 (all clean frames) or more")
    if (events is None) == (journal is None):
        raise ConfigError("give the events of the frames: --events FILE, or --journal FOLDER")
    if (journal is None and only_judged) or (journal is not None and corrections is not None):
        raise ConfigError("--only-judged goes with --journal, --corrections with --events")
    progress("events", 0, 0)
    source = corrections or events or journal
    assert source is not None
    judged = Judged()
    if events is not None:
        judged.coverage = read_coverage(events)
        judged.labels = read_labels(source)
    else:
        judged = read_judged(source, _sessions_of(recording))
    placed, coverage = judged.labels, judged.coverage
    known = classes_of_labels(source, placed, classes)
    labels_of: dict[FrameKey, list[LocatedLabel]] = defaultdict(list)
    for entry in placed:
        label = entry.label
        labels_of[label.camera, label.session, label.frame_seq].append(entry)
    done = Collected(judged=judged.judged)
    left_out = judged.open_frames if only_judged else set()
    reading = Reading()
    frames = _shown(recording, reading, progress)
    images = _images(recording, frames, coverage, labels_of, known, clean_every, left_out, done)
    write_coco(output, known, images)
    done.remark = reading.remark()
    done.without_frame = len(placed) - done.labels
    return done


def _sessions_of(recording: Path) -> set[Session]:
    """The cameras and sessions of a recording's frames."""
    frames = read_recording(recording, Reading())
    return {(header.camera, header.session) for header, _ in frames}


def _shown(recording: Path, reading: Reading, progress: Progress) -> Iterator[Recorded]:
    """The frames of a recording; how many there are is known where its index is intact."""
    counts = read_counts(recording)
    steps = counts[0] if counts else 0
    for number, frame in enumerate(read_recording(recording, reading)):
        progress("frames of the recording", number, steps)
        yield frame


def _images(
    recording: Path,
    frames: Iterator[Recorded],
    coverage: Coverage,
    labels_of: dict[FrameKey, list[LocatedLabel]],
    classes: Sequence[DefectClass],
    clean_every: int,
    left_out: Set[FrameKey],
    done: Collected,
) -> Iterator[LabelledImage]:
    """The frames to write; `done` counts all."""
    seen: set[FrameKey] = set()
    sessions: set[Session] = set()
    clean_of: defaultdict[Session, int] = defaultdict(int)
    for header, payload in frames:
        key = (header.camera, header.session, header.seq)
        sessions.add(key[:2])
        if key in seen:
            done.repeated += 1
            continue
        seen.add(key)
        first, last = coverage.range_of.get(key[:2], (0, -1))
        if not first <= header.seq <= last:
            done.uncovered += 1
        elif any(low <= header.seq <= high for low, high in coverage.gaps[key[:2]]):
            done.missed += 1
        elif key in left_out:
            done.not_judged += 1
        else:
            pixels = _pixels(header, payload)
            if pixels is None:
                done.undecodable += 1
                continue
            labels = labels_of.get(key, [])
            is_cleared = not labels and key in coverage.defective  # what the model must unlearn
            clean_of[key[:2]] += not labels and not is_cleared
            if not labels and not is_cleared and (clean_of[key[:2]] - 1) % clean_every:
                done.thinned += 1
                continue
            mask = _mask(header, labels, classes)
            done.defective += bool(labels)
            done.clean += not labels
            done.cleared += is_cleared
            done.labels += len(labels)
            yield _labelled_image(header, pixels, mask)
    if not done.clean + done.defective:
        raise ConfigError(
            f"{recording}: none of its {len(seen)} frames is covered by the events. They are of "
            f"{_listed(coverage.range_of)}, the frames of {_listed(sessions)}. To get events of a "
            "recording: stripwatch replay RECORDING --keep-headers --config CONFIG.TOML "
            "--write-events EVENTS.JSONL"
        )


def _pixels(header: FrameHeader, payload: bytes) -> NDArray[np.uint8] | None:
    """Grey pixels, uint8 [lines, pixels]; None where the daemon could not have read them."""
    try:
        return frame_pixels(header, payload)
    except BadFrame:
        return None


def _mask(
    header: FrameHeader, labels: Sequence[LocatedLabel], classes: Sequence[DefectClass]
) -> NDArray[np.uint8]:
    bit_of = {entry.name: np.uint8(entry.bit) for entry in classes}
    mask = np.zeros(header.shape, np.uint8)
    for entry in labels:
        label = entry.label
        if label.frame_shape != header.shape:
            raise ConfigError(
                f"{entry.where}: frame_shape is {label.frame_shape}, the frame's {header.shape}"
            )
        try:
            if label.rle is not None:
                one = decode_severstal(label.rle, header.shape)
            elif label.rle_coco is not None:
                one = decode_coco(label.rle_coco, header.shape)
            else:
                raise ConfigError(f"{entry.where}: has neither rle nor rle_coco")
        except WireError as error:
            raise ConfigError(f"{entry.where}: {error.detail}") from None
        mask |= one * bit_of[class_name(label.class_name)]
    return mask


def _labelled_image(
    header: FrameHeader, pixels: NDArray[np.uint8], mask: NDArray[np.uint8]
) -> LabelledImage:
    _, data = cv2.imencode(".png", pixels)
    return LabelledImage(
        file_name=f"{header.camera}-{header.session}-{header.seq:08d}.png",
        data=data.tobytes(),
        mask=mask,
        group=header.strip or header.session,
    )


def _listed(sessions: set[Session] | dict[Session, Range]) -> str:
    shown = [f"camera {camera} session {session}" for camera, session in sorted(sessions)]
    return ", ".join(shown[:3]) + (" and others" if len(shown) > 3 else "")
