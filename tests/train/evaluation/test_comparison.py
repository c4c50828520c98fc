"""Two evaluations on one page, and the table of frames that they are compared by."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import msgspec
import pytest
from tests.train.tiny_models import CLASSES, level, masked, painted, save_model, write_data

from stripwatch.errors import ExitCode
from stripwatch_train.cli.main import main

SHAPE = (40, 100)
FRAMES = {
    "a.png": (painted(SHAPE, (5, 5, 10, 10, level(0.6))), masked(SHAPE, (5, 5, 10, 10, 1))),
    "b.png": (painted(SHAPE, (5, 5, 10, 10, level(0.9))), masked(SHAPE, (5, 5, 10, 10, 1))),
    "c.png": (painted(SHAPE), masked(SHAPE)),
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two models on the same frames: the second finds bright ones from 0.7 on only."""
    tmp_path = tmp_path_factory.mktemp("reports")
    data = write_data(tmp_path / "data", FRAMES)
    strict = (msgspec.structs.replace(CLASSES[0], threshold=0.7), CLASSES[1])
    for name, classes in (("one", CLASSES), ("two", strict)):
        model = save_model(tmp_path / name / "model.onnx", SHAPE, classes)
        words = ["evaluate", str(model), "--data", str(data), "-o", str(tmp_path / f"{name}-page")]
        assert main(words) == ExitCode.OK
    return tmp_path / "one-page", tmp_path / "two-page"


def test_each_frame_and_class_has_a_row(reports: tuple[Path, Path]) -> None:
    """Dice, areas and the largest probability, as on the line; the page has frames of all kinds."""
    with (reports[1] / "frames.csv").open(newline="") as file:
        rows = {(row["frame"], row["class"]): row for row in csv.DictReader(file)}
    assert len(rows) == 6
    missed, found = rows["a.png", "bright"], rows["b.png", "bright"]
    assert (float(missed["dice"]), missed["true_px"], missed["found_px"]) == (0, "100", "0")
    assert float(missed["largest_probability"]) == pytest.approx(0.6, abs=0.01)
    assert (float(found["dice"]), found["hit_px"], found["false_alarms"]) == (1, "100", "0")
    assert float(rows["c.png", "dark"]["dice"]) == 1
    pictures = {path.name for path in reports[1].glob("*.png")}
    assert {"worst-1.png", "best-1.png", "ordinary-3.png", "sizes-bright.png"} <= pictures
    metrics = json.loads((reports[1] / "metrics.json").read_text())
    assert metrics["precision_px"]["bright"] == 1
    assert metrics["recall_px"]["bright"] == 0.5
    assert metrics["f1_px"]["bright"] == pytest.approx(2 / 3)


def test_two_models_are_put_on_one_page(
    reports: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second misses one of three frames: its mean Dice is lower by a sixth."""
    words = ["compare", *map(str, reports), "-o", str(tmp_path / "both")]
    assert main([*words, "--json"]) == ExitCode.OK
    figures = json.loads(capsys.readouterr().out.partition("{")[2].join(("{", "")))["figures"]
    mean = next(entry for entry in figures if entry["name"] == "Kaggle's mean Dice")
    assert mean["second"] - mean["first"] == pytest.approx(-1 / 6)
    page = (tmp_path / "both" / "index.html").read_text()
    assert "a.png" in page
    assert "-0.5000" in page  # the mean over two classes
    assert "b.png" not in page


def test_evaluations_of_other_frames_are_not_compared(
    reports: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = shutil.copytree(reports[1], tmp_path / "other")
    table = other / "frames.csv"
    table.write_text(table.read_text().replace("a.png", "z.png"))
    words = ["compare", str(reports[0]), str(other), "-o", str(tmp_path / "both")]
    assert main(words) == ExitCode.CONFIG
    assert "2 are in one of them only (the first: a.png)" in capsys.readouterr().err
    assert main(["compare", str(tmp_path), str(reports[0])]) == ExitCode.CONFIG
    assert "`stripwatch-train evaluate` writes it" in capsys.readouterr().err
