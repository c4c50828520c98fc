"""The verification in pictures: the worst frames with both masks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stripwatch.engines.manifest import DefectClass
from stripwatch.errors import StorageError
from stripwatch.view.overlay import FILL_SHARE, class_colour
from stripwatch_engine.verify.agreement import Frames, Masks, worst_frames

FRAMES_DRAWN = 4
TITLE_PX = 26
DIFFERENCE = (255, 0, 255)  # RGB; no class has it
WHITE = (255, 255, 255)


def draw_report(
    folder: Path,
    frames: Frames,
    wanted: Masks,
    found: Masks,
    classes: tuple[DefectClass, ...],
    compared: str,
) -> list[Path]:
    """Write a PNG for each of the worst frames: the float32 masks, the others, the difference.

    Raises:
        StorageError: the folder cannot be written.
    """
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for rank, index in enumerate(worst_frames(wanted, found, FRAMES_DRAWN)):
            picture = _picture(
                frames[index], wanted.mask[index], found.mask[index], classes, (compared, index)
            )
            path = folder / f"worst-{rank + 1}.png"
            encoded, data = cv2.imencode(".png", picture)
            assert encoded, "OpenCV writes PNG"
            path.write_bytes(data.tobytes())
            paths.append(path)
    except OSError as error:
        raise StorageError(f"--report {folder} cannot be written: {error.strerror}") from error
    return paths


def _picture(
    frame: NDArray[np.uint8],
    wanted: NDArray[np.uint8],
    found: NDArray[np.uint8],
    classes: tuple[DefectClass, ...],
    title: tuple[str, int],
) -> NDArray[np.uint8]:
    """BGR uint8: three strips below each other, each with its title."""
    compared, index = title
    grey = np.repeat(frame[:, :, None], 3, axis=2)
    different = wanted != found
    marked = grey.copy()
    marked[different] = DIFFERENCE
    names = ", ".join(entry.name for entry in classes)
    strips = (
        (f"frame {index}: float32 ({names})", _tinted(grey, wanted, classes)),
        (compared, _tinted(grey, found, classes)),
        (f"{int(different.sum())} of {different.size} pixels differ", marked),
    )
    rows = []
    for text, picture in strips:
        bar = np.zeros((TITLE_PX, frame.shape[1], 3), np.uint8)
        place = (8, TITLE_PX - 8)
        cv2.putText(bar, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, WHITE, 1, cv2.LINE_AA)
        rows += [bar, picture]
    return np.asarray(cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR), np.uint8)


def _tinted(
    grey: NDArray[np.uint8], mask: NDArray[np.uint8], classes: tuple[DefectClass, ...]
) -> NDArray[np.uint8]:
    """A frame with its masks in the colours of their classes."""
    picture = grey.astype(np.float32)
    for entry in classes:
        inside = (mask & np.uint8(1 << (entry.id - 1))) > 0
        colour = np.array(class_colour(entry.id), np.float32)
        picture[inside] = picture[inside] * (1 - FILL_SHARE) + colour * FILL_SHARE
    return picture.astype(np.uint8)
