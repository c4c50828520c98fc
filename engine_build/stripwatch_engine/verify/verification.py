"""Verify a built engine: compare it with the float32 graph and measure the difference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import onnx

from stripwatch.engines.base import Frames
from stripwatch.engines.load import unsupported_reason
from stripwatch.engines.manifest import Manifest, Verdict, Verification
from stripwatch.service.console import Progress
from stripwatch_engine.graph.compose import compose_inspection_graph
from stripwatch_engine.models import reference
from stripwatch_engine.models.deployment import Deployment
from stripwatch_engine.settings import BuildSettings
from stripwatch_engine.verify.agreement import Masks, compare, run_engine, run_graph
from stripwatch_engine.verify.float32 import judge_models
from stripwatch_engine.verify.frame_sample import FrameSample
from stripwatch_engine.verify.limits import doubts, faults, not_judged
from stripwatch_engine.verify.spare_frames import with_missing_classes


@dataclass(frozen=True)
class Reference:
    """Output of the float32 models, which an engine is compared with."""

    sample: FrameSample
    masks: Masks
    doubts: list[str]  # why these frames cannot show that the engine is right
    remarks: list[str]  # about the models and the frames


@dataclass(frozen=True)
class Verified:
    """The measurements, and the masks that they were made of."""

    verification: Verification
    compared: str = ""  # the last thing compared: the engine where it runs here; "" = nothing
    masks: Masks | None = None  # of the last thing compared


def run_reference(
    deployment: Deployment,
    sample: FrameSample,
    calibration: FrameSample | None,
    settings: BuildSettings,
    progress: Progress,
) -> Reference:
    """Run the float32 models on a sample, and judge them and the frames.

    Raises:
        ModelError: a model cannot be run, or cannot be right.
    """
    remarks = [sample.remark("verified", "--verify-frames")]
    if calibration:
        is_same_source = calibration.source == sample.source and not sample.is_generated
        if is_same_source and not settings.calibration:
            remarks.append(
                f"calibrated on frames of {sample.source}, as it is verified; --calibration names "
                "others"
            )
        remarks.append(calibration.remark("calibrated", "--calibration-frames"))
    about_models = judge_models(deployment, sample.frames, progress)
    exact = reference.Session(compose_inspection_graph(deployment, bytes_early=True))
    classes, done = deployment.classes, _steps(progress, "running the float32 models", sample)
    masks = run_graph(exact, sample.frames, classes, deployment.gate, done)

    def run(frames: Frames) -> Masks:
        progress("looking for frames that show every class", 0, 0)
        return run_graph(exact, frames, classes, deployment.gate)

    asked = len(sample.frames)
    sample, masks, added = with_missing_classes(sample, masks, classes, run)
    if len(sample.frames) > asked:  # what is odd on few frames need not be on all
        about_models = judge_models(deployment, sample.frames, progress)
    remarks += [added, *about_models]
    doubtful = doubts(sample, masks, classes, settings.precision)
    return Reference(sample, masks, doubtful, [text for text in remarks if text])


def verify(
    folder: Path,
    manifest: Manifest,
    expected: Reference,
    emulated: onnx.ModelProto | None,
    settings: BuildSettings,
    progress: Progress = lambda *_: None,
) -> Verified:
    """Compare an engine with the float32 models.

    Args:
        folder: with the engine's files.
        manifest: of the engine.
        expected: output of its float32 models.
        emulated: the graph with the engine's roundings, to compare as well; None = there is none.
        settings: of the build; the limits.
        progress: called for each frame.

    Raises:
        ModelError: a graph or the engine cannot be run.
        DeviceError: the engine's device fails.
    """
    sample, classes = expected.sample, manifest.classes
    results: list[tuple[str, Masks]] = []
    if emulated is not None:
        what = f"{manifest.precision} graph, rounded on the CPU"
        done = _steps(progress, "verifying the rounded graph", sample)
        results.append((what, run_graph(emulated, sample.frames, classes, manifest.gate, done)))
    reason = unsupported_reason(folder, manifest)
    if not reason:
        done = _steps(progress, "verifying the engine", sample)
        results.append(("the engine", run_engine(folder, manifest, sample.frames, done)))
    not_run = f"the {manifest.target} engine itself was not run: {reason}" if reason else ""
    dice_min, error_mean_max = settings.limits()
    verification = Verification(
        reference=f"float32, {reference.version()}",
        source=sample.source,
        frames=len(sample.frames),
        dice_min=dice_min,
        error_mean_max=error_mean_max,
        agreements=tuple(compare(what, expected.masks, found, classes) for what, found in results),
        passed=True,
        remark="\n".join(text for text in (not_run, *expected.remarks, *expected.doubts) if text),
        not_judged=tuple(not_judged(expected.masks, classes)),
    )
    verdict = _verdict(verification, expected.doubts)
    verification = msgspec.structs.replace(
        verification, verdict=verdict, passed=verdict == "passed"
    )
    return Verified(verification, *results[-1]) if results else Verified(verification)


def _verdict(verification: Verification, doubtful: list[str]) -> Verdict:
    if faults(verification):
        return "degraded"
    return "not verified" if doubtful or not verification.agreements else "passed"


def _steps(progress: Progress, what: str, sample: FrameSample) -> Callable[[int], None]:
    """Progress over the frames of a sample."""
    return lambda done: progress(what, done, len(sample.frames))
