"""The native function, loaded with ctypes, and the memory in which it works."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stripwatch.inspect.coarse import FRAME_RUNS_MAX
from stripwatch.inspect.findings import Finding, Segmentation, Span, minima_of
from stripwatch.wire.names import CLASSES_MAX
from stripwatch.wire.rle import Encoded, Runs

COMPONENTS_MAX = 4096  # of a frame, before small ones are left out

# As in findings.c.
_SEVERSTAL_CHARS_MAX = 22
_COCO_CHARS_MAX = 14
_RUN_BYTES = 16
_COLUMNS = 19  # of a component, int64 each


Masked = tuple[Finding, Encoded]
_Arrays = dict[str, NDArray[Any]]


class _Memory(ctypes.Structure):
    _fields_ = (
        ("runs_max", ctypes.c_int32),
        ("components_max", ctypes.c_int32),
        *((name, ctypes.c_void_p) for name in ("open", "counts", "unsorted", "run", "parent")),
        *((name, ctypes.c_void_p) for name in ("place", "order", "component")),
        *((name, ctypes.c_void_p) for name in ("run_starts", "run_lengths", "top", "bottom")),
        *((name, ctypes.c_void_p) for name in ("severstal", "coco")),
    )


class _Frame(ctypes.Structure):
    _fields_ = (
        ("mask", ctypes.c_void_p),
        ("prob", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("lines", "pixels", "mask_stride")),
        *((name, ctypes.c_int64) for name in ("prob_stride", "prob_class_stride", "wanted")),
        ("min_area", ctypes.c_int64 * CLASSES_MAX),
        ("defects_max", ctypes.c_int64),
    )


class NativeFinder:
    """Finds the defects of frames; belongs to one thread."""

    def __init__(self, library: Path) -> None:
        """Load the library.

        Raises:
            OSError: the library is missing or damaged.
            AttributeError: it is of another version.
        """
        self._function = ctypes.CDLL(str(library)).stripwatch_findings_2
        self._function.restype = None
        self._function.argtypes = (*(ctypes.c_void_p,) * 4, ctypes.c_int32)
        self._allocate(frames=1, pixels=1)

    def _allocate(self, frames: int, pixels: int) -> None:
        """Allocate all memory for so many frames at once, of one width; a daemon has no others."""
        runs, components = FRAME_RUNS_MAX, COMPONENTS_MAX
        self._shared: _Arrays = {
            "open": np.zeros(CLASSES_MAX * pixels, np.int32),
            "counts": np.zeros(CLASSES_MAX * pixels + 1, np.int32),
            "unsorted": np.zeros(runs * _RUN_BYTES, np.uint8),
            "run": np.zeros(runs * _RUN_BYTES, np.uint8),
            "parent": np.zeros(runs, np.int32),
            "place": np.zeros(components, np.int32),
            "order": np.zeros(components, np.int32),
        }
        self._results: list[_Arrays] = [
            {
                "component": np.zeros((components, _COLUMNS), np.int64),
                "run_starts": np.zeros(runs, np.int64),
                "run_lengths": np.zeros(runs, np.int64),
                "top": np.zeros(2 * runs, np.int32),
                "bottom": np.zeros(2 * runs, np.int32),
                "severstal": np.zeros(_SEVERSTAL_CHARS_MAX * runs, np.uint8),
                "coco": np.zeros(_COCO_CHARS_MAX * (runs + components), np.uint8),
            }
            for _ in range(frames)
        ]
        self._memories = (_Memory * frames)()
        for number, own in enumerate(self._results):
            addresses = (array.ctypes.data for array in (*self._shared.values(), *own.values()))
            self._memories[number] = _Memory(runs, components, *addresses)
        self._frames = (_Frame * frames)()
        self._found = np.zeros(frames, np.int32)
        self._empty = np.zeros(pixels, np.uint8)

    def find(self, frames: Sequence[Segmentation], defects_max: int) -> list[list[Masked] | None]:
        """The findings of frames, with the bits of `find_defects_of_frames` and `encode_masks`.

        The function is called once for all: after each call this thread waits until another one
        lets go of the interpreter.

        Args:
            frames: of equal width.
            defects_max: of each class in a frame.

        Returns:
            The findings of each frame. None for a frame of noise that needs more than this memory,
            and for one with more than `defects_max` of a class.
        """
        minima = [minima_of(frame) for frame in frames]
        looked_at = [number for number, areas in enumerate(minima) if areas]
        found: list[list[Masked] | None] = [[] for _ in frames]
        if not looked_at:
            return found
        pixels = frames[0].mask.shape[1]
        if pixels != len(self._empty) or len(looked_at) > len(self._results):
            self._allocate(len(looked_at), pixels)
        for number, target in zip(looked_at, self._frames, strict=False):
            _describe(frames[number], minima[number], defects_max, target)
        self._function(
            ctypes.addressof(self._frames),
            ctypes.addressof(self._memories),
            self._empty.ctypes.data,
            self._found.ctypes.data,
            len(looked_at),
        )
        counts = self._found[: len(looked_at)].tolist()
        for number, count, own in zip(looked_at, counts, self._results, strict=False):
            if count:
                found[number] = _findings(frames[number], own, count) if count > 0 else None
        return found


def _describe(
    frame: Segmentation, minima: dict[int, int], defects_max: int, target: _Frame
) -> None:
    """Tell the function what to look for in a frame."""
    mask, prob = frame.mask, frame.prob
    assert mask.strides[1] == prob.strides[2] == 1
    target.mask, target.prob = mask.ctypes.data, prob.ctypes.data
    target.lines, target.pixels = mask.shape
    target.mask_stride = mask.strides[0]
    target.prob_class_stride, target.prob_stride, _ = prob.strides
    target.wanted = sum(1 << bit for bit in minima)
    for bit, area in minima.items():
        target.min_area[bit] = area
    target.defects_max = defects_max


def _findings(frame: Segmentation, arrays: _Arrays, count: int) -> list[Masked]:
    """What the function has written of a frame with so many defects."""
    rows = arrays["component"][:count].tolist()
    *_, first, runs, text_end, coco_end, top_end, bottom_end, _ = rows[-1]
    # The memory is used again; one copy serves all findings.
    starts = arrays["run_starts"][: first + runs].copy()
    lengths = arrays["run_lengths"][: first + runs].copy()
    severstal = str(arrays["severstal"][:text_end].data, "ascii")
    coco = str(arrays["coco"][:coco_end].data, "ascii")
    tops = arrays["top"][:top_end].tolist()
    bottoms = arrays["bottom"][:bottom_end].tolist()
    found = []
    text_at = coco_at = top_at = bottom_at = 0
    for row in rows:
        (bit, x, y, width, height, area, origin_x, origin_y, sum_x, sum_y, prob_sum, prob_max,
         first, runs, text_end, coco_end, top_end, bottom_end, _) = row  # fmt: skip
        finding = Finding(
            defect_class=frame.classes[bit],
            box=(x, y, width, height),
            area=area,
            centroid=(origin_x + sum_x / area, origin_y + sum_y / area),
            score=prob_sum * (1 / area) / 255,
            peak=prob_max / 255,
            runs=Runs(
                starts[first : first + runs], lengths[first : first + runs], frame.mask.shape
            ),
            top=_spans(tops[top_at:top_end]),
            bottom=_spans(bottoms[bottom_at:bottom_end]),
        )
        found.append((finding, Encoded(severstal[text_at:text_end], coco[coco_at:coco_end])))
        text_at, coco_at, top_at, bottom_at = text_end, coco_end, top_end, bottom_end
    return found


def _spans(edges: list[int]) -> tuple[Span, ...]:
    return tuple(zip(edges[0::2], edges[1::2], strict=True)) if edges else ()
