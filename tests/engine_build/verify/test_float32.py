"""The float32 model is judged before an engine: one that cannot be right is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from tests.engine_build.odd_models import FRAME, GIVEN, node, nodes_model, save

from stripwatch.engines.manifest import load_manifest
from stripwatch.errors import ExitCode
from stripwatch_engine.cli.main import main


def build(path: Path, *flags: str) -> int:
    """engine-build of a model without a card, on the test pattern."""
    return main([str(path), *FRAME, *GIVEN, *flags])


def refused(
    capsys: pytest.CaptureFixture[str], folder: Path, model: onnx.ModelProto, *flags: str
) -> str:
    """The error of a build that is refused, whatever is allowed."""
    path = save(folder / "m.onnx", model)
    allow = ("--allow-unverified", "--allow-degraded")
    assert build(path, *flags, *allow) == ExitCode.MODEL
    assert not (folder / "openvino").exists()
    return capsys.readouterr().err


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_model_that_gives_no_numbers_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], value: float
) -> None:
    """It would find nothing, and so would the engine: their masks agree."""
    model = nodes_model([node("Identity")])
    weights = np.full((2, 1, 1, 1), value, np.float32)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "weights"))
    error = refused(capsys, tmp_path, model, "--activation=sigmoid")
    assert "not finite (NaN or infinity) on 8 of 8 frames" in error


def test_logits_are_no_probabilities(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Clipping them to 0 to 1 would find what is above 0.5 instead of above 0."""
    model = nodes_model([node("Identity")])
    error = refused(capsys, tmp_path, model, "--activation=none")
    assert "outside of 0 to 1" in error
    assert "set the activation to sigmoid or softmax" in error
    path = save(tmp_path / "good.onnx", nodes_model([node("Sigmoid")]))
    assert build(path, "--activation=none") == ExitCode.OK


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_probabilities_that_no_operator_tells_of_are_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], activation: str
) -> None:
    """Here a sigmoid in single operators; every pixel would be a defect."""
    nodes = [
        node("Neg", output="negative"),
        node("Exp", "negative", "power"),
        onnx.helper.make_node("Add", ["power", "one"], ["sum"]),
        node("Reciprocal", "sum"),
    ]
    model = nodes_model(nodes, constants={"one": np.array(1, np.float32)})
    error = refused(capsys, tmp_path, model, f"--activation={activation}")
    assert f"the activation {activation} would be applied twice" in error
    assert build(tmp_path / "m.onnx", "--activation=none") == ExitCode.OK


def test_an_activation_behind_which_something_stands_is_not_applied_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence names both."""
    model = nodes_model([node("Sigmoid", output="p"), node("Clip", "p")])
    error = refused(capsys, tmp_path, model, "--activation=sigmoid")
    assert "ends in Sigmoid, behind which stands Clip" in error
    assert "the flags say the activation sigmoid" in error


def test_mean_and_std_of_another_unit_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The image would be nearly constant; the sentence shows them in the right unit."""
    model = nodes_model([node("Identity")])
    flags = ("--activation=sigmoid", "--mean=114.5", "--std=9.8")
    error = refused(capsys, tmp_path, model, *flags)
    assert "are for pixels of 0 to 255" in error
    assert "mean 0.449 and std 0.03843" in error
    error = refused(capsys, tmp_path, model, "--activation=sigmoid", "--mean=103.9", "--std=1")
    assert "mean 0.4075 and std 0.003922" in error
    flags = ("--activation=sigmoid", "--mean=0.449", "--std=0.0384")
    assert build(tmp_path / "m.onnx", *flags) == ExitCode.OK


def test_an_output_that_depends_on_nothing_is_remarked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing or everything is found then; both are not judged."""
    zero = {"zero": np.array(0, np.float32)}
    nodes = [onnx.helper.make_node("Mul", ["raw", "zero"], ["out"])]
    path = save(tmp_path / "m.onnx", nodes_model(nodes, constants=zero))
    assert build(path, "--activation=sigmoid") == ExitCode.MODEL
    error = capsys.readouterr().err
    assert "dark is found on every pixel; bright is found on every pixel" in error
    assert "the output is the same for every frame and pixel" in error
    assert "--allow-unverified" in error
    assert build(path, "--activation=sigmoid", "--allow-unverified") == ExitCode.OK
    verification = load_manifest(tmp_path / "openvino").verification
    assert verification is not None
    assert verification.verdict == "not verified"
    assert verification.not_judged == ("dark", "bright")


def test_a_wrong_number_of_channels_shows_when_the_model_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the file does not have it; classes on the last axis are called so."""
    model = nodes_model([node("Transpose", perm=[0, 2, 3, 1])], outputs=0)
    del model.graph.output[0].type.tensor_type.shape.dim[1:]
    for name in ("a", "b", "c"):
        model.graph.output[0].type.tensor_type.shape.dim.add().dim_param = name
    error = refused(capsys, tmp_path, model, "--activation=sigmoid")
    assert "the classes are its last axis" in error
