"""The library for each kind of camera; loaded only when it is used."""

from __future__ import annotations

from stripwatch.camera.base import CameraLibrary
from stripwatch.config.cameras import CameraSource
from stripwatch.errors import ConfigError


def library_of(source: CameraSource) -> CameraLibrary:
    """The library that reaches a camera.

    Raises:
        ConfigError: it is not installed; says how to install it.
    """
    if source.kind == "aravis":
        from stripwatch.camera.aravis.discovery import Aravis

        return Aravis()
    raise ConfigError(f"cameras of kind {source.kind!r} are not supported by this version")
