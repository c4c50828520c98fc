"""Runs graphs on the CPU with ONNX Runtime: what every engine is compared with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from stripwatch.errors import ModelError

Array = NDArray[Any]
IR_PROBED = 8  # of 2021: every ONNX Runtime that can be installed here reads it


class Session:
    """A graph, loaded."""

    def __init__(self, model: onnx.ModelProto) -> None:
        """Load a graph.

        Raises:
            ModelError: ONNX Runtime cannot run it.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # it warns of its own optimiser
        self.outputs = [output.name for output in model.graph.output]
        try:
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its own exceptions share no base but this
            raise ModelError(f"ONNX Runtime cannot load the graph: {first_line(error)}") from error

    def run(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """All outputs by name.

        Raises:
            ModelError: ONNX Runtime fails.
        """
        try:
            return dict(zip(self.outputs, self._session.run(self.outputs, inputs), strict=True))
        except Exception as error:  # as above
            raise ModelError(f"ONNX Runtime cannot run the graph: {first_line(error)}") from error


def version() -> str:
    """Name and version, for reports."""
    import onnxruntime

    return f"ONNX Runtime {onnxruntime.__version__}"


def first_line(error: Exception) -> str:
    """What an error of a library says, without its listings and places in its source."""
    line = str(error).strip().partition("\n")[0]
    line = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (/\S+:\d+ .*?\) )?", "", line)
    return line[:300]


@cache
def opset_newest() -> int:
    """The newest opset that both onnx and ONNX Runtime know; exporters may be ahead of them.

    Raises:
        ModelError: ONNX Runtime loads nothing at all.
    """
    make = helper.make_tensor_value_info
    source, output = make("x", TensorProto.FLOAT, [1]), make("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "probe", [source], [output])
    refusal: ModelError | None = None
    for opset in range(onnx.defs.onnx_opset_version(), 0, -1):
        imports = [helper.make_opsetid("", opset)]
        try:
            Session(helper.make_model(graph, opset_imports=imports, ir_version=IR_PROBED))
        except ModelError as error:
            refusal = refusal or error
        else:
            return opset
    assert refusal is not None
    raise refusal


def batch_is_free(model: onnx.ModelProto, source: str, sizes: Sequence[int]) -> bool:
    """Whether a model gives two images together what it gives each alone.

    Args:
        model: with a free batch.
        source: name of its input.
        sizes: channels, height and width of an image.
    """
    images = np.random.default_rng(0).normal(size=(2, *sizes)).astype(np.float32)
    try:
        session = Session(model)
        output = session.outputs[0]
        both = session.run({source: images})[output]
        alone = [session.run({source: image[None]})[output] for image in images]
    except ModelError:
        return False
    together = np.concatenate(alone)
    return both.shape == together.shape and np.allclose(both, together, rtol=1e-3, atol=1e-4)
