"""From a checkpoint to an ONNX file with its model.json."""

from __future__ import annotations

import shlex
import warnings
from pathlib import Path

import torch

from stripwatch.errors import StorageError
from stripwatch.synthetic import CLASSES
from stripwatch_engine.model_card import ModelCard, ModelInput, save_card
from stripwatch_train.model import load_checkpoint, make_model
from stripwatch_train.settings import fit_flags

OPSET = 17


def export(checkpoint_path: Path, model_path: Path) -> ModelCard:
    """Write an ONNX file, float32 [n, 1, h, w] to logits [n, classes, h, w], and its model.json.

    Raises:
        ModelError: the checkpoint cannot be read.
        StorageError: the files cannot be written.
    """
    settings, checkpoint = load_checkpoint(checkpoint_path)
    model = make_model(settings)
    model.load_state_dict(checkpoint["weights"])
    model.eval()
    height, width = (side // settings.shrink for side in settings.frame_shape)
    card = ModelCard(
        input=ModelInput(channels=1, height=height, width=width),
        mean=settings.mean,
        std=settings.std,
        activation="sigmoid",
        classes=CLASSES,
        metrics=checkpoint["metrics"],
        data="synthetic strips of stripwatch.synthetic, training seeds from 1,000,000 on",
        command=shlex.join(["stripwatch-train", "fit", *fit_flags(settings)]),
    )
    draft = model_path.with_suffix(".part")
    try:
        model_path.parent.mkdir(parents=True, exist_ok=True)
        _write_onnx(model, (height, width), draft)
        save_card(model_path, card)
        draft.replace(model_path)
    except OSError as error:
        raise StorageError(f"cannot write {model_path}: {error.strerror}") from error
    return card


def _write_onnx(model: torch.nn.Module, shape: tuple[int, int], path: Path) -> None:
    """The tracing exporter needs nothing beyond torch, and keeps the weights in one file."""
    with warnings.catch_warnings():
        # It says of itself that a newer one exists.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            model,
            (torch.zeros(1, 1, *shape),),
            str(path),
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "n"}, "logits": {0: "n"}},
            opset_version=OPSET,
            dynamo=False,
        )
