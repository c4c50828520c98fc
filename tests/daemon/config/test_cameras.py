"""The source of a camera in config.toml: what is allowed, and what a mistake says."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from stripwatch.config.cameras import CameraSource, LineSource
from stripwatch.config.light import LightSection
from stripwatch.config.load import load_config
from stripwatch.config.toml import config_toml
from stripwatch.errors import ConfigError

TEXT = """
[line]
frame_lines = 256
frame_pixels = 1600
mm_per_line = 0.5
mm_per_pixel = 0.6
[[cameras]]
name = "top"
source = { kind = "aravis", id = "A", features = { B = 1, A = 2.5, C = "x", D = true } }
[[cameras]]
name = "bottom"
[cameras.source]
kind = "genicam"
producer = "/opt/vendor.cti"
line = { chunk = "ChunkEncoderValue", bits = 16 }
lines_lost_chunk = "ChunkEncoderValue"
[[inputs]]
endpoint = "tcp://127.0.0.1:5550"
[engine]
folder = "engine"
[publish]
endpoint = "ipc:///run/stripwatch/events"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "line.toml"
    path.write_text(text)
    return path


def test_a_source_stands_among_the_keys_of_its_camera_or_below_them(tmp_path: Path) -> None:
    top, bottom = load_config(write(tmp_path, TEXT)).cameras
    assert top.source is not None
    assert top.source.light.folder == str(tmp_path / "calibration")
    assert msgspec.structs.replace(top.source, light=LightSection()) == CameraSource(
        kind="aravis", id="A", features={"B": 1, "A": 2.5, "C": "x", "D": True}
    )
    assert list(top.source.features) == ["B", "A", "C", "D"], "they are set in this order"
    assert bottom.source is not None
    assert bottom.source.line == LineSource(chunk="ChunkEncoderValue", bits=16)
    assert bottom.source.chunks == ("ChunkEncoderValue",)


def test_it_can_be_written_and_read_again(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, TEXT))
    assert load_config(write(tmp_path, config_toml(config))) == config


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            '"aravis"',
            '"gige"',
            ["source.kind", "'gige'", "'aravis', 'genicam', 'pylon'"],
        ),
        ('id = "A"', 'idd = "A"', ["no key idd (did you mean id?)"]),
        ("B = 1", "B = [1]", ["cameras[0].source.features", "got a list"]),
        ('chunk = "Ch', 'feature = "X", chunk = "Ch', ["'bottom': line needs exactly one of"]),
        ("bits = 16", "bits = 24", ["cameras[1].source.line.bits", "24"]),
        ('kind = "genicam"', 'kind = "aravis"', ['kind = "genicam" and producer = "FILE.cti"']),
        ("vendor.cti", "\\u0000.cti", ["source.producer", "expected the path of a file"]),
        ('producer = "/opt/vendor.cti"', "", ['kind = "genicam" and producer = "FILE.cti"']),
        (
            "lines_lost_chunk",
            "frame_timeout_ms = 0\nlines_lost_chunk",
            ["frame_timeout_ms", ">= 1"],
        ),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed(
    tmp_path: Path, old: str, new: str, words: list[str]
) -> None:
    assert old in TEXT
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, TEXT.replace(old, new, 1)))
    for word in words:
        assert word in str(caught.value)
