"""Refuse models that give another output for the same image: random or in training mode."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import numpy_helper

from stripwatch.errors import ModelError

RANDOM = ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike")
RANDOM_UNIFORM = ("RandomUniform", "RandomUniformLike")


def refuse_training_mode(path: Path, model: onnx.ModelProto) -> None:
    """Check that no operator draws random numbers or takes statistics of its batch.

    Raises:
        ModelError: the message names the operator.
    """
    values = {entry.name: entry for entry in model.graph.initializer}
    values |= {
        node.output[0]: attribute.t
        for node in model.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    for node in model.graph.node:
        if node.op_type in (*RANDOM, *RANDOM_UNIFORM):
            raise ModelError(
                f"{path}: {node.op_type} ({node.name}) draws random numbers, so the model gives "
                "another output every time; export it without it, in evaluation mode "
                "(model.eval())"
            )
        if _in_training_mode(node, values):
            raise ModelError(
                f"{path}: {node.op_type} ({node.name}) is in training mode, so the model gives "
                "another output than in training's own evaluation; export it in evaluation mode "
                "(model.eval(), torch.onnx.TrainingMode.EVAL)"
            )


def _in_training_mode(node: onnx.NodeProto, values: dict[str, onnx.TensorProto]) -> bool:
    if node.op_type == "BatchNormalization":
        # Before opset 14 the number of outputs said so.
        outputs = sum(bool(name) for name in node.output)
        return outputs > 1 or any(
            entry.name == "training_mode" and entry.i for entry in node.attribute
        )
    if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2] in values:
        ratio = values.get(node.input[1])
        drops = ratio is None or bool(numpy_helper.to_array(ratio).any())
        return drops and bool(numpy_helper.to_array(values[node.input[2]]).any())
    return False
