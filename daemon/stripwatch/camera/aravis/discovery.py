"""Finding and opening cameras with Aravis."""

from __future__ import annotations

import ipaddress

from stripwatch.camera.aravis.camera import AravisCamera
from stripwatch.camera.aravis.library import AravisFault, AravisLibrary, load_aravis
from stripwatch.camera.base import Discovered
from stripwatch.config.cameras import CameraSource
from stripwatch.errors import CameraError, ConfigError

_CHECKS = "check cable, power and address, and what stripwatch camera list shows"


class Aravis:
    """GigE Vision and USB3 Vision; see `camera.base.CameraLibrary`."""

    def __init__(self) -> None:
        """Load the library. ConfigError: it is not installed."""
        self._lib = load_aravis()

    def discover(self) -> list[Discovered]:
        """See `CameraLibrary`; takes about a second."""
        plain = self._lib.plain
        plain.arv_update_device_list()
        return [
            Discovered(
                kind="aravis",
                id=_text(plain.arv_get_device_id(index)),
                make=_text(plain.arv_get_device_vendor(index)),
                model=_text(plain.arv_get_device_model(index)),
                serial=_text(plain.arv_get_device_serial_nbr(index)),
                address=_text(plain.arv_get_device_address(index)),
            )
            for index in range(plain.arv_get_n_devices())
        ]

    def open(self, source: CameraSource) -> AravisCamera:
        """See `CameraLibrary`; a camera with an address is not searched for."""
        if _is_address(source.id):
            camera = self._open(source.id)
            return AravisCamera(self._lib, camera, _identity(self._lib, camera, source.id), source)
        found = self.discover()
        fitting = [camera for camera in found if _is_meant(source.id, camera)]
        if len(fitting) > 1 or (not source.id and not fitting):
            raise ConfigError(
                f"cameras.source.id = {source.id!r} fits {len(fitting)} of the cameras in sight"
                f"{_listed(found)}; give the id, or the address, of one"
            )
        if not fitting:
            raise CameraError(
                f"camera {source.id!r} does not answer; in sight{_listed(found) or ': none'}; "
                f"{_CHECKS}"
            )
        return AravisCamera(self._lib, self._open(fitting[0].id), fitting[0], source)

    def _open(self, wanted: str) -> int:
        """Open a camera and take control of it, which Aravis does not insist on."""
        plain = self._lib.plain
        try:
            camera: int | None = self._lib.call("arv_camera_new", wanted.encode())
        except AravisFault as fault:
            raise CameraError(f"camera {wanted!r} does not answer: {fault}; {_CHECKS}") from None
        if camera is None:
            raise CameraError(f"camera {wanted!r} does not answer; {_CHECKS}")
        is_gige = plain.arv_camera_is_gv_device(camera)
        device = plain.arv_camera_get_device(camera)
        if is_gige and not plain.arv_gv_device_is_controller(device):
            self._lib.unref(camera)
            raise CameraError(
                f"camera {wanted!r} is in the control of another program; end that, or wait some "
                "seconds where it was killed"
            )
        return camera


def _is_address(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _is_meant(wanted: str, camera: Discovered) -> bool:
    return not wanted or wanted in (camera.id, camera.serial, camera.address)


def _identity(library: AravisLibrary, camera: int, wanted: str) -> Discovered:
    texts = []
    for what in ("vendor_name", "model_name", "device_serial_number"):
        try:
            texts.append(_text(library.call(f"arv_camera_get_{what}", camera)))
        except AravisFault:
            texts.append("")
    return Discovered("aravis", wanted, texts[0], texts[1], texts[2], address=wanted)


def _listed(found: list[Discovered]) -> str:
    return f": {', '.join(camera.id for camera in found)}" if found else ""


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace")
