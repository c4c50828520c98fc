"""Reloads that add and remove cameras, and change rolls, rules of grading and the log level."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.line.test_reload import reload
from tests.line.test_restart import journalled

from stripwatch.client.subscriber import Subscriber
from stripwatch.config.fingerprint import config_hash
from stripwatch.config.load import load_config
from stripwatch.engines.fake import PAINT
from stripwatch.errors import ExitCode
from stripwatch.testing import WAIT_S, FakeCamera
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import (
    DaemonReload,
    DaemonStart,
    Defect,
    Event,
    FrameResult,
    Gap,
    NumberedEvent,
    Status,
    StripEnd,
    StripStart,
)

if TYPE_CHECKING:
    from tests.line.conftest import Daemon

TOP = '[[cameras]]\nname = "top"\n'
SIDE = '[[cameras]]\nname = "side"\nside = "bottom"\n'
RULES = """
[grading]
rule_set = "{name}"
grades = ["prime", "second"]
[[grading.rules]]
name = "inspected"
measure = "not_inspected_m"
limit = 5.0
grade = "second"
"""


class Plant:
    """A daemon, its cameras, and everything that it has published."""

    def __init__(self, daemon: Daemon, camera: FakeCamera, events: Subscriber) -> None:
        self.daemon, self.camera, self._subscriber = daemon, camera, events
        self.events: list[Event] = []
        self._next = {"top": 0, "side": 0}

    def configure(self, *changes: tuple[str, str], end: str = "") -> None:
        """Change the file."""
        text = self.daemon.config.read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        self.daemon.config.write_text(text + end)

    def send(self, *cameras: str, frames: int = 1, **keys: object) -> None:
        """Send frames of cameras in turn, on one strip; each has a defect."""
        pixels = np.zeros((32, 64), np.uint8)
        pixels[8:12, 20:30] = PAINT + 1
        for _, name in itertools.product(range(frames), cameras):
            seq = self._next[name]
            self._next[name] += 1
            header = {"strip": "C1", "line": 32 * seq} | keys
            self.camera.send(name, "s", seq, pixels, **header)

    def read(self, until: type[Event], count: int = 1) -> list[Event]:
        """Read until so many events of a type have come; those that have."""
        found: list[Event] = []
        until_s = time.monotonic() + 2 * WAIT_S  # the status comes every second: a limit of its own
        while len(found) < count:
            event = self._subscriber.receive(WAIT_S)
            assert event is not None, (self.events, self.daemon.log.read_text())
            assert time.monotonic() < until_s, (self.events, self.daemon.log.read_text())
            assert not isinstance(event, bytes)
            self.events.append(event)  # type: ignore[arg-type]
            if isinstance(event, until):
                found.append(event)
        return found

    def coverage(self, camera: str) -> list[tuple[int, int, str]]:
        """First and last number of what was inspected and missed, in order, without a hole."""
        spans: list[tuple[int, int, str]] = []
        for event in self.events:
            if isinstance(event, FrameResult) and event.camera == camera:
                spans.append((event.frame_seq, event.frame_seq, "inspected"))
            elif isinstance(event, Gap) and event.camera == camera:
                spans.append((event.first_frame_seq, event.last_frame_seq, event.cause.value))
        for (_, end, _), (start, _, _) in itertools.pairwise(spans):
            assert start == end + 1, spans
        return spans


@pytest.fixture
def plant(daemon: Daemon, camera: FakeCamera) -> Iterator[Plant]:
    """A daemon that knows two cameras."""
    text = daemon.config.read_text().replace(TOP, TOP + SIDE)
    daemon.config.write_text(text.replace("queue_events = 20", "frame_results = true"))
    daemon.start()
    daemon.wait_for("READY=1")
    topics = ("defect", "gap", "strip", "daemon", "frame", "status", "periodic")
    with Subscriber(f"ipc://{daemon.folder}/out", topics) as events:
        plant = Plant(daemon, camera, events)
        plant.read(Status)
        yield plant


def test_a_camera_that_is_removed_in_mid_stream_ends_in_order(plant: Plant) -> None:
    """Its strip ends, each of its frames is accounted for; the others are inspected throughout."""
    plant.send("top", "side", frames=30)
    plant.configure((SIDE, ""))
    reload(plant.daemon)
    plant.send("top", "side", frames=10)
    plant.send("top", end=True)
    (told,) = plant.read(DaemonReload)
    assert isinstance(told, DaemonReload)
    assert (told.result, told.need_restart) == ("done", ())
    assert any(change.startswith("cameras.side") for change in told.changes), told.changes
    while not any(isinstance(one, StripEnd) and one.camera == "top" for one in plant.events):
        plant.read(StripEnd)
    (status,) = plant.read(Status)
    assert isinstance(status, Status)
    assert plant.coverage("top") == [(seq, seq, "inspected") for seq in range(41)]
    side = plant.coverage("side")
    (end,) = [one for one in plant.events if isinstance(one, StripEnd) and one.camera == "side"]
    assert end.frames_inspected + sum(end.frames_missed.values()) == side[-1][1] + 1
    assert end.frame_seq == side[-1][1]
    assert end.defects == {"kind1": len(side)}
    assert set(status.cameras) == {"top"}
    # What came too late for the daemon is rejected, and counted as such.
    assert status.drops[Cause.UNKNOWN_CAMERA] == 40 - len(side)
    assert plant.daemon.stop() == ExitCode.OK


def test_a_camera_that_comes_back_says_what_it_has_missed(plant: Plant) -> None:
    """The frames in between are a gap with a cause of its own: the numbers leave no hole."""
    plant.send("side", frames=5)
    plant.read(FrameResult, 5)
    plant.configure((SIDE, ""))
    reload(plant.daemon)
    plant.send("side", frames=7)
    plant.read(DaemonReload)
    while plant.read(Status)[0].drops.get(Cause.UNKNOWN_CAMERA) != 7:  # type: ignore[union-attr]
        pass
    plant.configure((TOP, TOP + SIDE))
    reload(plant.daemon)
    plant.send("side", frames=3)
    plant.read(FrameResult, 3)
    assert plant.coverage("side")[5:] == [
        (5, 11, "unknown_camera"),
        *((seq, seq, "inspected") for seq in range(12, 15)),
    ]
    assert plant.daemon.stop() == ExitCode.OK


def test_a_camera_that_is_added_is_inspected_from_then_on(plant: Plant) -> None:
    third = '[[cameras]]\nname = "third"\ncrossweb_offset_mm = 100.0\n'
    plant.configure((SIDE, SIDE + third))
    reload(plant.daemon)
    plant.camera.send("third", "s", 0, strip="C1")
    (start,) = plant.read(StripStart)
    assert isinstance(start, StripStart)
    assert start.camera == "third"
    plant.read(FrameResult)
    assert plant.daemon.stop() == ExitCode.OK


def test_start_and_reload_name_a_configuration_by_the_same_hash(plant: Plant) -> None:
    """Of what is in force: a reload that changes nothing, or is refused, leaves it as it is."""
    running = config_hash(load_config(plant.daemon.config))
    reload(plant.daemon)
    (first,) = plant.read(DaemonReload)
    plant.configure(('name = "side"', 'name = "Side!"'))
    assert "not reloaded" in reload(plant.daemon)
    (refused,) = plant.read(DaemonReload)
    plant.configure(('name = "Side!"', 'name = "other"'), ("rebuilds_max = 2", "rebuilds_max = 3"))
    reload(plant.daemon)
    (changed,) = plant.read(DaemonReload)
    assert isinstance(first, DaemonReload)
    assert isinstance(refused, DaemonReload)
    assert isinstance(changed, DaemonReload)
    assert (first.result, first.changes, first.config) == ("done", (), running)
    assert (refused.result, refused.config) == ("refused", running)
    assert "Side!" in refused.detail
    assert changed.config != running
    assert changed.need_restart == ("engine.rebuilds_max 2 -> 3",)
    plant.configure(("rebuilds_max = 3", "rebuilds_max = 2"))
    assert config_hash(load_config(plant.daemon.config)) == changed.config
    assert plant.daemon.stop() == ExitCode.OK
    plant.daemon.messages.clear()
    plant.daemon.start()
    plant.daemon.wait_for("READY=1")
    assert plant.daemon.stop() == ExitCode.OK
    # Of the journal: a live subscriber may connect again only after the start was published.
    starts = [one for one in journalled(plant.daemon.folder) if isinstance(one, DaemonStart)]
    assert [start.config for start in starts] == [running, changed.config]


def test_rules_of_grading_hold_for_the_strips_that_begin_after_the_reload(plant: Plant) -> None:
    """One strip has one set of rules: the one under way keeps those with which it began."""
    plant.send("top", "side", frames=2)
    plant.read(FrameResult, 4)
    plant.configure(end=RULES.format(name="first"))
    reload(plant.daemon)
    plant.send("top", "side", end=True)
    assert [end.verdict for end in ends(plant)] == [ends_unset(), ends_unset()]
    plant.send("top", "side", strip="C2")
    plant.read(FrameResult, 2)
    plant.configure(('"first"', '"second"'))
    reload(plant.daemon)
    plant.send("top", "side", strip="C2", end=True)
    assert {rule_set(end) for end in ends(plant)} == {"first"}
    plant.send("top", "side", strip="C3", end=True)
    assert {rule_set(end) for end in ends(plant)} == {"second"}
    assert plant.daemon.stop() == ExitCode.OK


def test_the_log_level_and_rolls_change_without_a_restart(plant: Plant) -> None:
    roll = '\n[[rolls]]\nname = "F7"\ndiameter_mm = [590.0, 670.0]\n'
    plant.configure(('log_format = "json"', 'log_format = "json"\nlog_level = "error"'), end=roll)
    plant.daemon.messages.clear()
    assert plant.daemon.process
    plant.daemon.process.send_signal(1)
    (told,) = plant.read(DaemonReload)
    assert isinstance(told, DaemonReload)
    assert told.need_restart == ()
    assert "service.log_level info -> error" in told.changes
    assert any(change.startswith("rolls.F7 none -> ") for change in told.changes)
    before = plant.daemon.log.read_text()
    assert '"level": "info"' in before
    assert plant.daemon.stop() == ExitCode.OK  # its states on the way down are of level info
    assert '"level": "info"' not in plant.daemon.log.read_text().removeprefix(before)


def test_a_rule_for_a_class_that_the_engine_lacks_is_refused(plant: Plant) -> None:
    rule = '[[grading.rules]]\nname = "r"\nmeasure = "count"\nlimit = 1.0\ngrade = "second"\n'
    plant.configure(end=f'{RULES.format(name="x")}{rule}classes = ["rust"]\n')
    said = reload(plant.daemon)
    assert "not reloaded" in said
    assert "rust" in said
    plant.send("top")
    plant.read(Defect)
    assert plant.daemon.stop() == ExitCode.OK


def ends(plant: Plant) -> list[StripEnd]:
    """The next two ends of strips."""
    return [event for event in plant.read(StripEnd, 2) if isinstance(event, StripEnd)]


def ends_unset() -> object:
    return StripEnd.__struct_defaults__[-1]


def rule_set(end: StripEnd) -> str:
    assert end.verdict
    return end.verdict.rule_set


def test_every_numbered_event_stays_in_order_across_reloads(plant: Plant) -> None:
    """The journal's numbers have no hole while cameras come and go under load."""
    for round_ in range(4):
        plant.send("top", "side", frames=20)
        plant.configure((SIDE, "") if round_ % 2 == 0 else (TOP, TOP + SIDE))
        reload(plant.daemon)
    plant.send("top", end=True)
    plant.read(DaemonReload, 4)
    while not any(isinstance(one, StripEnd) and one.camera == "top" for one in plant.events):
        plant.read(StripEnd)
    numbers = [one.seq for one in plant.events if isinstance(one, NumberedEvent)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert [span[:2] for span in plant.coverage("top")] == [(seq, seq) for seq in range(81)]
    plant.coverage("side")
    assert plant.daemon.stop() == ExitCode.OK
