"""The native function, loaded with ctypes, and the memory in which it works."""

from __future__ import annotations

import ctypes
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
        self._function = ctypes.CDLL(str(library)).stripwatch_findings_1
        self._function.restype = ctypes.c_int32
        self._function.argtypes = (ctypes.c_void_p,) * 3
        self._frame = _Frame()
        self._pixels = 0
        self._allocate(1)

    def _allocate(self, pixels: int) -> None:
        """Allocate all memory for frames of one width; a daemon has no others."""
        runs, components = FRAME_RUNS_MAX, COMPONENTS_MAX
        self._arrays: dict[str, NDArray[Any]] = {
            "open": np.zeros(CLASSES_MAX * pixels, np.int32),
            "counts": np.zeros(CLASSES_MAX * pixels + 1, np.int32),
            "unsorted": np.zeros(runs * _RUN_BYTES, np.uint8),
            "run": np.zeros(runs * _RUN_BYTES, np.uint8),
            "parent": np.zeros(runs, np.int32),
            "place": np.zeros(components, np.int32),
            "order": np.zeros(components, np.int32),
            "component": np.zeros((components, _COLUMNS), np.int64),
            "run_starts": np.zeros(runs, np.int64),
            "run_lengths": np.zeros(runs, np.int64),
            "top": np.zeros(2 * runs, np.int32),
            "bottom": np.zeros(2 * runs, np.int32),
            "severstal": np.zeros(_SEVERSTAL_CHARS_MAX * runs, np.uint8),
            "coco": np.zeros(_COCO_CHARS_MAX * (runs + components), np.uint8),
        }
        self._memory = _Memory(
            runs, components, *(array.ctypes.data for array in self._arrays.values())
        )
        self._empty = np.zeros(pixels, np.uint8)
        self._pixels = pixels

    def find(self, frame: Segmentation, defects_max: int) -> list[Masked] | None:
        """The findings of a frame, with the bits of `find_defects_of_frames` and `encode_masks`.

        None where a frame of noise needs more than this memory, or a class has more than
        `defects_max`.
        """
        minima = minima_of(frame)
        if not minima:
            return []
        count = self._call(frame, minima, defects_max)
        if count < 0:
            return None
        return self._findings(frame, count) if count else []

    def _call(self, frame: Segmentation, minima: dict[int, int], defects_max: int) -> int:
        mask, prob, target = frame.mask, frame.prob, self._frame
        lines, pixels = mask.shape
        if pixels != self._pixels:
            self._allocate(pixels)
        assert mask.strides[1] == prob.strides[2] == 1
        target.mask, target.prob = mask.ctypes.data, prob.ctypes.data
        target.lines, target.pixels, target.mask_stride = lines, pixels, mask.strides[0]
        target.prob_class_stride, target.prob_stride, _ = prob.strides
        target.wanted = sum(1 << bit for bit in minima)
        for bit, area in minima.items():
            target.min_area[bit] = area
        target.defects_max = defects_max
        return int(
            self._function(
                ctypes.addressof(target), ctypes.addressof(self._memory), self._empty.ctypes.data
            )
        )

    def _findings(self, frame: Segmentation, count: int) -> list[Masked]:
        arrays = self._arrays
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
