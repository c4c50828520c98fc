"""Masks of a sample, read from run lengths or from an image file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ImageOps

from stripwatch.errors import ConfigError
from stripwatch.wire.causes import WireError
from stripwatch.wire.names import CLASSES_MAX, class_bit
from stripwatch.wire.rle import decode_coco, decode_severstal
from stripwatch_train.data.images import (
    opened,
)
from stripwatch_train.data.samples import MaskFile, Sample

THRESHOLD = 128  # of masks of one class; those made from JPEG are not strictly 0 or 255
_MASK_FORMATS = ("PNG", "BMP")  # JPEG would change the class of pixels
_BIT_OF_CLASS = np.array([0, *map(class_bit, range(1, CLASSES_MAX + 1))], np.uint8)


def load_mask(sample: Sample, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The sample's masks, uint8 [lines, pixels] with bit c-1 set where class c is.

    Args:
        sample: whose masks to load.
        shape: lines, pixels of its image.

    Raises:
        ConfigError: the masks are of another shape, damaged, or name a class that is not there.
    """
    masks = sample.masks
    mask = np.zeros(shape, np.uint8)
    if isinstance(masks, MaskFile):
        mask = _mask_of_file(masks)
        _check_shape(masks.path, mask.shape, shape)
    elif masks is not None:
        _check_shape(sample.image, masks.shape, shape)
        decode = decode_severstal if masks.coding == "severstal" else decode_coco
        for class_id, text in masks.runs:
            try:
                mask |= decode(text, shape) * _BIT_OF_CLASS[class_id]
            except WireError as error:
                raise ConfigError(
                    f"{sample.image}: mask of class {class_id}: {error.detail}"
                ) from None
    return mask


def classes_of(sample: Sample) -> frozenset[int]:
    """The ids of the classes that a sample has; mask files are opened for it.

    Raises:
        ConfigError: a mask file cannot be used.
    """
    masks = sample.masks
    if isinstance(masks, MaskFile):
        bits = int(np.bitwise_or.reduce(_mask_of_file(masks), axis=None))
        return frozenset(c for c in range(1, CLASSES_MAX + 1) if bits & class_bit(c))
    return frozenset(class_id for class_id, _ in masks.runs) if masks else frozenset()


def _mask_of_file(masks: MaskFile) -> NDArray[np.uint8]:
    with opened(masks.path, _MASK_FORMATS) as image:
        if image.mode not in ("1", "L", "P"):
            raise ConfigError(
                f"{masks.path}: is of mode {image.mode}; a mask is one channel of 8 bits whose "
                "values are class ids"
            )
        # Turned as the image file beside it would be.
        values = np.array(ImageOps.exif_transpose(image)).astype(np.uint8)
    if masks.class_id is not None:
        return np.where(values >= THRESHOLD, _BIT_OF_CLASS[masks.class_id], np.uint8(0))
    if masks.classes == 1:  # then white can mean only one thing
        values[values == 255] = 1
    beyond = values[values > masks.classes]
    if beyond.size:
        raise ConfigError(
            f"{masks.path}: has the value {beyond.max()}; with {masks.classes} classes a mask has "
            f"0 (no defect) to {masks.classes}"
        )
    return _BIT_OF_CLASS[values]


def _check_shape(path: Path, found: tuple[int, ...], wanted: tuple[int, int]) -> None:
    if found != wanted:
        raise ConfigError(
            f"{path}: its mask is {found[0]} x {found[1]} (lines x pixels), the image "
            f"{wanted[0]} x {wanted[1]}"
        )
