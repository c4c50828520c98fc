"""Rows and captions of an exploration."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stripwatch_train.explore.counts import (
    PERCENTILES,
    Areas,
    Combination,
    Exploration,
    FrameFacts,
)

TITLE_CHARACTERS_MAX = 60
CLASS_HEAD = ("class", "frames", "of all", "with it alone", "components", "of all pixels")
COMBINATION_HEAD = ("classes in a frame", "frames", "of all")


def class_rows(exploration: Exploration) -> list[tuple[str, ...]]:
    """Rows for reading: class, frames, share, frames with it alone, components, pixels."""
    total = len(exploration.frames)
    alone = dict(exploration.combinations())
    clean = alone.get((), 0)
    rows: list[tuple[str, ...]] = [
        ("clean", f"{clean:,}", percent_text(clean / total), "", "", ""),
    ]
    for entry, share in zip(exploration.data_set.classes, exploration.class_shares(), strict=True):
        frames = len(exploration.with_class(entry.id))
        components = len(exploration.component_areas(entry.id))
        numbers = (f"{frames:,}", percent_text(frames / total), f"{alone.get((entry.id,), 0):,}")
        rows.append((entry.name, *numbers, f"{components:,}", percent_text(share)))
    return rows


def combination_rows(exploration: Exploration) -> list[tuple[str, ...]]:
    """Rows for reading: combination, frames, their share."""
    total = len(exploration.frames)
    return [
        (exploration.name(combination), f"{count:,}", percent_text(count / total))
        for combination, count in exploration.combinations()
    ]


def exploration_document(exploration: Exploration) -> dict[str, object]:
    """The counts as one document, for programs."""
    classes = zip(exploration.data_set.classes, exploration.class_shares(), strict=True)
    pixels = exploration.pixels
    return {
        "data": exploration.data_set.source,
        "frames": len(exploration.frames),
        "findings": list(exploration.data_set.findings),
        "mean": pixels.mean if pixels else None,
        "std": pixels.std if pixels else None,
        "classes": [
            {
                "name": entry.name,
                "frames": len(exploration.with_class(entry.id)),
                "components": len(exploration.component_areas(entry.id)),
                "pixel_share": share,
            }
            for entry, share in classes
        ],
        "combinations": [
            {"classes": [exploration.name((one,)) for one in combination], "frames": count}
            for combination, count in exploration.combinations()
        ],
    }


def spread(areas: Areas) -> tuple[str, ...]:
    """Cells of a row about areas: number, smallest, percentiles, largest."""
    percentiles: Sequence[float] = np.percentile(areas, PERCENTILES).tolist()
    ends = (f"{int(areas.min()):,}", f"{int(areas.max()):,}")
    return (f"{len(areas):,}", ends[0], *(f"{value:,.0f}" for value in percentiles), ends[1])


def percent_text(share: float) -> str:
    """A share as a percentage, with more digits for small ones."""
    digits = 1 if share >= 0.001 or share == 0 else 3
    return f"{100 * share:.{digits}f} %"


def frame_title(frame: FrameFacts, exploration: Exploration, combination: Combination) -> str:
    """Caption of a frame: its name and the areas of its classes."""
    # Titles are wrapped, but not between a number and its unit.
    areas = (
        f"{exploration.name((c,))} {frame.areas[c - 1]:,}\N{NO-BREAK SPACE}px" for c in combination
    )
    return ": ".join(part for part in (short_name(frame), ", ".join(areas)) if part)


def short_name(frame: FrameFacts) -> str:
    """Name of a frame, shortened from the left."""
    name = frame.sample.name
    return name if len(name) <= TITLE_CHARACTERS_MAX else "..." + name[-TITLE_CHARACTERS_MAX:]


def up_to(shown: int, found: int) -> str:
    """End of a sentence about combinations: all of them, or the most frequent."""
    return "." if shown == found else f"; the {shown} most frequent of {found} combinations."
