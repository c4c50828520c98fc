"""Frame message, version 1: every limit, every truncation, every flipped bit."""

from __future__ import annotations

import io
import json
import zlib
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stripwatch.wire.causes import Cause
from stripwatch.wire.clock import CameraClock
from stripwatch.wire.frame import (
    HEADER_BYTES_MAX,
    BadFrame,
    FrameHeader,
    FrameId,
    build_frame,
    check_raw_length,
    check_shape,
    decode_image,
    parse_header,
    payload_bytes_max,
    read_header,
)
from stripwatch.wire.light import LightFault
from stripwatch.wire.names import COUNT_MAX

# The daemon silences Pillow's warnings (service/logs.py), so they are no errors here.
quiet = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
GOLDEN = Path(__file__).parent / "golden"
HEADER = FrameHeader(
    v=1,
    camera="top",
    session="3f9a",
    seq=41,
    t_ns=1_790_000_000_000_000_000,
    shape=(256, 1600),
    dtype="u8",
    codec="raw",
    strip="coil 7/a",
    line=10_496,
    end=True,
)
FIELDS = json.loads(msgspec.json.encode(HEADER))

headers = st.builds(
    FrameHeader,
    v=st.just(1),
    camera=st.from_regex(r"[a-z0-9_-]{1,32}", fullmatch=True),
    session=st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    seq=st.integers(0, COUNT_MAX),
    t_ns=st.integers(0, 2**63 - 1),
    shape=st.tuples(st.integers(1, 65536), st.integers(1, 65536)),
    dtype=st.just("u8"),
    codec=st.sampled_from(["raw", "png", "jpeg"]),
    strip=st.none() | st.from_regex(r"[ -~]{1,64}", fullmatch=True),
    line=st.none() | st.integers(0, COUNT_MAX),
    end=st.booleans(),
)


def parse(text: bytes, topic: bytes = b"frame.top") -> FrameHeader | BadFrame:
    """The header, or the BadFrame that it raises; nothing else may come out."""
    try:
        return parse_header(topic, text)
    except BadFrame as error:
        return error


def header_with(**changes: object) -> bytes:
    return json.dumps(FIELDS | changes).encode()


@given(headers)
def test_what_is_built_is_what_is_parsed(header: FrameHeader) -> None:
    topic, text, payload = build_frame(header, b"pixels")
    assert parse_header(bytes(topic), bytes(text)) == header
    assert payload == b"pixels"


def test_golden_header() -> None:
    """The bytes of version 1 do not change."""
    golden = (GOLDEN / "frame_header.json").read_bytes()
    topic, text, _ = build_frame(HEADER, b"")
    assert (topic, text) == (b"frame.top", golden)
    assert parse_header(b"frame.top", golden) == HEADER


def test_every_truncation_is_a_bad_header() -> None:
    text = msgspec.json.encode(HEADER)
    for length in range(len(text)):
        result = parse(text[:length])
        assert isinstance(result, BadFrame)
        assert result.cause is Cause.BAD_HEADER


@given(st.binary(min_size=1, max_size=20))
def test_trailing_bytes_are_refused_unless_they_are_white_space(tail: bytes) -> None:
    result = parse(msgspec.json.encode(HEADER) + tail)
    assert isinstance(result, FrameHeader) == (not tail.strip(b" \t\r\n"))


def test_every_flipped_bit_gives_a_header_or_a_bad_frame() -> None:
    """And where it gives a header, that is one which keeps all rules."""
    text = msgspec.json.encode(HEADER)
    for position in range(len(text) * 8):
        flipped = bytearray(text)
        flipped[position // 8] ^= 1 << position % 8
        result = parse(bytes(flipped))
        if isinstance(result, FrameHeader):
            assert msgspec.convert(msgspec.to_builtins(result), FrameHeader) == result


@given(st.binary(max_size=200))
def test_any_bytes_give_a_header_or_a_bad_frame(text: bytes) -> None:
    assert isinstance(parse(text), FrameHeader | BadFrame)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"v": 2}, Cause.BAD_VERSION),
        ({"v": None}, Cause.BAD_VERSION),
        ({"shape": [256]}, Cause.BAD_SHAPE),
        ({"shape": [256, 1600, 1]}, Cause.BAD_SHAPE),
        ({"shape": [0, 1600]}, Cause.BAD_SHAPE),
        ({"shape": [256, 65537]}, Cause.BAD_SHAPE),
        ({"shape": [256.5, 1600]}, Cause.BAD_SHAPE),
        ({"shape": "256x1600"}, Cause.BAD_SHAPE),
        ({"dtype": "u16"}, Cause.BAD_DTYPE),
        ({"codec": "gif"}, Cause.BAD_CODEC),
        ({"t_ns": 2**63}, Cause.BAD_HEADER),
        ({"t_ns": 1.5}, Cause.BAD_HEADER),
    ],
)
def test_a_broken_rule_is_named_and_the_frame_is_known(
    changes: dict[str, object], cause: Cause
) -> None:
    """Where camera, session and seq can be read, the frame can be reported as missed."""
    result = parse(header_with(**changes))
    assert isinstance(result, BadFrame)
    assert result.cause is cause
    assert result.frame == FrameId(camera="top", session="3f9a", seq=41)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("strip", "two\nlines"),
        ("strip", "ends so\n"),
        ("strip", "x" * 65),
        ("strip", ""),
        ("strip", "C7\0\0"),
        ("line", -1),
        ("line", 0.5),
        ("end", "yes"),
        ("end", None),
        ("line_reversed", 1),
        ("lines_lost", -1),
        ("lines_lost", 2**53),
        ("light", -0.5),
        ("light", 255.5),
        ("light", "bright"),
        ("light_faults", {"kind": "line"}),
        ("light_faults", [{"kind": "smell", "from_px": 1, "to_px": 2, "share": 0.5}]),
        ("light_faults", [{"kind": "line", "from_px": 2, "to_px": 2, "share": 0.5}]),
        ("light_faults", [{"kind": "line", "from_px": 1, "to_px": 65537, "share": 0.5}]),
        ("light_faults", [{"kind": "line", "from_px": 1, "to_px": 2, "share": 0.5}] * 9),
        ("clock", "ptp"),
        ("clock", {"source": "sundial"}),
        ("clock", {"source": "ptp", "drift_ppm": "a little"}),
    ],
)
def test_an_optional_key_that_breaks_its_rule_is_ignored_and_named(key: str, value: object) -> None:
    """It does not cost the frame."""
    header, ignored = read_header(b"frame.top", header_with(**{key: value}))
    defaults = {"end": False, "line_reversed": False, "lines_lost": 0}
    assert header == msgspec.structs.replace(HEADER, **{key: defaults.get(key)})
    assert ignored.startswith(f"{key} {value!r:.40} ignored")


def test_a_frame_tells_its_light_and_the_faults_that_are_open() -> None:
    """As many faults as are allowed fit into a header, and come back as they were sent."""
    fault = LightFault("segment", 60_000, 65_536, 0.123)
    header = msgspec.structs.replace(HEADER, light=101.25, light_faults=(fault,) * 8)
    topic, sent, _ = build_frame(header, b"")
    assert len(sent) < HEADER_BYTES_MAX
    assert parse_header(bytes(topic), bytes(sent)) == header
    with_points = {"kind": "line", "from_px": 4.0, "to_px": 6.0, "share": 1}
    read, ignored = read_header(b"frame.top", header_with(seq=41.0, light_faults=[with_points]))
    assert (read.light_faults, ignored) == ((LightFault("line", 4, 6, 1),), "")


def test_a_frame_tells_its_cameras_clock() -> None:
    clock = CameraClock(source="host", difference_ms=1_790_000_000_000.25, drift_ppm=-3.5)
    header = msgspec.structs.replace(HEADER, clock=clock)
    topic, sent, _ = build_frame(header, b"")
    assert parse_header(bytes(topic), bytes(sent)) == header
    read, ignored = read_header(b"frame.top", header_with(clock={"source": "ptp"}))
    assert (read.clock, ignored) == (CameraClock(source="ptp"), "")


def test_whole_numbers_may_be_written_with_a_decimal_point() -> None:
    """As MATLAB, R and Lua write them."""
    text = header_with(v=1.0, seq=41.0, t_ns=1.79e18, shape=[256.0, 1.6e3], line=10_496.0)
    assert read_header(b"frame.top", text) == (HEADER, "")
    spoiled = parse(header_with(seq=41.0, codec="gif"))
    assert isinstance(spoiled, BadFrame)
    assert spoiled.frame == FrameId(camera="top", session="3f9a", seq=41)
    assert isinstance(parse(header_with(seq=41.5)), BadFrame)


@pytest.mark.parametrize(
    "changes",
    [
        {"camera": "Top"},
        {"camera": ""},
        {"camera": "x" * 33},
        {"camera": 7},
        {"session": ""},
        {"session": "a b"},
        {"seq": -1},
        {"seq": COUNT_MAX + 1},
        {"seq": "41"},
        {"seq": True},
        {"seq": 10**400},
    ],
)
def test_a_frame_that_cannot_be_told_is_not_guessed(changes: dict[str, object]) -> None:
    result = parse(header_with(**changes))
    assert isinstance(result, BadFrame)
    assert result.cause is Cause.BAD_HEADER
    assert result.frame is None


def test_a_missing_key_is_named() -> None:
    for key in ("v", "camera", "session", "seq", "t_ns", "shape", "dtype", "codec"):
        result = parse(json.dumps({name: FIELDS[name] for name in FIELDS if name != key}).encode())
        assert isinstance(result, BadFrame)
        assert key in result.detail


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"[" * HEADER_BYTES_MAX,
        b'{"x":' * (HEADER_BYTES_MAX // 5),
        b'{"v":1e999}',
        b'{"camera":"\xff"}',
        b'{"camera":"\\ud800"}',
        b"\xef\xbb\xbf{}",
    ],
)
def test_json_bombs_and_rubbish_are_bad_headers(text: bytes) -> None:
    result = parse(text)
    assert isinstance(result, BadFrame)
    assert result.cause in (Cause.BAD_HEADER, Cause.BAD_VERSION)


def test_of_a_key_given_twice_the_last_counts() -> None:
    """And the topic is held against that one, so that no frame changes its camera."""
    text = msgspec.json.encode(HEADER)
    twice = text[:-1] + b',"camera":"bottom"}'
    result = parse(twice)
    assert isinstance(result, BadFrame)
    assert (result.cause, result.frame) == (Cause.BAD_TOPIC, None)
    later = parse(text[:-1] + b',"seq":42}')
    assert isinstance(later, FrameHeader)
    assert later.seq == 42


def test_a_header_beyond_its_limit_is_refused_unread() -> None:
    """4096 bytes are allowed, one more is not, whatever it says."""
    text = msgspec.json.encode(HEADER)
    padded = text + b" " * (HEADER_BYTES_MAX - len(text))
    assert isinstance(parse(padded), FrameHeader)
    result = parse(padded + b" ")
    assert isinstance(result, BadFrame)
    assert "4097" in result.detail


def test_a_camera_may_add_keys_of_its_own() -> None:
    assert parse(header_with(exposure_us=12)) == HEADER


@pytest.mark.parametrize("topic", [b"frame.bottom", b"frame.", b"frame.top ", b"x" * 100, b"\xff"])
def test_topic_and_header_must_name_the_same_camera(topic: bytes) -> None:
    result = parse(msgspec.json.encode(HEADER), topic)
    assert isinstance(result, BadFrame)
    assert (result.cause, result.frame) == (Cause.BAD_TOPIC, None)


@pytest.mark.parametrize(
    ("shape", "good"),
    [((256, 1600), True), ((1, 1600), True), ((257, 1600), False), ((256, 1599), False)],
)
def test_a_frame_has_the_lines_width_and_at_most_its_lines(
    shape: tuple[int, int], good: bool
) -> None:
    header = msgspec.structs.replace(HEADER, shape=shape)
    if good:
        check_shape(header, (256, 1600))
    else:
        with pytest.raises(BadFrame, match="bad_shape"):
            check_shape(header, (256, 1600))


def test_a_raw_payload_has_exactly_the_length_of_its_shape() -> None:
    check_raw_length(HEADER, 256 * 1600)
    for length in (0, 256 * 1600 - 1, 256 * 1600 + 1, 2**30):
        with pytest.raises(BadFrame, match=str(length)):
            check_raw_length(HEADER, length)


def coded(pixels: np.ndarray, kind: str, mode: str | None = None) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(buffer, kind)
    return buffer.getvalue()


def repaired(png: bytes | bytearray) -> bytes:
    """The PNG with every chunk's checksum made right, so that damage gets past the checksums."""
    whole, position = bytearray(png), 8
    while position + 12 <= len(png):
        end = position + 8 + int.from_bytes(png[position : position + 4], "big")
        whole[end : end + 4] = zlib.crc32(whole[position + 4 : end]).to_bytes(4, "big")
        position = end + 4
    return bytes(whole[: len(png)])


GREY = np.arange(32, dtype=np.uint8).reshape(4, 8)
PNG = msgspec.structs.replace(HEADER, codec="png", shape=(4, 8))


def test_png_and_jpeg_payloads_decode_to_grey() -> None:
    assert np.array_equal(decode_image(PNG, coded(GREY, "PNG")), GREY)
    colour = np.repeat(GREY[:, :, None], 3, axis=2)
    assert np.array_equal(decode_image(PNG, coded(colour, "PNG")), GREY)
    jpeg = msgspec.structs.replace(PNG, codec="jpeg")
    assert decode_image(jpeg, coded(GREY, "JPEG")).shape == (4, 8)


@quiet
@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_every_truncated_or_flipped_image_is_pixels_or_a_bad_frame(kind: str) -> None:
    """No other exception comes out."""
    header = msgspec.structs.replace(PNG, codec=kind)
    good = coded(GREY, kind.upper())
    for position in range(len(good) * 8):
        flipped = bytearray(good)
        flipped[position // 8] ^= 1 << position % 8
        for payload in (bytes(flipped), repaired(flipped), good[: position // 8]):
            try:
                assert decode_image(header, payload).shape == (4, 8)
            except BadFrame as error:
                assert error.frame == header


def test_an_image_of_another_size_mode_or_format_is_refused() -> None:
    with pytest.raises(BadFrame, match="bad_shape"):
        decode_image(PNG, coded(GREY.T.copy(), "PNG"))
    with pytest.raises(BadFrame, match="bad_dtype"):
        decode_image(PNG, coded(GREY.astype(np.uint16), "PNG"))
    for mode in ("1", "P", "LA", "RGBA"):
        with pytest.raises(BadFrame, match="bad_dtype"):
            decode_image(PNG, coded(GREY, "PNG", mode))
    with pytest.raises(BadFrame, match="bad_dtype"):
        decode_image(msgspec.structs.replace(PNG, codec="jpeg"), coded(GREY, "JPEG", "CMYK"))
    with pytest.raises(BadFrame, match="bad_codec"):
        decode_image(PNG, coded(GREY, "JPEG"))  # in disguise
    with pytest.raises(BadFrame, match="bad_codec"):
        decode_image(PNG, b"")


@quiet
@pytest.mark.parametrize("side", [9_000, 10_000, 65_536, 2**31 - 1])
def test_an_image_that_claims_to_be_huge_is_refused_before_it_is_decoded(side: int) -> None:
    """A few bytes that would become gigapixels."""
    payload = bytearray(coded(GREY, "PNG"))
    payload[16:24] = side.to_bytes(4, "big") * 2
    with pytest.raises(BadFrame, match="bad_shape"):
        decode_image(PNG, repaired(payload))


@pytest.mark.parametrize("seed", range(3))
def test_the_largest_allowed_payload_holds_a_png_of_noise(seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (256, 1600), np.uint8)
    assert len(coded(noise, "PNG")) <= payload_bytes_max((256, 1600))


def test_whatever_a_decoder_raises_is_a_bad_frame() -> None:
    """Pillow raises an IndexError for a colour profile of 0 bytes behind the pixels."""
    good = coded(GREY, "PNG")
    profile = repaired(b"\x89PNG\r\n\x1a\n" + bytes(4) + b"iCCP" + bytes(4))[8:]
    assert np.array_equal(decode_image(PNG, good[:-12] + profile + good[-12:]), GREY)
    cut = repaired(good[:33] + bytes(4) + b"IDAT" + bytes(4) + good[-12:])
    with pytest.raises(BadFrame, match="bad_codec"):
        decode_image(PNG, cut)


def test_a_frame_beyond_the_limits_of_pillow_is_decoded() -> None:
    """Sides up to 65536 are allowed: 180 million pixels are no attack."""
    pixels = np.zeros((15_000, 12_000), np.uint8)
    pixels[-1, -1] = 7
    header = msgspec.structs.replace(PNG, shape=pixels.shape)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    assert decode_image(header, buffer.getvalue())[-1, -1] == 7
