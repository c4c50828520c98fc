"""The two steps of `stripwatch camera calibrate`: frames of a camera to references in files."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from stripwatch.camera.base import BufferStatus, OpenCamera
from stripwatch.camera.encoder import hide_count
from stripwatch.camera.light.calibration import (
    FRAMES_MIN,
    UNEVEN_MAX,
    Measured,
    check_bright,
    check_dark,
    measure,
    target_grey,
)
from stripwatch.camera.light.flat_field import Columns, FlatField, Raw, save_flat_field
from stripwatch.camera.light.part import bits_of, flat_field_path
from stripwatch.config.cameras import CameraSource
from stripwatch.errors import CameraError, ConfigError, StripwatchError
from stripwatch.files import write_whole
from stripwatch.wire.names import CameraName

# For which a reference holds; the names of several makes and versions of the standard.
CONDITIONS = ("ExposureTime", "ExposureTimeAbs", "Gain", "GainRaw", "BlackLevel", "BlackLevelRaw")
TEMPERATURES = ("DeviceTemperature", "TemperatureAbs")
OWN_UNEVEN_MAX = 1.1  # brightest to darkest column after the camera's own correction
SETTLE_S = 1.0  # for the camera's own correction

Step = Literal["dark", "bright"]
Conditions = dict[str, float | str]


class DarkReference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first step's result, for the second."""

    v: Literal[1] = 1
    camera: CameraName
    made: str  # ISO 8601 in UTC
    bits: Annotated[int, Meta(ge=8, le=16)]
    columns: Columns
    conditions: Conditions


def dark_path(source: CameraSource, camera: str) -> Path:
    """Where the dark reference of a camera is kept."""
    return Path(source.light.folder) / f"{camera}-dark.json"


def take_frames(
    opened: OpenCamera, source: CameraSource, count: int, silence_s: float = 5.0
) -> list[Raw]:
    """Copies of the next whole frames of a camera that is started.

    Raises:
        CameraError: it delivers none for `silence_s`.
    """
    frames: list[Raw] = []
    until_s = time.monotonic() + silence_s
    while len(frames) < count:
        buffer = opened.next_buffer(0.25)
        if buffer is None:
            if time.monotonic() > until_s:
                raise CameraError(
                    f"{len(frames)} of {count} frames came, and no more for {silence_s:g} s; for a "
                    "calibration the camera takes its lines by itself: check its line rate"
                )
            continue
        until_s = time.monotonic() + silence_s
        if buffer.status is BufferStatus.COMPLETE:
            pixels = buffer.pixels.copy()
            if source.line and source.line.embedded:
                hide_count(pixels, source.line.embedded)
            frames.append(pixels)
        opened.release(buffer)
    shape = frames[0].shape
    return [frame for frame in frames if frame.shape == shape]


def calibrate_dark(camera: str, source: CameraSource, opened: OpenCamera, count: int) -> Measured:
    """Measure and keep the dark reference, or let the camera make its own.

    Raises:
        ConfigError: the reference is refused; says what to do.
        CameraError: the camera stopped.
        OSError: it cannot be written.
    """
    bits = bits_of(source.pixel_format)
    dark = measure(take_frames(opened, source, count), bits)
    check_dark(dark, bits)
    if source.light.dark_command:
        opened.write(source.light.dark_command, value=True)
        time.sleep(SETTLE_S)
    reference = DarkReference(
        camera=camera,
        made=_now(),
        bits=bits,
        columns=_rounded(dark.columns),
        conditions=_conditions(opened),
    )
    path = dark_path(source, camera)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, msgspec.json.encode(reference) + b"\n")
    return dark


def calibrate_bright(
    camera: str, source: CameraSource, opened: OpenCamera, count: int, target: float | None = None
) -> tuple[Measured, FlatField | None]:
    """Measure the bright reference, and keep the flat field; None: the camera corrects by itself.

    Raises:
        ConfigError: the reference is refused, or there is no dark one that fits.
        CameraError: the camera stopped.
        OSError: it cannot be written.
    """
    bits = bits_of(source.pixel_format)
    conditions = _conditions(opened)
    of_dark = _dark(source, camera, bits, conditions)
    columns = np.asarray(of_dark.columns)
    dark = Measured(columns, float(columns.mean()), 0.0, 0.0, 0.0, 0)
    bright = measure(take_frames(opened, source, count), bits)
    if bright.columns.shape != columns.shape:
        raise ConfigError(
            f"the dark reference has {len(columns)} pixels, the frame {len(bright.columns)}; make "
            f"it again: stripwatch camera calibrate {camera} dark"
        )
    check_bright(bright, dark, bits)
    if source.light.bright_command:
        _correct_in_camera(source, source.light.bright_command, opened, count, bits)
        return bright, None
    field = FlatField(
        camera=camera,
        made=_now(),
        bits=bits,
        target=target_grey(bright, dark, bits) if target is None else target,
        dark=of_dark.columns,
        bright=_rounded(bright.columns),
        temperature_c=_temperature(opened),
        conditions=conditions,
    )
    return bright, save_flat_field(flat_field_path(source.light, camera), field)


def unevenness(measured: Measured) -> float:
    """Brightest to darkest column."""
    return float(measured.columns.max() / max(float(measured.columns.min()), 1e-3))


def _correct_in_camera(
    source: CameraSource, command: str, opened: OpenCamera, count: int, bits: int
) -> None:
    """Let the camera make its own coefficients, and see whether it has.

    Raises:
        ConfigError: it has not.
    """
    opened.write(command, value=True)
    time.sleep(SETTLE_S)
    after = measure(take_frames(opened, source, max(count, FRAMES_MIN)), bits)
    if unevenness(after) > OWN_UNEVEN_MAX:
        raise ConfigError(
            f"after {command} the brightest column is still {unevenness(after):.2f} times the "
            f"darkest, at most {OWN_UNEVEN_MAX:g} (before: up to {UNEVEN_MAX:g}); switch the "
            "camera's correction on by `features`, or leave dark_command and bright_command out "
            "and set flat_field = true"
        )


def _dark(source: CameraSource, camera: str, bits: int, now: Conditions) -> DarkReference:
    path = dark_path(source, camera)
    again = f"stripwatch camera calibrate {camera} dark"
    try:
        reference = msgspec.json.decode(path.read_bytes(), type=DarkReference)
    except FileNotFoundError:
        raise ConfigError(f"there is no dark reference yet; make it first: {again}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: is no dark reference: {error}; {again}") from None
    before = reference.conditions
    changed = [
        f"{name} {before.get(name)} -> {now.get(name)}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    if reference.bits != bits:
        changed.append(f"{reference.bits} -> {bits} bits")
    if changed:
        raise ConfigError(
            f"the camera was changed since the dark reference of {reference.made} "
            f"({', '.join(changed)}); make it again: {again}"
        )
    return reference


def _conditions(opened: OpenCamera) -> Conditions:
    return {
        name: value if isinstance(value, str) else float(value)
        for name in CONDITIONS
        if (value := _value(opened, name)) is not None
    }


def _temperature(opened: OpenCamera) -> float | None:
    for name in TEMPERATURES:
        value = _value(opened, name)
        if value is not None and not isinstance(value, str):
            return round(float(value), 1)
    return None


def _value(opened: OpenCamera, name: str) -> float | str | None:
    try:
        return opened.read(name) if opened.feature(name) else None
    except StripwatchError:  # not every camera tells everything in every state
        return None


def _rounded(columns: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(grey), 3) for grey in columns)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
