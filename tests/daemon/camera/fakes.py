"""A fake camera in a thread of the test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import msgspec
from tests.line.cameras import SHAPE, own_address, strip_image

from stripwatch.camera.fake.motion import parse_motion
from stripwatch.camera.fake.server import FakeCamera, FakeOptions
from stripwatch.config.cameras import CameraSource
from stripwatch.config.sections import Geometry
from stripwatch.feed.sources.frame import Source, raw_frame

GEOMETRY = Geometry(frame_lines=SHAPE[0], frame_pixels=SHAPE[1], mm_per_line=1, mm_per_pixel=1)


@contextmanager
def fake_camera(motion: str = "6400", **changes: object) -> Iterator[FakeCamera]:
    """A fake camera that runs for the length of a block."""
    options = FakeOptions(address=own_address(), motion=parse_motion(motion))
    options = replace(options, **changes)  # type: ignore[arg-type]
    strip = Source(name="strip", frames=lambda: iter([raw_frame(strip_image())]), count=1)
    stop = threading.Event()
    with FakeCamera(options, strip) as camera:
        thread = threading.Thread(target=camera.run, args=(stop,))
        thread.start()
        try:
            yield camera
        finally:
            stop.set()
            thread.join()


def source(address: str, **changes: object) -> CameraSource:
    return msgspec.structs.replace(
        CameraSource(kind="aravis", id=address, packet_bytes=1400), **changes
    )
