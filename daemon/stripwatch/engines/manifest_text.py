"""Parts of a manifest in words, for the commands that print them."""

from __future__ import annotations

from stripwatch.engines.manifest import DefectClass, Gate, Verdict, Verification


def class_text(entry: DefectClass) -> str:
    """Name, threshold and minimum area of a class."""
    return f"{entry.name}: probability >= {entry.threshold:g}, area >= {entry.min_area_px} px"


def batch_text(batch: tuple[int, int] | None) -> str:
    """Number of frames that an engine takes in one call."""
    return f"{batch[0]} to {batch[1]}" if batch else "any number"


def verdict_of(verification: Verification) -> Verdict:
    """The verdict, also of manifests that are older than it.

    Those call an engine passed although none of its classes was in the frames.
    """
    if verification.verdict:
        return verification.verdict
    if not verification.passed:
        return "degraded"
    is_whole = verification.agreements and not classes_not_judged(verification)
    return "passed" if is_whole else "not verified"


def classes_not_judged(verification: Verification) -> tuple[str, ...]:
    """Names of the classes that the verification says nothing about."""
    few = {
        entry.name
        for agreement in verification.agreements
        for entry in agreement.classes
        if not entry.is_judged
    }
    return tuple(sorted(few | set(verification.not_judged)))


def gate_text(gate: Gate | None) -> str:
    """Mode, thresholds and effect of a gate or classifier."""
    if gate is None:
        return "none"
    thresholds = []
    if gate.gate_threshold is not None:
        thresholds.append(f"frame {gate.gate_threshold:g}")
    if gate.class_thresholds:
        values = ", ".join(f"{threshold:g}" for threshold in gate.class_thresholds)
        thresholds.append(f"classes {values}")
    effect = {
        "skip": "is not reported",
        "soft": f"needs {gate.min_area_factor:g} times its minimum area",
    }[gate.mode]
    return f"{gate.mode}: a class below its threshold ({'; '.join(thresholds)}) {effect}"
