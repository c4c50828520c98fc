"""Flat field: the same grey for the same steel in every pixel of a line.

Two coefficients a pixel, an offset and a gain, as line-scan cameras have them in themselves. They
carry a camera of 10 or 12 bits to 8 bits in the same step, so that nothing is rounded before.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

import cv2
import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from stripwatch.errors import ConfigError
from stripwatch.files import write_whole
from stripwatch.wire.names import SIDE_MAX, CameraName

Raw = NDArray[np.uint8] | NDArray[np.uint16]  # as a camera delivers it, [lines, pixels]
Grey = Annotated[float, Meta(ge=0, le=65535)]
Columns = Annotated[tuple[Grey, ...], Meta(min_length=1, max_length=SIDE_MAX)]
FILE_BYTES_MAX = 4 * 1024 * 1024


class FlatField(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The references of one camera, as they are stored. Greys are the camera's own, of `bits`."""

    v: Literal[1] = 1
    camera: CameraName
    made: str  # date and time of the bright reference, ISO 8601 in UTC
    bits: Annotated[int, Meta(ge=8, le=16)]
    target: Annotated[float, Meta(gt=0, le=255)]  # that the bright reference gets, of 8 bits
    dark: Columns  # mean grey of every column without light
    bright: Columns  # and over the evenly lit plate
    temperature_c: float | None = None  # of the camera, where it tells it
    # What the references hold for, by feature: exposure, gain, line rate.
    conditions: dict[str, float | str] = {}
    sha256: str = ""  # of everything else

    @property
    def digest(self) -> str:
        """SHA-256 of all the other keys."""
        plain = msgspec.structs.replace(self, sha256="")
        return hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()


class Correction:
    """Applies a flat field to frames; owns the memory that it works in."""

    def __init__(self, field: FlatField, lines: int) -> None:
        """Prepare the coefficients for frames of at most `lines`."""
        self._raw_type = np.dtype(np.uint8 if field.bits == 8 else np.uint16)
        dark = np.rint(field.dark).astype(self._raw_type)
        light = np.maximum(np.asarray(field.bright) - dark, 1)
        gain = (field.target / light).astype(np.float32)
        self._shape = (lines, len(dark))
        # OpenCV does not repeat a row, so every line has the coefficients once more.
        self._dark = np.ascontiguousarray(np.broadcast_to(dark, self._shape))
        self._gain = np.ascontiguousarray(np.broadcast_to(gain, self._shape))
        self._lit = np.empty(self._shape, self._raw_type)

    def apply(self, raw: Raw, out: NDArray[np.uint8]) -> None:
        """Write the corrected frame into `out`, uint8 [lines, pixels]; both ends saturate.

        A frame may have fewer lines than the others, as at the end of a strip.
        """
        count = raw.shape[0]
        assert raw.dtype == self._raw_type, raw.dtype
        assert raw.shape == out.shape == (count, self._shape[1]), (raw.shape, out.shape)
        lit = self._lit[:count]
        cv2.subtract(raw, self._dark[:count], dst=lit)
        cv2.multiply(lit, self._gain[:count], dst=out, dtype=cv2.CV_8U)


def to_8_bits(raw: Raw, bits: int, out: NDArray[np.uint8]) -> None:
    """Write a frame without a flat field into `out`: the upper 8 of its `bits`."""
    if bits == 8:
        np.copyto(out, raw, casting="unsafe")
    else:
        np.right_shift(raw, bits - 8, out=out, casting="unsafe")


def save_flat_field(path: Path, field: FlatField) -> FlatField:
    """Write a flat field with its hash, which comes back in it.

    Raises:
        OSError: it cannot be written.
    """
    field = msgspec.json.decode(msgspec.json.encode(field), type=FlatField)  # whole floats
    field = msgspec.structs.replace(field, sha256=field.digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, msgspec.json.encode(field) + b"\n")
    return field


def load_flat_field(path: Path, camera: str, pixels: int, bits: int) -> FlatField:
    """Read the flat field of a camera whose lines have `pixels` of `bits`.

    Raises:
        ConfigError: it cannot be read, was changed, or is not for this camera as it is now.
    """
    field = _read(path)
    again = f"; make it again with `stripwatch camera calibrate {camera}`"
    if field.sha256 != field.digest:
        raise ConfigError(f"{path}: was changed after the calibration, its hash is wrong{again}")
    if len(field.dark) != len(field.bright):
        raise ConfigError(f"{path}: has {len(field.dark)} dark, {len(field.bright)} bright{again}")
    found = (field.camera, len(field.dark), field.bits)
    if found != (camera, pixels, bits):
        raise ConfigError(
            f"{path}: is of camera {found[0]} with {found[1]} pixels of {found[2]} bits; camera "
            f"{camera} has {pixels} of {bits}{again}"
        )
    return field


def _read(path: Path) -> FlatField:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
        if len(content) > FILE_BYTES_MAX:
            raise ConfigError(f"{path}: is longer than {FILE_BYTES_MAX} bytes: no flat field")
        return msgspec.json.decode(content, type=FlatField)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: is no flat field: {error}") from None
