"""Hash of everything that an engine is built from: an unchanged build is not repeated."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version

import msgspec

from stripwatch.engines.identity import load_library
from stripwatch_engine.models.deployment import Deployment
from stripwatch_engine.settings import BuildSettings
from stripwatch_engine.verify.frame_sample import FrameSample

LIBRARIES = ("nncf", "onnx", "onnxruntime", "openvino")


def build_key(
    settings: BuildSettings,
    deployment: Deployment,
    verification_frames: FrameSample,
    calibration_frames: FrameSample | None,
) -> str:
    """SHA-256 of everything that determines the engine.

    Raises:
        ModelError: the library of a GPU target is not installed.
    """
    models = [
        {
            "role": member.role,
            "class": member.class_id,
            "card": member.card,
            "model": hashlib.sha256(
                member.model.proto.SerializeToString(deterministic=True)
            ).hexdigest(),
        }
        for member in deployment.members
    ]
    # The contents of models and frames count, not their paths.
    plain = msgspec.structs.replace(
        settings, composition=type(settings.composition)(), calibration="", verify=""
    )
    parts = {
        "settings": plain,
        "flip": deployment.flip,
        "gate": deployment.gate,
        "models": models,
        "frames": verification_frames.digest(),
        "calibration": calibration_frames and calibration_frames.digest(),
        "versions": {name: _version(name) for name in ("stripwatch", *LIBRARIES)},
        # Of the module: it comes in several distributions, for example tensorrt-cu12.
        "target": ""
        if settings.target == "openvino"
        else load_library(settings.target).__version__,
    }
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
