"""Overlays, and the lines that `stripwatch events` prints."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from stripwatch.client.subscriber import FrameImage
from stripwatch.testing import fake_line
from stripwatch.view.event_text import format_event
from stripwatch.view.overlay import draw_overlay
from stripwatch.view.overlay_writer import FRAMES_MAX, OverlayWriter
from stripwatch.wire.event import Defect, Gap
from stripwatch.wire.frame import FrameHeader

MakeDefect = Callable[..., Defect]
SHAPE = (32, 64)


def image(seq: int) -> FrameImage:
    header = FrameHeader(
        v=1, camera="top", session="s", seq=seq, t_ns=1, shape=SHAPE, dtype="u8", codec="jpeg"
    )
    _, jpeg = cv2.imencode(".jpg", np.full(SHAPE, 90, np.uint8))
    return FrameImage(header, jpeg.tobytes())


def test_colour_is_drawn_on_the_mask_and_the_rest_is_left_grey(make_defect: MakeDefect) -> None:
    """Label and box are drawn too; far from them nothing changes."""
    pixels = np.full(SHAPE, 90, np.uint8)
    overlay = draw_overlay(pixels, [make_defect()])
    assert overlay.shape == (*SHAPE, 3)
    colour = np.ptp(overlay.astype(int), axis=2)
    assert (colour[8:12, 20:30] > 0).all()
    assert (overlay[31] == 90).all()
    assert (draw_overlay(pixels, []) == 90).all()


def test_an_overlay_is_written_when_the_image_comes(
    tmp_path: Path, make_defect: MakeDefect
) -> None:
    writer = OverlayWriter(tmp_path / "new" / "folder")
    assert writer.add_image(image(0)) is None  # nothing to draw
    writer.add_defect(make_defect(frame_seq=1))
    path = writer.add_image(image(1))
    assert path == tmp_path / "new" / "folder" / "top-s-1.png"
    assert cv2.imread(str(path)) is not None
    assert writer.written == 1


def test_frames_whose_image_never_comes_are_forgotten(
    tmp_path: Path, make_defect: MakeDefect
) -> None:
    """So that memory stays bounded."""
    writer = OverlayWriter(tmp_path)
    for seq in range(FRAMES_MAX + 5):
        writer.add_defect(make_defect(frame_seq=seq))
    assert writer.without_image == 5
    assert writer.add_image(image(0)) is None
    assert writer.add_image(image(5)) is not None


def test_a_damaged_image_or_mask_is_counted(tmp_path: Path, make_defect: MakeDefect) -> None:
    writer = OverlayWriter(tmp_path)
    writer.add_defect(make_defect(frame_seq=0))
    assert writer.add_image(msgspec.structs.replace(image(0), payload=b"no JPEG")) is None
    writer.add_defect(make_defect(frame_seq=1, rle="1 x"))
    assert writer.add_image(image(1)) is None
    assert writer.malformed == 2


def test_a_line_says_what_where_and_how_large(make_defect: MakeDefect) -> None:
    line = format_event(make_defect()).plain
    for words in ("top", "C1", "1.234 m", "88.8 mm", "cracks", "6.0 x 2.0", "score 0.90"):
        assert words in line
    gap = Gap(
        stream="a",
        seq=1,
        camera="top",
        strip=None,
        session="s",
        first_frame_seq=3,
        last_frame_seq=5,
        count=3,
        cause="overload",  # type: ignore[arg-type]
        downweb_mm=(1000.0, 1300.0),
    )
    assert "NOT INSPECTED: 3 frames (3 to 5), overload" in format_event(gap).plain


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_prints_events_and_saves_overlays(tmp_path: Path, *, as_json: bool) -> None:
    """On a running line: a line for each event, JSON exactly as published, PNGs."""
    pixels = np.zeros(SHAPE, np.uint8)
    pixels[4:9, 5:20] = 252
    flags = ["--json"] if as_json else []
    with fake_line(frame_shape=SHAPE) as line:
        command = [sys.executable, "-m", "stripwatch", "events", "--count", "3", *flags]
        command += ["--endpoint", line.events_endpoint, "--save-overlays", str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as events:
            line.wait(lambda: line.pipeline.publisher.subscriptions >= 5)
            for seq in range(4):
                line.camera.send("top", "s", seq, pixels)
            out, _ = events.communicate(timeout=30)
    rows = out.splitlines()
    assert len(rows) == 3
    if as_json:
        published = [event for event in line.events if isinstance(event, Defect)]
        assert [msgspec.json.decode(row, type=Defect) for row in rows] == published[:3]
    else:
        assert all("kind1" in row for row in rows)
    assert (tmp_path / "top-s-0.png").is_file()
