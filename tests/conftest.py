"""What all tests share."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from stripwatch.manifest import Manifest
from stripwatch_engine.build import build
from stripwatch_engine.models.composition import Composition
from stripwatch_engine.settings import BuildSettings

# The same examples in every run; `pytest --hypothesis-profile explore` looks for new ones.
settings.register_profile("stripwatch", deadline=None, print_blob=True, derandomize=True)
settings.register_profile("explore", deadline=None, print_blob=True, max_examples=1000)
settings.load_profile("stripwatch")


# A shell's background jobs ignore Ctrl-C, and so would the commands that the tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def shared_data() -> Path:
    """The folder of real frames beside the project, where there is one."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real frames here")
    return folder


@pytest.fixture(scope="session")
def build_engine() -> Callable[[Path, tuple[int, int], Path], Manifest]:
    """Builds an OpenVINO engine from one model, for frames of a shape, into a folder."""

    def build_one(model: Path, frame_shape: tuple[int, int], folder: Path) -> Manifest:
        composition = Composition(models=(str(model),))
        settings = BuildSettings(composition=composition, frame_shape=frame_shape, verify_frames=2)
        return build(settings, folder).manifest

    return build_one
