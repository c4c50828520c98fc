"""The interface of a target: `stripwatch_engine.targets.<target>` modules implement `Target`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import onnx
from numpy.typing import NDArray

from stripwatch.engines.manifest import Plan
from stripwatch.errors import ConfigError
from stripwatch.service.console import Progress
from stripwatch_engine.models.deployment import Deployment
from stripwatch_engine.settings import BuildSettings


@dataclass(frozen=True)
class BuildInputs:
    """Everything that a target builds from."""

    deployment: Deployment
    settings: BuildSettings
    calibration_frames: NDArray[np.uint8] | None  # [n, lines, pixels]; None = not needed
    draft: Path  # folder for the engine's files
    timing_cache: Path | None
    progress: Progress


@dataclass(frozen=True)
class Built:
    """An engine in its draft folder, not verified yet."""

    files: tuple[str, ...]  # names in the draft folder; the first is loaded
    builder: str  # name and version of the program that wrote it
    batch: tuple[int, int] | None = None  # fewest and most frames of a call; None = any
    plan: Plan | None = None
    kept: tuple[str, ...] = ()  # nodes that stay in float32
    # The inspection graph with the engine's roundings, for a comparison on the CPU; None = the
    # engine itself is enough.
    emulated: onnx.ModelProto | None = None


class Target(Protocol):
    """The functions of a target module."""

    def check_settings(self, settings: BuildSettings, timing_cache: Path | None) -> None:
        """Refuse settings that the target does not have.

        Raises:
            ConfigError: the message names the flag.
        """

    def calibration_count(self, settings: BuildSettings) -> int:
        """Number of frames to calibrate on; 0 = none."""

    def build(self, inputs: BuildInputs) -> Built:
        """Build the engine into the draft folder.

        Raises:
            ConfigError: settings and models do not fit, or a library is missing.
            ModelError: the target cannot build the models.
            DeviceError: the target builds on a GPU and there is none.
            StorageError: a file cannot be written.
        """


def refuse_flags(
    settings: BuildSettings, timing_cache: Path | None, allowed: Collection[str]
) -> None:
    """Refuse flags of other targets.

    Raises:
        ConfigError: a flag is given that is not among the allowed ones.
    """
    for flag, given in (
        ("--capability", settings.capabilities),
        ("--hardware-compatible", settings.hardware_compatible),
        ("--version-compatible", settings.version_compatible),
        ("--timing-cache", timing_cache),
        ("--workspace-mib", settings.workspace_mib),
    ):
        if given and flag not in allowed:
            raise ConfigError(f"{flag} does not exist for --target {settings.target}; leave it out")
