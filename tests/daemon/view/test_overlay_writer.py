"""Overlay files, written when a frame's defects and image have both arrived."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import msgspec
import numpy as np

from stripwatch.client.subscriber import FrameImage
from stripwatch.view.overlay_writer import FRAMES_MAX, OverlayWriter
from stripwatch.wire.event import Defect
from stripwatch.wire.frame import FrameHeader

MakeDefect = Callable[..., Defect]
SHAPE = (32, 64)


def image(seq: int) -> FrameImage:
    header = FrameHeader(
        v=1, camera="top", session="s", seq=seq, t_ns=1, shape=SHAPE, dtype="u8", codec="jpeg"
    )
    _, jpeg = cv2.imencode(".jpg", np.full(SHAPE, 90, np.uint8))
    return FrameImage(header, jpeg.tobytes())


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


def test_frames_whose_image_never_comes_are_given_up(
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
