"""Tiny models for tests: one convolution with given weights, and cards of numbered classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from stripwatch.engines.manifest import DefectClass
from stripwatch_engine.models.model_card import ModelCard, ModelInput


def numbered_classes(
    count: int, threshold: float = 0.5, min_area_px: int = 0
) -> tuple[DefectClass, ...]:
    """Classes kind1, kind2, ..."""
    return tuple(
        DefectClass(
            id=index + 1,
            name=f"kind{index + 1}",
            threshold=threshold,
            min_area_px=min_area_px,
        )
        for index in range(count)
    )


def make_card(shape: tuple[int, int] = (16, 48), channels: int = 1, **changes: Any) -> ModelCard:
    """A card of three numbered classes; `changes` are fields of the card or `fit`."""
    size = ModelInput(
        channels=channels,  # type: ignore[arg-type] # also numbers that are refused
        height=shape[0],
        width=shape[1],
        fit=changes.pop("fit", "resize"),
    )
    fields: dict[str, Any] = {
        "mean": 0.4,
        "std": 0.25,
        "activation": "sigmoid",
        "classes": numbered_classes(3),
        "trained_on": "synthetic",
    }
    return ModelCard(input=size, **(fields | changes))


def convolution(
    shape: tuple[int, int], weights: NDArray[np.float32], offsets: NDArray[np.float32] | None = None
) -> onnx.ModelProto:
    """One convolution that keeps the size of the image, for a free batch.

    Args:
        shape: height, width of the image.
        weights: float32 [outputs, channels, k, k], k odd.
        offsets: float32 [outputs]; None = 0.
    """
    outputs, channels, size, _ = weights.shape
    constants = (
        {"weights": weights} if offsets is None else {"weights": weights, "offsets": offsets}
    )
    make = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", *constants], ["out"], pads=[size // 2] * 4)],
        "convolution",
        [make("image", TensorProto.FLOAT, ["n", channels, *shape])],
        [make("out", TensorProto.FLOAT, ["n", outputs, *shape])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def save_model(path: Path, model: onnx.ModelProto, card: ModelCard) -> Path:
    """Write NAME.onnx and NAME.json; returns the path of the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    path.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(card)))
    return path


def save_pits_and_cracks(
    path: Path, weights: NDArray[np.float32], mean: float = 0.5, std: float = 0.2
) -> Path:
    """Write a model of two classes for images of 16 x 40; weights float32 [2, 1, k, k]."""
    classes = (DefectClass(id=1, name="pits"), DefectClass(id=2, name="cracks"))
    card = make_card((16, 40), mean=mean, std=std, classes=classes)
    return save_model(path, convolution((16, 40), weights), card)


def save_exact_model(path: Path) -> Path:
    """Write a model whose arithmetic is exact in whatever order, also with TF32.

    Its results are equal bit for bit, although a library may have another kernel for every size of
    batch: the image is pixel / 32 - 4, the weights are multiples of a power of two, and so large
    that probabilities are 0, 1/2 or 1. Bright spots are defects; a dark frame has none.
    """
    weights = np.random.default_rng(1).normal(0.04, 0.05, (2, 1, 5, 5))
    exact = (np.round(weights * 64) * 2**15).astype(np.float32)
    return save_pits_and_cracks(path, exact, mean=128 / 255, std=32 / 255)
