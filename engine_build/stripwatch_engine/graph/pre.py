"""The beginning of the inspection graph: raw frames to the images that the models take."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from stripwatch_engine.graph.nodes import NodeList
from stripwatch_engine.models.model_card import ModelCard


class ImageBuilder:
    """Adds the models' images to a graph; models with equal cards share one image."""

    def __init__(self, nodes: NodeList, frame_shape: tuple[int, int]) -> None:
        self._nodes = nodes
        self._frame_shape = frame_shape
        self._made: dict[tuple[object, ...], str] = {}

    def image(self, card: ModelCard) -> str:
        """Name of the image that a card asks for, float32 [n, channels, height, width]."""
        size, statistics = card.input, card.channel_statistics()
        grey_key = (size.height, size.width, size.fit)
        key = (*grey_key, *statistics)
        if key not in self._made:
            tag = f"image{len(self._made)}"
            if grey_key not in self._made:
                self._made[grey_key] = self._sized(card, f"{tag}/grey")
            self._made[key] = self._scaled(self._made[grey_key], card, tag)
        return self._made[key]

    def _grey(self) -> str:
        """The frames as float32 [n, 1, lines, pixels]."""
        if ("grey",) not in self._made:
            pixels = self._nodes.add("Cast", ["frames"], "frames/float", to=TensorProto.FLOAT)
            axis = self._nodes.constant("channel_axis", np.array([1], np.int64))
            self._made["grey",] = self._nodes.add("Unsqueeze", [pixels, axis], "frames/grey")
        return self._made["grey",]

    def _sized(self, card: ModelCard, tag: str) -> str:
        """The frames in the model's size."""
        nodes, size, (lines, pixels) = self._nodes, card.input, self._frame_shape
        grey, shape = self._grey(), (size.height, size.width)
        if shape == (lines, pixels):
            return grey
        if size.fit == "pad":
            below, right = size.height - lines, size.width - pixels
            pads = nodes.constant(
                f"{tag}/pads", np.array([0, 0, 0, 0, 0, 0, below, right], np.int64)
            )
            return nodes.add("Pad", [grey, pads], tag, mode="edge")
        if lines % size.height == 0 and pixels % size.width == 0:
            # Whole factors: averaging loses no thin line, and training does the same.
            block = [lines // size.height, pixels // size.width]
            return nodes.add("AveragePool", [grey], tag, kernel_shape=block, strides=block)
        return nodes.resize(grey, shape, tag)

    def _scaled(self, grey: str, card: ModelCard, tag: str) -> str:
        """(pixel / 255 - mean) / std as one multiplication and one addition.

        A grey image becomes three channels by broadcasting.
        """
        channels = card.input.channels
        means, stds = card.channel_statistics()
        mean = np.array(means).reshape(1, channels, 1, 1)
        std = np.array(stds).reshape(1, channels, 1, 1)
        gain = self._nodes.constant(f"{tag}/gain", (1 / (255 * std)).astype(np.float32))
        bias = self._nodes.constant(f"{tag}/bias", (-mean / std).astype(np.float32))
        brightness = self._nodes.add("Mul", [grey, gain], f"{tag}/contrast")
        return self._nodes.add("Add", [brightness, bias], tag)
