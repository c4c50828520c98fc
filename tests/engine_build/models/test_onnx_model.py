"""Kinds of ONNX files: old and new opsets, outside weights, fixed batches, functions, damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from stripwatch.engines.manifest import load_manifest
from stripwatch.errors import ExitCode, ModelError
from stripwatch_engine.cli.main import main
from stripwatch_engine.models.model_card import ModelCard
from stripwatch_engine.models.onnx_model import load_onnx_model

MakeModel = Callable[..., tuple[Path, ModelCard]]
OPSET_NEWEST = onnx.defs.onnx_opset_version()

ALLOW = "--allow-unverified"  # one small frame shows no class well


def run(path: Path, *flags: str) -> int:
    """engine-build for small frames."""
    return main([str(path), "--frame=32x80", "--verify-frames=1", *flags, ALLOW])


def engine_hash(path: Path) -> str:
    """Of the engine beside a model."""
    return load_manifest(path.parent / "openvino").engine_hash


def with_batch(path: Path, batch: int, *, really: bool) -> None:
    """Fix the batch of a model; `really`: by a Reshape in its middle too."""
    model = onnx.load(path)
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    if really:
        shape = numpy_helper.from_array(np.array([batch, 6, 16, 40], np.int64), "fixed_shape")
        model.graph.initializer.append(shape)
        node = helper.make_node("Reshape", ["lit", "fixed_shape"], ["fixed"])
        model.graph.node.insert(2, node)
        model.graph.node[3].input[0] = "fixed"
    onnx.save(model, path)


@pytest.mark.parametrize("opset", [11, 12, 13, 16, 18, 21, 22])
def test_models_of_these_opsets_are_built(make_model: MakeModel, opset: int) -> None:
    """Those before 13 are converted; the engine passes its verification all the same."""
    path, _ = make_model(opset=opset)
    assert run(path) == ExitCode.OK
    assert load_onnx_model(path).opset == (17 if opset < 13 else opset)


def test_an_old_model_gives_what_the_same_model_of_today_gives(make_model: MakeModel) -> None:
    """Its conversion changes no weight and no operator here."""
    hashes = set()
    for opset in (11, 17):
        path, _ = make_model(opset=opset)
        assert run(path) == ExitCode.OK
        hashes.add(engine_hash(path))
    assert len(hashes) == 1


@pytest.mark.parametrize("opset", [1, 10])
def test_a_model_that_is_too_old_is_refused(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str], opset: int
) -> None:
    """With the opset to export with."""
    path, _ = make_model(opset=opset)
    assert run(path) == ExitCode.MODEL
    assert f"{path} has opset {opset}; export it with opset 11 or newer" in capsys.readouterr().err


def test_the_newest_opset_that_onnx_knows_is_built(make_model: MakeModel) -> None:
    """Exporters are ahead of the libraries that run what they export."""
    path, _ = make_model(opset=OPSET_NEWEST)
    assert run(path) == ExitCode.OK


def test_an_opset_from_the_future_is_refused(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence names the file."""
    path, _ = make_model(opset=OPSET_NEWEST + 1)
    assert run(path) == ExitCode.MODEL
    assert str(path) in capsys.readouterr().err


def test_weights_in_a_file_beside_the_model_are_read(make_model: MakeModel) -> None:
    """The engine is the same as with the weights inside."""
    path, _ = make_model()
    assert run(path) == ExitCode.OK
    inside = engine_hash(path)
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="weights.data", size_threshold=0)
    assert (path.parent / "weights.data").stat().st_size > 0
    assert run(path, "--force") == ExitCode.OK
    assert engine_hash(path) == inside


def test_other_weights_in_the_file_beside_are_another_model(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """Although the ONNX file itself is the same."""
    path, _ = make_model()
    onnx.save(
        onnx.load(path), path, save_as_external_data=True, location="w.data", size_threshold=0
    )
    run(path)
    before = engine_hash(path)
    capsys.readouterr()
    values = np.fromfile(path.parent / "w.data", np.float32)
    (values * np.float32(0.5)).tofile(path.parent / "w.data")
    assert run(path) == ExitCode.OK
    assert "up to date" not in capsys.readouterr().out
    assert engine_hash(path) != before


def test_missing_weights_are_named(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody copied one file of two."""
    path, _ = make_model()
    onnx.save(
        onnx.load(path), path, save_as_external_data=True, location="w.data", size_threshold=0
    )
    (path.parent / "w.data").unlink()
    assert run(path) == ExitCode.MODEL
    assert f"{path} keeps weights in w.data, which is not beside it" in capsys.readouterr().err


def test_truncated_weights_are_refused(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy that broke off."""
    path, _ = make_model()
    onnx.save(
        onnx.load(path), path, save_as_external_data=True, location="w.data", size_threshold=0
    )
    data = (path.parent / "w.data").read_bytes()
    (path.parent / "w.data").write_bytes(data[: len(data) // 2])
    assert run(path) == ExitCode.MODEL
    assert str(path) in capsys.readouterr().err


@pytest.mark.parametrize("batch", [1, 4])
def test_a_batch_that_is_fixed_in_name_only_is_freed(make_model: MakeModel, batch: int) -> None:
    """A convolution takes any number of images, whatever the export wrote down."""
    path, _ = make_model()
    assert run(path) == ExitCode.OK
    free = engine_hash(path)
    with_batch(path, batch, really=False)
    assert load_onnx_model(path).fixed_batch == batch
    assert run(path, "--force") == ExitCode.OK
    assert engine_hash(path) == free


def test_a_batch_that_is_really_one_is_built_for_openvino(make_model: MakeModel) -> None:
    """There every frame is a separate call."""
    path, _ = make_model()
    with_batch(path, 1, really=True)
    assert run(path) == ExitCode.OK


def test_a_batch_that_is_really_one_cannot_be_mirrored(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """The mirror image goes through the model in the same call."""
    path, _ = make_model()
    with_batch(path, 1, really=True)
    assert run(path, "--flip") == ExitCode.MODEL
    shown = capsys.readouterr().err
    assert "exported for batches of 1 and --flip doubles it" in shown
    assert "dynamic batch" in shown


def test_a_batch_that_is_really_four_is_refused(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what to change in the export."""
    path, _ = make_model()
    with_batch(path, 4, really=True)
    assert run(path) == ExitCode.MODEL
    shown = capsys.readouterr().err
    assert f"{path} was exported for batches of 4 and it takes no other" in shown
    assert "dynamic batch" in shown


def test_local_functions_are_put_in_line(make_model: MakeModel) -> None:
    """As exporters of modules write them; the engine is verified against the same model."""
    path, _ = make_model(opset=18)
    model = onnx.load(path)
    function = helper.make_function(
        "local",
        "Twice",
        ["x"],
        ["y"],
        [helper.make_node("Add", ["x", "x"], ["y"])],
        [helper.make_opsetid("", 18)],
    )
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("local", 1))
    model.graph.node[1].CopyFrom(helper.make_node("Twice", ["inner"], ["lit"], domain="local"))
    onnx.save(model, path)
    loaded = load_onnx_model(path)
    assert [node.op_type for node in loaded.proto.graph.node] == ["Conv", "Add", "Conv"]
    assert run(path) == ExitCode.OK


@pytest.mark.parametrize("name", ["", "same"])
def test_nodes_without_names_of_their_own_are_given_some(make_model: MakeModel, name: str) -> None:
    """A message about a node must not fit another one."""
    path, _ = make_model()
    model = onnx.load(path)
    for node in model.graph.node:
        node.name = name
    onnx.save(model, path)
    names = [node.name for node in load_onnx_model(path).proto.graph.node]
    assert len(set(names)) == len(names)
    assert all(names)
    assert run(path) == ExitCode.OK


def test_given_names_never_meet_those_that_are_there(make_model: MakeModel) -> None:
    """Even where a model has just such a name further down."""
    path, _ = make_model()
    model = onnx.load(path)
    model.graph.node[0].name = ""
    model.graph.node[1].name = ""
    model.graph.node[2].name = "Conv_0"
    onnx.save(model, path)
    names = [node.name for node in load_onnx_model(path).proto.graph.node]
    assert len(set(names)) == len(names)


def test_weights_that_are_listed_as_inputs_are_no_inputs(make_model: MakeModel) -> None:
    """Old exporters list every weight."""
    path, _ = make_model()
    model = onnx.load(path)
    for weight in model.graph.initializer:
        model.graph.input.append(
            helper.make_tensor_value_info(weight.name, TensorProto.FLOAT, list(weight.dims))
        )
    onnx.save(model, path)
    assert run(path) == ExitCode.OK


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_a_truncated_model_is_refused(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str], share: float
) -> None:
    """Wherever it was cut."""
    path, _ = make_model()
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert run(path) == ExitCode.MODEL
    assert str(path) in capsys.readouterr().err
    assert not (path.parent / "openvino").exists()


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_model_is_built_or_refused_with_a_sentence(
    make_model: MakeModel, seed: int
) -> None:
    """Some bytes are weights or names, in which damage cannot be seen; none ends in a crash."""
    path, _ = make_model()
    data = bytearray(path.read_bytes())
    generator = np.random.default_rng(seed)
    for _ in range(3):
        data[int(generator.integers(len(data)))] = int(generator.integers(256))
    path.write_bytes(data)
    try:
        loaded = load_onnx_model(path)
    except ModelError as error:
        assert str(path) in str(error)
    else:
        assert len(loaded.input_sizes) == 3


def test_a_folder_in_the_models_place_is_refused(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """It cannot be read as a file."""
    path, _ = make_model()
    path.unlink()
    path.mkdir()
    assert run(path) == ExitCode.MODEL
    assert f"{path} cannot be read" in capsys.readouterr().err


def test_an_operator_that_openvino_does_not_know_is_named(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that its owner knows what to replace."""
    path, _ = make_model()
    model = onnx.load(path)
    model.opset_import.append(helper.make_opsetid("our.own", 1))
    model.graph.node[1].op_type = "Frobnicate"
    model.graph.node[1].domain = "our.own"
    onnx.save(model, path)
    assert run(path) == ExitCode.MODEL
    shown = capsys.readouterr().err
    assert "Frobnicate" in shown
    assert not (path.parent / "openvino").exists()


@pytest.mark.parametrize("what", ["input", "output"])
def test_a_model_with_two_ends_of_a_kind_is_refused(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    """It is unknown which one counts."""
    path, _ = make_model()
    model = onnx.load(path)
    if what == "input":
        extra = helper.make_tensor_value_info("more", TensorProto.FLOAT, ["n", 1, 16, 40])
        model.graph.input.append(extra)
    else:
        extra = helper.make_tensor_value_info("lit", TensorProto.FLOAT, ["n", 6, 16, 40])
        model.graph.output.append(extra)
    onnx.save(model, path)
    assert run(path) == ExitCode.MODEL
    assert (
        "engine-build takes one; export the model with only the one to keep"
        in capsys.readouterr().err
    )


def test_a_segmentation_with_one_output_for_a_frame_is_refused(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """That is a classifier; the sentence names its flags."""
    path, _ = make_model()
    model = onnx.load(path)
    model.graph.node[-1].output[0] = "planes"
    model.graph.node.append(helper.make_node("GlobalAveragePool", ["planes"], ["mean"]))
    model.graph.node.append(helper.make_node("Flatten", ["mean"], ["out"]))
    model.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 3])
    )
    onnx.save(model, path)
    assert run(path) == ExitCode.MODEL
    assert "name a classifier with --gate or --classifier" in capsys.readouterr().err


def test_no_model_at_all_is_a_wrong_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And no folder comes of it."""
    monkeypatch.chdir(tmp_path)
    assert main(["--frame=32x80"]) == ExitCode.CONFIG
    assert "no segmentation model" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
