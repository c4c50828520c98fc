"""Build a plan with TensorRT 10.x, TensorRT 11.x or TensorRT-RTX; a table of their differences."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx

from stripwatch.engines.cuda import compute_capability
from stripwatch.engines.identity import RTX_DEFAULT_GPUS, load_library
from stripwatch.engines.manifest import Plan
from stripwatch.engines.trt_log import make_logger
from stripwatch.errors import ConfigError, DeviceError, ModelError, StorageError
from stripwatch.files import write_whole
from stripwatch.service.console import Progress
from stripwatch_engine.settings import BuildSettings


@dataclass(frozen=True)
class Flavour:
    """Differences between the libraries."""

    needs_gpu: bool  # to build: the library measures kernels on the device
    timing_cache: bool
    compatibility_flags: bool  # hardware and version compatibility
    capability_choice: bool  # builds for GPUs that this machine does not have


FLAVOURS = {
    "tensorrt": Flavour(
        needs_gpu=True,
        timing_cache=True,
        compatibility_flags=True,
        capability_choice=False,
    ),
    # docs.nvidia.com/deeplearning/tensorrt-rtx, "CPU-Only AOT", "Timing Cache Migration"
    "tensorrt-rtx": Flavour(
        needs_gpu=False,
        timing_cache=False,
        compatibility_flags=False,
        capability_choice=True,
    ),
}


def build_plan(
    graph: onnx.ModelProto, settings: BuildSettings, timing_cache: Path | None, progress: Progress
) -> tuple[bytes, Plan]:
    """Build a plan from an inspection graph.

    Args:
        graph: with uint8 only as its first input and last outputs.
        settings: of the build.
        timing_cache: file of measured kernel times to read and to update; TensorRT only.
        progress: called with each phase of the build and its steps.

    Returns:
        The serialized plan, and its demands on the machine that runs it.

    Raises:
        ConfigError: the library does not support a compute capability.
        DeviceError: the library needs a GPU and there is none.
        ModelError: the library is missing, or cannot parse or build the graph.
        StorageError: the timing cache cannot be read or written.
        KeyboardInterrupt: Ctrl-C, after the builder has stopped.
    """
    assert settings.target != "openvino"
    trt = load_library(settings.target)
    logger = make_logger(trt)
    try:
        builder = trt.Builder(logger)
    except (TypeError, RuntimeError) as error:  # its factory returns nothing
        raise DeviceError(f"{settings.target} finds no GPU: {logger.summary()}") from error
    # Needed by 10.x; 11.x knows no other network and ignores it.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    _parse(trt, network, logger, graph)
    config = builder.create_builder_config()
    capabilities = _configure(trt, config, settings)
    _add_profile(builder, config, settings)
    cache = _load_cache(config, timing_cache)
    monitor = _monitor(trt, progress)
    config.progress_monitor = monitor
    serialized = builder.build_serialized_network(network, config)
    if monitor.interrupted:
        raise KeyboardInterrupt
    if serialized is None:
        raise ModelError(f"{settings.target} cannot build this model: {logger.summary()}")
    if cache is not None and timing_cache is not None:
        _save_cache(cache, timing_cache)
    plan = Plan(
        version=trt.__version__,
        compute_capabilities=capabilities,
        hardware_compatible=settings.hardware_compatible,
        version_compatible=settings.version_compatible,
    )
    return bytes(serialized), plan


def _parse(trt: ModuleType, network: Any, logger: Any, graph: onnx.ModelProto) -> None:  # noqa: ANN401
    """Parse the graph; errors name node, operator and remedy."""
    parser = trt.OnnxParser(network, logger)
    if parser.parse(graph.SerializeToString()):
        return
    errors = []
    for index in range(parser.num_errors):
        error = parser.get_error(index)
        reason = error.desc().removeprefix("Assertion failed: ").rstrip(".")
        errors.append(f"node {error.node_name() or '?'} ({error.node_operator() or '?'}): {reason}")
    raise ModelError(
        f"{trt.__name__} {trt.__version__} cannot take this model: {'; '.join(errors)}; "
        "replace the operator in the model, export it with another opset, or use --target openvino"
    )


def _configure(trt: ModuleType, config: Any, settings: BuildSettings) -> tuple[str, ...]:  # noqa: ANN401
    """Set the flags; return the compute capabilities that the engine runs on."""
    if settings.workspace_mib:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace_mib << 20)
    if settings.precision == "fp32":
        # On by default: it rounds the factors of convolutions to 10 bits.
        config.clear_flag(trt.BuilderFlag.TF32)
    if settings.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if settings.hardware_compatible:
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    if FLAVOURS[settings.target].needs_gpu:
        return (compute_capability(),)
    known = {
        f"{name[2:-1]}.{name[-1]}": value
        for name, value in trt.ComputeCapability.__members__.items()
        if name.startswith("SM")
    }
    config.num_compute_capabilities = len(settings.capabilities)
    for index, capability in enumerate(settings.capabilities):
        if capability not in known:
            raise ConfigError(
                f"--capability {capability}: {settings.target} {trt.__version__} builds for "
                f"{', '.join(known)}; without --capability an engine runs on {RTX_DEFAULT_GPUS}"
            )
        config.set_compute_capability(known[capability], index)
    return settings.capabilities


def _add_profile(builder: Any, config: Any, settings: BuildSettings) -> None:  # noqa: ANN401
    """Set the range of batch sizes; the builder tunes for the largest."""
    fewest, most = settings.batch
    profile = builder.create_optimization_profile()
    shapes = [(rows, *settings.frame_shape) for rows in (fewest, most, most)]
    profile.set_shape("frames", *shapes)
    config.add_optimization_profile(profile)


def _load_cache(config: Any, path: Path | None) -> Any:  # noqa: ANN401 - of the library
    """Timing cache of earlier builds; the library ignores one of another device or version."""
    if path is None:
        return None
    try:
        data = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise StorageError(f"--timing-cache {path} cannot be read: {error.strerror}") from error
    cache = config.create_timing_cache(data)
    config.set_timing_cache(cache, ignore_mismatch=False)
    return cache


def _save_cache(cache: Any, path: Path) -> None:  # noqa: ANN401 - of the library
    try:
        write_whole(path, bytes(cache.serialize()))
    except OSError as error:
        raise StorageError(f"--timing-cache {path} cannot be written: {error.strerror}") from error


def _monitor(trt: ModuleType, progress: Progress) -> Any:  # noqa: ANN401 - a class of the library
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined] # as above
        """Reports progress, and stops the build on Ctrl-C."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.interrupted = False
            self._steps: dict[str, int] = {}

        def phase_start(self, phase: str, _parent: str | None, steps: int) -> None:
            self._steps[phase] = steps

        def step_complete(self, phase: str, step: int) -> bool:
            try:
                progress(phase, step + 1, self._steps.get(phase, 0))
            except KeyboardInterrupt:  # an exception must not cross the library
                self.interrupted = True
            return not self.interrupted

        def phase_finish(self, phase: str) -> None:
            self._steps.pop(phase, None)

    return Monitor()
