"""The GPU that the tests here run on: a real one, or with --simulated-gpu a simulated one.

The option and the fixtures of the simulated GPU are in tests/gpu_simulation/plugin.py.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.models import save_exact_model

from stripwatch.engines.identity import GpuTarget
from stripwatch.engines.manifest import Precision
from stripwatch_engine.build import BuildOptions, build
from stripwatch_engine.models.composition import Composition
from stripwatch_engine.settings import BuildSettings

HERE = Path(__file__).resolve().parent
WITHOUT_GPU = {"test_lean_runtime.py", "test_trt_types.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and item.path.name not in WITHOUT_GPU:
            item.add_marker(pytest.mark.gpu)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") is None or item.config.getoption("--simulated-gpu"):
        return
    reason = gpu_missing_reason()
    if reason and os.environ.get("STRIPWATCH_REQUIRE_GPU") == "1":
        pytest.fail(f"a GPU is required here: {reason}", pytrace=False)
    if reason:
        pytest.skip(f"{reason}; --simulated-gpu needs none")


@cache
def gpu_missing_reason() -> str:
    """The reason why no test can run on a GPU; "" if there is a GPU."""
    try:
        import pycuda.driver as cuda

        cuda.init()
        count = cuda.Device.count()
    except Exception as error:  # noqa: BLE001 - library, driver, device: each with its own type
        return f"no GPU can be used ({error})"
    return "" if count else "this machine has no GPU"


TINY_SHAPE = (32, 80)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two classes with exact arithmetic, for images of 16 x 40."""
    return save_exact_model(tmp_path_factory.mktemp("tiny") / "model.onnx")


@pytest.fixture(scope="session", params=["tensorrt", "tensorrt-rtx"])
def target(request: pytest.FixtureRequest) -> GpuTarget:
    """Each library of a GPU engine that is here."""
    found: GpuTarget = request.param
    if found == "tensorrt-rtx" and stands_in():
        pytest.skip("our own kernels stand in for TensorRT")
    pytest.importorskip({"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}[found])
    return found


def stands_in() -> bool:
    """Whether the module `tensorrt` is our own stand-in, which runs the tiny model alone."""
    if find_spec("tensorrt") is None:
        return False
    return hasattr(importlib.import_module("tensorrt"), "STAND_IN")


@pytest.fixture(scope="session")
def build_gpu_engine(
    target: GpuTarget, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Path, tuple[int, int], Precision, int], Path]:
    """Builds an engine of a model: for frames of a shape, in a precision, for so many at once."""

    def build_one(model: Path, shape: tuple[int, int], precision: Precision, most: int) -> Path:
        if stands_in() and (shape, precision) != (TINY_SHAPE, "fp32"):
            pytest.skip("the stand-in for TensorRT runs the tiny model alone")
        folder = tmp_path_factory.mktemp("engine") / target
        settings = BuildSettings(
            composition=Composition(models=(str(model),)),
            frame_shape=shape,
            target=target,
            precision=precision,
            batch=(1, most),
            verify_frames=2,
        )
        build(settings, folder, BuildOptions(allow_unverified=True))
        return folder

    return build_one


@pytest.fixture(scope="session")
def tiny_engine(
    tiny_model: Path, build_gpu_engine: Callable[[Path, tuple[int, int], Precision, int], Path]
) -> Path:
    """The folder of a float32 engine of the tiny model, for 1 to 16 frames of 32 x 80."""
    return build_gpu_engine(tiny_model, TINY_SHAPE, "fp32", 16)
