"""Small ONNX models with their model.json."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.models import make_card, numbered_classes, save_model

from stripwatch_engine.models.model_card import ModelCard

MakeModel = Callable[..., tuple[Path, ModelCard]]


def conv_model(
    card: ModelCard, seed: int, *, stride: int = 1, opset: int = 17, fixed: bool = True
) -> onnx.ModelProto:
    """Two convolutions with a ReLU between: float32 [n, channels, h, w] to [n, C, h', w']."""
    generator = np.random.default_rng(seed)
    channels, outputs = card.input.channels, card.output_channels
    first = generator.normal(size=(6, channels, 3, 3)).astype(np.float32) / 2
    second = generator.normal(size=(outputs, 6, 1, 1)).astype(np.float32)
    nodes = [
        helper.make_node(
            "Conv", ["image", "first"], ["inner"], pads=[1, 1, 1, 1], strides=[stride, stride]
        ),
        helper.make_node("Relu", ["inner"], ["lit"]),
        helper.make_node("Conv", ["lit", "second"], ["out"]),
    ]
    size: list[Any] = [card.input.height, card.input.width] if fixed else ["h", "w"]
    if card.activation == "none":
        nodes[-1].output[0] = "raw"
        nodes.append(helper.make_node("Sigmoid", ["raw"], ["out"]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", channels, *size])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", outputs, "h_out", "w_out"])],
        [numpy_helper.from_array(first, "first"), numpy_helper.from_array(second, "second")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    """Writes a small model and its model.json; arguments change them."""

    def make(
        shape: tuple[int, int] = (16, 40),
        channels: int = 1,
        classes: int = 3,
        *,
        seed: int = 1,
        stride: int = 1,
        opset: int = 17,
        fixed: bool = True,
        **changes: Any,
    ) -> tuple[Path, ModelCard]:
        card = make_card(shape, channels, **({"classes": numbered_classes(classes)} | changes))
        model = conv_model(card, seed, stride=stride, opset=opset, fixed=fixed)
        return save_model(tmp_path / "model.onnx", model, card), card

    return make
