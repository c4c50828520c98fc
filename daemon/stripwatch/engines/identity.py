"""Checks by its manifest whether an engine fits this machine, before a driver reads its file.

Each target has an extra of its own, and pycuda has another one (ADR 9).
"""

from __future__ import annotations

import importlib
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
    module: str
    lean: str = ""  # module that only runs engines, and only version-compatible ones


LIBRARIES = {
    "tensorrt": Library("TensorRT", "tensorrt", lean="tensorrt_lean"),
    "tensorrt-rtx": Library("TensorRT-RTX", "tensorrt_rtx"),
}
# The GPUs that TensorRT-RTX 1.7 runs on, and all above the last. Its support matrix lists these
# but 8.0, which is in the library's own table; 8.7, 9.0, 10.x and 11.0 it refuses.
RTX_CAPABILITIES = ((7, 5), (8, 0), (8, 6), (8, 9), (12, 0), (12, 1))
# Those of a TensorRT-RTX engine that is not built for particular GPUs.
RTX_CAPABILITY_MIN = (8, 0)
RTX_DEFAULT_GPUS = "8.0, 8.6, 8.9, 12.0, 12.1 or newer"


def rebuild_command(folder: Path, manifest: Manifest) -> str:
    """The command that built the engine of a folder; a general one if the manifest has none."""
    general = f"engine-build MODEL.onnx --target {manifest.target} --output {folder}"
    return manifest.command or general


def load_library(target: GpuTarget) -> Any:  # noqa: ANN401 - a module that depends on the target
    """Import the library that builds engines of a target, and runs them.

    Raises:
        ModelError: it cannot be imported.
    """
    library = LIBRARIES[target]
    try:
        return importlib.import_module(library.module)
    except ImportError as error:
        absent = isinstance(error, ModuleNotFoundError) and error.name == library.module
        reason = "is not installed here" if absent else f"cannot be loaded here ({error})"
        raise ModelError(
            f"an engine of target {target} needs {library.title}, which {reason}; "
            f"install it in the folder of stripwatch with: pip install '.[{target}]'"
        ) from None


def load_runtime(target: GpuTarget, plan: Plan | None) -> Any:  # noqa: ANN401 - as above
    """Import the library that runs engines of a target.

    Where the whole library is missing and the lean runtime is installed, that one, if the plan
    was built for it.

    Raises:
        ModelError: neither can be imported, or the lean runtime alone cannot run the plan.
    """
    library = LIBRARIES[target]
    try:
        return load_library(target)
    except ModelError:
        if not library.lean:
            raise
        try:
            lean = importlib.import_module(library.lean)
        except ImportError:
            lean = None
        if lean is None:
            raise
    if plan is None or not plan.version_compatible:
        raise ModelError(
            f"here is {library.title}'s lean runtime {lean.__version__} alone, which runs only "
            "engines that were built with --version-compatible; build the engine so, or install "
            f"{library.title} in the folder of stripwatch with: pip install '.[{target}]'"
        )
    return lean


def check_plan(
    folder: Path,
    manifest: Manifest,
    version: str,
    capability: str | None,
    accepted: bool | None = None,
) -> None:
    """Refuse a TensorRT or TensorRT-RTX engine that was not built for this machine.

    Args:
        folder: the engine folder.
        manifest: its manifest.
        version: of the installed library, for example "11.4.0.106".
        capability: compute capability of the GPU, for example "8.9"; None if not known yet.
        accepted: the library's own word on engine and GPU (trt_validity.py); None without one.

    Raises:
        ModelError: names what the engine was built for, what this machine has, and the command
            that rebuilds the engine, or another target where that does not help.
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
    if capability is None or _fits_gpu(plan, _numbers(capability), manifest.target, accepted):
        return
    if manifest.target == "tensorrt-rtx" and not _is_rtx_gpu(_numbers(capability)):
        raise ModelError(
            f"{library} does not support compute capability {capability}, which the GPU here has; "
            "build the engine with --target tensorrt, or with --target openvino for the CPU"
        )
    raise ModelError(
        f"the engine in {folder} was built for GPUs of compute capability "
        f"{_allowed_gpus(plan, manifest.target)}, but the GPU here has {capability}; {rebuild}"
    )


def _fits_version(plan: Plan, version: str) -> bool:
    """A plan needs the exact version, unless it was built version-compatible."""
    built, here = _numbers(plan.version), _numbers(version)
    return built == here or (plan.version_compatible and () < built < here)


def _fits_gpu(plan: Plan, here: Numbers, target: str, accepted: bool | None) -> bool:
    built = [_numbers(entry) for entry in plan.compute_capabilities]
    if built:
        return here in built or (plan.hardware_compatible and here > min(built))
    if target != "tensorrt-rtx":
        return True
    return _is_rtx_gpu(here) and here >= RTX_CAPABILITY_MIN if accepted is None else accepted


def _is_rtx_gpu(here: Numbers) -> bool:
    return here in RTX_CAPABILITIES or here > RTX_CAPABILITIES[-1]


def _allowed_gpus(plan: Plan, target: str) -> str:
    entries = plan.compute_capabilities
    if not entries:
        assert target == "tensorrt-rtx"  # others run on any
        return RTX_DEFAULT_GPUS
    if plan.hardware_compatible:
        return f"{min(entries, key=_numbers)} or newer"
    return " or ".join(entries)


def _numbers(version: str) -> Numbers:
    """The numbers of a version without its suffix: (10, 7, 0) of "10.7.0.post1"."""
    found = re.match(r"\d{1,9}(\.\d{1,9})*", version)
    return tuple(int(number) for number in found[0].split(".")) if found else ()
