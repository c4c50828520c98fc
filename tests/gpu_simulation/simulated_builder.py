"""The builder's half of the simulated TensorRT: parses ONNX, and wraps it up as a plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
from simulated_driver import has_gpu
from simulated_types import (
    VERSIONS,
    BuilderFlag,
    ComputeCapability,
    HardwareCompatibilityLevel,
    IHostMemory,
    ILogger,
    MemoryPoolType,
    PlanContent,
    Shape,
)

PHASE = "Building Engine"
STEPS = 3


class IProgressMonitor:
    """Told of a build's progress, and asked whether to go on."""

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        raise NotImplementedError

    def step_complete(self, phase_name: str, step: int) -> bool:
        raise NotImplementedError

    def phase_finish(self, phase_name: str) -> None:
        raise NotImplementedError


class ITimingCache:
    """Measured times of kernels: here, how many builds have used it."""

    def __init__(self, content: bytes) -> None:
        self.builds = int(content or b"0")

    def serialize(self) -> IHostMemory:
        return IHostMemory(str(self.builds).encode())


class IOptimizationProfile:
    """The range of each input's shapes."""

    def __init__(self) -> None:
        self.shapes: dict[str, list[Shape]] = {}

    def set_shape(
        self,
        input: str,  # noqa: A002 - TensorRT's name
        min: Sequence[int],  # noqa: A002
        opt: Sequence[int],
        max: Sequence[int],  # noqa: A002
    ) -> None:
        shapes = [tuple(shape) for shape in (min, opt, max)]
        if not all(a <= b <= c for a, b, c in zip(*shapes, strict=True)):
            raise ValueError("min <= opt <= max does not hold")
        self.shapes[input] = shapes

    def get_shape(self, input: str) -> list[Shape]:  # noqa: A002
        return self.shapes[input]


class INetworkDefinition:
    """A network, as the parser found it."""

    def __init__(self) -> None:
        self.model: onnx.ModelProto | None = None

    @property
    def num_inputs(self) -> int:
        return len(self.model.graph.input) if self.model else 0

    @property
    def num_outputs(self) -> int:
        return len(self.model.graph.output) if self.model else 0


class IBuilderConfig:
    """Settings of a build."""

    def __init__(self) -> None:
        self.progress_monitor: IProgressMonitor | None = None
        self.hardware_compatibility_level = HardwareCompatibilityLevel.NONE
        self.num_compute_capabilities = 0
        self._capabilities: dict[int, ComputeCapability] = {}
        self._flags: set[BuilderFlag] = {BuilderFlag.TF32}
        self._limits: dict[MemoryPoolType, int] = {}
        self._profiles: list[IOptimizationProfile] = []
        self._timing_cache: ITimingCache | None = None

    @property
    def num_optimization_profiles(self) -> int:
        return len(self._profiles)

    def set_memory_pool_limit(self, pool: MemoryPoolType, pool_size: int) -> None:
        self._limits[pool] = pool_size

    def get_memory_pool_limit(self, pool: MemoryPoolType) -> int:
        return self._limits.get(pool, 0)

    def set_flag(self, flag: BuilderFlag) -> None:
        self._flags.add(flag)

    def clear_flag(self, flag: BuilderFlag) -> None:
        self._flags.discard(flag)

    def get_flag(self, flag: BuilderFlag) -> bool:
        return flag in self._flags

    def set_compute_capability(self, compute_capability: ComputeCapability, index: int) -> bool:
        self._capabilities[index] = compute_capability
        return index < self.num_compute_capabilities

    def get_compute_capability(self, index: int) -> ComputeCapability:
        return self._capabilities[index]

    def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
        self._profiles.append(profile)
        return len(self._profiles) - 1

    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache:
        return ITimingCache(serialized_timing_cache)

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        self._timing_cache = cache
        return isinstance(cache, ITimingCache) or ignore_mismatch

    def get_timing_cache(self) -> ITimingCache | None:
        return self._timing_cache

    def plan_profiles(self) -> list[dict[str, list[Shape]]]:
        return [profile.shapes for profile in self._profiles]


class Builder:
    """Makes plans; TensorRT's own needs a GPU for it."""

    _library = "tensorrt"

    def __init__(self, logger: ILogger) -> None:
        self.logger = logger
        if self._library == "tensorrt" and not has_gpu():
            logger.log(ILogger.ERROR, "CUDA initialization failure with error: 100")
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def create_network(self, flags: int = 0) -> INetworkDefinition:
        assert flags >= 0
        return INetworkDefinition()

    def create_builder_config(self) -> IBuilderConfig:
        return IBuilderConfig()

    def create_optimization_profile(self) -> IOptimizationProfile:
        return IOptimizationProfile()

    def build_serialized_network(
        self, network: INetworkDefinition, config: IBuilderConfig
    ) -> IHostMemory | None:
        profiles = config.plan_profiles()
        fault = _profile_fault(network, profiles)
        if fault or network.model is None:
            self.logger.log(ILogger.ERROR, fault or "the network is empty")
            return None
        if not _report(config.progress_monitor):
            return None
        cache = config.get_timing_cache()
        if cache is not None:
            cache.builds += 1
        graph = network.model.SerializeToString()
        content = PlanContent(self._library, VERSIONS[self._library], profiles, graph)
        return IHostMemory(content.pack())


class RtxBuilder(Builder):
    """Needs no GPU."""

    _library = "tensorrt_rtx"


class ParserError:
    """Why a model cannot be parsed."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def desc(self) -> str:
        return self._reason

    def node_name(self) -> str:
        return ""

    def node_operator(self) -> str:
        return ""


class OnnxParser:
    """Reads ONNX into a network."""

    def __init__(self, network: INetworkDefinition, logger: ILogger) -> None:
        self._network, self._logger = network, logger
        self._errors: list[ParserError] = []

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> ParserError:
        return self._errors[index]

    def clear_errors(self) -> None:
        self._errors.clear()

    def parse(self, model: bytes, path: str | None = None) -> bool:
        assert path is None, "the simulation reads no files"
        try:
            parsed = onnx.load_model_from_string(model)
            onnx.checker.check_model(parsed)
        except Exception as error:  # noqa: BLE001 - protobuf's and the checker's share no base
            self._errors.append(ParserError(str(error)))
            self._logger.log(ILogger.ERROR, str(error))
            return False
        self._network.model = parsed
        return True


def _profile_fault(
    network: INetworkDefinition, profiles: list[dict[str, list[Shape]]]
) -> str | None:
    """What is wrong with the profiles; None: nothing."""
    for tensor in network.model.graph.input if network.model else ():
        dims: Any = tensor.type.tensor_type.shape.dim
        if all(dim.HasField("dim_value") for dim in dims):
            continue
        for profile in profiles or [{}]:
            if tensor.name not in profile:
                return (
                    f"Network has dynamic input {tensor.name}, but no optimization profile for it"
                )
            for shape in profile[tensor.name]:
                fits = len(shape) == len(dims) and all(
                    dim.dim_value in (0, size) for dim, size in zip(dims, shape, strict=True)
                )
                if not fits:
                    return f"the profile's shape {shape} does not fit input {tensor.name}"
    return None


def _report(monitor: IProgressMonitor | None) -> bool:
    """Tell of a build's steps; False: it shall end."""
    if monitor is None:
        return True
    monitor.phase_start(PHASE, None, STEPS)
    goes_on = all(monitor.step_complete(PHASE, step) for step in range(STEPS))
    monitor.phase_finish(PHASE)
    return goes_on
