"""The models of one engine, loaded and checked against each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from stripwatch.engines.manifest import DefectClass, Gate, check_classes
from stripwatch.errors import ConfigError, ModelError
from stripwatch_engine.models.card_flags import CardFlags
from stripwatch_engine.models.composition import Composition
from stripwatch_engine.models.member import Member, load_member, with_model
from stripwatch_engine.models.onnx_file import convert_opset
from stripwatch_engine.models.reference import batch_is_free


@dataclass(frozen=True)
class Deployment:
    """The parts of one inspection graph; all models have the same opset."""

    members: tuple[Member, ...]
    classes: tuple[DefectClass, ...]
    frame_shape: tuple[int, int]  # lines, pixels
    flip: bool = False
    gate: Gate | None = None

    @property
    def segmenters(self) -> list[Member]:
        """Members of role segmentation, in order."""
        return [member for member in self.members if member.role == "segmentation"]

    @property
    def opset(self) -> int:
        """Opset of all members."""
        return self.members[0].model.opset


def load_deployment(
    composition: Composition, frame_shape: tuple[int, int], flags: CardFlags | None = None
) -> Deployment:
    """Load the models of a composition.

    Raises:
        ConfigError: there is no segmentation model, or flags are given for several models.
        ModelError: a model or its card cannot be used, or they do not fit together.
    """
    flags = flags or CardFlags()
    if not composition.models and not composition.class_models:
        raise ConfigError("no segmentation model; name one, or one for each class with --class")
    if flags.any() and len(composition.paths()) > 1:
        raise ConfigError(
            "--classes, --mean and the like describe one model; with several, write a model.json "
            "(or NAME.json) beside each"
        )
    shared = [
        load_member("segmentation", Path(path), frame_shape, flags) for path in composition.models
    ]
    single = [
        load_member("segmentation", Path(path), frame_shape, flags, number)
        for number, paths in sorted(composition.class_models.items())
        for path in paths
    ]
    classes = _classes(shared, single)
    frame_models = [
        *(load_member("gate", Path(path), frame_shape, flags) for path in composition.gates()),
        *(
            load_member("classifier", Path(path), frame_shape, flags)
            for path in composition.classifiers()
        ),
    ]
    members = _with_names([*shared, *single, *frame_models])
    for member in members:
        _check_pads(member, frame_shape)
    return one_opset(
        Deployment(
            members=tuple(_free_batch(member, composition.flip) for member in members),
            classes=classes,
            frame_shape=frame_shape,
            flip=composition.flip,
            gate=_gate(composition, frame_models, classes) if frame_models else None,
        )
    )


def one_opset(deployment: Deployment, opset_min: int = 0) -> Deployment:
    """Convert all models to the newest opset among them, at least to `opset_min`.

    Raises:
        ModelError: one of them cannot be converted.
    """
    newest = max(opset_min, *(member.model.opset for member in deployment.members))
    members = tuple(
        member
        if member.model.opset == newest
        else with_model(member, convert_opset(member.path, member.model.proto, newest))
        for member in deployment.members
    )
    return replace(deployment, members=members)


def check_soft_gate(deployment: Deployment) -> None:
    """Refuse a soft gate without an effect: it multiplies minimum areas, and some are 0.

    Raises:
        ConfigError: the message names the classes.
    """
    gate = deployment.gate
    without = [entry.name for entry in deployment.classes if entry.min_area_px == 0]
    if gate is None or gate.mode != "soft" or not without:
        return
    raise ConfigError(
        f"gate mode soft multiplies minimum areas by {gate.min_area_factor:g}, but that of "
        f"{', '.join(without)} is 0, so the gate has no effect on it; give every class a "
        "minimum area (min_area_px in model.json, or `stripwatch-train tune`), or choose gate mode "
        "skip"
    )


def _with_names(members: list[Member]) -> list[Member]:
    """Name models by as many parts of their paths as tell different files apart."""
    paths = [member.path for member in members]
    for count in range(1, max(len(path.parts) for path in paths) + 1):
        names = [str(Path(*path.parts[-count:])) for path in paths]
        if len(set(names)) == len(set(paths)):
            break
    return [replace(member, name=name) for member, name in zip(members, names, strict=True)]


def _classes(shared: list[Member], single: list[Member]) -> tuple[DefectClass, ...]:
    """Classes of the deployment: of the first model, each overridden by the model of that class."""
    found: dict[int, DefectClass] = {}
    for member in shared:
        names = [entry.name for entry in member.card.classes]
        first = [entry.name for entry in shared[0].card.classes]
        if names != first:
            raise ModelError(
                f"{member.path} has the classes {', '.join(names)}, {shared[0].path} has "
                f"{', '.join(first)}; models that are averaged must have the same"
            )
        found |= {entry.id: entry for entry in shared[0].card.classes}
    own: set[int] = set()
    for member in single:
        number = member.class_id
        assert number is not None
        entries = member.card.classes
        if len(entries) > 1 and not 1 <= number <= len(entries):
            raise ModelError(f"{member.path} has no class {number} of its {len(entries)}")
        entry = entries[0] if len(entries) == 1 else entries[number - 1]
        if number in found and entry.name != found[number].name:
            raise ModelError(
                f"{member.path} segments {entry.name!r}, but class {number} is "
                f"{found[number].name!r}; correct --class or the name in its card"
            )
        if number not in own:
            own.add(number)
            found[number] = msgspec.structs.replace(entry, id=number)
    classes = tuple(found[number] for number in sorted(found))
    check_classes(Path((shared or single)[0].path), classes)
    return classes


def _gate(
    composition: Composition, frame_models: list[Member], classes: tuple[DefectClass, ...]
) -> Gate:
    """Manifest entry of the gate and the classifier."""
    gate_threshold: float | None = None
    class_thresholds: tuple[float, ...] = ()
    for member in reversed(frame_models):  # of several, the first gives the thresholds
        entries = member.card.classes
        if member.role == "gate":
            if len(entries) != 1:
                raise ModelError(
                    f"{member.path} has {len(entries)} classes; a gate has one: defect"
                )
            gate_threshold = entries[0].threshold
            continue
        names, expected = [entry.name for entry in entries], [entry.name for entry in classes]
        if names != expected:
            raise ModelError(
                f"{member.path} classifies {', '.join(names)}, the segmentation has "
                f"{', '.join(expected)}; they must be the same"
            )
        class_thresholds = tuple(entry.threshold for entry in entries)
    return Gate(
        mode=composition.gate_mode,
        gate_threshold=gate_threshold,
        class_thresholds=class_thresholds,
        min_area_factor=composition.min_area_factor,
    )


def _check_pads(member: Member, frame_shape: tuple[int, int]) -> None:
    size = member.card.input
    if size.fit == "pad" and (size.height < frame_shape[0] or size.width < frame_shape[1]):
        raise ModelError(
            f"{member.path} takes {size.height}x{size.width}, less than the frames' "
            f"{frame_shape[0]}x{frame_shape[1]}: nothing can be padded; choose --fit resize"
        )


def _free_batch(member: Member, flip: bool) -> Member:
    """Clear `fixed_batch` of a model that computes any batch, whatever size it was exported with.

    Raises:
        ModelError: the model takes no other batch size, and the graph needs another.
    """
    model, size = member.model, member.card.input
    if not model.fixed_batch:
        return member
    if batch_is_free(model.proto, model.input_name, (size.channels, size.height, size.width)):
        return replace(member, model=replace(model, fixed_batch=0))
    if model.fixed_batch > 1 or flip:
        reason = "--flip doubles it" if model.fixed_batch == 1 else "it takes no other"
        raise ModelError(
            f"{member.path} was exported for batches of {model.fixed_batch} and {reason}; export "
            "it with a dynamic batch (torch.onnx.export: dynamic_axes or dynamic_shapes)"
        )
    return member
