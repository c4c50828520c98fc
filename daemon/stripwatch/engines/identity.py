"""Checks by its manifest whether an engine fits this machine, before a driver reads its file.

Each target has an extra of its own, and pycuda has another one (ADR 9).
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stripwatch.engines.manifest import Manifest, Plan
from stripwatch.errors import ModelError

GpuTarget = Literal["tensorrt", "tensorrt-rtx"]
Numbers = tuple[int, ...]


@dataclass(frozen=True)
class Library:
    """Library that builds and runs engines of a target; the extra has the name of the target."""

    title: str
    distribution: str  # on the package index
    module: str


LIBRARIES = {
    "tensorrt": Library("TensorRT", "tensorrt", "tensorrt"),
    "tensorrt-rtx": Library("TensorRT-RTX", "tensorrt-rtx-cu13", "tensorrt_rtx"),
}
RTX_CAPABILITY_MIN = (8, 0)  # of a TensorRT-RTX engine that is not built for particular GPUs


def rebuild_command(folder: Path, manifest: Manifest) -> str:
    """The command that built the engine of a folder; a general one if the manifest has none."""
    general = f"engine-build MODEL.onnx --target {manifest.target} --output {folder}"
    return manifest.command or general


def installed_version(target: GpuTarget) -> str:
    """The version of the library that runs engines of a target, for example "11.4.0.106".

    Raises:
        ModelError: it is not installed.
    """
    library = LIBRARIES[target]
    try:
        return importlib.metadata.version(library.distribution)
    except importlib.metadata.PackageNotFoundError:
        raise ModelError(
            f"an engine of target {target} needs {library.title}, which is not installed here; "
            f"install it in the folder of stripwatch with: pip install '.[{target}]'"
        ) from None


def load_library(target: GpuTarget) -> Any:  # noqa: ANN401 - a module that depends on the target
    """Import the library that builds and runs engines of a target.

    Raises:
        ModelError: it cannot be imported.
    """
    library = LIBRARIES[target]
    try:
        return importlib.import_module(library.module)
    except ImportError as error:
        raise ModelError(
            f"an engine of target {target} needs {library.title}, which cannot be loaded here "
            f"({error}); install it in the folder of stripwatch with: pip install '.[{target}]'"
        ) from None


def check_plan(folder: Path, manifest: Manifest, version: str, capability: str | None) -> None:
    """Refuse a TensorRT or TensorRT-RTX engine that was not built for this machine.

    Args:
        folder: the engine folder.
        manifest: its manifest.
        version: of the installed library, for example "11.4.0.106".
        capability: compute capability of the GPU, for example "8.9"; None if not known yet.

    Raises:
        ModelError: names what the engine was built for, what this machine has, and the command
            that rebuilds the engine.
    """
    library = LIBRARIES[manifest.target].title
    rebuild = f"build it anew with: {rebuild_command(folder, manifest)}"
    plan = manifest.plan
    if plan is None:
        raise ModelError(
            f"the manifest of {folder} does not say which {library} built the engine, and here "
            f"is {library} {version}; {rebuild}"
        )
    if not _fits_version(plan, version):
        newer = " or newer" if plan.version_compatible else ""
        raise ModelError(
            f"the engine in {folder} was built by {library} {plan.version} and runs on that "
            f"version{newer}, but here is {library} {version}; {rebuild}"
        )
    if capability is not None and not _fits_gpu(plan, capability, manifest.target):
        raise ModelError(
            f"the engine in {folder} was built for GPUs of compute capability "
            f"{_allowed_gpus(plan, manifest.target)}, but the GPU here has {capability}; {rebuild}"
        )


def _fits_version(plan: Plan, version: str) -> bool:
    """A plan needs the exact version, unless it was built version-compatible."""
    built, here = _numbers(plan.version), _numbers(version)
    return built == here or (plan.version_compatible and () < built < here)


def _fits_gpu(plan: Plan, capability: str, target: str) -> bool:
    here = _numbers(capability)
    built = [_numbers(entry) for entry in plan.compute_capabilities]
    if not built:
        return target != "tensorrt-rtx" or here >= RTX_CAPABILITY_MIN
    return here in built or (plan.hardware_compatible and here > min(built))


def _allowed_gpus(plan: Plan, target: str) -> str:
    entries = plan.compute_capabilities
    if not entries:
        assert target == "tensorrt-rtx"  # others run on any
        return ".".join(map(str, RTX_CAPABILITY_MIN)) + " or newer"
    if plan.hardware_compatible:
        return f"{min(entries, key=_numbers)} or newer"
    return " or ".join(entries)


def _numbers(version: str) -> Numbers:
    """The numbers of a version without its suffix: (10, 7, 0) of "10.7.0.post1"."""
    found = re.match(r"\d{1,9}(\.\d{1,9})*", version)
    return tuple(int(number) for number in found[0].split(".")) if found else ()
