"""TensorRT's lean runtime as a package of the index, where it is installed; no GPU.

`pip install tensorrt-lean-cu13` (45 MB) brings it. To run a plan takes a GPU, and a whole TensorRT
that built it. Without a driver a Runtime of it crashes; the engine opens the device before.
"""

from __future__ import annotations

from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path

import msgspec
import pytest
from tests.gpu.test_trt_types import ENGINES, names_used

from stripwatch.engines.identity import load_runtime
from stripwatch.engines.load import engine_factory
from stripwatch.engines.manifest import DefectClass, Manifest, Plan
from stripwatch.errors import ModelError

pytestmark = [
    pytest.mark.skipif(find_spec("tensorrt_lean") is None, reason="tensorrt-lean is not installed"),
    pytest.mark.skipif(find_spec("tensorrt") is not None, reason="the whole TensorRT is installed"),
]
RUNTIME_FILES = ("trt_lane.py", "trt_log.py", "trt_plan.py", "trt_warm.py")
RTX_ONLY = ("CudaGraphStrategy", "DynamicShapesKernelSpecializationStrategy")


def manifest(**flags: bool) -> Manifest:
    return Manifest(
        target="tensorrt",
        engine_hash="",
        builder="test",
        precision="fp16",
        frame_shape=(8, 16),
        classes=(DefectClass(id=1, name="pits"),),
        files=("inspection.plan",),
        plan=msgspec.structs.replace(Plan("10.16.0", ("9.0",)), **flags),
    )


def test_it_is_taken_for_engines_that_were_built_for_it() -> None:
    """Of an older version, too; it loads nothing before its thread runs."""
    found = manifest(version_compatible=True)
    assert load_runtime("tensorrt", found.plan).__name__ == "tensorrt_lean"
    engine_factory(Path("engine"), found)


def test_it_refuses_others() -> None:
    """The sentence names the flag and the whole library."""
    with pytest.raises(ModelError, match=r"lean runtime \d+.* alone, .*--version-compatible"):
        engine_factory(Path("engine"), manifest())


def test_it_has_what_the_engine_calls() -> None:
    """Classes and values; those of TensorRT-RTX alone are not asked of it."""
    library = load_runtime("tensorrt", manifest(version_compatible=True).plan)
    names = {name for file in RUNTIME_FILES for name in names_used(ENGINES / file)}
    assert {"Runtime", "ILogger.ERROR"} <= names
    shared = [name for name in names if not name.startswith(RTX_ONLY)]
    assert len(shared) >= 5
    for name in shared:
        attrgetter(name)(library)
