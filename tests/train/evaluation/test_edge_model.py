"""The model in models/edge, through the real inspection graph, on strips it never saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from stripwatch.engines.manifest import Manifest
from stripwatch.synthetic import CLASSES, SyntheticFrame, SyntheticStrip
from stripwatch_engine.models.model_card import load_card
from stripwatch_train.data.varied import VariedStrip

Image = NDArray[np.uint8]

MODEL = Path(__file__).resolve().parents[3] / "models" / "edge" / "model.onnx"
FRAME_SHAPE = (256, 1600)
SEEDS = range(500, 506)  # neither training's nor those of the figures in model.json
FRAMES_PER_STRIP = 6
DICE_MIN = 0.80
VARIED_DICE_MIN = 0.60  # of varied strips: many of their defects are faint, or on a pattern
MARKED_MAX = 0.005  # of the pixels
MODEL_BYTES_MAX = 6_000_000


def test_the_model_is_one_small_file_of_the_synthetic_classes() -> None:
    card = load_card(MODEL)
    assert [(entry.id, entry.name) for entry in card.classes] == [
        (entry.id, entry.name) for entry in CLASSES
    ]
    # Of the validation fold, most of which is varied.
    assert all(card.metrics[f"dice.{entry.name}"] >= VARIED_DICE_MIN for entry in CLASSES)
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
    learnt = make_network(member.network, len(card.classes)).parameters()
    weights = onnx.load(MODEL).graph.initializer
    shapes = Counter(tuple(value.dims) for value in weights if len(value.dims) == 4)
    assert shapes.total() > 30
    # The encoder has layers below the depth that is used; these are not exported.
    assert shapes <= Counter(tuple(value.shape) for value in learnt)


@pytest.fixture(scope="module")
def find(
    tmp_path_factory: pytest.TempPathFactory,
    build_engine: Callable[[Path, tuple[int, int], Path], Manifest],
) -> Callable[[Image], Image]:
    """The engine's mask of a frame."""
    import openvino

    folder = tmp_path_factory.mktemp("edge") / "engine"
    manifest = build_engine(MODEL, FRAME_SHAPE, folder)
    graph = openvino.Core().compile_model(
        folder / manifest.files[0], "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    thresholds = np.array([entry.threshold for entry in load_card(MODEL).classes], np.float32)

    def found(pixels: Image) -> Image:
        outputs = graph({"frames": pixels[None], "thresholds": thresholds})
        return np.asarray(outputs["mask"][0], np.uint8)

    return found


def dice_of(frames: Iterable[SyntheticFrame], find: Callable[[Image], Image]) -> dict[str, float]:
    """Dice of all pixels, by class."""
    both, either = np.zeros(len(CLASSES)), np.zeros(len(CLASSES))
    for frame in frames:
        found = find(frame.pixels)
        for at, entry in enumerate(CLASSES):
            bit = np.uint8(1 << (entry.id - 1))
            both[at] += np.count_nonzero(frame.mask & found & bit)
            either[at] += np.count_nonzero(frame.mask & bit) + np.count_nonzero(found & bit)
    assert (either > 0).all()
    return dict(zip((entry.name for entry in CLASSES), 2 * both / either, strict=True))


@pytest.mark.slow
def test_every_class_is_found_on_unseen_strips(find: Callable[[Image], Image]) -> None:
    strips = [SyntheticStrip(seed, FRAME_SHAPE, 4.0) for seed in SEEDS]
    frames = (strip.frame(index) for strip in strips for index in range(FRAMES_PER_STRIP))
    dice = dice_of(frames, find)
    assert min(dice.values()) >= DICE_MIN, dice


@pytest.mark.slow
def test_every_class_is_found_on_strips_that_vary(find: Callable[[Image], Image]) -> None:
    strips = [VariedStrip(seed, FRAME_SHAPE, 4.0) for seed in SEEDS]
    frames = (strip.frame(index) for strip in strips for index in range(FRAMES_PER_STRIP))
    dice = dice_of(frames, find)
    assert min(dice.values()) >= VARIED_DICE_MIN, dice


@pytest.mark.slow
def test_little_is_found_on_other_steel_without_defects(find: Callable[[Image], Image]) -> None:
    """Dark or bright, rough, with stains, paint, patterns: a model of one steel marks all of it."""
    share = [
        np.count_nonzero(find(VariedStrip(seed, FRAME_SHAPE, 0.0).frame(index).pixels))
        / (FRAME_SHAPE[0] * FRAME_SHAPE[1])
        for seed in SEEDS
        for index in range(FRAMES_PER_STRIP)
    ]
    assert np.mean(share) <= MARKED_MAX, share
