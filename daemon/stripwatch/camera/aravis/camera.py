"""One open camera behind Aravis: its stream of buffers, in memory of our own."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from contextlib import suppress
from ctypes import byref, c_size_t

import numpy as np
from numpy.typing import NDArray

from stripwatch.camera.aravis.features import AravisFeatures
from stripwatch.camera.aravis.library import AravisFault, AravisLibrary
from stripwatch.camera.base import Buffer, BufferStatus, Discovered, Feature, Pixels
from stripwatch.config.cameras import CameraSource, FeatureValue
from stripwatch.errors import CameraError, ConfigError

GVSP_ID_PERIOD = 65535  # ids of GigE Vision 1 are 16 bits wide, and 0 is left out
STATUS_WORDS = {  # ArvBufferStatus; 0 is success
    1: "cleared",
    2: "timeout",
    3: "missing packets",
    4: "wrong packet",
    5: "size mismatch",
    6: "filling",
    7: "aborted",
}
# How long a frame may wait for packets that were asked for again. Those behind it wait, too, and
# the buffers must hold them.
FRAME_RETENTION_US = 100_000
PAYLOADS_WITH_HEIGHT = (1, 5)  # image, and image with chunks; GigE Vision 1's chunks tell none
PACKET_SIZE_FIXED = 0  # ARV_GV_PACKET_SIZE_ADJUSTMENT_NEVER
_PIXEL_BITS_SHIFT = 16  # a PFNC number holds the bits a pixel takes in its third byte


class AravisCamera:
    """An open camera; see `camera.base.OpenCamera`."""

    def __init__(
        self, library: AravisLibrary, camera: int, identity: Discovered, source: CameraSource
    ) -> None:
        self.identity = identity
        self._lib = library
        self._camera = camera
        self._features = AravisFeatures(library, camera)
        self._packet_bytes = source.packet_bytes
        self._is_gige = bool(library.plain.arv_camera_is_gv_device(camera))
        self._is_gone = False
        self._stream = self._parser = 0
        self._chunks: tuple[str, ...] = ()
        self._shape = (0, 0)
        self._bytes_per_pixel = 1
        self._memory: dict[int, NDArray[np.uint8]] = {}  # by the address of its ArvBuffer

    @property
    def frame_id_period(self) -> int | None:
        """See `OpenCamera`."""
        return GVSP_ID_PERIOD if self._is_gige else None

    def feature(self, name: str) -> Feature | None:
        """See `OpenCamera`."""
        return self._features.feature(name)

    def features(self) -> list[Feature]:
        """See `OpenCamera`."""
        return self._features.features()

    def read(self, name: str) -> FeatureValue:
        """See `OpenCamera`."""
        return self._features.read(name)

    def write(self, name: str, value: FeatureValue) -> None:
        """See `OpenCamera`."""
        self._features.write(name, value)

    def start(self, buffers: int, chunks: Sequence[str]) -> None:
        """See `OpenCamera`."""
        try:
            self._enable_chunks(chunks)
            if self._is_gige:
                self._set_packet_size()
            self._allocate(buffers)
            self._lib.call("arv_camera_start_acquisition", self._camera)
        except AravisFault as fault:
            raise CameraError(f"the camera does not start: {fault}") from None

    def next_buffer(self, timeout_s: float) -> Buffer | None:
        """See `OpenCamera`."""
        place = self._lib.plain.arv_stream_timeout_pop_buffer(self._stream, int(timeout_s * 1e6))
        if place is None:
            return None
        plain = self._lib.plain
        status = plain.arv_buffer_get_status(place)
        return Buffer(
            pixels=self._pixels(place) if status == 0 else self._as_pixels(place, 0),
            frame_id=plain.arv_buffer_get_frame_id(place),
            device_ns=plain.arv_buffer_get_timestamp(place) or None,
            host_ns=plain.arv_buffer_get_system_timestamp(place),
            status=BufferStatus.INCOMPLETE if status else BufferStatus.COMPLETE,
            detail=STATUS_WORDS.get(status, f"status {status}") if status else "",
            chunks=self._chunk_values(place) if status == 0 and self._chunks else {},
            token=place,
        )

    def release(self, buffer: Buffer) -> None:
        """See `OpenCamera`."""
        self._lib.plain.arv_stream_push_buffer(self._stream, buffer.token)

    def check_alive(self) -> None:
        """See `OpenCamera`. Width is read from the camera each time: it has no cache.

        A camera that has started anew answers, and delivers nothing: its control is free.
        """
        device = self._lib.plain.arv_camera_get_device(self._camera)
        self._is_gone = True  # unless it proves the opposite
        self._features.read("Width")
        if self._is_gige and not self._lib.plain.arv_gv_device_is_controller(device):
            raise CameraError(
                "control of the camera is lost: it was started anew, or another program has it"
            )
        self._is_gone = False

    def close(self) -> None:
        """See `OpenCamera`.

        A camera that is gone is only left behind: to tell it anything takes many seconds.
        """
        if not self._camera:
            return
        if self._is_gone:
            # The library's thread may still write into them, up to the end of the process.
            for memory in self._memory.values():
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(memory))
        else:
            if self._stream:
                with suppress(AravisFault):  # where it is gone, nothing is left to stop
                    self._lib.call("arv_camera_stop_acquisition", self._camera)
                self._lib.unref(self._stream)  # ends the thread that writes into the buffers
            if self._parser:
                self._lib.unref(self._parser)
            self._lib.unref(self._camera)
        self._camera = self._stream = self._parser = 0

    def _enable_chunks(self, chunks: Sequence[str]) -> None:
        self._chunks = tuple(chunks)
        if not chunks:
            return
        selector = self._features.feature("ChunkSelector")
        names = selector.choices if selector else ()
        for chunk in chunks:
            if self._features.feature(chunk) is None and chunk.removeprefix("Chunk") not in names:
                raise ConfigError(
                    f"the camera sends no value {chunk} with a frame; it has "
                    f"{', '.join(f'Chunk{name}' for name in names) or 'none'}"
                )
        self._lib.call("arv_camera_set_chunk_mode", self._camera, 1)
        for chunk in chunks:
            name = chunk.removeprefix("Chunk").encode()
            self._lib.call("arv_camera_set_chunk_state", self._camera, name, 1)
        self._parser = self._lib.plain.arv_camera_create_chunk_parser(self._camera)

    def _set_packet_size(self) -> None:
        if self._packet_bytes:
            size = self._packet_bytes
            self._lib.call("arv_camera_gv_set_packet_size", self._camera, size)
            taken = self._lib.call("arv_camera_gv_get_packet_size", self._camera)
            if taken != size:
                raise ConfigError(f"packet_bytes = {size}: the camera takes {taken} instead")
        else:
            self._lib.call("arv_camera_gv_auto_packet_size", self._camera)
        self._lib.plain.arv_camera_gv_set_packet_size_adjustment(self._camera, PACKET_SIZE_FIXED)

    def _allocate(self, buffers: int) -> None:
        lines, pixels = self._features.read("Height"), self._features.read("Width")
        self._shape = (int(lines), int(pixels))
        bits = self._lib.call("arv_camera_get_pixel_format", self._camera) >> _PIXEL_BITS_SHIFT
        bits &= 0xFF
        if bits not in (8, 16):
            raise ConfigError(
                f"pixel_format: pixels of {bits} bits cannot be read; choose Mono8, Mono10, Mono12 "
                "or Mono16, none of the packed ones"
            )
        self._bytes_per_pixel = bits // 8
        self._stream = self._lib.call("arv_camera_create_stream", self._camera, None, None)
        if self._is_gige:
            self._lib.set_number(self._stream, "frame-retention", FRAME_RETENTION_US)
        # After the stream: only then is the size of the packets, and of the payload, final.
        size = self._lib.call("arv_camera_get_payload", self._camera)
        for _ in range(buffers):
            memory = np.zeros(size, np.uint8)
            place = self._lib.plain.arv_buffer_new(size, memory.ctypes.data)
            self._memory[place] = memory
            self._lib.plain.arv_stream_push_buffer(self._stream, place)

    def _pixels(self, place: int) -> Pixels:
        """The lines of a complete buffer that were sent; the camera may send fewer than asked for.

        Its leader may still tell the full height: the length that arrived is what counts.
        """
        received = c_size_t()
        self._lib.plain.arv_buffer_get_data(place, byref(received))
        length = received.value
        if self._lib.plain.arv_buffer_has_chunks(place):
            length = image_bytes(self._memory[place].data, length)
        row = self._shape[1] * self._bytes_per_pixel
        told = self._shape[0]
        if self._lib.plain.arv_buffer_get_payload_type(place) in PAYLOADS_WITH_HEIGHT:
            told = min(told, self._lib.plain.arv_buffer_get_image_height(place))
        return self._as_pixels(place, min(told, length // row))

    def _as_pixels(self, place: int, lines: int) -> Pixels:
        row = self._shape[1] * self._bytes_per_pixel
        used = self._memory[place][: lines * row]
        kind = np.uint8 if self._bytes_per_pixel == 1 else np.uint16
        return used.view(kind).reshape(lines, self._shape[1])  # type: ignore[return-value]

    def _chunk_values(self, place: int) -> dict[str, int | float]:
        values: dict[str, int | float] = {}
        for name in self._chunks:
            for kind in ("integer", "float"):
                try:
                    values[name] = self._lib.call(
                        f"arv_chunk_parser_get_{kind}_value", self._parser, place, name.encode()
                    )
                    break
                except AravisFault:
                    continue
        return values


def image_bytes(data: memoryview, length: int) -> int:
    """Bytes of the image in a payload of chunks, of which the last is described by its end.

    Each chunk is followed by its id and length, big-endian (GigE Vision 2, section 25.2). The
    image is the first chunk; where the chain does not end at 0 nothing in the payload is known.
    """
    end = length
    while end > 8:
        size: int = struct.unpack_from(">I", data, end - 4)[0]
        if size > end - 8:
            return 0
        if end - 8 == size:
            return size
        end -= 8 + size
    return 0
