"""What all tests share."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import settings

from stripwatch.engines.manifest import Manifest
from stripwatch.wire.event import Defect, Position
from stripwatch.wire.rle import encode_coco, encode_severstal, runs_of_mask
from stripwatch_engine.build import BuildOptions, build
from stripwatch_engine.models.composition import Composition
from stripwatch_engine.settings import BuildSettings

pytest_plugins = ("tests.gpu_simulation.plugin",)

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
        return build(settings, folder, BuildOptions(allow_unverified=True)).manifest

    return build_one


@pytest.fixture
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A fresh endpoint with a short name (a socket's path may have about 100 characters)."""
    return f"ipc://{tmp_path_factory.mktemp('s')}/x"


@pytest.fixture
def make_defect() -> Callable[..., Defect]:
    """Makes a defect of 10 x 4 pixels at (20, 8) in a frame of 32 x 64, with changes."""
    mask = np.zeros((32, 64), np.uint8)
    mask[8:12, 20:30] = 1
    runs = runs_of_mask(mask)
    plain = Defect(
        stream="stream",
        seq=1,
        camera="top",
        strip="C1",
        session="s",
        frame_seq=0,
        t_ns=1_700_000_000_123_000_000,
        class_id=2,
        class_name="cracks",
        score=0.9,
        peak=1.0,
        area_px=40,
        bbox_px=(20, 8, 10, 4),
        centroid_px=(24.5, 9.5),
        position=Position(downweb_mm=1234.5, crossweb_mm=88.8),
        size_mm=(6.0, 2.0),
        area_mm2=12.0,
        frame_shape=(32, 64),
        rle=encode_severstal(runs),
        rle_coco=encode_coco(runs),
        part_of="top-s-0-0",
        model="m1",
    )
    return lambda **changes: msgspec.structs.replace(plain, **changes)


@pytest.fixture
def severstal(shared_data: Path) -> Path:
    """The folder of Severstal samples beside the repository."""
    folder = shared_data / "severstal"
    if not folder.is_dir():
        pytest.skip("the Severstal samples are not here")
    return folder
