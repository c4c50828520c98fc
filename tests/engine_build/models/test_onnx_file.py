"""ONNX files as other programs write them: all mean what their own library computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.engine_build.odd_models import SHAPE, node, nodes_model, noise, outputs_of, save

from stripwatch.errors import ModelError
from stripwatch_engine.models.onnx_file import IR_OLDEST, read_onnx
from stripwatch_engine.models.onnx_model import load_onnx_model


def test_weights_that_are_listed_as_inputs_are_weights(tmp_path: Path) -> None:
    """In IR version 3 they must be; the graph around the model has newer constants."""
    model = nodes_model([node("Identity")], opset=11)
    model.ir_version = 3
    weights = helper.make_tensor_value_info("weights", TensorProto.FLOAT, [2, 1, 1, 1])
    model.graph.input.append(weights)
    read = read_onnx(save(tmp_path / "m.onnx", model))
    assert [entry.name for entry in read.graph.input] == ["image"]
    assert read.ir_version >= IR_OLDEST
    assert np.array_equal(outputs_of(read, noise()), outputs_of(model, noise()))


def with_weights_beside(folder: Path) -> Path:
    folder.mkdir()
    path = folder / "m.onnx"
    model = nodes_model([node("Identity")])
    onnx.save(model, path, save_as_external_data=True, location="m.data", size_threshold=0)
    return path


def test_weights_behind_a_link_are_read(tmp_path: Path) -> None:
    """As caches and version control of models keep them."""
    path = with_weights_beside(tmp_path / "snapshot")
    (tmp_path / "blob").write_bytes((path.parent / "m.data").read_bytes())
    (path.parent / "m.data").unlink()
    (path.parent / "m.data").symlink_to("../blob")
    (weights,) = read_onnx(path).graph.initializer
    (wanted,) = nodes_model([node("Identity")]).graph.initializer
    assert np.array_equal(numpy_helper.to_array(weights), numpy_helper.to_array(wanted))


def test_weights_that_are_missing_or_cut_short_are_named(tmp_path: Path) -> None:
    """Also where a link leads nowhere."""
    path = with_weights_beside(tmp_path / "snapshot")
    weights = path.parent / "m.data"
    data = weights.read_bytes()
    weights.write_bytes(data[:-1])
    with pytest.raises(ModelError, match=r"weights in m\.data, which is cut short; copy it again"):
        read_onnx(path)
    weights.unlink()
    with pytest.raises(ModelError, match=r"weights in m\.data, which is not beside it; copy"):
        read_onnx(path)
    weights.symlink_to("../nowhere")
    with pytest.raises(ModelError, match=r"a link to \.\./nowhere, which does not exist; copy"):
        read_onnx(path)


def test_weights_outside_the_folder_of_the_model_are_refused(tmp_path: Path) -> None:
    """A model from elsewhere must not read any file of this machine."""
    path = with_weights_beside(tmp_path / "snapshot")
    model = onnx.load(path, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = "../m.data"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="outside its own folder"):
        read_onnx(path)


def test_an_output_without_a_shape_gets_the_one_that_follows(tmp_path: Path) -> None:
    """The file need not hold it, and every library runs such a model."""
    model = nodes_model([node("Identity")])
    model.graph.output[0].type.tensor_type.ClearField("shape")
    assert load_onnx_model(save(tmp_path / "m.onnx", model)).output_sizes == (2, *SHAPE)


@pytest.mark.parametrize("operator", ["RandomNormalLike", "RandomUniformLike", "Bernoulli"])
def test_a_model_that_draws_random_numbers_is_refused(tmp_path: Path, operator: str) -> None:
    """The sentence names the operator and its node."""
    path = save(tmp_path / "m.onnx", nodes_model([node(operator)]))
    with pytest.raises(
        ModelError, match=rf"{operator} \({operator.lower()}\) draws random numbers"
    ):
        read_onnx(path)


def test_a_model_in_training_mode_is_refused(tmp_path: Path) -> None:
    """It takes its statistics of the frame that it sees, or drops parts of it."""
    ones = np.ones(2, np.float32)
    constants = {"gain": ones, "bias": ones * 0, "mean": ones * 0, "variance": ones}
    norm = helper.make_node(
        "BatchNormalization",
        ["raw", *constants],
        ["out", "new_mean", "new_variance"],
        name="norm",
        training_mode=1,
    )
    path = save(tmp_path / "m.onnx", nodes_model([norm], constants=constants))
    with pytest.raises(ModelError, match=r"BatchNormalization \(norm\) is in training mode"):
        read_onnx(path)
    drop = helper.make_node("Dropout", ["raw", "ratio", "training"], ["out"], name="drop")
    switches = {"ratio": np.array(0.5, np.float32), "training": np.array(True)}
    save(path, nodes_model([drop], constants=switches))
    with pytest.raises(ModelError, match=r"Dropout \(drop\) is in training mode"):
        read_onnx(path)
    save(path, nodes_model([drop], constants=switches | {"training": np.array(False)}))
    read_onnx(path)


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
def test_same_pads_of_a_transposed_convolution_are_written_out(
    tmp_path: Path, kernel: int, mode: str
) -> None:
    """The output is twice the input; SAME_UPPER cuts the odd pixel at the end."""
    weights = np.random.default_rng(kernel).normal(size=(2, 2, kernel, kernel))
    constants = {"kernel": weights.astype(np.float32)}

    def up(**more: object) -> onnx.ModelProto:
        transposed = helper.make_node(
            "ConvTranspose", ["raw", "kernel"], ["out"], strides=[2, 2], **more
        )
        return nodes_model([transposed], constants=constants)

    read = read_onnx(save(tmp_path / "m.onnx", up(auto_pad=mode)))
    found = outputs_of(read, noise())
    assert found.shape == (1, 2, 2 * SHAPE[0], 2 * SHAPE[1])
    whole = outputs_of(up(), noise())
    cut = max(0, kernel - 2)
    before = cut // 2 if mode == "SAME_UPPER" else cut - cut // 2
    lines, pixels = min(found.shape[2], whole.shape[2]), min(found.shape[3], whole.shape[3])
    wanted = whole[:, :, before : before + lines, before : before + pixels]
    np.testing.assert_allclose(found[:, :, :lines, :pixels], wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("sizes", "last"), [(("h", "w"), "both"), (SHAPE, "both"), (SHAPE, "output")]
)
def test_a_channels_last_model_gives_what_it_gives(
    tmp_path: Path, sizes: tuple[object, object], last: str
) -> None:
    """Of fixed and of any size; its channels become the second axis."""
    model = nodes_model([node("Transpose", perm=[0, 2, 3, 1])], channels=3)
    if last == "both":
        conv = model.graph.node[0]
        conv.input[0] = "first"
        model.graph.node.insert(0, node("Transpose", "image", "first", perm=[0, 3, 1, 2]))
        model.graph.input[0].CopyFrom(
            helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", *sizes, 3])
        )
    model.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", *sizes, 2])
    )
    loaded = load_onnx_model(save(tmp_path / "m.onnx", model))
    assert (loaded.input_sizes[0], loaded.output_sizes[0]) == (3, 2)
    image = noise(3)
    given = image.transpose(0, 2, 3, 1) if last == "both" else image
    wanted = outputs_of(model, np.ascontiguousarray(given)).transpose(0, 3, 1, 2)
    assert np.array_equal(outputs_of(loaded.proto, image), wanted)


def test_weights_beside_the_target_of_a_link_are_read(tmp_path: Path) -> None:
    """Where the model itself is a link into another folder."""
    path = with_weights_beside(tmp_path / "store")
    link = tmp_path / "m.onnx"
    link.symlink_to(path)
    (weights,) = read_onnx(link).graph.initializer
    assert numpy_helper.to_array(weights).any()


def test_an_input_without_a_shape_is_named(tmp_path: Path) -> None:
    """Nothing else in the file has it."""
    model = nodes_model([node("Identity")])
    model.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(ModelError, match="the shape of input 'image' is not written in the file"):
        read_onnx(save(tmp_path / "m.onnx", model))


@pytest.mark.parametrize("end", ["int", "float"])
def test_labels_after_an_argmax_are_refused(tmp_path: Path, end: str) -> None:
    """Also where they are numbers with a point; the sentence says where to cut the model."""
    nodes = [node("ArgMax", output="label", axis=1, keepdims=1)]
    kind = TensorProto.FLOAT if end == "float" else TensorProto.INT64
    nodes.append(node("Cast", "label", to=kind))
    model = nodes_model(nodes, outputs=1)
    model.graph.output[0].type.tensor_type.elem_type = kind
    with pytest.raises(
        ModelError, match=r"chosen by ArgMax \(label\); .* ends before ArgMax, with"
    ):
        load_onnx_model(save(tmp_path / "m.onnx", model))
