"""The options --roll-mark and --scratch of `replay`."""

from __future__ import annotations

from argparse import Namespace

import msgspec
import pytest

from stripwatch.cli.flaws import flaws
from stripwatch.config.sections import Camera, Config, EngineSection, Geometry, Input, Publish
from stripwatch.errors import ConfigError
from stripwatch.feed.sources.synthetic import Flaws
from stripwatch.synthetic import RollMark

CONFIG = Config(
    line=Geometry(frame_lines=256, frame_pixels=1600, mm_per_line=0.5, mm_per_pixel=0.625),
    cameras=(Camera(name="top"),),
    inputs=(Input(endpoint="ipc://in"),),
    engine=EngineSection(folder=""),
    publish=Publish(endpoint="ipc://out"),
)


def asked_for(
    source: str = "synthetic",
    roll_mark: list[str] | None = None,
    scratch: list[str] | None = None,
    config: Config | None = CONFIG,
) -> Flaws:
    """What the options come to."""
    return flaws(Namespace(source=source, roll_mark=roll_mark, scratch=scratch), config)


def test_millimetres_become_lines_and_pixels() -> None:
    asked = asked_for(roll_mark=["1885,400", "628,100,0.6"], scratch=["2000,5000,300"])
    assert asked.roll_marks == (RollMark(3770.0, 640.0), RollMark(1256.0, 160.0, visible=0.6))
    (scratch,) = asked.scratches
    assert (scratch.line, scratch.lines, scratch.pixel) == (4000, 10_000, 480.0)
    assert asked_for("frames/", config=None) == Flaws()


@pytest.mark.parametrize(
    "text", ["", "1885", "1885,", "1885,2000", "1885,400,2", "0,400", "nan,400", "1885,400,1,1"]
)
def test_what_cannot_be_a_mark_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ConfigError, match=r"1885,400 or 1885,400,0\.6"):
        asked_for(roll_mark=[text])


@pytest.mark.parametrize(
    "text",
    ["", "2000", "2000,5000", "2000,0,300", "-1,50,300", "2000,5000,2000", "inf,5,5"],
)
def test_what_cannot_be_a_scratch_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ConfigError, match=r"FIRST,LENGTH,ACROSS.*2000,5000,300"):
        asked_for(scratch=[text])


def test_flaws_need_the_synthetic_strip_and_the_size_of_its_pixels() -> None:
    with pytest.raises(ConfigError, match=r"--roll-mark .* not for frames/"):
        asked_for("frames/", roll_mark=["1885,400"])
    with pytest.raises(ConfigError, match="--scratch needs --config"):
        asked_for(scratch=["2000,5000,300"], config=None)


def test_a_mirrored_camera_counts_from_its_own_first_pixel() -> None:
    """All cameras of `replay` send the same frames."""
    mirrored = msgspec.structs.replace(CONFIG, cameras=(Camera(name="top", mirrored=True),))
    assert asked_for(roll_mark=["1885,400"], config=mirrored).roll_marks[0].pixel == 640
