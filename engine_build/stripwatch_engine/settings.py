"""What a build is made of."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stripwatch.engines.manifest import Precision
from stripwatch_engine.models.composition import Composition
from stripwatch_engine.models.member import CardFlags

BuildTarget = Literal["openvino", "tensorrt", "tensorrt-rtx"]
# Largest difference to the float32 graph: least Dice of a class's masks, and largest mean error
# of its probabilities. Kaggle's best Severstal models differ by about 0.002 in mean Dice
# (khornlund/severstal-steel-defect-detection), which a build should not cost.
LIMITS: dict[Precision, tuple[float, float]] = {
    "fp32": (0.999, 0.0005),
    "fp16": (0.99, 0.002),
    "int8": (0.95, 0.01),
}


class BuildSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides what an engine is; two equal settings make equal engines."""

    composition: Composition
    card_flags: CardFlags = CardFlags()
    target: BuildTarget = "openvino"
    precision: Precision = "fp32"
    frame_shape: tuple[int, int] = (256, 1600)  # lines, pixels
    batch: tuple[int, int] = (1, 16)  # fewest and most frames of a call; TensorRT
    capabilities: tuple[str, ...] = ()  # "8.9"; TensorRT-RTX
    hardware_compatible: bool = False  # TensorRT
    version_compatible: bool = False  # TensorRT
    workspace_mib: Annotated[int, Meta(ge=1)] | None = None  # TensorRT; None = all there is
    calibration: str = "synthetic"
    calibration_frames: Annotated[int, Meta(ge=1)] = 64
    verify: str = "synthetic"
    verify_frames: Annotated[int, Meta(ge=1)] = 8
    dice_min: float | None = None  # None = the precision's limit
    error_mean_max: float | None = None

    def limits(self) -> tuple[float, float]:
        """Least Dice and largest mean error."""
        dice, error = LIMITS[self.precision]
        return (
            dice if self.dice_min is None else self.dice_min,
            error if self.error_mean_max is None else self.error_mean_max,
        )
