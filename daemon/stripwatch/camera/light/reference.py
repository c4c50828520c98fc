"""What the strip looks like while the light is right: learnt once, and kept in a file.

A flat field makes a white plate flat; steel is not white and not matt, so the profile that a clean
lamp gives on the plant's own strip is learnt from the first metres after a calibration (ADR 33).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from stripwatch.camera.light.profile import Block, Profile
from stripwatch.errors import ConfigError
from stripwatch.files import write_whole
from stripwatch.wire.names import SIDE_MAX, CameraName

LEARN_M = 100.0  # of strip over a column, before its share is known
FILE_BYTES_MAX = 2 * 1024 * 1024
_KNOWN_MIN = 0.5  # of the strip's columns, before a block is compared

ColumnShare = Annotated[float, Meta(ge=0, le=1e4)]


class LightReference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The profile and level of one camera's strip in good light."""

    v: int = 1
    camera: CameraName = "camera"
    flat_field: str = ""  # its hash; "" = none
    made: str = ""  # ISO 8601 in UTC
    grey: Annotated[float, Meta(gt=0, le=255)]  # mean over the strip
    shape: Annotated[  # share of that mean by column; null where no strip has been
        tuple[ColumnShare | None, ...], Meta(min_length=1, max_length=SIDE_MAX)
    ]


class ReferenceSum:
    """Learns the reference column by column, and compares blocks with what is learnt."""

    def __init__(self, pixels: int, known: LightReference | None) -> None:
        """Continue with a reference of that many pixels, or with nothing."""
        self.reference = known
        self._shape = np.full(pixels, np.nan, np.float32)
        if known:
            self._shape[:] = [np.nan if share is None else share for share in known.shape]
        self._metres = np.where(np.isnan(self._shape), 0.0, LEARN_M)
        self._sum = np.zeros(pixels)
        self._grey_sum = self._grey_m = 0.0

    def learn(self, block: Block) -> None:
        """Let a block teach the columns that are not known yet."""
        new = ~np.isnan(block.shape) & (self._metres < LEARN_M)
        if self.reference is None:
            self._grey_sum += block.grey * block.metres
            self._grey_m += block.metres
        if not new.any():
            return
        self._sum[new] += block.shape[new] * block.metres
        self._metres[new] += block.metres
        learnt = new & (self._metres >= LEARN_M)
        if learnt.any():
            self._shape[learnt] = self._sum[learnt] / self._metres[learnt]
            self._tell()

    def share_of(self, block: Block) -> Profile:
        """A block's shape as share of the reference's; NaN where either is unknown.

        The middle of the shares is 1, so one dark segment does not make the rest look bright.
        """
        shares = block.shape / np.maximum(self._shape, 1e-3)
        known = ~np.isnan(shares)
        if known.sum() < max(1.0, _KNOWN_MIN * np.count_nonzero(~np.isnan(block.shape))):
            return np.full_like(shares, np.nan)
        return np.asarray(shares / max(float(np.median(shares[known])), 1e-3), np.float32)

    def level_of(self, block: Block) -> float | None:
        """A block's grey as share of the reference's; None while that is unknown."""
        return None if self.reference is None else block.grey / self.reference.grey

    def _tell(self) -> None:
        grey = self.reference.grey if self.reference else self._grey_sum / self._grey_m
        self.reference = LightReference(
            grey=round(min(max(grey, 0.01), 255), 2),
            shape=tuple(
                None if np.isnan(share) else round(float(share), 4) for share in self._shape
            ),
        )


def save_light_reference(
    path: Path, reference: LightReference, camera: str, flat_field: str
) -> None:
    """Write a reference for a camera with a flat field of that hash.

    Raises:
        OSError: it cannot be written.
    """
    reference = msgspec.structs.replace(
        reference,
        camera=camera,
        flat_field=flat_field,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, msgspec.json.encode(reference) + b"\n")


def load_light_reference(
    path: Path, camera: str, flat_field: str, pixels: int
) -> LightReference | None:
    """The reference that was kept; None where there is none, or the flat field is another one.

    Raises:
        ConfigError: the file is damaged; removing it makes the watch learn again.
    """
    try:
        content = path.read_bytes()[: FILE_BYTES_MAX + 1]
        reference = msgspec.json.decode(content, type=LightReference)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(
            f"{path}: is no reference of the light: {error}; remove it, and it is learnt again"
        ) from None
    found = (reference.camera, reference.flat_field, len(reference.shape))
    return reference if found == (camera, flat_field, pixels) else None
