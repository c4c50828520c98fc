"""Parts of a manifest in words, for the commands that print them."""

from __future__ import annotations

from stripwatch.engines.manifest import DefectClass, Gate


def class_text(entry: DefectClass) -> str:
    """Name, threshold and minimum area of a class."""
    return f"{entry.name}: probability >= {entry.threshold:g}, area >= {entry.min_area_px} px"


def batch_text(batch: tuple[int, int] | None) -> str:
    """Number of frames that an engine takes in one call."""
    return f"{batch[0]} to {batch[1]}" if batch else "any number"


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
