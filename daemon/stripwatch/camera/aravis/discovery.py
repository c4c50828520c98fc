"""Finding and opening cameras with Aravis."""

from __future__ import annotations

from stripwatch.camera.aravis.camera import AravisCamera
from stripwatch.camera.aravis.library import AravisFault, AravisLibrary, load_aravis
from stripwatch.camera.base import Discovered
from stripwatch.config.cameras import CameraSource
from stripwatch.errors import CameraError, ConfigError


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
        """See `CameraLibrary`."""
        wanted = source.id or self._only_one()
        try:
            camera = self._lib.call("arv_camera_new", wanted.encode())
        except AravisFault as fault:
            raise self._cannot_open(wanted, str(fault)) from None
        if camera is None:
            raise self._cannot_open(wanted, "it was not found")
        return AravisCamera(self._lib, camera, _identity(self._lib, camera, wanted), source)

    def _only_one(self) -> str:
        found = self.discover()
        if len(found) != 1:
            raise ConfigError(
                f"cameras.source has no id, and {len(found)} cameras are in sight"
                f"{_listed(found)}; give the id of one"
            )
        return found[0].id

    def _cannot_open(self, wanted: str, fault: str) -> ConfigError | CameraError:
        """A camera in sight that does not open is the camera's fault, which may pass."""
        found = self.discover()
        if any(wanted in (camera.id, camera.serial, camera.address) for camera in found):
            return CameraError(
                f"camera {wanted!r} is there and cannot be opened: {fault}; does another program "
                "control it?"
            )
        return CameraError(
            f"camera {wanted!r} does not answer: {fault}; in sight{_listed(found) or ': none'}; "
            "check cable, power and address, and stripwatch camera list"
        )


def _identity(library: AravisLibrary, camera: int, wanted: str) -> Discovered:
    texts = []
    for what in ("vendor_name", "model_name", "device_serial_number"):
        try:
            texts.append(_text(library.call(f"arv_camera_get_{what}", camera)))
        except AravisFault:
            texts.append("")
    address = wanted if wanted.replace(".", "").isdigit() and wanted.count(".") == 3 else ""
    return Discovered("aravis", wanted, texts[0], texts[1], texts[2], address)


def _listed(found: list[Discovered]) -> str:
    return f": {', '.join(camera.id for camera in found)}" if found else ""


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace")
