"""The end of the inspection graph: probabilities to mask, area, peak and prob.

Enlarging by a whole factor k is one convolution that computes the k * k output pixels over every
pixel of the model ("phases"). Thresholds, sums and maxima work on the phases, and only the finished
planes are interleaved. On a CPU this takes half the time of a float resize, and it is the same
arithmetic: bilinear, pixel centres at halves (ADR 4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from stripwatch_engine.graph.nodes import NodeList
from stripwatch_engine.models.model_card import Activation

FACTOR_MAX = 4  # the convolution's work grows with its square; above, Resize is as fast


def add_probability(
    nodes: NodeList, output: str, activation: Activation, first: int, count: int, tag: str
) -> str:
    """Convert the output of a model to probabilities of `count` channels from `first` on.

    Args:
        nodes: where to add it.
        output: float32 [n, channels, ...].
        activation: of the model's card.
        first: index of the first channel; 1 skips a background channel.
        count: number of channels.
        tag: name of the result.
    """
    match activation:
        case "sigmoid":
            output = nodes.add("Sigmoid", [output], f"{tag}/active")
        case "softmax":
            output = nodes.add("Softmax", [output], f"{tag}/active", axis=1)
        case "none":
            # A model may leave the range of probabilities a little; uint8 must not wrap there.
            low = nodes.constant(f"{tag}/low", np.array(0, np.float32))
            high = nodes.constant(f"{tag}/high", np.array(1, np.float32))
            output = nodes.add("Clip", [output, low, high], f"{tag}/active")
    return nodes.cut(output, first, first + count, 1, tag)


@dataclass(frozen=True)
class Planes:
    """Probabilities float32 [n, classes, h, w]."""

    name: str
    shape: tuple[int, int]  # h, w; 0 = unknown


def add_results(
    nodes: NodeList,
    planes: Planes,
    classes: int,
    frame_shape: tuple[int, int],
    absent: str | None,
    *,
    bytes_early: bool,
) -> dict[str, str]:
    """Compute the four results; return their names by output. The caller casts them.

    Args:
        nodes: where to add it.
        planes: probabilities of all classes, for the area of the frame.
        classes: number of classes.
        frame_shape: lines, pixels.
        absent: bool [n, classes], True where a class must not be found; None = nowhere.
        bytes_early: cast mask and prob to uint8 before they are interleaved. That is faster on a
            CPU; TensorRT takes uint8 only as the final output.
    """
    factor = _factor(planes.shape, frame_shape)
    enlarged = planes.name
    if factor == 0:
        enlarged = nodes.resize(planes.name, frame_shape, "enlarged")
    elif factor > 1:
        enlarged = _enlarge(nodes, planes.name, classes, factor)
    return _results(nodes, enlarged, (classes, *frame_shape), factor or 1, absent, bytes_early)


def _factor(output_shape: tuple[int, int], frame_shape: tuple[int, int]) -> int:
    """Whole factor by which the output is smaller than the frame; 0 = there is none."""
    lines, pixels = output_shape
    factor = frame_shape[0] // lines if lines else 0
    if factor > FACTOR_MAX or (lines * factor, pixels * factor) != frame_shape:
        return 0
    return factor


def _enlarge(nodes: NodeList, source: str, classes: int, factor: int) -> str:
    """Enlarge [n, classes, h, w] to [n, classes * phases, h, w], the phases of a class together."""
    # Edge pixels are repeated outside, as in any bilinear resize.
    pads = nodes.constant("pads", np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
    padded = nodes.add("Pad", [source, pads], "padded", mode="edge")
    taps = bilinear_taps(factor)
    kernel = np.einsum("ay,bx,oi->oabiyx", taps, taps, np.eye(classes))
    weights = kernel.reshape(classes * factor * factor, classes, 3, 3).astype(np.float32)
    return nodes.add("Conv", [padded, nodes.constant("bilinear", weights)], "phases")


def bilinear_taps(factor: int) -> NDArray[np.float64]:
    """Weights [factor, 3] of the pixels before, at and after, for each output pixel of one."""
    offsets = (np.arange(factor) + 0.5) / factor - 0.5  # from the pixel's centre
    before, after = np.maximum(-offsets, 0), np.maximum(offsets, 0)
    return np.stack([before, 1 - before - after, after], axis=1)


def _results(
    nodes: NodeList,
    planes: str,
    shape: tuple[int, int, int],
    factor: int,
    absent: str | None,
    bytes_early: bool,
) -> dict[str, str]:
    """Compute the four results of planes float32 [n, classes * phases, h, w]."""
    classes, phases = shape[0], factor * factor
    limits = _limits(nodes, classes, phases, absent)
    at_least = nodes.add("GreaterOrEqual", [planes, limits], "at_least")
    # float16 counts exactly only to 2048: this stays float32 on every target.
    present = nodes.add("Cast", [at_least], "present", to=TensorProto.FLOAT)
    counts = nodes.reduce_sum(present, [2, 3], "counts")
    by_class = nodes.reshape(counts, [0, classes, phases], "counts/phases")
    area = nodes.reduce_sum(by_class, [2], "area/result")
    peaks = nodes.reduce_max(planes, [2, 3], "peaks")
    peak = nodes.reduce_max(
        nodes.reshape(peaks, [0, classes, phases], "peaks/phases"), [2], "peak/result"
    )
    if absent:
        present_classes = nodes.add("Not", [absent], "peak/present")
        is_present = nodes.add("Cast", [present_classes], "peak/is_present", to=TensorProto.FLOAT)
        peak = nodes.add("Mul", [peak, is_present], "peak/kept")
    # The bits of classes do not overlap, so their sum is their bitwise or: a 1x1 convolution.
    bits = np.einsum("c,pq->pcq", 2.0 ** np.arange(classes), np.eye(phases))
    weights = nodes.constant("bits", bits.reshape(phases, -1, 1, 1).astype(np.float32))
    coded = nodes.add("Conv", [present, weights], "mask/added")
    full = nodes.constant("full", np.array(255, np.float32))
    scaled = nodes.add("Mul", [planes, full], "prob/scaled")
    rounded = nodes.add("Round", [scaled], "prob/rounded")
    return {
        "mask": _interleave(nodes, coded, [*shape[1:]], factor, "mask", bytes_early),
        "area": area,
        "peak": peak,
        "prob": _interleave(nodes, rounded, [*shape], factor, "prob", bytes_early),
    }


def _limits(nodes: NodeList, classes: int, phases: int, absent: str | None) -> str:
    """Threshold of every plane; absent classes get one above every probability."""
    limits = nodes.reshape("thresholds", [1, classes, 1], "limits/column")
    if absent:
        number = nodes.add("Cast", [absent], "limits/absent", to=TensorProto.FLOAT)
        two = nodes.constant("limits/two", np.array(2, np.float32))
        raised = nodes.add("Mul", [number, two], "limits/raised")
        column = nodes.reshape(raised, [-1, classes, 1], "limits/raised/column")
        limits = nodes.add("Add", [limits, column], "limits/of_frame")
    repeats = nodes.constant("phase_count", np.array([1, 1, phases], np.int64))
    tiled = nodes.add("Tile", [limits, repeats], "limits/tiled")
    return nodes.reshape(tiled, [-1, classes * phases, 1, 1], "limits")


def _interleave(
    nodes: NodeList, planes: str, shape: list[int], factor: int, output: str, bytes_early: bool
) -> str:
    """Interleave the phases: [n, c * phases, h, w] to [n, *shape]."""
    if bytes_early:
        planes = nodes.add("Cast", [planes], f"{output}/bytes", to=TensorProto.UINT8)
    if factor > 1:
        # DepthToSpace does the same and is several times slower in OpenVINO.
        small = [shape[-2] // factor, shape[-1] // factor]
        split = nodes.reshape(planes, [-1, factor, factor, *small], f"{output}/split")
        planes = nodes.add("Transpose", [split], f"{output}/interleaved", perm=[0, 3, 1, 4, 2])
    return nodes.reshape(planes, [-1, *shape], f"{output}/result")
