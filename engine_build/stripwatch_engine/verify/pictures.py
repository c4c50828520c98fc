"""Pictures of a verification: the worst frames with both masks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.base import Frames
from stripwatch.engines.manifest import DefectClass
from stripwatch.errors import StorageError
from stripwatch.view.overlay import class_colour, draw_mask
from stripwatch_engine.verify.agreement import Masks, worst_frames

FRAMES_DRAWN = 4
TITLE_PX = 26
DIFFERENCE = (255, 0, 255)  # RGB; not the colour of a class
WHITE = (255, 255, 255)


def draw_report(
    folder: Path,
    frames: Frames,
    expected: Masks,
    found: Masks,
    classes: tuple[DefectClass, ...],
    compared: str,
) -> tuple[Path, ...]:
    """Write a PNG for each of the worst frames: float32 masks, compared masks, their difference.

    Args:
        folder: is made if it does not exist.
        frames: uint8 [n, lines, pixels].
        expected: masks of the float32 graph.
        found: masks of what is compared with it.
        classes: of the deployment.
        compared: name of what is compared, for the titles.

    Returns:
        The files written.

    Raises:
        StorageError: the folder cannot be written.
    """
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for rank, index in enumerate(worst_frames(expected, found, FRAMES_DRAWN)):
            picture = _picture(
                frames[index], expected.mask[index], found.mask[index], classes, (compared, index)
            )
            path = folder / f"worst-{rank + 1}.png"
            encoded, data = cv2.imencode(".png", picture)
            assert encoded, "OpenCV writes PNG"
            path.write_bytes(data.tobytes())
            paths.append(path)
    except OSError as error:
        raise StorageError(f"--report {folder} cannot be written: {error.strerror}") from error
    return tuple(paths)


def _picture(
    frame: NDArray[np.uint8],
    expected: NDArray[np.uint8],
    found: NDArray[np.uint8],
    classes: tuple[DefectClass, ...],
    title: tuple[str, int],
) -> NDArray[np.uint8]:
    """Three strips below each other, each with its title; BGR uint8 [lines, pixels, 3]."""
    compared, index = title
    grey = np.repeat(frame[:, :, None], 3, axis=2)
    different = expected != found
    marked = grey.copy()
    marked[different] = DIFFERENCE
    names = ", ".join(entry.name for entry in classes)
    strips = (
        (f"frame {index}: float32 ({names})", _with_masks(grey, expected, classes)),
        (compared, _with_masks(grey, found, classes)),
        (f"{int(different.sum())} of {different.size} pixels differ", marked),
    )
    rows = []
    for text, picture in strips:
        bar = np.zeros((TITLE_PX, frame.shape[1], 3), np.uint8)
        place = (8, TITLE_PX - 8)
        cv2.putText(bar, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, WHITE, 1, cv2.LINE_AA)
        rows += [bar, picture]
    return np.asarray(cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR), np.uint8)


def _with_masks(
    grey: NDArray[np.uint8], mask: NDArray[np.uint8], classes: tuple[DefectClass, ...]
) -> NDArray[np.uint8]:
    """A frame with its masks in the colours of their classes."""
    picture = grey.copy()
    for entry in classes:
        draw_mask(picture, mask & entry.bit, class_colour(entry.id))
    return picture
