"""Other runtimes: a reason for each that cannot be measured here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stripwatch.lab.bench.other_runtimes import other_runtimes, prepared


def test_a_runtime_without_a_file_is_not_measured() -> None:
    """The reason names the missing flag."""
    reasons = {runtime.name: prepared(runtime, 4) for runtime in other_runtimes(None, None)}
    assert {name: compute for name, (compute, _) in reasons.items()} == dict.fromkeys(reasons)
    assert "--torch" in reasons["PyTorch eager"][1]
    assert "--torch" in reasons["PyTorch compile"][1]
    assert "--onnx" in reasons["ONNX Runtime CUDA"][1]


def test_a_runtime_that_is_not_installed_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its absence is a remark, not an error."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for runtime in other_runtimes(tmp_path / "net.pt2", tmp_path / "net.onnx"):
        compute, reason = prepared(runtime, 4)
        assert compute is None
        assert reason.startswith("not installed: ")


def test_an_onnx_runtime_without_cuda_says_so(tmp_path: Path) -> None:
    """The one that stripwatch depends on computes on the processor: nothing to compare with."""
    *_, onnx = other_runtimes(None, tmp_path / "net.onnx")
    compute, reason = prepared(onnx, 4)
    assert compute is None
    assert reason == "not installed: this ONNX Runtime has no CUDA execution provider"
