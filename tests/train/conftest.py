"""A small data set of synthetic strip, and recipes made small enough for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import pytest
import torch

from stripwatch.synthetic import CLASSES, SyntheticStrip
from stripwatch_train.data.formats.coco_writer import LabelledImage, write_coco

SHAPE = (64, 128)
STRIPS = 4
FRAMES_PER_STRIP = 5


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty frames of four strips, in which every class and clean frames occur."""
    folder = tmp_path_factory.mktemp("data") / "strip"

    def frames() -> Iterator[LabelledImage]:
        for seed in range(STRIPS):
            strip = SyntheticStrip(seed, SHAPE, 30.0)
            for index in range(FRAMES_PER_STRIP):
                frame = strip.frame(index)
                done, png = cv2.imencode(".png", frame.pixels)
                assert done
                yield LabelledImage(f"{seed}-{index}.png", png.tobytes(), frame.mask, str(seed))

    write_coco(folder, CLASSES, frames())
    return folder


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Threads that wait for each other cost more than so little work."""
    with on_one_thread():
        yield


@contextmanager
def on_one_thread() -> Iterator[None]:
    """With more, sums are rounded otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.fixture(scope="session")
def small() -> Callable[..., list[str]]:
    """Changes of a recipe for few and small steps; further ones may be given."""

    def changes(*more: str) -> list[str]:
        return [
            "folds=2",
            "network.weights=",
            "schedule.epochs=1",
            "schedule.batch=4",
            "schedule.accumulate=1",
            "schedule.patience=0",
            *more,
        ]

    return changes
