"""Collects the nodes of a graph under construction."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

OPSET_REDUCE_MAX = 18  # ReduceMax takes its axes as an input from here on
OPSET_SPLIT_COUNT = 18  # Split must be told into how many parts from here on
END = np.iinfo(np.int64).max  # of a slice: as far as there is something


class NodeList:
    """Nodes and constants; each method adds to them and returns the name of its result.

    A result's name must be new in the whole graph; helpers put their own names below it.
    """

    def __init__(self, opset: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.opset = opset

    def branch(self) -> NodeList:
        """Another list of nodes, for a subgraph; constants are shared."""
        inner = NodeList(self.opset)
        inner.constants = self.constants
        return inner

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
        kept = self.cut(start, 0, 2, 0, f"{output}/kept")
        side = self.constant(f"{output}/side", np.array(shape, np.int64))
        sizes = self.add("Concat", [kept, side], f"{output}/sizes", axis=0)
        return self.add(
            "Resize",
            [source, "", "", sizes],
            output,
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )

    def cut(self, source: str, start: int, end: int, axis: int, output: str, step: int = 1) -> str:
        """The part of one axis from `start` to before `end`."""
        bounds = [
            self.constant(f"{output}/{name}", np.array([value], np.int64))
            for name, value in (("start", start), ("end", end), ("axis", axis), ("step", step))
        ]
        return self.add("Slice", [source, *bounds], output)

    def mirror(self, source: str, output: str) -> str:
        """[n, c, h, w] with its columns in reverse."""
        return self.cut(source, -1, -END, 3, output, step=-1)

    def halves(self, source: str, output: str) -> tuple[str, str]:
        """The first and the second half of a batch."""
        names = (f"{output}/first", f"{output}/second")
        counted = {"num_outputs": 2} if self.opset >= OPSET_SPLIT_COUNT else {}
        self.nodes.append(
            helper.make_node("Split", [source], list(names), name=output, axis=0, **counted)
        )
        return names

    def reduce_max(self, source: str, axes: list[int], output: str) -> str:
        """Maximum over axes, which disappear."""
        if self.opset < OPSET_REDUCE_MAX:
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
