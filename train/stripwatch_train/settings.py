"""What a training run is made of; kept in the checkpoint, so that a run can be told from it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=1)]


class FitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of `stripwatch-train fit`."""

    encoder: str = "tu-mobilenetv3_small_100"
    encoder_depth: Annotated[int, Meta(ge=3, le=5)] = 4
    decoder_channels: tuple[int, ...] = (64, 32, 16, 8)
    frame_shape: tuple[int, int] = (256, 1600)  # lines, pixels of the strip's frames
    shrink: Count = 2  # the model sees frames smaller by this factor
    crop_width: Count = 320  # of what the model sees; its height is the frame's
    batch: Count = 16
    steps: Count = 3000
    warm_up_steps: Annotated[int, Meta(ge=0)] = 100
    learning_rate: Annotated[float, Meta(gt=0)] = 3e-3
    weight_decay: Annotated[float, Meta(ge=0)] = 1e-4
    ema_decay: Annotated[float, Meta(ge=0, lt=1)] = 0.995
    defects_per_1000_lines: Annotated[float, Meta(gt=0)] = 10.0
    seed: Annotated[int, Meta(ge=0)] = 1
    threads: Annotated[int, Meta(ge=0)] = 0  # of the CPU; 0 = all
    mean: float = 0.35  # of pixels as 0 to 1
    std: Annotated[float, Meta(gt=0)] = 0.12

    def __post_init__(self) -> None:
        """Check what the types cannot say; msgspec makes a ValidationError of it."""
        step = 2**self.encoder_depth  # the encoder halves its image this often
        lines, pixels = self.frame_shape
        if min(lines, pixels) < 1 or lines % (step * self.shrink) or pixels % (step * self.shrink):
            raise ValueError(
                f"frame_shape {lines},{pixels} must be multiples of {step * self.shrink}: "
                f"frames are made smaller by shrink ({self.shrink}), and an encoder of depth "
                f"{self.encoder_depth} needs multiples of {step}"
            )
        if self.crop_width % step:
            raise ValueError(
                f"crop_width {self.crop_width} must be a multiple of {step}, because of "
                f"encoder_depth {self.encoder_depth}"
            )
        if len(self.decoder_channels) != self.encoder_depth or min(self.decoder_channels) < 1:
            raise ValueError(
                f"decoder_channels {self.decoder_channels} must be {self.encoder_depth} numbers "
                "above 0, one for each step of encoder_depth"
            )


def fit_flags(settings: FitSettings) -> list[str]:
    """The flags of `stripwatch-train fit` that give these settings; defaults are left out."""
    defaults = FitSettings()
    flags: list[str] = []
    for name in FitSettings.__struct_fields__:
        value = getattr(settings, name)
        if value != getattr(defaults, name):
            shown = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            flags += ["--" + name.replace("_", "-"), shown]
    return flags
