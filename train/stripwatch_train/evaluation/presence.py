"""Gates and classifiers by themselves: which frames they pass, and thresholds that suit a line.

A gate gives the probability of any defect in a frame, a classifier that of each class. Below the
threshold the frame is passed as clean. `Predictor` knows the decision only; here their models run
alone, on the same images, for the probability itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.manifest import DefectClass
from stripwatch_engine.graph.compose import image_graph
from stripwatch_engine.models.card_flags import CardFlags
from stripwatch_engine.models.composition import Composition, Role
from stripwatch_engine.models.member import Member, load_member
from stripwatch_engine.models.model_card import load_card
from stripwatch_engine.models.reference import Session
from stripwatch_train.evaluation.statistics import Reals, auc, roc, share_of

UNSURE = (0.2, 0.8)  # probabilities between which a decision is inconclusive
THRESHOLD_MAX = 0.999999  # a threshold is below 1
ANY_DEFECT = "any defect"  # output of a gate
Frame = NDArray[np.uint8]  # [lines, pixels]


class PresenceModels:
    """The gates or the classifiers of a composition; several are averaged."""

    def __init__(self, role: Role, paths: list[str]) -> None:
        """Keep the paths; models are loaded for each size of frames."""
        self.role = role
        self._paths = paths
        self._sessions: dict[tuple[int, int], list[tuple[Member, Session, Session]]] = {}

    def probability(self, frame: Frame) -> Reals:
        """Probability of each output in a frame, float64 [outputs].

        Raises:
            ModelError: a model or its card cannot be used.
        """
        shape = (frame.shape[0], frame.shape[1])
        if shape not in self._sessions:
            self._sessions = {shape: [self._load(path, shape) for path in self._paths]}
        found = [
            _activated(member, model.run({member.model.input_name: image_of(image, frame)}))
            for member, image, model in self._sessions[shape]
        ]
        return np.asarray(np.mean(found, axis=0), np.float64)

    def thresholds(self) -> tuple[float, ...]:
        """Thresholds of the first model, which hold for all."""
        return tuple(entry.threshold for entry in load_card(Path(self._paths[0])).classes)

    def _load(self, path: str, shape: tuple[int, int]) -> tuple[Member, Session, Session]:
        member = load_member(self.role, Path(path), shape, CardFlags())
        return member, Session(image_graph(member, shape)), Session(member.model.proto)


def image_of(session: Session, frame: Frame) -> NDArray[np.float32]:
    """The image that a model takes, float32 [1, channels, height, width]."""
    (image,) = session.run({"frames": frame[np.newaxis]}).values()
    return np.asarray(image, np.float32)


def presence_models(composition: Composition) -> list[PresenceModels]:
    """The gates and the classifiers of a composition."""
    roles: tuple[tuple[Role, tuple[str, ...]], ...] = (
        ("gate", composition.gates()),
        ("classifier", composition.classifiers()),
    )
    return [PresenceModels(role, list(paths)) for role, paths in roles if paths]


@dataclass
class PresenceScores:
    """Probabilities and labels of all frames so far, of the gates or of the classifiers."""

    role: Role
    names: tuple[str, ...]  # of the outputs
    thresholds: tuple[float, ...]
    rows: list[Reals] = field(default_factory=list)  # of each frame: probability by output
    labels: list[NDArray[np.bool_]] = field(default_factory=list)  # of each frame: by output

    def add(self, probability: Reals, truth: Frame, classes: tuple[DefectClass, ...]) -> None:
        """Add a frame; `truth` has bit c-1 set where class c is."""
        bits = int(np.bitwise_or.reduce(truth, axis=None))
        there = [bool(bits & entry.bit) for entry in classes]
        self.rows.append(probability)
        self.labels.append(np.array([any(there)] if self.role == "gate" else there))

    def column(self, index: int) -> tuple[Reals, NDArray[np.bool_]]:
        """Probability and label of an output in each frame."""
        return np.array(self.rows)[:, index], np.array(self.labels)[:, index]


@dataclass(frozen=True)
class PresenceFigures:
    """Decisions of one output over all frames; None = undefined."""

    role: Role
    name: str
    threshold: float
    true_positive: int  # frames with it that are reported
    false_negative: int  # frames with it that are passed as clean
    false_positive: int  # frames without it that are reported
    true_negative: int  # frames without it that are passed
    sensitivity: float | None  # share of the frames with it that are reported
    specificity: float | None  # share of the frames without it that are passed
    accuracy: float | None
    auc: float | None
    inconclusive: int  # frames with a probability inside `UNSURE`
    inconclusive_wrong: int  # of these: decided wrongly


def presence_figures(scores: PresenceScores) -> list[PresenceFigures]:
    """The figures of each output."""
    found = []
    for index, (name, threshold) in enumerate(zip(scores.names, scores.thresholds, strict=True)):
        probability, true = scores.column(index)
        reported = probability >= threshold
        unsure = (probability >= UNSURE[0]) & (probability <= UNSURE[1])
        hits, passed = int((reported & true).sum()), int((~reported & ~true).sum())
        found.append(
            PresenceFigures(
                role=scores.role,
                name=name,
                threshold=threshold,
                true_positive=hits,
                false_negative=int(true.sum()) - hits,
                false_positive=int((~true).sum()) - passed,
                true_negative=passed,
                sensitivity=share_of(hits, int(true.sum())),
                specificity=share_of(passed, int((~true).sum())),
                accuracy=share_of(hits + passed, len(true)),
                auc=auc(roc(np.round(probability * 1e6).astype(np.int64), true)),
                inconclusive=int(unsure.sum()),
                inconclusive_wrong=int((unsure & (reported != true)).sum()),
            )
        )
    return found


def threshold_for(
    probability: Reals, true: NDArray[np.bool_], now: float, clean_passed: float
) -> float | None:
    """The threshold with the highest sensitivity that passes a share of the frames without a class.

    Args:
        probability: of each frame.
        true: which frames have the class.
        now: the present threshold, which is kept where it does the same.
        clean_passed: the wanted share, 0 < share <= 1.

    Returns:
        The threshold; None where there are no frames with the class, or none without.
    """
    without = np.sort(probability[~true])
    if not without.size or not true.any():
        return None
    # The n-th lowest is passed: the threshold lies above it, and not above the next probability.
    lowest = without[int(np.ceil(round(clean_passed * len(without), 9))) - 1]
    above = probability[probability > lowest]
    highest = float(above.min()) if above.size else 1.0
    if lowest < now <= highest:
        return now
    return min(float(lowest + highest) / 2, THRESHOLD_MAX)


def _activated(member: Member, outputs: dict[str, NDArray[np.float32]]) -> Reals:
    """Probabilities of one frame, without the background."""
    logits = np.asarray(outputs[member.model.output_name], np.float64).ravel()
    if member.card.activation == "sigmoid":
        logits = 1 / (1 + np.exp(-logits))
    elif member.card.activation == "softmax":
        powers = np.exp(logits - logits.max())
        logits = powers / powers.sum()
    return logits[int(member.card.background) :]
