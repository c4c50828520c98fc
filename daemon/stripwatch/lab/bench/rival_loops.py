"""What a team writes in an afternoon: one loop of pyzmq, a runtime, OpenCV and json.

Receive a frame, run the network, find the components of each class, encode their masks, publish.
It loses nothing only as long as nothing goes wrong: no coverage, no journal, no seams, no limits.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import cv2
import msgspec
import numpy as np
import zmq
from msgspec import Meta
from numpy.typing import NDArray

from stripwatch.engines.manifest import DefectClass
from stripwatch.errors import ModelError
from stripwatch.files import read_utf8

RUNTIMES = ("onnxruntime", "openvino")
CARD = "model.json"  # beside the ONNX file

Planes = NDArray[np.float32]
Infer = Callable[[Planes], Planes]  # images [1, 1, h, w] to logits [1, classes, h, w]


class _Input(msgspec.Struct, frozen=True):
    height: Annotated[int, Meta(ge=1)]
    width: Annotated[int, Meta(ge=1)]
    channels: Literal[1]
    fit: Literal["resize"]


class Card(msgspec.Struct, frozen=True):
    """The part of a model card that the loop understands: one grey image, resized, and sigmoid."""

    input: _Input
    mean: float
    std: float
    classes: tuple[DefectClass, ...]
    activation: Literal["sigmoid"]
    background: Literal[False] = False


def read_card(onnx: Path) -> Card:
    """The card beside a network.

    Raises:
        ModelError: there is none, or the loop cannot run such a network.
    """
    path = onnx.with_name(CARD)
    try:
        return msgspec.json.decode(read_utf8(path), type=Card)
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read: {error.strerror}; it lies beside the network"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{path}: {error}; the rivals' loop takes a network of one grey image with sigmoid"
        ) from None


def run_loop(runtime: str, onnx: Path, frames_at: str, events_at: str) -> None:
    """Inspect frames, one after the other, until the process is ended."""
    card = read_card(onnx)
    infer = _openvino(onnx) if runtime == "openvino" else _onnxruntime(onnx)
    infer(np.zeros((1, 1, card.input.height, card.input.width), np.float32))
    context = zmq.Context()
    frames, events = context.socket(zmq.PULL), context.socket(zmq.PUB)
    frames.bind(frames_at)
    events.bind(events_at)
    while True:
        _, text, payload = frames.recv_multipart()
        header = json.loads(text)
        frame = np.frombuffer(payload, np.uint8).reshape(header["shape"])
        result = {
            "camera": header["camera"],
            "frame_seq": header["seq"],
            "t_ns": header["t_ns"],
            "defects": _inspect(frame, infer, card),
        }
        events.send_multipart([f"frame.{header['camera']}".encode(), json.dumps(result).encode()])


def _inspect(frame: NDArray[np.uint8], infer: Infer, card: Card) -> list[dict[str, object]]:
    size = (card.input.width, card.input.height)
    image = cv2.resize(frame, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    images = np.asarray((image - card.mean) / card.std, np.float32)[None, None]
    logits = infer(images)[0]
    defects: list[dict[str, object]] = []
    for entry, plane in zip(card.classes, 1 / (1 + np.exp(-logits)), strict=True):
        probability = cv2.resize(plane, frame.shape[::-1], interpolation=cv2.INTER_LINEAR)
        mask = (probability >= entry.threshold).astype(np.uint8)
        if not mask.any():
            continue
        count, labels, stats, centroids = cv2.connectedComponentsWithStats(mask, connectivity=8)
        for number in range(1, count):
            if stats[number, cv2.CC_STAT_AREA] < entry.min_area_px:
                continue
            component = labels == number
            defects.append(
                {
                    "class": entry.name,
                    "box": stats[number, : cv2.CC_STAT_AREA].tolist(),
                    "area": int(stats[number, cv2.CC_STAT_AREA]),
                    "centroid": centroids[number].tolist(),
                    "score": float(probability[component].mean()),
                    "rle": _rle(component),
                }
            )
    return defects


def _rle(component: NDArray[np.bool_]) -> str:
    """Severstal's EncodedPixels, as the notebooks of that competition make it."""
    pixels = np.concatenate([[0], component.T.flatten(), [0]])
    runs = np.where(pixels[1:] != pixels[:-1])[0] + 1
    runs[1::2] -= runs[::2]
    return " ".join(str(number) for number in runs)


def _onnxruntime(onnx: Path) -> Infer:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: np.asarray(session.run(None, {name: images})[0], np.float32)


def _openvino(onnx: Path) -> Infer:
    import openvino

    compiled = openvino.Core().compile_model(str(onnx), "CPU", {"PERFORMANCE_HINT": "LATENCY"})
    return lambda images: np.asarray(compiled(images)[0], np.float32)
