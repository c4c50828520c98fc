"""Cameras that come, go and move while strips are under them: nothing is left untold."""

from __future__ import annotations

import random
from collections import Counter

import msgspec
import numpy as np
import pytest
from tests.daemon.inspect.strip.moving_strip import Sent, View, config_of, outputs_of, with_misses

from stripwatch.config.cameras import CameraSource
from stripwatch.config.sections import Camera
from stripwatch.inspect.inspector import Inspector, Output
from stripwatch.wire.event import Defect, DefectClosed, StripEnd, StripStart

LEFT, RIGHT = Camera(name="left"), Camera(name="right", crossweb_offset_mm=12)
FAR = Camera(name="right", crossweb_offset_mm=40)
WIDTH, LINES, HEIGHT = 16, 64, 8


def check_all_told(outputs: list[Output]) -> None:
    """Each defect of several pieces is closed once, under one of its names."""
    names = {one.part_of for one in outputs if isinstance(one, Defect) and not one.is_whole}
    told = Counter(
        name
        for one in outputs
        if isinstance(one, DefectClosed)
        for name in (one.part_of, *one.joined)
    )
    assert names == set(told)
    assert set(told.values()) <= {1}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((LEFT, RIGHT), (LEFT,)),
        ((LEFT, RIGHT), (RIGHT,)),
        ((LEFT, RIGHT), (LEFT, FAR)),
        ((LEFT,), (LEFT, RIGHT)),
    ],
)
@pytest.mark.parametrize("strip", ["coil", None])
def test_every_defect_is_told_when_the_cameras_change(
    seed: int, before: tuple[Camera, ...], after: tuple[Camera, ...], strip: str | None
) -> None:
    """Whatever was open: across seams, in an overlap, under a strip with or without a name."""
    chance = random.Random(seed)
    dice = np.random.default_rng(seed)
    mask = (dice.random((LINES, 60)) < 0.3).astype(np.uint8)
    inspector = Inspector(config_of(before, WIDTH))
    turn = chance.randrange(1, LINES // HEIGHT)

    def frames_of(cameras: tuple[Camera, ...]) -> dict[str, list[Sent]]:
        return {
            camera.name: with_misses(
                View(
                    camera,
                    mask[:, int(camera.crossweb_offset_mm) :][:, :WIDTH],
                    [HEIGHT] * (LINES // HEIGHT),
                    strip=strip,
                )
            )
            for camera in cameras
        }

    first, then = frames_of(before), frames_of(after)
    outputs: list[Output] = []
    # The cameras are not equally far along the strip.
    for name, frames in first.items():
        outputs += outputs_of(inspector, frames[: max(1, turn - (name == "right"))], 1)
    events, open_strips = inspector.follow(config_of(after, WIDTH))
    outputs += events
    kept = {camera.name for camera in after if camera in before}
    assert {name for name, state in open_strips.items() if state} == (kept if strip else set())
    gone = {camera.name for camera in before if camera not in after}
    assert {one.camera for one in events if isinstance(one, StripEnd)} == (gone if strip else set())
    for frames in then.values():
        outputs += outputs_of(inspector, frames[turn:], 1)
    events, open_strips = inspector.follow(config_of((), WIDTH))  # all go
    outputs += events
    assert not any(open_strips.values())
    check_all_told(outputs)
    starts = Counter(one.camera for one in outputs if isinstance(one, StripStart))
    assert starts == Counter(one.camera for one in outputs if isinstance(one, StripEnd))


def test_another_source_of_a_camera_does_not_end_its_strip() -> None:
    """Only its own process reads where its frames come from."""
    inspector = Inspector(config_of((LEFT,), WIDTH))
    mask = np.ones((LINES, WIDTH), np.uint8)
    view = View(LEFT, mask, [HEIGHT] * (LINES // HEIGHT), strip="coil")
    outputs_of(inspector, with_misses(view)[:-1], 1)
    source = CameraSource(kind="aravis", id="GV01")
    moved = msgspec.structs.replace(LEFT, source=source)
    events, states = inspector.follow(config_of((moved,), WIDTH))
    assert events == []
    assert states["left"] is not None


def test_a_camera_with_a_source_keeps_its_light_when_another_comes() -> None:
    """Its place is the same, whatever process sends its frames."""
    left = msgspec.structs.replace(LEFT, source=CameraSource(kind="aravis", id="GV01"))
    inspector = Inspector(config_of((left,), WIDTH))
    view = View(left, np.zeros((HEIGHT, WIDTH), np.uint8), [HEIGHT], strip="coil")
    ((header, mask),) = with_misses(view)
    lit = (msgspec.structs.replace(header, light=100.0, end=False), mask)
    outputs_of(inspector, [lit], 1)
    assert inspector.light.status("left")[0] == 100.0
    inspector.follow(config_of((left, RIGHT), WIDTH))
    assert inspector.light.status("left")[0] == 100.0
