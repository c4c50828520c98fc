"""Compare a verification with its limits."""

from __future__ import annotations

from stripwatch.engines.manifest import ClassAgreement, Precision, Verification
from stripwatch.errors import ModelError

JUDGED_PX_MIN = 256  # of a class, over all frames; below, single edge pixels decide its Dice
REMEDIES: dict[Precision, str] = {
    "int8": "--precision fp16, or --calibration with more frames of the line",
    "fp16": "--precision fp32",
    "fp32": "--precision fp32",
}


def is_judged(entry: ClassAgreement) -> bool:
    """Whether a class has enough pixels for its Dice to mean something."""
    return max(entry.reference_px, entry.found_px) >= JUDGED_PX_MIN


def faults(verification: Verification) -> list[str]:
    """Sentences for the values that exceed the limits; empty if the verification passes."""
    found = []
    for agreement in verification.agreements:
        found += [
            f"Dice of {entry.name} is {entry.dice:.4f} (at least {verification.dice_min:g})"
            for entry in agreement.classes
            if is_judged(entry) and entry.dice < verification.dice_min
        ]
        if agreement.error_mean > verification.error_mean_max:
            found.append(
                f"the mean error of probabilities is {agreement.error_mean:.5f} (at most "
                f"{verification.error_mean_max:g})"
            )
    return found


def refusal(verification: Verification, precision: Precision) -> ModelError:
    """The error for an engine that exceeds the limits."""
    return ModelError(
        f"the engine differs too much from the float32 model: {'; '.join(faults(verification))}; "
        f"it was not written. Try {REMEDIES[precision]}, look at the frames with --report DIR, or "
        "write it nevertheless with --allow-degraded"
    )
