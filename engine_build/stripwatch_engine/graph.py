"""The inspection graph: a segmentation model, from raw frames to masks.

frames uint8 [n, H, W], thresholds float32 [C]
  -> pre: float, resize, mean and std, repeat channels
  -> core: the model
  -> post: activation, drop the background, resize back
  -> mask uint8 [n, H, W] (bit c-1 set where p of class c >= its threshold),
     area float32 [n, C], peak float32 [n, C], prob uint8 [n, C, H, W] (p * 255, rounded)
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, compose, helper

from stripwatch.errors import ModelError
from stripwatch_engine.model_card import ModelCard
from stripwatch_engine.nodes import NodeList
from stripwatch_engine.post import add_post

CORE_PREFIX = "core/"
OPSET_MIN = 13  # ReduceSum takes its axes as an input from here on


def compose_inspection_graph(
    core: onnx.ModelProto, card: ModelCard, frame_shape: tuple[int, int]
) -> onnx.ModelProto:
    """Put pre- and post-processing around a model.

    Args:
        core: one float32 input [n, channels, h, w], one output [n, classes, h', w'].
        card: says what they mean.
        frame_shape: lines, pixels of the frames.

    Raises:
        ModelError: the model is not of this kind, or is not what the card says.
    """
    opset = next((entry.version for entry in core.opset_import if not entry.domain), 0)
    if opset < OPSET_MIN:
        raise ModelError(f"the model has opset {opset}; export it with opset {OPSET_MIN} or newer")
    source, output, output_shape = _check_core(core, card)
    core = compose.add_prefix(core, CORE_PREFIX)
    pre, post = NodeList(opset), NodeList(opset)
    _add_pre(pre, card, frame_shape, CORE_PREFIX + source)
    add_post(post, card, CORE_PREFIX + output, output_shape, frame_shape)
    graph = helper.make_graph(
        [*pre.nodes, *core.graph.node, *post.nodes],
        "inspection",
        *_signature(len(card.classes), frame_shape),
        [*core.graph.initializer, *pre.constants, *post.constants],
        sparse_initializer=core.graph.sparse_initializer,
    )
    model = helper.make_model(
        graph,
        opset_imports=core.opset_import,
        ir_version=core.ir_version,
        functions=core.functions,
        producer_name="stripwatch",
    )
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ModelError(f"the model does not fit into an inspection graph: {error}") from error
    return model


def _signature(
    classes: int, frame_shape: tuple[int, int]
) -> tuple[list[onnx.ValueInfoProto], list[onnx.ValueInfoProto]]:
    """Inputs and outputs of the inspection graph."""
    make = helper.make_tensor_value_info
    inputs = [
        make("frames", TensorProto.UINT8, ["n", *frame_shape]),
        make("thresholds", TensorProto.FLOAT, [classes]),
    ]
    outputs = [
        make("mask", TensorProto.UINT8, ["n", *frame_shape]),
        make("area", TensorProto.FLOAT, ["n", classes]),
        make("peak", TensorProto.FLOAT, ["n", classes]),
        make("prob", TensorProto.UINT8, ["n", classes, *frame_shape]),
    ]
    return inputs, outputs


def _check_core(core: onnx.ModelProto, card: ModelCard) -> tuple[str, str, list[int]]:
    """The names of the model's input and output, and the output's lines and pixels (0 = any)."""
    constants = {entry.name for entry in core.graph.initializer}
    inputs = [entry for entry in core.graph.input if entry.name not in constants]
    if len(inputs) != 1 or len(core.graph.output) != 1:
        raise ModelError(
            f"the model has {len(inputs)} inputs and {len(core.graph.output)} outputs; "
            "a segmentation model has one of each"
        )
    wanted = (card.input.channels, card.input.height, card.input.width)
    _check_value("input", inputs[0], wanted)
    channels = len(card.classes) + card.background
    _check_value("output", core.graph.output[0], (channels,))
    return inputs[0].name, core.graph.output[0].name, _output_shape(core, inputs[0].name, wanted)


def _check_value(what: str, value: onnx.ValueInfoProto, wanted: tuple[int, ...]) -> None:
    """Compare the fixed sizes after the batch with those that model.json says."""
    tensor = value.type.tensor_type
    if tensor.elem_type != TensorProto.FLOAT:
        kind = TensorProto.DataType.Name(tensor.elem_type)
        raise ModelError(
            f"the model's {what} {value.name!r} is {kind}; export the model with float32 input "
            "and output"
        )
    sizes = [size.dim_value for size in tensor.shape.dim]  # 0 = any
    if len(sizes) != 4 or any(
        size and size != wish for size, wish in zip(sizes[1:], wanted, strict=False)
    ):
        raise ModelError(
            f"the model's {what} {value.name!r} has shape {sizes} (0 = any), but model.json says "
            f"[n, {', '.join(map(str, wanted))}{', h, w' if len(wanted) == 1 else ''}]; "
            "correct model.json or name the model that it belongs to"
        )


def _output_shape(core: onnx.ModelProto, source: str, wanted: tuple[int, ...]) -> list[int]:
    """Lines and pixels of the output for an input of the wanted size; 0 where unknown."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(core)
    for value in fixed.graph.input:
        if value.name == source:
            for size, wish in zip(value.type.tensor_type.shape.dim, (1, *wanted), strict=True):
                size.dim_value = wish
    del fixed.graph.value_info[:]
    for size in fixed.graph.output[0].type.tensor_type.shape.dim:
        if not size.dim_value:
            size.Clear()
    inferred = onnx.shape_inference.infer_shapes(fixed, data_prop=True)
    sizes = inferred.graph.output[0].type.tensor_type.shape.dim
    return [size.dim_value for size in sizes[2:]]


def _add_pre(
    nodes: NodeList, card: ModelCard, frame_shape: tuple[int, int], image_name: str
) -> None:
    """frames uint8 [n, H, W] to the model's image, under the name of the model's input."""
    pixels = nodes.add("Cast", ["frames"], "pixels", to=TensorProto.FLOAT)
    axis = nodes.constant("channel_axis", np.array([1], np.int64))
    image = nodes.add("Unsqueeze", [pixels, axis], "grey")
    shape = (card.input.height, card.input.width)
    if frame_shape != shape:
        if frame_shape[0] % shape[0] == 0 and frame_shape[1] % shape[1] == 0:
            # Whole factors: averaging loses no thin line, and is what training did.
            block = [frame_shape[0] // shape[0], frame_shape[1] // shape[1]]
            image = nodes.add("AveragePool", [image], "small", kernel_shape=block, strides=block)
        else:
            image = nodes.resize(image, shape, "small")
    # (pixel / 255 - mean) / std as one multiplication and one addition; a grey image becomes
    # three channels by broadcasting.
    means, stds = card.channel_statistics()
    mean = np.array(means).reshape(1, -1, 1, 1)
    std = np.array(stds).reshape(1, -1, 1, 1)
    gain = nodes.constant("gain", (1 / (255 * std)).astype(np.float32))
    bias = nodes.constant("bias", (-mean / std).astype(np.float32))
    nodes.add("Add", [nodes.add("Mul", [image, gain], "scaled"), bias], image_name)
