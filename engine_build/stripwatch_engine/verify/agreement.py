"""Measure the difference between the masks of an engine and those of the float32 graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from stripwatch.engines.base import Frames, Resources, page_aligned, presence_thresholds
from stripwatch.engines.load import engine_factory
from stripwatch.engines.manifest import (
    Agreement,
    ClassAgreement,
    DefectClass,
    Gate,
    Manifest,
)
from stripwatch.inspect.model import model_of
from stripwatch_engine.models.reference import Session


@dataclass(frozen=True)
class Masks:
    """Output of an engine or a graph for the verification frames."""

    mask: NDArray[np.uint8]  # [n, lines, pixels]; bit c-1: class c
    prob: NDArray[np.uint8]  # [n, classes, lines, pixels]; probability * 255
    known: NDArray[np.bool_]  # [n]; False where an engine found nothing: prob is undefined there


def run_graph(
    graph: onnx.ModelProto | Session,
    frames: Frames,
    classes: Sequence[DefectClass],
    gate: Gate | None,
    progress: Callable[[int], None] = lambda _: None,
) -> Masks:
    """Run an inspection graph in ONNX Runtime, frame by frame.

    Args:
        graph: an inspection graph, or one that is loaded already.
        frames: uint8 [n, lines, pixels].
        classes: of the deployment; their thresholds are used.
        gate: of the deployment.
        progress: called with the number of frames done.

    Raises:
        ModelError: the graph cannot be run.
    """
    session = graph if isinstance(graph, Session) else Session(graph)
    inputs = {"thresholds": np.array([entry.threshold for entry in classes], np.float32)}
    if gate:
        inputs["presence_thresholds"] = presence_thresholds(gate, len(classes))
    found = []
    for number, frame in enumerate(frames):
        progress(number)
        found.append(session.run({"frames": frame[None], **inputs}))
    return Masks(
        np.concatenate([entry["mask"] for entry in found]),
        np.concatenate([entry["prob"] for entry in found]),
        np.ones(len(found), np.bool_),
    )


def run_engine(
    folder: Path,
    manifest: Manifest,
    frames: Frames,
    progress: Callable[[int], None] = lambda _: None,
) -> Masks:
    """Run a built engine as the daemon does, one frame at a time; frames uint8 [n, lines, pixels].

    `progress` is called with the number of frames done.

    Raises:
        ModelError: the engine cannot be loaded on this machine.
        DeviceError: its device is missing or fails.
    """
    slot = page_aligned((1, *frames.shape[1:]), np.uint8)
    engine = engine_factory(folder, manifest, Resources(streams=1))([slot])
    thresholds = model_of(manifest).thresholds
    masks, probs, known = [], [], []
    try:
        for number, frame in enumerate(frames):
            progress(number)
            slot[0] = frame
            engine.submit(0, 1, thresholds)
            result = engine.wait(0)
            known.append(bool(result.area.any()))
            masks.append(result.mask * np.uint8(known[-1]))
            probs.append(result.prob.copy())
    finally:
        engine.close()
    return Masks(np.concatenate(masks), np.concatenate(probs), np.array(known))


def compare(what: str, expected: Masks, found: Masks, classes: Sequence[DefectClass]) -> Agreement:
    """Measure how well two outputs agree: Dice of the masks, and errors of probabilities.

    Probabilities have a resolution of 1/255.
    """
    known = expected.known & found.known
    error = np.abs(expected.prob[known].astype(np.int16) - found.prob[known])
    agreements = []
    for entry in classes:
        in_reference, in_found = (expected.mask & entry.bit) > 0, (found.mask & entry.bit) > 0
        total = int(in_reference.sum()) + int(in_found.sum())
        agreements.append(
            ClassAgreement(
                name=entry.name,
                dice=2 * int((in_reference & in_found).sum()) / total if total else 1.0,
                reference_px=int(in_reference.sum()),
                found_px=int(in_found.sum()),
            )
        )
    return Agreement(
        compared=what,
        classes=tuple(agreements),
        error_max=float(error.max(initial=0)) / 255,
        error_mean=float(error.mean()) / 255 if error.size else 0.0,
    )


def worst_frames(expected: Masks, found: Masks, count: int) -> list[int]:
    """Indices of the frames whose masks differ in most pixels, worst first."""
    different = (expected.mask != found.mask).sum(axis=(1, 2))
    return [int(index) for index in np.argsort(-different, kind="stable")[:count]]
