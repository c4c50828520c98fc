"""Defects by OpenCV, one class, box and component after the other: slow, and easy to believe.

`inspect/findings.py` does the same with whole arrays and must give the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.manifest import DefectClass
from stripwatch.inspect.defects import find_components
from stripwatch.inspect.findings import Finding, Segmentation, Span
from stripwatch.wire.rle import runs_of_mask

Mask = NDArray[np.uint8]


def find_defects_one_by_one(frame: Segmentation, defects_max: int) -> list[Finding]:
    """The findings of a frame; see `find_defects_of_frames`."""
    mask, findings = frame.mask, []
    columns = np.bitwise_or.reduce(mask, axis=0)
    rows = np.bitwise_or.reduce(mask, axis=1)
    for entry in frame.classes:
        row_spans = _spans(rows, entry.bit)
        if frame.area[entry.id - 1] < max(entry.min_area_px, 1) or not row_spans:
            continue
        top, bottom = row_spans[0][0], row_spans[-1][1]
        boxes = [
            _label(mask, entry, left, right, top, bottom)
            for left, right in _spans(columns, entry.bit)
        ]
        findings += _findings(boxes, mask.shape, frame.prob[entry.id - 1], entry, defects_max)
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
