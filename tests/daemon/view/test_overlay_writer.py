"""Overlay files, written when a frame's defects and image have both arrived."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import msgspec
import numpy as np

from stripwatch.client.messages import FrameImage
from stripwatch.view.overlay_writer import FRAMES_MAX, OverlayWriter
from stripwatch.wire.event import Defect
from stripwatch.wire.frame import FrameHeader

MakeDefect = Callable[..., Defect]
SHAPE = (32, 64)


def image(seq: int) -> FrameImage:
    header = FrameHeader(
        v=1,
        camera="top",
        session="s",
        seq=seq,
        t_ns=1,
        shape=SHAPE,
        dtype="u8",
        codec="jpeg",
        strip="C/7.1",
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
    assert path == tmp_path / "new" / "folder" / "C-7.1_top_000000001_s.png"
    picture = cv2.imread(str(path))
    assert picture is not None
    assert picture.shape[0] > SHAPE[0]  # with a caption under the frame
    assert picture[SHAPE[0] :].max() > 200
    assert writer.written == 1


def test_names_sort_by_coil_camera_and_frame(tmp_path: Path, make_defect: MakeDefect) -> None:
    """Two sessions of one coil do not overwrite each other."""
    writer = OverlayWriter(tmp_path)
    for session, seq in (("s", 9), ("s", 10), ("t", 10)):
        writer.add_defect(make_defect(frame_seq=seq, session=session))
        shown = image(seq)
        header = msgspec.structs.replace(shown.header, session=session)
        assert writer.add_image(msgspec.structs.replace(shown, header=header))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "C-7.1_top_000000009_s.png",
        "C-7.1_top_000000010_s.png",
        "C-7.1_top_000000010_t.png",
    ]


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
