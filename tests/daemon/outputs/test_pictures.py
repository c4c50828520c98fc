"""Pictures of defects: what is around each, from copies of bounded size, never in the way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stripwatch.config.sections import PicturesSection
from stripwatch.journal.pictures import Picture, PictureStore
from stripwatch.outputs.pictures import HELD_BYTES_MAX, Pictures
from stripwatch.wire.event import Defect
from stripwatch.wire.rle import encode_severstal, runs_of_mask

MakeDefect = Callable[..., Defect]
SHAPE = (64, 200)


def decoded(image: bytes) -> NDArray[np.uint8]:
    pixels = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return np.asarray(pixels, np.uint8)


@contextmanager
def running(pictures: Pictures) -> Iterator[None]:
    thread = threading.Thread(target=pictures.run, args=(lambda: None,))
    thread.start()
    yield
    pictures.finish()
    thread.join(20)
    assert not thread.is_alive()


def painted_defect(make_defect: MakeDefect, mask: NDArray[np.uint8]) -> Defect:
    ys, xs = np.nonzero(mask)
    box = (xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1)
    return make_defect(
        bbox_px=tuple(int(value) for value in box),
        frame_shape=SHAPE,
        rle=encode_severstal(runs_of_mask(mask)),
    )


def kept(tmp_path: Path, settings: PicturesSection, make_defect: MakeDefect) -> list[Picture]:
    """The pictures of a defect at the frame's upper left corner."""
    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, SHAPE, np.uint8)
    mask = np.zeros(SHAPE, np.uint8)
    mask[4:20, 10:30] = 1
    mask[6:8, 12:14] = 0
    pictures = Pictures(settings, tmp_path)
    view = pictures.view(painted_defect(make_defect, mask), pixels)
    original = pixels.copy()
    pixels[:] = 0  # the slot is filled again
    with running(pictures):
        if view is not None:
            pictures.put("s", 5, view)
    store = PictureStore(tmp_path)
    found = store.get("s", 5)
    store.close()
    for one in found:
        x, y = one.place_px
        image = decoded(one.image)
        lines, width = image.shape
        if one.kind == "mask":
            assert np.array_equal(image > 0, mask[y : y + lines, x : x + width] > 0)
        elif one.kind == "crop":
            assert np.array_equal(image, original[y : y + lines, x : x + width])
    return found


def test_a_crop_and_its_mask_are_exact(tmp_path: Path, make_defect: MakeDefect) -> None:
    """They show the defect with its margin, as far as the frame goes."""
    settings = PicturesSection(margin_px=6)
    found = kept(tmp_path, settings, make_defect)
    assert [(one.kind, one.place_px) for one in found] == [("crop", (4, 0)), ("mask", (4, 0))]
    assert decoded(found[0].image).shape == (26, 32)


def test_whole_frames_are_kept_for_the_classes_that_are_named(
    tmp_path: Path, make_defect: MakeDefect
) -> None:
    found = kept(tmp_path, PicturesSection(crops=False, frames_of=("cracks",)), make_defect)
    assert [one.kind for one in found] == ["frame"]
    assert decoded(found[0].image).shape == SHAPE


def test_without_pictures_there_is_no_file(tmp_path: Path, make_defect: MakeDefect) -> None:
    pictures = Pictures(PicturesSection(crops=False), tmp_path)
    assert pictures.view(make_defect(), np.zeros(SHAPE, np.uint8)) is None
    with running(pictures):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_there_is_no_room_for_is_dropped_and_counted(
    tmp_path: Path, make_defect: MakeDefect
) -> None:
    """Copies hold a bounded number of bytes, and give their room back once they are kept."""
    pictures = Pictures(PicturesSection(frames_of=("cracks",)), tmp_path)
    pixels = np.zeros((1024, 1024), np.uint8)
    defect = make_defect(bbox_px=(0, 0, 1024, 1024), frame_shape=pixels.shape)
    views = [pictures.view(defect, pixels) for _ in range(HELD_BYTES_MAX // (2 << 20) + 2)]
    assert views[-1] is None
    assert pictures.dropped == views.count(None)
    with running(pictures):
        for seq, view in enumerate(view for view in views if view is not None):
            pictures.put("s", seq, view)
    assert pictures.view(defect, pixels) is not None
