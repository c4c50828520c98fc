"""From masks to defects: pure functions on arrays, without sockets, engines, threads or clock."""

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
from stripwatch.inspect.findings import Finding, Segmentation, find_defects_of_frames


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
    mask: NDArray[np.uint8],
    prob: NDArray[np.uint8],
    area: NDArray[np.float32],
    classes: Sequence[DefectClass],
    defects_max: int,
) -> list[Finding]:
    """Find the defects of one frame; see `Segmentation` and `find_defects_of_frames`."""
    return find_defects_of_frames([Segmentation(mask, prob, area, classes)], defects_max)[0]
