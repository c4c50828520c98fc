"""Convert a float32 model to float16, except for the nodes that must stay in float32.

ONNX Runtime's converter does the work and takes the names of the nodes to leave alone
(`float16_search` finds them, ADR 6). The steps around it make its result correct near those nodes.
"""

from __future__ import annotations

import graphlib

import onnx
from onnx import TensorProto


def convert_to_float16(model: onnx.ModelProto, kept: set[str]) -> onnx.ModelProto:
    """Convert all nodes except the kept ones; input and output stay float32.

    Args:
        model: float32, with named nodes; it is not changed.
        kept: names of the nodes that stay in float32.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    _copy_shared_weights(copy.graph, kept)
    half: onnx.ModelProto = convert_float_to_float16(
        copy, keep_io_types=True, op_block_list=[], node_block_list=sorted(kept)
    )
    _drop_duplicates(half.graph)
    _bypass_casts_between_kept(half.graph)
    _sort_nodes(half.graph)
    return half


def _copy_shared_weights(graph: onnx.GraphProto, kept: set[str]) -> None:
    """Copy the weights that kept nodes share with others: the converter converts those in place."""
    weights = {entry.name: entry for entry in graph.initializer}
    shared = {
        name for node in graph.node if node.name not in kept for name in node.input
    } & weights.keys()
    copied = set()
    for node in graph.node:
        for index, name in enumerate(node.input):
            if node.name in kept and name in shared:
                node.input[index] = f"{name}/kept"
                copied.add(name)
    for name in sorted(copied):
        graph.initializer.add().CopyFrom(weights[name])
        graph.initializer[-1].name = f"{name}/kept"


def _drop_duplicates(graph: onnx.GraphProto) -> None:
    """Drop repeated casts: the converter adds one, under the same name, for each kept consumer."""
    for entries in (graph.node, graph.value_info):
        unique = {(*getattr(entry, "output", ()), entry.name): entry for entry in entries}
        copies = [type(entry).FromString(entry.SerializeToString()) for entry in unique.values()]
        del entries[:]
        entries.extend(copies)


def _bypass_casts_between_kept(graph: onnx.GraphProto) -> None:
    """Connect kept nodes directly, without a cast to float16 and back.

    The value between them may be beyond float16's range: that can be why they are kept.
    """
    producers = {name: node for node in graph.node for name in node.output}

    def is_cast(node: onnx.NodeProto | None, data_type: int) -> bool:
        return (
            node is not None
            and node.op_type == "Cast"
            and any(entry.name == "to" and entry.i == data_type for entry in node.attribute)
        )

    direct = {}
    for node in graph.node:
        producer = producers.get(node.input[0]) if node.input else None
        if (
            is_cast(node, TensorProto.FLOAT)
            and producer is not None
            and is_cast(producer, TensorProto.FLOAT16)
        ):
            direct[node.output[0]] = producer.input[0]
    outputs = {value.name for value in graph.output}
    inputs = {value.name for value in graph.input}
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name in direct and direct[name] not in inputs:
                node.input[index] = direct[name]
        if is_cast(node, TensorProto.FLOAT) and node.output[0] in outputs & direct.keys():
            node.input[0] = direct[node.output[0]]


def _sort_nodes(graph: onnx.GraphProto) -> None:
    """Put every node after the producers of its inputs, as ONNX demands."""
    producers = {name: index for index, node in enumerate(graph.node) for name in node.output}
    order = graphlib.TopologicalSorter(
        {
            index: [producers[name] for name in node.input if name in producers]
            for index, node in enumerate(graph.node)
        }
    ).static_order()
    nodes = []
    for index in order:
        node = onnx.NodeProto()
        node.CopyFrom(graph.node[index])
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
