"""Brightness: the mean and spread of pixels that a model's input is scaled by."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from stripwatch.errors import ConfigError
from stripwatch_train.data.brightness import pixel_statistics, statistics_of
from stripwatch_train.data.data_set import open_data_set
from stripwatch_train.data.samples import Sample


def test_mean_and_spread_are_those_of_all_pixels_together(tmp_path: Path) -> None:
    """Frames of any size, brightness and number of channels; each pixel counts once."""
    seed = 31
    print("seed", seed)
    generator = np.random.default_rng(seed)
    samples, planes = [], []
    for number in range(9):
        lines, pixels = generator.integers(1, 60, 2)
        low, high = sorted(generator.integers(0, 256, 2).tolist())
        plane = generator.integers(low, high + 1, (lines, pixels), np.uint8)
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), np.repeat(plane[:, :, None], 3, 2) if number % 2 else plane)
        samples.append(Sample(path.stem, path, None))
        planes.append(plane.ravel())
    together = np.concatenate(planes)
    found = pixel_statistics(samples)
    assert found.mean == pytest.approx(together.mean() / 255, rel=1e-14)
    assert found.std == pytest.approx(together.std() / 255, rel=1e-12)
    np.testing.assert_array_equal(found.histogram, np.bincount(together, minlength=256))
    again = pixel_statistics(samples[::-1])
    assert (again.mean, again.std) == (found.mean, found.std)


def test_equal_pixels_have_no_spread() -> None:
    """Exactly none, however many there are: nothing is rounded before the end."""
    histogram = np.zeros(256, np.int64)
    histogram[77] = 10**15
    found = statistics_of(histogram)
    assert (found.mean, found.std) == (77 / 255, 0.0)
    histogram[78] = 1
    assert statistics_of(histogram).std == pytest.approx(1e-7 / 255 / np.sqrt(10), rel=1e-6)


def test_without_frames_there_is_nothing_to_measure() -> None:
    """It is said, and no division by zero."""
    with pytest.raises(ConfigError, match="there are no frames whose brightness"):
        pixel_statistics([])


def test_a_damaged_frame_is_named(tmp_path: Path) -> None:
    """Also where it is read by another thread."""
    path = tmp_path / "a.png"
    path.write_bytes(b"no image")
    with pytest.raises(ConfigError, match=r"a\.png: is not a PNG, JPEG, BMP or TIFF file"):
        pixel_statistics([Sample("a", path, None)])


def test_real_frames_are_darker_than_half(shared_data: Path) -> None:
    """Twelve of Severstal's: by another way of counting, and within what is known of them."""
    data = open_data_set(shared_data / "severstal")
    found = pixel_statistics(data.samples)
    assert found.histogram.sum() == len(data.samples) * 256 * 1600
    levels = np.repeat(np.arange(256) / 255, found.histogram)
    assert found.mean == pytest.approx(levels.mean(), rel=1e-9)
    assert found.std == pytest.approx(levels.std(), rel=1e-9)
    assert 0.2 < found.mean < 0.5
