"""The key `light` of [[cameras]]: the flat field of a real camera, and the watch over its light."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Share = Annotated[float, Meta(gt=0, le=1)]
Metres = Annotated[float, Meta(ge=1, le=10_000)]
Millimetres = Annotated[float, Meta(ge=0.1, le=10_000)]


class LightSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When the light of a camera counts as wrong; `stripwatch camera` reads it, not the daemon."""

    watch: bool = True
    metres: Metres = 50.0  # along the strip, for which a fault must last
    line_share: Share = 0.2  # darker than what is beside it: a line of dirt
    segment_share: Share = 0.25  # darker than the rest of the lamp: a dark segment
    segment_mm: Millimetres = 8.0  # at least so wide; what is narrower is a line
    level_share: Share = 0.5  # darker or brighter than it was: lamp, exposure
    level_metres: Metres = 200.0  # for so long: coils differ
