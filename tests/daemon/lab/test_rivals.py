"""What a team would write today: its loop does the same work, and its network must fit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stripwatch.engines.manifest import DefectClass
from stripwatch.errors import ModelError
from stripwatch.inspect.defects import find_defects
from stripwatch.lab.bench.rival_loops import Card, Planes, _inspect, read_card
from stripwatch.wire.rle import encode_severstal

ROOT = Path(__file__).resolve().parents[3]
CLASSES = tuple(DefectClass(id=number, name=f"c{number}", min_area_px=3) for number in (1, 2))


def card_text(**changes: object) -> str:
    card = {
        "input": {"channels": 1, "height": 16, "width": 24, "fit": "resize"},
        "mean": 0.4,
        "std": 0.1,
        "activation": "sigmoid",
        "classes": [{"id": 1, "name": "c1"}],
    }
    return json.dumps(card | changes)


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    """A network with a card beside it; only the card is read."""
    (tmp_path / "model.json").write_text(card_text())
    return tmp_path / "model.onnx"


def test_the_loop_finds_what_the_daemon_finds(onnx: Path) -> None:
    """Classes, boxes, areas and masks of a frame of the network's own size."""
    random = np.random.default_rng(3)
    found = random.random((2, 16, 24)) < 0.3
    card = Card(read_card(onnx).input, 0.4, 0.1, CLASSES, "sigmoid")

    def infer(images: Planes) -> Planes:
        assert images.shape == (1, 1, 16, 24)
        assert images.dtype == np.float32
        return np.where(found, np.float32(9), np.float32(-9))[None]

    defects = _inspect(np.zeros((16, 24), np.uint8), infer, card)
    mask = found[0].astype(np.uint8) | found[1].astype(np.uint8) << 1
    area = found.sum(axis=(1, 2)).astype(np.float32)
    expected = find_defects(mask, found.astype(np.uint8) * 255, area, CLASSES, 1000)
    by_box = sorted(defects, key=lambda one: (one["class"], one["box"]))
    assert [(one["class"], one["box"], one["area"], one["rle"]) for one in by_box] == [
        (one.defect_class.name, list(one.box), one.area, encode_severstal(one.runs))
        for one in sorted(expected, key=lambda one: (one.defect_class.name, one.box))
    ]


def test_the_card_of_the_embedded_model_fits() -> None:
    """So that the bench can be run with what the repository has."""
    assert read_card(ROOT / "models" / "edge" / "model.onnx").input.width == 800


@pytest.mark.parametrize("changes", [{"activation": "softmax"}, {"mean": [1, 2, 3]}])
def test_a_network_that_the_loop_cannot_run_is_refused(
    onnx: Path, changes: dict[str, object]
) -> None:
    """The sentence says which networks it can."""
    onnx.with_name("model.json").write_text(card_text(**changes))
    with pytest.raises(ModelError, match="one grey image with sigmoid"):
        read_card(onnx)


def test_a_missing_card_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.json cannot be read"):
        read_card(tmp_path / "model.onnx")
