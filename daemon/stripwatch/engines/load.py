"""Chooses the engine that a manifest names, and checks whether it can run on this machine."""

from __future__ import annotations

from pathlib import Path

from stripwatch.engines.base import EngineFactory, Resources
from stripwatch.engines.cuda import compute_capability
from stripwatch.engines.fake import fake_factory
from stripwatch.engines.identity import check_plan, installed_version, rebuild_command
from stripwatch.engines.manifest import FakeBehaviour, Manifest
from stripwatch.errors import DeviceError, ModelError

ANY_RESOURCES = Resources()


def engine_factory(
    folder: Path, manifest: Manifest, resources: Resources = ANY_RESOURCES
) -> EngineFactory:
    """A factory for the engine of a folder; it loads nothing until it is called.

    Raises:
        ModelError: the manifest names no file, or the engine was built by another version of its
            library, or the library is not installed.
    """
    if manifest.target != "fake" and not manifest.files:
        raise ModelError(
            f"the manifest of {folder} names no file to load; build it anew with: "
            f"{rebuild_command(folder, manifest)}"
        )
    match manifest.target:
        case "fake":
            return fake_factory(manifest.fake or FakeBehaviour(), len(manifest.classes))
        case "openvino":
            from stripwatch.engines.openvino import OpenVinoEngine

            return lambda slots, beside=None: OpenVinoEngine(  # noqa: ARG005
                folder, manifest, slots, resources.threads, resources.streams
            )
        case "tensorrt" | "tensorrt-rtx":
            # The GPU's compute capability is checked when the engine's own thread opens it.
            check_plan(folder, manifest, installed_version(manifest.target), None)
            from stripwatch.engines.trt import TensorRtEngine

            return lambda slots, beside=None: TensorRtEngine(
                folder, manifest, slots, resources.device, beside
            )


def unsupported_reason(
    folder: Path, manifest: Manifest, resources: Resources = ANY_RESOURCES
) -> str:
    """Why an engine cannot run on this machine; "" if it can."""
    try:
        engine_factory(folder, manifest, resources)
        if manifest.target in ("tensorrt", "tensorrt-rtx"):
            capability = compute_capability(resources.device)
            check_plan(folder, manifest, installed_version(manifest.target), capability)
    except (ModelError, DeviceError) as error:
        return str(error)
    return ""
