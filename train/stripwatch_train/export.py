"""From a checkpoint to an ONNX file with its model.json."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

from stripwatch.synthetic import CLASSES
from stripwatch_engine.model_card import ModelCard, ModelInput, save_card
from stripwatch_train.model import load_checkpoint, make_model

OPSET = 17


def export(checkpoint_path: Path, model_path: Path, command: str) -> ModelCard:
    """Write an ONNX file, float32 [n, 1, h, w] to logits [n, classes, h, w], and its model.json.

    Raises:
        ModelError: the checkpoint cannot be read.
    """
    settings, checkpoint = load_checkpoint(checkpoint_path)
    model = make_model(settings)
    model.load_state_dict(checkpoint["weights"])
    model.eval()
    height, width = (side // settings.shrink for side in settings.frame_shape)
    model_path.parent.mkdir(parents=True, exist_ok=True)
    draft = model_path.with_suffix(".part")
    with warnings.catch_warnings():
        # The tracing exporter needs nothing beyond torch and keeps the weights in one file.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (torch.zeros(1, 1, height, width),),
            str(draft),
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "n"}, "logits": {0: "n"}},
            opset_version=OPSET,
            dynamo=False,
        )
    card = ModelCard(
        input=ModelInput(channels=1, height=height, width=width),
        mean=settings.mean,
        std=settings.std,
        activation="sigmoid",
        classes=CLASSES,
        metrics=checkpoint["metrics"],
        data="synthetic strips of stripwatch.synthetic, training seeds from 1,000,000 on",
        command=command,
    )
    save_card(model_path, card)
    draft.replace(model_path)
    return card
