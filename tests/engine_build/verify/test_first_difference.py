"""A refused fp32 engine: the operator that the libraries do not agree about is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.engine_build.odd_models import FRAME, GIVEN, SHAPE, node, nodes_model, save

from stripwatch.errors import ExitCode
from stripwatch_engine.cli.main import main
from stripwatch_engine.models.card_flags import CardFlags
from stripwatch_engine.models.composition import Composition
from stripwatch_engine.models.deployment import load_deployment
from stripwatch_engine.verify import first_difference
from stripwatch_engine.verify.first_difference import _differ

FLAGS = CardFlags(classes=("dark", "bright"), mean=(0.5,), std=(0.25,), activation="sigmoid")


def test_models_that_both_libraries_compute_alike_have_no_difference(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", nodes_model([node("Relu", output="lit"), node("Tanh", "lit")]))
    deployment = load_deployment(Composition(models=(str(path),)), SHAPE, FLAGS)
    frame = np.random.default_rng(1).integers(0, 256, SHAPE).astype(np.uint8)
    assert first_difference.first_difference(deployment, frame) == ""


def test_outputs_differ_by_shape_or_by_more_than_rounding() -> None:
    ones = np.ones((2, 3), np.float32)
    assert not _differ(ones, ones * np.float32(1.001))
    assert _differ(ones, ones * np.float32(1.1))
    assert _differ(ones, ones[:1])


def test_the_first_operator_that_differs_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of the model: what comes after it differs, too. Here all count as different."""
    monkeypatch.setattr(first_difference, "TOLERANCE", -1.0)
    path = save(tmp_path / "m.onnx", nodes_model([node("Relu", output="lit"), node("Tanh", "lit")]))
    deployment = load_deployment(Composition(models=(str(path),)), SHAPE, FLAGS)
    frame = np.zeros(SHAPE, np.uint8)
    assert first_difference.first_difference(deployment, frame) == "Conv (conv)"


def test_a_float32_build_is_never_told_to_try_float32(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save(tmp_path / "m.onnx", nodes_model([node("Identity")]))
    flags = [*FRAME, *GIVEN, "--activation=sigmoid", "--dice-min=1.5"]
    assert main([str(path), *flags]) == ExitCode.MODEL
    error = capsys.readouterr().err
    assert "differs too much from the float32 model: Dice of dark is 1.0000" in error
    assert "Both compute in float32" in error
    assert "--precision" not in error
