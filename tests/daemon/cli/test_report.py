"""`stripwatch report`: the page, the tables, pictures, and the thresholds in force."""

from __future__ import annotations

import base64
import csv
import hashlib
import re
from contextlib import closing
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from tests.daemon.inspect.grading.strips import STRIP, MadeStrip
from tests.daemon.journal import strip_journal
from tests.daemon.journal.strip_journal import write_config, write_journal

from stripwatch.cli.main import main
from stripwatch.config.load import load_config
from stripwatch.errors import ExitCode
from stripwatch.journal.pictures import Picture, PictureStore
from stripwatch.wire.event import Defect


def made_strip() -> MadeStrip:
    strip = MadeStrip()
    strip.defect(10_000.0)
    strip.defect(None, side="bottom", edges_mm=(None, 900.0))
    return strip


def test_a_page_and_two_tables_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tables hold the whole defects, unknown places are empty."""
    parquet = pytest.importorskip("pyarrow.parquet")
    write_journal(tmp_path / "journal", made_strip())
    config = write_config(tmp_path)
    files = [tmp_path / name for name in ("strip.html", "d.csv", "d.parquet")]
    options = ["-o", str(files[0]), "--csv", str(files[1]), "--parquet", str(files[2])]
    assert main(["report", "--last", "--config", str(config), *options]) == ExitCode.OK
    out, err = capsys.readouterr()
    assert out.split() == [str(file) for file in files]
    assert "no pictures" in err
    page = files[0].read_text()
    for words in (f"Strip {STRIP}", ">worse<", "no picture kept", "configuration has changed"):
        assert words in page
    rows = list(csv.DictReader(files[1].read_text().splitlines()))
    assert [row["downweb_first_mm"] for row in rows] == ["10000.0", ""]
    assert [row["right_edge_distance_mm"] for row in rows] == ["590.0", "490.0"]
    table = parquet.read_table(files[2]).to_pylist()
    same = [
        {name: "" if cell is None else str(cell) for name, cell in row.items()} for row in table
    ]
    assert same == rows


def test_pictures_are_in_the_page_with_the_border_of_the_mask(tmp_path: Path) -> None:
    """A damaged picture is left out."""
    events = write_journal(tmp_path / "journal", made_strip())
    first, second = (event for event in events if isinstance(event, Defect))
    crop = np.full((40, 60), 100, np.uint8)
    mask = np.zeros((40, 60), np.uint8)
    mask[10:20, 10:30] = 255
    with closing(PictureStore(tmp_path / "journal")) as store:
        images = {
            kind: cv2.imencode(".png", one)[1].tobytes()
            for kind, one in (("crop", crop), ("mask", mask))
        }
        store.add(
            [
                Picture(first.stream, first.seq, "crop", (0, 0), images["crop"]),
                Picture(first.stream, first.seq, "mask", (0, 0), images["mask"]),
                Picture(second.stream, second.seq, "crop", (0, 0), b"\x89PNG damaged"),
            ]
        )
    page = tmp_path / "strip.html"
    arguments = ["report", STRIP, "--config", str(write_config(tmp_path)), "-o", str(page)]
    assert main(arguments) == ExitCode.OK
    (data,) = re.findall(r"data:image/png;base64,([\w+/=]+)", page.read_text())
    image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    coloured = np.ptp(image.astype(int), axis=2) > 0
    assert coloured[10, 10:30].all()
    assert not coloured[12:18, 12:28].any()
    assert not coloured[:9].any()


def test_thresholds_are_told_where_the_configuration_is_that_of_the_strip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its engine the page says so."""
    config = write_config(tmp_path)
    digest = hashlib.sha256(msgspec.json.encode(load_config(config))).hexdigest()
    start = msgspec.structs.replace(strip_journal.START, config=digest)
    monkeypatch.setattr(strip_journal, "START", start)
    write_journal(tmp_path / "journal", made_strip())
    page = tmp_path / "strip.html"
    assert main(["report", STRIP, "--config", str(config), "-o", str(page)]) == ExitCode.OK
    assert "engine of the configuration cannot be looked at" in page.read_text()


def test_a_report_that_cannot_be_written_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_journal(tmp_path / "journal", made_strip())
    config = str(write_config(tmp_path))
    output = str(tmp_path / "none" / "strip.html")
    assert main(["report", STRIP, "--config", config, "-o", output]) == ExitCode.STORAGE
    assert "cannot be written" in capsys.readouterr().err
