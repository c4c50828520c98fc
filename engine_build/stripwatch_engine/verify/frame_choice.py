"""Which frames an engine is calibrated and verified on, where flags name none (ADR 15)."""

from __future__ import annotations

from stripwatch.errors import ConfigError, StorageError
from stripwatch_engine.models.deployment import Deployment
from stripwatch_engine.settings import SYNTHETIC, BuildSettings
from stripwatch_engine.verify.frame_sample import (
    CALIBRATION_SEED,
    PATTERN,
    VERIFICATION_SEED,
    FrameSample,
    sample_frames,
)

SPARE_FRAMES = 64  # looked through for classes that the frames do not show; a pass for each


def verification_frames(settings: BuildSettings, deployment: Deployment) -> FrameSample:
    """Frames to verify on: those of --verify, else of the composition, else made ones.

    Named sources give spare frames, too.

    Raises:
        ConfigError: there is no such source, it is empty, or its frames have another size.
        StorageError: the source cannot be read.
    """
    count = settings.verify_frames
    return _sample(
        settings, deployment, settings.verify, count, VERIFICATION_SEED, "--verify", SPARE_FRAMES
    )


def calibration_frames(
    settings: BuildSettings, deployment: Deployment, count: int
) -> FrameSample | None:
    """Frames to calibrate on, chosen as those to verify on; None where `count` is 0.

    Frames of --verify are better than made ones where nothing else is named.

    Raises:
        ConfigError, StorageError: as `verification_frames`.
    """
    if not count:
        return None
    source = settings.calibration or ("" if settings.composition.frames else settings.verify)
    return _sample(settings, deployment, source, count, CALIBRATION_SEED, "--calibration")


def _sample(
    settings: BuildSettings,
    deployment: Deployment,
    given: str,
    count: int,
    seed: int,
    flag: str,
    spare: int = 0,
) -> FrameSample:
    own = settings.composition.frames
    if given or not own:
        source = given or _made_source(deployment)
        return sample_frames(source, settings.frame_shape, count, seed=seed, spare=spare)
    try:
        return sample_frames(own, settings.frame_shape, count, seed=seed, spare=spare)
    except (ConfigError, StorageError) as error:
        raise type(error)(
            f"{error} (the composition file names these frames; {flag} names others)"
        ) from error


def _made_source(deployment: Deployment) -> str:
    """The synthetic strip for models that were trained on it, else the test pattern."""
    segmenters = deployment.segmenters
    is_synthetic = all(member.card.trained_on == SYNTHETIC for member in segmenters)
    return SYNTHETIC if is_synthetic else PATTERN
