"""INT8: Q/DQ as TensorRT wants them, masks close to float32, and NNCF for OpenVINO."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper
from tests.engine_build.torch_nets import (
    Net,
    bits_of,
    image_of,
    save_net,
)
from tests.models import make_card, numbered_classes

from stripwatch.engines.manifest import load_manifest
from stripwatch.errors import ConfigError
from stripwatch_engine.build import BuildOptions, build
from stripwatch_engine.graph.compose import compose_inspection_graph
from stripwatch_engine.models.composition import Composition
from stripwatch_engine.models.deployment import Deployment, load_deployment, one_opset
from stripwatch_engine.models.member import with_model
from stripwatch_engine.models.reference import Session
from stripwatch_engine.precision.emulate import emulate_float16
from stripwatch_engine.precision.float16 import convert_to_float16
from stripwatch_engine.precision.int8 import OPSET_FLOAT16_SCALES, quantize_model
from stripwatch_engine.settings import BuildSettings
from stripwatch_engine.verify.frame_sample import sample_frames

SHAPE = (32, 96)


class Blobs(torch.nn.Module):
    """What training might come to: smooth, compare with the surroundings, find bright and dark."""

    def __init__(self, groups: int = 1) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(41)
        self.first = torch.nn.Conv2d(1, 8, 5, padding=2, padding_mode="replicate")
        self.second = torch.nn.Conv2d(8, 8, 3, padding=1, padding_mode="replicate", groups=groups)
        self.last = torch.nn.Conv2d(8, 2, 1)
        for number, layer in enumerate((self.first, self.second, self.last)):
            weights = torch.rand(layer.weight.shape, generator=generator)
            layer.weight.data = weights / weights.sum(dim=(1, 2, 3), keepdim=True)
            layer.bias = torch.nn.Parameter(torch.full((layer.out_channels,), number / 100))
        self.first.weight.data[4:] *= -1  # half of the channels see what is dark
        self.last.weight.data[1] *= -1
        self.last.weight.data *= 12
        self.last.bias = torch.nn.Parameter(torch.tensor([-4.0, 4.0]))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits."""
        inner = torch.relu(self.second(torch.relu(self.first(image))))
        logits: torch.Tensor = self.last(inner)
        return logits


@pytest.fixture
def blobs(tmp_path: Path) -> Net:
    card = make_card(SHAPE, mean=0.35, std=0.12, classes=numbered_classes(2))
    return save_net(tmp_path, "blobs", Blobs().eval(), card)


@pytest.fixture
def deployment(blobs: Net) -> Deployment:
    """Of the opset that float16 scales need."""
    loaded = load_deployment(Composition(models=(str(blobs.path),)), SHAPE)
    return one_opset(loaded, OPSET_FLOAT16_SCALES)


def quantized(blobs: Net, deployment: Deployment) -> onnx.ModelProto:
    frames = sample_frames("synthetic", SHAPE, 16, seed=42).frames
    model = deployment.members[0].model
    return quantize_model(model.proto, model.input_name, np.asarray(image_of(blobs.card, frames)))


def test_scales_are_symmetric_and_weights_have_one_per_channel(
    blobs: Net, deployment: Deployment
) -> None:
    """TensorRT takes int8 with zero points of 0 and nothing else; biases stay float32."""
    model = quantized(blobs, deployment)
    constants = {entry.name: numpy_helper.to_array(entry) for entry in model.graph.initializer}
    pairs = [node for node in model.graph.node if node.op_type.lower().endswith("quantizelinear")]
    assert len(pairs) >= 8  # two for each image and weight that is rounded
    for node in pairs:
        _, scale, zero = node.input
        assert constants[zero].dtype == np.int8
        assert not constants[zero].any()
        assert (constants[scale] > 0).all()
    makers = {node.output[0]: node for node in model.graph.node}
    first, *convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert first.name == "/first/Conv"  # reads the image and stays float32
    assert len(convolutions) == 2
    for node in convolutions:
        image, weight = (makers[name] for name in node.input[:2])
        assert image.op_type == weight.op_type == "DequantizeLinear"
        assert constants[image.input[1]].shape == ()
        original = constants[makers[weight.input[0]].input[0]]
        assert constants[weight.input[1]].shape == original.shape[:1]
        assert constants[node.input[2]].dtype == np.float32
        takers = [taker.op_type for taker in model.graph.node if node.output[0] in taker.input]
        assert "QuantizeLinear" not in takers  # ReLU, or the model's output, comes first


class Squeezed(Blobs):
    """Its first output is multiplied by a value of the whole image."""

    def __init__(self, groups: int) -> None:
        super().__init__(groups)
        self.squeeze = torch.nn.Conv2d(8, 8, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits."""
        first = torch.relu(self.first(image))
        whole = torch.nn.functional.adaptive_avg_pool2d(first, 1)
        inner = torch.relu(self.second(first * torch.sigmoid(self.squeeze(whole))))
        logits: torch.Tensor = self.last(inner)
        return logits


@pytest.fixture(params=[2, 8])
def squeezed(tmp_path: Path, request: pytest.FixtureRequest) -> Net:
    card = make_card(SHAPE, mean=0.35, std=0.12, classes=numbered_classes(2))
    return save_net(tmp_path, "squeezed", Squeezed(request.param).eval(), card)


def test_convolutions_of_the_image_of_groups_and_of_single_pixels_stay_float32(
    squeezed: Net,
) -> None:
    """So do their images and weights; the others are rounded."""
    loaded = load_deployment(Composition(models=(str(squeezed.path),)), SHAPE)
    model = quantized(squeezed, one_opset(loaded, OPSET_FLOAT16_SCALES))
    makers = {node.output[0]: node.op_type for node in model.graph.node}
    rounded = {
        node.name: [makers.get(name) == "DequantizeLinear" for name in node.input[:2]]
        for node in model.graph.node
        if node.op_type == "Conv"
    }
    assert rounded == {
        "/first/Conv": [False, False],
        "/squeeze/Conv": [False, False],
        "/second/Conv": [False, False],
        "/last/Conv": [True, True],
    }


def test_int8_masks_are_close_to_those_of_float32(blobs: Net, deployment: Deployment) -> None:
    """On frames other than those it was calibrated with; Q/DQ are emulated as a build does.

    ONNX Runtime would fuse the plain Q/DQ graph into int8 kernels that err on some CPUs.
    """
    member = deployment.members[0]
    emulated = emulate_float16(convert_to_float16(quantized(blobs, deployment), set()))
    frames = sample_frames("synthetic", SHAPE, 6, seed=43).frames
    masks, probabilities = [], []
    for model in (member.model.proto, emulated):
        lowered = Deployment((with_model(member, model),), deployment.classes, SHAPE)
        session = Session(compose_inspection_graph(lowered, bytes_early=False))
        found = session.run({"frames": frames, "thresholds": np.full(2, 0.5, np.float32)})
        masks.append(bits_of(found["mask"], 2))
        probabilities.append(found["prob"].astype(int))
    exact, rounded = masks
    assert (exact.mean(axis=(0, 2, 3)) > 0.01).all()
    assert (exact.mean(axis=(0, 2, 3)) < 0.99).all()
    dice = (
        2 * (exact & rounded).sum(axis=(0, 2, 3)) / (exact.sum((0, 2, 3)) + rounded.sum((0, 2, 3)))
    )
    assert (dice > 0.95).all()
    assert 0 < np.abs(probabilities[0] - probabilities[1]).mean() / 255 < 0.01


def test_quantizing_changes_neither_the_model_nor_its_ends(
    blobs: Net, deployment: Deployment
) -> None:
    """The same model is compared with afterwards; input and output are float32 as before."""
    model = deployment.members[0].model.proto
    before = model.SerializeToString(deterministic=True)
    found = quantized(blobs, deployment)
    assert model.SerializeToString(deterministic=True) == before
    ends = [*found.graph.input, *found.graph.output]
    assert {entry.type.tensor_type.elem_type for entry in ends} == {TensorProto.FLOAT}
    assert [entry.name for entry in ends] == ["image", "logits"]


def int8_settings(blobs: Net) -> BuildSettings:
    return BuildSettings(
        composition=Composition(models=(str(blobs.path),)),
        precision="int8",
        frame_shape=(64, 192),
        calibration_frames=8,
        verify_frames=2,
    )


@pytest.mark.slow
def test_openvino_quantizes_the_model_and_not_what_is_around_it(blobs: Net, tmp_path: Path) -> None:
    """Resizing, thresholds, areas and masks are as exact as in float32."""
    import openvino

    folder = tmp_path / "engine"
    build(int8_settings(blobs), folder)
    manifest = load_manifest(folder)
    assert manifest.precision == "int8"
    assert manifest.verification is not None
    assert manifest.verification.passed
    model = openvino.Core().read_model(str(folder / manifest.files[0]))
    takers = set()
    for node in model.get_ordered_ops():
        if node.get_type_name() == "FakeQuantize":
            takers |= {
                taker.get_node().get_friendly_name() for taker in node.output(0).get_target_inputs()
            }
    assert len(takers) >= 2
    assert all(re.match(r"model0/(?!p)", name) for name in takers), takers


def test_openvino_keeps_the_same_convolutions_in_float32(squeezed: Net, tmp_path: Path) -> None:
    import openvino

    folder = tmp_path / "engine"
    build(
        msgspec.structs.replace(int8_settings(squeezed), dice_min=0.3, error_mean_max=0.2),
        folder,
        BuildOptions(allow_unverified=True),
    )
    model = openvino.Core().read_model(str(folder / load_manifest(folder).files[0]))
    rounded = set()
    for node in model.get_ordered_ops():
        if node.get_type_name() in ("Convolution", "GroupConvolution"):
            source = node.input_value(0).get_node()
            if source.get_type_name() == "Pad":
                source = source.input_value(0).get_node()
            if source.get_type_name() == "FakeQuantize":
                rounded.add(node.get_friendly_name().split("/")[3])
    assert rounded == {"last"}


def test_int8_for_openvino_without_nncf_names_the_extra(
    blobs: Net, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And leaves no folder behind."""
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(ConfigError, match=r"needs NNCF; .*pip install '\.\[build,int8\]'"):
        build(int8_settings(blobs), tmp_path / "engine")
    assert not (tmp_path / "engine").exists()
