"""The key `light` of [[cameras]]: the flat field of a real camera, and the watch over its light."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from stripwatch.config.errors import PATH_PATTERN

Share = Annotated[float, Meta(gt=0, le=1)]
Metres = Annotated[float, Meta(ge=1, le=10_000)]
Millimetres = Annotated[float, Meta(ge=0.1, le=10_000)]


Command = Annotated[str, Meta(min_length=1, max_length=200)]


class LightSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Read by `stripwatch camera` alone; the daemon takes what the frames tell."""

    folder: Annotated[str, Meta(pattern=PATH_PATTERN)] = "calibration"  # of references
    flat_field: bool = False  # apply the one that `stripwatch camera calibrate` has made
    # Commands of a camera that corrects by itself: run over each reference instead of storing it.
    dark_command: Command | None = None
    bright_command: Command | None = None
    watch: bool = True
    metres: Metres = 50.0  # along the strip, for which a fault must last
    line_share: Share = 0.2  # darker than what is beside it: a line of dirt
    segment_share: Share = 0.25  # darker than the rest of the lamp: a dark segment
    segment_mm: Millimetres = 8.0  # at least so wide; what is narrower is a line
    level_share: Share = 0.5  # darker or brighter than it was: lamp, exposure
    level_metres: Metres = 200.0  # for so long: coils differ


def light_mistakes(place: str, section: LightSection) -> list[str]:
    """Keys that do not fit together; `place` names the section."""
    has_commands = section.dark_command is not None, section.bright_command is not None
    mistakes = []
    if has_commands[0] != has_commands[1]:
        mistakes.append(f"{place}: dark_command and bright_command go together")
    if section.flat_field and all(has_commands):
        mistakes.append(
            f"{place}: flat_field = true and the camera's own commands exclude each other: it "
            "would be corrected twice"
        )
    return mistakes
