"""The inspection graph: segmentation models, from raw frames to masks.

frames uint8 [n, H, W], thresholds float32 [C]
  -> pre: float, resize or pad, mean and std, repeat channels; once for each kind of image
  -> cores: the models, each once (or with its mirror image)
  -> post: activation, drop the background, average, resize back
  -> mask uint8 [n, H, W] (bit c-1 set where p of class c >= its threshold),
     area float32 [n, C], peak float32 [n, C], prob uint8 [n, C, H, W] (p * 255, rounded)

With a gate or a classifier there are one more input, presence_thresholds float32 [1 + C], and one
more output, absent uint8 [n, C]; stripwatch.engines.manifest.Gate says what they do.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import TensorProto, compose, helper

from stripwatch.errors import ModelError
from stripwatch_engine.graph.gate import add_absent, add_skip
from stripwatch_engine.graph.nodes import NodeList
from stripwatch_engine.graph.post import Planes, add_probability, add_results
from stripwatch_engine.graph.pre import Images
from stripwatch_engine.models.deployment import Deployment
from stripwatch_engine.models.member import Member, output_shape


def compose_inspection_graph(deployment: Deployment, *, bytes_early: bool) -> onnx.ModelProto:
    """Put pre- and post-processing around the models of a deployment.

    Args:
        deployment: its models, all of one opset.
        bytes_early: see `stripwatch_engine.graph.post.add_results`; True for OpenVINO.

    Raises:
        ModelError: the models do not fit together.
    """
    graph = _Graph(deployment, bytes_early)
    model = graph.build()
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ModelError(f"the model does not fit into an inspection graph: {error}") from error
    return model


def image_graph(member: Member, frame_shape: tuple[int, int]) -> onnx.ModelProto:
    """Only the beginning: frames uint8 [n, H, W] to the image of one model."""
    nodes = NodeList(member.core.opset)
    image = Images(nodes, frame_shape).image(member.card)
    make = helper.make_tensor_value_info
    size = member.card.input
    output = make(image, TensorProto.FLOAT, ["n", size.channels, size.height, size.width])
    frames = make("frames", TensorProto.UINT8, ["n", *frame_shape])
    graph = helper.make_graph(nodes.nodes, "image", [frames], [output], nodes.constants)
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", member.core.opset)],
        ir_version=member.core.model.ir_version,
    )


class _Graph:
    """One inspection graph under construction."""

    def __init__(self, deployment: Deployment, bytes_early: bool) -> None:
        self._deployment = deployment
        self._bytes_early = bytes_early
        self._nodes = NodeList(deployment.opset)
        self._images = Images(self._nodes, deployment.frame_shape)
        self._sparse: list[onnx.SparseTensorProto] = []

    def build(self) -> onnx.ModelProto:
        nodes, deployment = self._nodes, self._deployment
        absent = None
        if deployment.gate:
            judges = [member for member in deployment.members if member.role != "segmentation"]
            absent = add_absent(nodes, judges, len(deployment.classes), self._run)
            found = nodes.add("Cast", [absent], "absent/number", to=TensorProto.FLOAT)
            nodes.add("Cast", [found], "absent", to=TensorProto.UINT8)
        if absent and deployment.gate and deployment.gate.mode == "skip":
            # What both branches need must be made before them.
            for member in deployment.segmenters:
                self._images.image(member.card)
            results = add_skip(
                nodes, absent, lambda inside: self._segment(inside, absent), self._shapes()
            )
        else:
            results = self._segment(nodes, None)
        for name in ("mask", "prob"):
            nodes.add("Cast", [results[name]], name, to=TensorProto.UINT8)
        for name in ("area", "peak"):
            nodes.add("Identity", [results[name]], name)
        return self._model()

    def _run(self, nodes: NodeList, member: Member, tag: str, image: str = "") -> str:
        """Put a model in; returns the name of its output."""
        model = compose.add_prefix(member.core.model, f"{tag}/")
        image = image or self._images.image(member.card)
        nodes.add("Identity", [image], f"{tag}/{member.core.source}")
        nodes.nodes.extend(model.graph.node)
        nodes.constants.extend(model.graph.initializer)
        self._sparse.extend(model.graph.sparse_initializer)
        return f"{tag}/{member.core.output}"

    def _segment(self, nodes: NodeList, absent: str | None) -> dict[str, str]:
        """All segmentation models to the four results."""
        deployment = self._deployment
        classes = len(deployment.classes)
        shared = [
            self._probability(nodes, member, f"model{index}", classes)
            for index, member in enumerate(deployment.segmenters)
            if member.class_id is None
        ]
        planes = self._mean(nodes, shared, "shared") if shared else None
        single: dict[int, list[Planes]] = {}
        for index, member in enumerate(deployment.segmenters):
            if member.class_id is not None:
                found = self._probability(nodes, member, f"model{index}", 1)
                single.setdefault(member.class_id, []).append(found)
        if single:
            planes = self._by_class(nodes, planes, single)
        assert planes is not None, "a deployment has a segmentation model"
        return add_results(
            nodes,
            planes,
            classes,
            deployment.frame_shape,
            absent,
            bytes_early=self._bytes_early,
        )

    def _probability(self, nodes: NodeList, member: Member, tag: str, count: int) -> Planes:
        """The probabilities of one model, of the whole frame and nothing but it."""
        card, first = member.card, int(member.card.background)
        if member.class_id is not None and len(card.classes) > 1:
            first += member.class_id - 1
        shape = output_shape(member)
        if self._deployment.flip:
            output = self._flipped(nodes, member, tag, first, count)
        else:
            raw = self._run(nodes, member, tag)
            output = add_probability(nodes, raw, card.activation, first, count, f"{tag}/p")
        size = card.input
        lines, pixels = self._deployment.frame_shape
        if size.fit == "pad" and (size.height, size.width) != (lines, pixels):
            if shape != (size.height, size.width):
                output = nodes.resize(output, (size.height, size.width), f"{tag}/p/padded")
            rows = nodes.cut(output, 0, lines, 2, f"{tag}/p/rows")
            return Planes(nodes.cut(rows, 0, pixels, 3, f"{tag}/p/cut"), (lines, pixels))
        return Planes(output, shape)

    def _flipped(self, nodes: NodeList, member: Member, tag: str, first: int, count: int) -> str:
        """The mean of a model's answers to the image and to its mirror image, as one batch."""
        image = self._images.image(member.card)
        mirrored = nodes.mirror(image, f"{tag}/mirrored")
        both = nodes.add("Concat", [image, mirrored], f"{tag}/both", axis=0)
        raw = self._run(nodes, member, tag, both)
        found = add_probability(nodes, raw, member.card.activation, first, count, f"{tag}/p/both")
        straight, turned = nodes.halves(found, f"{tag}/p/halves")
        back = nodes.mirror(turned, f"{tag}/p/back")
        return nodes.add("Mean", [straight, back], f"{tag}/p")

    def _mean(self, nodes: NodeList, parts: Sequence[Planes], tag: str) -> Planes:
        """The mean of several models' probabilities."""
        if len(parts) == 1:
            return parts[0]
        names, shape = self._aligned(nodes, parts)
        return Planes(nodes.add("Mean", names, tag), shape)

    def _by_class(
        self, nodes: NodeList, shared: Planes | None, single: dict[int, list[Planes]]
    ) -> Planes:
        """Planes of all classes, each from the models of its own where it has some."""
        parts = [
            self._mean(nodes, single[entry.id], f"class{entry.id}")
            if entry.id in single
            else self._plane(nodes, shared, entry.id)
            for entry in self._deployment.classes
        ]
        names, shape = self._aligned(nodes, parts)
        return Planes(nodes.add("Concat", names, "classes", axis=1), shape)

    @staticmethod
    def _plane(nodes: NodeList, shared: Planes | None, class_id: int) -> Planes:
        assert shared is not None, "every class has a model"
        name = nodes.cut(shared.name, class_id - 1, class_id, 1, f"shared/class{class_id}")
        return Planes(name, shared.shape)

    def _aligned(
        self, nodes: NodeList, parts: Sequence[Planes]
    ) -> tuple[list[str], tuple[int, int]]:
        """Planes of one size: their own where it is the same, else the frame's."""
        shape = parts[0].shape
        if all(shape) and all(part.shape == shape for part in parts):
            return [part.name for part in parts], shape
        frame_shape = self._deployment.frame_shape
        names = [
            part.name
            if part.shape == frame_shape
            else nodes.resize(part.name, frame_shape, f"{part.name}/aligned")
            for part in parts
        ]
        return names, frame_shape

    def _shapes(self) -> dict[str, tuple[int, list[int]]]:
        """Type and sizes after the batch of each result before its type is made final."""
        lines, pixels = self._deployment.frame_shape
        classes = len(self._deployment.classes)
        kind = TensorProto.UINT8 if self._bytes_early else TensorProto.FLOAT
        return {
            "mask": (kind, [lines, pixels]),
            "area": (TensorProto.FLOAT, [classes]),
            "peak": (TensorProto.FLOAT, [classes]),
            "prob": (kind, [classes, lines, pixels]),
        }

    def _model(self) -> onnx.ModelProto:
        make = helper.make_tensor_value_info
        deployment = self._deployment
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
            self._nodes.nodes,
            "inspection",
            inputs,
            outputs,
            self._nodes.constants,
            sparse_initializer=self._sparse,
        )
        models = [member.core.model for member in deployment.members]
        imports = {entry.domain: entry for model in models for entry in model.opset_import}
        return helper.make_model(
            graph,
            opset_imports=list(imports.values()),
            ir_version=max(model.ir_version for model in models),
            producer_name="stripwatch",
        )
