"""`stripwatch bench --gpu` on a tiny engine: a figure for everything, how large is not tested."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stripwatch.cli.main import main
from stripwatch.errors import ExitCode
from stripwatch.lab.bench import gpu, load


@pytest.mark.slow
def test_every_mode_is_measured(
    tiny_engine: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Rate and times of each mode, a reason where there is no rival, and every goal's figure."""
    monkeypatch.setattr(gpu, "ROUNDS", 1)
    monkeypatch.setattr(load, "LATENCY_S_MIN", 1.2)
    path = tmp_path / "bench.json"
    flags = ["--seconds", "1.2", "--rows", "4", "--rate", "40", "--json", str(path)]
    assert main(["bench", "--gpu", "--engine", str(tiny_engine), *flags]) == ExitCode.OK
    figures = json.loads(path.read_text())
    assert set(figures) == {"machine", "gpu", "load", "swap"}
    modes = {row["mode"]: row for row in figures["gpu"]["modes"]}
    for name in ("bare", "single-buffered", "double-buffered", "daemon"):
        assert modes[name]["frames_per_s"] > 0
        assert 0 < modes[name]["p50_ms"] <= modes[name]["p99_ms"] <= modes[name]["max_ms"]
        assert modes[name]["cpu_percent"] >= 0
    reasons = {row["mode"]: row["reason"] for row in figures["gpu"]["not_measured"]}
    assert set(reasons) == {"PyTorch eager", "PyTorch compile", "ONNX Runtime CUDA"}
    assert all(reason.startswith("not measured: ") for reason in reasons.values())
    measured = {goal["figure"]: goal["measured"] for goal in figures["gpu"]["goals"]}
    assert set(measured) == {"daemon / bare", "double-buffered / single-buffered"}
    assert all(ratio > 0 for ratio in measured.values())
    assert figures["load"]["latency_ms"]["total"]["max"] > 0
    assert figures["swap"]["goals"][0]["measured"] == "none"
    printed = capsys.readouterr().out
    for word in ("bare", "PyTorch", "--torch", "daemon", "10 ms", "swap"):
        assert word in printed
