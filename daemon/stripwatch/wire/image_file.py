"""The parts of a PNG or JPEG file that hold its pixels, and limits on what decoding them costs.

Comments, colour profiles and thumbnails never reach the decoder, and a file with more parts or more
scans than an encoder writes is refused before it is decoded (ADR 16). Sources: the PNG
specification, section 5 (chunks); ITU-T T.81, annex B (markers).
"""

from __future__ import annotations

import re
from typing import Literal

CHUNKS_MAX = 4096  # of a PNG; encoders write pixels in chunks of 8 KiB and more
CHUNK_BYTES_MIN = 1024  # mean length of a chunk, where a large image needs more chunks than that
SEGMENTS_MAX = 1024  # of a JPEG
SCANS_MAX = 32  # of a progressive JPEG, each a pass over all pixels; encoders write about 10

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PIXEL_CHUNKS = (b"IHDR", b"IDAT", b"IEND")
_SOI, _EOI, _SOS = b"\xff\xd8", 0xD9, 0xDA
_COMMENT = 0xFE
_APPLICATION = range(0xE0, 0xF0)
_ADOBE = 0xEE  # the application segment that names the colour transform
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
# A marker: not a stuffed 0, not a restart inside a scan, not one of several fill bytes.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def pixel_parts(codec: Literal["png", "jpeg"], payload: bytes) -> bytes:
    """The same image without the parts that its pixels do not need.

    Raises:
        ValueError: the file is not of this codec, or has more parts or scans than allowed.
    """
    return _png_parts(payload) if codec == "png" else _jpeg_parts(payload)


def _png_parts(payload: bytes) -> bytes:
    if not payload.startswith(_PNG_SIGNATURE):
        raise ValueError("not a PNG file")
    chunks_max = max(CHUNKS_MAX, len(payload) // CHUNK_BYTES_MIN)
    kept = [_PNG_SIGNATURE]
    position = len(_PNG_SIGNATURE)
    for _ in range(chunks_max):
        kind = payload[position + 4 : position + 8]
        end = position + 12 + int.from_bytes(payload[position : position + 4], "big")
        if len(kind) < 4 or end > len(payload):
            raise ValueError("the file is cut off")
        if kind in _PIXEL_CHUNKS:
            kept.append(payload[position:end])
        if kind == b"IEND":
            return b"".join(kept)
        position = end
    raise ValueError(f"more than {chunks_max} chunks; write the image without metadata")


def _jpeg_parts(payload: bytes) -> bytes:
    if not payload.startswith(_SOI):
        raise ValueError("not a JPEG file")
    kept = [_SOI]
    position = len(_SOI)
    scans = 0
    for _ in range(SEGMENTS_MAX):
        found = _MARKER.search(payload, position)
        if found is None:  # without an end marker; the decoder finds out whether pixels are missing
            return b"".join(kept)
        start, marker = found.start(), payload[found.start() + 1]
        if marker == _EOI:
            return b"".join((*kept, payload[start : start + 2]))
        end = start + 2
        if marker not in _WITHOUT_LENGTH:
            end += int.from_bytes(payload[end : end + 2], "big")
        if marker == _SOS:
            scans += 1
            if scans > SCANS_MAX:
                raise ValueError(f"more than {SCANS_MAX} scans; write the image as a baseline JPEG")
            pixels_end = _MARKER.search(payload, end)
            end = len(payload) if pixels_end is None else pixels_end.start()
        is_metadata = marker in _APPLICATION and marker != _ADOBE
        if not is_metadata and marker != _COMMENT:
            kept.append(payload[start:end])
        position = end
    raise ValueError(f"more than {SEGMENTS_MAX} segments; write the image without metadata")
