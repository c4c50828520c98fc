"""Where the background is in a model's output, and what is said to whom leaves it out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.engine_build.odd_models import outputs_of

from stripwatch.engines.manifest import load_manifest
from stripwatch.errors import ExitCode
from stripwatch_engine.cli.main import main
from stripwatch_engine.graph.compose import compose_inspection_graph
from stripwatch_engine.models.composition import Composition
from stripwatch_engine.models.deployment import load_deployment
from stripwatch_engine.models.model_card import ModelCard, save_card
from stripwatch_engine.models.onnx_model import load_onnx_model
from stripwatch_engine.models.reference import Session

MakeModel = Callable[..., tuple[Path, ModelCard]]
GIVEN = ["--mean=0.4", "--std=0.25", "--activation=softmax", "--frame=16x40", "--allow-unverified"]


def without_card(made: tuple[Path, ModelCard]) -> Path:
    path, _ = made
    path.with_name("model.json").unlink()
    return path


def test_a_model_with_one_channel_more_is_told_of_the_background_by_name(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence is about what the user gave, not about a file that says nothing."""
    path = without_card(make_model(background=True))
    assert main([str(path), "--classes=a,b,c", *GIVEN]) == ExitCode.MODEL
    error = capsys.readouterr().err
    assert "the model's output has 4 channels, but --classes names 3 classes (a, b, c)" in error
    assert "--background, if the last is, with --background-last" in error
    assert main([str(path), "--classes=a,b,c,d", "--background", *GIVEN]) == ExitCode.MODEL
    assert "leave the background out (--no-background)" in capsys.readouterr().err


@pytest.mark.parametrize("value", [True, "last"])
def test_the_background_is_the_first_or_the_last_channel(
    make_model: MakeModel, value: bool | str
) -> None:
    """The other channels are the classes, in their order."""
    path, card = make_model(background=True, activation="softmax")
    save_card(path, msgspec.structs.replace(card, background=value))
    deployment = load_deployment(Composition(models=(str(path),)), (16, 40))
    graph = compose_inspection_graph(deployment, bytes_early=True)
    frame = np.random.default_rng(2).integers(0, 256, (1, 16, 40)).astype(np.uint8)
    found = Session(graph).run({"frames": frame, "thresholds": np.full(3, 0.5, np.float32)})
    image = ((frame / 255 - 0.4) / 0.25).astype(np.float32)[:, None]
    raw = np.exp(outputs_of(load_onnx_model(path).proto, image).astype(np.float64))
    planes = (raw / raw.sum(axis=1, keepdims=True))[:, :3] if value == "last" else None
    if planes is None:
        planes = (raw / raw.sum(axis=1, keepdims=True))[:, 1:]
    assert np.abs(found["prob"] - planes * 255).max() < 0.51


@pytest.mark.parametrize(
    "flags",
    [
        ["--classes=a,b,c", "--background-last"],
        ["--classes=a,b,c,background"],
        ["--classes=background,a,b,c"],
    ],
)
def test_flags_say_where_the_background_is(make_model: MakeModel, flags: list[str]) -> None:
    """By a flag, or by its name among the classes; it is no class of the engine."""
    path = without_card(make_model(background=True))
    assert main([str(path), *flags, *GIVEN]) == ExitCode.OK
    manifest = load_manifest(path.parent / "openvino")
    assert [entry.name for entry in manifest.classes] == ["a", "b", "c"]


def test_a_background_between_the_classes_is_refused(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    path = without_card(make_model(background=True))
    assert main([str(path), "--classes=a,background,b,c", *GIVEN]) == ExitCode.MODEL
    assert "the background is the first or the last channel" in capsys.readouterr().err
