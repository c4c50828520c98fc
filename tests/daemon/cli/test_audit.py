"""`stripwatch audit`: a sample that tells no answers, and the score of what a person filled in."""

from __future__ import annotations

import csv
import json
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.daemon.inspect.grading.strips import STRIP, MadeStrip
from tests.daemon.journal.strip_journal import write_config, write_journal

from stripwatch.cli.main import main
from stripwatch.errors import ExitCode
from stripwatch.journal.pictures import Picture, PictureStore
from stripwatch.recording.writer import RecordingWriter
from stripwatch.wire.event import Defect
from stripwatch.wire.frame import FrameHeader


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Of a journal with 30 pits and 5 holes, and pictures of them."""
    strip = MadeStrip()
    for number in range(35):
        name = "holes" if number < 5 else "pits"
        strip.defect(1000.0 * number, class_name=name, frame_seq=number)
    events = write_journal(tmp_path / "journal", strip)
    png = cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1].tobytes()
    with closing(PictureStore(tmp_path / "journal")) as store:
        for event in events:
            if isinstance(event, Defect):
                store.add([Picture(event.stream, event.seq, "crop", (0, 0), png)])
    return str(write_config(tmp_path))


def rows_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "judge.csv").read_text().splitlines()))


def judge(folder: Path, answers: dict[int, str], delimiter: str = ",") -> None:
    lines = [f"number{delimiter}judgement"]
    lines += [f"{number}{delimiter}{answer}" for number, answer in answers.items()]
    (folder / "judge.csv").write_text("\n".join(lines))


def test_a_sample_tells_no_answers_and_its_score_is_what_was_filled_in(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pictures have numbers in an order that chance gave; the key alone knows the classes."""
    folder = tmp_path / "audit"
    arguments = ["audit", "sample", "--last", "--config", config, "--seed", "3"]
    assert main([*arguments, "--per-class", "10", "-o", str(folder)]) == ExitCode.OK
    out, err = capsys.readouterr()
    assert "35 to judge; allowed: holes, pits, clean, unsure" in out
    assert "--recording" in err
    rows = rows_of(folder)
    assert sum(row["picture"] != "" for row in rows) == 15
    assert all((folder / row["picture"]).is_file() for row in rows if row["picture"])
    assert not any(word in (folder / "judge.csv").read_text() for word in ("pits", "holes"))
    items = json.loads((folder / "key.json").read_text())["items"]
    key = {one["number"]: one["told"] for one in items}
    assert list(key.values()) != sorted(key.values())
    said = {number: "pits" if told == "holes" else told for number, told in key.items()}
    judge(folder, said, ";")
    assert main(["audit", "score", str(folder)]) == ExitCode.OK
    assert capsys.readouterr().out.splitlines() == [
        "holes right: 0 of 5, 0.0 % (95 %: 0.0 to 43.4 %); else pits 5",
        "pits right: 10 of 10, 100.0 % (95 %: 72.2 to 100.0 %)",
        "frames without a miss: 20 of 20, 100.0 % (95 %: 83.9 to 100.0 %)",
    ]
    assert main(["audit", "score", str(folder), "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)[0]["said"] == {"pits": 5}
    again = tmp_path / "again"
    assert main([*arguments, "--per-class", "10", "-o", str(again)]) == ExitCode.OK
    assert (again / "key.json").read_text() == (folder / "key.json").read_text()


def test_clean_frames_come_from_a_recording(config: str, tmp_path: Path) -> None:
    """Those with defects, of other strips or of cameras that are not configured are not drawn."""
    path = tmp_path / "a.mcap"
    writer = RecordingWriter(path)
    for number in range(60):
        for camera, strip in (("top", STRIP), ("top2", STRIP)) if number < 50 else (("top", "B"),):
            header = FrameHeader(
                v=1,
                camera=camera,
                session="x",
                seq=number,
                t_ns=1 + number,
                shape=(8, 1000),
                dtype="u8",
                codec="raw",
                strip=strip,
                line=8 * number,
            )
            writer.add(header, np.full((8, 1000), number, np.uint8).tobytes())
    writer.close()
    folder = tmp_path / "audit"
    arguments = ["audit", "sample", STRIP, "--config", config, "--seed", "3", "-o", str(folder)]
    arguments += ["--recording", str(path), "--per-class", "0", "--clean", "100"]
    assert main(arguments) == ExitCode.OK
    values = set()
    for row in rows_of(folder):
        image = cv2.imread(str(folder / row["picture"]), cv2.IMREAD_GRAYSCALE)
        assert image is not None
        assert float(row["from_m"]) == pytest.approx(int(image[0, 0]) * 0.008)
        values.add(int(image[0, 0]))
    assert values == set(range(35, 50))


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({1: "pit"}, "number 1: judgement 'pit'; allowed: holes, pits, clean, unsure"),
        ({99: "pits"}, "number 99 is not of the sample"),
    ],
)
def test_a_wrong_judgement_is_named(
    answers: dict[int, str],
    words: str,
    config: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "audit"
    main(["audit", "sample", STRIP, "--config", config, "--seed", "3", "-o", str(folder)])
    judge(folder, answers)
    assert main(["audit", "score", str(folder)]) == ExitCode.CONFIG
    assert words in capsys.readouterr().err


def test_what_is_no_sample_is_said(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor is a sample written over anything."""
    assert main(["audit", "score", str(tmp_path)]) == ExitCode.STORAGE
    assert "audit sample" in capsys.readouterr().err
    arguments = ["audit", "sample", STRIP, "--config", config, "--seed", "3", "-o", str(tmp_path)]
    assert main(arguments) == ExitCode.CONFIG
    assert "is not empty" in capsys.readouterr().err
    (tmp_path / "judge.csv").write_text("a,b\n1,2\n")
    (tmp_path / "key.json").write_text("{")
    assert main(["audit", "score", str(tmp_path)]) == ExitCode.CONFIG
    assert "damaged" in capsys.readouterr().err
