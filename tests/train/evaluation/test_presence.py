"""Gates and classifiers: their figures, and thresholds that pass a share of the clean frames."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from tests import models
from tests.models import make_card
from tests.train.tiny_models import masked, painted, save_model, write_data

from stripwatch.engines.manifest import DefectClass
from stripwatch.errors import ExitCode
from stripwatch_engine.models.model_card import load_card
from stripwatch_train.cli.main import main
from stripwatch_train.data.folds import FoldFile, save_folds
from stripwatch_train.evaluation.presence import PresenceScores, presence_figures, threshold_for

SHAPE = (20, 40)
CLEAN = [0.05, 0.1, 0.3, 0.6]  # probabilities of frames without a defect
WITH = [0.2, 0.5, 0.7, 0.9]


def scores(threshold: float) -> PresenceScores:
    rows = [np.array([value]) for value in (*CLEAN, *WITH)]
    labels = [np.array([has]) for has in [False] * 4 + [True] * 4]
    return PresenceScores("gate", ("any defect",), (threshold,), rows, labels)


def test_the_figures_of_a_gate_are_those_of_its_decisions() -> None:
    """At 0.4 one clean frame of four is reported, and one of four with a defect passed."""
    (found,) = presence_figures(scores(0.4))
    assert (found.true_positive, found.false_negative) == (3, 1)
    assert (found.false_positive, found.true_negative) == (1, 3)
    assert (found.sensitivity, found.specificity, found.accuracy) == (0.75, 0.75, 0.75)
    assert found.auc == pytest.approx((2 + 3 + 4 + 4) / 16)
    # 0.3, 0.6, 0.2, 0.5 and 0.7 lie in the band; 0.6 and 0.2 are decided wrongly.
    assert (found.inconclusive, found.inconclusive_wrong) == (5, 2)


@pytest.mark.parametrize(
    ("share", "low", "high"), [(0.25, 0.05, 0.1), (0.5, 0.1, 0.2), (0.75, 0.3, 0.5), (1, 0.6, 0.7)]
)
def test_the_threshold_passes_the_share_of_clean_frames_and_no_more_defects_than_needed(
    share: float, low: float, high: float
) -> None:
    probability, true = scores(0.9).column(0)
    threshold = threshold_for(probability, true, 0.99, share)
    assert threshold is not None
    assert low < threshold <= high
    assert (probability[~true] < threshold).mean() >= share


def test_a_threshold_that_does_the_same_is_kept_and_without_both_kinds_there_is_none() -> None:
    probability, true = scores(0.4).column(0)
    assert threshold_for(probability, true, 0.45, 0.75) == 0.45
    assert threshold_for(probability, np.ones(8, np.bool_), 0.45, 0.75) is None
    assert threshold_for(probability, np.zeros(8, np.bool_), 0.45, 0.75) is None


def save_gate(path: Path, threshold: float) -> None:
    """A gate whose probability is the grey level of the brightest pixel of 255."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, *SHAPE])
    output = helper.make_tensor_value_info("highest", TensorProto.FLOAT, ["n", 1])
    nodes = [
        helper.make_node("GlobalMaxPool", ["image"], ["most"]),
        helper.make_node("Flatten", ["most"], ["highest"]),
    ]
    graph = helper.make_graph(nodes, "gate", [image], [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    gate = DefectClass(id=1, name="defect", threshold=threshold)
    card = make_card(SHAPE, classes=(gate,), mean=0.0, std=1.0, activation="none")
    models.save_model(path, model, card)


def test_a_gate_is_measured_and_its_threshold_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Clean frames reach 0.5 and 0.6, the defect 0.9: from 0.3 to between 0.6 and 0.9."""
    levels = {"a.png": 0, "b.png": round(0.6 * 255), "c.png": round(0.9 * 255)}
    frames = {
        name: (
            painted(SHAPE, (5, 5, 8, 8, value)) if value else painted(SHAPE),
            masked(SHAPE, (5, 5, 8, 8, 1)) if name == "c.png" else masked(SHAPE),
        )
        for name, value in levels.items()
    }
    data = write_data(tmp_path / "data", frames)
    save_model(tmp_path / "model.onnx", SHAPE)
    save_gate(tmp_path / "gate.onnx", 0.3)
    line = tmp_path / "line.toml"
    line.write_text('models = ["model.onnx"]\ngate = "gate.onnx"\ngate_mode = "skip"\n')
    save_folds(tmp_path / "folds.json", FoldFile(2, 0, dict.fromkeys(levels, 0)))
    where = ["--data", str(data), "--folds", str(tmp_path / "folds.json"), "--fold", "0"]
    assert main(["evaluate", str(line), *where, "--output", str(tmp_path / "out")]) == ExitCode.OK
    (found,) = json.loads((tmp_path / "out" / "metrics.json").read_text())["presence"]
    assert found["sensitivity"] == 1
    assert found["specificity"] == 0
    assert "Gates and classifiers" in (tmp_path / "out" / "index.html").read_text()
    assert main(["tune", str(line), *where]) == ExitCode.OK
    assert "--clean-passed SHARE chooses their thresholds" in capsys.readouterr().out
    assert load_card(tmp_path / "gate.onnx").classes[0].threshold == 0.3
    assert main(["tune", str(line), *where, "--clean-passed", "1"]) == ExitCode.OK
    assert load_card(tmp_path / "gate.onnx").classes[0].threshold == pytest.approx(0.75, abs=0.01)
    assert main(["tune", str(tmp_path / "model.onnx"), *where, "--clean-passed", "1"]) == (
        ExitCode.CONFIG
    )
