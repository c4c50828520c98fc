"""One open camera behind a GenTL producer, and its buffers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from genicam import genapi, gentl

from stripwatch.camera.base import Buffer, BufferStatus, Discovered, Feature, Pixels
from stripwatch.camera.vendors.genapi import (
    NodeMap,
    feature_of,
    features_of,
    read_node,
    words,
    write_node,
)
from stripwatch.config.cameras import FeatureValue
from stripwatch.errors import CameraError, ConfigError

FAULTS: tuple[type[Exception], ...] = (genapi.GenericException, gentl.GenericException)
START_FAULTS: tuple[type[Exception], ...] = (*FAULTS, ValueError)  # also of a number of buffers
BUFFER_FAULTS: tuple[type[Exception], ...] = (
    *FAULTS,
    ValueError,
    IndexError,
    AttributeError,
)  # also of another payload
GVSP_ID_PERIOD = 65535  # ids of GigE Vision 1 are 16 bits wide, and 0 is left out
EVENT_WAIT_MS = 50  # for a buffer within one of Harvester's own loops
# What a grabber calls the lines of a frame, where the camera itself has none: its own modules have
# the same name, or that of Euresys (harvesters#155).
HEIGHT_NAMES = ("Height", "BufferHeight")


class GenTLCamera:
    """An open camera; see `camera.base.OpenCamera`."""

    def __init__(
        self,
        acquirer: Any,  # noqa: ANN401 - of a library without types
        identity: Discovered,
        reset: Callable[[], None],
    ) -> None:
        """Take over an `ImageAcquirer`; `reset` closes the producer."""
        self.identity = identity
        self._acquirer = acquirer
        self._reset = reset
        self._camera = _node_map(acquirer.remote_device.node_map)
        self._grabber = list(_grabber_maps(acquirer))
        self._chunks: tuple[str, ...] = ()
        self._link_bytes_per_s = 0.0

    @property
    def frame_id_period(self) -> int | None:
        """See `OpenCamera`."""
        with suppress(*FAULTS, AttributeError):
            return GVSP_ID_PERIOD if self._acquirer.device.tl_type == "GEV" else None
        return None

    def feature(self, name: str) -> Feature | None:
        """See `OpenCamera`; what the camera does not have its grabber may."""
        found = (feature_of(nodes, name) for nodes in (self._camera, *self._grabber))
        return next((feature for feature in found if feature is not None), None)

    def features(self) -> list[Feature]:
        """See `OpenCamera`."""
        return features_of(self._camera)

    def read(self, name: str) -> FeatureValue:
        """See `OpenCamera`."""
        return read_node(self._map_of(name), name)

    def write(self, name: str, value: FeatureValue) -> None:
        """See `OpenCamera`. The lines of a frame are the grabber's where the camera has none."""
        if name == "Height" and isinstance(value, int) and not _takes(self._camera, name, value):
            for nodes in self._grabber:
                for height in HEIGHT_NAMES:
                    if _takes(nodes, height, value):
                        write_node(nodes, height, value)
                        return
        write_node(self._map_of(name), name, value)

    def start(self, buffers: int, chunks: Sequence[str]) -> None:
        """See `OpenCamera`."""
        acquirer = self._acquirer
        self._enable_chunks(chunks)
        acquirer.num_buffers = max(buffers, acquirer.min_num_buffers)
        acquirer.timeout_period_on_update_event_data_call = EVENT_WAIT_MS
        speed = self.feature("DeviceLinkSpeed")  # SFNC: bytes per second
        if speed and isinstance(speed.value, int | float):
            self._link_bytes_per_s = float(speed.value)
        try:
            acquirer.start()
        except START_FAULTS as fault:
            raise CameraError(f"the camera does not start: {words(fault)}") from None

    def next_buffer(self, timeout_s: float) -> Buffer | None:
        """See `OpenCamera`.

        Harvester discards a buffer that is not complete; the next one's id tells the loss.
        """
        try:
            fetched = self._acquirer.try_fetch(timeout=timeout_s)
        except FAULTS as fault:
            raise CameraError(f"the camera delivers nothing more: {words(fault)}") from None
        if fetched is None:
            return None
        arrived_ns = time.time_ns()
        try:
            pixels = _pixels(fetched)
        except BUFFER_FAULTS as fault:
            return self._damaged(fetched, arrived_ns, words(fault))
        return Buffer(
            pixels=pixels,
            frame_id=int(_optional(fetched.module, "frame_id") or 0),
            device_ns=_device_ns(fetched),
            host_ns=arrived_ns - self._transmission_ns(pixels.nbytes),
            status=BufferStatus.COMPLETE,
            detail="",
            chunks=self._chunk_values(),
            token=fetched,
        )

    def release(self, buffer: Buffer) -> None:
        """See `OpenCamera`."""
        fetched: Any = buffer.token
        try:
            fetched.queue()
        except FAULTS as fault:
            raise CameraError(f"a buffer cannot be given back: {words(fault)}") from None

    def check_alive(self) -> None:
        """See `OpenCamera`."""
        self.read("Width")

    def close(self) -> None:
        """See `OpenCamera`."""
        with suppress(Exception):  # whatever a vendor's library raises: it is over
            self._acquirer.stop()
        with suppress(Exception):
            self._acquirer.destroy()
        with suppress(Exception):
            self._reset()

    def _map_of(self, name: str) -> NodeMap:
        """Where a feature is: with the camera, or with the grabber."""
        for nodes in (self._camera, *self._grabber):
            if feature_of(nodes, name) is not None:
                return nodes
        return self._camera

    def _enable_chunks(self, chunks: Sequence[str]) -> None:
        self._chunks = tuple(chunks)
        if not chunks:
            return
        selector = feature_of(self._camera, "ChunkSelector")
        choices = selector.choices if selector else ()
        for chunk in chunks:
            if self._camera.find(chunk) is None:
                names = ", ".join(f"Chunk{name}" for name in choices)
                raise ConfigError(
                    f"the camera sends no value {chunk} with a frame; it has {names or 'none'}"
                )
        write_node(self._camera, "ChunkModeActive", value=True)
        for chunk in chunks:
            if chunk.removeprefix("Chunk") in choices:
                write_node(self._camera, "ChunkSelector", chunk.removeprefix("Chunk"))
                write_node(self._camera, "ChunkEnable", value=True)

    def _chunk_values(self) -> dict[str, int | float]:
        values: dict[str, int | float] = {}
        for name in self._chunks:
            with suppress(CameraError):
                value = read_node(self._camera, name)
                if isinstance(value, int | float):
                    values[name] = value
        return values

    def _transmission_ns(self, size: int) -> int:
        """How long a frame was under way; 0 where the camera does not tell its link's speed."""
        return round(size / self._link_bytes_per_s * 1e9) if self._link_bytes_per_s else 0

    def _damaged(self, fetched: Any, arrived_ns: int, why: str) -> Buffer:  # noqa: ANN401 - untyped
        return Buffer(
            pixels=np.zeros((0, 0), np.uint8),
            frame_id=int(_optional(fetched.module, "frame_id") or 0),
            device_ns=None,
            host_ns=arrived_ns,
            status=BufferStatus.INCOMPLETE,
            detail=why,
            chunks={},
            token=fetched,
        )


def _pixels(fetched: Any) -> Pixels:  # noqa: ANN401 - untyped
    """The lines that were delivered, without what follows them in the buffer."""
    component = fetched.payload.components[0]
    height, width = int(component.height), int(component.width)
    delivered = _optional(fetched.module, "delivered_image_height")
    lines = min(height, int(delivered)) if delivered else height
    data = component.data
    if data.dtype not in (np.uint8, np.uint16) or len(data) < height * width:
        raise ValueError(f"{len(data)} values of {data.dtype} for {height}x{width} pixels")
    rows: Pixels = data[: len(data) // height * height].reshape(height, -1)[:lines, :width]
    return rows


def _device_ns(fetched: Any) -> int | None:  # noqa: ANN401 - untyped
    """The frame's time on the camera's clock; None where it tells none."""
    value = _optional(fetched.module, "timestamp_ns")
    return int(value) if value else None


def _optional(module: Any, name: str) -> Any:  # noqa: ANN401 - untyped
    """A property that a producer need not have."""
    with suppress(*FAULTS, AttributeError):
        return getattr(module, name)
    return None


def _takes(nodes: NodeMap, name: str, value: int) -> bool:
    """Whether a module has a feature that can be set to a value."""
    node = nodes.find(name)
    feature = feature_of(nodes, name)
    if node is None or feature is None or not feature.writable:
        return False
    least, most = nodes.get(node, "min"), nodes.get(node, "max")
    return least is not None and most is not None and least <= value <= most


def _grabber_maps(acquirer: Any) -> Iterator[NodeMap]:  # noqa: ANN401 - untyped
    """The nodes of the modules on this computer, the nearest to the image first."""
    for module in (*acquirer.data_streams, acquirer.device, acquirer.interface):
        node_map = _optional(module, "node_map")
        if node_map is not None:
            yield _node_map(node_map)


def _node_map(nodes: Any) -> NodeMap:  # noqa: ANN401 - untyped
    def find(name: str) -> Any | None:  # noqa: ANN401 - untyped
        with suppress(*FAULTS):
            return nodes.get_node(name)
        return None

    return NodeMap(
        find=find,
        spell=str.lower,
        access=lambda node: int(node.get_access_mode()),
        name=lambda node: str(node.node.name),
        faults=(*FAULTS, AttributeError),
    )
