"""One strip out of a journal with others: its events, its latest passage, its signature."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest
from tests.daemon.inspect.grading.strips import CONFIG, STRIP, MadeStrip
from tests.daemon.journal.strip_journal import write_journal

from stripwatch.cli.main import main
from stripwatch.errors import ConfigError, ExitCode
from stripwatch.journal.reader import JournalReader
from stripwatch.journal.strips import last_strip, read_strip


def other(name: str, *, has_ended: bool = True) -> MadeStrip:
    strip = MadeStrip(has_ended=has_ended)
    strip.defect(1.0)
    made = strip.all_events()
    strip.events = [msgspec.structs.replace(event, strip=name) for event in made]
    strip.cameras = ()
    return strip


def test_a_strip_is_read_without_the_events_of_others(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """The signature can be computed again by anyone who has the events, as the page says."""
    strip = MadeStrip()
    for number in range(1200):  # more than a page
        strip.defect(10.0 * number)
    written = write_journal(tmp_path, other("A"), strip, other("B"))
    mine = [event for event in written if getattr(event, "strip", None) == STRIP]
    with JournalReader(tmp_path) as reader:
        found = read_strip(reader, STRIP, CONFIG)
        assert last_strip(reader) == "B"
    assert len(found.record.defects) == 1200
    signature = found.signature
    assert (signature.first_seq, signature.last_seq) == (mine[0].seq, mine[-1].seq)
    assert signature.events == len(mine)
    payloads = b"".join(msgspec.json.encode(event) + b"\n" for event in mine)
    assert signature.sha256 == hashlib.sha256(payloads).hexdigest()
    assert main(["journal", "export", str(tmp_path), "--strip", STRIP]) == ExitCode.OK
    assert hashlib.sha256(capsysbinary.readouterr().out).hexdigest() == signature.sha256
    assert [start.config for start in found.starts] == ["c" * 64]


def test_of_a_strip_that_came_twice_the_latest_passage_is_read(tmp_path: Path) -> None:
    first, second = MadeStrip(), MadeStrip(length_m=50.0)
    first.defect(1.0)
    first.defect(2.0)
    second.defect(3.0)
    write_journal(tmp_path, first, second)
    with JournalReader(tmp_path) as reader:
        record = read_strip(reader, STRIP, CONFIG).record
    assert ([one.along_mm for one in record.defects], record.length_mm) == ([(3.0, 13.0)], 50_000.0)


def test_the_last_strip_is_the_last_that_ended(tmp_path: Path) -> None:
    """A running one only where none has ended."""
    write_journal(tmp_path / "one", other("A"), other("B", has_ended=False))
    write_journal(tmp_path / "two", other("B", has_ended=False))
    for name, expected in (("one", "A"), ("two", "B")):
        with JournalReader(tmp_path / name) as reader:
            assert last_strip(reader) == expected


def test_a_strip_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    write_journal(tmp_path / "one", other("A"), other("B"))
    write_journal(tmp_path / "two")
    with JournalReader(tmp_path / "one") as reader, pytest.raises(ConfigError, match="'B', 'A'"):
        read_strip(reader, "X", CONFIG)
    with JournalReader(tmp_path / "two") as reader, pytest.raises(ConfigError, match="coil id"):
        last_strip(reader)
