"""`convert --frame`: images of any size become frames of one size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from stripwatch.engines.manifest import DefectClass
from stripwatch.errors import ConfigError, ExitCode
from stripwatch_train.cli.main import main
from stripwatch_train.data.data_set import convert, open_data_set
from stripwatch_train.data.images import load_image
from stripwatch_train.data.masks import load_mask
from stripwatch_train.data.samples import DataSet, Sample

SHAPE = (16, 24)
Pixels = NDArray[np.uint8]


def write(folder: Path, name: str, shape: tuple[int, int]) -> tuple[Pixels, Pixels]:
    """An image of noise with its index mask of two classes."""
    generator = np.random.default_rng(sum(shape))
    pixels = generator.integers(1, 200, shape, np.uint8)
    mask = generator.integers(0, 3, shape, np.uint8)
    for kind, plane in (("images", pixels), ("masks", mask)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        suffix = name if kind == "images" else f"{Path(name).stem}.png"
        Image.fromarray(plane).save(folder / kind / suffix)
    return pixels, mask


def test_larger_images_are_cut_smaller_ones_padded_and_no_pixel_is_lost(tmp_path: Path) -> None:
    """Put together again they are the image; the rest is black and without a defect."""
    shapes = {"large": (20, 50), "small": (9, 24), "same": SHAPE, "wide": (16, 25)}
    source = {name: write(tmp_path / "data", f"{name}.png", shapes[name]) for name in shapes}
    words = ["convert", str(tmp_path / "data"), "--classes", "a,b", "--frame", "16x24"]
    assert main([*words, "--output", str(tmp_path / "out")]) == ExitCode.OK
    data = open_data_set(tmp_path / "out")
    assert len(data.samples) == 6 + 1 + 1 + 2
    joined = {name: np.zeros((2, 32, 72), np.uint8) for name in shapes}
    for sample in data.samples:
        name, *place = Path(sample.name).stem.split("-")
        top, left = map(int, place or (0, 0))
        pixels, bits = load_image(sample), load_mask(sample, SHAPE)
        assert pixels.shape == SHAPE
        joined[name][:, top : top + 16, left : left + 24] = np.stack([pixels, bits])
        assert sample.group == (name if place else "")
    for name, (pixels, mask) in source.items():
        lines, width = shapes[name]
        np.testing.assert_array_equal(joined[name][0, :lines, :width], pixels)
        np.testing.assert_array_equal(joined[name][1, :lines, :width], mask)  # bits 1, 2 = ids
        joined[name][:, :lines, :width] = 0
        assert not joined[name].any()
    same = next(sample for sample in data.samples if sample.name.startswith("same"))
    assert same.image.read_bytes() == (tmp_path / "data/images/same.png").read_bytes()


def test_two_images_never_become_one_frame(tmp_path: Path) -> None:
    """Their names may differ after the last dot only, and frames are PNG files."""
    for name in ("a.png", "a.bmp"):
        Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / name)
    samples = tuple(Sample(name, tmp_path / name, None) for name in ("a.bmp", "a.png"))
    data = DataSet((DefectClass(id=1, name="pits"),), samples, "here")
    with pytest.raises(ConfigError, match=r"another image becomes a\.png, too; rename one"):
        convert(data, tmp_path / "out", frame_shape=SHAPE)
