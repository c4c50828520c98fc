"""Export of checkpoints to ONNX files with their model.json.

Every ONNX file is compared with its PyTorch network before it takes its place.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.jit import TracerWarning  # type: ignore[attr-defined]

from stripwatch.engines.manifest import DefectClass
from stripwatch.errors import ModelError, StorageError
from stripwatch.files import draft_path
from stripwatch.service.console import Progress
from stripwatch_engine.models.model_card import ModelCard, ModelInput, load_card, save_card
from stripwatch_engine.models.reference import Session
from stripwatch_train.data.samples import DataSet, Sample
from stripwatch_train.fitting.checkpoints import BEST, load_weights
from stripwatch_train.fitting.frame_dataset import FrameDataset, View
from stripwatch_train.fitting.networks import make_network
from stripwatch_train.runs.deployment_files import write_deployments
from stripwatch_train.runs.recipe import ClassSettings, Recipe
from stripwatch_train.runs.recipe_files import load_recipe
from stripwatch_train.runs.run_folder import (
    MODEL_NAME,
    RECIPE_NAME,
    MemberFile,
    RunFile,
    load_run,
    open_run_data,
)

OPSET = 17
FRAMES_COMPARED = 3
# Relative to the largest logit, for float32 sums in another order. A wrong operator differs by far
# more.
ERROR_MAX = 1e-3


def view_of(recipe: Recipe, run: RunFile, entry: MemberFile) -> View:
    """View of frames by one model of a run."""
    return View(
        member=next(member for member in recipe.members if member.name == entry.recipe_name),
        frame_shape=run.frame_shape,
        classes=len(run.classes),
        class_id=entry.class_id,
        mean=run.mean,
        std=run.std,
    )


def export_run(
    folder: Path,
    *,
    checkpoint: str = BEST,
    frame_shape: tuple[int, int] | None = None,
    progress: Progress = lambda *_: None,
) -> dict[str, float]:
    """Write the models of a run's checkpoints again, and its composition files.

    Thresholds and minimum areas of cards that are there are kept.

    Args:
        folder: of the run.
        checkpoint: which one of each model.
        frame_shape: lines, pixels of the frames that they will see; None = those of training.
        progress: called before each model.

    Returns:
        For each model that has the checkpoint, as `export_member`.

    Raises:
        ConfigError: the run or its data cannot be read.
        ModelError: as `export_member`, or no model has the checkpoint.
        StorageError: the files cannot be written.
    """
    run = load_run(folder)
    recipe = load_recipe(str(folder / RECIPE_NAME))
    data_set = open_run_data(folder, run)
    seen = msgspec.structs.replace(run, frame_shape=frame_shape) if frame_shape else run
    done = {}
    for number, entry in enumerate(run.members):
        path = folder / entry.name
        progress("models", number, len(run.members))
        if (path / checkpoint).exists():
            view = view_of(recipe, seen, entry)
            card = make_card(
                view, run, recipe.classes, command="", trained_on=kind_of(data_set, run)
            )
            if (path / MODEL_NAME).exists():  # keep the results of `tune`
                before = load_card(path / MODEL_NAME)
                card = msgspec.structs.replace(card, classes=before.classes, command=before.command)
            done[entry.name] = export_member(path, view, card, data_set, checkpoint)
    if not done:
        raise ModelError(f"{folder}: no model has a {checkpoint} yet; resume its fit")
    write_deployments(folder, recipe, run, data_set)
    return done


def export_member(
    folder: Path,
    view: View,
    card: ModelCard,
    data_set: DataSet,
    checkpoint: str = BEST,
) -> float:
    """Write model.onnx and model.json (`card`, with the metrics) of a checkpoint in a folder.

    The model takes float32 [n, 1, h, w], n being free, and outputs logits [n, outputs, h, w],
    or [n, outputs] of a gate or a classifier.

    Returns:
        The largest difference between the outputs of PyTorch and ONNX Runtime, over the largest
        output, on real frames.

    Raises:
        ModelError: the checkpoint is missing or damaged, or the ONNX file computes something else.
        StorageError: the files cannot be written.
    """
    weights, metrics = load_weights(folder / checkpoint)
    blank = msgspec.structs.replace(view.member.network, weights="")
    network = make_network(blank, view.outputs)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(f"{folder / checkpoint} is of another network: {error}") from error
    network.eval()
    path = folder / MODEL_NAME
    draft = draft_path(path)
    try:
        write_onnx(network, view.image_shape, draft)
        images = some_images(view, data_set.samples, FRAMES_COMPARED)
        difference = compare_onnx(network, draft, images)
        rounded = {name: round(value, 4) for name, value in metrics.items()}
        save_card(path, msgspec.structs.replace(card, metrics=rounded))
        draft.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    except ModelError:
        draft.unlink(missing_ok=True)
        raise
    return difference


def kind_of(data_set: DataSet, run: RunFile) -> Literal["", "synthetic"]:
    """Whether a run's models know the synthetic strip, and nothing else."""
    return "synthetic" if data_set.is_synthetic and not run.pseudo else ""


def make_card(
    view: View,
    run: RunFile,
    classes: ClassSettings,
    command: str,
    trained_on: Literal["", "synthetic"] = "",
) -> ModelCard:
    """Card of a model, without metrics."""
    member = view.member
    presence = classes.presence_threshold
    areas = classes.min_areas_px + (0,) * len(run.classes)
    known = tuple(
        DefectClass(id=number, name=name, threshold=classes.threshold, min_area_px=area)
        for number, (name, area) in enumerate(zip(run.classes, areas, strict=False), 1)
    )
    if member.role == "gate":
        known = (DefectClass(id=1, name="defect", threshold=presence),)
    elif member.role == "classifier":
        known = tuple(
            DefectClass(id=entry.id, name=entry.name, threshold=presence) for entry in known
        )
    elif view.class_id is not None:
        known = (msgspec.structs.replace(known[view.class_id - 1], id=1),)
    height, width = view.image_shape
    return ModelCard(
        input=ModelInput(channels=1, height=height, width=width),
        mean=view.mean,
        std=view.std,
        activation=member.activation,
        classes=known,
        background=member.activation == "softmax",
        data=f"{Path(run.data).name}, sha256 {run.data_sha256[:16]}",
        trained_on=trained_on,
        command=command,
    )


def write_onnx(network: nn.Module, image_shape: tuple[int, int], path: Path) -> None:
    """Export by tracing, which needs only torch and keeps the weights in one file."""
    with warnings.catch_warnings():
        # It warns that a newer exporter exists, that shapes in Python are constants, and that
        # slices with steps (EfficientNet) are not folded.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", TracerWarning)
        warnings.filterwarnings("ignore", "Constant folding - Only steps=1")
        torch.onnx.export(
            network,
            (torch.zeros(1, 1, *image_shape),),
            str(path),
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "n"}, "logits": {0: "n"}},
            opset_version=OPSET,
            dynamo=False,
        )


def some_images(view: View, samples: Sequence[Sample], count: int) -> Tensor:
    """Whole frames as the network sees them, float32 [n, 1, h, w], spread over the samples."""
    frames = FrameDataset(samples, view, seed=0)
    picked = np.linspace(0, len(samples) - 1, min(count, len(samples))).astype(int).tolist()
    return torch.stack([frames[index, -1, 0][0] for index in picked])


def compare_onnx(network: nn.Module, path: Path, images: Tensor) -> float:
    """The largest difference of a network's ONNX file on images, over the largest output.

    Raises:
        ModelError: it is too large, or an output is not finite.
    """
    with torch.no_grad():
        wanted = network(images).numpy()
    if not np.isfinite(wanted).all():
        raise ModelError(
            f"{path.parent}: the network outputs NaN or infinity: its training diverged; "
            "train it again with a lower optimizer.learning_rate, or with optimizer.gradient_clip=1"
        )
    found = Session(onnx.load(path)).run({"image": images.numpy()})["logits"]
    error = float(np.abs(found - wanted).max() / max(1.0, np.abs(wanted).max()))
    if not error <= ERROR_MAX:  # also where one of them is not a number
        raise ModelError(
            f"{path}: differs from PyTorch by {error:.3g} of its largest output (at most "
            f"{ERROR_MAX:g}); the network uses something that ONNX's export does not translate"
        )
    return error
