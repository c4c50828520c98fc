"""Read an ONNX file with all of its weights, in the form that the inspection graph needs."""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, external_data_helper, inliner, version_converter

from stripwatch.errors import ModelError
from stripwatch_engine.models.channels_last import channels_first
from stripwatch_engine.models.conv_transpose import write_pads
from stripwatch_engine.models.reference import opset_newest
from stripwatch_engine.models.training_mode import refuse_training_mode

OPSET_OLDEST = 11
OPSET_MIN = 13  # from here on ReduceSum and Softmax have their present form
OPSET_RAISED = 17  # what an older model is converted to
IR_OLDEST = 4  # from here on initializers need not be inputs, too
IR_NEWEST = 10  # older libraries read no newer version, and nothing newer is used here


def read_onnx(path: Path) -> onnx.ModelProto:
    """Read and check a model; weights are inside it, channels are first, functions are inlined.

    Raises:
        ModelError: the file is missing, damaged or too old, or the model is in training mode.
    """
    model = _read(path)
    _name_nodes(model)
    refuse_training_mode(path, model)
    opset = opset_of(model)
    if opset < OPSET_OLDEST:
        raise ModelError(f"{path} has opset {opset}; export it with opset {OPSET_OLDEST} or newer")
    if model.functions:
        model = inliner.inline_local_functions(model)
    if opset < OPSET_MIN:
        model = convert_opset(path, model, OPSET_RAISED)
    elif opset > (newest := opset_newest()):
        model = convert_opset(path, model, newest)
    _name_nodes(model)
    write_pads(model)
    channels_first(model)
    return model


def opset_of(model: onnx.ModelProto) -> int:
    """Version of the standard operators that a model uses."""
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    return max(versions, default=0)


def convert_opset(path: Path, model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """Convert a model to another opset.

    Raises:
        ModelError: onnx cannot convert it.
    """
    try:
        return version_converter.convert_version(model, opset)
    except (RuntimeError, onnx.checker.ValidationError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"{path} has opset {opset_of(model)} and cannot be converted to {opset} ({reason}); "
            f"export it with opset {opset}"
        ) from error


def _read(path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(path, format="protobuf", load_external_data=False)
        for tensor in model.graph.initializer:
            if external_data_helper.uses_external_data(tensor):
                _load_weights(path, tensor)
        external_data_helper.load_external_data_for_model(model, str(path.parent))  # of attributes
        _drop_initializer_inputs(model)
        model.ir_version = min(max(model.ir_version, IR_OLDEST), IR_NEWEST)
        del model.graph.value_info[:]  # they may be incomplete, which the checker refuses
        _write_output_shapes(path, model)
        onnx.checker.check_model(model)
    except FileNotFoundError:
        raise ModelError(f"{path} does not exist; name the ONNX file to build from") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    except (
        DecodeError,
        ValueError,
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
    ) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"{path} is not a valid ONNX file ({reason}); export the model again"
        ) from error
    return model


def _load_weights(path: Path, tensor: onnx.TensorProto) -> None:
    """Read the weights of a tensor from the file beside the model, also behind a symbolic link.

    onnx itself follows no link, but caches and version control of models make them.
    """
    entries = {entry.key: entry.value for entry in tensor.external_data}
    name = entries.get("location", "")
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ModelError(
            f"{path} keeps weights in {name}, outside its own folder; export it with the weights "
            "beside it"
        )
    file = path.parent / name
    if not file.is_file():  # the model itself may be a link
        file = path.resolve().parent / name
    if not file.is_file():
        file = path.parent / name
        linked = f", a link to {file.readlink()}, which does not exist" if file.is_symlink() else ""
        raise ModelError(
            f"{path} keeps weights in {name}{linked or ', which is not beside it'}; copy it there "
            "too"
        )
    size = file.stat().st_size
    start = int(entries.get("offset", 0))
    length = int(entries.get("length", max(0, size - start)))
    if start + length > size:
        raise ModelError(f"{path} keeps weights in {name}, which is cut short; copy it again")
    with file.open("rb") as stream:
        stream.seek(start)
        tensor.raw_data = stream.read(length)
    del tensor.external_data[:]
    tensor.data_location = TensorProto.DEFAULT


def _drop_initializer_inputs(model: onnx.ModelProto) -> None:
    """Remove weights from the inputs, where models of IR version 3 list them."""
    constants = {entry.name for entry in model.graph.initializer}
    inputs = [entry for entry in model.graph.input if entry.name not in constants]
    if len(inputs) < len(model.graph.input):
        del model.graph.input[:]
        model.graph.input.extend(inputs)


def _write_output_shapes(path: Path, model: onnx.ModelProto) -> None:
    """Infer the shapes of outputs that have none in the file; libraries do not demand one."""
    for image in model.graph.input:
        if not image.type.tensor_type.HasField("shape"):
            raise ModelError(
                f"{path}: the shape of input {image.name!r} is not written in the file; export the "
                "model with the input's shape, [n, channels, height, width]"
            )
    without = [
        output for output in model.graph.output if not output.type.tensor_type.HasField("shape")
    ]
    if not without:
        return
    inferred = onnx.shape_inference.infer_shapes(model)
    found = {value.name: value.type.tensor_type for value in inferred.graph.output}
    for output in without:
        if not found[output.name].HasField("shape"):
            raise ModelError(
                f"{path}: the shape of output {output.name!r} is not written in the file and "
                "cannot be inferred; export the model with the output's shape"
            )
        output.type.tensor_type.CopyFrom(found[output.name])


def _name_nodes(model: onnx.ModelProto) -> None:
    """Give every node a unique name: messages and float16's list of nodes refer to names."""
    seen: set[str] = set()
    for number, node in enumerate(model.graph.node):
        if not node.name or node.name in seen:
            node.name = f"{node.op_type}_{number}"
        seen.add(node.name)
