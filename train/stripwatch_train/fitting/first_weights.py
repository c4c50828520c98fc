"""First weights of a model: those of a model that is trained already (`fit --from`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from stripwatch.errors import ConfigError, ModelError
from stripwatch_engine.models.model_card import card_path, load_card
from stripwatch_train.fitting.checkpoints import BEST, load_weights
from stripwatch_train.fitting.onnx_weights import onnx_weights
from stripwatch_train.runs.run_folder import MODEL_NAME, MemberFile, RunFile, is_run, load_run
from stripwatch_train.runs.run_models import training_frames

NAMED_MAX = 3  # differences, in a message


@dataclass(frozen=True)
class Origin:
    """A trained model, from which another one begins."""

    path: Path  # of its checkpoint, or of its ONNX file
    classes: tuple[str, ...]  # of its outputs, in order


def find_origin(source: Path, entry: MemberFile, run: RunFile) -> Origin:
    """The model of `source` from which a model of a new run begins.

    Args:
        source: folder of a run, a checkpoint in one, an ONNX file with its card, or its folder.
        entry: the new model. Of a run it takes that of the same member and class, if there is one,
            of the same fold if there is one; else the run's only segmentation model.
        run: the new run.

    Raises:
        ConfigError: there is nothing to begin from.
        ModelError: the card cannot be read.
    """
    if is_run(source):
        before = load_run(source)
        found = _counterpart(source, before, entry, _scored(entry, run))
        return Origin(source / found.name / BEST, _scored(found, before))
    if source.suffix == ".ckpt":
        folder = source.resolve().parent
        if not is_run(folder.parent):
            raise ConfigError(
                f"--from {source}: a checkpoint is read in the folder of its run, whose run.json "
                "names its classes; give the run, or its model.onnx"
            )
        before = load_run(folder.parent)
        own = [member for member in before.members if member.name == folder.name]
        if not own:
            raise ConfigError(f"--from {source}: its run knows no model {folder.name}")
        return Origin(source, _scored(own[0], before))
    path = source / MODEL_NAME if source.is_dir() else source
    if path.suffix != ".onnx" or not path.is_file():
        raise ConfigError(
            f"--from {source}: is no folder of a run, no checkpoint (.ckpt), and no model (.onnx)"
        )
    card = load_card(path)
    if card.input.channels != 1:
        raise ConfigError(
            f"--from {source}: takes images of {card.input.channels} channels "
            f"({card_path(path)}); models here take grey images, of one channel"
        )
    names = [known.name for known in card.classes]
    # Ours have the background first: with the outputs in another order, the head is another.
    return Origin(path, (*names, "background") if card.background == "last" else tuple(names))


def begin_with(
    origin: Origin, network: nn.Module, classes: tuple[str, ...], images: Callable[[], Tensor]
) -> str:
    """Give a network the weights of another one; where classes differ, its head stays new.

    Args:
        origin: whose weights.
        network: to change.
        classes: of its outputs.
        images: some that it will see, float32 [n, 1, h, w]: an ONNX file lacks their statistics.

    Returns:
        One sentence: what it begins with.

    Raises:
        ModelError: the weights cannot be read, or are of another network.
    """
    head = set(_head(network))
    own = network.state_dict()
    if origin.path.suffix == ".onnx":
        weights = onnx_weights(origin.path, network, head, images())
    else:
        weights, _ = load_weights(origin.path)
    is_new = origin.classes != classes or any(
        name in weights and weights[name].shape != own[name].shape for name in head
    )
    taken = {name: value for name, value in weights.items() if not (is_new and name in head)}
    wrong = list(_differences(own, taken, head if is_new else set()))
    if wrong:
        raise ModelError(
            f"--from {origin.path}: is of another network: {'; '.join(wrong[:NAMED_MAX])}; give "
            "the recipe and the network settings that it was trained with"
        )
    network.load_state_dict(own | taken)
    words = f"begins with the weights of {origin.path}"
    if is_new:
        words += f"; its head is made anew, as that one has the classes {', '.join(origin.classes)}"
    return words


def known_frames(origin: Origin, names: list[str]) -> list[str]:
    """The frames among these that the model was trained on, as far as its run says."""
    seen = training_frames(origin.path)
    return [name for name in names if name in seen]


def _head(network: nn.Module) -> Iterator[str]:
    """Names of the parameters that make outputs of features."""
    inner: Any = getattr(network, "inner", network)
    last = inner.get_classifier() if hasattr(inner, "get_classifier") else None
    head = last or getattr(inner, "segmentation_head", None) or inner.head
    own = {id(value) for value in head.parameters()}
    yield from (name for name, value in network.named_parameters() if id(value) in own)


def _scored(entry: MemberFile, run: RunFile) -> tuple[str, ...]:
    if entry.role == "gate":
        return ("defect",)
    return (run.classes[entry.class_id - 1],) if entry.class_id else run.classes


def _counterpart(
    source: Path, before: RunFile, entry: MemberFile, classes: tuple[str, ...]
) -> MemberFile:
    trained = [member for member in before.members if (source / member.name / BEST).exists()]
    same_role = [member for member in trained if member.role == entry.role]
    same = [member for member in same_role if member.recipe_name == entry.recipe_name] or (
        same_role if len({member.recipe_name for member in same_role}) == 1 else []
    )
    if not same:
        names = ", ".join(member.name for member in trained) or "none"
        raise ConfigError(
            f"--from {source}: has no trained {entry.role} model to begin {entry.name} with; its "
            f"trained models: {names}"
        )

    def likeness(member: MemberFile) -> tuple[bool, bool]:
        return _scored(member, before) == classes, member.fold == entry.fold

    return max(same, key=likeness)


def _differences(
    own: dict[str, Tensor], taken: dict[str, Tensor], apart: set[str]
) -> Iterator[str]:
    missing = sorted(own.keys() - taken.keys() - apart)
    if missing:
        yield f"it lacks {missing[0]}"
    for name, value in taken.items():
        if name not in own:
            yield f"it has {name}, which is unknown here"
        elif own[name].shape != value.shape:
            yield f"{name} is {_sides(value)} there and {_sides(own[name])} here"


def _sides(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "one number"
