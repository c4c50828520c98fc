"""The end of the inspection graph: the model's output to mask, area, peak and prob.

Enlarging by a whole factor k is written as one convolution that computes the k * k output pixels
over every pixel of the model ("phases"). Thresholds, sums and maxima work on those planes as they
are, and only the finished uint8 planes are interleaved. On a CPU this takes half the time of
enlarging in float first, and it is the same arithmetic: bilinear, centres at halves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from stripwatch_engine.model_card import ModelCard
from stripwatch_engine.nodes import NodeList

FACTOR_MAX = 4  # the convolution's work grows with its square; beyond, plain resizing is as good


def add_post(
    nodes: NodeList,
    card: ModelCard,
    output: str,
    output_shape: list[int],
    frame_shape: tuple[int, int],
) -> None:
    """Add everything after the model.

    Args:
        nodes: where to add it.
        card: says what the output means.
        output: name of the model's output, float32 [n, channels, h, w].
        output_shape: its h and w; 0 = unknown.
        frame_shape: lines, pixels of the frames.
    """
    classes = len(card.classes)
    probability = _probability(nodes, card, output)
    factor = _factor(output_shape, frame_shape)
    if factor == 1:
        enlarged = probability
    elif factor:
        enlarged = _enlarge(nodes, probability, classes, factor)
    else:
        enlarged = nodes.resize(probability, frame_shape, "enlarged")
    _results(nodes, enlarged, classes, factor or 1, frame_shape)


def _probability(nodes: NodeList, card: ModelCard, output: str) -> str:
    """float32 [n, classes, h, w] in 0 to 1."""
    match card.activation:
        case "sigmoid":
            output = nodes.add("Sigmoid", [output], "probability")
        case "softmax":
            output = nodes.add("Softmax", [output], "probability", axis=1)
        case "none":
            # The model says that these are probabilities; uint8 must not wrap where it errs.
            low = nodes.constant("low", np.array(0, np.float32))
            high = nodes.constant("high", np.array(1, np.float32))
            output = nodes.add("Clip", [output, low, high], "probability")
    if not card.background:
        return output
    bounds = [
        nodes.constant(f"foreground/{name}", np.array([value], np.int64))
        for name, value in (("from", 1), ("to", len(card.classes) + 1), ("axis", 1))
    ]
    return nodes.add("Slice", [output, *bounds], "foreground")


def _factor(output_shape: list[int], frame_shape: tuple[int, int]) -> int:
    """The whole factor by which the output is smaller than the frame; 0 = there is none."""
    lines, pixels = output_shape
    factor = frame_shape[0] // lines if lines else 0
    if factor > FACTOR_MAX or (lines * factor, pixels * factor) != frame_shape:
        return 0
    return factor


def _enlarge(nodes: NodeList, source: str, classes: int, factor: int) -> str:
    """[n, classes, h, w] to [n, classes * phases, h, w], a class's phases together."""
    # Outside lies what the edge says, as in any bilinear resize.
    pads = nodes.constant("pads", np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
    padded = nodes.add("Pad", [source, pads], "padded", mode="edge")
    taps = bilinear_taps(factor)
    kernel = np.einsum("ay,bx,oi->oabiyx", taps, taps, np.eye(classes))
    weights = kernel.reshape(classes * factor * factor, classes, 3, 3).astype(np.float32)
    return nodes.add("Conv", [padded, nodes.constant("bilinear", weights)], "phases")


def bilinear_taps(factor: int) -> NDArray[np.float64]:
    """Weights [factor, 3] of the pixel before, at and after, for each output pixel over one."""
    offsets = (np.arange(factor) + 0.5) / factor - 0.5  # from the pixel's centre
    before, after = np.maximum(-offsets, 0), np.maximum(offsets, 0)
    return np.stack([before, 1 - before - after, after], axis=1)


def _results(
    nodes: NodeList, planes: str, classes: int, factor: int, frame_shape: tuple[int, int]
) -> None:
    """Planes float32 [n, classes * phases, h, w] to the four outputs."""
    phases = factor * factor
    repeats = nodes.constant("phase_count", np.array([1, phases], np.int64))
    column = nodes.reshape("thresholds", [classes, 1], "limits/column")
    tiled = nodes.add("Tile", [column, repeats], "limits/tiled")
    limits = nodes.reshape(tiled, [1, classes * phases, 1, 1], "limits")
    at_least = nodes.add("GreaterOrEqual", [planes, limits], "at_least")
    # Counts above 2048 would be lost in float16: this stays float32 on every target.
    present = nodes.add("Cast", [at_least], "present", to=TensorProto.FLOAT)
    counts = nodes.reduce_sum(present, [2, 3], "counts")
    nodes.reduce_sum(nodes.reshape(counts, [0, classes, phases], "counts/phases"), [2], "area")
    peaks = nodes.reduce_max(planes, [2, 3], "peaks")
    nodes.reduce_max(nodes.reshape(peaks, [0, classes, phases], "peaks/phases"), [2], "peak")
    # Bits do not overlap, so that adding them up is or-ing them: a 1x1 convolution.
    bits = np.einsum("c,pq->pcq", 2.0 ** np.arange(classes), np.eye(phases))
    weights = nodes.constant("bits", bits.reshape(phases, -1, 1, 1).astype(np.float32))
    coded = nodes.add("Conv", [present, weights], "mask/added")
    _bytes(nodes, coded, [*frame_shape], factor, "mask")
    full = nodes.constant("full", np.array(255, np.float32))
    scaled = nodes.add("Mul", [planes, full], "prob/scaled")
    rounded = nodes.add("Round", [scaled], "prob/rounded")
    _bytes(nodes, rounded, [classes, *frame_shape], factor, "prob")


def _bytes(nodes: NodeList, planes: str, shape: list[int], factor: int, output: str) -> None:
    """[n, c * phases, h, w] to uint8 [n, *shape], the phases interleaved."""
    planes = nodes.add("Cast", [planes], f"{output}/bytes", to=TensorProto.UINT8)
    if factor > 1:
        # Plane by plane: DepthToSpace does the same, and is several times slower in OpenVINO.
        small = [shape[-2] // factor, shape[-1] // factor]
        split = nodes.reshape(planes, [-1, factor, factor, *small], f"{output}/split")
        planes = nodes.add("Transpose", [split], f"{output}/woven", perm=[0, 3, 1, 4, 2])
    nodes.reshape(planes, [-1, *shape], output)
