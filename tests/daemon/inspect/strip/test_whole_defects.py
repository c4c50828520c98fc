"""Whole defects are the components of the strip, however it was cut into frames and cameras."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import pytest
from tests.daemon.inspect.strip.moving_strip import (
    Mask,
    Sent,
    View,
    components,
    config_of,
    cut_heights,
    outputs_of,
    told,
    whole_defects,
    with_misses,
)

from stripwatch.config.sections import Camera
from stripwatch.inspect.inspector import Inspector
from stripwatch.synthetic import SyntheticStrip
from stripwatch.wire.event import Defect, DefectClosed, StripEnd


def random_mask(generator: np.random.Generator, lines: int, pixels: int) -> Mask:
    """Classes of several densities: specks, and webs that percolate."""
    mask = np.zeros((lines, pixels), np.uint8)
    for bit in range(4):
        density = generator.choice([0.02, 0.2, 0.35, 0.45])
        mask |= (generator.random((lines, pixels)) < density).astype(np.uint8) << bit
    return mask


def check_names(outputs: Iterable[object]) -> None:
    """Every piece that is no whole defect is told of once, under every name it had."""
    outputs = list(outputs)
    pieces = [event for event in outputs if isinstance(event, Defect) and not event.is_whole]
    closed = [event for event in outputs if isinstance(event, DefectClosed)]
    names = [name for event in closed for name in (event.part_of, *event.joined)]
    assert len(names) == len(set(names))
    assert {piece.part_of for piece in pieces} == set(names)
    by_name: dict[str, list[Defect]] = defaultdict(list)
    for piece in pieces:
        by_name[piece.part_of].append(piece)
    for event in closed:
        of_event = [one for name in (event.part_of, *event.joined) for one in by_name[name]]
        assert len(of_event) == event.pieces
        assert {piece.camera for piece in of_event} == set(event.frames)
        assert max(piece.t_ns for piece in of_event) == event.t_ns


def merged(generator: np.random.Generator, queues: list[list[Sent]]) -> list[Sent]:
    """The frames of several cameras in one random order; all begin before one of them ends."""
    frames = [queue.pop(0) for queue in queues]
    while any(queues):
        queue = queues[generator.integers(len(queues))]
        taken = int(generator.integers(1, 4))
        frames += queue[:taken]
        del queue[:taken]
    return frames


@pytest.mark.parametrize("seed", range(30))
def test_whole_defects_are_the_components_of_the_uncut_strip(seed: int) -> None:
    """For random masks, heights of frames, batches, gaps, directions: equal area and box."""
    generator = np.random.default_rng(seed)
    lines, pixels = (int(side) for side in generator.integers([1, 1], [150, 40]))
    mask = random_mask(generator, lines, pixels)
    camera = Camera(name="top", mirrored=bool(generator.integers(2)))
    heights = cut_heights(generator, lines, int(generator.integers(1, 60)))
    missed = {n for n in range(len(heights)) if generator.random() < generator.choice([0, 0.2])}
    line_reversed = bool(generator.integers(2))
    view = View(camera, mask, heights, missed, line_reversed=line_reversed)
    inspector = Inspector(config_of([camera], pixels))
    outputs = outputs_of(inspector, with_misses(view), int(generator.integers(1, 9)))
    seen = view.seen()
    expected = components(mask * seen[:, None])
    assert told(outputs) == expected
    beside_gap = (~seen[:-1] & seen[1:], ~seen[1:] & seen[:-1])
    starts, ends = set(np.flatnonzero(beside_gap[0]) + 1), set(np.flatnonzero(beside_gap[1]) + 1)
    for event in whole_defects(outputs):
        assert event.box_mm is not None
        assert event.box_mm.downweb_mm is not None
        first, end = event.box_mm.downweb_mm
        cut_by = event.cut_by if isinstance(event, DefectClosed) else ()
        if first in starts or end in ends:
            assert "gap" in cut_by
        assert set(cut_by) <= {"gap"}
    check_names(outputs)
    (report,) = (event for event in outputs if isinstance(event, StripEnd))
    assert sum(report.whole_defects.values()) == len(expected)


@pytest.mark.parametrize("seed", range(30))
def test_cameras_side_by_side_tell_of_each_component_once(seed: int) -> None:
    """For random overlaps, mirrors, heights, gaps, and any order in which frames arrive."""
    generator = np.random.default_rng(seed)
    count, pixels = int(generator.integers(2, 4)), int(generator.integers(4, 30))
    lines = int(generator.integers(2, 120))
    overlaps = generator.integers(0, pixels // 2 + 1, count - 1)
    offsets = [0, *np.cumsum(pixels - overlaps).tolist()]
    mask = random_mask(generator, lines, offsets[-1] + pixels)
    cameras = [
        Camera(name=f"c{n}", crossweb_offset_mm=offset, mirrored=bool(generator.integers(2)))
        for n, offset in enumerate(offsets)
    ]
    line_reversed = bool(generator.integers(2))
    gaps = generator.choice([0, 0.15])
    views, seen = [], np.zeros(mask.shape, np.bool_)
    for camera, offset in zip(cameras, offsets, strict=True):
        height_max = min(int(generator.integers(1, 60)), lines // 2)
        heights = cut_heights(generator, lines, height_max)
        missed = {n for n in range(len(heights)) if generator.random() < gaps}
        part = mask[:, offset : offset + pixels]
        views.append(View(camera, part, heights, missed, line_reversed=line_reversed))
        seen[:, offset : offset + pixels] |= views[-1].seen()[:, None]
    frames = merged(generator, [with_misses(view) for view in views])
    outputs = outputs_of(Inspector(config_of(cameras, pixels)), frames, 3)
    assert told(outputs) == components(mask * seen)
    check_names(outputs)


@pytest.mark.parametrize("seed", range(3))
def test_whole_defects_of_the_synthetic_strip_are_its_components(seed: int) -> None:
    """Cut into frames of 48 lines, half of it seen by each of two cameras that overlap."""
    strip = SyntheticStrip(seed, (480, 300), defects_per_1000_lines=40)
    mask = np.concatenate([strip.frame(index).mask for index in range(3)])
    cameras = [Camera(name="left"), Camera(name="right", crossweb_offset_mm=140, mirrored=True)]
    views = [View(cameras[0], mask[:, :160], [48] * 30), View(cameras[1], mask[:, 140:], [48] * 30)]
    frames = merged(np.random.default_rng(seed), [with_misses(view) for view in views])
    outputs = outputs_of(Inspector(config_of(cameras, 160)), frames, 4)
    assert len(components(mask)) > 20
    assert told(outputs) == components(mask)
