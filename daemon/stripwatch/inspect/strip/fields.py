"""The fields of the cameras of one side, and where two that stand side by side overlap.

All cameras share one grid of columns, of which column 0 begins at the strip's left edge: an offset
is rounded to whole pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from stripwatch.config.sections import Config
from stripwatch.inspect.coarse import runs_by_column
from stripwatch.inspect.components import Ints
from stripwatch.inspect.findings import Finding

Columns = tuple[int, int]  # first, and one past the last


@dataclass(frozen=True, slots=True)
class Zone:
    """Where pieces of one camera may lie on pieces of another, or touch them."""

    other: str
    columns: Columns
    border: int  # the camera's last column on the side of the other
    left_to_other: Columns  # of the overlap: there the other one counts


@dataclass(slots=True)
class Field:
    """What one camera sees of the grid."""

    columns: Columns
    mirrored: bool
    own: Columns  # that it counts; the other half of an overlap is another camera's
    zones: list[Zone]

    def columns_of(self, finding: Finding) -> Columns:
        """The columns of a finding's box."""
        x, _, width, _ = finding.box
        first, end = self.columns
        return (end - x - width, end - x) if self.mirrored else (first + x, first + x + width)

    def own_area_px(self, finding: Finding) -> int:
        """The pixels of a finding that this camera counts."""
        first, end = self.columns_of(finding)
        if self.own[0] <= first and end <= self.own[1]:
            return finding.area
        runs = runs_on_strip(finding, self, 0, line_reversed=False)
        lengths = runs.ends - runs.firsts
        is_own = (runs.columns >= self.own[0]) & (runs.columns < self.own[1])
        # As a share, since a coarse mask has more pixels than its defect (ADR 18).
        return round(finding.area * int(lengths[is_own].sum()) / int(lengths.sum()))


@dataclass(frozen=True, slots=True)
class StripRuns:
    """The runs of a mask on the strip, int64 [runs] each, sorted by column and line."""

    columns: Ints
    firsts: Ints  # line
    ends: Ints  # one past the last line


def make_fields(config: Config, reach_px: int) -> dict[str, Field]:
    """The field of every camera, by name.

    Two cameras of one side stand side by side where their fields overlap by at most half, or lie
    within `reach_px` of each other.
    """
    width = config.line.frame_pixels
    fields: dict[str, Field] = {}
    for camera in config.cameras:
        first = round(camera.crossweb_offset_mm / config.line.mm_per_pixel)
        columns = (first, first + width)
        fields[camera.name] = Field(columns, camera.mirrored, columns, [])
    for one, other in combinations(config.cameras, 2):
        left, right = sorted((one.name, other.name), key=lambda name: fields[name].columns)
        overlap = fields[left].columns[1] - fields[right].columns[0]
        if one.side == other.side and -reach_px < overlap <= width // 2:
            _meet(fields, left, right, reach_px)
    return fields


def _meet(fields: dict[str, Field], left: str, right: str, reach_px: int) -> None:
    """Note that two cameras overlap; each counts its own half."""
    one, other = fields[left], fields[right]
    begin, end = other.columns[0], one.columns[1]
    columns = (begin - reach_px, end + reach_px)
    middle = (begin + end) // 2
    one.zones.append(Zone(right, columns, end - 1, (middle, end)))
    other.zones.append(Zone(left, columns, begin, (begin, middle)))
    one.own = (one.own[0], min(one.own[1], middle))
    other.own = (max(other.own[0], middle), other.own[1])


def runs_on_strip(finding: Finding, field: Field, line: int, *, line_reversed: bool) -> StripRuns:
    """The runs of a finding in a frame whose first line is `line`."""
    xs, tops, ends = runs_by_column(finding.runs)
    columns = field.columns[1] - 1 - xs if field.mirrored else field.columns[0] + xs
    firsts = line + tops
    if line_reversed:
        firsts, ends = line + 1 - ends, line + 1 - tops
    else:
        ends = line + ends
    order = np.lexsort((firsts, columns))
    return StripRuns(columns[order], firsts[order], ends[order])


def reach_of(config: Config) -> tuple[int, int]:
    """How far from each other pixels of two cameras may be, in columns and in lines between them.

    Without a tolerance they must touch: by a side or a corner.
    """
    tolerance_mm = config.strip.overlap_tolerance_mm
    return (
        1 + math.floor(tolerance_mm / config.line.mm_per_pixel),
        math.floor(tolerance_mm / config.line.mm_per_line),
    )
