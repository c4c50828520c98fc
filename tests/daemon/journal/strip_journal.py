"""A journal that holds a made strip, and a configuration that names it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from tests.daemon.inspect.grading.strips import MadeStrip

from stripwatch.journal.records import Transaction, event_record
from stripwatch.journal.store import Journal
from stripwatch.wire.event import DaemonStart, NumberedEvent, build_event, with_number

START = DaemonStart(stream="", seq=0, t_ns=1, version="0.5", model="m1", config="c" * 64)
CONFIG = """
[line]
frame_lines = 1000
frame_pixels = 1000
mm_per_line = 1.0
mm_per_pixel = 1.0
[[cameras]]
name = "top"
[[cameras]]
name = "bottom"
side = "bottom"
[[inputs]]
endpoint = "tcp://127.0.0.1:5550"
[engine]
folder = "engine"
[publish]
endpoint = "tcp://127.0.0.1:5551"
"""
RULES = """
[grading]
rule_set = "test 1"
grades = ["best", "worse"]
[[grading.rules]]
name = "inspected"
measure = "not_inspected_m"
limit = 5
grade = "worse"
[[grading.rules]]
name = "pits"
classes = ["pits"]
measure = "count"
limit = 1
grade = "worse"
"""


def write_journal(folder: Path, *strips: MadeStrip) -> list[NumberedEvent]:
    """Write a start of the daemon and the events of strips; returns them with their numbers."""
    written: list[NumberedEvent] = []
    with closing(Journal(folder)) as journal:
        events: list[NumberedEvent] = [START]
        for strip in strips:
            events += strip.all_events()
        records = []
        for seq, event in enumerate(events, 1):
            numbered = with_number(event, journal.stream, seq)
            topic, payload = build_event(numbered)
            records.append(event_record(numbered, topic, payload, 1_700_000_000_000_000_000 + seq))
            written.append(numbered)
        journal.append(Transaction(records))
    return written


def write_config(folder: Path, text: str = CONFIG + RULES) -> Path:
    """Write a configuration whose journal is the folder `journal` beside it."""
    path = folder / "config.toml"
    path.write_text(text)
    return path
