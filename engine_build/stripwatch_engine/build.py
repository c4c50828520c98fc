"""Build an engine folder: the inspection graph for a target, its verification, its manifest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray

from stripwatch.engines.load import unsupported_reason
from stripwatch.engines.manifest import (
    Manifest,
    Plan,
    Precision,
    Verification,
    load_manifest,
    sha256_files,
)
from stripwatch.errors import ConfigError, ModelError, StorageError
from stripwatch.service.console import Progress
from stripwatch_engine.build_key import build_key
from stripwatch_engine.folder import hashed_names, locked, publish
from stripwatch_engine.graph.compose import compose_inspection_graph, image_graph
from stripwatch_engine.models import reference
from stripwatch_engine.models.deployment import Deployment, load_deployment, one_opset
from stripwatch_engine.models.member import Member, with_model
from stripwatch_engine.precision.emulate import emulate_half
from stripwatch_engine.precision.float16 import convert, find_dangerous
from stripwatch_engine.precision.int8 import OPSET_HALF_SCALES, quantize_model
from stripwatch_engine.settings import BuildSettings
from stripwatch_engine.targets import openvino as openvino_target
from stripwatch_engine.targets.tensorrt import build_plan, check_settings
from stripwatch_engine.verify.agreement import Masks, compare, faults, run_engine, run_graph
from stripwatch_engine.verify.frames import (
    CALIBRATION_SEED,
    VERIFICATION_SEED,
    FrameSet,
    load_frames,
)
from stripwatch_engine.verify.pictures import draw_report

PLAN_FILE = "inspection.plan"
HALF_FRAMES = 2  # that a conversion to float16 is compared on, node by node


@dataclass(frozen=True)
class BuildOptions:
    """How a build goes about it; none of this changes what the engine is."""

    command: str = ""  # kept in the manifest
    timing_cache: Path | None = None
    report: Path | None = None  # folder for pictures of the worst frames
    allow_degraded: bool = False
    force: bool = False  # build although nothing has changed
    progress: Progress = lambda *_: None


@dataclass(frozen=True)
class Outcome:
    """What a build came to."""

    manifest: Manifest
    up_to_date: bool = False  # nothing had changed, and nothing was done
    kept: tuple[str, ...] = ()  # nodes that stay in float32
    pictures: tuple[Path, ...] = ()


def build(settings: BuildSettings, output: Path, options: BuildOptions = BuildOptions()) -> Outcome:
    """Build an engine folder.

    The engine is complete and verified before it takes the place of the one before it: a build
    that fails, is refused or is killed leaves that one as it was.

    Raises:
        ConfigError: settings that do not go together, or a library is missing.
        ModelError: a model cannot be used or built, or the engine differs too much from the
            float32 graph.
        DeviceError: the target builds on a GPU and there is none.
        StorageError: the folder cannot be written.
    """
    check_settings(settings, options.timing_cache)
    with locked(output) as draft:
        options.progress("reading the models", 0, 0)
        deployment = load_deployment(
            settings.composition, settings.frame_shape, settings.card_flags
        )
        _check_batch(deployment, settings)
        frames = load_frames(
            settings.verify, settings.frame_shape, settings.verify_frames, seed=VERIFICATION_SEED
        )
        calibration = _calibration(settings)
        key = build_key(settings, deployment, frames, calibration)
        before = _existing(output, key, options)
        if before:
            return Outcome(before, up_to_date=True)
        job = _Job(settings, options, deployment, frames, calibration, draft)
        manifest, kept, pictures = job.run(key)
        final = msgspec.structs.replace(
            manifest, files=hashed_names(manifest.files, manifest.engine_hash)
        )
        publish(draft, output, manifest.files, final)
    return Outcome(final, kept=kept, pictures=pictures)


@dataclass(frozen=True)
class _Job:
    """One build, once its inputs are there."""

    settings: BuildSettings
    options: BuildOptions
    deployment: Deployment
    frames: FrameSet
    calibration: FrameSet | None
    draft: Path

    def run(self, key: str) -> tuple[Manifest, tuple[str, ...], tuple[Path, ...]]:
        """Build and verify; returns the manifest, the nodes kept, the pictures drawn."""
        settings, deployment = self.settings, self.deployment
        if settings.target == "openvino":
            plan = None
            kept: tuple[str, ...] = ()
            candidate = None
            graph = compose_inspection_graph(deployment, bytes_early=True)
            shown = self.calibration.frames if self.calibration else None
            self.options.progress("building", 0, 0)
            files: tuple[str, ...] = openvino_target.FILES
            builder = openvino_target.write_openvino(graph, deployment, settings, shown, self.draft)
        else:
            lowered, emulated, kept = self._lowered()
            graph = compose_inspection_graph(lowered, bytes_early=False)
            serialized, plan = build_plan(
                graph, settings, self.options.timing_cache, self.options.progress
            )
            files, builder = (PLAN_FILE,), f"{settings.target} {plan.version}"
            self._write(PLAN_FILE, serialized)
            candidate = compose_inspection_graph(emulated, bytes_early=True) if emulated else None
        manifest = self._manifest(builder, files, plan, key)
        verification, pictures = self._verify(manifest, candidate)
        return msgspec.structs.replace(manifest, verification=verification), kept, pictures

    def _lowered(self) -> tuple[Deployment, Deployment | None, tuple[str, ...]]:
        """The models in the precision wanted, the same emulated in float32, and what was kept."""
        settings, deployment = self.settings, self.deployment
        if settings.precision == "fp32":
            return deployment, None, ()
        assert self.calibration is not None
        if settings.precision == "int8":
            deployment = one_opset(deployment, OPSET_HALF_SCALES)
        lowered, emulated, kept = [], [], []
        for number, member in enumerate(deployment.members):
            what = f"converting {member.path.name} to {settings.precision}"
            self.options.progress(what, number, len(deployment.members))
            images, model = _images(member, self.calibration.frames, settings), member.core.model
            dangerous = find_dangerous(model, member.core.source, images[:HALF_FRAMES])
            if settings.precision == "int8":
                model = quantize_model(model, member.core.source, images)
            half = convert(model, dangerous)
            lowered.append(with_model(member, half))
            emulated.append(with_model(member, emulate_half(half)))
            kept += [f"{member.path.name}: {name}" for name in sorted(dangerous)]
        return (
            replace(deployment, members=tuple(lowered)),
            replace(deployment, members=tuple(emulated)),
            tuple(kept),
        )

    def _write(self, name: str, data: bytes) -> None:
        try:
            (self.draft / name).write_bytes(data)
        except OSError as error:
            raise StorageError(f"cannot write {self.draft.parent}: {error.strerror}") from error

    def _manifest(
        self, builder: str, files: tuple[str, ...], plan: Plan | None, key: str
    ) -> Manifest:
        settings, deployment = self.settings, self.deployment
        return Manifest(
            target=settings.target,
            engine_hash=sha256_files(*(self.draft / name for name in files)),
            builder=builder,
            precision=settings.precision,
            frame_shape=settings.frame_shape,
            classes=deployment.classes,
            files=files,
            models=tuple(member.source_model() for member in deployment.members),
            batch=settings.batch if plan else None,
            gate=deployment.gate,
            plan=plan,
            command=self.options.command,
            build_key=key,
        )

    def _verify(
        self, manifest: Manifest, candidate: onnx.ModelProto | None
    ) -> tuple[Verification, tuple[Path, ...]]:
        """Compare with the float32 graph; refuse what is past the limits."""
        settings, frames = self.settings, self.frames.frames
        classes, gate = manifest.classes, manifest.gate
        self.options.progress(f"verifying on {len(frames)} frames", 0, 0)
        exact = compose_inspection_graph(self.deployment, bytes_early=True)
        wanted = run_graph(exact, frames, classes, gate)
        results: list[tuple[str, Masks]] = []
        if candidate is not None:
            what = f"{manifest.precision} graph, rounded on the CPU"
            results.append((what, run_graph(candidate, frames, classes, gate)))
        why_not = unsupported_reason(self.draft, manifest)
        if not why_not:
            results.append(("the engine", run_engine(self.draft, manifest, frames)))
        dice_min, error_mean_max = settings.limits()
        verification = Verification(
            reference=f"float32, {reference.version()}",
            source=self.frames.source,
            frames=len(frames),
            dice_min=dice_min,
            error_mean_max=error_mean_max,
            agreements=tuple(compare(what, wanted, found, classes) for what, found in results),
            passed=True,
            remark=f"the {manifest.target} engine itself was not run: {why_not}" if why_not else "",
        )
        pictures: list[Path] = []
        if self.options.report and results:
            what, found = results[-1]
            pictures = draw_report(self.options.report, frames, wanted, found, classes, what)
        wrong = faults(verification)
        if wrong and not self.options.allow_degraded:
            raise ModelError(_refusal(wrong, manifest.precision))
        return msgspec.structs.replace(verification, passed=not wrong), tuple(pictures)


def _refusal(wrong: list[str], precision: Precision) -> str:
    other = {"int8": "--precision fp16, or --calibration with more frames of the line"}
    return (
        f"the engine differs too much from the float32 model: {'; '.join(wrong)}; it was not "
        f"written. Try {other.get(precision, '--precision fp32')}, look at the frames with "
        "--report DIR, or take it as it is with --allow-degraded"
    )


def _calibration(settings: BuildSettings) -> FrameSet | None:
    """Frames to measure on; None where nothing is converted."""
    converts = settings.target != "openvino" and settings.precision == "fp16"
    if settings.precision != "int8" and not converts:
        return None
    count = HALF_FRAMES if converts else settings.calibration_frames
    return load_frames(settings.calibration, settings.frame_shape, count, seed=CALIBRATION_SEED)


def _images(
    member: Member, frames: NDArray[np.uint8], settings: BuildSettings
) -> NDArray[np.float32]:
    """What a model sees of these frames, float32 [n, channels, height, width]."""
    session = reference.Session(image_graph(member, settings.frame_shape))
    return np.concatenate(
        [next(iter(session.run({"frames": frame[None]}).values())) for frame in frames]
    )


def _check_batch(deployment: Deployment, settings: BuildSettings) -> None:
    """A model that was exported for one image cannot be batched."""
    for member in deployment.members:
        if member.core.fixed_batch and settings.target != "openvino" and settings.batch[1] > 1:
            raise ConfigError(
                f"{member.path} was exported for one image at a time; build it with --batch 1:1, "
                "or export it with a dynamic batch"
            )


def _existing(output: Path, key: str, options: BuildOptions) -> Manifest | None:
    """The engine that is there, if it is whole and just what would be built."""
    if options.force or options.report:
        return None
    try:
        manifest = load_manifest(output)
    except ModelError:
        return None
    accepted = manifest.verification is not None and (
        manifest.verification.passed or options.allow_degraded
    )
    return manifest if manifest.build_key == key and accepted else None
