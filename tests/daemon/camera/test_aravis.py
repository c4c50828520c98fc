"""Aravis and the fake camera over real GVCP and GVSP on loopback, in one process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
from tests.daemon.camera.fakes import GEOMETRY, fake_camera, source
from tests.line.cameras import SHAPE, need_aravis, strip_image

from stripwatch.camera.aravis import library
from stripwatch.camera.aravis.camera import AravisCamera, image_bytes
from stripwatch.camera.aravis.discovery import Aravis
from stripwatch.camera.base import Buffer, BufferStatus
from stripwatch.camera.essentials import NO_FRAME_TIMEOUT, configure
from stripwatch.camera.fake import wire
from stripwatch.camera.fake.wire import chunk, chunk_end
from stripwatch.camera.libraries import library_of
from stripwatch.camera.survey import NO_FRAME, Survey
from stripwatch.camera.survey_picture import HEIGHT, WIDTH, survey_picture
from stripwatch.errors import AddressError, CameraError, ConfigError

CHUNKS = ("ChunkEncoderValue", "ChunkLinesSkipped")


@pytest.fixture
def address() -> Iterator[str]:
    need_aravis()
    with fake_camera() as fake:
        yield fake.options.address


@pytest.fixture
def camera(address: str) -> Iterator[AravisCamera]:
    with closing(Aravis().open(source(address))) as opened:
        yield opened


def next_whole(camera: AravisCamera) -> Buffer:
    for _ in range(50):
        buffer = camera.next_buffer(1.0)
        if buffer is not None and buffer.status is BufferStatus.COMPLETE:
            return buffer
    raise AssertionError("no whole frame")


def test_pixels_are_a_view_of_memory_that_is_used_again(camera: AravisCamera) -> None:
    configure(camera, source(""), GEOMETRY)
    camera.start(2, ())
    first = next_whole(camera)
    row = int(first.pixels[0, 0]) * 256 + int(first.pixels[0, 1])
    assert np.array_equal(first.pixels, strip_image()[row : row + SHAPE[0]])
    camera.release(first)
    for _ in range(4):
        camera.release(next_whole(camera))
    assert not np.array_equal(first.pixels, strip_image()[row : row + SHAPE[0]])
    assert first.pixels.base is not None


@pytest.mark.parametrize("payload_type", [0x4001, 0x0004])
def test_the_encoder_and_skipped_lines_come_with_each_frame(
    camera: AravisCamera, monkeypatch: pytest.MonkeyPatch, payload_type: int
) -> None:
    """In the chunks of GigE Vision 2, and in those of version 1, whose leader tells no height."""
    monkeypatch.setattr(wire, "IMAGE_WITH_CHUNKS", payload_type)
    configure(camera, source(""), GEOMETRY)
    camera.start(8, CHUNKS)
    counts = []
    for _ in range(4):
        buffer = next_whole(camera)
        assert buffer.pixels.shape == SHAPE
        assert buffer.chunks["ChunkLinesSkipped"] == 0
        assert buffer.device_ns is not None
        assert abs(buffer.device_ns - buffer.host_ns) < 5e9
        counts.append(buffer.chunks["ChunkEncoderValue"])
        camera.release(buffer)
    assert np.diff(counts).tolist() == [SHAPE[0]] * 3


def test_lost_packets_that_are_sent_again_lose_no_frame() -> None:
    """One packet in 300 is lost, and one in 300 of those that are asked for again."""
    need_aravis()
    with (
        fake_camera(lost_per_1000=3.3, seed=6) as fake,
        closing(Aravis().open(source(fake.options.address))) as camera,
    ):
        configure(camera, source(""), GEOMETRY)
        camera.start(32, ())
        ids = []
        for _ in range(200):
            buffer = camera.next_buffer(2.0)
            assert buffer is not None
            if buffer.status is BufferStatus.COMPLETE:
                ids.append(buffer.frame_id)
                row = int(buffer.pixels[0, 0]) * 256 + int(buffer.pixels[0, 1])
                rows = (row + np.arange(SHAPE[0])) % len(strip_image())
                assert np.array_equal(buffer.pixels, strip_image()[rows])
            camera.release(buffer)
    assert ids == sorted(set(ids))
    lost = ids[-1] - ids[0] + 1 - len(ids)
    assert lost <= 3, f"without asking again about 10 would be lost, and {lost} are"


def test_a_chunk_that_the_camera_has_not_is_refused(camera: AravisCamera) -> None:
    configure(camera, source(""), GEOMETRY)
    with pytest.raises(ConfigError, match="with a frame; it has ChunkEncoderValue, Chunk"):
        camera.start(8, ("ChunkGain",))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ExposureTime", 99_999.0, "allowed: 2 to 10000 us"),
        ("ExposureTime", True, "allowed: 2 to 10000 us"),
        ("Width", 8, "allowed: 16 to 16384"),
        ("Width", 100.5, "allowed: 16 to 16384"),
        ("PixelFormat", "Mono9", "allowed: Mono8"),
        ("ChunkModeActive", 1, "allowed: true, false"),
        ("EncoderValue", 5, "the camera refuses EncoderValue = 5"),
        ("Sharpness", 1, "has no feature Sharpness"),
    ],
)
def test_what_a_camera_does_not_take_is_refused_with_the_range(
    camera: AravisCamera, name: str, value: float | str | bool, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        camera.write(name, value)


def test_features_of_the_configuration_are_set_after_the_essentials(camera: AravisCamera) -> None:
    features = {"ExposureTime": 12.5, "Height": 32, "FrameTimeoutEnable": False}
    assert configure(camera, source("", features=features), GEOMETRY) == []
    expected = {"TriggerMode": "On", "TriggerSource": "Encoder0", "FrameTimeoutTime": 500}
    for name, value in (features | expected).items():
        assert camera.read(name) == value
    listed = {feature.name: feature for feature in camera.features()}
    assert listed["ExposureTime"].allowed == "2 to 10000"
    assert listed["Height"].group == "ImageFormatControl"
    assert not listed["EncoderValue"].writable


def test_a_camera_that_runs_free_needs_no_encoder(camera: AravisCamera) -> None:
    settings = source("", trigger="free", features={"AcquisitionLineRate": 6400.0})
    assert configure(camera, settings, GEOMETRY) == []
    assert camera.read("TriggerMode") == "Off"
    camera.start(8, ())
    camera.release(next_whole(camera))


def test_a_second_program_is_refused(address: str, camera: AravisCamera) -> None:
    assert camera.read("Width")
    with pytest.raises(CameraError, match="in the control of another program"):
        Aravis().open(source(address))


def test_a_camera_is_found_by_search() -> None:
    need_aravis()
    with fake_camera(serial="SW-4711") as fake:
        found = [one for one in Aravis().discover() if one.serial == "SW-4711"]
        assert [(one.make, one.address) for one in found] == [("stripwatch", fake.options.address)]
        with closing(library_of(source("SW-4711")).open(source("SW-4711"))) as opened:
            assert opened.identity == found[0]


def test_a_serial_that_nobody_has_is_a_sentence() -> None:
    need_aravis()
    with pytest.raises(CameraError, match="'nobody' does not answer"):
        Aravis().open(source("nobody"))


def test_two_cameras_do_not_share_an_address(address: str) -> None:
    with pytest.raises(AddressError, match="an address of its own"), fake_camera(address=address):
        pass


def test_a_library_that_is_missing_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "NAME", "libaravis-0.0.so.0")
    library.load_aravis.cache_clear()
    try:
        with pytest.raises(ConfigError, match=r"apt install libaravis-0\.8-0"):
            library_of(source("x"))
    finally:
        library.load_aravis.cache_clear()


def test_the_remark_says_where_a_camera_has_no_frame_timeout(
    camera: AravisCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stripwatch.camera.essentials.FRAME_TIMEOUTS", ())
    assert configure(camera, source(""), GEOMETRY) == [NO_FRAME_TIMEOUT]


def test_a_survey_counts_what_comes_and_draws_it(camera: AravisCamera) -> None:
    settings = source("", lines_lost_chunk="ChunkLinesSkipped")
    configure(camera, settings, GEOMETRY)
    survey = Survey(settings, GEOMETRY, camera.frame_id_period)
    assert survey.remarks() == [NO_FRAME]
    camera.start(16, settings.chunks)
    survey.run(camera, 0.5, threading.Event(), lambda: None)
    assert survey.frames > 5
    assert survey.histogram.sum() == survey.lines * SHAPE[1]
    assert survey.profile()[2:].mean() == pytest.approx(127.5, abs=10)
    picture = survey_picture(survey, "title")
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert len(np.unique(picture)) > 10


def test_the_image_in_a_payload_of_chunks_ends_where_the_chunks_begin() -> None:
    payload = bytes(100) + chunk_end(1, 100) + chunk(2, b"abcd") + chunk(3, b"")
    assert image_bytes(memoryview(payload), len(payload)) == 100
    for length in range(len(payload)):
        assert image_bytes(memoryview(payload), length) in (0, 100)
