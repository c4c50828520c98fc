"""Engines and GPUs that do not go together; TensorRT-RTX's cache of compiled kernels."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.gpu.batches import make_slots, running

from stripwatch.engines.identity import GpuTarget
from stripwatch.engines.load import unsupported_reason
from stripwatch.engines.manifest import Precision, load_manifest
from stripwatch.engines.trt import TensorRtEngine
from stripwatch.errors import ModelError

Build = Callable[[Path, tuple[int, int], Precision, int], Path]
SHAPE = (32, 80)


@pytest.fixture(autouse=True)
def _tensorrt_rtx(target: GpuTarget) -> None:
    if target != "tensorrt-rtx":
        pytest.skip("of TensorRT-RTX alone")


def test_a_card_that_the_library_refuses_gets_another_target(
    tiny_engine: Path, set_device: Callable[[str, int], None]
) -> None:
    """An H100 has 9.0: the sentence does not advise to build the engine anew for it."""
    set_device("capability", 90)
    manifest = load_manifest(tiny_engine)
    reason = unsupported_reason(tiny_engine, manifest)
    assert "does not support compute capability 9.0" in reason
    assert "--target tensorrt" in reason
    with pytest.raises(ModelError, match=r"does not support compute capability 9\.0"):
        TensorRtEngine(tiny_engine, manifest, make_slots(1))


def test_a_build_beside_such_a_card_is_verified_by_its_graph_alone(
    tiny_model: Path, build_gpu_engine: Build, set_device: Callable[[str, int], None]
) -> None:
    """It is written, and says what was not run, and why."""
    set_device("capability", 90)
    verification = load_manifest(build_gpu_engine(tiny_model, SHAPE, "fp16", 2)).verification
    assert verification is not None
    assert [entry.compared for entry in verification.agreements] == [
        "fp16 graph, rounded on the CPU"
    ]
    expected = "the tensorrt-rtx engine itself was not run: TensorRT-RTX does not support"
    assert verification.remark.startswith(expected)


def test_compiled_kernels_are_named_by_gpu_and_version(tiny_engine: Path, simulated: bool) -> None:
    """Two cards of one capability do not overwrite each other's."""
    with running(tiny_engine, make_slots(1)) as engine:
        name = engine.device.name
    (cache,) = tiny_engine.glob("*.cache")
    if simulated:
        assert name == "Simulated GPU"
        assert cache.name.endswith(".plan.Simulated-GPU.8.9.1.7.1.116.cache")


def test_kernels_that_cannot_be_serialized_are_a_warning(
    tiny_engine: Path, simulated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library then returns nothing; the engine runs all the same."""
    if not simulated:
        pytest.skip("needs a library that fails")
    simulated_trt = importlib.import_module("simulated_trt")

    monkeypatch.setattr(simulated_trt.IRuntimeCache, "serialize", lambda _: None)
    with capture_logs() as logged, running(tiny_engine, make_slots(1)):
        pass
    assert any(entry["event"].startswith("compiled kernels are not kept") for entry in logged)
