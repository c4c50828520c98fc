"""The library for each kind of camera; loaded only when it is used."""

from __future__ import annotations

from stripwatch.camera.base import CameraLibrary
from stripwatch.config.cameras import CameraSource


def library_of(source: CameraSource) -> CameraLibrary:
    """The library that reaches a camera.

    Raises:
        ConfigError: it is not installed, or a producer cannot be loaded; says how to mend it.
        ModuleNotFoundError: the extra that it needs is not installed.
    """
    if source.kind == "aravis":
        from stripwatch.camera.aravis.discovery import Aravis

        return Aravis()
    if source.kind == "genicam":
        from stripwatch.camera.vendors.gentl import GenTL

        assert source.producer  # the configuration is checked
        return GenTL(source.producer)
    from stripwatch.camera.vendors.pylon import Pylon

    return Pylon()
