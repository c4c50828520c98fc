"""The same network in other runtimes on the same GPU: PyTorch and ONNX Runtime.

Their inputs lie in the GPU's memory, in the network's own size and type, and their outputs stay
there. They do less than the daemon: no copies, no pre-processing, no masks and areas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

WARM_UP_BATCHES = 10

Compute = Callable[[], object]  # one batch; returns when it is done
Prepare = Callable[[int], Compute]  # for a number of frames in a batch


class NotMeasurable(Exception):
    """A runtime cannot be measured; the message is the reason."""


@dataclass(frozen=True)
class Runtime:
    """One runtime with the network."""

    name: str
    prepare: Prepare


def other_runtimes(torch_file: Path | None, onnx_file: Path | None) -> list[Runtime]:
    """All of them; `prepared` finds out which can run here."""
    return [
        Runtime("PyTorch eager", lambda rows: _torch(torch_file, rows, compiled=False)),
        Runtime("PyTorch compile", lambda rows: _torch(torch_file, rows, compiled=True)),
        Runtime("ONNX Runtime CUDA", lambda rows: _onnx(onnx_file, rows)),
    ]


def prepared(runtime: Runtime, rows: int) -> tuple[Compute | None, str]:
    """A function that computes a batch, warmed up; or None and the reason."""
    try:
        compute = runtime.prepare(rows)
        for _ in range(WARM_UP_BATCHES):
            compute()
    except NotMeasurable as reason:
        return None, str(reason)
    except Exception as error:  # noqa: BLE001 - of any library; the daemon is measured without it
        return None, f"failed: {type(error).__name__}: {error}"
    return compute, ""


def _torch(file: Path | None, rows: int, *, compiled: bool) -> Compute:
    if file is None:
        raise NotMeasurable("not measured: --torch FILE.pt2 was not given")
    with _installed():
        import torch
    if not torch.cuda.is_available():
        raise NotMeasurable("not installed: this PyTorch finds no CUDA device")
    program = torch.export.load(file)
    shape = program.example_inputs[0][0].shape
    module = program.module().to(device="cuda", dtype=torch.float16)
    module = module.to(memory_format=torch.channels_last)
    network = torch.compile(module, dynamic=False) if compiled else module
    images = torch.randn((rows, *shape[1:]), device="cuda", dtype=torch.float16)
    images = images.to(memory_format=torch.channels_last)

    def compute() -> None:
        with torch.inference_mode():
            network(images)
        torch.cuda.synchronize()

    return compute


def _onnx(file: Path | None, rows: int) -> Compute:
    if file is None:
        raise NotMeasurable("not measured: --onnx FILE.onnx was not given")
    with _installed():
        import onnxruntime
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise NotMeasurable("not installed: this ONNX Runtime has no CUDA execution provider")
    session = onnxruntime.InferenceSession(str(file), providers=["CUDAExecutionProvider"])
    if "CUDAExecutionProvider" not in session.get_providers():
        raise NotMeasurable("not installed: ONNX Runtime cannot load its CUDA execution provider")
    entry = session.get_inputs()[0]
    dtype = np.float16 if entry.type == "tensor(float16)" else np.float32
    images = np.zeros((rows, *entry.shape[1:]), dtype)
    binding = session.io_binding()
    binding.bind_ortvalue_input(
        entry.name, onnxruntime.OrtValue.ortvalue_from_numpy(images, "cuda", 0)
    )
    for output in session.get_outputs():
        binding.bind_output(output.name, "cuda")

    def compute() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return compute


@contextmanager
def _installed() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise NotMeasurable(f"not installed: {error}") from None
