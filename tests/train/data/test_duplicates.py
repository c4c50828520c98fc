"""Near-duplicates: what looks alike is one group, whatever its view and its light."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.train.textures import SHAPE, Picture, data_set, texture

from stripwatch_train.data import duplicates
from stripwatch_train.data.data_set import open_data_set
from stripwatch_train.data.duplicates import find_groups, join_alike


def pasted(pixels: Picture) -> Picture:
    """A copy, an eighth of which shows something else."""
    copy = pixels.copy()
    copy[:24, :32] = texture(99)[:24, :32]
    return copy


@pytest.mark.parametrize(
    "copied",
    [
        lambda pixels: pixels.copy(),
        lambda pixels: (pixels * 0.6 + 20).astype(np.uint8),
        lambda pixels: 255 - pixels,
        lambda pixels: pixels[:, ::-1],
        lambda pixels: pixels[::-1],
        lambda pixels: (255 - pixels[::-1, ::-1] * 0.8).astype(np.uint8),
        np.rot90,
        lambda pixels: np.rot90(pixels, 3),
        lambda pixels: cv2.resize(pixels, (150, 90), interpolation=cv2.INTER_AREA),
        lambda pixels: np.roll(pixels, 1, axis=1),
        pasted,
    ],
    ids=[
        *("equal", "darker", "inverted", "mirrored", "upside_down", "half_turn_inverted"),
        *("turned_left", "turned_right", "resized", "shifted", "pasted"),
    ],
)
def test_a_near_duplicate_is_found(tmp_path: Path, copied: Callable[[Picture], Picture]) -> None:
    """However it is lit, turned, mirrored or saved; other frames stay single."""
    pictures = [texture(seed) for seed in range(12)]
    pictures.append(np.ascontiguousarray(copied(pictures[4])))
    assert find_groups(data_set(tmp_path, pictures)).tolist() == [*range(12), 4]


def test_light_and_stripes_alone_make_no_near_duplicates(tmp_path: Path) -> None:
    """Frames of one camera share both, and flat frames are like nothing."""
    stripes = np.random.default_rng(5).uniform(-40, 40, (1, SHAPE[1]))
    pictures = [
        np.clip(texture(seed) * 0.2 + 80 + stripes, 0, 255).astype(np.uint8) for seed in range(8)
    ]
    pictures += [np.full(SHAPE, level, np.uint8) for level in (0, 90, 90)]
    assert find_groups(data_set(tmp_path, pictures)).tolist() == list(range(11))


def test_likeness_and_known_groups_join(tmp_path: Path) -> None:
    """A strip of three frames, a copy of one of them, and a copy of that in another strip."""
    pictures = [texture(seed) for seed in range(6)]
    pictures += [pictures[1][:, ::-1].copy(), 255 - pictures[1]]
    groups = ["s", "s", "s", "", "t", "", "", "t"]
    assert find_groups(data_set(tmp_path, pictures, groups)).tolist() == [0, 0, 0, 3, 0, 5, 0, 0]


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies are found across them, in every view."""
    seed = 6
    print("seed", seed)
    generator = np.random.default_rng(seed)
    thumbnails = generator.standard_normal((50, 24, 24)).astype(np.float32)
    for copy, view in enumerate(duplicates._views(thumbnails[:8])):
        thumbnails[40 + copy] = view[copy]
    thumbnails /= np.linalg.norm(thumbnails, axis=(1, 2), keepdims=True)
    wanted = [*range(40), *range(8), 48, 49]
    for rows in (1, 7, 50, 512):
        monkeypatch.setattr(duplicates, "BLOCK_ROWS", rows)
        groups = np.arange(50)
        join_alike(thumbnails, groups)
        assert groups.tolist() == wanted


def test_real_frames_of_strip_are_no_near_duplicates(shared_data: Path) -> None:
    """Twelve frames of Severstal, with the same camera and light, stay single."""
    data = open_data_set(shared_data / "severstal")
    assert find_groups(data).tolist() == list(range(12))
