"""Judge the float32 models before an engine is compared with them: an engine is no better."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.base import Frames
from stripwatch.errors import ModelError
from stripwatch.service.console import Progress
from stripwatch_engine.graph.compose import image_graph
from stripwatch_engine.models.deployment import Deployment
from stripwatch_engine.models.final_activation import final_activation
from stripwatch_engine.models.member import Member
from stripwatch_engine.models.reference import Session

RANGE_TOLERANCE = 0.01  # of probabilities, for the rounding of a model's last operator
REPEAT_TOLERANCE = 1e-3  # of the largest value; libraries add in another order every time
CONSTANT_MAX = 1e-3  # span of an output that does not depend on the frame


@dataclass(frozen=True)
class _Outputs:
    """Measurements of the raw outputs of one model for all frames."""

    finite: NDArray[np.bool_]  # [n]; frames whose output is finite
    low: float
    high: float
    span: float  # largest, over the channels, of the difference between high and low
    sums_to_one: bool  # over the channels


def judge_models(deployment: Deployment, frames: Frames, progress: Progress) -> list[str]:
    """Run every model of a deployment by itself and refuse one that cannot be right.

    Args:
        deployment: float32 models.
        frames: uint8 [n, lines, pixels].
        progress: called for each model.

    Returns:
        Sentences about what is odd, but may be right.

    Raises:
        ModelError: an output is not finite, is no probability or a probability already, has the
            wrong shape, or differs from one run to the next; the message names the model.
    """
    remarks = []
    for number, member in enumerate(deployment.members):
        progress(f"checking {member.name}", number, len(deployment.members))
        outputs = _measure(member, frames, deployment.frame_shape)
        _check_finite(member, outputs)
        _check_range(member, outputs)
        if outputs.span < CONSTANT_MAX and len(frames) > 1:
            remarks.append(
                f"{member.path}: the output is the same for every frame and pixel "
                f"({outputs.high:.4g}); are mean and std those of its training, and are its "
                "weights trained?"
            )
        elif member.role != "segmentation" and _looks_active(member, outputs):
            remarks.append(
                f"{member.path}: the output lies in 0 to 1 on all frames; if these are "
                "probabilities already, set the activation to none"
            )
    return remarks


def _measure(member: Member, frames: Frames, frame_shape: tuple[int, int]) -> _Outputs:
    images, model = Session(image_graph(member, frame_shape)), Session(member.model.proto)
    finite, lows, highs, sums = [], [], [], []
    for index, frame in enumerate(frames):
        image = next(iter(images.run({"frames": frame[None]}).values()))
        output = model.run({member.model.input_name: image})[member.model.output_name]
        if index == 0:
            again = model.run({member.model.input_name: image})[member.model.output_name]
            _check_shape(member, output.shape)
            _check_repeat(member, output, again)
        finite.append(bool(np.isfinite(output).all()))
        if finite[-1]:
            rest = tuple(axis for axis in range(output.ndim) if axis != 1)
            lows.append(output.min(axis=rest))
            highs.append(output.max(axis=rest))
            sums.append(bool(np.allclose(output.sum(axis=1), 1, atol=RANGE_TOLERANCE)))
    if not lows:
        return _Outputs(np.array(finite), np.nan, np.nan, np.nan, sums_to_one=False)
    low, high = np.min(lows, axis=0), np.max(highs, axis=0)
    span = float((high - low).max())
    return _Outputs(np.array(finite), float(low.min()), float(high.max()), span, all(sums))


def _check_shape(member: Member, shape: tuple[int, ...]) -> None:
    channels = member.card.output_channels
    if len(shape) in (2, 4) and shape[1] == channels:
        return
    last = shape[-1] == channels and len(shape) == 4
    remedy = (
        "the classes are its last axis: export it with channels first (tf2onnx: --outputs-as-nchw)"
        if last
        else f"its card describes {channels} channels; correct the card or the model"
    )
    raise ModelError(f"{member.path}: the model's output has the shape {list(shape)}; {remedy}")


def _check_repeat(member: Member, output: NDArray[np.float32], again: NDArray[np.float32]) -> None:
    if not np.isfinite(output).all():
        return  # is refused as such
    scale = max(1.0, float(np.abs(output).max(initial=0)))
    error = float(np.abs(output - again).max(initial=0))
    if error > REPEAT_TOLERANCE * scale:
        raise ModelError(
            f"{member.path} gives another output for the same frame the second time (by "
            f"{error:.3g}): an operator in it is random or keeps a state; export it in evaluation "
            "mode (model.eval())"
        )


def _check_finite(member: Member, outputs: _Outputs) -> None:
    bad = int((~outputs.finite).sum())
    if bad:
        raise ModelError(
            f"{member.path} gives values that are not finite (NaN or infinity) on {bad} of "
            f"{len(outputs.finite)} frames, so the line would find nothing; check its weights, and "
            "export or train it again"
        )


def _check_range(member: Member, outputs: _Outputs) -> None:
    activation = member.card.activation
    inside = outputs.low >= -RANGE_TOLERANCE and outputs.high <= 1 + RANGE_TOLERANCE
    span = f"from {outputs.low:.4g} to {outputs.high:.4g}"
    if activation == "none" and not inside and final_activation(member.model) is None:
        raise ModelError(
            f"{member.path}: the output goes {span}, outside of 0 to 1, so it is not made of "
            "probabilities but of logits, and the activation is none; set the activation to "
            "sigmoid or softmax, as in its training"
        )
    if member.role == "segmentation" and _looks_active(member, outputs):
        raise ModelError(
            f"{member.path}: the output goes {span}, so it seems to be made of probabilities "
            f"already, and the activation {activation} would be applied twice; set the activation "
            "to none"
        )


def _looks_active(member: Member, outputs: _Outputs) -> bool:
    """Whether an output that an activation is yet to be applied to looks like probabilities."""
    if member.card.activation == "none":
        return False
    return (
        outputs.low >= 0
        and outputs.high <= 1
        and (outputs.span >= CONSTANT_MAX or outputs.sums_to_one)
    )
