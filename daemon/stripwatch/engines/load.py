"""Which engine a manifest asks for, and whether it can run here."""

from __future__ import annotations

from pathlib import Path

from stripwatch.engines.base import EngineFactory
from stripwatch.engines.fake import FakeEngine
from stripwatch.engines.identity import check_plan, installed_version, rebuild_command
from stripwatch.errors import ModelError
from stripwatch.manifest import FakeBehaviour, Manifest

RUNNABLE = ("fake", "openvino")  # targets that this version can run


def engine_factory(folder: Path, manifest: Manifest, threads: int, streams: int) -> EngineFactory:
    """What makes the engine of a folder on the slots' memory, warmed up.

    Raises:
        ModelError: the engine names no file, was built for another machine, or needs a library
            that is not installed or that this version cannot drive.
    """
    if manifest.target != "fake" and not manifest.files:
        raise ModelError(
            f"the manifest of {folder} names no file to load; build it anew with: "
            f"{rebuild_command(folder, manifest)}"
        )
    match manifest.target:
        case "fake":
            behaviour, classes = manifest.fake or FakeBehaviour(), len(manifest.classes)
            return lambda slots: FakeEngine(slots, behaviour, classes)
        case "openvino":
            from stripwatch.engines.openvino import OpenVinoEngine

            return lambda slots: OpenVinoEngine(folder, manifest, slots, threads, streams)
        case "tensorrt" | "tensorrt-rtx":
            check_plan(folder, manifest, installed_version(manifest.target), None)
            raise ModelError(
                f"{folder} holds an engine of target {manifest.target}, but this version of "
                "stripwatch runs OpenVINO engines only; build one with: engine-build MODEL.onnx "
                f"--target openvino --output {folder}"
            )
