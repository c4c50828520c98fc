"""A model of the deployment: its ONNX graph, its card and its role."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from stripwatch.engines.manifest import SourceModel, sha256_files
from stripwatch.errors import ModelError
from stripwatch_engine.models.card_flags import CardFlags, card_from_flags, override_card
from stripwatch_engine.models.composition import Role
from stripwatch_engine.models.final_activation import final_activation
from stripwatch_engine.models.model_card import ModelCard, card_path, check_card, load_card
from stripwatch_engine.models.onnx_model import OnnxModel, load_onnx_model


@dataclass(frozen=True)
class Member:
    """One model of the deployment."""

    role: Role
    path: Path
    model: OnnxModel
    card: ModelCard
    class_id: int | None = None  # the only class that it segments; None = all
    name: str = ""  # its path, as much of it as tells it from the other models

    def source_model(self) -> SourceModel:
        """Manifest entry of this model."""
        means, stds = self.card.channel_statistics()
        size = self.card.input
        return SourceModel(
            role=self.role,
            file=self.name,
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

    Args:
        role: of the model in the deployment.
        path: of the ONNX file.
        frame_shape: lines, pixels.
        flags: override the card, or stand in for it where there is none.
        class_id: the only class that it segments; None = all.

    Raises:
        ModelError: the model or the card cannot be used, they contradict each other, or a value is
            missing from both.
    """
    model = load_onnx_model(path)
    ending = final_activation(model)
    if card_path(path).exists():
        where = card_path(path)
        card = override_card(load_card(path), flags)
    else:
        where = path
        card = card_from_flags(path, model.input_sizes, bool(ending), frame_shape, flags)
    check_card(where, card)
    if ending and card.activation != "none":
        raise ModelError(
            f"{path} ends in {ending}, so its output is made of probabilities already, but "
            f"{_source(where, path, flags.activation)} the activation {card.activation}: it would "
            "be applied twice; set the activation to none"
        )
    member = Member(role, path, model, card, class_id, path.name)
    _check_sizes(member, where)
    return member


def output_shape(member: Member) -> tuple[int, int]:
    """Height and width of a segmentation's output for the input size of its card; 0 = unknown."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(member.model.proto)
    size = member.card.input
    input_shape = (1, size.channels, size.height, size.width)
    for value in fixed.graph.input:
        if value.name == member.model.input_name:
            for dimension, length in zip(
                value.type.tensor_type.shape.dim, input_shape, strict=True
            ):
                dimension.dim_value = length
    for dimension in fixed.graph.output[0].type.tensor_type.shape.dim:
        if not dimension.dim_value:
            dimension.Clear()
    inferred = onnx.shape_inference.infer_shapes(fixed, data_prop=True)
    sizes = [side.dim_value for side in inferred.graph.output[0].type.tensor_type.shape.dim]
    return (sizes[2], sizes[3])


def with_model(member: Member, proto: onnx.ModelProto) -> Member:
    """Replace the graph of a member, for example by one in float16."""
    return replace(member, model=replace(member.model, proto=proto))


def _source(where: Path, path: Path, flag: object) -> str:
    """Where a value of the card comes from, as the beginning of a sentence about it."""
    if flag is None:
        return f"{where.name} says" if where != path else "the model's card says"
    return "the flags say"


def _check_sizes(member: Member, where: Path) -> None:
    """Compare the fixed sizes of the model with those of its card."""
    model, card = member.model, member.card
    size = card.input
    channels = card.output_channels
    if member.role == "segmentation" and len(model.output_sizes) == 3:
        _check_class_count(member, where)
    if member.role == "segmentation" and len(model.output_sizes) != 3:
        raise ModelError(
            f"{member.path} outputs one number for each class, a segmentation outputs one for "
            "each pixel; name a classifier with --gate or --classifier"
        )
    for what, sizes, expected in (
        ("input", model.input_sizes, (size.channels, size.height, size.width)),
        ("output", model.output_sizes, (channels,)),
    ):
        if any(have and have != want for have, want in zip(sizes, expected, strict=False)):
            raise ModelError(
                f"{member.path}: the model's {what} has the sizes {list(sizes)} after the batch "
                f"(0 = any), but {where.name} says {list(expected)}; correct it, or name the model "
                "that it belongs to"
            )


def _check_class_count(member: Member, where: Path) -> None:
    """Compare the channels of a segmentation's output with the classes, background included."""
    outputs, card = member.model.output_sizes[0], member.card
    names = ", ".join(entry.name for entry in card.classes)
    if outputs in (0, card.output_channels):
        return
    source = f"{where.name} names" if where != member.path else "--classes names"
    count = len(card.classes)
    if outputs == count + 1 and not card.background:
        remedy = (
            "if the first channel is the background (no defect), say so with --background, if the "
            "last is, with --background-last; otherwise name the missing class"
        )
    elif outputs == count and card.background:
        remedy = "leave the background out (--no-background), or name one class less"
    else:
        remedy = "name a class for each channel, or the model that the classes belong to"
    background = " and a background" if card.background else ""
    raise ModelError(
        f"{member.path}: the model's output has {outputs} channels, but {source} {count} classes"
        f"{background} ({names}); {remedy}"
    )
