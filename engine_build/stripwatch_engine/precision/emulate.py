"""Emulate float16 arithmetic on a CPU.

No CPU library keeps float16 between nodes: OpenVINO and ONNX Runtime compute such graphs in float32
and drop the rounding, so that a comparison with them always succeeds (ADR 6). `emulate_float16`
therefore makes the rounding explicit: every node computes in float32, as tensor cores accumulate,
and its result is rounded to float16.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def emulate_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Make a float32 model that computes what a converted model computes in float16."""
    types = tensor_types(model)
    graph = onnx.GraphProto()
    graph.CopyFrom(model.graph)
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(_as_float32(entry) for entry in model.graph.initializer)
    for node in model.graph.node:
        graph.node.extend(_emulated(node, types))
    emulated = onnx.ModelProto()
    emulated.CopyFrom(model)
    emulated.graph.CopyFrom(graph)
    return emulated


def tensor_types(model: onnx.ModelProto) -> dict[str, int]:
    """Data type of every tensor, by name."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    values = [*graph.value_info, *graph.input, *graph.output]
    return {value.name: value.type.tensor_type.elem_type for value in values}


def _emulated(node: onnx.NodeProto, types: dict[str, int]) -> list[onnx.NodeProto]:
    """The node in float32, and a rounding of each output that was float16."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    for attribute in copy.attribute:
        if attribute.HasField("t"):
            attribute.t.CopyFrom(_as_float32(attribute.t))
        if attribute.name == "to" and attribute.i == TensorProto.FLOAT16:
            attribute.i = TensorProto.FLOAT
    nodes = [copy]
    for index, name in enumerate(node.output):
        if types.get(name) == TensorProto.FLOAT16:
            exact, rounded = f"{name}/exact", f"{name}/rounded"
            copy.output[index] = exact
            nodes += [
                helper.make_node("Cast", [exact], [rounded], to=TensorProto.FLOAT16),
                helper.make_node("Cast", [rounded], [name], to=TensorProto.FLOAT),
            ]
    return nodes


def _as_float32(tensor: onnx.TensorProto) -> onnx.TensorProto:
    if tensor.data_type != TensorProto.FLOAT16:
        return tensor
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)
