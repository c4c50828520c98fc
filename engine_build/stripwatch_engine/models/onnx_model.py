"""Read a trained model from an ONNX file and prepare it for the inspection graph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, external_data_helper, inliner, version_converter

from stripwatch.errors import ModelError
from stripwatch_engine.models.reference import opset_newest

OPSET_OLDEST = 11
OPSET_MIN = 13  # from here on ReduceSum and Softmax have their present form
OPSET_RAISED = 17  # what an older model is converted to
IR_NEWEST = 10  # older libraries read no newer version, and nothing newer is used here
SHAPES = {2: "[n, k]", 4: "[n, k, height, width]"}  # by rank


@dataclass(frozen=True)
class OnnxModel:
    """A model: float32 [n, channels, h, w] to float32 [n, k, h', w'], or [n, k] for a classifier.

    Every node has a unique name and the batch size is free.
    """

    proto: onnx.ModelProto
    input_name: str
    output_name: str
    input_sizes: tuple[int, ...]  # after the batch: channels, height, width; 0 = any
    output_sizes: tuple[int, ...]  # after the batch; 0 = any
    fixed_batch: int = 0  # the batch size that it was exported with; 0 = any

    @property
    def opset(self) -> int:
        """Version of the standard operators."""
        return opset_of(self.proto)


def load_onnx_model(path: Path) -> OnnxModel:
    """Read an ONNX file.

    Raises:
        ModelError: the file is missing, damaged or too old, or the model does not have exactly one
            float32 image as input and one float32 output.
    """
    model = _read(path)
    opset = opset_of(model)
    if opset < OPSET_OLDEST:
        raise ModelError(f"{path} has opset {opset}; export it with opset {OPSET_OLDEST} or newer")
    model.ir_version = min(model.ir_version, IR_NEWEST)
    if model.functions:
        model = inliner.inline_local_functions(model)
    if opset < OPSET_MIN:
        model = convert_opset(path, model, OPSET_RAISED)
    elif opset > (newest := opset_newest()):
        model = convert_opset(path, model, newest)
    image, output = _input_and_output(path, model)
    _name_nodes(model)
    return OnnxModel(
        proto=model,
        input_name=image.name,
        output_name=output.name,
        input_sizes=_sizes(path, "input", image, (4,)),
        output_sizes=_sizes(path, "output", output, (2, 4)),
        fixed_batch=_free_batch(model, image.name),
    )


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
    """Read and check a model with all of its weights."""
    try:
        model = onnx.load(path, format="protobuf", load_external_data=False)
        for name in sorted(_weight_files(model)):
            if not (path.parent / name).is_file():
                raise ModelError(
                    f"{path} keeps weights in {name}, which is not beside it; copy it there too"
                )
        external_data_helper.load_external_data_for_model(model, str(path.parent))
        onnx.checker.check_model(model)
    except FileNotFoundError:
        raise ModelError(f"{path} does not exist; name the ONNX file to build from") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    except (DecodeError, ValueError, onnx.checker.ValidationError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"{path} is not a valid ONNX file ({reason}); export the model again"
        ) from error
    return model


def _weight_files(model: onnx.ModelProto) -> set[str]:
    """Names of the files beside the model that hold its weights."""
    return {
        entry.value
        for tensor in model.graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }


def _input_and_output(
    path: Path, model: onnx.ModelProto
) -> tuple[onnx.ValueInfoProto, onnx.ValueInfoProto]:
    """The only input and the only output."""
    constants = {entry.name for entry in model.graph.initializer}
    inputs = [entry for entry in model.graph.input if entry.name not in constants]
    outputs = model.graph.output
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelError(
            f"{path}: the model has {len(inputs)} inputs and {len(outputs)} outputs; "
            "engine-build takes models with one of each"
        )
    return inputs[0], outputs[0]


def _sizes(
    path: Path, what: str, value: onnx.ValueInfoProto, ranks: tuple[int, ...]
) -> tuple[int, ...]:
    """Sizes after the batch of a float32 tensor of one of these ranks; 0 = any."""
    tensor = value.type.tensor_type
    if tensor.elem_type != TensorProto.FLOAT:
        kind = TensorProto.DataType.Name(tensor.elem_type)
        raise ModelError(
            f"{path}: the model's {what} {value.name!r} is {kind}; export the model with float32 "
            "input and output"
        )
    sizes = [max(size.dim_value, 0) for size in tensor.shape.dim]
    if len(sizes) not in ranks:
        raise ModelError(
            f"{path}: the model's {what} {value.name!r} has shape {sizes} (0 = any); expected "
            f"{' or '.join(SHAPES[rank] for rank in ranks)}"
        )
    return tuple(sizes[1:])


def _name_nodes(model: onnx.ModelProto) -> None:
    """Give every node a unique name: messages and float16's list of nodes refer to names."""
    seen: set[str] = set()
    for number, node in enumerate(model.graph.node):
        if not node.name or node.name in seen:
            node.name = f"{node.op_type}_{number}"
        seen.add(node.name)


def _free_batch(model: onnx.ModelProto, input_name: str) -> int:
    """Make the batch size free; return the size that it was fixed to, 0 where it was free."""
    fixed = 0
    for value in model.graph.input:
        if value.name == input_name:
            size = value.type.tensor_type.shape.dim[0]
            fixed = max(size.dim_value, 0)
            size.dim_param = "n"
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "n"
    del model.graph.value_info[:]  # they repeat the old size
    return fixed
