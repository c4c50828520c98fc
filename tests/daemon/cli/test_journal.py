"""`stripwatch journal`: what its actions print and write, and what they refuse."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stripwatch.cli.main import main
from stripwatch.errors import ExitCode
from stripwatch.inspect.coverage import Account
from stripwatch.journal.positions import Positions
from stripwatch.journal.records import CoverageRecord, Transaction, event_record
from stripwatch.journal.schema import SCHEMA
from stripwatch.journal.store import Journal
from stripwatch.wire.event import DaemonStart, Defect, NumberedEvent, build_event, with_number

MakeDefect = Callable[..., Defect]
START = DaemonStart(stream="", seq=0, t_ns=1, version="1", model="m", config="c")
DAY_NS = 86400 * 10**9
FIRST_NS = 1_700_000_000 * 10**9  # 2023-11-14T22:13:20 UTC
DEFECTS = 3000


@pytest.fixture
def folder(tmp_path: Path, make_defect: MakeDefect) -> Path:
    """A start and 3000 defects, an hour apart, of two strips; camera top is booked."""
    folder = tmp_path / "journal"
    with closing(Journal(folder)) as journal:
        events: list[NumberedEvent] = [START]
        events += [
            make_defect(strip=f"C{1 + number % 2}", frame_seq=number) for number in range(DEFECTS)
        ]
        records = []
        for seq, event in enumerate(events, 1):
            numbered = with_number(event, journal.stream, seq)
            t_ns = FIRST_NS + seq * 3600 * 10**9
            topic, payload = build_event(numbered)
            records.append(event_record(numbered, topic, payload, t_ns))
        account = Account("s", 0, DEFECTS - 1, DEFECTS)
        journal.append(Transaction(records, {("top", "s"): CoverageRecord("top", account)}))
    return folder


@pytest.fixture(params=["gone", "running"])
def writer(folder: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Whether a daemon has the journal meanwhile."""
    if request.param == "gone":
        yield request.param
    else:
        with closing(Journal(folder)):
            yield request.param


def test_info_prints_what_the_journal_holds(
    folder: Path, writer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside a daemon and without one."""
    with (
        closing(Positions(folder)) as positions,
        closing(sqlite3.connect(folder / "journal.db")) as db,
    ):
        (stream,) = db.execute("SELECT stream FROM journal").fetchone()
        positions.set("press", stream, 2990)
        positions.set("yard", "another", 5)
    assert main(["journal", "info", str(folder), "--json"]) == ExitCode.OK, writer
    found = json.loads(capsys.readouterr().out)
    assert found["types"] == {"daemon_start": 1, "defect": DEFECTS}
    assert (found["first_seq"], found["last_seq"], found["schema"]) == (1, DEFECTS + 1, SCHEMA)
    assert [(one["reader"], one["behind"]) for one in found["readers"]] == [
        ("press", 11),
        ("yard", None),
    ]
    (camera,) = found["cameras"]
    assert (camera["camera"], camera["inspected"], camera["sessions"]) == ("top", DEFECTS, 1)
    assert main(["journal", "info", str(folder / "journal.db"), "--quick"]) == ExitCode.OK
    text = capsys.readouterr().out
    assert "press: read up to 2990" in text
    assert "11 events behind" in text
    assert "daemon_start" not in text


def test_export_writes_events_as_they_were_published(
    folder: Path, writer: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Every line is a payload; the options choose among them."""
    with closing(sqlite3.connect(folder / "journal.db")) as database:
        database.row_factory = sqlite3.Row
        rows = database.execute("SELECT * FROM event").fetchall()
    for options, expected in (
        ([], lambda _: True),
        (["--since", "2990"], lambda row: row["seq"] > 2990),
        (["--strip", "C2"], lambda row: row["strip"] == "C2"),
        (["--type", "daemon_start"], lambda row: row["type"] == "daemon_start"),
        (
            ["--from", "2023-11-15T00:00Z", "--to", "2023-11-16T00:00:00+00:00"],
            lambda row: 0 <= row["t_ns"] - 1_700_006_400 * 10**9 < DAY_NS,
        ),
    ):
        assert main(["journal", "export", str(folder), *options]) == ExitCode.OK, writer
        lines = capsysbinary.readouterr().out.splitlines()
        assert lines == [row["payload"] for row in rows if expected(row)]
        assert lines


def test_export_writes_defects_as_tables(folder: Path, tmp_path: Path) -> None:
    """CSV and Parquet hold the same; the ending of the name decides."""
    parquet = pytest.importorskip("pyarrow.parquet")
    for kind in ("csv", "parquet"):
        output = tmp_path / f"defects.{kind}"
        arguments = ["journal", "export", str(folder), "--strip", "C1", "--output", str(output)]
        assert main(arguments) == ExitCode.OK
    with (tmp_path / "defects.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    table = parquet.read_table(tmp_path / "defects.parquet").to_pylist()
    assert len(lines) == len(table) == DEFECTS // 2
    for line, row in zip(lines, table, strict=True):
        assert line == {key: "" if value is None else str(value) for key, value in row.items()}
    assert (table[1]["frame_seq"], table[1]["downweb_mm"], table[1]["x_px"]) == (2, 1234.5, 20)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "defects.csv",
        "defects.parquet",
        "journal",
    ]


def test_a_table_without_its_library_names_the_extra(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And leaves no file."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    output = tmp_path / "a.parquet"
    assert main(["journal", "export", str(folder), "-o", str(output)]) == ExitCode.CONFIG
    assert "'.[parquet]'" in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-o", "a.txt"], "--format"),
        (["-o", "a.csv", "--type", "gap"], "defects alone"),
        (["--format", "parquet"], "FILE.parquet"),
        (["-o", "/dev/full", "--format", "jsonl"], "/dev/full cannot be written"),
        (["-o", "/nowhere/a.csv"], "/nowhere/a.csv cannot be written"),
    ],
)
def test_an_export_that_cannot_be_is_a_sentence(
    folder: Path, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["journal", "export", str(folder), *options])
    assert code in {ExitCode.CONFIG, ExitCode.STORAGE}
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("value", ["yesterday", "2026-13-01", "99999-01-01"])
def test_a_time_that_is_none_is_a_wrong_command_line(folder: Path, value: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["journal", "export", str(folder), "--from", value])
    assert caught.value.code == ExitCode.USAGE


def test_verify_says_what_is_wrong_and_where(
    folder: Path, writer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["journal", "verify", str(folder)]) == ExitCode.OK, writer
    assert "good, events 1 to 3001" in capsys.readouterr().out
    with closing(sqlite3.connect(folder / "journal.db", isolation_level=None)) as database:
        database.execute("DELETE FROM event WHERE seq BETWEEN 7 AND 9")
    assert main(["journal", "verify", str(folder)]) == ExitCode.STORAGE
    assert "events 7 to 9 are missing" in capsys.readouterr().out


def test_prune_removes_what_is_beyond_a_limit(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing that a reader has not read; with --compact the file becomes smaller."""
    with closing(Journal(folder)) as journal, closing(Positions(folder)) as positions:
        positions.set("press", journal.stream, 1000)
        size = journal.path.stat().st_size
    arguments = ["journal", "prune", str(folder), "--gigabytes", "0.0005"]
    assert main(arguments) == ExitCode.OK
    done = capsys.readouterr()
    assert "1000 events removed, 2001 kept" in done.out
    assert "reader=press" in done.err
    assert main(["journal", "forget", "press", str(folder)]) == ExitCode.OK
    assert main([*arguments, "--days", "1", "--compact"]) == ExitCode.OK
    assert "2000 events removed, 1 kept" in capsys.readouterr().out
    assert (folder / "journal.db").stat().st_size < size / 10


def test_prune_leaves_a_running_daemon_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(Journal(folder)) as journal:
        code = main(["journal", "prune", str(folder), "--days", "1"])
        assert code == ExitCode.CONFIG
        assert "by itself" in capsys.readouterr().err
        assert journal.extent().events == DEFECTS + 1


@pytest.mark.parametrize("reader", ["", "pres", "a b\n", "x" * 5000, "'; DROP TABLE position"])
def test_forget_names_the_readers_that_there_are(
    folder: Path, reader: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["journal", "forget", reader, str(folder)]) == ExitCode.CONFIG
    assert "it has: none" in capsys.readouterr().err
    with closing(Positions(folder)) as positions:
        positions.set("press", "s", 1)
    assert main(["journal", "forget", reader, str(folder)]) == ExitCode.CONFIG
    assert "it has: press" in capsys.readouterr().err


def _foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE other (x)")


def _newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA + 1}")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), "has no journal.db"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b"no database " * 1000), "not a journal"),
        (lambda path: os.truncate(path, 3 * 4096), "damaged"),
        (_foreign, "another program"),
        (_newer, f"schema {SCHEMA + 1}"),
    ],
    ids=["missing", "empty", "text", "cut", "foreign", "newer"],
)
@pytest.mark.parametrize(
    "action", [["info"], ["export"], ["verify"], ["prune", "--days", "1"], ["forget", "press"]]
)
def test_a_journal_that_cannot_be_read_is_a_sentence(
    folder: Path,
    action: list[str],
    spoil: Callable[[Path], None],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of every action; nothing is made in its place."""
    spoil(folder / "journal.db")
    there = (folder / "journal.db").exists()
    assert main(["journal", *action, str(folder)]) == ExitCode.STORAGE
    done = capsys.readouterr()
    assert words in done.err
    assert "Traceback" not in done.err
    assert (folder / "journal.db").exists() == there


@pytest.mark.parametrize("name", ["a\0b", "x" * 300])
def test_a_folder_with_an_impossible_name_is_a_sentence(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["journal", "info", name]) in {ExitCode.CONFIG, ExitCode.STORAGE}
    assert "Traceback" not in capsys.readouterr().err
