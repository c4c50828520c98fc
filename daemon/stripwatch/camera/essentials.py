"""What every line-scan camera is told, by the standard names of its features.

Frame and pixel format, the line trigger, and the frame timeout; then the features of the
configuration, in its order, which may change any of them. Names: GenICam SFNC 2.7; where makes
differ, those that are known (docs/cameras.md).
"""

from __future__ import annotations

from stripwatch.camera.base import OpenCamera
from stripwatch.config.cameras import CameraSource
from stripwatch.config.sections import Geometry
from stripwatch.errors import ConfigError

# What an encoder is called among the sources of a line trigger: SFNC, Basler.
ENCODER_SOURCES = ("Encoder0", "ShaftEncoderModuleOut")
# Switch and time of the frame timeout: Hikrobot.
FRAME_TIMEOUTS = (("FrameTimeoutEnable", "FrameTimeoutTime"),)
_MS_PER_UNIT = {"us": 0.001, "µs": 0.001, "s": 1000.0}  # else milliseconds

NO_FRAME_TIMEOUT = (
    "the camera has no frame timeout that stripwatch knows: a frame that has begun when the strip "
    "stops leaves the camera only when it moves again; set one by name in `features`, if the "
    "camera has it"
)


def configure(camera: OpenCamera, source: CameraSource, geometry: Geometry) -> list[str]:
    """Set up a camera; returns what it cannot do, in sentences.

    Raises:
        ConfigError: the camera refuses a value; says what is allowed.
        CameraError: the camera does not answer.
    """
    for name in ("OffsetX", "OffsetY"):
        offset = camera.feature(name)
        if offset and offset.writable and name not in source.features:
            camera.write(name, 0)
    camera.write("PixelFormat", source.pixel_format)
    camera.write("Width", geometry.frame_pixels)
    camera.write("Height", geometry.frame_lines)
    _set_trigger(camera, source)
    remarks = _set_frame_timeout(camera, source)
    for name, value in source.features.items():
        camera.write(name, value)
    return remarks


def _set_trigger(camera: OpenCamera, source: CameraSource) -> None:
    selector = camera.feature("TriggerSelector")
    triggers = selector.choices if selector else ()
    for trigger in triggers:
        if trigger in ("FrameStart", "AcquisitionStart"):
            camera.write("TriggerSelector", trigger)
            camera.write("TriggerMode", "Off")
    if "LineStart" in triggers:
        camera.write("TriggerSelector", "LineStart")
        if source.trigger == "free":
            camera.write("TriggerMode", "Off")
            return
        _set_encoder(camera, source)
        camera.write("TriggerMode", "On")
    elif source.trigger == "encoder":
        raise ConfigError(
            'trigger = "encoder": this camera has no trigger that starts a line; write '
            'trigger = "free" to let it run at its own rate'
        )


def _set_encoder(camera: OpenCamera, source: CameraSource) -> None:
    """Let the encoder start each line, unless the configuration names another source."""
    if "TriggerSource" in source.features:
        return
    feature = camera.feature("TriggerSource")
    choices = feature.choices if feature else ()
    encoder = next((name for name in ENCODER_SOURCES if name in choices), None)
    if encoder is None:
        raise ConfigError(
            'trigger = "encoder": none of the sources of the line trigger is an encoder by its '
            'name; choose one: features = { TriggerSource = "NAME" }, of '
            f"{', '.join(choices) or 'none'}"
        )
    camera.write("TriggerSource", encoder)


def _set_frame_timeout(camera: OpenCamera, source: CameraSource) -> list[str]:
    if source.trigger == "free":
        return []
    for switch, time in FRAME_TIMEOUTS:
        feature = camera.feature(time)
        if feature is None:
            continue
        camera.write(switch, True)
        value = source.frame_timeout_ms / _MS_PER_UNIT.get(feature.unit, 1.0)
        camera.write(time, round(value) if isinstance(feature.value, int) else value)
        return []
    return [NO_FRAME_TIMEOUT]
