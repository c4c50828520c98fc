"""Tiny torch nets as ONNX files with their cards, and what torch makes of frames with them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch.nn import functional

from stripwatch_engine.models.model_card import ModelCard
from stripwatch_engine.models.reference import Session

Bytes = NDArray[np.uint8]
Reals = NDArray[np.float32]
Results = dict[str, NDArray[Any]]
UNSURE = 1e-4  # so near its threshold, float32 may put a pixel on either side


@dataclass(frozen=True)
class Net:
    """A torch module, and the ONNX file that was made of it."""

    module: torch.nn.Module
    card: ModelCard
    path: Path


class Segmenter(torch.nn.Module):
    """Two convolutions; the output is smaller than the image by the stride."""

    def __init__(self, seed: int, channels: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.first = torch.nn.Conv2d(channels, 6, 5, stride, padding=2)
        self.second = torch.nn.Conv2d(6, outputs, 1)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) / 2

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits."""
        logits: torch.Tensor = self.second(torch.relu(self.first(image)))
        return logits


class Classifier(torch.nn.Module):
    """One number for each output: gain * mean of the image + bias; its rank is 2 or 4."""

    def __init__(
        self, channels: int, gains: Sequence[float], biases: Sequence[float], rank: int
    ) -> None:
        super().__init__()
        self.linear = torch.nn.Conv2d(channels, len(gains), 1)
        weights = torch.tensor(gains)[:, None, None, None] / channels
        self.linear.weight.data = weights.repeat(1, channels, 1, 1)
        assert self.linear.bias is not None
        self.linear.bias.data = torch.tensor(biases)
        self.rank = rank

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits."""
        logits: torch.Tensor = self.linear(functional.adaptive_avg_pool2d(image, 1))
        return logits.flatten(1) if self.rank == 2 else logits


def write_onnx(
    module: torch.nn.Module, image: tuple[int, int, int], path: Path, opset: int = 17
) -> None:
    """Export with a free batch; the tracing exporter needs nothing beyond torch."""
    with warnings.catch_warnings():
        # It warns that a newer exporter exists, and that shapes in Python are fixed.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            (torch.zeros(1, *image),),
            str(path),
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "n"}, "logits": {0: "n"}},
            opset_version=opset,
            dynamo=False,
        )


def save_net(
    folder: Path, name: str, module: torch.nn.Module, card: ModelCard, opset: int = 17
) -> Net:
    """Write NAME.onnx and NAME.json."""
    path = folder / f"{name}.onnx"
    size = card.input
    write_onnx(module, (size.channels, size.height, size.width), path, opset)
    path.with_suffix(".json").write_bytes(msgspec.json.encode(card))
    return Net(module, card, path)


def segmenter(
    folder: Path, card: ModelCard, *, seed: int = 1, stride: int = 1, opset: int = 17
) -> Net:
    """A tiny segmentation as the card describes it."""
    outputs = card.output_channels
    module = Segmenter(seed, card.input.channels, outputs, stride)
    return save_net(folder, f"net{seed}", module, card, opset)


def make_frames(seed: int, count: int, shape: tuple[int, int]) -> Bytes:
    """Noise."""
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


def image_of(card: ModelCard, frames: Bytes) -> torch.Tensor:
    """What a model sees of frames."""
    size, shape = card.input, (card.input.height, card.input.width)
    grey = torch.from_numpy(frames).float()[:, None]
    lines, pixels = frames.shape[1:]
    if size.fit == "pad":
        grey = functional.pad(grey, (0, shape[1] - pixels, 0, shape[0] - lines), mode="replicate")
    elif lines % shape[0] == 0 and pixels % shape[1] == 0:
        grey = functional.avg_pool2d(grey, (lines // shape[0], pixels // shape[1]))
    else:
        grey = enlarged(grey, shape)
    means, stds = (
        torch.tensor(values)[None, :, None, None] for values in card.channel_statistics()
    )
    return (grey / 255 - means) / stds


def enlarged(planes: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """Bilinear, pixel centres at halves."""
    return functional.interpolate(planes, shape, mode="bilinear", align_corners=False)


def model_output(net: Net, image: torch.Tensor) -> torch.Tensor:
    """Probabilities [n, classes, ...] in the size of the model's output."""
    with torch.no_grad():
        out = net.module(image)
    match net.card.activation:
        case "sigmoid":
            out = torch.sigmoid(out)
        case "softmax":
            out = torch.softmax(out, 1)
        case "none":
            out = out.clamp(0, 1)
    found: torch.Tensor = out[:, net.card.first_channel :]
    return found


def probability(net: Net, frames: Bytes, *, flip: bool = False) -> Reals:
    """Probabilities [n, classes, lines, pixels] of frames, as torch computes them."""
    image = image_of(net.card, frames)
    found = model_output(net, image)
    if flip:
        found = (found + model_output(net, image.flip(3)).flip(3)) / 2
    if net.card.input.fit == "pad":
        found = enlarged(found, (image.shape[2], image.shape[3]))
        return np.asarray(found[:, :, : frames.shape[1], : frames.shape[2]])
    return np.asarray(enlarged(found, (frames.shape[1], frames.shape[2])))


def quantile_thresholds(wanted: Reals) -> Reals:
    """Thresholds that a part of the pixels reach, another one for each class."""
    shares = np.linspace(0.4, 0.8, wanted.shape[1])
    return np.array(
        [np.quantile(wanted[:, index], share) for index, share in enumerate(shares)], np.float32
    )


def run_openvino(graph: onnx.ModelProto, inputs: Results) -> Results:
    """All outputs of a graph, computed by OpenVINO in float32."""
    return OpenVino(graph).run(inputs)


class OpenVino:
    """A graph, loaded."""

    def __init__(self, graph: onnx.ModelProto) -> None:
        import openvino

        core = openvino.Core()
        options = {"INFERENCE_PRECISION_HINT": "f32"}
        model = core.read_model(graph.SerializeToString())
        self._model = core.compile_model(model, "CPU", options)
        self._names = [entry.name for entry in graph.graph.output]

    def run(self, inputs: Results) -> Results:
        """All outputs by name."""
        found = self._model(inputs)
        return {name: np.array(found[name]) for name in self._names}


def runners(early: onnx.ModelProto, late: onnx.ModelProto) -> dict[str, OpenVino | Session]:
    """Everything that can run a graph here, with its bytes made early and late."""
    return {
        "OpenVINO, bytes early": OpenVino(early),
        "ONNX Runtime, bytes early": Session(early),
        "ONNX Runtime, bytes late": Session(late),
    }


def bits_of(mask: Bytes, classes: int) -> NDArray[np.bool_]:
    """[n, classes, lines, pixels]: where each class is."""
    numbers = np.arange(classes, dtype=np.uint8)[None, :, None, None]
    return np.asarray((mask[:, None] >> numbers) & 1, np.bool_)


def check_results(found: Results, wanted: Reals, limits: Reals) -> None:
    """Compare the four results of a graph with probabilities.

    Args:
        found: by output.
        wanted: [n, classes, lines, pixels].
        limits: the threshold of each class, or of each frame and class.
    """
    classes = wanted.shape[1]
    assert found["prob"].dtype == found["mask"].dtype == np.uint8
    assert np.abs(found["prob"] - wanted * 255).max() <= 0.51
    bits = bits_of(found["mask"], classes)
    planes = np.broadcast_to(limits, wanted.shape[:2])[:, :, None, None]
    sure = np.abs(wanted - planes) > UNSURE
    assert sure.mean() > 0.98
    assert (bits == (wanted >= planes))[sure].all()
    assert not (found["mask"].astype(int) >> classes).any()
    assert np.array_equal(found["area"], bits.sum(axis=(2, 3)))
