"""engine-build: folders, errors and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from stripwatch.errors import ExitCode, ModelError
from stripwatch.manifest import load_manifest
from stripwatch_engine.build import build_openvino
from stripwatch_engine.cli import main
from stripwatch_engine.model_card import ModelCard, load_card

MakeModel = Callable[..., tuple[Path, ModelCard]]


def test_a_build_writes_an_engine_that_its_manifest_describes(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """The default folder is beside the model; the summary names frames and classes."""
    path, card = make_model()
    assert main([str(path), "--frame", "32x80"]) == ExitCode.OK
    manifest = load_manifest(path.parent / "openvino")
    assert (manifest.target, manifest.precision) == ("openvino", "fp32")
    assert manifest.frame_shape == (32, 80)
    assert manifest.classes == card.classes
    assert manifest.builder.startswith("openvino 20")
    shown = capsys.readouterr().out
    assert "32 x 80" in shown
    assert "kind1, kind2, kind3" in shown


def test_the_same_model_gives_the_same_hash(make_model: MakeModel, tmp_path: Path) -> None:
    """The hash names the engine in events: it must say what is in it, not when it was built."""
    path, _ = make_model()
    first = build_openvino(path, (32, 80), tmp_path / "one")
    again = build_openvino(path, (32, 80), tmp_path / "two")
    other = build_openvino(path, (48, 80), tmp_path / "three")
    assert first == again
    assert first.engine_hash != other.engine_hash


def test_a_new_build_replaces_the_old_and_leaves_nothing_else(
    make_model: MakeModel, tmp_path: Path
) -> None:
    """No draft and no old folder stay behind."""
    path, _ = make_model()
    build_openvino(path, (32, 80), tmp_path / "engine")
    (tmp_path / "engine" / "note.txt").write_text("of the old engine")
    manifest = build_openvino(path, (48, 120), tmp_path / "engine")
    assert load_manifest(tmp_path / "engine") == manifest
    names = sorted(entry.name for entry in tmp_path.iterdir())
    assert names == ["engine", "model.json", "model.onnx"]
    assert not (tmp_path / "engine" / "note.txt").exists()


def test_a_failed_build_leaves_the_old_engine(make_model: MakeModel, tmp_path: Path) -> None:
    """Whatever it fails on: here OpenVINO does not know an operator."""
    path, _ = make_model()
    manifest = build_openvino(path, (32, 80), tmp_path / "engine")
    model = onnx.load(path)
    model.opset_import.append(helper.make_opsetid("our.own", 1))
    model.graph.node[1].op_type = "Frobnicate"
    model.graph.node[1].domain = "our.own"
    onnx.save(model, path)
    with pytest.raises(ModelError, match=r"OpenVINO cannot take this model.*Frobnicate"):
        build_openvino(path, (32, 80), tmp_path / "engine")
    assert load_manifest(tmp_path / "engine") == manifest
    assert sorted(tmp_path.glob(".*")) == []


@pytest.mark.parametrize("frame", ["256", "256x", "0x1600", "-1x5", "axb", "256x1600x3"])
def test_a_frame_shape_that_is_none_is_a_configuration_error(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str], frame: str
) -> None:
    """The sentence shows how it is written."""
    path, _ = make_model()
    assert main([str(path), f"--frame={frame}"]) == ExitCode.CONFIG
    assert "for example 256x1600" in capsys.readouterr().err


def test_a_folder_that_is_no_engine_is_not_replaced(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--output .` must not eat the user's files."""
    path, _ = make_model()
    code = main([str(path), "--frame", "32x80", "--output", str(path.parent)])
    assert code == ExitCode.CONFIG
    assert "is no engine folder" in capsys.readouterr().err
    assert path.exists()


def test_a_missing_model_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And so is a missing model.json."""
    path = tmp_path / "model.onnx"
    assert main([str(path)]) == ExitCode.MODEL
    assert f"{path} does not exist" in capsys.readouterr().err


def test_a_missing_card_is_asked_for_by_name(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the command that writes it."""
    path, _ = make_model()
    card = path.with_name("model.json")
    card.unlink()
    assert main([str(path)]) == ExitCode.MODEL
    shown = capsys.readouterr().err
    assert str(card) in shown
    assert "stripwatch-train export" in shown


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_a_truncated_model_is_refused(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str], share: float
) -> None:
    """Wherever it was cut."""
    path, _ = make_model()
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert main([str(path), "--frame", "32x80"]) == ExitCode.MODEL
    assert str(path) in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_a_storage_error(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here a file is in the way of the folder's parent."""
    path, _ = make_model()
    code = main([str(path), "--frame", "32x80", "--output", str(path / "engine")])
    assert code == ExitCode.STORAGE
    assert "cannot write to" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("activation", "relu", r"Invalid enum value 'relu'"),
        ("mean", [0.1, 0.2], "mean has 2 values; give one"),
        ("std", 0, "Expected `float` > 0"),
        ("surplus", 1, "unknown field `surplus`"),
        ("v", 2, "Invalid enum value 2"),
        ("classes", [], r"class ids must be 1, 2, 3"),
        ("classes", [{"id": 2, "name": "pits"}], r"class ids must be 1, 2, 3"),
        (
            "classes",
            [{"id": 1, "name": "pits"}, {"id": 2, "name": "pits"}],
            "two classes have the same name",
        ),
    ],
)
def test_a_wrong_card_is_refused(
    make_model: MakeModel, key: str, value: object, sentence: str
) -> None:
    """The sentence names the file and what is wrong in it."""
    path, _ = make_model()
    card = path.with_name("model.json")
    card.write_text(json.dumps(json.loads(card.read_text()) | {key: value}))
    with pytest.raises(ModelError, match=sentence) as caught:
        load_card(path)
    assert str(card) in str(caught.value)


def test_softmax_over_one_channel_is_refused(make_model: MakeModel) -> None:
    """It would find defects everywhere."""
    path, _ = make_model(classes=1, activation="softmax")
    with pytest.raises(ModelError, match="softmax over one channel is always 1"):
        load_card(path)


def test_a_card_that_was_saved_is_loaded_as_it_was(make_model: MakeModel) -> None:
    """Whether statistics are given once or by channel."""
    path, card = make_model(channels=3, mean=(0.1, 0.2, 0.3), std=0.5, background=True)
    assert load_card(path) == card
    assert card.channel_statistics() == ((0.1, 0.2, 0.3), (0.5, 0.5, 0.5))


def test_a_model_whose_output_is_an_integer_is_refused(make_model: MakeModel) -> None:
    """Labels are no probabilities."""
    path, _ = make_model()
    model = onnx.load(path)
    model.graph.node[-1].output[0] = "float_out"
    model.graph.node.append(helper.make_node("Cast", ["float_out"], ["out"], to=TensorProto.INT64))
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    onnx.save(model, path)
    with pytest.raises(ModelError, match="output 'out' is INT64"):
        build_openvino(path, (32, 80), path.parent / "engine")
