"""float16 arithmetic on a CPU.

No CPU library keeps float16 between nodes: OpenVINO and ONNX Runtime compute such graphs in float32
and drop the rounding, so that a comparison would always succeed. `emulate_half` therefore writes
the rounding out: every node computes in float32 (as tensor cores accumulate) and its result is
rounded to float16.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def emulate_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """A float32 model that computes what a converted model computes in float16."""
    kinds = tensor_kinds(model)
    graph = onnx.GraphProto()
    graph.CopyFrom(model.graph)
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(_as_float(entry) for entry in model.graph.initializer)
    for node in model.graph.node:
        graph.node.extend(_emulated(node, kinds))
    emulated = onnx.ModelProto()
    emulated.CopyFrom(model)
    emulated.graph.CopyFrom(graph)
    return emulated


def _emulated(node: onnx.NodeProto, kinds: dict[str, int]) -> list[onnx.NodeProto]:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    for attribute in copy.attribute:
        if attribute.HasField("t"):
            attribute.t.CopyFrom(_as_float(attribute.t))
        if attribute.name == "to" and attribute.i == TensorProto.FLOAT16:
            attribute.i = TensorProto.FLOAT
    nodes = [copy]
    for index, name in enumerate(node.output):
        if kinds.get(name) == TensorProto.FLOAT16:
            exact, rounded = f"{name}/exact", f"{name}/rounded"
            copy.output[index] = exact
            nodes += [
                helper.make_node("Cast", [exact], [rounded], to=TensorProto.FLOAT16),
                helper.make_node("Cast", [rounded], [name], to=TensorProto.FLOAT),
            ]
    return nodes


def _as_float(tensor: onnx.TensorProto) -> onnx.TensorProto:
    if tensor.data_type != TensorProto.FLOAT16:
        return tensor
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)


def tensor_kinds(model: onnx.ModelProto) -> dict[str, int]:
    """The type of every tensor."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    values = [*graph.value_info, *graph.input, *graph.output]
    return {value.name: value.type.tensor_type.elem_type for value in values}
