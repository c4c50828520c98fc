"""Asking TensorRT-RTX about an engine, with the package that is installed; no GPU."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import tensorrt_rtx

from stripwatch.engines.trt_log import make_logger
from stripwatch.engines.trt_validity import accepted_by


def test_the_library_cannot_tell_without_a_gpu(tmp_path: Path) -> None:
    """An engine that it built itself, a damaged one and an empty one: no word on the GPU."""
    builder = tensorrt_rtx.Builder(make_logger(tensorrt_rtx))
    network = builder.create_network(1)
    values = network.add_input("values", tensorrt_rtx.float32, (4,))
    layer = network.add_activation(values, tensorrt_rtx.ActivationType.RELU)
    network.mark_output(layer.get_output(0))
    plan = bytes(builder.build_serialized_network(network, builder.create_builder_config()))
    for content in (plan, b"x" + plan[1:], b""):
        (tmp_path / "inspection.plan").write_bytes(content)
        assert accepted_by(tensorrt_rtx, tmp_path / "inspection.plan") is None


def test_tensorrt_has_no_such_question(tmp_path: Path) -> None:
    """The file is not even opened."""
    assert accepted_by(ModuleType("tensorrt"), tmp_path / "missing") is None
