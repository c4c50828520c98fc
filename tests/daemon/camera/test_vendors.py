"""GenTL and pylon against real producers: genicam's own, and pylon's emulator."""

from __future__ import annotations

import signal
import time
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from stripwatch.camera.base import Buffer, BufferStatus, OpenCamera
from stripwatch.camera.essentials import configure
from stripwatch.camera.libraries import library_of
from stripwatch.camera.light.calibrate import calibrate_bright, calibrate_dark
from stripwatch.camera.light.flat_field import FlatField, load_flat_field
from stripwatch.camera.light.part import flat_field_path
from stripwatch.config.cameras import CameraSource, FeatureValue
from stripwatch.config.light import LightSection
from stripwatch.config.sections import Geometry
from stripwatch.errors import CameraError, ConfigError

WAIT_S = 20.0
LINE = Geometry(frame_lines=256, frame_pixels=800, mm_per_line=1.0, mm_per_pixel=1.0)


@pytest.fixture
def viky() -> str:
    """The GenTL producer that comes with genicam."""
    genicam = pytest.importorskip("genicam", reason="the extra genicam is not installed")
    pytest.importorskip("harvesters", reason="the extra genicam is not installed")
    path = Path(str(genicam.__file__)).parent / "viky.cti"
    if not path.is_file():
        pytest.skip("this version of genicam has no producer")
    return str(path)


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """One emulated camera of pylon."""
    monkeypatch.setenv("PYLON_CAMEMU", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as an error a warning of SWIG's ends the process
        pytest.importorskip("pypylon.pylon", reason="the extra pylon is not installed")


def gentl(producer: str, **keys: Any) -> CameraSource:
    values: dict[str, Any] = {"id": "VikyTL_DEV_green", "trigger": "free"}
    return CameraSource(kind="genicam", producer=producer, **(values | keys))


def pylon(**features: FeatureValue) -> CameraSource:
    fast: dict[str, FeatureValue] = {
        "ExposureTimeAbs": 100.0,
        "AcquisitionFrameRateEnable": True,
        "AcquisitionFrameRateAbs": 50.0,
    }
    return CameraSource(kind="pylon", trigger="free", features=fast | features)


def opened(source: CameraSource, line: Geometry = LINE) -> OpenCamera:
    camera = library_of(source).open(source)
    configure(camera, source, line)
    return camera


def buffers(camera: OpenCamera, count: int) -> Iterator[Buffer]:
    until_s = time.monotonic() + WAIT_S
    while count:
        assert time.monotonic() < until_s
        buffer = camera.next_buffer(0.25)
        if buffer is not None:
            yield buffer
            camera.release(buffer)
            count -= 1


def test_a_producer_shows_its_cameras(viky: str) -> None:
    """With what each tells of itself; a property that is missing is empty."""
    found = library_of(gentl(viky)).discover()
    assert [camera.id for camera in found] == [
        "VikyTL_DEV_red",
        "VikyTL_DEV_green",
        "VikyTL_DEV_blue",
    ]
    assert (found[1].make, found[1].model, found[1].serial) == (
        "Machine Vision Games Ltd.",
        "Viky",
        "1",
    )


def test_frames_come_whole_with_their_chunk(viky: str) -> None:
    """Ids count up, pixels are a view of the producer's memory, the chunk is a number."""
    with closing(opened(gentl(viky, features={"AcquisitionFrameRate": 200.0}))) as camera:
        camera.start(16, ["ChunkNrBounces"])
        ids = []
        for buffer in buffers(camera, 40):
            ids.append(buffer.frame_id)
            assert buffer.status is BufferStatus.COMPLETE
            assert buffer.pixels.shape == (256, 800)
            assert buffer.pixels.dtype == np.uint8
            assert buffer.pixels.base is not None
            assert buffer.chunks["ChunkNrBounces"] >= 0
            assert buffer.device_ns is None
            assert abs(buffer.host_ns - time.time_ns()) < WAIT_S * 1e9
        assert ids == sorted(set(ids))
        camera.check_alive()
        assert camera.frame_id_period is None


def test_features_are_listed_read_and_written(viky: str) -> None:
    """A refusal names what is allowed."""
    with closing(opened(gentl(viky))) as camera:
        width = camera.feature("Width")
        assert width is not None
        assert (width.value, width.allowed, width.writable) == (800, "100 to 800", True)
        assert {"Width", "Height", "PixelFormat", "ChunkSelector"} <= {
            feature.name for feature in camera.features()
        }
        camera.write("Height", 128)
        assert camera.read("Height") == 128
        for name, value, words in (
            ("Width", 10**6, "smaller than Max = 800.; allowed: 100 to 800"),
            ("PixelFormat", "Mono12", "allowed: RGBa8, Mono8"),
            ("Width", "wide", "it takes integer values"),
            ("Width", True, "it takes integer values"),
            ("ExposureTime", 12.0, "has no feature ExposureTime"),
        ):
            with pytest.raises(ConfigError, match=words):
                camera.write(name, value)
        with pytest.raises(CameraError, match="no feature ExposureTime"):
            camera.read("ExposureTime")


def test_a_value_that_does_not_come_with_frames_is_refused(viky: str) -> None:
    """It names those that there are."""
    words = r"no value ChunkEncoderValue.*ChunkNrBounces"
    with closing(opened(gentl(viky))) as camera, pytest.raises(ConfigError, match=words):
        camera.start(16, ["ChunkEncoderValue"])


def test_the_right_camera_is_opened(viky: str) -> None:
    """By id or serial number; where that fits none, or all, it says what there is."""
    with closing(opened(gentl(viky, id="2"))) as camera:
        assert camera.identity.id == "VikyTL_DEV_blue"
    with pytest.raises(CameraError, match=r"'grey' is not in sight: VikyTL_DEV_red"):
        opened(gentl(viky, id="grey"))
    with pytest.raises(ConfigError, match="fits 3 of the cameras"):
        opened(gentl(viky, id=""))


def test_a_file_that_is_no_producer_is_one_sentence(viky: str, tmp_path: Path) -> None:
    """Missing, or of another kind."""
    del viky
    text = tmp_path / "text.cti"
    text.write_text("no library")
    for path, words in ((tmp_path / "none.cti", "no such file"), (text, "cannot be loaded")):
        with pytest.raises(ConfigError, match=words):
            library_of(gentl(str(path)))


def test_ctrl_c_stays_with_the_process(viky: str) -> None:
    """Harvester would take it."""
    before = signal.getsignal(signal.SIGINT)
    with closing(opened(gentl(viky))):
        assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.usefixtures("emulator")
def test_the_emulator_delivers_frames() -> None:
    """Ids of 64 bits from 0; the emulator has no clock of its own."""
    with closing(opened(pylon())) as camera:
        assert camera.identity.make == "Basler"
        camera.start(16, [])
        seen = [
            (buffer.frame_id, buffer.pixels.shape, buffer.status, buffer.device_ns)
            for buffer in buffers(camera, 30)
        ]
        assert {entry[1:] for entry in seen} == {((256, 800), BufferStatus.COMPLETE, None)}
        ids = [frame_id for frame_id, *_ in seen]
        assert ids == sorted(set(ids))
        assert camera.frame_id_period is None
        camera.check_alive()


@pytest.mark.usefixtures("emulator")
def test_failed_buffers_are_incomplete_and_in_order() -> None:
    """Five in the middle; their pixels are not given to anybody."""
    with closing(opened(pylon())) as camera:
        camera.start(16, [])
        statuses = {}
        for buffer in buffers(camera, 40):
            statuses[buffer.frame_id] = buffer.status
            if buffer.status is BufferStatus.INCOMPLETE:
                assert buffer.pixels.size == 0
                assert "incompletely grabbed" in buffer.detail
            if len(statuses) == 5:
                camera.write("ForceFailedBufferCount", 5)
                camera.write("ForceFailedBuffer", value=True)
        assert list(statuses) == sorted(statuses)
        failed = [number for number, status in statuses.items() if status != "complete"]
        assert len(failed) == 5
        assert failed == list(range(failed[0], failed[0] + 5))


@pytest.mark.usefixtures("emulator")
@pytest.mark.parametrize("pixel_format", ["Mono8", "Mono12", "Mono16"])
def test_frames_of_more_bits_come_as_they_are(pixel_format: str) -> None:
    """In whole bytes, as the tables of the flat field take them."""
    source = CameraSource(kind="pylon", trigger="free", pixel_format=pixel_format)
    with closing(opened(source)) as camera:
        camera.start(4, [])
        (buffer,) = buffers(camera, 1)
        assert buffer.pixels.dtype == (np.uint8 if pixel_format == "Mono8" else np.uint16)
        assert buffer.pixels.shape == (256, 800)


@pytest.mark.usefixtures("emulator")
def test_images_of_a_folder_are_played(tmp_path: Path) -> None:
    """In the order of their names, and again from the first."""
    for number in range(3):
        image = np.full((256, 800), 40 + 50 * number, np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    source = pylon(TestImageSelector="Off", ImageFilename=str(tmp_path), ImageFileMode="On")
    with closing(opened(source)) as camera:
        camera.start(16, [])
        greys = [(buffer.frame_id, int(buffer.pixels[0, 0])) for buffer in buffers(camera, 6)]
    assert all(grey == 40 + 50 * (number % 3) for number, grey in greys), greys


@pytest.mark.usefixtures("emulator")
def test_pylon_refuses_with_what_is_allowed() -> None:
    """A value, a camera, and a chunk that the emulator does not have."""
    with closing(opened(pylon())) as camera:
        with pytest.raises(ConfigError, match="allowed: 1 to 4096"):
            camera.write("Width", 10**6)
        with pytest.raises(ConfigError, match="no value ChunkEncoderValue with a frame"):
            camera.start(16, ["ChunkEncoderValue"])
    with pytest.raises(CameraError, match="'4711' is not in sight: 0815-0000"):
        opened(CameraSource(kind="pylon", id="4711", trigger="free"))


@pytest.mark.usefixtures("emulator")
def test_the_encoder_of_a_camera_without_line_triggers_is_refused() -> None:
    """It says how to go on."""
    with pytest.raises(ConfigError, match='write trigger = "free"'):
        opened(CameraSource(kind="pylon"))


@pytest.mark.usefixtures("emulator")
def test_a_calibration_needs_its_dark_reference_under_the_same_settings(tmp_path: Path) -> None:
    """First none, then one that a later change of the exposure has spoilt."""
    dark, plate = np.full((256, 800), 4, np.uint8), np.full((256, 800), 120, np.uint8)
    image = tmp_path / "images" / "0.png"
    image.parent.mkdir()
    features = {"TestImageSelector": "Off", "ImageFilename": str(image.parent)}
    source = pylon(**features, ImageFileMode="On")
    source = msgspec.structs.replace(source, light=LightSection(folder=str(tmp_path)))
    with pytest.raises(ConfigError, match="make it first: stripwatch camera calibrate top dark"):
        calibrated(source, image, plate, "bright")
    calibrated(source, image, dark, "dark")
    with pytest.raises(ConfigError, match="the bright reference is too dark"):
        calibrated(source, image, dark, "bright")
    longer = msgspec.structs.replace(source, features={**source.features, "ExposureTimeAbs": 250.0})
    with pytest.raises(ConfigError, match=r"ExposureTimeAbs 100\.0 -> 250\.0.*top dark"):
        calibrated(longer, image, plate, "bright")
    calibrated(source, image, plate, "bright")
    field = load_flat_field(flat_field_path(source.light, "top"), "top", 800, 8)
    assert (set(field.dark), set(field.bright), field.target) == ({4.0}, {120.0}, 116.0)
    assert field.conditions["ExposureTimeAbs"] == 100.0


@pytest.mark.usefixtures("emulator")
def test_a_camera_that_corrects_by_itself_is_told_to_and_looked_at(tmp_path: Path) -> None:
    """The emulator has no such commands: others stand for them, and nothing becomes flat."""
    image = tmp_path / "images" / "0.png"
    image.parent.mkdir()
    features = {"TestImageSelector": "Off", "ImageFilename": str(image.parent)}
    light = LightSection(
        folder=str(tmp_path),
        dark_command="ForceFailedBuffer",  # a command of the emulator that does no harm
        bright_command="ForceFailedBuffer",
    )
    source = msgspec.structs.replace(pylon(**features, ImageFileMode="On"), light=light)
    even = np.full((256, 800), 120, np.uint8)
    uneven = np.tile(np.linspace(90, 150, 800).astype(np.uint8), (256, 1))
    calibrated(source, image, np.full((256, 800), 4, np.uint8), "dark")
    assert calibrated(source, image, even, "bright") is None
    assert not flat_field_path(light, "top").exists()
    with pytest.raises(ConfigError, match=r"brightest column is still 1\.67 times the darkest"):
        calibrated(source, image, uneven, "bright")
    wrong = LightSection(folder=str(tmp_path), dark_command="Nope", bright_command="Nope")
    with pytest.raises(ConfigError, match="no feature Nope"):
        calibrated(msgspec.structs.replace(source, light=wrong), image, even, "bright")


def calibrated(
    source: CameraSource, image: Path, pixels: NDArray[np.uint8], step: str
) -> FlatField | None:
    """One step of a calibration over a scene."""
    cv2.imwrite(str(image), pixels)
    with closing(opened(source)) as camera:
        camera.start(8, [])
        if step == "dark":
            calibrate_dark("top", source, camera, 8)
            return None
        return calibrate_bright("top", source, camera, 8)[1]
