"""float16: convert a model, and find by comparison what must stay in float32.

The converter is ONNX Runtime's. It converts everything; which nodes may not be is found here by
running both models on real images and comparing every tensor: a node stays in float32 where its
values come near float16's limit or where it makes a large error out of a small one.
"""

from __future__ import annotations

import graphlib
import math
from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from stripwatch.errors import ModelError
from stripwatch_engine.models.reference import Session
from stripwatch_engine.precision.emulate import emulate_half, tensor_kinds

MOST = 65504.0 / 4  # float16's largest; other frames may be brighter than those seen here
ROUNDING = 2.0**-11  # relative error of one rounding to float16
ERROR_MAX = 2.0**-6  # relative to the tensor's largest value: below, nothing is dangerous
LEAST = 2.0**-24 / ERROR_MAX  # of a tensor's largest value: float16's smallest step is 2**-24
ANSWER_ERROR_MAX = 2.0**-8  # of the model's output, likewise
GROWTH_MAX = 8.0  # of the error from a node's inputs to its output
ROUNDS_MAX = 4
GROUP_BYTES = 1 << 30  # of tensors compared in one run; all of a large model would fill the memory
UNKNOWN_BYTES = 16 << 20  # of a tensor whose size is not known before
Images = NDArray[np.float32]  # [n, channels, height, width]


def find_dangerous(model: onnx.ModelProto, source: str, images: Images) -> set[str]:
    """Names of the nodes that must stay in float32.

    Each round keeps what the last conversion showed; keeping a node can only lessen the errors
    behind it, so a few rounds are enough. Where a node that is kept still makes a large error out
    of small ones, as a - b of two large numbers does, the digits were lost before it: what makes
    its inputs is kept too.

    Args:
        model: float32, with named nodes.
        source: name of its input.
        images: what it is compared on, one at a time.

    Raises:
        ModelError: it has control flow, which cannot be converted.
    """
    for node in model.graph.node:
        if any(attribute.HasField("g") for attribute in node.attribute):
            raise ModelError(
                f"the model has control flow ({node.op_type}), which cannot be converted to "
                "float16; use --precision fp32"
            )
    kept: set[str] = set()
    for _ in range(ROUNDS_MAX):
        emulated = emulate_half(convert(model, kept))
        too_large, grown = _dangerous(model, emulated, source, images)
        dangerous = too_large | grown | _before(model.graph, grown & kept, kept)
        if dangerous <= kept:
            break
        kept |= dangerous
    return kept


def convert(model: onnx.ModelProto, kept: set[str]) -> onnx.ModelProto:
    """Convert all nodes of a float32 model but those kept; its ends are float32 still."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    _own_weights(copy.graph, kept)
    half: onnx.ModelProto = convert_float_to_float16(
        copy, keep_io_types=True, op_block_list=[], node_block_list=sorted(kept)
    )
    _drop_repeated(half.graph)
    _join_kept(half.graph)
    _sort(half.graph)
    return half


def _own_weights(graph: onnx.GraphProto, kept: set[str]) -> None:
    """Give kept nodes weights of their own: the converter would halve those that others use."""
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


def _drop_repeated(graph: onnx.GraphProto) -> None:
    """The converter casts a tensor anew, under the same name, for each kept node that takes it."""
    for entries in (graph.node, graph.value_info):
        unique = {(*getattr(entry, "output", ()), entry.name): entry for entry in entries}
        copies = [type(entry).FromString(entry.SerializeToString()) for entry in unique.values()]
        del entries[:]
        entries.extend(copies)


def _join_kept(graph: onnx.GraphProto) -> None:
    """Between two nodes that stay in float32 nothing is rounded: the value might not fit."""
    makers = {name: node for node in graph.node for name in node.output}

    def casts(node: onnx.NodeProto | None, kind: int) -> bool:
        return (
            node is not None
            and node.op_type == "Cast"
            and any(entry.name == "to" and entry.i == kind for entry in node.attribute)
        )

    straight = {}
    for node in graph.node:
        before = makers.get(node.input[0]) if node.input else None
        if (
            casts(node, TensorProto.FLOAT)
            and before is not None
            and casts(before, TensorProto.FLOAT16)
        ):
            straight[node.output[0]] = before.input[0]
    outputs = {value.name for value in graph.output}
    sources = {value.name for value in graph.input}
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name in straight and straight[name] not in sources:
                node.input[index] = straight[name]
        if casts(node, TensorProto.FLOAT) and node.output[0] in outputs & straight.keys():
            node.input[0] = straight[node.output[0]]


def _sort(graph: onnx.GraphProto) -> None:
    """Put every node after those whose results it takes."""
    makers = {name: index for index, node in enumerate(graph.node) for name in node.output}
    order = graphlib.TopologicalSorter(
        {
            index: [makers[name] for name in node.input if name in makers]
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


def _before(graph: onnx.GraphProto, starts: set[str], kept: set[str]) -> set[str]:
    """Names of the nodes from which, through kept ones only, some of `starts` take values."""
    makers = {name: node.name for node in graph.node for name in node.output}
    reached = set(starts)
    for node in reversed(graph.node):  # a node stands behind those whose results it takes
        if node.name in reached & kept:
            reached.update(makers[name] for name in node.input if name in makers)
    return reached - kept


def _dangerous(
    model: onnx.ModelProto, emulated: onnx.ModelProto, source: str, images: Images
) -> tuple[set[str], set[str]]:
    """As `_judged`; errors inside do not count while the answer is good: what vanishes may err."""
    kinds = tensor_kinds(model)
    floats = [
        name
        for node in model.graph.node
        for name in node.output
        if kinds.get(name) == TensorProto.FLOAT
    ]
    largest: dict[str, float] = {}
    errors: dict[str, float] = {}
    for names in _groups(model, floats):
        exact, rounded = (Session(_showing(entry, names)) for entry in (model, emulated))
        for image in images:
            inputs = {source: image[None]}
            wanted, found = exact.run(inputs), rounded.run(inputs)
            for name in names:
                size, error = _error(wanted[name], found[name])
                largest[name] = max(largest.get(name, 0), size)
                errors[name] = max(errors.get(name, 0), error)
    too_large, grown = _judged(model.graph, largest, errors)
    return too_large, grown if errors[model.graph.output[0].name] > ANSWER_ERROR_MAX else set()


def _groups(model: onnx.ModelProto, names: Sequence[str]) -> list[list[str]]:
    """The tensors in groups that fit the memory."""
    sizes = {}
    for value in onnx.shape_inference.infer_shapes(model).graph.value_info:
        # The batch is 1 here; another size that is not known makes the tensor's unknown.
        shape = [side.dim_value for side in value.type.tensor_type.shape.dim[1:]]
        sizes[value.name] = 4 * math.prod(shape) or UNKNOWN_BYTES
    groups: list[list[str]] = [[]]
    filled = 0
    for name in names:
        size = sizes.get(name, UNKNOWN_BYTES)
        if groups[-1] and filled + size > GROUP_BYTES:
            groups.append([])
            filled = 0
        groups[-1].append(name)
        filled += size
    return groups


def _judged(
    graph: onnx.GraphProto, largest: dict[str, float], errors: dict[str, float]
) -> tuple[set[str], set[str]]:
    """Nodes too large for float16, and those that make a large error out of a small one."""
    too_large, grown = set(), set()
    # Rounding spoils what is too large, and dead layers, in any case: only other errors tell.
    judged = {name: error for name, error in errors.items() if LEAST <= largest[name] <= MOST}
    for node in graph.node:
        before = max((judged[name] for name in node.input if name in judged), default=0.0)
        after = max((judged[name] for name in node.output if name in judged), default=0.0)
        # A NaN or infinity compares as an infinite error.
        if after > ERROR_MAX and after > GROWTH_MAX * max(before, ROUNDING):
            grown.add(node.name)
        if any(largest.get(name, 0) > MOST for name in (*node.input, *node.output)):
            too_large.add(node.name)
    return too_large, grown


def _error(wanted: NDArray[np.float32], found: NDArray[np.float32]) -> tuple[float, float]:
    """The largest value, and the largest error in relation to it."""
    size = float(np.abs(wanted).max(initial=0))
    if not np.isfinite(found).all():
        return size, float("inf")
    return size, float(np.abs(found - wanted).max(initial=0)) / (size or 1.0)


def _showing(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """A model whose outputs are these tensors, float32."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names
    )
    return copy
