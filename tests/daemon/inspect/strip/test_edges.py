"""The edges of the strip, given or found in frames, constructed and real."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from stripwatch.config.sections import Camera, Geometry, Strip
from stripwatch.inspect.strip.coordinates import CameraPlace
from stripwatch.inspect.strip.edges import FRAMES, StripEdges, find_edges
from stripwatch.wire.frame import FrameHeader

GEOMETRY = Geometry(frame_lines=256, frame_pixels=400, mm_per_line=1.0, mm_per_pixel=0.5)
FOUND = Strip(edges="found")
HEADER = FrameHeader(
    v=1, camera="top", session="s", seq=0, t_ns=7, shape=(256, 400), dtype="u8", codec="raw"
)
# Real frames with a margin, and the edge in them as seen by eye, in pixels.
LEFT_EDGES = {"0ac9936af": 1320, "1fd098a38": 662, "0d17b6b4f": 1277, "0a26aceb2": 75}
LEFT_EDGES |= {"81b6f3cca": 360, "be3b49756": 30}
RIGHT_EDGES = {"0c6720401": 1504, "0e1925eb6": 707, "1d32009ed": 181, "1f6915575": 968}
RIGHT_EDGES |= {"0a5cff3a7": 1117, "19c645c25": 977, "7c00478a3": 972, "unknown_4": 1467}
RIGHT_EDGES |= {"unknown_7": 1593}
TOLERANCE_PX = 15


def frame(left: int, right: int, seed: int = 0) -> NDArray[np.uint8]:
    """A noisy frame of 256 x 400 with strip from one column to the other."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(8, 2, (256, 400))
    pixels[:, left:right] = rng.normal(90, 15, (256, right - left))
    return pixels.clip(0, 255).astype(np.uint8)


def edges_of(strip: Strip, camera: Camera, *frames: NDArray[np.uint8]) -> StripEdges:
    edges = StripEdges(strip, [CameraPlace(camera, GEOMETRY)])
    for pixels in frames:
        edges.look(HEADER, pixels)
    return edges


def test_sharp_edges_are_found_to_the_pixel() -> None:
    assert find_edges(frame(37, 320), 20) == (37, 320)
    assert find_edges(frame(0, 320), 20) == (None, 320)
    assert find_edges(frame(0, 400), 20) == (None, None)
    assert find_edges(frame(0, 0), 20) == (None, None)  # no strip at all
    assert find_edges(frame(3, 398), 20) == (3, 398)


def test_spots_beside_the_strip_and_scale_on_it_move_no_edge() -> None:
    pixels = frame(100, 300)
    pixels[16:18, 40:44] = 255  # a spark on the roller table
    pixels[:, 105:120] = 3  # a dark streak
    assert find_edges(pixels, 20) == (100, 300)


def test_one_odd_frame_moves_no_edge_and_another_strip_begins_anew() -> None:
    edges = edges_of(FOUND, Camera(name="top"), *[frame(100, 300)] * FRAMES, frame(5, 390))
    assert edges.of("top") == (50.0, 150.0)
    assert edges.of("bottom") == (None, None)
    edges.look(msgspec.structs.replace(HEADER, strip="next"), frame(20, 380))
    assert edges.of("top") == (10.0, 190.0)


def test_a_mirrored_camera_sees_the_left_edge_at_its_end() -> None:
    edges = edges_of(FOUND, Camera(name="top", mirrored=True), frame(100, 380))
    assert edges.of("top") == (10.0, 150.0)


def test_each_camera_of_a_side_adds_the_edge_that_it_sees() -> None:
    cameras = Camera(name="a"), Camera(name="b", crossweb_offset_mm=180.0)
    edges = StripEdges(FOUND, [CameraPlace(camera, GEOMETRY) for camera in cameras])
    edges.look(msgspec.structs.replace(HEADER, camera="a"), frame(30, 400))
    edges.look(msgspec.structs.replace(HEADER, camera="b"), frame(0, 350))
    assert edges.of("top") == (15.0, 355.0)


def test_given_edges_hold_whatever_the_frames_show() -> None:
    strip = Strip(edges="given", edges_mm=(1.0, 150.0))
    assert edges_of(strip, Camera(name="top"), frame(100, 300)).of("top") == (1.0, 150.0)
    assert edges_of(Strip(), Camera(name="top"), frame(100, 300)).of("top") == (None, None)


def test_margins_of_real_frames_are_found_and_none_is_invented(shared_data: Path) -> None:
    """Scale, dark strip and shaded borders of Severstal's frames are no margin."""
    paths = sorted(shared_data.glob("severstal*/images*/*.jpg"))
    if not paths:
        pytest.skip("no Severstal frames here")
    seen = 0
    for path in paths:
        pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert pixels is not None
        found = find_edges(np.asarray(pixels, np.uint8), Strip().background_grey_max)
        expected = LEFT_EDGES.get(path.stem), RIGHT_EDGES.get(path.stem)
        for column, by_eye in zip(found, expected, strict=True):
            assert (column is None) == (by_eye is None), (path.stem, found)
            if column is not None and by_eye is not None:
                assert abs(column - by_eye) <= TOLERANCE_PX, (path.stem, found)
                seen += 1
    assert seen >= 1
