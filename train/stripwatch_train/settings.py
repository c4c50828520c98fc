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
