"""Settings of a build."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stripwatch.engines.manifest import Precision
from stripwatch_engine.models.card_flags import CardFlags
from stripwatch_engine.models.composition import Composition

BuildTarget = Literal["openvino", "tensorrt", "tensorrt-rtx"]
DEFAULT_PRECISIONS: dict[BuildTarget, Precision] = {
    "openvino": "fp32",
    "tensorrt": "fp16",
    "tensorrt-rtx": "fp16",
}
FRAME_SHAPE_DEFAULT = (256, 1600)  # lines, pixels
BATCH_DEFAULT = (1, 16)  # fewest and most frames of a call
SYNTHETIC = "synthetic"  # source: the synthetic strip, for models that were trained on it
CALIBRATION_FRAMES_DEFAULT = 64
VERIFY_FRAMES_DEFAULT = 8
# Limits of the difference to the float32 graph: lowest Dice of the masks of a class, largest mean
# error of the probabilities. Kaggle's best Severstal models differ by about 0.002 in mean Dice
# (khornlund/severstal-steel-defect-detection), and a build should cost less.
LIMITS: dict[Precision, tuple[float, float]] = {
    "fp32": (0.999, 0.0005),
    "fp16": (0.99, 0.002),
    "int8": (0.95, 0.01),
}


class BuildSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that determines an engine; equal settings make equal engines."""

    composition: Composition
    card_flags: CardFlags = CardFlags()
    target: BuildTarget = "openvino"
    precision: Precision = "fp32"
    frame_shape: tuple[int, int] = FRAME_SHAPE_DEFAULT  # lines, pixels
    batch: tuple[int, int] = BATCH_DEFAULT  # fewest and most frames of a call; TensorRT
    capabilities: tuple[str, ...] = ()  # "8.9"; TensorRT-RTX
    hardware_compatible: bool = False  # TensorRT
    version_compatible: bool = False  # TensorRT
    workspace_mib: Annotated[int, Meta(ge=1)] | None = None  # TensorRT; None = all of the memory
    calibration: str = ""  # source of frames; "" = chosen by the models
    calibration_frames: Annotated[int, Meta(ge=1)] = CALIBRATION_FRAMES_DEFAULT
    verify: str = ""  # as above
    verify_frames: Annotated[int, Meta(ge=1)] = VERIFY_FRAMES_DEFAULT
    dice_min: float | None = None  # None = the precision's limit
    error_mean_max: float | None = None

    def limits(self) -> tuple[float, float]:
        """Lowest Dice and largest mean error that pass."""
        dice, error = LIMITS[self.precision]
        return (
            dice if self.dice_min is None else self.dice_min,
            error if self.error_mean_max is None else self.error_mean_max,
        )
