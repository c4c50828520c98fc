"""Events of roll marks: rolls of the configuration, sides, seams, strips and frames."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import msgspec
import numpy as np
import pytest

from stripwatch.config.rolls import Roll
from stripwatch.config.sections import (
    Batch,
    Camera,
    Config,
    EngineSection,
    Geometry,
    Input,
    Publish,
)
from stripwatch.engines.fake import PAINT, FakeEngine
from stripwatch.engines.manifest import FakeBehaviour
from stripwatch.inspect.coverage import Miss, Row
from stripwatch.inspect.inspector import Inspector, Output
from stripwatch.inspect.model import Model
from stripwatch.inspect.periodic.rolls import limits_of, matching_rolls, roll_period_mm
from stripwatch.testing import CLASSES
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import Defect, Gap, Periodic, StripEnd, StripStart
from stripwatch.wire.frame import FrameHeader

LINES, PIXELS = 64, 64
PERIOD = 470  # lines
MODEL = Model("f" * 64, CLASSES)
WORK_ROLL = Roll(name="F7 work", diameter_mm=(590.0, 670.0), elongation=(1.0, 1.02))
SMALL_ROLL = Roll(name="pinch", diameter_mm=(290.0, 310.0))
CONFIG = Config(
    line=Geometry(frame_lines=LINES, frame_pixels=PIXELS, mm_per_line=2.0, mm_per_pixel=2.0),
    cameras=(Camera(name="top"), Camera(name="beside"), Camera(name="bottom", side="bottom")),
    inputs=(Input(endpoint="ipc://in"),),
    engine=EngineSection(folder=""),
    publish=Publish(endpoint="ipc://out"),
    batch=Batch(rows=1),
    rolls=(WORK_ROLL, SMALL_ROLL),
)
FRAMES = 12 * PERIOD // LINES


class Line:
    """An inspector, and frames with painted marks."""

    def __init__(self, config: Config = CONFIG) -> None:
        self.inspector = Inspector(config)
        self.outputs: list[Output] = []

    def send(self, seq: int, marks: Sequence[int], **changes: Any) -> None:
        """A frame with marks of 6 lines and 4 pixels, whose first lines on the strip are given."""
        line = changes.pop("line", seq * LINES)
        header = FrameHeader(
            v=1,
            camera="top",
            session="s",
            seq=seq,
            t_ns=7,
            shape=(LINES, PIXELS),
            dtype="u8",
            codec="raw",
            line=line,
            strip="A",
        )
        header = msgspec.structs.replace(header, **changes)
        frames = np.zeros((1, LINES, PIXELS), np.uint8)
        for first in marks:
            for of_mark in range(first, first + 6):
                row = line - of_mark if header.line_reversed else of_mark - seq * LINES
                if 0 <= row < LINES:
                    frames[0, row, 20:24] = PAINT + 1
        engine = FakeEngine([frames], FakeBehaviour())
        engine.submit(0, 1, MODEL.thresholds)
        entries = [Row(header, 0, 0, 0.0)]
        found = self.inspector.slot_outputs(entries, frames, engine.wait(0), MODEL)
        self.outputs += chain(*found)

    @property
    def told(self) -> list[Periodic]:
        return [event for event in self.outputs if isinstance(event, Periodic)]

    def kinds(self) -> list[type]:
        kinds = (Periodic, StripStart, StripEnd, Gap)
        return [type(event) for event in self.outputs if isinstance(event, kinds)]


MARKS = range(100, 100 + 12 * PERIOD, PERIOD)


def test_the_marks_of_a_roll_become_events_in_the_order_of_the_strip() -> None:
    """Opened after the defect that shows it, closed before the strip's report."""
    line = Line()
    for seq in range(FRAMES):
        line.send(seq, MARKS, end=seq == FRAMES - 1)
    assert line.kinds() == [StripStart, Periodic, Periodic, StripEnd]
    opened, closed = line.told
    before = line.outputs[: line.outputs.index(opened)]
    assert sum(isinstance(event, Defect) for event in before) >= 6
    assert (opened.state, closed.state) == ("opened", "closed")
    assert opened.mark == closed.mark
    assert (opened.side, opened.strip, opened.camera) == ("top", "A", "top")
    assert closed.period_mm == PERIOD * 2.0
    assert closed.first_mm == (100 + 3) * 2.0
    assert closed.lane_mm == 22 * 2.0
    assert closed.missed_teeth == 0
    assert opened.rolls == ("pinch",)


def test_a_tooth_that_a_seam_cuts_is_one_tooth_at_its_middle() -> None:
    """Every sixth tooth lies on a seam here."""
    line = Line()
    for seq in range(FRAMES):
        line.send(seq, [seam - 3 + (seam // PERIOD) % 2 for seam in range(448, 6000, 448)])
    pieces = [event for event in line.outputs if isinstance(event, Defect)]
    assert len({event.part_of for event in pieces}) < len(pieces)
    opened = line.told[0]
    assert opened.period_mm == pytest.approx(448 * 2, abs=2)
    assert opened.missed_teeth == 0


def test_the_pieces_of_a_long_scratch_are_no_teeth() -> None:
    """Though seams cut it at equal distances."""
    line = Line()
    for seq in range(FRAMES):
        line.send(seq, range(0, FRAMES * LINES, 6))
    assert len(line.outputs) > FRAMES
    assert line.told == []


def test_frames_that_lost_lines_tell_nothing() -> None:
    """Places within them are wrong by up to as many lines."""
    line = Line()
    for seq in range(FRAMES):
        line.send(seq, MARKS, lines_lost=1)
    assert line.told == []


def test_frames_without_a_line_are_inspected_and_tell_nothing() -> None:
    line = Line()
    frames = np.zeros((1, LINES, PIXELS), np.uint8)
    frames[0, 2:8, 20:24] = PAINT + 1
    engine = FakeEngine([frames], FakeBehaviour())
    for seq in range(40):
        header = FrameHeader(
            v=1,
            camera="top",
            session="s",
            seq=seq,
            t_ns=7,
            shape=(LINES, PIXELS),
            dtype="u8",
            codec="raw",
        )
        engine.submit(0, 1, MODEL.thresholds)
        entries = [Row(header, 0, 0, 0.0)]
        line.outputs += chain(*line.inspector.slot_outputs(entries, frames, engine.wait(0), MODEL))
    assert line.told == []


def test_teeth_in_a_gap_of_the_ledger_are_not_missed() -> None:
    line = Line()
    for seq in range(FRAMES):
        if seq in (23, 30, 31):  # two teeth
            line.outputs += line.inspector.miss_outputs(Miss("top", "s", seq, seq, Cause.LOST))
        else:
            line.send(seq, MARKS, end=seq == FRAMES - 1)
    assert line.told[-1].missed_teeth == 0
    assert line.told[-1].teeth == len([mark for mark in MARKS if mark < FRAMES * LINES]) - 2


def test_a_strip_that_runs_backwards_has_the_same_places() -> None:
    """Its first place is below its last, as always."""
    line = Line()
    last = FRAMES * LINES - 1
    for seq in range(FRAMES):
        line.send(seq, MARKS, line=last - seq * LINES, line_reversed=True, end=seq == FRAMES - 1)
    opened, closed = line.told
    assert closed.period_mm == PERIOD * 2.0
    assert (closed.first_mm, closed.last_mm) == (103 * 2.0, (MARKS[11] + 3) * 2.0)
    assert opened.first_mm > closed.first_mm


def test_a_strip_ends_when_its_last_camera_has_seen_the_end() -> None:
    """Cameras of one side share a strip; the other side has marks of its own."""
    line = Line()
    for seq in range(FRAMES):
        for camera in ("top", "beside", "bottom"):
            marks = MARKS if camera != "beside" else ()
            line.send(seq, marks, camera=camera)
    states = [(event.side, event.state) for event in line.told]
    assert states == [("top", "opened"), ("bottom", "opened")]
    line.send(FRAMES, (), strip="B")
    assert line.told[2:] == []  # "beside" may still add to it
    line.send(FRAMES, (), camera="beside", strip="B")
    assert [(event.side, event.state, event.strip) for event in line.told[2:]] == [
        ("top", "closed", "A")
    ]


def test_the_period_of_a_roll_is_its_circumference_times_the_elongation() -> None:
    least, most = roll_period_mm(WORK_ROLL)
    assert (round(least, 1), round(most, 1)) == (1853.5, 2147.0)
    rolls = CONFIG.rolls
    assert matching_rolls(rolls, 1845.0) == ("F7 work",)  # half a per cent is let pass
    assert matching_rolls(rolls, 940.0) == ("pinch",)
    assert matching_rolls(rolls, 1500.0) == ()  # outside the table


def test_rolls_widen_what_is_looked_for() -> None:
    backup = Roll(name="backup", diameter_mm=(1300.0, 1500.0), elongation=(1.0, 2.0))
    least, most = limits_of(msgspec.structs.replace(CONFIG, rolls=(backup,))).period_mm
    assert least == 300
    assert most == pytest.approx(1.005 * 3.14159 * 3000, rel=1e-4)
