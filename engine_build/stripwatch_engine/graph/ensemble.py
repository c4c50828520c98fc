"""The middle of the inspection graph: models to the probabilities of all classes."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import compose

from stripwatch_engine.graph.nodes import NodeList
from stripwatch_engine.graph.post import Planes, add_probability
from stripwatch_engine.graph.pre import ImageBuilder
from stripwatch_engine.models.deployment import Deployment
from stripwatch_engine.models.member import Member, output_shape

NET_TAG = "net"  # between the tag of a model and the names of its own tensors


class Ensemble:
    """Adds the models of a deployment to a graph; each image is made once for all of them."""

    def __init__(self, deployment: Deployment, images: ImageBuilder) -> None:
        self.sparse: list[onnx.SparseTensorProto] = []  # sparse weights of the models added so far
        self._deployment = deployment
        self._images = images

    def add_model(self, nodes: NodeList, member: Member, tag: str, image: str = "") -> str:
        """Add one model; return the name of its output.

        Args:
            nodes: where to add it.
            member: the model.
            tag: prefix of the names of its nodes.
            image: name of its input tensor; "" = the image of the frames that its card asks for.
        """
        # A prefix of its own: no name of the model meets a name that is added here.
        prefix = f"{tag}/{NET_TAG}/"
        model = compose.add_prefix(member.model.proto, prefix)
        image = image or self._images.image(member.card)
        nodes.add("Identity", [image], f"{prefix}{member.model.input_name}")
        nodes.nodes.extend(model.graph.node)
        nodes.constants.extend(model.graph.initializer)
        self.sparse.extend(model.graph.sparse_initializer)
        return f"{prefix}{member.model.output_name}"

    def add_segmentation(self, nodes: NodeList) -> Planes:
        """Add all segmentation models; return the probabilities of all classes, averaged."""
        classes = len(self._deployment.classes)
        shared: list[Planes] = []
        single: dict[int, list[Planes]] = {}
        for index, member in enumerate(self._deployment.segmenters):
            tag = f"model{index}"
            if member.class_id is None:
                shared.append(self._probability(nodes, member, tag, classes))
            else:
                found = self._probability(nodes, member, tag, 1)
                single.setdefault(member.class_id, []).append(found)
        planes = self._mean(nodes, shared, "shared") if shared else None
        if single:
            planes = self._by_class(nodes, planes, single)
        assert planes is not None, "a deployment has a segmentation model"
        return planes

    def _probability(self, nodes: NodeList, member: Member, tag: str, count: int) -> Planes:
        """Probabilities of one model, for exactly the area of the frame."""
        card, first = member.card, member.card.first_channel
        if member.class_id is not None and len(card.classes) > 1:
            first += member.class_id - 1
        shape = output_shape(member)
        if self._deployment.flip:
            output = self._flipped(nodes, member, tag, first, count)
        else:
            raw = self.add_model(nodes, member, tag)
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
        """Mean of a model's probabilities for the image and for its mirror image, as one batch."""
        image = self._images.image(member.card)
        mirrored = nodes.mirror(image, f"{tag}/mirrored")
        both = nodes.add("Concat", [image, mirrored], f"{tag}/both", axis=0)
        raw = self.add_model(nodes, member, tag, both)
        found = add_probability(nodes, raw, member.card.activation, first, count, f"{tag}/p/both")
        straight, turned = nodes.halves(found, f"{tag}/p/halves")
        back = nodes.mirror(turned, f"{tag}/p/back")
        return nodes.add("Mean", [straight, back], f"{tag}/p")

    def _mean(self, nodes: NodeList, parts: Sequence[Planes], tag: str) -> Planes:
        """Mean of several models' probabilities."""
        if len(parts) == 1:
            return parts[0]
        names, shape = self._aligned(nodes, parts)
        return Planes(nodes.add("Mean", names, tag), shape)

    def _by_class(
        self, nodes: NodeList, shared: Planes | None, single: dict[int, list[Planes]]
    ) -> Planes:
        """Planes of all classes, each from the models of that class where there are some."""
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
        """Planes of one size: their common size if they have one, else the frame's."""
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
