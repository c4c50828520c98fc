"""What an engine was made of, as one hash: a build from the same is not repeated."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version

import msgspec

from stripwatch_engine.models.deployment import Deployment
from stripwatch_engine.settings import BuildSettings
from stripwatch_engine.verify.frames import FrameSet

LIBRARIES = ("nncf", "onnx", "onnxruntime", "openvino", "tensorrt", "tensorrt-rtx-cu13")


def build_key(
    settings: BuildSettings,
    deployment: Deployment,
    frames: FrameSet,
    calibration: FrameSet | None,
) -> str:
    """SHA-256 of everything that decides what the engine is."""
    models = [
        {
            "role": member.role,
            "class": member.class_id,
            "card": member.card,
            "model": hashlib.sha256(
                member.core.model.SerializeToString(deterministic=True)
            ).hexdigest(),
        }
        for member in deployment.members
    ]
    # Where models and frames lie does not matter, only what they are.
    plain = msgspec.structs.replace(
        settings, composition=type(settings.composition)(), calibration="", verify=""
    )
    parts = {
        "settings": plain,
        "flip": deployment.flip,
        "gate": deployment.gate,
        "models": models,
        "frames": frames.digest(),
        "calibration": calibration and calibration.digest(),
        "versions": {name: _version(name) for name in ("stripwatch", *LIBRARIES)},
    }
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
