"""Curves of a run's training on the page of its evaluation."""

from __future__ import annotations

from pathlib import Path

from tests.train.tiny_models import masked, painted, write_data, write_run

from stripwatch_train.evaluation.figures.curves import curve_of, run_curves
from stripwatch_train.runs.run_folder import MemberFile

SHAPE = (20, 40)
CURVE = """epoch,loss,validation_loss,score,dice.bright,learning_rate
0,1.2,1.1,0.0,,0.001
1,0.9,1.0,0.4,0.4,0.0005
2,0.8,1.05,0.3,0.3,0.0
"""


def test_each_trained_model_of_a_run_has_a_picture(tmp_path: Path) -> None:
    """One that is not trained yet has none, and a cell may be empty."""
    data = write_data(tmp_path / "data", {"a.png": (painted(SHAPE), masked(SHAPE))})
    members = [MemberFile("fold0", "segmentation", 0), MemberFile("fold1", "segmentation", 1)]
    (tmp_path / "run" / "fold0").mkdir(parents=True)
    run = write_run(tmp_path / "run", data, {"a.png": 0}, members)
    (run / "fold0" / "metrics.csv").write_text(CURVE)
    (picture,) = run_curves(run)
    assert picture.name == "training-fold0"
    assert picture.png.startswith(b"\x89PNG")
    rows = curve_of(run / "fold0" / "metrics.csv")
    assert [row["score"] for row in rows] == [0, 0.4, 0.3]
    assert "dice.bright" not in rows[0]


def test_a_damaged_curve_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    assert curve_of(path) == []
    path.write_text("epoch,loss\n0,abc\n")
    assert curve_of(path) == []
