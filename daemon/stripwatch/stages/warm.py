"""Warm-up: everything that a frame can need is imported and has run before the first frame.

Libraries import parts of themselves on first use. Later that may fail, where descriptors or memory
are used up, or take long.
"""

from __future__ import annotations

import io
import math
from contextlib import suppress
from itertools import chain
from typing import Literal

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stripwatch.config.sections import Config
from stripwatch.engines.base import allocate_result, page_aligned
from stripwatch.engines.manifest import DefectClass
from stripwatch.inspect.coverage import Row, miss_of
from stripwatch.inspect.inspector import DefectiveFrame, Inspector
from stripwatch.inspect.model import Model
from stripwatch.outputs.images import build_image
from stripwatch.stages.latency import LatencyWindow, Stage
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import build_event
from stripwatch.wire.frame import BadFrame, FrameHeader, decode_image, frame_topic, read_header

SHAPE = (64, 512)


def warm_up(config: Config) -> None:
    """Take small frames the way that frames go: parse, decode, find, encode, measure."""
    random = np.random.default_rng(0)
    # So many spots that the native function leaves them to the arrays, which need the warm-up.
    frame = (random.random(SHAPE) < 0.1).astype(np.uint8)
    _parse_and_decode(config.cameras[0].name, frame)
    _inspect(Inspector(config), _header(config.cameras[0].name, "raw"), frame)
    latency = LatencyWindow()
    latency.add((math.nan, *(1.0 for _ in range(len(Stage) - 1))))
    latency.take()


def _header(camera: str, codec: Literal["raw", "png", "jpeg"]) -> FrameHeader:
    return FrameHeader(
        v=1,
        camera=camera,
        session="warm-up",
        seq=0,
        t_ns=0,
        shape=SHAPE,
        dtype="u8",
        codec=codec,
        strip="warm-up",
        line=0,
        end=True,
    )


def _parse_and_decode(camera: str, frame: NDArray[np.uint8]) -> None:
    """Good and bad headers and images; the bad ones are refused, as they shall be."""
    codecs: tuple[Literal["png", "jpeg"], ...] = ("png", "jpeg")
    for codec in codecs:
        header = _header(camera, codec)
        text = msgspec.json.encode(header)
        file = io.BytesIO()
        Image.fromarray(frame * 200).save(file, codec.upper())
        image = file.getvalue()
        for head, payload in (
            (text, image),
            (text.replace(b'"v":1', b'"v":1.0'), image[:-30]),
            (text.replace(b'"v":1', b'"v":2'), b""),
            (b"{", b""),
        ):
            with suppress(BadFrame):
                read_header(frame_topic(camera), head)
            with suppress(BadFrame):
                decode_image(header, payload)


def _inspect(inspector: Inspector, header: FrameHeader, frame: NDArray[np.uint8]) -> None:
    """Defects of a frame of noise, a gap, a strip and an image, as they are published."""
    cv2.setNumThreads(1)  # the cores belong to the engine
    classes = tuple(DefectClass(id=number, name=f"c{number}") for number in (1, 2))
    frames = page_aligned((1, *SHAPE), np.uint8)
    frames[0] = frame
    result = allocate_result(frames, len(classes))
    result.mask[0] = frame
    result.prob[0] = frame * 200
    result.area[0] = frame.sum()
    outputs = inspector.miss_outputs(miss_of(header, Cause.LOST))
    rows = [Row(header, 0, 0, None)]
    model = Model("f" * 64, classes)
    of_entries = list(inspector.slot_outputs(rows, frames, result, model))
    for output in chain(outputs, *of_entries):
        if isinstance(output, DefectiveFrame):
            build_image(output.header, output.pixels)
        else:
            build_event(output)
