"""Chooses the engine that a manifest names, and checks whether it can run on this machine."""

from __future__ import annotations

from pathlib import Path

from stripwatch.engines.base import EngineFactory, Resources
from stripwatch.engines.cuda import Device
from stripwatch.engines.fake import fake_factory
from stripwatch.engines.identity import check_plan, load_runtime, rebuild_command
from stripwatch.engines.manifest import FakeBehaviour, Manifest
from stripwatch.engines.trt_validity import accepted_by
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
            library = load_runtime(manifest.target, manifest.plan)
            check_plan(folder, manifest, library.__version__, None)
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
            _check_on_device(folder, manifest, resources.device)
    except (ModelError, DeviceError) as error:
        return str(error)
    return ""


def _check_on_device(folder: Path, manifest: Manifest, ordinal: int) -> None:
    """Refuse an engine that the GPU here, or the library on it, does not run."""
    assert manifest.target in ("tensorrt", "tensorrt-rtx")
    library = load_runtime(manifest.target, manifest.plan)
    device = Device(ordinal)
    try:
        with device.current():
            accepted = accepted_by(library, folder / manifest.files[0])
        check_plan(folder, manifest, library.__version__, device.capability, accepted)
    finally:
        device.release()
