"""The synthetic strip as frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stripwatch.feed.sources.frame import Source, SourceFrame, raw_frame
from stripwatch.synthetic import RollMark, Scratch, SyntheticStrip

FRAME_SHAPE = (256, 1600)  # without a configuration


@dataclass(frozen=True, slots=True)
class Flaws:
    """What a strip has beside the defects that its seed brings."""

    roll_marks: Sequence[RollMark] = ()
    scratches: Sequence[Scratch] = ()


def synthetic_source(
    seed: int,
    frame_shape: tuple[int, int] | None,
    frame_count: int | None,
    flaws: Flaws,
) -> Source:
    """The first `frame_count` frames of a synthetic strip; None = it never ends."""
    strip = SyntheticStrip(
        seed,
        frame_shape or FRAME_SHAPE,
        roll_marks=flaws.roll_marks,
        scratches=flaws.scratches,
    )

    def frames() -> Iterator[SourceFrame]:
        index = 0
        while frame_count is None or index < frame_count:
            yield raw_frame(strip.frame(index).pixels)
            index += 1

    return Source(name=f"synthetic-{seed}", frames=frames, count=frame_count)
