"""The option --roll-mark of `replay`."""

from __future__ import annotations

import msgspec
import pytest

from stripwatch.cli.roll_mark import roll_marks
from stripwatch.config.sections import Camera, Config, EngineSection, Geometry, Input, Publish
from stripwatch.errors import ConfigError
from stripwatch.synthetic import RollMark

CONFIG = Config(
    line=Geometry(frame_lines=256, frame_pixels=1600, mm_per_line=0.5, mm_per_pixel=0.625),
    cameras=(Camera(name="top"),),
    inputs=(Input(endpoint="ipc://in"),),
    engine=EngineSection(folder=""),
    publish=Publish(endpoint="ipc://out"),
)


def test_millimetres_become_lines_and_pixels() -> None:
    assert roll_marks(["1885,400", "628,100,0.6"], "synthetic", CONFIG) == (
        RollMark(3770.0, 640.0),
        RollMark(1256.0, 160.0, visible=0.6),
    )
    assert roll_marks(None, "frames/", None) == ()


@pytest.mark.parametrize(
    "text", ["", "1885", "1885,", "1885,2000", "1885,400,2", "0,400", "nan,400", "1885,400,1,1"]
)
def test_what_cannot_be_a_mark_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ConfigError, match=r"1885,400 or 1885,400,0\.6"):
        roll_marks([text], "synthetic", CONFIG)


def test_a_mark_needs_the_synthetic_strip_and_the_size_of_its_pixels() -> None:
    with pytest.raises(ConfigError, match="not for frames/"):
        roll_marks(["1885,400"], "frames/", CONFIG)
    with pytest.raises(ConfigError, match="needs --config"):
        roll_marks(["1885,400"], "synthetic", None)


def test_a_mirrored_camera_counts_from_its_own_first_pixel() -> None:
    """All cameras of `replay` send the same frames."""
    mirrored = msgspec.structs.replace(CONFIG, cameras=(Camera(name="top", mirrored=True),))
    assert roll_marks(["1885,400"], "synthetic", mirrored)[0].pixel == 640
