"""Runs graphs on the CPU with ONNX Runtime: what every engine is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from stripwatch.errors import ModelError

Array = NDArray[Any]


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
    """What an error of a library says, without its listings."""
    return str(error).strip().partition("\n")[0][:300]


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
