"""Write an inspection graph as OpenVINO IR."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from stripwatch.engines.base import presence_thresholds
from stripwatch.errors import ModelError, StorageError
from stripwatch_engine.models.deployment import Deployment
from stripwatch_engine.precision.int8 import quantize_openvino
from stripwatch_engine.settings import BuildSettings

STEM = "inspection"
FILES = (f"{STEM}.xml", f"{STEM}.bin")
CORE_TAGS = r"(model|gate|classifier)\d+/"  # how the graph names what belongs to a model


def write_openvino(
    graph: onnx.ModelProto,
    deployment: Deployment,
    settings: BuildSettings,
    calibration: NDArray[np.uint8] | None,
    folder: Path,
) -> str:
    """Write the graph into a folder; returns name and version of the builder.

    The batch is fixed at 1: the daemon runs one request per frame (docs/adr/0001). In `fp16` the
    weights are halved; the daemon computes in float32 on every CPU.

    Args:
        graph: the inspection graph in float32.
        deployment: what it was made of.
        settings: of the build.
        calibration: frames for int8, uint8 [n, lines, pixels].
        folder: to write FILES into.

    Raises:
        ModelError: OpenVINO cannot take the graph.
        ConfigError: NNCF is missing.
        StorageError: the files cannot be written.
    """
    import openvino

    try:
        model = openvino.Core().read_model(graph.SerializeToString())
        model.reshape({"frames": [1, *settings.frame_shape]})
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()]
        reason = "; ".join(line for line in lines if line and not line.startswith("Exception"))
        raise ModelError(
            f"OpenVINO cannot take this model: {reason}; replace the operator in the model, or "
            "export it with another opset"
        ) from error
    if calibration is not None:
        _number_nameless(model)  # NNCF writes down which operators it left as they are
        model = quantize_openvino(model, calibration, _extra_inputs(deployment), _ends(model))
    _number_nameless(model)
    try:
        half = settings.precision == "fp16"
        openvino.save_model(model, str(folder / FILES[0]), compress_to_fp16=half)
    except RuntimeError as error:
        raise StorageError(f"cannot write to {folder.parent}; is the disk full?") from error
    return f"openvino {openvino.__version__.partition('-')[0]}"


def _extra_inputs(deployment: Deployment) -> dict[str, NDArray[np.float32]]:
    inputs = {"thresholds": np.array([entry.threshold for entry in deployment.classes], np.float32)}
    if deployment.gate:
        # Nothing is absent: every part of the graph is measured.
        count = len(deployment.classes)
        inputs["presence_thresholds"] = np.zeros_like(presence_thresholds(deployment.gate, count))
    return inputs


def _ends(model: Any) -> set[str]:  # noqa: ANN401 - openvino carries no types
    """Names of the operators that belong to no trained model."""
    names = {node.get_friendly_name() for node in model.get_ordered_ops()}
    return {name for name in names if not re.match(CORE_TAGS, name)}


def _number_nameless(model: Any) -> None:  # noqa: ANN401 - openvino carries no types
    """OpenVINO numbers nameless nodes by a counter of the process.

    The same model must give the same bytes, for their hash names the engine.
    """
    for number, node in enumerate(model.get_ordered_ops()):
        if re.fullmatch(r"[A-Za-z]+_\d+", node.get_friendly_name()):
            node.set_friendly_name(f"{node.get_type_name()}_{number}")
