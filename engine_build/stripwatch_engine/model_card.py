"""`model.json`: what training says about a model, beside its ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stripwatch.errors import ModelError
from stripwatch.manifest import DefectClass

CARD_NAME = "model.json"

Side = Annotated[int, Meta(ge=1, le=65536)]


class ModelInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The image that the model takes: float32 [n, channels, height, width]."""

    channels: Literal[1, 3]
    height: Side
    width: Side


class ModelCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`model.json`."""

    input: ModelInput
    mean: float  # of pixels as 0 to 1; the model sees (pixel - mean) / std
    std: Annotated[float, Meta(gt=0)]
    activation: Literal["sigmoid", "none"]  # what turns the output into probabilities
    classes: tuple[DefectClass, ...]  # in the order of the output's channels
    metrics: dict[str, float] = {}  # measured by training, for example "dice.pits"
    data: str = ""  # what it was trained on
    command: str = ""  # what trained it
    v: Literal[1] = 1


def load_card(model: Path) -> ModelCard:
    """Read the model.json beside an ONNX file.

    Raises:
        ModelError: it is missing or not valid.
    """
    path = model.parent / CARD_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=ModelCard)
    except FileNotFoundError:
        raise ModelError(
            f"{path} is missing; it says what the model's classes, input and output are, and "
            "`stripwatch-train export` writes it"
        ) from None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is not a valid model.json: {error}") from error


def save_card(model: Path, card: ModelCard) -> None:
    """Write the model.json beside an ONNX file."""
    data = msgspec.json.format(msgspec.json.encode(card), indent=2)
    (model.parent / CARD_NAME).write_bytes(data + b"\n")
