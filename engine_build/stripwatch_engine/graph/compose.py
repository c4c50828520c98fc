"""The inspection graph: from raw frames to masks.

frames uint8 [n, H, W], thresholds float32 [C]
  -> pre: float, resize or pad, mean and std, repeat channels; once for each distinct image
  -> ensemble: the models, activation, drop the background, average
  -> post: resize back, compare with the thresholds
  -> mask uint8 [n, H, W] (bit c-1 set where p of class c >= its threshold),
     area float32 [n, C], peak float32 [n, C], prob uint8 [n, C, H, W] (p * 255, rounded)

With a gate or a classifier there is one more input, presence_thresholds float32 [1 + C], and one
more output, absent uint8 [n, C]; `stripwatch.engines.manifest.Gate` documents their effect (ADR 7).
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from stripwatch.errors import ModelError
from stripwatch_engine.graph.ensemble import Ensemble
from stripwatch_engine.graph.gate import add_absent, add_skip
from stripwatch_engine.graph.nodes import NodeList
from stripwatch_engine.graph.post import add_results
from stripwatch_engine.graph.pre import ImageBuilder
from stripwatch_engine.models.deployment import Deployment
from stripwatch_engine.models.member import Member


def compose_inspection_graph(deployment: Deployment, *, bytes_early: bool) -> onnx.ModelProto:
    """Put pre- and post-processing around the models of a deployment.

    Args:
        deployment: its models, all of one opset.
        bytes_early: see `stripwatch_engine.graph.post.add_results`; True for OpenVINO.

    Raises:
        ModelError: the models do not fit together.
    """
    nodes = NodeList(deployment.opset)
    images = ImageBuilder(nodes, deployment.frame_shape)
    ensemble = Ensemble(deployment, images)
    classes = len(deployment.classes)

    def segment(where: NodeList, absent: str | None) -> dict[str, str]:
        planes = ensemble.add_segmentation(where)
        shape = deployment.frame_shape
        return add_results(where, planes, classes, shape, absent, bytes_early=bytes_early)

    absent = None
    if deployment.gate:
        frame_models = [entry for entry in deployment.members if entry.role != "segmentation"]
        absent = add_absent(nodes, frame_models, classes, ensemble.add_model)
        number = nodes.add("Cast", [absent], "absent/number", to=TensorProto.FLOAT)
        nodes.add("Cast", [number], "absent", to=TensorProto.UINT8)
    if absent and deployment.gate and deployment.gate.mode == "skip":
        # Both branches need the images: they must be made before the branches.
        for member in deployment.segmenters:
            images.image(member.card)
        shapes = _result_shapes(deployment, bytes_early)
        results = add_skip(nodes, absent, lambda inside: segment(inside, absent), shapes)
    else:
        results = segment(nodes, None)
    for name in ("mask", "prob"):
        nodes.add("Cast", [results[name]], name, to=TensorProto.UINT8)
    for name in ("area", "peak"):
        nodes.add("Identity", [results[name]], name)
    model = _model(deployment, nodes, ensemble.sparse)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ModelError(f"the model does not fit into an inspection graph: {error}") from error
    return model


def image_graph(member: Member, frame_shape: tuple[int, int]) -> onnx.ModelProto:
    """Only the beginning: frames uint8 [n, H, W] to the float32 image of one model."""
    nodes = NodeList(member.model.opset)
    image = ImageBuilder(nodes, frame_shape).image(member.card)
    make = helper.make_tensor_value_info
    size = member.card.input
    output = make(image, TensorProto.FLOAT, ["n", size.channels, size.height, size.width])
    frames = make("frames", TensorProto.UINT8, ["n", *frame_shape])
    graph = helper.make_graph(nodes.nodes, "image", [frames], [output], nodes.constants)
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", member.model.opset)],
        ir_version=member.model.proto.ir_version,
    )


def _result_shapes(deployment: Deployment, bytes_early: bool) -> dict[str, tuple[int, list[int]]]:
    """Type, and sizes after the batch, of each result before the final cast."""
    lines, pixels = deployment.frame_shape
    classes = len(deployment.classes)
    data_type = TensorProto.UINT8 if bytes_early else TensorProto.FLOAT
    return {
        "mask": (data_type, [lines, pixels]),
        "area": (TensorProto.FLOAT, [classes]),
        "peak": (TensorProto.FLOAT, [classes]),
        "prob": (data_type, [classes, lines, pixels]),
    }


def _model(
    deployment: Deployment, nodes: NodeList, sparse: list[onnx.SparseTensorProto]
) -> onnx.ModelProto:
    """The graph with its inputs and outputs, as an ONNX model."""
    make = helper.make_tensor_value_info
    shape, classes = deployment.frame_shape, len(deployment.classes)
    inputs = [
        make("frames", TensorProto.UINT8, ["n", *shape]),
        make("thresholds", TensorProto.FLOAT, [classes]),
    ]
    outputs = [
        make("mask", TensorProto.UINT8, ["n", *shape]),
        make("area", TensorProto.FLOAT, ["n", classes]),
        make("peak", TensorProto.FLOAT, ["n", classes]),
        make("prob", TensorProto.UINT8, ["n", classes, *shape]),
    ]
    if deployment.gate:
        inputs.append(make("presence_thresholds", TensorProto.FLOAT, [1 + classes]))
        outputs.append(make("absent", TensorProto.UINT8, ["n", classes]))
    graph = helper.make_graph(
        nodes.nodes, "inspection", inputs, outputs, nodes.constants, sparse_initializer=sparse
    )
    models = [member.model.proto for member in deployment.members]
    imports = {entry.domain: entry for model in models for entry in model.opset_import}
    return helper.make_model(
        graph,
        opset_imports=list(imports.values()),
        ir_version=max(model.ir_version for model in models),
        producer_name="stripwatch",
    )
