"""Verify a built engine: compare it with the float32 graph and measure the difference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import onnx

from stripwatch.engines.load import unsupported_reason
from stripwatch.engines.manifest import Manifest, Verification
from stripwatch_engine.graph.compose import compose_inspection_graph
from stripwatch_engine.models import reference
from stripwatch_engine.models.deployment import Deployment
from stripwatch_engine.settings import BuildSettings
from stripwatch_engine.verify.agreement import Masks, compare, run_engine, run_graph
from stripwatch_engine.verify.frame_sample import FrameSample
from stripwatch_engine.verify.limits import faults


@dataclass(frozen=True)
class Verified:
    """The measurements, and the masks that they were made of."""

    verification: Verification
    reference: Masks
    compared: str = ""  # the last thing compared: the engine where it runs here; "" = nothing
    masks: Masks | None = None  # of the last thing compared


def verify(
    folder: Path,
    manifest: Manifest,
    deployment: Deployment,
    emulated: onnx.ModelProto | None,
    sample: FrameSample,
    settings: BuildSettings,
) -> Verified:
    """Compare an engine with the float32 graph of its models.

    Args:
        folder: with the engine's files.
        manifest: of the engine.
        deployment: its float32 models.
        emulated: the graph with the engine's roundings, to compare as well; None = there is none.
        sample: the frames to compare on.
        settings: of the build; the limits.

    Raises:
        ModelError: a graph or the engine cannot be run.
        DeviceError: the engine's device fails.
    """
    frames, classes, gate = sample.frames, manifest.classes, manifest.gate
    exact = compose_inspection_graph(deployment, bytes_early=True)
    expected = run_graph(exact, frames, classes, gate)
    results: list[tuple[str, Masks]] = []
    if emulated is not None:
        what = f"{manifest.precision} graph, rounded on the CPU"
        results.append((what, run_graph(emulated, frames, classes, gate)))
    reason = unsupported_reason(folder, manifest)
    if not reason:
        results.append(("the engine", run_engine(folder, manifest, frames)))
    dice_min, error_mean_max = settings.limits()
    verification = Verification(
        reference=f"float32, {reference.version()}",
        source=sample.source,
        frames=len(frames),
        dice_min=dice_min,
        error_mean_max=error_mean_max,
        agreements=tuple(compare(what, expected, found, classes) for what, found in results),
        passed=True,
        remark=f"the {manifest.target} engine itself was not run: {reason}" if reason else "",
    )
    passed = not faults(verification)
    verification = msgspec.structs.replace(verification, passed=passed)
    if not results:
        return Verified(verification, expected)
    return Verified(verification, expected, *results[-1])
