"""Parsers of what arrives on a socket: frames, images, requests, answers, events, masks."""

from __future__ import annotations

import io
import random
import zlib
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image
from tests.daemon.wire.test_requests import ANSWERS, REQUESTS
from tests.fuzz.target import Case, Target

from stripwatch.client.messages import parse_message
from stripwatch.wire.causes import WireError
from stripwatch.wire.event import Event, build_event, parse_event
from stripwatch.wire.frame import (
    BadFrame,
    FrameHeader,
    build_frame,
    check_raw_length,
    check_shape,
    decode_image,
    image_topic,
    read_header,
)
from stripwatch.wire.requests import parse_answer, parse_request, request_id
from stripwatch.wire.rle import (
    decode_coco,
    decode_severstal,
    encode_coco,
    encode_severstal,
    runs_of_mask,
)

GOLDEN = Path(__file__).parents[1] / "daemon" / "wire" / "golden"
SHAPE = (24, 40)
HEADER = FrameHeader(
    v=1,
    camera="top",
    session="3f9a",
    seq=41,
    t_ns=1_790_000_000_000_000_000,
    shape=SHAPE,
    dtype="u8",
    codec="raw",
    strip="coil 7/a",
    line=10_496,
    end=True,
)
MASK_SHAPES = ((1, 1), (7, 9), (64, 3), (256, 1600))
PIXELS = np.random.default_rng(1).integers(0, 256, SHAPE, np.uint8)


def coded(kind: str, **options: object) -> bytes:
    """The pixels as a file."""
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, kind, **options)
    return buffer.getvalue()


def _payloads() -> list[tuple[str, bytes]]:
    colour = io.BytesIO()
    Image.fromarray(np.stack([PIXELS] * 3, axis=2)).save(colour, "PNG")
    return [
        ("raw", PIXELS.tobytes()),
        ("png", coded("PNG")),
        ("png", colour.getvalue()),
        ("jpeg", coded("JPEG")),
        ("jpeg", coded("JPEG", progressive=True)),
    ]


def _headers(_: Path) -> list[Case]:
    extra = msgspec.structs.replace(HEADER, line_reversed=True, lines_lost=3, codec="png")
    floats = msgspec.json.encode(HEADER).replace(b'"seq":41', b'"seq":41.0,"own":[1.5,null]')
    texts = [msgspec.json.encode(HEADER), msgspec.json.encode(extra), floats]
    return [(b"frame.top", text) for text in texts]


def _read_header(case: Case, _: Path) -> bool:
    header, ignored = read_header(*case)
    topic, text, _payload = build_frame(header, b"")
    assert read_header(bytes(topic), bytes(text)) == (header, ""), "header does not come back"
    assert isinstance(ignored, str)
    return True


def _frames(_: Path) -> list[Case]:
    return [
        (
            b"frame.top",
            msgspec.json.encode(msgspec.structs.replace(HEADER, codec=codec)),
            payload,
        )
        for codec, payload in _payloads()
    ]


def _read_frame(case: Case, _: Path) -> bool:
    """The steps of stages/receive.py and stages/decode.py."""
    topic, text, payload = case
    header, _ignored = read_header(topic, text)
    check_shape(header, SHAPE)
    if header.codec == "raw":
        check_raw_length(header, len(payload))
    else:
        pixels = decode_image(header, payload)
        assert pixels.shape == header.shape
    return True


def _images(_: Path) -> list[Case]:
    return [(codec.encode(), payload) for codec, payload in _payloads() if codec != "raw"]


def _decode_image(case: Case, _: Path) -> bool:
    codec, payload = case
    kind = "jpeg" if codec == b"jpeg" else "png"
    pixels = decode_image(msgspec.structs.replace(HEADER, codec=kind), payload)
    assert pixels.shape == SHAPE
    return True


def _mend_png(chance: random.Random, case: Case) -> Case:
    """Right checksums of chunks, as a program that means harm writes them."""
    payload = case[-1]
    if chance.random() < 0.3 or not payload.startswith(b"\x89PNG\r\n\x1a\n"):
        return case
    mended = [payload[:8]]
    position = 8
    while len(payload) - position >= 12:
        length = int.from_bytes(payload[position : position + 4], "big")
        body = payload[position + 4 : position + 8 + length]
        mended += [payload[position : position + 4], body, zlib.crc32(body).to_bytes(4, "big")]
        position += 12 + length
    return (*case[:-1], b"".join([*mended, payload[position:]]))


def _requests(_: Path) -> list[Case]:
    return [(msgspec.json.encode(request),) for request in REQUESTS]


def _parse_request(case: Case, _: Path) -> bool:
    own = request_id(case[0])
    request = parse_request(case[0])
    assert own == request.id, "an answer would carry another id"
    assert parse_request(msgspec.json.encode(request)) == request, "request does not come back"
    return True


def _answers(_: Path) -> list[Case]:
    return [(msgspec.json.encode(answer),) for answer in ANSWERS]


def _parse_answer(case: Case, _: Path) -> bool:
    answer = parse_answer(case[0])
    assert parse_answer(msgspec.json.encode(answer)) == answer, "answer does not come back"
    return True


def _events(_: Path) -> list[Case]:
    texts = [path.read_bytes() for path in sorted(GOLDEN.glob("event_*.json"))]
    return [(build_event(msgspec.json.decode(text, type=Event))[0], text) for text in texts]


def _parse_event(case: Case, _: Path) -> bool:
    event = parse_event(*case)
    assert parse_event(*build_event(event)) == event, "event does not come back"
    return True


def _subscribed(folder: Path) -> list[Case]:
    """Messages of the event endpoint in three parts; of an event the third is cut off below."""
    header = msgspec.json.encode(msgspec.structs.replace(HEADER, codec="jpeg"))
    events = [(topic, text, b"") for topic, text in _events(folder)]
    return [(image_topic("top"), header, coded("JPEG")), *events]


def _parse_message(case: Case, _: Path) -> bool:
    parse_message(list(case if case[2] else case[:2]))
    return True


def _severstal(_: Path) -> list[Case]:
    return [(encode_severstal(runs_of_mask(mask)).encode(), shape) for mask, shape in _masks()]


def _coco(_: Path) -> list[Case]:
    return [(encode_coco(runs_of_mask(mask)).encode(), shape) for mask, shape in _masks()]


def _masks() -> list[tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], bytes]]:
    generator = np.random.default_rng(2)
    masks = []
    for number, shape in enumerate(MASK_SHAPES):
        noise = (generator.random(shape) < 0.4).astype(np.uint8)
        block = np.zeros(shape, np.uint8)
        block[shape[0] // 4 : shape[0] // 2 + 1, shape[1] // 4 : shape[1] // 2 + 1] = 1
        small = [noise] if noise.size < 1000 else []
        masks += [(mask, bytes([number])) for mask in (*small, block, np.zeros_like(block))]
    return masks


def _parse_severstal(case: Case, _: Path) -> bool:
    shape = MASK_SHAPES[sum(case[1]) % len(MASK_SHAPES)]
    mask = decode_severstal(case[0].decode("latin-1"), shape)
    again = decode_severstal(encode_severstal(runs_of_mask(mask)), shape)
    assert np.array_equal(again, mask), "mask does not come back"
    return True


def _parse_coco(case: Case, _: Path) -> bool:
    shape = MASK_SHAPES[sum(case[1]) % len(MASK_SHAPES)]
    mask = decode_coco(case[0].decode("latin-1"), shape)
    assert mask.max(initial=0) <= 1
    again = decode_coco(encode_coco(runs_of_mask(mask)), shape)
    assert np.array_equal(again, mask), "mask does not come back"
    return True


WIRE = (WireError,)
WIRE_TARGETS = (
    Target("frame header", _headers, _read_header, (BadFrame,), 8),
    Target("frame message", _frames, _read_frame, (BadFrame,), 4, _mend_png),
    Target("image of a frame", _images, _decode_image, (BadFrame,), 4, _mend_png),
    Target("request", _requests, _parse_request, WIRE, 8),
    Target("answer", _answers, _parse_answer, WIRE, 8),
    Target("event", _events, _parse_event, WIRE, 8),
    Target("published message", _subscribed, _parse_message, WIRE, 4),
    Target("Severstal mask", _severstal, _parse_severstal, WIRE, 8),
    Target("COCO mask", _coco, _parse_coco, WIRE, 8),
)
