"""Collects the nodes of a graph under construction."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

OPSET_REDUCE_MAX = 18  # ReduceMax takes its axes as an input from here on


class NodeList:
    """Nodes and constants; each method adds to them and returns the name of its result."""

    def __init__(self, opset: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._opset = opset

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        """A constant tensor."""
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        """One node with one output."""
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def resize(self, source: str, shape: tuple[int, int], output: str) -> str:
        """Bilinear resize of [n, c, h, w] to `shape`, pixel centres at halves, no antialias."""
        # Scales would round. Sizes need n and c, which only the graph knows; opset 18 could name
        # the axes instead, older ones cannot.
        start = self.add("Shape", [source], f"{output}/shape")
        zero = self.constant(f"{output}/zero", np.array([0], np.int64))
        two = self.constant(f"{output}/two", np.array([2], np.int64))
        kept = self.add("Slice", [start, zero, two], f"{output}/kept")
        side = self.constant(f"{output}/side", np.array(shape, np.int64))
        sizes = self.add("Concat", [kept, side], f"{output}/sizes", axis=0)
        return self.add(
            "Resize",
            [source, "", "", sizes],
            output,
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )

    def reduce_max(self, source: str, axes: list[int], output: str) -> str:
        """Maximum over axes, which disappear."""
        if self._opset < OPSET_REDUCE_MAX:
            return self.add("ReduceMax", [source], output, axes=axes, keepdims=0)
        name = self.constant(f"{output}/axes", np.array(axes, np.int64))
        return self.add("ReduceMax", [source, name], output, keepdims=0)

    def reduce_sum(self, source: str, axes: list[int], output: str) -> str:
        """Sum over axes, which disappear."""
        name = self.constant(f"{output}/axes", np.array(axes, np.int64))
        return self.add("ReduceSum", [source, name], output, keepdims=0)

    def reshape(self, source: str, shape: list[int], output: str) -> str:
        """Reshape; 0 keeps a size."""
        name = self.constant(f"{output}/new", np.array(shape, np.int64))
        return self.add("Reshape", [source, name], output)
