"""Compare a verification with its limits, and say what it does not show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stripwatch.engines.manifest import JUDGED_PX_MIN, DefectClass, Precision, Verification
from stripwatch.errors import ModelError
from stripwatch_engine.settings import BuildSettings
from stripwatch_engine.verify.agreement import Masks
from stripwatch_engine.verify.frame_sample import FrameSample

EVERYWHERE = 0.999  # share of all pixels from which on a class is found everywhere
REMEDIES: dict[Precision, str] = {
    "int8": "Try --precision fp16, or --calibration with more frames of the line",
    "fp16": "Try --precision fp32",
    # Nothing is rounded in fp32: the libraries do not agree about an operator.
    "fp32": "Both compute in float32, so an operator of the model does not mean the same in both "
    "libraries: export the model in evaluation mode or with another opset",
}


def faults(verification: Verification) -> list[str]:
    """Sentences for the values that exceed the limits; empty if the verification passes."""
    found = []
    for agreement in verification.agreements:
        found += [
            f"Dice of {entry.name} is {entry.dice:.4f} (at least {verification.dice_min:g})"
            for entry in agreement.classes
            if entry.is_judged and entry.dice < verification.dice_min
        ]
        if agreement.error_mean > verification.error_mean_max:
            found.append(
                f"the mean error of probabilities is {agreement.error_mean:.5f} (at most "
                f"{verification.error_mean_max:g})"
            )
    return found


def refusal(verification: Verification, settings: BuildSettings, operator: str = "") -> ModelError:
    """The error for an engine that exceeds the limits.

    Args:
        verification: of the engine.
        settings: of the build.
        operator: of the models where the difference begins; "" = unknown.
    """
    start = f", beginning at {operator}" if operator else ""
    return ModelError(
        f"the engine differs too much from the float32 model{start}: "
        f"{'; '.join(faults(verification))}; "
        f"it was not written. {REMEDIES[settings.precision]}, look at the frames with --report "
        "DIR, or write it nevertheless with --allow-degraded"
    )


def is_shown(reference: Masks, entry: DefectClass) -> bool:
    """Whether the masks of the float32 models hold enough pixels of a class to judge it."""
    return int(np.count_nonzero(reference.mask & entry.bit)) >= JUDGED_PX_MIN


def not_judged(reference: Masks, classes: Sequence[DefectClass]) -> dict[str, str]:
    """Classes that frames say nothing about, each with the reason.

    Args:
        reference: masks of the float32 models.
        classes: of the deployment.
    """
    reasons = {}
    for entry in classes:
        share = float(np.mean((reference.mask & entry.bit) > 0))
        pixels = round(share * reference.mask.size)
        if pixels < JUDGED_PX_MIN:
            reasons[entry.name] = (
                f"{entry.name} is found on {pixels} pixels (at least {JUDGED_PX_MIN})"
                if pixels
                else f"{entry.name} is not found"
            )
        elif share >= EVERYWHERE:
            reasons[entry.name] = f"{entry.name} is found on every pixel"
    return reasons


def doubts(
    sample: FrameSample, reference: Masks, classes: Sequence[DefectClass], precision: Precision
) -> list[str]:
    """Reasons why frames cannot show that an engine is right; empty if they can (ADR 15)."""
    found = list(not_judged(reference, classes).values())
    if sample.is_pattern and precision != "fp32":
        found.insert(0, f"what {precision} loses shows only on frames of the line")
    return found


def refusal_of_frames(found: list[str], sample: FrameSample, remarks: list[str]) -> ModelError:
    """The error for frames that cannot show that an engine is right.

    Args:
        found: the doubts.
        sample: the frames.
        remarks: about the float32 models.
    """
    where = f"on {len(sample.frames)} frames ({sample.source})"
    return ModelError(
        f"the engine cannot be verified {where}: {'; '.join([*found, *remarks])}; it was not "
        "written; name frames that show every class with --verify DIR, or more of them with "
        "--verify-frames N, or write it unverified with --allow-unverified"
    )
