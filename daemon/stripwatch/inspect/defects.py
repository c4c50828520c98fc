"""From masks to defects: pure functions on arrays, without sockets, engines, threads or clock.

Labelling four full planes one after the other costs milliseconds. Here one pass over the mask
finds the columns and rows that each class touches, so that only the boxes where a class is present
are labelled; connected components cannot cross an empty column.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.manifest import DefectClass, Gate
from stripwatch.wire.rle import Runs, runs_of_mask

Mask = NDArray[np.uint8]
Span = tuple[int, int]  # first, and one past the last


@dataclass(frozen=True, slots=True)
class Finding:
    """One connected component of one class in one frame, in pixels of the frame."""

    defect_class: DefectClass
    box: tuple[int, int, int, int]  # x, y, width, height
    area: int
    centroid: tuple[float, float]  # x, y
    score: float  # mean probability over the component
    peak: float  # largest probability over the component
    runs: Runs
    top: tuple[Span, ...]  # spans of pixels in the frame's first line
    bottom: tuple[Span, ...]  # spans of pixels in the frame's last line
    mask_block_px: int = 1  # side of the blocks of which `runs` is made; 1 = it is exact (ADR 18)


@dataclass(frozen=True, slots=True)
class Components:
    """The 8-connected components of a plane; label 0 is the background."""

    labels: NDArray[np.int32]  # [lines, pixels]
    stats: NDArray[np.int32]  # [labels, 5]: x, y, width, height, area (cv2.CC_STAT_*)
    centroids: NDArray[np.float64]  # [labels, 2]: x, y


def find_components(plane: NDArray[Any]) -> Components:
    """Label the 8-connected components of a plane, uint8 or bool [lines, pixels]."""
    image = plane.view(np.uint8) if plane.dtype == np.bool_ else plane
    _, labels, stats, centroids = cv2.connectedComponentsWithStats(image, connectivity=8)
    return Components(
        np.asarray(labels, np.int32),
        np.asarray(stats, np.int32),
        np.asarray(centroids, np.float64),
    )


def raise_min_areas(classes: Sequence[DefectClass], gate: Gate | None) -> Sequence[DefectClass]:
    """The classes as they are to be in frames from which the gate judges them absent.

    `classes` itself where the gate leaves minimum areas alone: in mode `skip`, whose graph finds
    no pixel of an absent class, and without a gate.
    """
    if gate is None or gate.mode == "skip":
        return classes

    def raised(entry: DefectClass) -> DefectClass:
        # Rounded first: 600 * 1.1 is a little more than 660.
        area = math.ceil(round(max(entry.min_area_px, 1) * gate.min_area_factor, 6))
        return msgspec.structs.replace(entry, min_area_px=area)

    return tuple(raised(entry) for entry in classes)


def classes_of_frame(
    classes: Sequence[DefectClass], raised: Sequence[DefectClass], absent: NDArray[np.uint8]
) -> Sequence[DefectClass]:
    """The classes to look for in one frame.

    Args:
        classes: in order of their ids.
        raised: what `raise_min_areas` made of them.
        absent: uint8 [classes], 1 where the gate judges a class absent from the frame.
    """
    if raised is classes or not absent.any():
        return classes
    pairs = zip(classes, raised, absent.tolist(), strict=True)
    return [high if gone else entry for entry, high, gone in pairs]


def find_defects(
    mask: Mask,
    prob: NDArray[np.uint8],
    area: NDArray[np.float32],
    classes: Sequence[DefectClass],
    defects_max: int,
) -> list[Finding]:
    """Find the defects of one frame.

    Args:
        mask: uint8 [lines, pixels], bit c-1 set where class c is present.
        prob: uint8 [classes, lines, pixels], probability * 255.
        area: float32 [classes], pixels of each class.
        classes: names and minimum areas, in order of their ids.
        defects_max: of each class. Beyond it the smallest are reported as one finding whose mask
            is their union, so that nothing is lost and a frame of noise has a bounded cost.

    Returns:
        Findings of at least the minimum area of their class, by class.
    """
    present = [entry for entry in classes if area[entry.id - 1] >= max(entry.min_area_px, 1)]
    if not present:
        return []
    columns = np.bitwise_or.reduce(mask, axis=0)
    rows = np.bitwise_or.reduce(mask, axis=1)
    findings: list[Finding] = []
    for entry in present:
        bit = entry.bit
        row_spans = _spans(rows, bit)
        if not row_spans:  # only in lines that were cropped away
            continue
        top, bottom = row_spans[0][0], row_spans[-1][1]
        boxes = [
            _label(mask, entry, left, right, top, bottom) for left, right in _spans(columns, bit)
        ]
        findings += _findings(boxes, mask.shape, prob[entry.id - 1], entry, defects_max)
    return findings


@dataclass(frozen=True, slots=True)
class _Box:
    """The labelled components of one class in a part of the frame."""

    left: int
    top: int
    labels: NDArray[np.int32]
    stats: NDArray[np.int32]
    centroids: NDArray[np.float64]
    large: NDArray[np.int64]  # labels of the components that are large enough


def _spans(line: NDArray[np.uint8], bit: int) -> list[Span]:
    """The spans of a line in which a bit is set."""
    present = np.zeros(len(line) + 2, np.bool_)
    np.not_equal(line & bit, 0, out=present[1:-1])
    edges = np.flatnonzero(present[1:] != present[:-1]).tolist()
    return list(zip(edges[0::2], edges[1::2], strict=True))


def _label(mask: Mask, entry: DefectClass, left: int, right: int, top: int, bottom: int) -> _Box:
    found = find_components(mask[top:bottom, left:right] & entry.bit)
    large = found.stats[:, cv2.CC_STAT_AREA] >= max(entry.min_area_px, 1)
    large[0] = False  # the background
    return _Box(left, top, found.labels, found.stats, found.centroids, np.flatnonzero(large))


def _findings(
    boxes: Sequence[_Box],
    shape: tuple[int, int],
    prob: NDArray[np.uint8],
    entry: DefectClass,
    defects_max: int,
) -> list[Finding]:
    """The findings of one class: the largest `defects_max`, the last of them standing for more."""
    areas = np.concatenate([box.stats[box.large, cv2.CC_STAT_AREA] for box in boxes])
    kept = np.ones(len(areas), np.bool_)
    if len(areas) > defects_max:
        kept[np.argsort(-areas, kind="stable")[defects_max - 1 :]] = False
    findings: list[Finding] = []
    first = 0
    rest: list[tuple[_Box, NDArray[np.int64]]] = []
    for box in boxes:
        box_kept = kept[first : first + len(box.large)]
        first += len(box.large)
        rest.append((box, box.large[~box_kept]))
        for label in box.large[box_kept].tolist():
            x, y, width, height, _ = box.stats[label].tolist()
            part = (box.labels[y : y + height, x : x + width] == label).view(np.uint8)
            centre_x, centre_y = box.centroids[label].tolist()
            centroid = (box.left + centre_x, box.top + centre_y)
            origin = (box.left + x, box.top + y)
            findings.append(_finding(part, origin, prob, entry, shape, centroid))
    if not kept.all():
        findings.append(_union(rest, shape, prob, entry))
    return findings


def _union(
    rest: Sequence[tuple[_Box, NDArray[np.int64]]],
    shape: tuple[int, int],
    prob: NDArray[np.uint8],
    entry: DefectClass,
) -> Finding:
    """One finding for many small components."""
    plane = np.zeros(shape, np.uint8)
    for box, labels in rest:
        chosen = np.zeros(len(box.stats), np.uint8)
        chosen[labels] = 1
        height, width = box.labels.shape
        plane[box.top : box.top + height, box.left : box.left + width] |= chosen[box.labels]
    x, y, width, height = cv2.boundingRect(plane)
    ys, xs = np.nonzero(plane)
    part = np.ascontiguousarray(plane[y : y + height, x : x + width])
    return _finding(part, (x, y), prob, entry, shape, (float(xs.mean()), float(ys.mean())))


def _finding(
    part: Mask,
    origin: tuple[int, int],
    prob: NDArray[np.uint8],
    entry: DefectClass,
    shape: tuple[int, int],
    centroid: tuple[float, float],
) -> Finding:
    """The finding of a component given as its own mask, uint8 0 or 1 [h, w], at origin (x, y)."""
    (x, y), (height, width) = origin, part.shape
    window = prob[y : y + height, x : x + width]
    top = _spans(part[0], 1) if y == 0 else ()
    bottom = _spans(part[-1], 1) if y + height == shape[0] else ()
    return Finding(
        defect_class=entry,
        box=(x, y, width, height),
        area=int(cv2.countNonZero(part)),
        centroid=centroid,
        score=cv2.mean(window, part)[0] / 255,
        peak=cv2.minMaxLoc(window, part)[1] / 255,
        runs=runs_of_mask(part, origin, shape),
        top=tuple((x + first, x + end) for first, end in top),
        bottom=tuple((x + first, x + end) for first, end in bottom),
    )
