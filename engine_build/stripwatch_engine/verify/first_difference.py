"""Find the operator of a model that ONNX Runtime and OpenVINO compute differently."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from stripwatch.engines.openvino import shared_core
from stripwatch.errors import ModelError
from stripwatch_engine.graph.compose import image_graph
from stripwatch_engine.models.deployment import Deployment
from stripwatch_engine.models.reference import Session

TOLERANCE = 1e-2  # of the largest value; float32 sums of other orders differ by far less


def first_difference(deployment: Deployment, frame: NDArray[np.uint8]) -> str:
    """The first operator whose outputs differ, such as "Resize (up1)"; "" = none is found.

    Args:
        deployment: float32 models.
        frame: uint8 [lines, pixels].
    """
    for member in deployment.members:
        images = Session(image_graph(member, deployment.frame_shape))
        image = next(iter(images.run({"frames": frame[None]}).values()))
        found = _first_of_model(member.model.proto, member.model.input_name, image)
        if found:
            return f"{found} of {member.name}" if len(deployment.members) > 1 else found
    return ""


def _first_of_model(model: onnx.ModelProto, input_name: str, image: NDArray[np.float32]) -> str:
    """The same of one model."""
    shown = _with_all_outputs(model)
    names = [output.name for output in shown.graph.output]
    try:
        wanted = Session(shown).run({input_name: image})
        core = shared_core()
        settings = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled = core.compile_model(core.read_model(shown.SerializeToString()), "CPU", settings)
        found = dict(zip(names, compiled({input_name: image}).values(), strict=True))
    except (ModelError, RuntimeError):  # one of them cannot show what is inside
        return ""
    for node in shown.graph.node:
        for name in node.output:
            if name in found and _differ(wanted[name], found[name]):
                return f"{node.op_type} ({node.name})"
    return ""


def _with_all_outputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose outputs are all of its float32 tensors."""
    shown = onnx.shape_inference.infer_shapes(model)
    given = {output.name for output in shown.graph.output}
    shown.graph.output.extend(
        value
        for value in shown.graph.value_info
        if value.type.tensor_type.elem_type == TensorProto.FLOAT and value.name not in given
    )
    return shown


def _differ(wanted: NDArray[Any], found: NDArray[Any]) -> bool:
    if wanted.shape != found.shape:
        return True
    scale = max(1.0, float(np.abs(wanted).max(initial=0)))
    return float(np.abs(wanted - found).max(initial=0)) > TOLERANCE * scale
