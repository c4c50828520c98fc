"""The parts of a camera's chain together, as the configuration asks for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from stripwatch.camera.base import Buffer, BufferStatus, Pixels
from stripwatch.camera.light.flat_field import FlatField, save_flat_field
from stripwatch.camera.light.part import LightPart, bits_of, flat_field_path, light_path
from stripwatch.camera.strip.part import StripPart
from stripwatch.config.cameras import (
    CameraSource,
    EmbeddedCount,
    LineSource,
    source_mistakes,
    source_with_absolute_paths,
)
from stripwatch.config.light import LightSection
from stripwatch.config.sections import Camera, Config, EngineSection, Geometry, Input, Publish
from stripwatch.config.strip_source import StripSource
from stripwatch.errors import CameraError, ConfigError

SHAPE = (32, 200)


def config_of(source: CameraSource) -> Config:
    return Config(
        line=Geometry(
            frame_lines=SHAPE[0], frame_pixels=SHAPE[1], mm_per_line=100.0, mm_per_pixel=1.0
        ),
        cameras=(Camera(name="top", source=source),),
        inputs=(Input(endpoint="ipc://in"),),
        engine=EngineSection(folder=""),
        publish=Publish(endpoint="ipc://out"),
    )


def light_part(source: CameraSource) -> LightPart:
    config = config_of(source)
    return LightPart(config, config.cameras[0], source)


def source_in(folder: Path, pixel_format: str = "Mono8", **keys: Any) -> CameraSource:
    light = LightSection(folder=str(folder), **keys)
    return CameraSource(kind="aravis", pixel_format=pixel_format, light=light)


@pytest.mark.parametrize(("pixel_format", "bits"), [("Mono8", 8), ("Mono10", 10), ("Mono12", 12)])
def test_frames_of_any_depth_become_grey_of_8_bits(
    tmp_path: Path, pixel_format: str, bits: int
) -> None:
    """With a flat field: half of the plate's light is half of its grey."""
    scale = 1 << (bits - 8)
    field = FlatField(
        camera="top",
        made="",
        bits=bits,
        target=100.0,
        dark=(4.0 * scale,) * SHAPE[1],
        bright=tuple((np.linspace(84.0, 204.0, SHAPE[1]) * scale).tolist()),
    )
    source = source_in(tmp_path, pixel_format, flat_field=True)
    save_flat_field(flat_field_path(source.light, "top"), field)
    half = np.asarray(field.dark) + (np.asarray(field.bright) - field.dark) / 2
    rows = np.tile(np.rint(half), (SHAPE[0], 1))
    pixels: Pixels = rows.astype(np.uint8) if bits == 8 else rows.astype(np.uint16)
    grey = light_part(source).to_grey(pixels)
    assert grey.shape == SHAPE
    assert grey.min() >= 49
    assert grey.max() <= 51


def test_a_camera_that_sends_another_depth_stops() -> None:
    """It would be taken for noise."""
    part = light_part(CameraSource(kind="aravis", light=LightSection(watch=False)))
    with pytest.raises(CameraError, match="pixels of 2 bytes"):
        part.to_grey(np.zeros(SHAPE, np.uint16))


@pytest.mark.parametrize("name", ["Mono12Packed", "Mono10p", "RGB8", "BayerRG8", ""])
def test_formats_that_are_not_grey_in_whole_bytes_are_refused(name: str) -> None:
    """With those that are."""
    with pytest.raises(ConfigError, match="give Mono8, Mono10, Mono12"):
        bits_of(name)


def test_a_missing_flat_field_stops_the_start(tmp_path: Path) -> None:
    """Frames without it would be judged by another brightness."""
    with pytest.raises(ConfigError, match=r"top-flat-field\.json: cannot be read"):
        light_part(source_in(tmp_path, flat_field=True))


def test_the_watch_keeps_what_it_has_learnt_for_the_next_process(tmp_path: Path) -> None:
    """Written once; figures tell grey and level."""
    source = source_in(tmp_path)
    part = light_part(source)
    steel = np.full(SHAPE, 90, np.uint8)
    for _ in range(40):  # 3.2 m each
        light = part.watch(part.to_grey(steel))
    assert (light.mean, light.faults) == (90.0, ())
    path = light_path(source.light, "top")
    content = path.read_bytes()
    assert part.figures() == {"light": 90.0, "light_level": 1.0}
    again = light_part(source)
    for _ in range(40):
        again.watch(np.full(SHAPE, 60, np.uint8))
    assert again.figures() == {"light": 60.0, "light_level": 0.667}
    assert path.read_bytes() == content


def test_a_reference_that_cannot_be_kept_does_not_stop_the_frames(tmp_path: Path) -> None:
    """The folder is a file."""
    folder = tmp_path / "calibration"
    folder.write_text("")
    part = light_part(source_in(folder / "inner", watch=False))
    part.watch(np.full(SHAPE, 90, np.uint8))
    folder.unlink()
    part = light_part(source_in(folder))
    folder.write_text("")
    for _ in range(40):
        light = part.watch(np.full(SHAPE, 90, np.uint8))
    assert light.mean == 90.0


def test_without_watch_only_the_mean_is_told(tmp_path: Path) -> None:
    """Nothing is known of faults."""
    part = light_part(source_in(tmp_path, watch=False))
    light = part.watch(np.full(SHAPE, 90, np.uint8))
    assert (light.mean, light.faults) == (90.0, None)
    assert part.figures() == {"light": 90.0}


def test_a_count_in_the_pixels_does_not_reach_the_daemon(tmp_path: Path) -> None:
    """Though the line is read from it."""
    source = msgspec.structs.replace(
        source_in(tmp_path), line=LineSource(embedded=EmbeddedCount(row=0, first_px=10))
    )
    strip = StripPart(config_of(source).line, "top", source, no_feature)
    pixels = np.full(SHAPE, 90, np.uint8)
    pixels[0, 10:14] = (0, 0, 1, 0)
    buffer = Buffer(pixels, 1, None, 0, BufferStatus.COMPLETE, "", {}, None)
    assert strip.place(buffer).line == 0
    pixels[0, 10:14] = (0, 0, 1, 32)
    assert strip.place(replace(buffer, frame_id=2)).line == 32
    assert (light_part(source).to_grey(pixels) == 90).all()
    assert strip.figures() == {"encoder_lines_per_line": 1.0}
    strip.close()


def test_a_count_outside_the_frame_stops_the_start(tmp_path: Path) -> None:
    """Before the first frame."""
    source = msgspec.structs.replace(
        source_in(tmp_path), line=LineSource(embedded=EmbeddedCount(first_px=198))
    )
    with pytest.raises(ConfigError, match="outside the frame"):
        StripPart(config_of(source).line, "top", source, no_feature)


def test_a_source_that_is_unknown_is_told_in_the_figures(tmp_path: Path) -> None:
    """And frames have no coil id."""
    source = msgspec.structs.replace(
        source_in(tmp_path), strip=StripSource(kind="barrier", address="LineStatus")
    )
    strip = StripPart(config_of(source).line, "top", source, no_feature)
    buffer = Buffer(np.zeros(SHAPE, np.uint8), 1, None, 0, BufferStatus.COMPLETE, "", {}, None)
    assert strip.place(buffer).strip is None
    assert strip.figures() == {"strip": "unknown"}


def test_paths_start_at_the_configuration(tmp_path: Path) -> None:
    """Wherever the process was started."""
    source = CameraSource(
        kind="genicam",
        producer="vendor.cti",
        strip=StripSource(kind="file", address="coil"),
    )
    absolute = source_with_absolute_paths(source, tmp_path)
    assert absolute.producer == str(tmp_path / "vendor.cti")
    assert absolute.light.folder == str(tmp_path / "calibration")
    assert absolute.strip
    assert absolute.strip.address == str(tmp_path / "coil")
    url = StripSource(kind="http", address="http://mes/coil")
    kept = source_with_absolute_paths(msgspec.structs.replace(source, strip=url), tmp_path)
    assert kept.strip == url


@pytest.mark.parametrize(
    ("light", "words"),
    [
        (LightSection(dark_command="A"), "go together"),
        (LightSection(flat_field=True, dark_command="A", bright_command="B"), "corrected twice"),
    ],
)
def test_keys_of_the_light_that_do_not_fit_are_refused(light: LightSection, words: str) -> None:
    """With the camera's name."""
    source = CameraSource(kind="aravis", light=light)
    (mistake,) = source_mistakes("top", source)
    assert mistake.startswith("cameras.source.light of 'top'")
    assert words in mistake


def no_feature(name: str) -> float:
    raise CameraError(f"the camera has no feature {name}")
