"""The module of each target. A new target is one more case here."""

from __future__ import annotations

from stripwatch_engine.settings import BuildTarget
from stripwatch_engine.targets import openvino, tensorrt
from stripwatch_engine.targets.base import Target


def target_module(target: BuildTarget) -> Target:
    """The module that builds for a target."""
    match target:
        case "openvino":
            return openvino
        case "tensorrt" | "tensorrt-rtx":
            return tensorrt
