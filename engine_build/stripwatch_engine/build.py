"""Build an engine folder: read the models, build for the target, verify, publish."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from stripwatch.engines.manifest import Manifest, Verification, load_manifest, sha256_files
from stripwatch.engines.manifest_text import verdict_of
from stripwatch.errors import ModelError
from stripwatch.service.console import Progress
from stripwatch_engine.build_key import build_key
from stripwatch_engine.folder import hashed_names, locked, publish
from stripwatch_engine.models.deployment import Deployment, check_soft_gate, load_deployment
from stripwatch_engine.settings import BuildSettings
from stripwatch_engine.targets.base import BuildInputs, Built
from stripwatch_engine.targets.choose import target_module
from stripwatch_engine.verify.first_difference import first_difference
from stripwatch_engine.verify.frame_choice import calibration_frames, verification_frames
from stripwatch_engine.verify.limits import refusal, refusal_of_frames
from stripwatch_engine.verify.pictures import draw_report
from stripwatch_engine.verify.verification import Reference, Verified, run_reference, verify


@dataclass(frozen=True)
class BuildOptions:
    """Options of a build that do not change the engine."""

    command: str = ""  # stored in the manifest
    timing_cache: Path | None = None
    report: Path | None = None  # folder for pictures of the worst frames
    allow_degraded: bool = False  # write an engine beyond the limits
    allow_unverified: bool = False  # write one that the frames cannot show to be right
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
        check_soft_gate(deployment)
        sample = verification_frames(settings, deployment)
        calibration = calibration_frames(settings, deployment, target.calibration_count(settings))
        key = build_key(settings, deployment, sample, calibration)
        present = _present_engine(output, key, options)
        if present:
            return Outcome(present, up_to_date=True)
        reference = run_reference(deployment, sample, calibration, settings, options.progress)
        if reference.doubts and not options.allow_unverified:
            raise refusal_of_frames(reference.doubts, sample, reference.remarks)
        built = target.build(
            BuildInputs(
                deployment=deployment,
                settings=settings,
                calibration_frames=calibration.frames if calibration else None,
                draft=draft,
                timing_cache=options.timing_cache,
                progress=options.progress,
            )
        )
        manifest = _manifest(settings, deployment, built, draft, options.command, key)
        verified = verify(draft, manifest, reference, built.emulated, settings, options.progress)
        pictures = _draw(options.report, reference, verified, deployment)
        _check_verdict(verified, reference, deployment, settings, options)
        final = msgspec.structs.replace(
            manifest,
            files=hashed_names(built.files, manifest.engine_hash),
            verification=verified.verification,
        )
        publish(draft, output, built.files, final)
    return Outcome(final, kept=built.kept, pictures=pictures)


def _check_verdict(
    verified: Verified,
    reference: Reference,
    deployment: Deployment,
    settings: BuildSettings,
    options: BuildOptions,
) -> None:
    """Refuse an engine that did not pass, unless an option accepts it."""
    verification = verified.verification
    if _is_accepted(verification, options):
        return
    if verification.verdict == "degraded":
        is_exact = settings.target == "openvino" and settings.precision == "fp32"
        frame = reference.sample.frames[0]
        operator = first_difference(deployment, frame) if is_exact else ""
        raise refusal(verification, settings, operator)
    raise refusal_of_frames([verification.remark], reference.sample, [])


def _is_accepted(verification: Verification, options: BuildOptions) -> bool:
    match verdict_of(verification):
        case "passed":
            return True
        case "not verified":
            return options.allow_unverified
        case "degraded":
            return options.allow_degraded


def _present_engine(output: Path, key: str, options: BuildOptions) -> Manifest | None:
    """The engine in the folder, if it is whole and equal to the one to be built."""
    if options.force or options.report:
        return None
    try:
        manifest = load_manifest(output)
    except ModelError:
        return None
    if manifest.build_key != key or manifest.verification is None:
        return None
    return manifest if _is_accepted(manifest.verification, options) else None


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
    folder: Path | None, reference: Reference, verified: Verified, deployment: Deployment
) -> tuple[Path, ...]:
    """Draw the worst frames, if a folder is given and something was compared."""
    if folder is None or verified.masks is None:
        return ()
    return draw_report(
        folder,
        reference.sample.frames,
        reference.masks,
        verified.masks,
        deployment.classes,
        verified.compared,
    )
