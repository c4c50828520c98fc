"""Events of frames and misses, from pure functions alone: no thread, socket or clock."""

from __future__ import annotations

from itertools import chain

import msgspec
import numpy as np
import pytest

from stripwatch.config.sections import (
    Batch,
    Camera,
    Config,
    EngineSection,
    Geometry,
    Input,
    Publish,
)
from stripwatch.engines.base import BatchResult
from stripwatch.engines.fake import PAINT, FakeEngine
from stripwatch.engines.manifest import FakeBehaviour
from stripwatch.inspect.coverage import Miss, Row
from stripwatch.inspect.inspector import (
    AREA_AT_ONCE_PX,
    ROWS_AT_ONCE,
    DefectiveFrame,
    Inspector,
    Output,
    groups_of,
)
from stripwatch.inspect.model import Model
from stripwatch.testing import CLASSES
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import NO_SEQ, Defect, FrameResult, Gap, StripEnd, StripStart
from stripwatch.wire.frame import FrameHeader

SHAPE = (8, 32)
MODEL = Model("f" * 64, CLASSES)
CONFIG = Config(
    line=Geometry(frame_lines=8, frame_pixels=32, mm_per_line=2.0, mm_per_pixel=1.0),
    cameras=(Camera(name="top"), Camera(name="bottom", side="bottom")),
    inputs=(Input(endpoint="ipc://in"),),
    engine=EngineSection(folder=""),
    publish=Publish(endpoint="ipc://out"),
    batch=Batch(rows=2),
)


def header(seq: int, **changes: object) -> FrameHeader:
    plain = FrameHeader(
        v=1, camera="top", session="s", seq=seq, t_ns=7, shape=SHAPE, dtype="u8", codec="raw"
    )
    return msgspec.structs.replace(plain, **changes)


def result_of(frames: np.ndarray) -> BatchResult:
    engine = FakeEngine([frames], FakeBehaviour())
    engine.submit(0, len(frames), MODEL.thresholds)
    return engine.wait(0)


def inspected(inspector: Inspector, *headers: FrameHeader, painted: int = 0) -> list[Output]:
    """Outputs of a batch in which the first frame has a defect of a class, if one is named."""
    frames = np.zeros((len(headers), *SHAPE), np.uint8)
    if painted:
        frames[0, 2:4, 5:9] = PAINT + painted
    result = result_of(frames)
    rows = [Row(entry, row, 0, 0.0) for row, entry in enumerate(headers)]
    return list(chain(*inspector.slot_outputs(rows, frames, result, MODEL)))


def test_a_defect_is_an_event_without_a_number_before_its_image() -> None:
    outputs = inspected(Inspector(CONFIG), header(0, line=100), header(1), painted=3)
    defect, image = outputs
    assert isinstance(defect, Defect)
    assert (defect.seq, defect.stream) == (NO_SEQ, "")
    assert (defect.class_name, defect.bbox_px, defect.area_px) == ("kind3", (5, 2, 4, 2), 8)
    assert defect.position.downweb_mm == (100 + 2.5 + 0.5) * 2.0
    assert isinstance(image, DefectiveFrame)
    assert image.header == header(0, line=100)


def test_a_strip_begins_with_its_first_frame_and_ends_with_the_next_strips() -> None:
    """The report counts frames and metres of the strip that ended, not of the one that follows."""
    inspector = Inspector(CONFIG)
    outputs = inspected(inspector, header(0, strip="A"), header(1, strip="A"), painted=1)
    assert [type(event) for event in outputs] == [StripStart, Defect, DefectiveFrame]
    ended, begun = inspected(inspector, header(2, strip="B"))
    assert isinstance(ended, StripEnd)
    assert (ended.strip, ended.frames_inspected, ended.defects) == ("A", 2, {"kind1": 1})
    assert ended.metres_inspected == pytest.approx(2 * 8 * 2.0 / 1000)
    assert isinstance(begun, StripStart)
    assert begun.strip == "B"


def test_a_miss_counts_for_the_strip_that_is_open() -> None:
    """Frames lost without a name belong to it; a last frame that was missed ends it."""
    inspector = Inspector(CONFIG)
    inspected(inspector, header(0, strip="A"))
    (gap,) = inspector.miss_outputs(Miss("top", "s", 1, 3, Cause.LOST))
    assert isinstance(gap, Gap)
    assert (gap.strip, gap.count, gap.seq) == ("A", 3, NO_SEQ)
    last = Miss("top", "s", 4, 4, Cause.OVERLOAD, strip="A", end=True)
    gap, ended = inspector.miss_outputs(last)
    assert isinstance(ended, StripEnd)
    assert ended.frames_missed == {Cause.LOST: 3, Cause.OVERLOAD: 1}


def test_cameras_have_strips_of_their_own() -> None:
    inspector = Inspector(CONFIG)
    inspected(inspector, header(0, strip="A"))
    (begun,) = inspected(inspector, header(0, camera="bottom", strip="A"))
    assert isinstance(begun, StripStart)
    assert begun.camera == "bottom"


def test_frame_results_come_after_the_defects_where_they_are_enabled() -> None:
    publish = msgspec.structs.replace(CONFIG.publish, frame_results=True)
    inspector = Inspector(msgspec.structs.replace(CONFIG, publish=publish))
    *_, result, clean = inspected(inspector, header(0), header(1), painted=2)
    assert isinstance(result, FrameResult)
    assert (result.defects, result.area_px) == (1, (0, 8, 0, 0))
    assert isinstance(clean, FrameResult)
    assert clean.defects == 0


@pytest.mark.parametrize(
    ("areas_px", "groups"),
    [
        ([], []),
        ([0.0] * 3, [(0, 3)]),
        ([9.0] * (2 * ROWS_AT_ONCE + 1), [(0, 8), (8, 16), (16, 17)]),
        ([AREA_AT_ONCE_PX] * 3, [(0, 1), (1, 2), (2, 3)]),
        ([5.0, 5.0, AREA_AT_ONCE_PX, 5.0, 5.0], [(0, 2), (2, 3), (3, 5)]),
    ],
)
def test_frames_are_looked_at_together_unless_they_are_noise(
    areas_px: list[float], groups: list[tuple[int, int]]
) -> None:
    """So that deliver shows progress after each frame of noise, and memory is bounded."""
    assert list(groups_of(areas_px)) == groups


def test_a_slot_in_groups_gives_what_its_frames_give_alone() -> None:
    """Rows and their findings stay together across the groups."""
    frames = np.zeros((ROWS_AT_ONCE + 3, *SHAPE), np.uint8)
    for row in range(len(frames)):
        frames[row, 2:4, row : row + 3] = PAINT + 1 + row % 3
    result = result_of(frames)
    rows = [Row(header(row), row, 0, 0.0) for row in range(len(frames))]
    together = list(chain(*Inspector(CONFIG).slot_outputs(rows, frames, result, MODEL)))
    alone = Inspector(CONFIG)
    expected = [
        output
        for row in rows
        for output in chain(*alone.slot_outputs([row], frames, result, MODEL))
    ]
    defects = [one for one in together if isinstance(one, Defect)]
    assert defects == [one for one in expected if isinstance(one, Defect)]
    assert [one.bbox_px[0] for one in defects] == list(range(len(frames)))
