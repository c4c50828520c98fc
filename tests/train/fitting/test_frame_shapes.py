"""The one shape that frames of several sizes are brought to, and what is said about it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

from stripwatch.errors import ConfigError, ExitCode
from stripwatch_train.cli.main import main
from stripwatch_train.data.samples import MaskFile, Sample
from stripwatch_train.fitting.frame_dataset import FrameDataset, FrameShapes, View, frame_shapes
from stripwatch_train.runs.recipe import Augmentation, ImageSettings, Member

Shape = tuple[int, int]


def shapes_of(folder: Path, *shapes: Shape) -> FrameShapes:
    samples = []
    for index, shape in enumerate(shapes):
        path = folder / f"{index}.png"
        Image.fromarray(np.zeros(shape, np.uint8)).save(path)
        samples.append(Sample(path.name, path, None))
    return frame_shapes(samples)


@pytest.mark.parametrize(
    ("shapes", "chosen", "others"),
    [
        ([(16, 40), (16, 40), (20, 60), (22, 64), (30, 90)], (20, 60), 4),
        ([(16, 40), (16, 40), (24, 60), (22, 64)], (16, 40), 2),
        ([(16, 40), (20, 44), (24, 30)], (20, 40), 3),
    ],
)
def test_where_no_shape_is_that_of_half_the_frames_the_medians_are_taken(
    tmp_path: Path, shapes: list[Shape], chosen: Shape, others: int
) -> None:
    """So that all frames are not distorted for the sake of two; half of them are enough."""
    found = shapes_of(tmp_path, *shapes)
    assert (found.chosen, found.others) == (chosen, others)


def test_another_scale_is_no_distortion_and_the_largest_sides_are_of_any_frame(
    tmp_path: Path,
) -> None:
    assert shapes_of(tmp_path, (8, 20), (16, 40)).distortion == 1
    found = shapes_of(tmp_path, (8, 20), (8, 20), (10, 10), (4, 40))
    assert found.largest == (10, 40)
    assert found.distortion == pytest.approx(4)


def test_a_mask_of_another_size_than_its_image_is_refused_before_training(tmp_path: Path) -> None:
    for name, shape in (("a.png", (12, 20)), ("mask.png", (12, 10))):
        Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / name)
    one = Sample("a", tmp_path / "a.png", MaskFile(tmp_path / "mask.png", 1))
    with pytest.raises(ConfigError, match=r"mask\.png: is not as large as .*a\.png"):
        frame_shapes([one])


def test_fit_says_what_resizing_distorts_and_names_the_command_that_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The recipe is refused after that, as it has more folds than there are frames."""
    for kind in ("images", "masks"):
        (tmp_path / "data" / kind).mkdir(parents=True)
    for name, shape in (("a", (16, 40)), ("b", (16, 40)), ("c", (32, 20))):
        generator = np.random.default_rng(len(name))
        pixels = generator.integers(0, 200, shape, np.uint8)
        Image.fromarray(pixels).save(tmp_path / "data/images" / f"{name}.png")
        Image.fromarray(pixels // 199).save(tmp_path / "data/masks" / f"{name}.png")
    words = ["fit", "unet", "--data", str(tmp_path / "data"), "--classes", "pits"]
    assert main([*words, "--output", str(tmp_path / "run")]) == ExitCode.CONFIG
    error = capsys.readouterr().err
    assert "1 of them are resized to 16 x 40 (lines x pixels)" in error
    assert "by up to 4 times" in error
    assert f"stripwatch-train convert {tmp_path / 'data'} --frame 32x40 --output" in error


def test_only_square_crops_are_turned(tmp_path: Path) -> None:
    """A batch has one shape. A frame that is no square may be cut into squares."""
    path = tmp_path / "0.png"
    Image.fromarray(np.zeros((12, 30), np.uint8)).save(path)
    samples = [Sample(path.name, path, None)]

    def frames(crop: Shape | None) -> FrameDataset:
        member = Member(augmentation=Augmentation(turn=0.5), images=ImageSettings(crop=crop))
        return FrameDataset(samples, View(member, (12, 30), 1, None, 0.0, 1.0), 0)

    with pytest.raises(ConfigError, match=r"turn: crops of 12 x 30 \(lines x pixels\) cannot"):
        frames(None)
    squares = frames((10, 10))
    assert {squares[0, 0, position][0].shape for position in range(8)} == {(1, 10, 10)}
