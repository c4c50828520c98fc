"""Small models as other programs export them, and what they compute."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from stripwatch_engine.models.reference import Session

SHAPE = (16, 40)
DARK_BRIGHT = np.array([[[[-9.0]]], [[[9.0]]]], np.float32)  # logits of an image around 0
GIVEN = ["--classes=dark,bright", "--mean=0.5", "--std=0.25"]  # of a model without a card
FRAME = ["--frame=16x40", "--verify-frames=8"]


def nodes_model(
    nodes: Sequence[onnx.NodeProto],
    *,
    constants: dict[str, NDArray[Any]] | None = None,
    outputs: int = 2,
    channels: int = 1,
    opset: int = 17,
) -> onnx.ModelProto:
    """A model of nodes that lead from `image` to `out`, with a convolution before, `raw`.

    The convolution finds dark and bright pixels; logits float32 [n, 2, 16, 40].
    """
    values = {"weights": DARK_BRIGHT.repeat(channels, axis=1) / channels, **(constants or {})}
    make = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "weights"], ["raw"], name="conv"), *nodes],
        "odd",
        [make("image", TensorProto.FLOAT, ["n", channels, *SHAPE])],
        [make("out", TensorProto.FLOAT, ["n", outputs, "h", "w"])],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def node(operator: str, source: str = "raw", output: str = "out", **more: Any) -> onnx.NodeProto:
    """A node with one input; the last is named like its operator."""
    name = operator.lower() if output == "out" else output
    return helper.make_node(operator, [source], [output], name=name, **more)


def save(path: Path, model: onnx.ModelProto) -> Path:
    onnx.save(model, path)
    return path


def outputs_of(model: onnx.ModelProto, image: NDArray[np.float32]) -> NDArray[Any]:
    """The only output of a model."""
    session = Session(model)
    (found,) = session.run({model.graph.input[0].name: image}).values()
    return found


def noise(channels: int = 1) -> NDArray[np.float32]:
    """A random image."""
    return np.random.default_rng(4).normal(size=(1, channels, *SHAPE)).astype(np.float32)
