"""Images of defective frames: made in a thread of their own, from copies of bounded size."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from stripwatch.inspect.inspector import DefectiveFrame
from stripwatch.outputs.images import HELD_BYTES_MAX, Images
from stripwatch.wire.frame import FrameHeader

SHAPE = (512, 1024)


def frame(seq: int, level: int = 90) -> DefectiveFrame:
    header = FrameHeader(
        v=1, camera="top", session="s", seq=seq, t_ns=1, shape=SHAPE, dtype="u8", codec="raw"
    )
    return DefectiveFrame(header, np.full(SHAPE, level, np.uint8))


@contextmanager
def running(images: Images) -> Iterator[threading.Event]:
    """The images thread, and an event that it sets after each image."""
    ready = threading.Event()
    thread = threading.Thread(target=images.run, args=(lambda: None, ready.set))
    thread.start()
    yield ready
    images.finish()
    thread.join(20)
    assert not thread.is_alive()


def test_an_image_is_made_of_a_copy_and_announced() -> None:
    """The slot may be filled again at once: what was copied comes out."""
    images = Images()
    original = frame(7)
    copy = images.copy(original)
    assert copy is not None
    original.pixels[:] = 0
    with running(images) as ready:
        images.put(copy)
        assert ready.wait(20)
        ((topic, header, jpeg),) = images.take()
    assert topic == b"image.top"
    assert b'"seq":7' in header
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert pixels is not None
    assert np.abs(pixels.astype(int) - 90).max() <= 2


def test_what_there_is_no_room_for_is_dropped_and_counted() -> None:
    """Copies hold a bounded number of bytes, and give their room back once they are images."""
    images = Images()
    copies = [images.copy(frame(seq)) for seq in range(HELD_BYTES_MAX // frame(0).pixels.nbytes)]
    assert None not in copies
    first, *_ = copies
    assert images.copy(frame(100)) is None
    assert images.dropped == 1
    with running(images) as ready:
        assert first is not None
        images.put(first)
        assert ready.wait(20)
        assert images.copy(frame(101)) is not None
    assert images.dropped == 1


def test_one_image_always_has_room() -> None:
    """Also one that is larger than the limit."""
    images = Images()
    huge = DefectiveFrame(frame(0).header, np.zeros((1, HELD_BYTES_MAX + 1), np.uint8))
    assert images.copy(huge) is not None
    assert images.copy(frame(1)) is None


def test_the_end_waits_for_the_images_under_way() -> None:
    """A daemon that stops has sent the image of its last defect, without a rest between them."""
    images = Images()
    with running(images):
        for seq in range(5):
            copy = images.copy(frame(seq))
            assert copy is not None
            images.put(copy)
        assert len(images.finish()) == 5
