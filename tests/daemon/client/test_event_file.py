"""Files of events read back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from stripwatch.client.event_file import load_events
from stripwatch.errors import ConfigError, StorageError
from stripwatch.wire.event import Defect, Event, StripEvent, build_event

MakeDefect = Callable[..., Defect]


def test_numbered_events_come_back_in_order(tmp_path: Path, make_defect: MakeDefect) -> None:
    """Blank lines, statuses and results of frames are left out."""
    path = tmp_path / "events.jsonl"
    defects = [make_defect(seq=seq) for seq in (1, 2)]
    first, second = (build_event(defect)[1] for defect in defects)
    rows = [first, b"", b'{"type":"status","v":1}', b'{"type":"frame","v":1}', second]
    path.write_bytes(b"\n".join(rows) + b"\n")
    assert load_events(path) == defects


def test_events_of_every_kind_may_be_in_a_file(tmp_path: Path) -> None:
    """Those that are not of a strip are left out, whatever kinds a later version adds."""
    golden = Path(__file__).parents[1] / "wire" / "golden"
    lines = [path.read_bytes().strip() for path in sorted(golden.glob("event_*.json"))]
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(lines))
    found = load_events(path)
    assert {type(event) for event in found} == set(get_args(StripEvent))
    kinds = {type(msgspec.json.decode(line, type=Event)) for line in lines}
    assert kinds == set(get_args(Event))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_events_that_another_program_wrote_again_are_the_same(
    tmp_path: Path, make_defect: MakeDefect, encoding: str
) -> None:
    """Blanks, the order of keys, line ends and a byte-order mark make no difference."""
    path = tmp_path / "events.jsonl"
    defect = json.loads(build_event(make_defect())[1])
    rows = [{"v": 1, "type": "status"}, dict(reversed(defect.items())), {"v": 1, "type": "frame"}]
    path.write_bytes("\r\n".join(json.dumps(row) for row in rows).encode(encoding))
    assert load_events(path) == [make_defect()]


@pytest.mark.parametrize("row", [b"{", b"\xff", b'{"type":"defect"}', b'{"type":"other"}', b"[]"])
def test_a_line_that_is_not_an_event_is_named(
    tmp_path: Path, make_defect: MakeDefect, row: bytes
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(build_event(make_defect())[1] + b"\n" + row + b"\n")
    with pytest.raises(ConfigError, match=r"events\.jsonl, line 2 .*--write-events"):
        load_events(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"none\.jsonl cannot be read"):
        load_events(tmp_path / "none.jsonl")
