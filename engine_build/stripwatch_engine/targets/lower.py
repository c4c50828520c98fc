"""Convert the models of a deployment to a lower precision, for targets that take it as it is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.manifest import Precision
from stripwatch.service.console import Progress
from stripwatch_engine.graph.compose import image_graph
from stripwatch_engine.models.deployment import Deployment, one_opset
from stripwatch_engine.models.member import Member, with_model
from stripwatch_engine.models.reference import Session
from stripwatch_engine.precision.emulate import emulate_float16
from stripwatch_engine.precision.float16 import convert_to_float16
from stripwatch_engine.precision.float16_search import nodes_to_keep_float32
from stripwatch_engine.precision.int8 import OPSET_FLOAT16_SCALES, quantize_model

COMPARED_FRAMES = 2  # for the search of nodes that stay in float32


@dataclass(frozen=True)
class Lowered:
    """A deployment in a lower precision."""

    deployment: Deployment
    emulated: Deployment | None = None  # the same with its roundings, in float32; None = exact
    kept: tuple[str, ...] = ()  # nodes that stay in float32, each as "FILE: NODE"


def lower(
    deployment: Deployment,
    precision: Precision,
    frames: NDArray[np.uint8] | None,
    progress: Progress,
) -> Lowered:
    """Convert all models: to float16, in int8 with the convolutions quantized.

    Args:
        deployment: float32 models.
        precision: fp32 changes nothing.
        frames: for calibration and comparison, uint8 [n, lines, pixels]; None for fp32.
        progress: called for each model.

    Raises:
        ModelError: a model cannot be converted.
    """
    if precision == "fp32":
        return Lowered(deployment)
    assert frames is not None
    if precision == "int8":
        deployment = one_opset(deployment, OPSET_FLOAT16_SCALES)
    lowered, emulated, kept = [], [], []
    for number, member in enumerate(deployment.members):
        what = f"converting {member.name} to {precision}"
        progress(what, number, len(deployment.members))
        images = _model_images(member, frames, deployment.frame_shape)
        proto, input_name = member.model.proto, member.model.input_name
        nodes = nodes_to_keep_float32(proto, input_name, images[:COMPARED_FRAMES])
        if precision == "int8":
            proto = quantize_model(proto, input_name, images)
        half = convert_to_float16(proto, nodes)
        lowered.append(with_model(member, half))
        emulated.append(with_model(member, emulate_float16(half)))
        kept += [f"{member.name}: {name}" for name in sorted(nodes)]
    return Lowered(
        replace(deployment, members=tuple(lowered)),
        replace(deployment, members=tuple(emulated)),
        tuple(kept),
    )


def _model_images(
    member: Member, frames: NDArray[np.uint8], frame_shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Input of one model for these frames, float32 [n, channels, height, width]."""
    session = Session(image_graph(member, frame_shape))
    return np.concatenate(
        [next(iter(session.run({"frames": frame[None]}).values())) for frame in frames]
    )
