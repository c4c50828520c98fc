"""Tables of an exploration: classes, combinations, areas and sizes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stripwatch_train.explore.counts import (
    PERCENTILES,
    Areas,
    Exploration,
)


def class_rows(exploration: Exploration) -> list[tuple[str, ...]]:
    """Rows for reading: class, frames, share, frames with it alone, components, pixels."""
    total = len(exploration.frames)
    alone = dict(exploration.combinations())
    clean = alone.get((), 0)
    rows: list[tuple[str, ...]] = [
        ("clean", f"{clean:,}", _percent(clean / total), "", "", ""),
    ]
    for entry, share in zip(exploration.data_set.classes, exploration.class_shares(), strict=True):
        frames = len(exploration.with_class(entry.id))
        components = len(exploration.component_areas(entry.id))
        numbers = (f"{frames:,}", _percent(frames / total), f"{alone.get((entry.id,), 0):,}")
        rows.append((entry.name, *numbers, f"{components:,}", _percent(share)))
    return rows


CLASS_HEAD = ("class", "frames", "of all", "with it alone", "components", "of all pixels")


def combination_rows(exploration: Exploration) -> list[tuple[str, ...]]:
    """Rows for reading: combination, frames, their share."""
    total = len(exploration.frames)
    return [
        (exploration.name(combination), f"{count:,}", _percent(count / total))
        for combination, count in exploration.combinations()
    ]


COMBINATION_HEAD = ("classes in a frame", "frames", "of all")


def _spread(areas: Areas) -> tuple[str, ...]:
    percentiles: Sequence[float] = np.percentile(areas, PERCENTILES).tolist()
    ends = (f"{int(areas.min()):,}", f"{int(areas.max()):,}")
    return (f"{len(areas):,}", ends[0], *(f"{value:,.0f}" for value in percentiles), ends[1])


def _percent(share: float) -> str:
    digits = 1 if share >= 0.001 or share == 0 else 3
    return f"{100 * share:.{digits}f} %"
