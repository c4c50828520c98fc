"""The CPU engine: OpenVINO requests that read slots and write results where they lie.

One request per row, each for exactly one frame: on a CPU a batch is no faster than its frames, and
a frame's result cannot depend on what it was batched with (docs/adr/0002).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.base import BatchResult, Frames, allocate_result
from stripwatch.errors import DeviceError, ModelError
from stripwatch.manifest import Manifest


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
            ModelError: OpenVINO cannot load the graph.
            DeviceError: the warm-up failed.
        """
        import openvino

        threads = threads or os.cpu_count() or 1
        options = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": streams or threads,
            "INFERENCE_PRECISION_HINT": "f32",
        }
        try:
            core = openvino.Core()
            self._model = core.compile_model(str(folder / manifest.files[0]), "CPU", options)
        except RuntimeError as error:
            raise ModelError(f"OpenVINO cannot load {folder}: {error}") from error
        classes = len(manifest.classes)
        self._results = [allocate_result(frames, classes) for frames in slots]
        self._thresholds = [np.zeros(classes, np.float32) for _ in slots]
        self._requests = [
            [
                self._request(frames[row : row + 1], thresholds, result, row)
                for row in range(len(frames))
            ]
            for frames, thresholds, result in zip(
                slots, self._thresholds, self._results, strict=True
            )
        ]
        self._rows = [0] * len(slots)
        self.submit(0, len(slots[0]), self._thresholds[0])
        self.wait(0)

    def submit(self, slot: int, rows: int, thresholds: NDArray[np.float32]) -> None:
        """Start the first `rows` frames of a slot."""
        self._thresholds[slot][:] = thresholds
        self._rows[slot] = rows
        try:
            for request in self._requests[slot][:rows]:
                request.start_async()
        except RuntimeError as error:
            raise DeviceError(f"OpenVINO: {error}") from error

    def wait(self, slot: int) -> BatchResult:
        """Wait for a slot's frames."""
        rows = self._rows[slot]
        try:
            for request in self._requests[slot][:rows]:
                request.wait()
        except RuntimeError as error:
            raise DeviceError(f"OpenVINO: {error}") from error
        return self._results[slot].first(rows)

    def close(self) -> None:
        """Wait for what is running, and free the graph."""
        for slot, rows in enumerate(self._rows):
            for request in self._requests[slot][:rows]:
                request.cancel()
        self._requests = []
        self._model = None

    def _request(
        self, frame: Frames, thresholds: NDArray[np.float32], result: BatchResult, row: int
    ) -> Any:  # noqa: ANN401 - openvino carries no types
        """A request whose tensors are views of our own memory: nothing is copied."""
        from openvino import Tensor

        request = self._model.create_infer_request()
        request.set_tensor("frames", Tensor(frame, shared_memory=True))
        request.set_tensor("thresholds", Tensor(thresholds, shared_memory=True))
        for name in ("mask", "area", "peak", "prob"):
            view = getattr(result, name)[row : row + 1]
            request.set_tensor(name, Tensor(view, shared_memory=True))
        return request
