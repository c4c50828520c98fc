"""Models whose images are [n, height, width, channels], as Keras and TensorFlow export them."""

from __future__ import annotations

import onnx
from onnx import helper

from stripwatch.wire.names import CLASSES_MAX

IMAGE_CHANNELS = (1, 3)
TO_FIRST, TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


def channels_first(model: onnx.ModelProto) -> None:
    """Put a Transpose before and behind a channels-last model, so that its channels are first."""
    graph = model.graph
    if len(graph.input) != 1 or len(graph.output) != 1:
        return  # is refused later
    image, output = graph.input[0], graph.output[0]
    is_last = _input_is_last(_sizes(image))
    is_output_last = _output_is_last(_sizes(output), is_last)
    if is_last:
        inner, outer = image.name, f"{image.name}/channels_first"
        graph.node.insert(0, _transpose(outer, inner, TO_LAST))
        _permute(image, outer, TO_FIRST)
    if is_output_last:
        inner, outer = output.name, f"{output.name}/channels_first"
        graph.node.append(_transpose(inner, outer, TO_FIRST))
        _permute(output, outer, TO_FIRST)


def _input_is_last(sizes: list[int]) -> bool:
    if len(sizes) != 4:
        return False
    return sizes[3] in IMAGE_CHANNELS and sizes[1] not in IMAGE_CHANNELS


def _output_is_last(sizes: list[int], input_is_last: bool) -> bool:
    """Whether the classes are the last axis; where sizes do not decide, as in the input."""
    if len(sizes) != 4:
        return False
    could_be_first = sizes[1] <= CLASSES_MAX + 1
    could_be_last = 1 <= sizes[3] <= CLASSES_MAX + 1
    return could_be_last and (input_is_last or not could_be_first)


def _sizes(value: onnx.ValueInfoProto) -> list[int]:
    return [max(size.dim_value, 0) for size in value.type.tensor_type.shape.dim]


def _transpose(source: str, result: str, order: tuple[int, ...]) -> onnx.NodeProto:
    return helper.make_node("Transpose", [source], [result], name=result, perm=order)


def _permute(value: onnx.ValueInfoProto, name: str, order: tuple[int, ...]) -> None:
    sizes = list(value.type.tensor_type.shape.dim)
    copies = [
        onnx.TensorShapeProto.Dimension.FromString(side.SerializeToString()) for side in sizes
    ]
    del value.type.tensor_type.shape.dim[:]
    value.type.tensor_type.shape.dim.extend(copies[axis] for axis in order)
    value.name = name
