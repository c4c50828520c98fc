"""A trained model with one image as input and one output, from an ONNX file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import TensorProto

from stripwatch.errors import ModelError
from stripwatch_engine.models.onnx_file import opset_of, read_onnx

MOVING = ("Cast", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
LABEL_TYPES = (
    TensorProto.INT64,
    TensorProto.INT32,
    TensorProto.INT8,
    TensorProto.UINT8,
    TensorProto.BOOL,
)
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
    model = read_onnx(path)
    image, output = _input_and_output(path, model)
    _refuse_labels(path, model, output)
    return OnnxModel(
        proto=model,
        input_name=image.name,
        output_name=output.name,
        input_sizes=_sizes(path, "input", image, (4,)),
        output_sizes=_sizes(path, "output", output, (2, 4)),
        fixed_batch=_free_batch(model, image.name),
    )


def _input_and_output(
    path: Path, model: onnx.ModelProto
) -> tuple[onnx.ValueInfoProto, onnx.ValueInfoProto]:
    """The only input and the only output."""
    for what, values in (("inputs", model.graph.input), ("outputs", model.graph.output)):
        if len(values) != 1:
            names = ", ".join(entry.name for entry in values) or "none"
            first = values[0].name if values else "?"
            raise ModelError(
                f"{path}: the model has {len(values)} {what} ({names}), engine-build takes one; "
                f"export the model with only the one to keep, such as {first} "
                "(onnx.utils.extract_model cuts a model down to the inputs and outputs that you "
                "name)"
            )
    return model.graph.input[0], model.graph.output[0]


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
            f"{path}: the model's {what} {value.name!r} has shape {sizes} (0 = any); export it "
            f"with {' or '.join(SHAPES[rank] for rank in ranks)}"
        )
    return tuple(sizes[1:])


def _refuse_labels(path: Path, model: onnx.ModelProto, output: onnx.ValueInfoProto) -> None:
    """Refuse an output that holds the label of each pixel and not the scores of all classes.

    Raises:
        ModelError: it is made of whole numbers, or an ArgMax leads to it.
    """
    producers = {name: node for node in model.graph.node for name in node.output}
    node = producers.get(output.name)
    while node is not None and node.op_type in MOVING and node.input:
        node = producers.get(node.input[0])
    chosen = node is not None and node.op_type in ("ArgMax", "TopK")
    kind = output.type.tensor_type.elem_type
    if not chosen and kind not in LABEL_TYPES:
        return
    by = f", chosen by {node.op_type} ({node.name})" if node is not None and chosen else ""
    before = f"before {node.op_type}" if node is not None and chosen else "in float32"
    raise ModelError(
        f"{path}: the model's output {output.name!r} is {TensorProto.DataType.Name(kind)}: the "
        f"label of each pixel{by}; export the model so that it ends {before}, with the scores "
        "(logits) or probabilities of all classes as output"
    )


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
