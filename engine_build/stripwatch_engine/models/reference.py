"""Run graphs on the CPU with ONNX Runtime, the reference for every engine."""

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
from stripwatch_engine.models.operators import lacking_operator

Array = NDArray[Any]
IR_PROBED = 8  # of 2021: every supported ONNX Runtime reads it


class Session:
    """A loaded graph."""

    def __init__(self, model: onnx.ModelProto) -> None:
        """Load a graph.

        Raises:
            ModelError: ONNX Runtime cannot load it.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only: it warns about its own optimiser
        self.outputs = [output.name for output in model.graph.output]
        try:
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions have no other common base
            raise ModelError(
                lacking_operator("ONNX Runtime", str(error), model)
                or f"ONNX Runtime cannot load the graph: {first_line(error)}"
            ) from error

    def run(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """Compute all outputs, by name.

        Raises:
            ModelError: ONNX Runtime fails.
        """
        try:
            return dict(zip(self.outputs, self._session.run(self.outputs, inputs), strict=True))
        except Exception as error:  # as above
            raise ModelError(f"ONNX Runtime cannot run the graph: {first_line(error)}") from error


def version() -> str:
    """Name and version of the reference."""
    import onnxruntime

    return f"ONNX Runtime {onnxruntime.__version__}"


def first_line(error: Exception) -> str:
    """First line of a library's error message, without places in its source code."""
    line = str(error).strip().partition("\n")[0]
    line = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (/\S+:\d+ .*?\) )?", "", line)
    return line[:300]


@cache
def opset_newest() -> int:
    """The newest opset that both onnx and ONNX Runtime support; exporters may be ahead of them.

    Raises:
        ModelError: ONNX Runtime cannot load any graph.
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


def batch_is_free(model: onnx.ModelProto, input_name: str, sizes: Sequence[int]) -> bool:
    """Whether the output for a batch of two images equals the outputs for each alone.

    Args:
        model: with a free batch.
        input_name: of the model.
        sizes: channels, height and width of an image.
    """
    images = np.random.default_rng(0).normal(size=(2, *sizes)).astype(np.float32)
    try:
        session = Session(model)
        output = session.outputs[0]
        both = session.run({input_name: images})[output]
        alone = [session.run({input_name: image[None]})[output] for image in images]
    except ModelError:
        return False
    together = np.concatenate(alone)
    return both.shape == together.shape and np.allclose(both, together, rtol=1e-3, atol=1e-4)
