"""Breaks the CUDA context of an engine as a bug in a kernel would, and looks how the line goes on.

    python tests/gpu/trap.py ENGINE_FOLDER

runs a line on the engine, launches a kernel that traps, sends frames until the line has recovered
or ended, and prints how it went as JSON. It is a process of its own: CUDA says that a process
cannot use the GPU after such a fault.
"""

from __future__ import annotations

import ctypes
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from stripwatch.config.sections import Batch
from stripwatch.engines.base import Engine, Frames
from stripwatch.engines.cuda import Device
from stripwatch.engines.load import engine_factory
from stripwatch.engines.manifest import load_manifest
from stripwatch.engines.trt import TensorRtEngine
from stripwatch.testing import fake_line
from stripwatch.wire.event import FrameResult

PTX = b"""
.version 6.3
.target sm_75
.address_size 64
.visible .entry trap_here() { trap; ret; }
"""
FRAMES_MAX = 200


def launch_trap(device: Device) -> None:
    """Launch the kernel in the engine's context; what fails later is the engine's next call."""
    library = ctypes.CDLL("libcuda.so.1")
    if hasattr(library, "sim_fail"):
        library.sim_fail(719, 1)  # the simulated GPU has no compiler
        return
    module, function = ctypes.c_void_p(), ctypes.c_void_p()
    one, none = ctypes.c_uint(1), ctypes.c_uint(0)
    with device.current():
        code = library.cuModuleLoadData(ctypes.byref(module), PTX)
        code = code or library.cuModuleGetFunction(ctypes.byref(function), module, b"trap_here")
        sizes = (one,) * 6
        code = code or library.cuLaunchKernel(function, *sizes, none, None, None, None)
    assert not code, f"the trap cannot be launched: CUDA error {code}"


def main(folder: Path) -> dict[str, object]:
    """How the line went on."""
    manifest = load_manifest(folder)
    make, engines = engine_factory(folder, manifest), list[Engine]()

    def factory(slots: Sequence[Frames], beside: Engine | None = None) -> Engine:
        engines.append(make(slots, beside))
        return engines[-1]

    with fake_line(
        factory=factory,
        frame_shape=manifest.frame_shape,
        classes=manifest.classes,
        batch=Batch(rows=2, wait_ms=2),
    ) as line:
        seqs = iter(range(FRAMES_MAX))

        def send() -> None:
            seq = next(seqs)
            line.camera.send("top", "s", seq)
            line.wait_for_frame("top", "s", seq)

        send()
        first = engines[0]
        assert isinstance(first, TensorRtEngine)
        launch_trap(first.device)
        started_s = time.monotonic()
        before = sum(isinstance(event, FrameResult) for event in line.events)
        while line.pipeline.failure is None:
            send()
            inspected = sum(isinstance(event, FrameResult) for event in line.events)
            if len(engines) > 1 and inspected > before + 1:
                break
        taken_s = round(time.monotonic() - started_s, 2)
    failure = line.pipeline.failure
    return {
        "outcome": "recovered" if failure is None else "ended",
        "error": str(failure or ""),
        "kind": type(failure).__name__,
        "engines": len(engines),
        "seconds": taken_s,
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
