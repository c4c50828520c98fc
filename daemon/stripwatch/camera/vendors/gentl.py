"""Cameras behind any vendor's GenTL producer (.cti): CoaXPress and Camera Link grabbers.

Harvester keeps what a GenTL consumer must do right; every property of a buffer or a device may be
missing, and says so with an exception.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from stripwatch.camera.base import Discovered
from stripwatch.camera.vendors.genapi import words
from stripwatch.camera.vendors.gentl_camera import FAULTS, GenTLCamera
from stripwatch.config.cameras import CameraSource
from stripwatch.errors import CameraError, ConfigError

LOAD_FAULTS: tuple[type[Exception], ...] = (*FAULTS, OSError)
KEYS = ("vendor", "model", "serial_number", "id_", "user_defined_name")


class GenTL:
    """One producer; see `camera.base.CameraLibrary`."""

    def __init__(self, producer: str) -> None:
        """Load a producer.

        Raises:
            ConfigError: the file is not there, or is no producer.
            ModuleNotFoundError: the extra is not installed.
        """
        from harvesters.core import Harvester

        logging.getLogger("harvesters").setLevel(logging.CRITICAL)  # faults come out as ours
        path = Path(producer)
        if not path.is_file():
            raise ConfigError(
                f"producer = {producer!r}: there is no such file; give the .cti file that the "
                f"vendor's software installed, such as one in {_folders() or 'its lib folder'}"
            )
        self._path = path.resolve()
        self._check()
        self._make_harvester = Harvester

    def discover(self) -> list[Discovered]:
        """See `CameraLibrary`."""
        harvester = self._loaded()
        try:
            return [_discovered(info) for info in harvester.device_info_list]
        finally:
            harvester.reset()  # a producer may be open once in a process

    def open(self, source: CameraSource) -> GenTLCamera:
        """See `CameraLibrary`."""
        harvester = self._loaded()
        try:
            return _open(harvester, source)
        except BaseException:
            harvester.reset()
            raise

    def _check(self) -> None:
        """Harvester passes over a file that it cannot load without a word."""
        try:
            is_producer = hasattr(ctypes.CDLL(str(self._path)), "GCInitLib")
            why = "" if is_producer else "it is no GenTL producer"
        except OSError as error:
            why = str(error)
        if why:
            raise ConfigError(
                f"producer = {str(self._path)!r} cannot be loaded: {why}; a GenTL producer of this "
                "computer's architecture is needed, with the libraries of its vendor"
            )

    def _loaded(self) -> Any:  # noqa: ANN401 - of a library without types
        """A Harvester that has looked behind the producer. CameraError: it fails."""
        harvester = self._make_harvester()
        try:
            harvester.add_file(str(self._path))
            harvester.update()
        except LOAD_FAULTS as fault:
            harvester.reset()
            raise CameraError(f"{self._path} cannot look for cameras: {words(fault)}") from None
        return harvester


def _open(harvester: Any, source: CameraSource) -> GenTLCamera:  # noqa: ANN401 - as above
    """Open the camera that is meant."""
    infos = list(harvester.device_info_list)
    found = [_discovered(info) for info in infos]
    wanted = source.id
    names = [
        (camera.id, camera.serial, _property(info, "user_defined_name"))
        for camera, info in zip(found, infos, strict=True)
    ]
    fitting = [number for number, of in enumerate(names) if not wanted or wanted in of]
    if wanted and any(of[0] == wanted for of in names):  # a serial may be of several
        fitting = [number for number in fitting if names[number][0] == wanted]
    listed = f": {', '.join(camera.id for camera in found)}" if found else ""
    if wanted and not fitting:
        raise CameraError(
            f"camera {wanted!r} is not in sight{listed or ', nor is any other'}; check cable "
            "and power, and what stripwatch camera list --producer FILE.CTI shows"
        )
    if len(fitting) != 1:
        raise ConfigError(
            f"cameras.source.id = {wanted!r} fits {len(fitting)} of the cameras in sight"
            f"{listed}; give the id of one"
        )
    try:
        with _signals_kept():
            acquirer = harvester.create(fitting[0])
    except FAULTS as fault:
        raise CameraError(
            f"camera {found[fitting[0]].id} is there and cannot be opened: {words(fault)}; "
            "does another program control it?"
        ) from None
    return GenTLCamera(acquirer, found[fitting[0]], harvester.reset)


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Harvester takes Ctrl-C for itself; the process ends by its own signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: Any = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _discovered(info: Any) -> Discovered:  # noqa: ANN401 - of a library without types
    vendor, model, serial, id_, _ = (_property(info, key) for key in KEYS)
    return Discovered("genicam", id_, vendor, model, serial, address="")


def _property(info: Any, name: str) -> str:  # noqa: ANN401 - as above
    with suppress(*FAULTS, AttributeError):
        return str(getattr(info, name) or "")
    return ""


def _folders() -> str:
    """Where GenTL producers are by the standard's environment variable."""
    return os.environ.get("GENICAM_GENTL64_PATH", "")
