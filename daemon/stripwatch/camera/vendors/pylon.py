"""Basler's cameras through pypylon; its emulator (PYLON_CAMEMU=1) needs no camera."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from pypylon import genicam, pylon

from stripwatch.camera.base import Buffer, BufferStatus, Discovered, Feature, Pixels
from stripwatch.camera.vendors.genapi import (
    NodeMap,
    feature_of,
    features_of,
    read_node,
    words,
    write_node,
)
from stripwatch.config.cameras import CameraSource, FeatureValue
from stripwatch.errors import CameraError, ConfigError

FAULTS: tuple[type[Exception], ...] = (genicam.GenericException,)
GIGE_ID_PERIOD = 65535
GIGE = "BaslerGigE"


class Pylon:
    """Every camera that pylon sees; see `camera.base.CameraLibrary`."""

    def __init__(self) -> None:
        """Load the library."""
        self._factory: Any = pylon.TlFactory.GetInstance()

    def discover(self) -> list[Discovered]:
        """See `CameraLibrary`."""
        return [_discovered(info) for info in self._factory.EnumerateDevices()]

    def open(self, source: CameraSource) -> PylonCamera:
        """See `CameraLibrary`."""
        infos = list(self._factory.EnumerateDevices())
        found = [_discovered(info) for info in infos]
        listed = f": {', '.join(camera.id for camera in found)}" if found else ""
        names = [
            (camera.id, camera.address, str(info.GetUserDefinedName()))
            for camera, info in zip(found, infos, strict=True)
        ]
        fitting = [number for number, of in enumerate(names) if not source.id or source.id in of]
        if source.id and not fitting:
            raise CameraError(
                f"camera {source.id!r} is not in sight{listed or ', nor is any other'}; check "
                "cable, power and address"
            )
        if len(fitting) != 1:
            raise ConfigError(
                f"cameras.source.id = {source.id!r} fits {len(fitting)} of the cameras in sight"
                f"{listed}; give the id of one"
            )
        number = fitting[0]
        try:
            camera: Any = pylon.InstantCamera(self._factory.CreateDevice(infos[number]))
            camera.Open()
        except FAULTS as fault:
            raise CameraError(
                f"camera {found[number].id} is there and cannot be opened: {words(fault)}; does "
                "another program control it?"
            ) from None
        is_gige = str(infos[number].GetDeviceClass()) == GIGE
        return PylonCamera(camera, found[number], is_gige=is_gige)


class PylonCamera:
    """An open camera; see `camera.base.OpenCamera`."""

    def __init__(self, camera: Any, identity: Discovered, *, is_gige: bool) -> None:  # noqa: ANN401
        """Take over an `InstantCamera` that is open."""
        self.identity = identity
        self._camera = camera
        self._nodes = _node_map(camera.GetNodeMap())
        self._is_gige = is_gige
        self._chunks: tuple[str, ...] = ()
        self._link_bytes_per_s = 0.0

    @property
    def frame_id_period(self) -> int | None:
        """See `OpenCamera`."""
        return GIGE_ID_PERIOD if self._is_gige else None

    def feature(self, name: str) -> Feature | None:
        """See `OpenCamera`."""
        return feature_of(self._nodes, name)

    def features(self) -> list[Feature]:
        """See `OpenCamera`."""
        return features_of(self._nodes)

    def read(self, name: str) -> FeatureValue:
        """See `OpenCamera`."""
        return read_node(self._nodes, name)

    def write(self, name: str, value: FeatureValue) -> None:
        """See `OpenCamera`."""
        write_node(self._nodes, name, value)

    def start(self, buffers: int, chunks: Sequence[str]) -> None:
        """See `OpenCamera`."""
        self._enable_chunks(chunks)
        speed = self.feature("DeviceLinkSpeed") or self.feature("GevLinkSpeed")
        if speed and isinstance(speed.value, int | float):
            is_mbit = speed.name.startswith("Gev")
            self._link_bytes_per_s = speed.value * (125_000 if is_mbit else 1)
        try:
            self._camera.MaxNumBuffer.Value = buffers
            self._camera.StartGrabbing(pylon.GrabStrategy_OneByOne)
        except FAULTS as fault:
            raise CameraError(f"the camera does not start: {words(fault)}") from None

    def next_buffer(self, timeout_s: float) -> Buffer | None:
        """See `OpenCamera`."""
        try:
            result = self._camera.RetrieveResult(
                round(timeout_s * 1000), pylon.TimeoutHandling_Return
            )
            if not result.IsValid():
                return None
            arrived_ns = time.time_ns()
            is_whole = bool(result.GrabSucceeded())
            return Buffer(
                pixels=_pixels(result) if is_whole else np.zeros((0, 0), np.uint8),
                frame_id=int(result.GetBlockID()),
                device_ns=int(result.GetTimeStamp()) or None,
                host_ns=arrived_ns - self._transmission_ns(int(result.GetPayloadSize())),
                status=BufferStatus.COMPLETE if is_whole else BufferStatus.INCOMPLETE,
                detail="" if is_whole else str(result.GetErrorDescription()),
                chunks=self._chunk_values(result) if is_whole else {},
                token=result,
            )
        except FAULTS as fault:
            raise CameraError(f"the camera delivers nothing more: {words(fault)}") from None

    def release(self, buffer: Buffer) -> None:
        """See `OpenCamera`."""
        result: Any = buffer.token
        with suppress(*FAULTS):  # of a camera that has gone meanwhile
            result.Release()

    def check_alive(self) -> None:
        """See `OpenCamera`."""
        if self._camera.IsCameraDeviceRemoved():
            raise CameraError("the camera was removed")
        self.read("Width")

    def close(self) -> None:
        """See `OpenCamera`."""
        for step in (self._camera.StopGrabbing, self._camera.Close):
            with suppress(Exception):  # whatever the library raises: it is over
                step()

    def _enable_chunks(self, chunks: Sequence[str]) -> None:
        self._chunks = tuple(chunks)
        if not chunks:
            return
        write_node(self._nodes, "ChunkModeActive", value=True)
        selector = self.feature("ChunkSelector")
        choices = selector.choices if selector else ()
        for chunk in chunks:
            name = chunk.removeprefix("Chunk")
            if name not in choices:
                write_node(self._nodes, "ChunkModeActive", value=False)
                names = ", ".join(f"Chunk{choice}" for choice in choices)
                raise ConfigError(
                    f"the camera sends no value {chunk} with a frame; it has {names or 'none'}"
                )
            write_node(self._nodes, "ChunkSelector", name)
            write_node(self._nodes, "ChunkEnable", value=True)

    def _chunk_values(self, result: Any) -> dict[str, int | float]:  # noqa: ANN401 - untyped
        values: dict[str, int | float] = {}
        if not self._chunks or not result.IsChunkDataAvailable():
            return values
        nodes = _node_map(result.GetChunkDataNodeMap())
        for name in self._chunks:
            with suppress(CameraError):
                value = read_node(nodes, name)
                if isinstance(value, int | float):
                    values[name] = value
        return values

    def _transmission_ns(self, size: int) -> int:
        """How long a frame was under way; 0 where the camera does not tell its link's speed."""
        return round(size / self._link_bytes_per_s * 1e9) if self._link_bytes_per_s else 0


def _pixels(result: Any) -> Pixels:  # noqa: ANN401 - untyped
    """The lines of a result in pylon's own memory, [lines, pixels]."""
    lines, width = int(result.GetHeight()), int(result.GetWidth())
    size = pylon.BitPerPixel(result.GetPixelType())
    if size not in (8, 16):
        raise ConfigError(
            f"pixel_format: pixels of {size} bits cannot be read; choose Mono8, Mono10, Mono12 or "
            "Mono16, none of the packed ones"
        )
    memory = result.GetMemoryView()
    data: Pixels = np.frombuffer(memory, np.uint8)
    if size == 16:
        data = np.frombuffer(memory, np.uint16)
    # What is behind a line on its way, and behind the image: padding, chunks.
    row = width + int(result.GetPaddingX()) * 8 // size
    return data[: lines * row].reshape(lines, row)[:, :width]


def _discovered(info: Any) -> Discovered:  # noqa: ANN401 - untyped
    address = ""
    with suppress(*FAULTS):
        address = str(info.GetIpAddress())
    serial = str(info.GetSerialNumber())
    return Discovered(
        kind="pylon",
        id=serial,
        make=str(info.GetVendorName()),
        model=str(info.GetModelName()),
        serial=serial,
        address="" if address == "N/A" else address,
    )


def _node_map(nodes: Any) -> NodeMap:  # noqa: ANN401 - untyped
    def find(name: str) -> Any | None:  # noqa: ANN401 - untyped
        with suppress(*FAULTS):
            return nodes.GetNode(name)
        return None

    return NodeMap(
        find=find,
        spell=str.capitalize,
        access=lambda node: int(node.GetAccessMode()),
        name=lambda node: str(node.Node.Name),
        faults=(*FAULTS, AttributeError),
    )
