"""The picture of a survey: last frame, column profile, histogram and intervals."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stripwatch.camera.survey import Survey

WIDTH, HEIGHT = 1200, 900
MARGIN = 60
INK, FAINT, BAND, LINE = (40, 40, 40), (215, 215, 215), (245, 225, 200), (178, 114, 0)
FONT = cv2.FONT_HERSHEY_SIMPLEX

Canvas = NDArray[np.uint8]
Box = tuple[int, int, int, int]  # x, y, width, height


def survey_picture(survey: Survey, title: str) -> Canvas:
    """A picture, uint8 [HEIGHT, WIDTH, 3], blue first as OpenCV writes it."""
    canvas = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    _text(canvas, title, (MARGIN, 34), 0.7)
    _frame(canvas, survey.last, (MARGIN, 70, WIDTH - 2 * MARGIN, 200))
    full = 2**survey.bits - 1
    box = (MARGIN, 340, WIDTH - 2 * MARGIN, 200)
    _axes(canvas, box, f"column profile, grey 0 to {full}; band: darkest to brightest frame")
    if survey.frames:
        _band(canvas, box, survey.darkest / full, survey.brightest / full)
        _curve(canvas, box, survey.profile() / full, LINE)
    _label(canvas, box, "0", f"{len(survey.profile()) - 1} px")
    left = (MARGIN, 620, 500, 200)
    _axes(canvas, left, "histogram of grey, square root of the counts")
    counts = np.sqrt(survey.histogram)
    _curve(canvas, left, counts / max(1.0, counts.max()), LINE)
    _label(canvas, left, "0", str(full))
    right = (MARGIN + 580, 620, 500, 200)
    intervals_ms = np.array(survey.intervals_s) * 1e3
    longest_ms = float(intervals_ms.max()) if len(intervals_ms) else 0.0
    _axes(canvas, right, f"interval of frames, 0 to {longest_ms:.1f} ms")
    if longest_ms:
        _curve(canvas, right, intervals_ms / longest_ms, LINE)
    _label(canvas, right, "0 s", f"{survey.duration_s:.0f} s")
    return canvas


def _frame(canvas: Canvas, image: NDArray[np.uint8], box: Box) -> None:
    x, y, width, height = box
    scaled = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    canvas[y : y + height, x : x + width] = scaled[:, :, None]
    _text(canvas, "last frame; across the strip from left to right", (x, y - 8), 0.45)
    cv2.rectangle(canvas, (x, y), (x + width, y + height), FAINT)


def _axes(canvas: Canvas, box: Box, title: str) -> None:
    x, y, width, height = box
    for share in (0.25, 0.5, 0.75):
        row = y + round(height * share)
        cv2.line(canvas, (x, row), (x + width, row), FAINT)
    cv2.rectangle(canvas, (x, y), (x + width, y + height), INK)
    _text(canvas, title, (x, y - 8), 0.45)


def _label(canvas: Canvas, box: Box, first: str, last: str) -> None:
    x, y, width, height = box
    _text(canvas, first, (x, y + height + 18), 0.45)
    _text(canvas, last, (x + width - 10 * len(last), y + height + 18), 0.45)


def _points(box: Box, values: NDArray[np.float64]) -> NDArray[np.int32]:
    """Values from 0 to 1 as points of the canvas, int32 [values, 2]."""
    x, y, width, height = box
    across = np.linspace(x, x + width, len(values))
    down = y + height * (1 - np.clip(values, 0, 1))
    return np.stack([across, down], axis=1).round().astype(np.int32)


def _curve(
    canvas: Canvas, box: Box, values: NDArray[np.float64], colour: tuple[int, int, int]
) -> None:
    cv2.polylines(canvas, [_points(box, values)], isClosed=False, color=colour, thickness=1)


def _band(canvas: Canvas, box: Box, low: NDArray[np.float64], high: NDArray[np.float64]) -> None:
    outline = np.concatenate([_points(box, low), _points(box, high)[::-1]])
    cv2.fillPoly(canvas, [outline], BAND)


def _text(canvas: Canvas, text: str, place: tuple[int, int], size: float) -> None:
    cv2.putText(canvas, text, place, FONT, size, INK, 1, cv2.LINE_AA)
