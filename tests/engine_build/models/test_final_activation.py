"""The activation that a model ends in, and what stands behind it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from tests.engine_build.odd_models import node, nodes_model, save

from stripwatch_engine.models.final_activation import final_activation
from stripwatch_engine.models.onnx_model import load_onnx_model

SCALES = {"scales": np.array([1, 1, 2, 2], np.float32)}
BEHIND = {
    "nothing": [node("Sigmoid")],
    "Resize": [
        node("Sigmoid", output="p"),
        helper.make_node("Resize", ["p", "", "scales"], ["out"], mode="linear"),
    ],
    "Transpose": [node("Sigmoid", output="p"), node("Transpose", "p", perm=[0, 1, 3, 2])],
    "Clip": [node("Sigmoid", output="p"), node("Clip", "p")],
    "Concat": [
        node("Sigmoid", output="p"),
        node("Softmax", output="q", axis=1),
        helper.make_node("Concat", ["p", "q"], ["out"], axis=1),
    ],
}


def ending(folder: Path, nodes: list[onnx.NodeProto]) -> str | None:
    path = save(folder / "m.onnx", nodes_model(nodes, constants=SCALES, outputs=0))
    found = final_activation(load_onnx_model(path))
    return str(found) if found else None


@pytest.mark.parametrize("behind", BEHIND)
def test_an_activation_is_seen_behind_what_keeps_its_range(tmp_path: Path, behind: str) -> None:
    """Moving, cutting, averaging and choosing leave probabilities what they are."""
    more = "" if behind == "nothing" else f", behind which stands {behind}"
    assert ending(tmp_path, BEHIND[behind]) == f"Sigmoid{more}"


def test_what_computes_with_an_activation_does_not_end_in_it(tmp_path: Path) -> None:
    """A convolution of probabilities gives any number; so does a part that is none."""
    assert ending(tmp_path, [node("Sigmoid", output="p"), node("Neg", "p")]) is None
    both = helper.make_node("Concat", ["raw", "p"], ["out"], axis=1)
    assert ending(tmp_path, [node("Sigmoid", output="p"), both]) is None
    assert ending(tmp_path, [node("Identity")]) is None
