"""Find the nodes of a model that must stay in float32, by comparison on real images (ADR 6).

The float32 model and its float16 conversion run on the same images, and every tensor is compared.
A node stays in float32 where its values come near float16's limit, or where it makes a large error
out of a small one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from stripwatch.errors import ModelError
from stripwatch_engine.models.reference import Session
from stripwatch_engine.precision.emulate import emulate_float16, tensor_types
from stripwatch_engine.precision.float16 import convert_to_float16

# A quarter of float16's largest value: other frames may be brighter than those compared here.
VALUE_LIMIT = 65504.0 / 4
ROUNDING = 2.0**-11  # relative error of one rounding to float16
# Errors are relative to the tensor's largest value.
ERROR_MAX = 2.0**-6  # a node with a smaller error is never kept
OUTPUT_ERROR_MAX = 2.0**-8  # while the model's output is better, errors inside do not count
GROWTH_MAX = 8.0  # of the error, from a node's inputs to its output
# Tensors whose largest value is smaller are not compared: float16's smallest step, 2**-24, is a
# larger error than ERROR_MAX there.
NOISE_FLOOR = 2.0**-24 / ERROR_MAX
ROUNDS_MAX = 4
GROUP_BYTES = 1 << 30  # of tensors compared in one run: a large model's do not fit the memory
UNKNOWN_BYTES = 16 << 20  # assumed for a tensor whose size is not known in advance
ImageBatch = NDArray[np.float32]  # [n, channels, height, width]


def nodes_to_keep_float32(model: onnx.ModelProto, input_name: str, images: ImageBatch) -> set[str]:
    """Names of the nodes that must stay in float32.

    Each round keeps the nodes that the last conversion showed to be dangerous. Keeping a node can
    only reduce the errors after it, so a few rounds are enough. Where a kept node still makes a
    large error out of small ones, as a - b of two large numbers does, the digits are lost before
    it: then the producers of its inputs are kept, too.

    Args:
        model: float32, with named nodes.
        input_name: of the model.
        images: to compare on, one at a time.

    Raises:
        ModelError: the model has control flow, which cannot be converted.
    """
    for node in model.graph.node:
        if any(attribute.HasField("g") for attribute in node.attribute):
            raise ModelError(
                f"the model has control flow ({node.op_type}), which cannot be converted to "
                "float16; use --precision fp32"
            )
    kept: set[str] = set()
    for _ in range(ROUNDS_MAX):
        emulated = emulate_float16(convert_to_float16(model, kept))
        too_large, error_growing = _dangerous_nodes(model, emulated, input_name, images)
        dangerous = too_large | error_growing | _producers(model.graph, error_growing & kept, kept)
        if dangerous <= kept:
            break
        kept |= dangerous
    return kept


def _producers(graph: onnx.GraphProto, starts: set[str], kept: set[str]) -> set[str]:
    """Names of the nodes from which `starts` take values, directly or through kept nodes."""
    producers = {name: node.name for node in graph.node for name in node.output}
    reached = set(starts)
    for node in reversed(graph.node):  # nodes are sorted: producers come first
        if node.name in reached & kept:
            reached.update(producers[name] for name in node.input if name in producers)
    return reached - kept


def _dangerous_nodes(
    model: onnx.ModelProto, emulated: onnx.ModelProto, input_name: str, images: ImageBatch
) -> tuple[set[str], set[str]]:
    """Compare the two models; the result is that of `_classify`.

    While the output is good, no node counts as error-growing: errors of values that later vanish
    do no harm.
    """
    types = tensor_types(model)
    floats = [
        name
        for node in model.graph.node
        for name in node.output
        if types.get(name) == TensorProto.FLOAT
    ]
    largest: dict[str, float] = {}
    errors: dict[str, float] = {}
    for names in _groups(model, floats):
        exact, rounded = (Session(_with_outputs(entry, names)) for entry in (model, emulated))
        for image in images:
            inputs = {input_name: image[None]}
            expected, actual = exact.run(inputs), rounded.run(inputs)
            for name in names:
                value, error = _largest_and_error(expected[name], actual[name])
                largest[name] = max(largest.get(name, 0), value)
                errors[name] = max(errors.get(name, 0), error)
    too_large, error_growing = _classify(model.graph, largest, errors)
    output_is_bad = errors[model.graph.output[0].name] > OUTPUT_ERROR_MAX
    return too_large, error_growing if output_is_bad else set()


def _groups(model: onnx.ModelProto, names: Sequence[str]) -> list[list[str]]:
    """Divide the tensors into groups of at most about GROUP_BYTES each."""
    sizes = {}
    for value in onnx.shape_inference.infer_shapes(model).graph.value_info:
        # The batch is 1 here; any other unknown dimension makes the size unknown.
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


def _classify(
    graph: onnx.GraphProto, largest: dict[str, float], errors: dict[str, float]
) -> tuple[set[str], set[str]]:
    """Names of the nodes too large for float16, and of those that make a small error large.

    Args:
        graph: the float32 model's.
        largest: the largest absolute value of each tensor.
        errors: the largest relative error of each tensor.
    """
    too_large, error_growing = set(), set()
    # Rounding always spoils tensors that are too large or all but zero: their errors say nothing
    # about the node.
    comparable = {
        name: error for name, error in errors.items() if NOISE_FLOOR <= largest[name] <= VALUE_LIMIT
    }
    for node in graph.node:
        before = max((comparable[name] for name in node.input if name in comparable), default=0.0)
        after = max((comparable[name] for name in node.output if name in comparable), default=0.0)
        # A NaN or infinity counts as an infinite error.
        if after > ERROR_MAX and after > GROWTH_MAX * max(before, ROUNDING):
            error_growing.add(node.name)
        if any(largest.get(name, 0) > VALUE_LIMIT for name in (*node.input, *node.output)):
            too_large.add(node.name)
    return too_large, error_growing


def _largest_and_error(
    expected: NDArray[np.float32], actual: NDArray[np.float32]
) -> tuple[float, float]:
    """The largest absolute value, and the largest error relative to it."""
    largest = float(np.abs(expected).max(initial=0))
    if not np.isfinite(actual).all():
        return largest, float("inf")
    return largest, float(np.abs(actual - expected).max(initial=0)) / (largest or 1.0)


def _with_outputs(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """Copy of a model whose outputs are these float32 tensors."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names
    )
    return copy
