"""References for a flat field from frames of a camera, and why a reference is refused.

The limits come from the manuals of line-scan cameras: brightest to darkest column below 3:1
(DALSA Spyder3), the bright reference at 40 to 50 % of the range (KAYA, JAI), a plate of white
plastic or ceramic, since paper shows its fibres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stripwatch.camera.light.flat_field import Raw
from stripwatch.camera.light.profile import against_neighbours
from stripwatch.errors import ConfigError

FRAMES_MIN = 8
DARK_SHARE_MAX = 0.1  # of the range: above it light still falls in
CLIPPED_SHARE_MAX = 0.001  # of the pixels; a few hot ones are no harm
BRIGHT_SHARE_MIN = 0.2  # of the range, above the dark reference
UNEVEN_MAX = 3.0  # brightest to darkest column
FLICKER_MAX = 0.05  # share by which the whole brightness changes between parts of frames
MOVING_MAX = 0.03  # share by which one place changes more than the whole
STREAK_MAX = 0.1  # share by which a column differs from those beside it
STREAK_HALF_PX = 16  # that count as beside it
_TILES = 8  # parts of a frame along the strip
_TILE_PX = 8  # columns of a part: so many pixels that a camera's noise does not show
_SMOOTH_PX = 15  # columns: unevenness is that of the lamp, not of single pixels


@dataclass(frozen=True, slots=True)
class Measured:
    """What a series of frames of one scene comes to."""

    columns: NDArray[np.float64]  # mean grey of each column, in the camera's own grey
    grey: float  # mean
    clipped: float  # share of pixels at the top of the range
    flicker: float  # largest change of the whole
    moving: float  # largest change of one place, without that of the whole
    moving_px: int  # where it is


def measure(frames: Sequence[Raw], bits: int) -> Measured:
    """Mean and steadiness of frames of `bits`, each [lines, pixels].

    Raises:
        ConfigError: there are too few of them.
    """
    if len(frames) < FRAMES_MIN:
        raise ConfigError(f"{len(frames)} frames came, a reference needs {FRAMES_MIN}")
    top = (1 << bits) - 1
    columns = np.mean([frame.mean(axis=0, dtype=np.float64) for frame in frames], axis=0)
    clipped = float(np.mean([np.count_nonzero(frame >= top) / frame.size for frame in frames]))
    width = max(1, frames[0].shape[1] // _TILE_PX)
    tiles = np.concatenate(
        [
            cv2.resize(frame.astype(np.float32), (width, _TILES), interpolation=cv2.INTER_AREA)
            for frame in frames
        ]
    )
    shares = tiles / np.maximum(tiles.mean(axis=0), 1e-3)
    whole = np.median(shares, axis=1, keepdims=True)
    places = np.abs(shares / np.maximum(whole, 1e-3) - 1)
    # Of every place the value that nearly all parts stay below: one spark is no movement.
    of_place = np.quantile(places, 0.95, axis=0)
    return Measured(
        columns=columns,
        grey=float(columns.mean()),
        clipped=clipped,
        flicker=float(whole.max() - whole.min()),
        moving=float(of_place.max()),
        moving_px=int(of_place.argmax() * frames[0].shape[1] / width),
    )


def check_dark(dark: Measured, bits: int) -> None:
    """Refuse a dark reference into which light falls.

    Raises:
        ConfigError: with the reason and what to do.
    """
    share = dark.grey / ((1 << bits) - 1)
    if share > DARK_SHARE_MAX:
        raise _refused(
            "dark",
            f"is not dark: mean {dark.grey:.0f}, {_percent(share)} of the range, at most "
            f"{_percent(DARK_SHARE_MAX)}",
            "switch the light off, or put the cap on the lens, and lower the camera's black level",
        )


def check_bright(bright: Measured, dark: Measured, bits: int) -> None:
    """Refuse a bright reference that would spoil the correction.

    Raises:
        ConfigError: with the reason and what to do.
    """
    top = (1 << bits) - 1
    lit = bright.columns - dark.columns
    share = float(lit.mean()) / top
    if bright.clipped > CLIPPED_SHARE_MAX:
        raise _refused(
            "bright",
            f"is clipped: {100 * bright.clipped:.1f} % of the pixels are at {top}",
            "shorten the exposure, or lower gain or light, until the mean is near 45 % of the "
            f"range (it is {_percent(bright.grey / top)})",
        )
    if share < BRIGHT_SHARE_MIN:
        raise _refused(
            "bright",
            f"is too dark: {_percent(share)} of the range above the dark one, at least "
            f"{_percent(BRIGHT_SHARE_MIN)}",
            "switch the light on, lengthen the exposure or open the lens, until it is near 45 %",
        )
    _check_evenness(lit)
    if bright.moving > MOVING_MAX:
        raise _refused(
            "bright",
            f"is moving: near pixel {bright.moving_px} it changes by {_percent(bright.moving)}, "
            f"at most {_percent(MOVING_MAX)}",
            "let a white plate of plastic or ceramic stand still; neither strip nor paper",
        )
    if bright.flicker > FLICKER_MAX:
        raise _refused(
            "bright",
            f"flickers: the whole line changes by {_percent(bright.flicker)}, at most "
            f"{_percent(FLICKER_MAX)}",
            "supply the lamp with direct current, let it warm up, and keep other light out",
        )
    _check_streaks(lit)


def target_grey(bright: Measured, dark: Measured, bits: int) -> float:
    """The grey of 8 bits that the bright reference has on average, so that brightness stays."""
    lit = bright.grey - dark.grey
    return round(lit * 255 / ((1 << bits) - 1), 2)


def _check_evenness(lit: NDArray[np.float64]) -> None:
    """Refuse a line that is uneven."""
    smooth = cv2.blur(lit.astype(np.float32)[None], (_SMOOTH_PX, 1), borderType=cv2.BORDER_REFLECT)
    of_line = smooth[0]
    darkest = int(of_line.argmin())
    uneven = float(of_line.max() / max(float(of_line.min()), 1e-3))
    if uneven > UNEVEN_MAX:
        raise _refused(
            "bright",
            f"is uneven: its brightest place is {min(uneven, 999):.1f} times the darkest, near "
            f"pixel {darkest}, at most {UNEVEN_MAX:g}",
            "move the lamp or the plate until the whole line is lit",
        )


def _check_streaks(lit: NDArray[np.float64]) -> None:
    """Refuse a line with narrow dark or bright places."""
    shares = against_neighbours(lit.astype(np.float32), STREAK_HALF_PX)
    away = np.nan_to_num(np.abs(shares - 1))
    streak = int(away.argmax())
    if away[streak] > STREAK_MAX:
        than = "brighter" if shares[streak] > 1 else "darker"
        raise _refused(
            "bright",
            f"has streaks: pixel {streak} is {_percent(away[streak])} {than} than its "
            f"neighbours, at most {_percent(STREAK_MAX)}",
            "clean the glass and the lens, and move the plate a little",
        )


def _refused(name: str, reason: str, remedy: str) -> ConfigError:
    return ConfigError(f"the {name} reference {reason}; {remedy}")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
