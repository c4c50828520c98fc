"""The nodes of a graph under construction."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

OPSET_REDUCE_MAX = 18  # from here on ReduceMax takes its axes as an input
OPSET_SPLIT_COUNT = 18  # from here on Split needs the number of parts
END = np.iinfo(np.int64).max  # of a slice: to the end of the axis


class NodeList:
    """Nodes and constants; each method adds to them and returns the name of its result.

    The name of a result must be unique in the graph; helpers derive further names from it.
    """

    def __init__(self, opset: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.opset = opset

    def branch(self) -> NodeList:
        """A new list of nodes for a subgraph; constants are shared."""
        inner = NodeList(self.opset)
        inner.constants = self.constants
        return inner

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        """Add a constant tensor."""
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        """Add a node with one output."""
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def resize(self, source: str, shape: tuple[int, int], output: str) -> str:
        """Resize [n, c, h, w] to `shape`: bilinear, pixel centres at halves, no antialiasing."""
        # Not by scales, which round. Sizes need n and c, which only the graph knows; axes instead
        # of them need opset 18.
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
        """Slice one axis from `start` to before `end`."""
        bounds = [
            self.constant(f"{output}/{name}", np.array([value], np.int64))
            for name, value in (("start", start), ("end", end), ("axis", axis), ("step", step))
        ]
        return self.add("Slice", [source, *bounds], output)

    def mirror(self, source: str, output: str) -> str:
        """Reverse the columns of [n, c, h, w]."""
        return self.cut(source, -1, -END, 3, output, step=-1)

    def halves(self, source: str, output: str) -> tuple[str, str]:
        """Split a batch into its first and its second half."""
        names = (f"{output}/first", f"{output}/second")
        count = {"num_outputs": 2} if self.opset >= OPSET_SPLIT_COUNT else {}
        self.nodes.append(
            helper.make_node("Split", [source], list(names), name=output, axis=0, **count)
        )
        return names

    def reduce_max(self, source: str, axes: list[int], output: str) -> str:
        """Maximum over axes, which are removed."""
        if self.opset < OPSET_REDUCE_MAX:
            return self.add("ReduceMax", [source], output, axes=axes, keepdims=0)
        name = self.constant(f"{output}/axes", np.array(axes, np.int64))
        return self.add("ReduceMax", [source, name], output, keepdims=0)

    def reduce_sum(self, source: str, axes: list[int], output: str) -> str:
        """Sum over axes, which are removed."""
        name = self.constant(f"{output}/axes", np.array(axes, np.int64))
        return self.add("ReduceSum", [source, name], output, keepdims=0)

    def reshape(self, source: str, shape: list[int], output: str) -> str:
        """Reshape; 0 keeps the size of a dimension."""
        name = self.constant(f"{output}/new", np.array(shape, np.int64))
        return self.add("Reshape", [source, name], output)
