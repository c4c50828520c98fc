"""What a camera's side says about its clock."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Limited = Annotated[float, Meta(ge=-1e18, le=1e18)]


class CameraClock(msgspec.Struct, frozen=True, kw_only=True):
    """Which clock gives the times of capture, and how the camera's differs from its computer's."""

    source: Annotated[
        Literal["ptp", "host"],
        Meta(description="ptp: the camera's, which PTP keeps; host: that of its computer"),
    ]
    difference_ms: Annotated[
        Limited | None,
        Meta(
            description="host less camera, of the least delayed frame in ten seconds; a camera "
            "without PTP may count from any time"
        ),
    ] = None
    drift_ppm: Annotated[
        Limited | None, Meta(description="growth of the difference since the process began")
    ] = None
