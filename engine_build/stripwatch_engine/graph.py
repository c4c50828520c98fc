"""The inspection graph: a segmentation model, from raw frames to masks.

frames uint8 [n, H, W], thresholds float32 [C]
  -> pre: float, mean and std, resize, repeat channels
  -> core: the model
  -> post: activation, resize back
  -> mask uint8 [n, H, W] (bit c-1 set where p of class c >= its threshold),
     area float32 [n, C], peak float32 [n, C], prob uint8 [n, C, H, W] (p * 255, rounded)
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, numpy_helper

from stripwatch.errors import ModelError
from stripwatch_engine.model_card import ModelCard

CORE_PREFIX = "core/"
OPSET_MIN = 13  # ReduceSum takes its axes as an input from here on
OPSET_REDUCE_MAX = 18  # ReduceMax does from here on


@dataclass(slots=True)
class _Builder:
    """Collects nodes and constants; each method returns the name of its result."""

    opset: int
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def node(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def resize(self, source: str, shape: tuple[int, int], output: str) -> str:
        """Bilinear resize of [n, c, h, w] to `shape`, pixel centres at halves."""
        # Scales, not sizes, would round; sizes need n and c, which stay as they are (opset 18
        # could say so with `axes`, older ones cannot): hence the shape is put together here.
        start = self.node("Shape", [source], f"{output}/shape")
        zero = self.constant(f"{output}/zero", np.array([0], np.int64))
        two = self.constant(f"{output}/two", np.array([2], np.int64))
        kept = self.node("Slice", [start, zero, two], f"{output}/kept")
        side = self.constant(f"{output}/side", np.array(shape, np.int64))
        sizes = self.node("Concat", [kept, side], f"{output}/sizes", axis=0)
        return self.node(
            "Resize",
            [source, "", "", sizes],
            output,
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )

    def reduce_max(self, source: str, output: str) -> str:
        """Maximum over height and width."""
        if self.opset < OPSET_REDUCE_MAX:
            return self.node("ReduceMax", [source], output, axes=[2, 3], keepdims=0)
        return self.node("ReduceMax", [source, "plane_axes"], output, keepdims=0)


def compose_inspection_graph(
    core: onnx.ModelProto, card: ModelCard, frame_shape: tuple[int, int]
) -> onnx.ModelProto:
    """Put pre- and post-processing around a model.

    Args:
        core: one float32 input [n, channels, h, w], one output [n, classes, h, w].
        card: says what they mean.
        frame_shape: lines, pixels of the frames.

    Raises:
        ModelError: the model is not of this kind, or is not what the card says.
    """
    opset = next(
        (entry.version for entry in core.opset_import if entry.domain in ("", "ai.onnx")), 0
    )
    if opset < OPSET_MIN:
        raise ModelError(f"the model has opset {opset}; export it with opset {OPSET_MIN} or newer")
    source, output = _check_core(core, card)
    core = compose.add_prefix(core, CORE_PREFIX)
    builder = _Builder(opset)
    image = _pre(builder, card, frame_shape)
    for node in core.graph.node:
        node.input[:] = [image if name == CORE_PREFIX + source else name for name in node.input]
    pre_nodes, builder.nodes = builder.nodes, []
    _post(builder, card, CORE_PREFIX + output, frame_shape)
    lines, pixels = frame_shape
    classes = len(card.classes)
    graph = helper.make_graph(
        [*pre_nodes, *core.graph.node, *builder.nodes],
        "inspection",
        [
            helper.make_tensor_value_info("frames", TensorProto.UINT8, ["n", lines, pixels]),
            helper.make_tensor_value_info("thresholds", TensorProto.FLOAT, [classes]),
        ],
        [
            helper.make_tensor_value_info("mask", TensorProto.UINT8, ["n", lines, pixels]),
            helper.make_tensor_value_info("area", TensorProto.FLOAT, ["n", classes]),
            helper.make_tensor_value_info("peak", TensorProto.FLOAT, ["n", classes]),
            helper.make_tensor_value_info("prob", TensorProto.UINT8, ["n", classes, lines, pixels]),
        ],
        [*core.graph.initializer, *builder.constants],
    )
    model = helper.make_model(graph, opset_imports=core.opset_import, ir_version=core.ir_version)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ModelError(f"the model does not fit into an inspection graph: {error}") from error
    return model


def _check_core(core: onnx.ModelProto, card: ModelCard) -> tuple[str, str]:
    """The names of the model's input and output."""
    constants = {entry.name for entry in core.graph.initializer}
    inputs = [entry for entry in core.graph.input if entry.name not in constants]
    if len(inputs) != 1 or len(core.graph.output) != 1:
        raise ModelError(
            f"the model has {len(inputs)} inputs and {len(core.graph.output)} outputs; "
            "a segmentation model has one of each"
        )
    wanted = (card.input.channels, card.input.height, card.input.width)
    _check_shape("input", inputs[0], wanted)
    _check_shape("output", core.graph.output[0], (len(card.classes),))
    return inputs[0].name, core.graph.output[0].name


def _check_shape(what: str, value: onnx.ValueInfoProto, wanted: tuple[int, ...]) -> None:
    """Compare the fixed sizes after the batch with those that model.json says."""
    sizes = [size.dim_value for size in value.type.tensor_type.shape.dim]  # 0 = any
    if len(sizes) != 4 or any(
        size and size != wish for size, wish in zip(sizes[1:], wanted, strict=False)
    ):
        raise ModelError(
            f"the model's {what} {value.name!r} has shape {sizes} (0 = any), but model.json says "
            f"[n, {', '.join(map(str, wanted))}{', h, w' if len(wanted) == 1 else ''}]"
        )


def _pre(builder: _Builder, card: ModelCard, frame_shape: tuple[int, int]) -> str:
    """frames uint8 [n, H, W] to the model's image."""
    pixels = builder.node("Cast", ["frames"], "pixels", to=TensorProto.FLOAT)
    axis = builder.constant("channel_axis", np.array([1], np.int64))
    image = builder.node("Unsqueeze", [pixels, axis], "grey")
    shape = (card.input.height, card.input.width)
    if frame_shape != shape:
        factor = frame_shape[0] // shape[0]
        if factor > 1 and frame_shape == (shape[0] * factor, shape[1] * factor):
            # A whole factor: averaging loses no thin line, and is what training did.
            square = [factor, factor]
            image = builder.node(
                "AveragePool", [image], "small", kernel_shape=square, strides=square
            )
        else:
            image = builder.resize(image, shape, "small")
    # (pixel / 255 - mean) / std, as one multiplication and one addition.
    gain = builder.constant("gain", np.array(1 / (255 * card.std), np.float32))
    bias = builder.constant("bias", np.array(-card.mean / card.std, np.float32))
    image = builder.node("Add", [builder.node("Mul", [image, gain], "scaled"), bias], "image")
    if card.input.channels == 1:
        return image
    return builder.node("Concat", [image] * card.input.channels, "channels", axis=1)


def _post(builder: _Builder, card: ModelCard, output: str, frame_shape: tuple[int, int]) -> None:
    """The model's output to mask, area, peak and prob."""
    classes = len(card.classes)
    if card.activation == "sigmoid":
        output = builder.node("Sigmoid", [output], "probability")
    if frame_shape != (card.input.height, card.input.width):
        output = builder.resize(output, frame_shape, "enlarged")
    per_class = builder.constant("per_class", np.array([1, classes, 1, 1], np.int64))
    builder.constant("plane_axes", np.array([2, 3], np.int64))
    limits = builder.node("Reshape", ["thresholds", per_class], "limits")
    at_least = builder.node("GreaterOrEqual", [output, limits], "at_least")
    present = builder.node("Cast", [at_least], "present", to=TensorProto.FLOAT)
    builder.node("ReduceSum", [present, "plane_axes"], "area", keepdims=0)
    builder.reduce_max(output, "peak")
    # Bits do not overlap, so that adding them up is or-ing them: a 1x1 convolution.
    bits = np.array([1 << index for index in range(classes)], np.float32)
    weights = builder.constant("bits", bits.reshape(1, classes, 1, 1))
    added = builder.node("Conv", [present, weights], "added")
    coded = builder.node("Cast", [added], "coded", to=TensorProto.UINT8)
    builder.node("Squeeze", [coded, "channel_axis"], "mask")
    full = builder.constant("full", np.array(255, np.float32))
    scaled = builder.node("Mul", [output, full], "prob_scaled")
    builder.node(
        "Cast", [builder.node("Round", [scaled], "prob_rounded")], "prob", to=TensorProto.UINT8
    )
