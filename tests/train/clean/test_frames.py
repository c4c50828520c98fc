"""Which frames are learned from, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.train.tiny_models import CLASSES, masked, painted, write_data

from stripwatch.errors import ConfigError
from stripwatch_train.clean.frames import find_clean_frames

SHAPE = (40, 48)


def write_frames(folder: Path, count: int, shape: tuple[int, int] = SHAPE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        cv2.imwrite(str(folder / f"{shape[0]}-{index:03}.png"), np.full(shape, 127, np.uint8))
    return folder


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as error:
        find_clean_frames(path)
    return str(error.value)


def test_whole_stretches_of_frames_are_held_out(tmp_path: Path) -> None:
    found = find_clean_frames(write_frames(tmp_path / "frames", 40))
    held = [sample.name for sample in found.held_out]
    assert held == [
        f"40-{index:03}.png" for index in (*range(8, 12), *range(20, 24), *range(32, 36))
    ]
    assert len(found.training) == 28
    assert not {sample.name for sample in found.training} & set(held)
    assert found.image_shape == (48, 48)


def test_a_folder_without_frames_is_refused(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    assert "holds no images" in refusal(tmp_path / "frames")
    assert "is neither a folder nor" in refusal(tmp_path / "missing")


def test_too_few_frames_are_refused_with_the_number_that_is_needed(tmp_path: Path) -> None:
    words = refusal(write_frames(tmp_path / "frames", 19))
    assert "holds 19 clean frames; give 20 or more" in words


def test_frames_of_several_sizes_are_refused_with_one_that_differs(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "frames", 20)
    write_frames(folder, 1, (64, 48))
    words = refusal(folder)
    assert "frames have 2 sizes: 20 of 40x48, and 64-000.png has 64x48" in words


def test_frames_smaller_than_the_encoder_sees_are_refused(tmp_path: Path) -> None:
    assert "give frames of 32 lines" in refusal(write_frames(tmp_path / "frames", 20, (16, 48)))


def test_a_damaged_frame_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "frames", 20)
    (folder / "40-003.png").write_bytes(b"no image")
    assert "40-003.png" in refusal(folder)


def labelled(folder: Path, clean: int, marked: int) -> Path:
    """A data set of clean frames, and of frames with a defect."""
    box = (4, 4, 9, 9, 255)
    frames = {f"{index:03}.png": (painted(SHAPE), masked(SHAPE)) for index in range(clean)} | {
        f"bad-{index}.png": (painted(SHAPE, box), masked(SHAPE, (4, 4, 9, 9, 1)))
        for index in range(marked)
    }
    return write_data(folder, frames, CLASSES)


def test_frames_with_a_defect_by_their_labels_are_left_out_and_counted(tmp_path: Path) -> None:
    found = find_clean_frames(labelled(tmp_path / "data", 20, 3))
    names = [sample.name for sample in (*found.training, *found.held_out)]
    assert len(names) == 20
    assert not any("bad" in name for name in names)
    assert found.findings[-1].endswith(
        "3 of 23 frames are not clean by their labels, and are left out"
    )


def test_labels_that_call_no_frame_clean_are_refused(tmp_path: Path) -> None:
    words = refusal(labelled(tmp_path / "data", 0, 3))
    assert words.endswith("its labels mark a defect on all of the 3 frames")


@pytest.mark.parametrize("named", ["", "images"])
def test_masks_beside_the_frames_are_read_also_where_the_images_alone_are_named(
    tmp_path: Path, named: str
) -> None:
    """Else frames with defects would be learned as clean."""
    write_frames(tmp_path / "images", 21)
    shutil.copytree(tmp_path / "images", tmp_path / "masks")
    for path in (tmp_path / "masks").iterdir():
        cv2.imwrite(str(path), masked(SHAPE))
    cv2.imwrite(str(tmp_path / "masks/40-004.png"), masked(SHAPE, (4, 4, 9, 9, 1)))
    (tmp_path / "classes.txt").write_text("pits\n")
    found = find_clean_frames(tmp_path / named)
    names = [sample.image.stem for sample in (*found.training, *found.held_out)]
    assert len(names) == 20
    assert "40-004" not in names
