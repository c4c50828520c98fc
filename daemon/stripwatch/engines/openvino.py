"""The CPU engine: OpenVINO requests that read slots and write results in place.

One request per row, each for exactly one frame: on a CPU a batch is no faster than its frames, and
the result of a frame cannot depend on the other frames of its batch (ADR 1).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.base import BatchResult, Frames, allocate_result, presence_thresholds
from stripwatch.engines.identity import rebuild_command
from stripwatch.engines.manifest import Manifest
from stripwatch.errors import DeviceError, ModelError


class OpenVinoEngine:
    """Runs an inspection graph built by `engine-build --target openvino`."""

    def __init__(
        self, folder: Path, manifest: Manifest, slots: Sequence[Frames], threads: int, streams: int
    ) -> None:
        """Load the graph, make a request for every row of every slot, and warm up.

        Args:
            folder: the engine folder.
            manifest: its manifest.
            slots: uint8 [rows, lines, pixels] each; read in place.
            threads: CPU threads; 0 = all cores.
            streams: frames computed side by side, each with its share of the threads; 0 = one per
                core, which gives the most frames a second.

        Raises:
            ModelError: OpenVINO cannot load the graph, or it is not what the manifest describes.
            DeviceError: the warm-up failed.
        """
        threads = threads or os.cpu_count() or 1
        options = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": streams or threads,
            # The default is bfloat16 on some CPUs: a result must not depend on the CPU.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        classes = len(manifest.classes)
        # OpenVINO borrows this memory; it lives as long as the engine.
        self._slots = slots
        self._results = [allocate_result(frames, classes) for frames in slots]
        self._thresholds = [np.zeros(classes, np.float32) for _ in slots]
        gate = manifest.gate
        self._presence_thresholds = presence_thresholds(gate, classes) if gate else None
        self._rows = [0] * len(slots)  # of the batch in flight, or last waited for
        try:
            self._model = shared_core().compile_model(
                str(folder / manifest.files[0]), "CPU", options
            )
            self._requests = [
                [self._request(slot, row) for row in range(len(frames))]
                for slot, frames in enumerate(slots)
            ]
        except RuntimeError as error:
            raise ModelError(
                f"OpenVINO cannot load {folder}: {_reason(error)}; build it anew with: "
                f"{rebuild_command(folder, manifest)}"
            ) from error
        if gate is None and len(self._model.inputs) > 2:
            # OpenVINO would compute with an uninitialized third input.
            raise ModelError(
                f"the graph in {folder} has a gate, of which its manifest says nothing; build it "
                f"anew with: {rebuild_command(folder, manifest)}"
            )
        self.submit(0, len(slots[0]), self._thresholds[0])
        self.wait(0)

    def submit(self, slot: int, rows: int, thresholds: NDArray[np.float32]) -> None:
        """Start the first `rows` frames of a slot with thresholds float32 [classes].

        The thresholds are copied: the caller may change its own at once.

        Raises:
            DeviceError: OpenVINO cannot start the requests.
        """
        self._thresholds[slot][:] = thresholds
        self._rows[slot] = rows
        try:
            for request in self._requests[slot][:rows]:
                request.start_async()
        except RuntimeError as error:
            raise DeviceError(f"OpenVINO: {_reason(error)}") from error

    def done(self, slot: int) -> bool:
        """Whether all frames of a slot are computed.

        Raises:
            DeviceError: OpenVINO could not compute one of them.
        """
        try:
            return all(request.wait_for(0) for request in self._requests[slot][: self._rows[slot]])
        except RuntimeError as error:
            raise DeviceError(f"OpenVINO: {_reason(error)}") from error

    def wait(self, slot: int) -> BatchResult:
        """Wait for a slot's frames.

        Raises:
            DeviceError: OpenVINO could not compute one of them.
        """
        rows = self._rows[slot]
        try:
            for request in self._requests[slot][:rows]:
                request.wait()
        except RuntimeError as error:
            raise DeviceError(f"OpenVINO: {_reason(error)}") from error
        return self._results[slot].rows(rows)

    def close(self) -> None:
        """Cancel the running requests and free the graph.

        When it returns, nothing reads the slots or writes the results any more.
        """
        running = [
            request
            for requests, rows in zip(self._requests, self._rows, strict=False)
            for request in requests[:rows]
        ]
        for request in running:
            request.cancel()
        for request in running:
            with contextlib.suppress(RuntimeError):  # that it was cancelled
                request.wait()
        self._requests = []
        self._model = None

    def _request(self, slot: int, row: int) -> Any:  # noqa: ANN401 - openvino carries no types
        """A request whose tensors are views of our own memory: nothing is copied."""
        from openvino import Tensor

        one, result = slice(row, row + 1), self._results[slot]
        tensors = {
            "frames": self._slots[slot][one],
            "thresholds": self._thresholds[slot],
            "mask": result.mask[one],
            "area": result.area[one],
            "peak": result.peak[one],
            "prob": result.prob[one],
        }
        if self._presence_thresholds is not None:
            tensors["presence_thresholds"] = self._presence_thresholds
            tensors["absent"] = result.absent[one]
        request = self._model.create_infer_request()
        for name, array in tensors.items():
            request.set_tensor(name, Tensor(array, shared_memory=True))
        return request


@cache
def shared_core() -> Any:  # noqa: ANN401 - openvino carries no types
    """The only `openvino.Core` of the process; it is never released.

    With its last core OpenVINO unloads the CPU plugin, but leaves the plugin's `fork` handlers
    behind: a process that forks later (a data loader's worker) crashes or computes wrong values.
    """
    import openvino

    return openvino.Core()


def _reason(error: RuntimeError) -> str:
    """The last line of OpenVINO's message; the lines before it name its own source files."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
