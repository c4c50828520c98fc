"""Build an engine folder: read the models, build for the target, verify, publish."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from stripwatch.engines.manifest import Manifest, load_manifest, sha256_files
from stripwatch.errors import ModelError
from stripwatch.service.console import Progress
from stripwatch_engine.build_key import build_key
from stripwatch_engine.folder import hashed_names, locked, publish
from stripwatch_engine.models.deployment import Deployment, load_deployment
from stripwatch_engine.settings import BuildSettings
from stripwatch_engine.targets.base import BuildInputs, Built
from stripwatch_engine.targets.choose import target_module
from stripwatch_engine.verify.frame_sample import (
    CALIBRATION_SEED,
    VERIFICATION_SEED,
    FrameSample,
    sample_frames,
)
from stripwatch_engine.verify.limits import refusal
from stripwatch_engine.verify.pictures import draw_report
from stripwatch_engine.verify.verification import Verified, verify


@dataclass(frozen=True)
class BuildOptions:
    """Options of a build that do not change the engine."""

    command: str = ""  # stored in the manifest
    timing_cache: Path | None = None
    report: Path | None = None  # folder for pictures of the worst frames
    allow_degraded: bool = False
    force: bool = False  # build although nothing has changed
    progress: Progress = lambda *_: None


@dataclass(frozen=True)
class Outcome:
    """Result of a build."""

    manifest: Manifest
    up_to_date: bool = False  # nothing has changed, nothing was built
    kept: tuple[str, ...] = ()  # nodes that stay in float32
    pictures: tuple[Path, ...] = ()


def build(settings: BuildSettings, output: Path, options: BuildOptions = BuildOptions()) -> Outcome:
    """Build an engine folder.

    The engine is complete and verified before it replaces the one before it: a build that fails, is
    refused or is killed leaves the old engine unchanged (ADR 8).

    Raises:
        ConfigError: settings do not fit together, or a library is missing.
        ModelError: a model cannot be used or built, or the engine differs too much from the
            float32 graph.
        DeviceError: the target builds on a GPU and there is none.
        StorageError: the folder cannot be written.
    """
    target = target_module(settings.target)
    target.check_settings(settings, options.timing_cache)
    with locked(output) as draft:
        options.progress("reading the models", 0, 0)
        deployment = load_deployment(
            settings.composition, settings.frame_shape, settings.card_flags
        )
        verification_frames = _verification_frames(settings)
        calibration_frames = _calibration_frames(settings, target.calibration_count(settings))
        key = build_key(settings, deployment, verification_frames, calibration_frames)
        present = _present_engine(output, key, options)
        if present:
            return Outcome(present, up_to_date=True)
        built = target.build(
            BuildInputs(
                deployment=deployment,
                settings=settings,
                calibration_frames=calibration_frames.frames if calibration_frames else None,
                draft=draft,
                timing_cache=options.timing_cache,
                progress=options.progress,
            )
        )
        manifest = _manifest(settings, deployment, built, draft, options.command, key)
        options.progress(f"verifying on {len(verification_frames.frames)} frames", 0, 0)
        verified = verify(
            draft, manifest, deployment, built.emulated, verification_frames, settings
        )
        pictures = _draw(options.report, verification_frames, verified, deployment)
        if not verified.verification.passed and not options.allow_degraded:
            raise refusal(verified.verification, settings.precision)
        final = msgspec.structs.replace(
            manifest,
            files=hashed_names(built.files, manifest.engine_hash),
            verification=verified.verification,
        )
        publish(draft, output, built.files, final)
    return Outcome(final, kept=built.kept, pictures=pictures)


def _verification_frames(settings: BuildSettings) -> FrameSample:
    return sample_frames(
        settings.verify, settings.frame_shape, settings.verify_frames, seed=VERIFICATION_SEED
    )


def _calibration_frames(settings: BuildSettings, count: int) -> FrameSample | None:
    if not count:
        return None
    return sample_frames(settings.calibration, settings.frame_shape, count, seed=CALIBRATION_SEED)


def _present_engine(output: Path, key: str, options: BuildOptions) -> Manifest | None:
    """The engine in the folder, if it is whole and equal to the one to be built."""
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


def _manifest(
    settings: BuildSettings,
    deployment: Deployment,
    built: Built,
    draft: Path,
    command: str,
    key: str,
) -> Manifest:
    """Manifest of an engine in its draft folder, without its verification."""
    return Manifest(
        target=settings.target,
        engine_hash=sha256_files(*(draft / name for name in built.files)),
        builder=built.builder,
        precision=settings.precision,
        frame_shape=settings.frame_shape,
        classes=deployment.classes,
        files=built.files,
        models=tuple(member.source_model() for member in deployment.members),
        batch=built.batch,
        gate=deployment.gate,
        plan=built.plan,
        command=command,
        build_key=key,
    )


def _draw(
    folder: Path | None, sample: FrameSample, verified: Verified, deployment: Deployment
) -> tuple[Path, ...]:
    """Draw the worst frames, if a folder is given and something was compared."""
    if folder is None or verified.masks is None:
        return ()
    return draw_report(
        folder,
        sample.frames,
        verified.reference,
        verified.masks,
        deployment.classes,
        verified.compared,
    )
