"""Collecting: inspected frames and their defects become a data set, and nothing else does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from stripwatch.errors import ConfigError, ExitCode, StorageError
from stripwatch.recording.writer import RecordingWriter
from stripwatch.testing import fake_line
from stripwatch.wire.event import Event, FrameResult, NumberedEvent, Status
from stripwatch.wire.frame import FrameHeader
from stripwatch.wire.rle import encode_coco, encode_severstal, runs_of_mask
from stripwatch_train.cli.main import main
from stripwatch_train.data.collect import Collected, collect
from stripwatch_train.data.data_set import open_data_set
from stripwatch_train.data.images import load_image
from stripwatch_train.data.masks import classes_of, load_mask

SHAPE = (8, 32)
Line = dict[str, Any]
Pixels = NDArray[np.uint8]


def picture(seq: int) -> Pixels:
    """Noise; frames 2, 3 and 6 are painted with class 1, frame 3 with class 4, too."""
    pixels = np.random.default_rng(seq).integers(0, 200, SHAPE, np.uint8)
    if seq in {2, 3, 6}:
        pixels[2:5, 4:9] = 252
    if seq == 3:
        pixels[6:, 20:] = 255
    return pixels


def mask_of(pixels: Pixels) -> Pixels:
    """Bits of the classes that are painted."""
    return np.select([pixels == 252, pixels == 255], [1, 8]).astype(np.uint8)


def header(seq: int, **changes: object) -> FrameHeader:
    plain = FrameHeader(
        v=1, camera="top", session="s", seq=seq, t_ns=seq, shape=SHAPE, dtype="u8", codec="raw"
    )
    return msgspec.structs.replace(plain, strip="C/1", **changes)


def record(path: Path, frames: list[tuple[FrameHeader, bytes]]) -> Path:
    writer = RecordingWriter(path)
    for entry, payload in frames:
        writer.add(entry, payload)
    writer.close()
    return path


def plain_frames(count: int = 8) -> list[tuple[FrameHeader, bytes]]:
    return [(header(seq), picture(seq).tobytes()) for seq in range(count)]


def publish(frames: int = 8, lost: tuple[int, ...] = (5,)) -> list[Event]:
    """Events of these frames: the real pipeline on the fake engine."""
    with fake_line() as line:
        for seq in range(frames):
            if seq not in lost:
                end = seq == frames - 1
                line.camera.send("top", "s", seq, picture(seq), strip="C/1", end=end)
        line.wait_for_frame("top", "s", frames - 1)
    return line.events


@pytest.fixture(scope="module")
def published() -> list[Event]:
    """Events of eight frames, of which frame 5 never came to the daemon."""
    return publish()


def lines_of(events: list[Event]) -> list[Line]:
    return [
        json.loads(msgspec.json.encode(event))
        for event in events
        if isinstance(event, NumberedEvent)
    ]


def write(path: Path, lines: list[Line]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


class Strip:
    """A recording and its events, in a folder."""

    def __init__(self, folder: Path, lines: list[Line]) -> None:
        self.folder = folder
        self.lines = lines
        self.recording = record(folder / "strip.mcap", plain_frames())
        self.events = write(folder / "events.jsonl", lines)

    def collect(self, **changes: Any) -> Collected:
        return collect(self.recording, self.events, self.folder / "out", **changes)

    def masks(self) -> dict[int, Pixels]:
        samples = open_data_set(self.folder / "out").samples
        return {int(s.name.split("-")[2].split(".")[0]): load_mask(s, SHAPE) for s in samples}


@pytest.fixture
def strip(tmp_path: Path, published: list[Event]) -> Strip:
    return Strip(tmp_path, lines_of(published))


def test_a_strip_becomes_a_data_set(strip: Strip) -> None:
    """Pixels, masks and the strip as the group; the frame that was missed is left out."""
    done = strip.collect()
    assert done == Collected(clean=4, defective=3, labels=4, missed=1)
    data = open_data_set(strip.folder / "out")
    assert [entry.name for entry in data.classes] == ["kind1", "kind4"]
    assert [sample.name for sample in data.samples] == [
        f"top-s-{seq:08d}.png" for seq in (0, 1, 2, 3, 4, 6, 7)
    ]
    for sample in data.samples:
        pixels = picture(int(sample.name.split("-")[2].split(".")[0]))
        assert sample.group == "C/1"
        np.testing.assert_array_equal(load_image(sample), pixels)
        wanted = (pixels == 252) * 1 + (pixels == 255) * 2
        np.testing.assert_array_equal(load_mask(sample, SHAPE), wanted)
    assert [bool(classes_of(sample)) for sample in data.samples] == [
        *(False, False, True, True, False, True, False)
    ]


def test_progress_counts_the_frames_of_the_recording(strip: Strip) -> None:
    """Out of all where the recording has an index, and without an end where it is cut off."""
    for cut, steps in ((0, 8), (1, 0)):
        calls: list[tuple[str, int, int]] = []
        whole = strip.recording.read_bytes()
        strip.recording.write_bytes(whole[: len(whole) - cut])
        output = strip.folder / f"out-{cut}"
        collect(
            strip.recording,
            strip.events,
            output,
            classes=["kind1", "kind2", "kind3", "kind4"],
            progress=lambda *call, calls=calls: calls.append(call),
        )
        frames = [call[1:] for call in calls if call[0] == "frames of the recording"]
        assert frames == [(number, steps) for number in range(8)]


def test_classes_keep_the_ids_that_are_given(strip: Strip) -> None:
    """Also those that the strip has not; a defect of another class is refused with its line."""
    strip.collect(classes=["kind1", "kind2", "kind3", "kind4"])
    assert len(open_data_set(strip.folder / "out").classes) == 4
    for seq, mask in strip.masks().items():
        np.testing.assert_array_equal(mask, mask_of(picture(seq)))
    with pytest.raises(ConfigError, match=r"events\.jsonl, line \d: class 'kind4' is none of kin"):
        collect(strip.recording, strip.events, strip.folder / "2", classes=["kind1"])


def test_status_and_frame_lines_are_passed_over(strip: Strip, published: list[Event]) -> None:
    """`stripwatch events --topic ""` writes them, too."""
    assert any(isinstance(event, FrameResult | Status) for event in published)
    strip.events.write_bytes(b"".join(msgspec.json.encode(event) + b"\n" for event in published))
    assert strip.collect().labels == 4


def test_corrections_hold_in_place_of_the_events(strip: Strip) -> None:
    """One defect removed, one changed in class and mask, one added with no more than it needs."""
    lines = [line for line in strip.lines if line.get("frame_seq") != 6]
    changed = next(line for line in lines if line.get("frame_seq") == 2 and "rle" in line)
    mask = np.zeros(SHAPE, np.uint8)
    mask[1:4, 7:30] = 1
    changed |= {"class_name": "scratch", "rle": encode_severstal(runs_of_mask(mask))}
    added = {"type": "defect", "camera": "top", "session": "s", "frame_seq": 7.0}
    added |= {"class_name": "kind1", "frame_shape": SHAPE}
    added |= {"rle_coco": encode_coco(runs_of_mask(mask))}
    corrections = write(strip.folder / "corrected.jsonl", [*lines, added])
    done = strip.collect(corrections=corrections)
    assert done == Collected(clean=4, cleared=1, defective=3, labels=4, missed=1)
    data = open_data_set(strip.folder / "out")
    assert [entry.name for entry in data.classes] == ["kind1", "scratch", "kind4"]
    masks = strip.masks()
    np.testing.assert_array_equal(masks[2], mask * 2)
    np.testing.assert_array_equal(masks[7], mask)
    assert not masks[6].any()


def test_a_frame_is_clean_only_where_events_show_it(strip: Strip) -> None:
    """Before the first and after the last event nobody knows; nor of another session."""
    frames = plain_frames(12) + [(header(seq, session="t"), bytes(256)) for seq in range(3)]
    frames += [(header(seq), picture(seq).tobytes()) for seq in (1, 1, 2)]
    record(strip.folder / "long.mcap", frames)
    strip.recording = strip.folder / "long.mcap"
    # A subscriber that came late: the strip's start and the first defect are not in its file.
    later = strip.lines[2:]
    strip.events = write(strip.folder / "late.jsonl", later)
    done = strip.collect()
    assert done == Collected(clean=2, defective=2, labels=3, missed=1, uncovered=10, repeated=3)
    assert sorted(strip.masks()) == [3, 4, 6, 7]


def test_clean_frames_can_be_thinned(strip: Strip) -> None:
    """The first of each session and every n-th after it stay.

    All defective frames do, and those that a correction has cleared: the model must unlearn them.
    """
    others = [(header(seq, session="t"), picture(0).tobytes()) for seq in range(4)]
    strip.recording = record(strip.folder / "two.mcap", [*plain_frames(), *others])
    line = {**next(line for line in strip.lines if line["type"] == "defect"), "session": "t"}
    more = [line | {"frame_seq": 3 * seq - 3, "stream": "t", "seq": seq} for seq in (1, 2)]
    strip.events = write(strip.folder / "two.jsonl", [*strip.lines, *more])
    corrections = write(strip.folder / "corrected.jsonl", strip.lines)
    done = strip.collect(corrections=corrections, clean_every=3)
    assert done == Collected(clean=5, cleared=2, defective=3, labels=4, missed=1, thinned=3)
    names = [sample.name for sample in open_data_set(strip.folder / "out").samples]
    assert [name.removesuffix(".png") for name in names] == [
        *(f"top-s-{seq:08d}" for seq in (0, 2, 3, 6, 7)),
        *(f"top-t-{seq:08d}" for seq in (0, 1, 3)),
    ]
    with pytest.raises(ConfigError, match=r"--clean-every 0: give 1 \(all clean frames\) or more"):
        strip.collect(clean_every=0)


def test_a_hole_in_the_events_is_refused(strip: Strip) -> None:
    """The frame whose defect is missing would count as clean."""
    strip.events = write(strip.folder / "hole.jsonl", [*strip.lines[:2], *strip.lines[3:]])
    with pytest.raises(ConfigError, match=r"hole\.jsonl: 1 events of stream .* are missing betw"):
        strip.collect()
    assert not (strip.folder / "out").exists()


def test_coded_frames_and_frames_that_cannot_be_read(strip: Strip) -> None:
    """PNG is decoded; what the daemon could not have read either is left out and counted."""
    png = cv2.imencode(".png", picture(2))[1].tobytes()
    frames = plain_frames()
    frames[2] = (header(2, codec="png"), png)
    frames[3] = (header(3, codec="png"), png[:40])
    frames[4] = (header(4), bytes(7))
    strip.recording = record(strip.folder / "coded.mcap", frames)
    done = strip.collect()
    assert done == Collected(
        clean=3, defective=2, labels=2, missed=1, undecodable=2, without_frame=2
    )
    np.testing.assert_array_equal(strip.masks()[2], mask_of(picture(2)))


def test_a_truncated_recording_is_reported(strip: Strip) -> None:
    """What is whole is collected."""
    data = strip.recording.read_bytes()
    strip.recording.write_bytes(data[:-40])
    assert "is cut off" in strip.collect().remark


def test_events_of_other_frames_are_refused(strip: Strip) -> None:
    """A replay has its own session; the error tells how to keep that of the recording."""
    lines = [line | {"session": "t"} for line in strip.lines]
    strip.events = write(strip.folder / "other.jsonl", lines)
    words = (
        r"none of its 8 frames is covered by the events\. They are of camera top session t, the "
        r"frames of camera top session s\. .*--keep-headers"
    )
    with pytest.raises(ConfigError, match=words):
        strip.collect()
    with pytest.raises(ConfigError, match="is neither a folder"):
        open_data_set(strip.folder / "out")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda line: line.update(rle="1"), "line 2: number 1 is a start without a length"),
        (lambda line: line.update(rle=None, rle_coco="x"), "line 2: "),
        (lambda line: line.update(rle=None, rle_coco=None), "line 2: has neither rle nor rle_coco"),
        (lambda line: line.update(frame_shape=(8, 31)), r"line 2: frame_shape is \(8, 31\), the"),
        (lambda line: line.pop("class_name"), "line 2: is not an event: .*class_name"),
        (lambda line: line.update(class_name="Ä"), "cannot name a class"),
        (lambda line: line.pop("type"), "line 2: is not an event: .*type"),
    ],
)
def test_a_wrong_correction_is_named_with_its_line(
    strip: Strip, change: Callable[[Line], object], words: str
) -> None:
    """And its file."""
    lines = [dict(line) for line in strip.lines]
    assert lines[1]["type"] == "defect"
    change(lines[1])
    corrections = write(strip.folder / "corrected.jsonl", lines)
    with pytest.raises(ConfigError, match=rf"corrected\.jsonl.*{words}"):
        strip.collect(corrections=corrections)


def test_what_cannot_be_read_is_named(strip: Strip) -> None:
    """Events, corrections, a recording; and events without a strip or without a class."""
    with pytest.raises(StorageError, match=r"none\.jsonl cannot be read"):
        strip.collect(corrections=strip.folder / "none.jsonl")
    empty = write(strip.folder / "empty.jsonl", [])
    with pytest.raises(ConfigError, match=r"empty\.jsonl: holds no defects .* give --classes"):
        strip.collect(corrections=empty)
    with pytest.raises(ConfigError, match="holds no events of a strip"):
        collect(strip.recording, empty, strip.folder / "out")
    with pytest.raises(StorageError, match="is not an MCAP recording"):
        collect(strip.events, strip.events, strip.folder / "out")
    assert strip.collect(corrections=empty, classes=["kind1"]).clean == 7


def test_the_command_collects(strip: Strip, capsys: pytest.CaptureFixture[str]) -> None:
    """And prints what became of the frames."""
    out = strip.folder / "out"
    command = ["collect", str(strip.recording), "--events", str(strip.events), "--output", str(out)]
    assert main([*command, "--classes", "kind1,kind4"]) == ExitCode.OK
    rows = [line.split("│")[1:-1] for line in capsys.readouterr().out.splitlines() if "│" in line]
    counts = {name.strip(): int(number) for name, number in rows}
    assert (counts["clean"], counts["defective"], counts["missed"]) == (4, 3, 1)
    few = [*command[:-1], str(strip.folder / "few"), "--clean-every", "4"]
    assert main(few) == ExitCode.OK
    assert "thinned       │ 3" in capsys.readouterr().out
    assert main(command) == ExitCode.CONFIG
    assert "exists and is not empty" in capsys.readouterr().err
