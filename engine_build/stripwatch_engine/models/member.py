"""A model together with what it is and what it does in the deployment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec
import onnx

from stripwatch.engines.manifest import DefectClass, SourceModel, sha256_files
from stripwatch.errors import ModelError
from stripwatch_engine.models.model_card import (
    Activation,
    Fit,
    ModelCard,
    ModelInput,
    card_path,
    check_card,
    load_card,
)
from stripwatch_engine.models.onnx_model import Core, load_core

Role = Literal["segmentation", "gate", "classifier"]
MULTIPLE = 32  # encoders halve their image five times


class CardFlags(msgspec.Struct, frozen=True):
    """What the command line says about a model, in place of its card; None = nothing."""

    classes: tuple[str, ...] | None = None
    activation: Activation | None = None
    background: bool | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    size: tuple[int, int] | None = None  # height, width
    fit: Fit | None = None
    thresholds: tuple[float, ...] | None = None
    min_areas_px: tuple[int, ...] | None = None

    def any(self) -> bool:
        """Whether it says anything."""
        return any(getattr(self, name) is not None for name in self.__struct_fields__)


@dataclass(frozen=True)
class Member:
    """One model of the deployment."""

    role: Role
    path: Path
    core: Core
    card: ModelCard
    class_id: int | None = None  # it segments this class alone

    def source_model(self) -> SourceModel:
        """How the manifest tells of it."""
        means, stds = self.card.channel_statistics()
        size = self.card.input
        return SourceModel(
            role=self.role,
            file=self.path.name,
            sha256=sha256_files(self.path),
            input_shape=(size.channels, size.height, size.width),
            mean=means,
            std=stds,
            class_id=self.class_id,
        )


def load_member(
    role: Role,
    path: Path,
    frame_shape: tuple[int, int],
    flags: CardFlags,
    class_id: int | None = None,
) -> Member:
    """Read a model and its card.

    Raises:
        ModelError: one of them cannot be used, they contradict each other, or something is missing
            that neither says.
    """
    core = load_core(path)
    ending = _ending(core)
    if card_path(path).exists():
        where = card_path(path)
        card = _override(load_card(path), flags)
    else:
        where = path
        card = _card_of_flags(path, core, ending, frame_shape, flags)
    check_card(where, card)
    if ending and card.activation != "none":
        raise ModelError(
            f"{path} ends in {ending} itself, but {where.name} says activation "
            f"{card.activation!r}; it would be applied twice: set the activation to none"
        )
    member = Member(role, path, core, card, class_id)
    _check_sizes(member, where)
    return member


def output_shape(member: Member) -> tuple[int, int]:
    """Lines and pixels of a segmentation's output for its card's input; 0 where unknown."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(member.core.model)
    size = member.card.input
    wanted = (1, size.channels, size.height, size.width)
    for value in fixed.graph.input:
        if value.name == member.core.source:
            for side, wish in zip(value.type.tensor_type.shape.dim, wanted, strict=True):
                side.dim_value = wish
    for side in fixed.graph.output[0].type.tensor_type.shape.dim:
        if not side.dim_value:
            side.Clear()
    inferred = onnx.shape_inference.infer_shapes(fixed, data_prop=True)
    sizes = [side.dim_value for side in inferred.graph.output[0].type.tensor_type.shape.dim]
    return (sizes[2], sizes[3])


def with_model(member: Member, model: onnx.ModelProto) -> Member:
    """The same member with its model exchanged, for example for one in float16."""
    return replace(member, core=replace(member.core, model=model))


def _ending(core: Core) -> str:
    """Sigmoid or Softmax, where the model ends in one; "" otherwise."""
    makers = {name: node for node in core.model.graph.node for name in node.output}
    node = makers.get(core.output)
    while node is not None and node.op_type in ("Identity", "Cast"):
        node = makers.get(node.input[0])
    return node.op_type if node is not None and node.op_type in ("Sigmoid", "Softmax") else ""


def _override(card: ModelCard, flags: CardFlags) -> ModelCard:
    """The card with the flags' values in place of its own."""
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


def _card_of_flags(
    path: Path, core: Core, ending: str, frame_shape: tuple[int, int], flags: CardFlags
) -> ModelCard:
    """A card from the flags and from what the model itself says."""
    missing = [
        flag
        for flag, value in (
            ("--classes", flags.classes),
            ("--mean", flags.mean),
            ("--std", flags.std),
            ("--activation", flags.activation or ending),
        )
        if not value
    ]
    if missing:
        raise ModelError(
            f"{path} has no model.json beside it, and the model does not say what follows: give "
            f"{', '.join(missing)}"
        )
    channels, height, width = core.input_sizes
    if channels not in (0, 1, 3):
        raise ModelError(f"{path} takes {channels} channels; only 1 and 3 can be made of grey")
    free = not (height and width) and flags.size is None
    sides = flags.size or tuple(
        size or -(-side // MULTIPLE) * MULTIPLE
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
            # A model of any size sees the frame as it is, with what its encoder needs added.
            fit=flags.fit or ("pad" if free else "resize"),
        ),
        mean=flags.mean,
        std=flags.std,
        activation=flags.activation or "none",
        classes=_classes(flags.classes, flags, ()),
        background=bool(flags.background),
    )


def _classes(
    names: tuple[str, ...], flags: CardFlags, before: tuple[DefectClass, ...]
) -> tuple[DefectClass, ...]:
    """Classes by name, with the flags' thresholds and minimum areas."""
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
    known = {entry.name: entry for entry in before}
    classes = []
    for index, name in enumerate(names):
        entry = known.get(name, DefectClass(id=1, name=name))
        fields = msgspec.to_builtins(entry) | {"id": index + 1, "name": name}
        fields |= {key: values[index] for key, values in columns.items()}
        try:
            classes.append(msgspec.convert(fields, DefectClass))
        except msgspec.ValidationError as error:
            raise ModelError(f"class {name!r}: {error}") from None
    return tuple(classes)


def _check_sizes(member: Member, where: Path) -> None:
    """Compare the fixed sizes of the model with those of its card."""
    core, card = member.core, member.card
    size = card.input
    channels = len(card.classes) + card.background
    if member.role == "segmentation" and len(core.output_sizes) != 3:
        raise ModelError(
            f"{member.path} answers with one number for each class; a segmentation answers with "
            "one for each pixel: name a classifier with --gate or --classifier"
        )
    for what, sizes, wanted in (
        ("input", core.input_sizes, (size.channels, size.height, size.width)),
        ("output", core.output_sizes, (channels,)),
    ):
        if any(have and have != wish for have, wish in zip(sizes, wanted, strict=False)):
            raise ModelError(
                f"{member.path}: the model's {what} has the sizes {list(sizes)} after the batch "
                f"(0 = any), but {where.name} says {list(wanted)}; correct it, or name the model "
                "that it belongs to"
            )
