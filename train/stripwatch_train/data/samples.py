"""What a data set is, whatever layout it lies in: images, their masks, and what belongs together.

Nothing of an image or a mask is held in memory before it is asked for: a sample is a path and
either a few run-length strings or another path.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from stripwatch.engines.manifest import DefectClass, sha256_files
from stripwatch.errors import ConfigError
from stripwatch.wire.causes import WireError
from stripwatch.wire.names import CLASSES_MAX, class_bit
from stripwatch.wire.rle import decode_coco, decode_severstal

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
COLOUR_LEVELS_MAX = 8  # of 255, between the channels of a grey picture that was saved as colour
THRESHOLD = 128  # of masks that are pictures of one class; JPEG-made ones are not strictly 0 or 255

_IMAGE_FORMATS = ("PNG", "JPEG", "BMP")
_MASK_FORMATS = ("PNG", "BMP")  # JPEG would change the class of pixels
_BIT_OF_CLASS = np.array([0, *map(class_bit, range(1, CLASSES_MAX + 1))], np.uint8)


@dataclass(frozen=True, slots=True)
class RunMasks:
    """Masks as run-length strings; a class may have several, which are joined."""

    shape: tuple[int, int]  # lines, pixels of the image that they were made for
    coding: Literal["severstal", "coco"]
    runs: tuple[tuple[int, str], ...]  # class id, text


@dataclass(frozen=True, slots=True)
class MaskFile:
    """Masks as an image file beside the image."""

    path: Path
    classes: int  # how many there are: values beyond them are refused
    class_id: int | None = None  # bright pixels are of this class; None = values are class ids


Masks = RunMasks | MaskFile | None  # None: known to be without defects


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame and its labels."""

    name: str  # unique in its data set
    image: Path
    masks: Masks
    group: str = ""  # frames of one group stay in one fold; "" = none known


@dataclass(frozen=True, slots=True)
class DataSet:
    """Frames with labels, and the classes that the labels speak of."""

    classes: tuple[DefectClass, ...]
    samples: tuple[Sample, ...]
    source: str  # where it came from, for reading
    findings: tuple[str, ...] = ()  # what its reader noticed and went on from, a sentence each


def class_name(text: str) -> str:
    """A name as events carry it: `Rolled-in scale` becomes `rolled_in_scale`."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def make_classes(where: Path, names: Sequence[str]) -> tuple[DefectClass, ...]:
    """Classes 1, 2, 3, ... of these names, each as `class_name` writes it.

    Raises:
        ConfigError: in the name of `where`: there are none or too many, or two are the same.
    """
    plain = [class_name(name) for name in names]
    if not 1 <= len(plain) <= CLASSES_MAX:
        raise ConfigError(f"{where}: has {len(plain)} classes; 1 to {CLASSES_MAX} fit a mask")
    for name, given in zip(plain, names, strict=True):
        if not 1 <= len(name) <= 32:
            raise ConfigError(
                f"{where}: {given!r} cannot name a class; use 1 to 32 characters of a-z 0-9 _"
            )
        if plain.count(name) > 1:
            raise ConfigError(f"{where}: two classes are called {name!r} in {', '.join(names)}")
    return tuple(DefectClass(id=index, name=name) for index, name in enumerate(plain, 1))


def image_files(folder: Path) -> list[Path]:
    """The image files in a folder and the folders in it, by name; hidden files are left out.

    Raises:
        ConfigError: there are none.
    """
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
    )
    if not paths:
        raise ConfigError(f"{folder}: holds no images ({', '.join(SUFFIXES)})")
    return paths


@contextmanager
def opened(path: Path, formats: tuple[str, ...] = _IMAGE_FORMATS) -> Iterator[ImageFile.ImageFile]:
    """An image file, opened; what goes wrong with it until it is closed is said in its name.

    Raises:
        ConfigError: it is missing, damaged, or none of `formats`.
    """
    try:
        with Image.open(path, formats=formats) as image:
            yield image
    except FileNotFoundError:
        raise ConfigError(f"{path}: is missing") from None
    except UnidentifiedImageError:
        raise ConfigError(
            f"{path}: is damaged, or not one of {', '.join(formats)}; replace or remove it"
        ) from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}; replace or remove it") from None


def image_name(sample: Sample) -> str:
    """The sample's name with the image's suffix, without which those of some layouts come."""
    suffix = sample.image.suffix
    return sample.name if sample.name.endswith(suffix) else sample.name + suffix


def soft_path(folder: Path, sample: Sample) -> Path:
    """Where a model's probabilities of a sample lie: [classes * lines, pixels], times 255."""
    return folder / "soft" / Path(sample.name).with_suffix(".png")


def image_shape(path: Path) -> tuple[int, int]:
    """Lines, pixels of an image file; its pixels are not decoded.

    Raises:
        ConfigError: as `opened`.
    """
    with opened(path) as image:
        return (image.height, image.width)


def load_image(sample: Sample) -> NDArray[np.uint8]:
    """The sample's grey pixels, uint8 [lines, pixels].

    Colour files whose channels are equal, or nearly, are taken for the grey that they show.

    Raises:
        ConfigError: the file is missing or damaged, in colour, partly transparent, or has not
            8 bits a channel.
    """
    with opened(sample.image) as image:
        if _has_16_bits(image):
            raise ConfigError(
                f"{sample.image}: has 16 bits a channel; convert it to 8 bit grey as the camera "
                "would send it"
            )
        if image.mode not in ("L", "LA", "P", "RGB", "RGBA"):
            raise ConfigError(
                f"{sample.image}: is of mode {image.mode}; convert it to 8 bit grey or RGB"
            )
        return _grey(sample.image, image)


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


def fingerprint(data_set: DataSet) -> str:
    """The hex SHA-256 over the names of classes and samples, the labels and the images' bytes.

    The same data give the same on every machine and under every path; any change gives another.

    Raises:
        ConfigError: a file cannot be read.
    """
    digest = hashlib.sha256(msgspec.json.encode([entry.name for entry in data_set.classes]))
    for sample in sorted(data_set.samples, key=lambda sample: sample.name):
        masks = sample.masks
        labels: object = masks
        if isinstance(masks, MaskFile):
            labels = [masks.class_id, _sha256(masks.path)]
        digest.update(msgspec.json.encode([sample.name, labels, _sha256(sample.image)]))
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    try:
        return sha256_files(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def _has_16_bits(image: ImageFile.ImageFile) -> bool:
    """Also of colour files, of which Pillow would silently drop the lower half."""
    return image.mode.startswith("I") or any(";16" in str(tile[3]) for tile in image.tile)


def _grey(path: Path, image: Image.Image) -> NDArray[np.uint8]:
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode in ("LA", "RGBA"):
        alpha = np.asarray(image.getchannel("A"))
        if alpha.min() != alpha.max():
            raise ConfigError(f"{path}: is transparent in places; save it without transparency")
        image = image.convert(image.mode.removesuffix("A"))
    if image.mode == "RGB":
        channels = np.asarray(image)
        apart = int((channels.max(axis=2) - channels.min(axis=2)).max())
        if apart > COLOUR_LEVELS_MAX:
            raise ConfigError(
                f"{path}: is in colour: its channels differ by up to {apart} of 255 levels, and "
                f"at most {COLOUR_LEVELS_MAX} pass as grey; convert it, or remove it if something "
                "was drawn into it"
            )
    return np.array(image.convert("L"))  # the luma that the daemon takes, too


def _mask_of_file(masks: MaskFile) -> NDArray[np.uint8]:
    with opened(masks.path, _MASK_FORMATS) as image:
        if image.mode not in ("1", "L", "P"):
            raise ConfigError(
                f"{masks.path}: is of mode {image.mode}; a mask is one channel of 8 bits whose "
                "values are class ids"
            )
        values = np.array(image).astype(np.uint8)
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
