"""Model cards from the command line: flags that override a card, or stand in for a missing one."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from stripwatch.engines.manifest import DefectClass
from stripwatch.errors import ModelError
from stripwatch_engine.models.model_card import Activation, Fit, ModelCard, ModelInput

BACKGROUND_NAMES = ("background", "_background_", "bg", "no_defect")
SIDE_MULTIPLE = 32  # encoders halve the image five times


class CardFlags(msgspec.Struct, frozen=True):
    """Values of a model card given on the command line; None = not given."""

    classes: tuple[str, ...] | None = None
    activation: Activation | None = None
    background: bool | Literal["last"] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    size: tuple[int, int] | None = None  # height, width
    fit: Fit | None = None
    thresholds: tuple[float, ...] | None = None
    min_areas_px: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Take a class called background out of the classes: it says where the background is.

        Raises:
            ModelError: it is neither the first nor the last.
        """
        names = self.classes or ()
        places = [index for index, name in enumerate(names) if name.lower() in BACKGROUND_NAMES]
        if not places:
            return
        if len(places) > 1 or places[0] not in (0, len(names) - 1) or len(names) == 1:
            raise ModelError(
                f"--classes {','.join(names)}: the background is the first or the last channel of "
                "the output; name the defects in the order of the output's channels"
            )
        place = places[0]
        msgspec.structs.force_setattr(self, "classes", names[:place] + names[place + 1 :])
        msgspec.structs.force_setattr(self, "background", "last" if place else True)

    def any(self) -> bool:
        """Whether a value is given."""
        return any(getattr(self, name) is not None for name in self.__struct_fields__)


def override_card(card: ModelCard, flags: CardFlags) -> ModelCard:
    """Replace the values of a card that flags give.

    Raises:
        ModelError: a list of values does not fit the number of classes.
    """
    classes = card.classes
    if flags.classes or flags.thresholds or flags.min_areas_px:
        names = flags.classes or tuple(entry.name for entry in classes)
        classes = _classes(names, flags, classes)
    changes = {
        name: value
        for name in ("activation", "background", "mean", "std")
        if (value := getattr(flags, name)) is not None
    }
    height, width = flags.size or (card.input.height, card.input.width)
    size = msgspec.structs.replace(
        card.input, height=height, width=width, fit=flags.fit or card.input.fit
    )
    return msgspec.structs.replace(card, classes=classes, input=size, **changes)


def card_from_flags(
    path: Path,
    input_sizes: tuple[int, ...],
    ends_in_activation: bool,
    frame_shape: tuple[int, int],
    flags: CardFlags,
) -> ModelCard:
    """Make a card from flags and from what the model file itself states.

    Args:
        path: of the ONNX file, for messages.
        input_sizes: of the model: channels, height, width; 0 = any.
        ends_in_activation: whether the model ends in Sigmoid or Softmax.
        frame_shape: lines, pixels.
        flags: from the command line.

    Raises:
        ModelError: a value is missing; the message names its flag.
    """
    missing = [
        flag
        for flag, value in (
            ("--classes", flags.classes),
            ("--mean", flags.mean),
            ("--std", flags.std),
            ("--activation", flags.activation or ends_in_activation),
        )
        if not value
    ]
    if missing:
        raise ModelError(
            f"{path} has no model.json beside it, and the model itself does not contain these "
            f"values: give {', '.join(missing)}"
        )
    channels, height, width = input_sizes
    if channels not in (0, 1, 3):
        raise ModelError(
            f"{path} takes {channels} channels; frames are grey, so a model must take 1 or 3"
        )
    any_size = not (height and width) and flags.size is None
    sides = flags.size or tuple(
        size or -(-side // SIDE_MULTIPLE) * SIDE_MULTIPLE
        for size, side in zip((height, width), frame_shape, strict=True)
    )
    assert flags.classes is not None
    assert flags.mean is not None
    assert flags.std is not None
    return ModelCard(
        input=ModelInput(
            channels=3 if channels == 3 else 1,
            height=sides[0],
            width=sides[1],
            # A model of any size takes the frame unscaled, padded as its encoder needs it.
            fit=flags.fit or ("pad" if any_size else "resize"),
        ),
        mean=flags.mean,
        std=flags.std,
        activation=flags.activation or "none",
        classes=_classes(flags.classes, flags, ()),
        background=flags.background or False,
    )


def _classes(
    names: tuple[str, ...], flags: CardFlags, known: tuple[DefectClass, ...]
) -> tuple[DefectClass, ...]:
    """Classes by name; thresholds and minimum areas from the flags, else from `known`."""
    columns: dict[str, tuple[float, ...] | tuple[int, ...]] = {}
    for flag, key, values in (
        ("--threshold", "threshold", flags.thresholds),
        ("--min-area", "min_area_px", flags.min_areas_px),
    ):
        if values is not None:
            if len(values) not in (1, len(names)):
                raise ModelError(
                    f"{flag} has {len(values)} values; give one, or one for each of the "
                    f"{len(names)} classes"
                )
            columns[key] = values * len(names) if len(values) == 1 else values
    by_name = {entry.name: entry for entry in known}
    classes = []
    for index, name in enumerate(names):
        entry = by_name.get(name, DefectClass(id=1, name=name))
        fields = msgspec.to_builtins(entry) | {"id": index + 1, "name": name}
        fields |= {key: values[index] for key, values in columns.items()}
        try:
            classes.append(msgspec.convert(fields, DefectClass))
        except msgspec.ValidationError as error:
            raise ModelError(f"class {name!r}: {error}") from None
    return tuple(classes)
