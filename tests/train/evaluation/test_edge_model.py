"""The model in models/edge, through the real inspection graph, on strips it never saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from stripwatch.engines.manifest import Manifest
from stripwatch.synthetic import CLASSES, SyntheticStrip
from stripwatch_engine.models.model_card import load_card

MODEL = Path(__file__).resolve().parents[3] / "models" / "edge" / "model.onnx"
FRAME_SHAPE = (256, 1600)
SEEDS = range(500, 506)  # neither training's nor those of the figures in model.json
FRAMES_PER_STRIP = 8
DICE_MIN = 0.80
MODEL_BYTES_MAX = 6_000_000


def test_the_model_is_one_small_file_of_the_synthetic_classes() -> None:
    card = load_card(MODEL)
    assert card.classes == CLASSES
    assert all(card.metrics[f"dice.{entry.name}"] >= DICE_MIN for entry in CLASSES)
    assert MODEL.stat().st_size <= MODEL_BYTES_MAX
    assert sorted(path.name for path in MODEL.parent.glob("model*")) == ["model.json", "model.onnx"]


def test_the_recipe_beside_it_makes_a_model_of_the_same_layers_and_card() -> None:
    pytest.importorskip("torch")
    from stripwatch_train.fitting.networks import make_network
    from stripwatch_train.runs.recipe_files import load_recipe

    recipe = load_recipe(str(MODEL.parents[1] / "recipe.toml"))
    (member,) = recipe.members
    card = load_card(MODEL)
    shrunk = [side // by for side, by in zip(FRAME_SHAPE, member.images.shrink, strict=True)]
    assert [card.input.height, card.input.width] == shrunk
    assert card.activation == member.activation
    assert recipe.classes.min_areas_px == tuple(entry.min_area_px for entry in card.classes)
    learnt = make_network(member.network, len(card.classes)).parameters()
    weights = onnx.load(MODEL).graph.initializer
    shapes = Counter(tuple(value.dims) for value in weights if len(value.dims) == 4)
    assert shapes.total() > 30
    # The encoder has layers below the depth that is used; these are not exported.
    assert shapes <= Counter(tuple(value.shape) for value in learnt)


@pytest.mark.slow
def test_every_class_is_found_on_unseen_strips(
    tmp_path: Path, build_engine: Callable[[Path, tuple[int, int], Path], Manifest]
) -> None:
    import openvino

    manifest = build_engine(MODEL, FRAME_SHAPE, tmp_path / "engine")
    graph = openvino.Core().compile_model(
        tmp_path / "engine" / manifest.files[0], "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    thresholds = np.array([entry.threshold for entry in load_card(MODEL).classes], np.float32)
    both, either = np.zeros(len(CLASSES)), np.zeros(len(CLASSES))
    for seed in SEEDS:
        strip = SyntheticStrip(seed, FRAME_SHAPE, 4.0)
        for index in range(FRAMES_PER_STRIP):
            frame = strip.frame(index)
            found = graph({"frames": frame.pixels[None], "thresholds": thresholds})["mask"][0]
            for at, entry in enumerate(CLASSES):
                bit = np.uint8(1 << (entry.id - 1))
                both[at] += np.count_nonzero(frame.mask & found & bit)
                either[at] += np.count_nonzero(frame.mask & bit) + np.count_nonzero(found & bit)
    assert (either > 0).all()
    dice = dict(zip((entry.name for entry in CLASSES), 2 * both / either, strict=True))
    assert min(dice.values()) >= DICE_MIN, dice
