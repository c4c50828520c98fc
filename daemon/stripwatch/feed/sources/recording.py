"""A recording as frames, read as far as it is intact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from stripwatch.errors import ConfigError
from stripwatch.feed.sources.frame import Source, SourceFrame
from stripwatch.feed.sources.mcap_file import Faults, read_counts, read_messages
from stripwatch.wire.frame import BadFrame, FrameHeader, frame_topic, read_header


@dataclass(slots=True)
class Reading:
    """Counts and faults of one pass through a recording."""

    frames: int = 0
    foreign_messages: int = 0  # messages that are not frames of ours
    faults: Faults = field(default_factory=Faults)
    is_over: bool = False  # the pass has come to the end of the file

    def remark(self) -> str:
        """One sentence about what could not be read, or an empty text."""
        faults = self.faults
        said = []
        if faults.cut_off:
            said.append("is cut off")
        if faults.damaged_chunks:
            said.append(f"has {faults.damaged_chunks} damaged chunks, which were left out")
        if faults.damaged_records:
            said.append(f"has {faults.damaged_records} damaged records, which were left out")
        missing = faults.stated - faults.messages
        if not said and self.is_over and missing > 0:
            said.append(f"is damaged: {missing} of its {faults.stated} messages cannot be found")
        if self.foreign_messages:
            said.append(f"has {self.foreign_messages} messages that are not frames of stripwatch")
        if not said:
            return ""
        return f"the recording {' and '.join(said)}; {self.frames} frames were read"


class _Recorded(msgspec.Struct, frozen=True):
    """The part of a recorded message that a replay needs."""

    stripwatch: msgspec.Raw  # the header as it was sent
    data: bytes


class _Camera(msgspec.Struct, frozen=True):
    camera: str


def read_recording(path: Path, reading: Reading) -> Iterator[tuple[FrameHeader, bytes]]:
    """The header and payload of every frame, in the order in which they were recorded.

    Damaged chunks are left out and a cut-off file ends early; `reading` counts both.

    Raises:
        StorageError: the file cannot be read, or is not an MCAP file.
    """
    decoder = msgspec.json.Decoder(_Recorded)
    camera_decoder = msgspec.json.Decoder(_Camera)
    for message in read_messages(path, reading.faults):
        try:
            recorded = decoder.decode(message.data)
            text = bytes(recorded.stripwatch)
            header, _ = read_header(frame_topic(camera_decoder.decode(text).camera), text)
        except (msgspec.DecodeError, UnicodeError, RecursionError, MemoryError, BadFrame):
            reading.foreign_messages += 1
            continue
        reading.frames += 1
        yield header, recorded.data
    reading.is_over = True


def recording_source(path: Path, cameras: tuple[str, ...] = ()) -> Source:
    """A recording's frames; of the cameras named, or of all.

    Raises:
        ConfigError: it holds no frames, or none of a camera named.
        StorageError: the file cannot be read, or is no MCAP file.
    """
    counts, reading = _count(path)
    for camera in cameras:
        if camera not in counts:
            raise ConfigError(
                f"{path} holds no frames of camera {camera!r}; it holds: {', '.join(counts)}"
            )
    chosen = cameras or tuple(counts)
    if not chosen:
        raise ConfigError(
            f"{path} holds no frames that stripwatch recorded; {reading.remark() or 'it is empty'}"
        )

    latest = [reading]

    def frames() -> Iterator[SourceFrame]:
        latest[0] = Reading()
        for header, payload in read_recording(path, latest[0]):
            if not cameras or header.camera in cameras:
                yield SourceFrame(
                    payload=payload,
                    shape=header.shape,
                    codec=header.codec,
                    t_ns=header.t_ns,
                    recorded=header,
                )

    def remark() -> str:
        return latest[0].remark()

    return Source(
        name=path.stem,
        frames=frames,
        count=sum(counts[camera] for camera in chosen),
        cameras=chosen,
        timed=True,
        remark=remark,
    )


def _count(path: Path) -> tuple[dict[str, int], Reading]:
    """Frames by camera: from the index, or by reading the whole file.

    The index is used only where it is intact and speaks of frames of ours alone: it need not name
    the channels at all.
    """
    index = read_counts(path)
    if index is not None:
        total, by_channel, channels = index
        counts: dict[str, int] = {}
        for number, count in by_channel.items():
            camera = channels[number].metadata.get("camera") if number in channels else None
            if camera is not None:
                counts[camera] = counts.get(camera, 0) + count
        if total and sum(counts.values()) == total:
            return counts, Reading(frames=total)
    reading = Reading()
    counts = {}
    for header, _ in read_recording(path, reading):
        counts[header.camera] = counts.get(header.camera, 0) + 1
    return counts, reading
