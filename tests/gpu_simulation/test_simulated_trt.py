"""The simulated TensorRT: it answers as ONNX Runtime does, and refuses what TensorRT refuses."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable, Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from stripwatch.engines.identity import load_library
from stripwatch.errors import DeviceError, ModelError
from stripwatch_engine.models.composition import Composition
from stripwatch_engine.models.reference import Session
from stripwatch_engine.settings import BuildSettings
from stripwatch_engine.targets.tensorrt_plan import build_plan

SHAPE = (16, 24)
BATCH = (1, 4)
MODULES = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
Arrays = dict[str, NDArray[Any]]
pytestmark = pytest.mark.gpu


def inspection_graph() -> onnx.ModelProto:
    """Pixels above a threshold, and how many of them each frame has."""
    make = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Cast", ["frames"], ["light"], to=TensorProto.FLOAT),
        helper.make_node("Greater", ["light", "thresholds"], ["above"]),
        helper.make_node("Cast", ["above"], ["mask"], to=TensorProto.UINT8),
        helper.make_node("Cast", ["above"], ["ones"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["ones", "axes"], ["area"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "inspection",
        [
            make("frames", TensorProto.UINT8, ["n", *SHAPE]),
            make("thresholds", TensorProto.FLOAT, [1]),
        ],
        [make("mask", TensorProto.UINT8, ["n", *SHAPE]), make("area", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def settings_of(target: str) -> BuildSettings:
    composition = Composition(models=("tiny.onnx",))
    return BuildSettings(
        target=target,  # type: ignore[arg-type] # one of MODULES
        composition=composition,
        frame_shape=SHAPE,
        batch=BATCH,
    )


def some_inputs(rows: int) -> Arrays:
    frames = np.random.default_rng(rows).integers(0, 256, (rows, *SHAPE), np.uint8)
    return {"frames": frames, "thresholds": np.array([100], np.float32)}


class Running:
    """An execution context with its memory and its stream, as an engine would use them."""

    def __init__(self, target: str, plan: bytes) -> None:
        import pycuda.driver as cuda

        self.cuda, self.trt = cuda, importlib.import_module(MODULES[target])
        trt = self.trt
        errors: list[str] = []

        class Logger(trt.ILogger):  # type: ignore[misc, name-defined] # chosen at run time
            def log(self, severity: Any, message: str) -> None:
                if severity == trt.ILogger.ERROR:
                    errors.append(message)

        self.errors = errors
        self.engine = trt.Runtime(Logger()).deserialize_cuda_engine(plan)
        if self.engine is None:
            return
        self.context = self.engine.create_execution_context(
            trt.ExecutionContextAllocationStrategy.USER_MANAGED
        )
        self.scratch = cuda.mem_alloc(self.engine.device_memory_size_v2)
        self.context.set_device_memory(int(self.scratch), self.engine.device_memory_size_v2)
        self.names = [self.engine.get_tensor_name(i) for i in range(self.engine.num_io_tensors)]
        self.memory = {name: cuda.mem_alloc(1 << 16) for name in self.names}
        for name, memory in self.memory.items():
            assert self.context.set_tensor_address(name, int(memory))
        self.stream = cuda.Stream()

    def run(self, inputs: Arrays) -> Arrays:
        for name, array in inputs.items():
            self.cuda.memcpy_htod_async(self.memory[name], array, self.stream)
        assert self.context.set_input_shape("frames", inputs["frames"].shape)
        assert self.context.execute_async_v3(self.stream.handle)
        outputs = {}
        for name in self.names:
            if self.engine.get_tensor_mode(name) == self.trt.TensorIOMode.OUTPUT:
                dtype = self.trt.nptype(self.engine.get_tensor_dtype(name))
                outputs[name] = np.empty(self.context.get_tensor_shape(name), dtype)
                self.cuda.memcpy_dtoh_async(outputs[name], self.memory[name], self.stream)
        self.stream.synchronize()
        return outputs


@pytest.fixture
def context(simulation: ctypes.CDLL) -> Iterator[Any]:
    """A CUDA context, current in this thread."""
    assert simulation is not None
    import pycuda.driver as cuda

    cuda.init()
    context = cuda.Device(0).make_context()
    yield context
    context.detach()


@pytest.fixture(params=sorted(MODULES))
def target(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def running(context: Any, target: str) -> Iterator[Running]:
    """The tiny graph, built for a target and loaded; nothing of it outlives the CUDA context."""
    assert context is not None
    plan, _ = build_plan(inspection_graph(), settings_of(target), None, lambda *_: None)
    running = Running(target, plan)
    yield running
    vars(running).clear()


def test_an_engine_answers_as_onnx_runtime_does(running: Running) -> None:
    """Every batch size of the profile, in one context."""
    reference = Session(inspection_graph())
    for rows in (4, 1, 3):
        inputs = some_inputs(rows)
        found, wanted = running.run(inputs), reference.run(inputs)
        assert found.keys() == wanted.keys()
        for name in wanted:
            np.testing.assert_array_equal(found[name], wanted[name])


def test_an_engine_describes_itself(running: Running) -> None:
    """Names, modes, types and shapes are the graph's; the profile is the build's."""
    engine, trt = running.engine, running.trt
    assert running.names == ["frames", "thresholds", "mask", "area"]
    assert engine.get_tensor_mode("frames") == trt.TensorIOMode.INPUT
    assert engine.get_tensor_dtype("area") == trt.DataType.FLOAT
    assert tuple(engine.get_tensor_shape("mask")) == (-1, *SHAPE)
    shapes = [tuple(shape) for shape in engine.get_tensor_profile_shape("frames", 0)]
    assert shapes == [(1, *SHAPE), (4, *SHAPE), (4, *SHAPE)]
    assert engine.num_optimization_profiles == 1
    assert engine.device_memory_size_v2 > prod(SHAPE)


def test_what_is_missing_is_refused(running: Running) -> None:
    """Nothing is enqueued without shapes, addresses and scratch memory; the log says what lacks."""
    context, engine, stream = running.context, running.engine, running.stream.handle
    assert running.context.infer_shapes() == ["frames"]
    assert not context.execute_async_v3(stream)
    assert not context.set_input_shape("frames", (5, *SHAPE))
    assert not context.set_input_shape("mask", (1, *SHAPE))
    assert context.set_input_shape("frames", (2, *SHAPE))
    assert tuple(context.get_tensor_shape("mask")) == (2, *SHAPE)
    context.set_device_memory(int(running.scratch), engine.device_memory_size_v2 - 1)
    assert not context.execute_async_v3(stream)
    assert not context.set_tensor_address("masks", int(running.memory["mask"]))
    assert not context.set_tensor_address("mask", int(running.memory["mask"]) + 1)
    fresh = engine.create_execution_context()
    assert fresh.set_input_shape("frames", (2, *SHAPE))
    assert not fresh.execute_async_v3(stream)
    said = "\n".join(running.errors)
    for part in ("no shape is set for frames", "range", "not an input", "device memory", "aligned"):
        assert part in said
    assert "no address is set for frames, thresholds, mask, area" in said


@pytest.mark.parametrize("waits", [False, True])
def test_two_executions_on_one_scratch_memory_take_turns_or_break_the_context(
    simulation: ctypes.CDLL, target: str, waits: bool, set_device: Callable[[str, int], None]
) -> None:
    """The real library leaves undefined what two at a time do; the second has to wait."""
    assert simulation is not None
    import pycuda.driver as cuda

    cuda.init()
    context = cuda.Device(0).make_context()
    plan, _ = build_plan(inspection_graph(), settings_of(target), None, lambda *_: None)
    running = Running(target, plan)
    running.run(some_inputs(1))
    set_device("kernel_us", 20_000 if waits else 500_000)
    second, event = cuda.Stream(), cuda.Event()
    assert running.context.execute_async_v3(running.stream.handle)
    event.record(running.stream)
    if waits:
        second.wait_for_event(event)
    assert running.context.execute_async_v3(second.handle)
    if waits:
        second.synchronize()
    else:
        with pytest.raises(cuda.LaunchError, match="unspecified launch failure"):
            second.synchronize()
    vars(running).clear()
    context.detach()


def test_memory_that_is_too_small_breaks_the_context(running: Running) -> None:
    """An output that does not fit where it shall go is an illegal address."""
    small = running.cuda.mem_alloc(8)
    assert running.context.set_tensor_address("mask", int(small))
    assert running.context.set_input_shape("frames", (4, *SHAPE))
    assert running.context.execute_async_v3(running.stream.handle)
    with pytest.raises(running.cuda.LogicError, match="illegal memory access"):
        running.stream.synchronize()


def test_an_execution_context_must_outlive_its_work(
    running: Running, set_device: Callable[[str, int], None]
) -> None:
    """Work whose execution context has gone before its turn came breaks the CUDA context."""
    set_device("kernel_us", 200_000)
    assert running.context.set_input_shape("frames", (1, *SHAPE))
    for _ in range(2):
        assert running.context.execute_async_v3(running.stream.handle)
    del running.context
    with pytest.raises(running.cuda.LaunchError):
        running.stream.synchronize()


@pytest.mark.usefixtures("context")
def test_damaged_and_foreign_plans_are_refused(target: str) -> None:
    """None, and an error in the log."""
    plan, _ = build_plan(inspection_graph(), settings_of(target), None, lambda *_: None)
    damaged = bytearray(plan)
    damaged[len(plan) // 2] ^= 1
    for content in (b"", plan[:-1], bytes(damaged), plan + b"x"):
        running = Running(target, content)
        assert running.engine is None
        assert "magicTag" in running.errors[0]
    (other,) = MODULES.keys() - {target}
    running = Running(other, plan)
    assert running.engine is None
    assert "not compatible" in running.errors[0]


def test_an_engine_takes_device_memory_until_it_goes(
    running: Running, device_stats: Mapping[str, int], set_device: Callable[[str, int], None]
) -> None:
    """A second engine is refused where it does not fit; the first one's memory comes back."""
    plan, _ = build_plan(inspection_graph(), settings_of("tensorrt"), None, lambda *_: None)
    allocated, late = device_stats["allocated_bytes"], device_stats["late_frees"]
    another = Running("tensorrt", plan)
    assert device_stats["allocated_bytes"] > allocated
    del another
    assert device_stats["allocated_bytes"] == allocated
    set_device("memory_mib", 0)
    refused = Running("tensorrt", plan)
    assert refused.engine is None
    assert "OutOfMemory" in refused.errors[0]
    del running.context, running.engine
    assert device_stats["late_frees"] == late


@pytest.mark.usefixtures("simulation")
def test_tensorrt_builds_only_where_there_is_a_gpu(set_device: Callable[[str, int], None]) -> None:
    """TensorRT measures its kernels; TensorRT-RTX builds without."""
    set_device("devices", 0)
    with pytest.raises(DeviceError, match="finds no GPU: CUDA initialization failure"):
        build_plan(inspection_graph(), settings_of("tensorrt"), None, lambda *_: None)
    build_plan(inspection_graph(), settings_of("tensorrt-rtx"), None, lambda *_: None)


@pytest.mark.usefixtures("simulation")
def test_builds_tell_of_themselves(tmp_path: Path, target: str) -> None:
    """Progress, version, capability and timing cache, as a real build does."""
    steps: list[tuple[str, int, int]] = []
    cache = tmp_path / "cache" if target == "tensorrt" else None
    for _ in range(2):
        _, plan = build_plan(
            inspection_graph(), settings_of(target), cache, lambda *step: steps.append(step)
        )
    assert [(done, of) for _, done, of in steps] == [(1, 3), (2, 3), (3, 3)] * 2
    assert plan.version == load_library(target).__version__  # type: ignore[arg-type] # of MODULES
    assert plan.compute_capabilities == (("8.9",) if target == "tensorrt" else ())
    assert cache is None or cache.read_bytes() == b"2"


@pytest.mark.usefixtures("simulation")
def test_what_cannot_be_parsed_says_why(target: str) -> None:
    """A graph with an operator that ONNX does not know."""
    graph = inspection_graph()
    graph.graph.node[0].op_type = "Frobnicate"
    with pytest.raises(ModelError, match=r"cannot take this model.*Frobnicate"):
        build_plan(graph, settings_of(target), None, lambda *_: None)


@pytest.mark.usefixtures("context")
def test_a_runtime_cache_keeps_what_was_compiled() -> None:
    """What one context of TensorRT-RTX compiles, the next start finds."""
    plan, _ = build_plan(inspection_graph(), settings_of("tensorrt-rtx"), None, lambda *_: None)
    running = Running("tensorrt-rtx", plan)
    engine = running.engine
    config = engine.create_runtime_config()
    cache = config.create_runtime_cache()
    assert config.set_runtime_cache(cache)
    context = engine.create_execution_context(config)
    assert context.set_input_shape("frames", (2, *SHAPE))
    blob = bytes(cache.serialize())
    restored = engine.create_runtime_config().create_runtime_cache()
    assert not restored.deserialize(b"damaged")
    assert restored.deserialize(blob)
    assert bytes(restored.serialize()) == blob
