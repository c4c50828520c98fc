"""The simulated TensorRT is spelled as the real one: compared with the installed TensorRT-RTX."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SIMULATION = Path(__file__).resolve().parent
RTX_ONLY = {
    "ComputeCapability",
    "CudaGraphStrategy",
    "DynamicShapesKernelSpecializationStrategy",
    "EngineInvalidityDiagnostics",
    "EngineValidity",
    "IRuntimeCache",
    "IRuntimeConfig",
}
# What the simulation keeps for itself in classes of the real library.
OWN = {
    "IBuilderConfig": {"plan_profiles"},
    "ICudaEngine": {"logger", "profiles", "session", "shapes_of", "tensors", "weights"},
    "INetworkDefinition": {"model"},
    "IOptimizationProfile": {"shapes"},
    "IRuntimeCache": {"compiled"},
    "ITimingCache": {"builds"},
}


@pytest.fixture(scope="module")
def real(request: pytest.FixtureRequest) -> ModuleType:
    """The installed tensorrt_rtx."""
    if request.config.getoption("--simulated-gpu"):
        pytest.skip("the simulated GPU hides the real library")
    return importlib.import_module("tensorrt_rtx")


def load(package: str) -> ModuleType:
    """A package of the simulation, under a name that hides nobody's."""
    path = SIMULATION / package / "__init__.py"
    spec = importlib.util.spec_from_file_location(f"simulated_{package}_package", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def simulated() -> Iterator[dict[str, ModuleType]]:
    """Both packages of the simulation."""
    sys.path.append(str(SIMULATION))  # last: the real tensorrt_rtx stays the one to import
    try:
        yield {name: load(name) for name in ("tensorrt", "tensorrt_rtx")}
    finally:
        sys.path.remove(str(SIMULATION))


def public(value: object) -> set[str]:
    return {name for name in vars(value) if not name.startswith("_")}


def members_of(simulated_class: type) -> set[str]:
    """Public methods, properties and attributes, also those of instances that __init__ makes."""
    found: set[str] = set()
    for base in simulated_class.__mro__:
        if base.__module__.startswith("simulated"):
            found |= public(base) | set(_assigned(base))
    return found - {name for name, _ in inspect.getmembers(int) if issubclass(simulated_class, int)}


def _assigned(base: type) -> list[str]:
    if "__init__" not in vars(base):
        return []
    return re.findall(r"self\.([a-z]\w*)\b(?:: [^=]+)? = ", inspect.getsource(base))


def argument_names(function: Any) -> list[list[str]]:
    """The names of a pybind11 function's arguments, for each of its overloads."""
    signatures = re.findall(r"^(?:\d+\. )?\w+\((.*)\) -> ", function.__doc__ or "", re.MULTILINE)
    return [re.findall(r"(?:^|, )(\w+): ", signature) for signature in signatures]


def test_every_name_is_one_of_the_real_library(
    real: ModuleType, simulated: dict[str, ModuleType]
) -> None:
    """Both packages name only what TensorRT-RTX has; TensorRT lacks the run-time configuration."""
    assert set(simulated["tensorrt_rtx"].__all__) - public(real) == set()
    assert set(simulated["tensorrt_rtx"].__all__) - set(simulated["tensorrt"].__all__) == RTX_ONLY
    assert simulated["tensorrt_rtx"].__version__ == real.__version__
    assert not hasattr(simulated["tensorrt"].ICudaEngine, "create_runtime_config")


@pytest.mark.parametrize("package", ["tensorrt", "tensorrt_rtx"])
def test_every_member_is_one_of_the_real_class(
    real: ModuleType, simulated: dict[str, ModuleType], package: str
) -> None:
    """Methods are methods there, properties are properties, and arguments have the same names."""
    checked = 0
    for name in simulated[package].__all__:
        ours, theirs = getattr(simulated[package], name), getattr(real, name)
        if not inspect.isclass(ours) or issubclass(ours, IntEnum):
            continue
        for member in members_of(ours) - OWN.get(name, set()):
            assert hasattr(theirs, member), f"{name}.{member}"
            method = inspect.getattr_static(ours, member, None)
            is_method = callable(getattr(theirs, member)) and not is_enumeration(method)
            assert inspect.isfunction(method) is is_method, f"{name}.{member}"
            if is_method:
                check_arguments(f"{name}.{member}", method, getattr(theirs, member))
                checked += 1
    assert checked > 40


def check_arguments(label: str, ours: Any, theirs: Any) -> None:
    """Every overload's arguments are among ours, in order; ours are all in some overload."""
    names = list(inspect.signature(ours).parameters)
    overloads = argument_names(theirs)
    assert overloads, label
    known = {argument for overload in overloads for argument in overload}
    assert set(names) <= known | {"self"}, f"{label}: {names} {overloads}"
    assert any(
        [name for name in names if name in overload] == overload[: len(names)]
        for overload in overloads
    ), f"{label}: {names} {overloads}"


def test_every_value_is_that_of_the_real_enumeration(
    real: ModuleType, simulated: dict[str, ModuleType]
) -> None:
    """Members have the real numbers."""
    module = simulated["tensorrt_rtx"]
    enumerations = [name for name in module.__all__ if is_enumeration(getattr(module, name))]
    assert len(enumerations) >= 8
    pairs = [(getattr(module, name), getattr(real, name)) for name in enumerations]
    for ours, theirs in [*pairs, (module.ILogger.Severity, real.ILogger.Severity)]:
        for name, value in ours.__members__.items():
            assert int(theirs.__members__[name]) == value, f"{ours.__name__}.{name}"


def is_enumeration(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, IntEnum)


def test_what_a_build_makes_is_like_the_real(
    real: ModuleType, simulated: dict[str, ModuleType]
) -> None:
    """The same calls to build an empty network end alike in both libraries: with None."""
    for trt in (real, simulated["tensorrt_rtx"]):
        errors: list[str] = []

        class Logger(trt.ILogger):  # type: ignore[misc, name-defined] # one of two modules
            def log(self, severity: Any, message: str, errors: list[str] = errors) -> None:
                if severity == self.ERROR:
                    errors.append(message)

        builder = trt.Builder(Logger())
        flag = trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
        network = builder.create_network(1 << int(flag))
        config = builder.create_builder_config()
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 1 << 20)
        assert config.get_memory_pool_limit(trt.MemoryPoolType.WORKSPACE) == 1 << 20
        assert config.add_optimization_profile(builder.create_optimization_profile()) == 0
        parser = trt.OnnxParser(network, builder.logger)
        assert not parser.parse(b"no model")
        assert parser.num_errors == 1
        assert isinstance(parser.get_error(0).desc(), str)
        assert builder.build_serialized_network(network, config) is None
        assert errors
