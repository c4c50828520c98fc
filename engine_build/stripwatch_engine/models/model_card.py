"""`model.json`, the model card: training writes it beside the ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stripwatch.engines.manifest import DefectClass, check_classes
from stripwatch.errors import ModelError
from stripwatch.files import read_utf8
from stripwatch.wire.names import CLASSES_MAX

CARD_NAME = "model.json"

Side = Annotated[int, Meta(ge=1, le=65536)]
Positive = Annotated[float, Meta(gt=0)]
Activation = Literal["sigmoid", "softmax", "none"]
Fit = Literal["resize", "pad"]
UNIT_MAX = 1.5  # largest mean or std that pixels as 0 to 1 can reasonably have


class ModelInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The image that the model takes: float32 [n, channels, height, width]."""

    channels: Literal[1, 3]
    height: Side
    width: Side
    fit: Fit = "resize"  # how a frame of another size is fitted; `pad`: below and right


class ModelCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`model.json`."""

    input: ModelInput
    # Of pixels as 0 to 1, one for all channels or one for each; the input is (pixel - mean) / std.
    mean: float | tuple[float, ...]
    std: Positive | tuple[Positive, ...]
    activation: Activation  # converts the output to probabilities
    classes: tuple[DefectClass, ...]  # in the order of the output's channels
    # The first channel of the output, before the classes, is "no defect"; "last": the last is.
    background: bool | Literal["last"] = False
    metrics: dict[str, float] = {}  # measured by training, for example "dice.pits"
    data: str = ""  # that it was trained on
    # "synthetic": it was trained on the synthetic strip, which then may verify its engines, too.
    trained_on: Literal["", "synthetic"] = ""
    command: str = ""  # that trained it
    v: Literal[1] = 1

    @property
    def output_channels(self) -> int:
        """Channels of the output, with the background."""
        return len(self.classes) + bool(self.background)

    @property
    def first_channel(self) -> int:
        """Index of the first class in the output."""
        return int(self.background is True)

    def channel_statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and std of each input channel."""
        means = self.mean if isinstance(self.mean, tuple) else (self.mean,)
        stds = self.std if isinstance(self.std, tuple) else (self.std,)
        channels = self.input.channels
        return (
            means * channels if len(means) == 1 else means,
            stds * channels if len(stds) == 1 else stds,
        )


def card_path(model: Path) -> Path:
    """Path of a model's card: NAME.json beside NAME.onnx, if it exists, else model.json."""
    own = model.with_suffix(".json")
    return own if own.exists() else model.parent / CARD_NAME


def load_card(model: Path) -> ModelCard:
    """Read the card beside an ONNX file.

    Raises:
        ModelError: it is missing or not valid.
    """
    path = card_path(model)
    try:
        card = msgspec.json.decode(read_utf8(path), type=ModelCard)
    except FileNotFoundError:
        raise ModelError(
            f"{path} is missing; it describes the model's classes, input and output, and "
            "`stripwatch-train export` writes it; without it give --classes, --mean, --std and "
            "--activation"
        ) from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is not a valid {CARD_NAME}: {error}; correct it") from error
    check_card(path, card)
    return card


def save_card(model: Path, card: ModelCard) -> None:
    """Write the model.json beside an ONNX file."""
    data = msgspec.json.format(msgspec.json.encode(card), indent=2)
    (model.parent / CARD_NAME).write_bytes(data + b"\n")


def check_card(path: Path, card: ModelCard) -> None:
    """Check the rules that types cannot express.

    Args:
        path: of the card or model, for messages.
        card: the card.

    Raises:
        ModelError: a rule is broken.
    """
    check_classes(path, card.classes)
    if len(card.classes) > CLASSES_MAX:
        raise ModelError(f"{path}: {len(card.classes)} classes; at most {CLASSES_MAX} fit a mask")
    for name, values in zip(("mean", "std"), card.channel_statistics(), strict=True):
        if len(values) != card.input.channels:
            raise ModelError(
                f"{path}: {name} has {len(values)} values; give one, or one for each of the "
                f"{card.input.channels} input channels"
            )
    _check_units(path, card)
    if card.activation == "softmax" and not card.background and len(card.classes) == 1:
        raise ModelError(
            f"{path}: softmax over one channel is always 1; set background to true or the "
            "activation to sigmoid"
        )


def _check_units(path: Path, card: ModelCard) -> None:
    """Refuse mean and std of pixels as 0 to 255: the model would see a constant image.

    Raises:
        ModelError: the message shows the values as 0 to 1.
    """
    means, stds = card.channel_statistics()
    if max(*map(abs, means), *stds) <= UNIT_MAX:
        return
    scale = 255 if max(*map(abs, means), *stds) <= 255 else 65535
    # One of them may be in the right unit already; pixels as 0 to 1 spread by 0.5 at most.
    is_mean, is_std = max(map(abs, means)) > UNIT_MAX, max(stds) > 0.5
    right_means = tuple(value / scale if is_mean else value for value in means)
    right_stds = tuple(value / scale if is_std else value for value in stds)
    raise ModelError(
        f"{path}: mean {_listed(means)} and std {_listed(stds)} are for pixels of 0 to {scale}, "
        "but here they are for pixels of 0 to 1, and the model would see nothing; divide them by "
        f"{scale}: mean {_listed(right_means)} and std {_listed(right_stds)}"
    )


def _listed(values: tuple[float, ...]) -> str:
    return ",".join(f"{value:.4g}" for value in values)
