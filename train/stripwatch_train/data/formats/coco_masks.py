"""Masks of COCO annotations as compressed run lengths, checked against their image."""

from __future__ import annotations

import cv2
import numpy as np
from pycocotools import mask as coco

from stripwatch.errors import ConfigError
from stripwatch.wire.causes import WireError
from stripwatch.wire.rle import decode_coco, encode_coco, runs_of_mask
from stripwatch_train.data.formats.coco_records import RunLengths

OUTSIDE_PX_MAX = 2.0  # of a polygon's corner, outside its image: rounding; more is another image


def compressed(
    where: str,
    segmentation: RunLengths | list[list[float]],
    shape: tuple[int, int],
    *,
    outlined: bool,
) -> str:
    """COCO's compressed counts, checked, as pycocotools does not check its input."""
    if isinstance(segmentation, list):
        _check_polygons(where, segmentation, shape)
        if outlined:
            filled = np.zeros(shape, np.uint8)
            for polygon in segmentation:  # with its outline, which the mask's outer pixels are
                corners = np.round(np.array(polygon).reshape(-1, 1, 2)).astype(np.int32)
                cv2.fillPoly(filled, [corners], 1)
            return encode_coco(runs_of_mask(filled))
        return str(coco.merge(coco.frPyObjects(segmentation, *shape))["counts"], "ascii")
    if segmentation.size != shape:
        raise ConfigError(
            f"{where} is of size {segmentation.size}, its image {shape} (lines, pixels)"
        )
    counts = segmentation.counts
    if isinstance(counts, str):
        try:
            decode_coco(counts, shape)
        except WireError as error:
            raise ConfigError(f"{where}: {error.detail}") from None
        return counts
    if min(counts, default=0) < 0 or sum(counts) != shape[0] * shape[1]:
        raise ConfigError(f"{where}: its counts do not add up to the image's pixels")
    packed = coco.frPyObjects({"counts": counts, "size": list(shape)}, *shape)
    return str(packed["counts"], "ascii")


def _check_polygons(where: str, polygons: list[list[float]], shape: tuple[int, int]) -> None:
    if not polygons:
        raise ConfigError(f"{where} has no mask; draw one, or delete it")
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise ConfigError(
                f"{where}: a polygon of {len(polygon)} numbers; it needs x, y of 3 corners or more"
            )
        corners = np.array(polygon).reshape(-1, 2)
        over = np.maximum(-corners, corners - (shape[1], shape[0])).max()
        if not over <= OUTSIDE_PX_MAX:
            raise ConfigError(
                f"{where}: a corner lies {over:.1f} pixels outside its image of {shape[0]} x "
                f"{shape[1]} (lines x pixels)"
            )
