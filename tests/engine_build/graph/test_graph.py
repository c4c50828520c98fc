"""The inspection graph computes what a slow reference in numpy computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from stripwatch.errors import ModelError
from stripwatch_engine.graph.compose import compose_inspection_graph
from stripwatch_engine.graph.post import bilinear_taps
from stripwatch_engine.models.composition import Composition
from stripwatch_engine.models.deployment import Deployment, load_deployment
from stripwatch_engine.models.model_card import ModelCard, save_card

MakeModel = Callable[..., tuple[Path, ModelCard]]
Planes = NDArray[np.float64]


def resize_rows(planes: Planes, size: int) -> Planes:
    """Bilinear along the last axis, pixel centres at halves, edges repeated."""
    old = planes.shape[-1]
    place = np.clip((np.arange(size) + 0.5) * old / size - 0.5, 0, old - 1)
    left = np.minimum(place.astype(int), max(old - 2, 0))
    share = place - left
    right = np.minimum(left + 1, old - 1)
    mixed: Planes = planes[..., left] * (1 - share) + planes[..., right] * share
    return mixed


def resize_planes(planes: Planes, shape: tuple[int, int]) -> Planes:
    """Bilinear over the last two axes."""
    wide = resize_rows(planes, shape[1])
    return resize_rows(wide.swapaxes(-1, -2), shape[0]).swapaxes(-1, -2)


def shrink_frames(frames: NDArray[np.uint8], shape: tuple[int, int]) -> Planes:
    """Means of blocks where they fit, bilinear elsewhere."""
    grey = frames.astype(np.float64)
    count, lines, pixels = grey.shape
    if lines % shape[0] == 0 and pixels % shape[1] == 0:
        blocks = grey.reshape(count, shape[0], lines // shape[0], shape[1], pixels // shape[1])
        return np.asarray(blocks.mean(axis=(2, 4)))
    return resize_planes(grey, shape)


def run_core(path: Path, image: Planes, card: ModelCard, stride: int) -> Planes:
    """The tiny model, one pixel offset at a time."""
    weights = [numpy_helper.to_array(entry) for entry in onnx.load(path).graph.initializer]
    first, second = (np.asarray(entry, np.float64) for entry in weights)
    padded = np.pad(image, ((0, 0), (0, 0), (1, 1), (1, 1)))
    height, width = card.input.height, card.input.width
    inner = sum(
        np.einsum(
            "nihw,oi->nohw",
            padded[:, :, y : y + height : stride, x : x + width : stride],
            first[:, :, y, x],
        )
        for y in range(3)
        for x in range(3)
    )
    out = np.einsum("nihw,oi->nohw", np.maximum(inner, 0), second[:, :, 0, 0])
    return np.asarray(1 / (1 + np.exp(-out)) if card.activation == "none" else out)


def reference(path: Path, card: ModelCard, frames: NDArray[np.uint8], stride: int = 1) -> Planes:
    """Probabilities float64 [n, classes, lines, pixels]."""
    small = shrink_frames(frames, (card.input.height, card.input.width))[:, None]
    channels = card.input.channels
    mean = np.broadcast_to(np.array(card.mean), (channels,)).reshape(1, channels, 1, 1)
    std = np.broadcast_to(np.array(card.std), (channels,)).reshape(1, channels, 1, 1)
    out = run_core(path, (small / 255 - mean) / std, card, stride)
    if card.activation == "sigmoid":
        out = 1 / (1 + np.exp(-out))
    elif card.activation == "softmax":
        power = np.exp(out - out.max(axis=1, keepdims=True))
        out = power / power.sum(axis=1, keepdims=True)
    else:
        out = np.clip(out, 0, 1)
    if card.background:
        out = out[:, 1:]
    return resize_planes(out, frames.shape[1:])


def load(path: Path, frame_shape: tuple[int, int] = (32, 80)) -> Deployment:
    """The deployment of one model."""
    return load_deployment(Composition(models=(str(path),)), frame_shape)


def run_graph(
    path: Path, card: ModelCard, frames: NDArray[np.uint8], thresholds: NDArray[np.float32]
) -> dict[str, NDArray[Any]]:
    """Compose the graph and run it in OpenVINO, in float32, with all frames in one batch."""
    import openvino

    deployment = load(path, (frames.shape[1], frames.shape[2]))
    assert deployment.classes == card.classes
    graph = compose_inspection_graph(deployment, bytes_early=True)
    core = openvino.Core()
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    model = core.compile_model(core.read_model(graph.SerializeToString()), "CPU", options)
    found = model({"frames": frames, "thresholds": thresholds})
    return {name: np.array(found[name]) for name in ("mask", "area", "peak", "prob")}


def check_against_reference(
    path: Path, card: ModelCard, frame_shape: tuple[int, int], seed: int, stride: int = 1
) -> None:
    """All four outputs, for two random frames."""
    generator = np.random.default_rng(seed)
    frames = generator.integers(0, 256, (2, *frame_shape), np.uint8)
    classes = len(card.classes)
    thresholds = generator.uniform(0.2, 0.8, classes).astype(np.float32)
    wanted = reference(path, card, frames, stride)
    found = run_graph(path, card, frames, thresholds)

    assert found["prob"].dtype == np.uint8
    assert np.abs(found["prob"] - wanted * 255).max() < 0.51
    np.testing.assert_allclose(found["peak"], wanted.max(axis=(2, 3)), atol=1e-4)
    limits = thresholds[None, :, None, None]
    bits = found["mask"][:, None] >> np.arange(classes)[None, :, None, None] & 1
    unsure = np.abs(wanted - limits) < 1e-4  # float32 may fall on either side
    assert unsure.mean() < 0.01
    assert ((bits == 1) == (wanted >= limits))[~unsure].all()
    assert not (found["mask"] >> classes).any()
    assert 0 < bits.mean() < 1  # the case is meaningful
    # Area counts exactly the mask's bits.
    assert np.array_equal(found["area"], bits.sum(axis=(2, 3)).astype(np.float32))


@pytest.mark.parametrize("frame_shape", [(16, 40), (32, 80), (48, 120), (32, 160), (25, 67)])
@pytest.mark.parametrize("channels", [1, 3])
def test_graph_equals_reference_for_frames_of_any_size(
    make_model: MakeModel, frame_shape: tuple[int, int], channels: int
) -> None:
    """Same size, whole factors (equal or not), and odd sizes."""
    path, card = make_model(channels=channels, seed=channels)
    check_against_reference(path, card, frame_shape, seed=11)


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("activation", ["sigmoid", "softmax", "none"])
def test_graph_equals_reference_for_every_activation(
    make_model: MakeModel, activation: str, background: bool
) -> None:
    """With and without a background channel, which is dropped after the activation."""
    path, card = make_model(activation=activation, background=background, seed=5)
    check_against_reference(path, card, (32, 80), seed=12)


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("stride", [2, 4])
def test_a_model_may_have_a_smaller_output(make_model: MakeModel, stride: int, fixed: bool) -> None:
    """The result is enlarged from whatever size the model's output has."""
    path, card = make_model(shape=(16, 48), stride=stride, fixed=fixed)
    check_against_reference(path, card, (32, 96), seed=13, stride=stride)


@pytest.mark.parametrize("opset", [13, 18, 21])
def test_graph_is_valid_in_old_and_new_opsets(make_model: MakeModel, opset: int) -> None:
    """ReduceMax changed its form at 18; the graph speaks the model's opset."""
    path, card = make_model(opset=opset)
    check_against_reference(path, card, (32, 80), seed=14)


def test_each_channel_has_its_own_mean_and_std(make_model: MakeModel) -> None:
    """As ImageNet encoders want it."""
    path, card = make_model(channels=3, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    check_against_reference(path, card, (32, 80), seed=15)


@pytest.mark.parametrize("classes", [1, 8])
def test_one_class_and_eight_classes_fit_a_mask(make_model: MakeModel, classes: int) -> None:
    """Eight is what a byte holds."""
    path, card = make_model(classes=classes)
    check_against_reference(path, card, (32, 80), seed=16)


def test_a_probability_equal_to_its_threshold_is_present(make_model: MakeModel) -> None:
    """p >= threshold, not p > threshold: at the peak's own value, something is left."""
    path, card = make_model()
    frames = np.random.default_rng(17).integers(0, 256, (1, 32, 80), np.uint8)
    peak = run_graph(path, card, frames, np.full(3, 0.5, np.float32))["peak"][0]
    assert (run_graph(path, card, frames, peak)["area"] >= 1).all()
    above = np.nextafter(peak, np.float32(2))
    assert not run_graph(path, card, frames, above)["mask"].any()


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_taps_of_a_whole_factor_share_out_one(factor: int) -> None:
    """Enlarging changes no brightness, so that no probability can exceed 1."""
    taps = bilinear_taps(factor)
    assert taps.shape == (factor, 3)
    np.testing.assert_allclose(taps.sum(axis=1), 1, rtol=1e-15)
    assert (taps >= 0).all()


def test_a_model_that_is_not_what_its_card_says_is_refused(make_model: MakeModel) -> None:
    """The sentence names both sides and the file to correct."""
    path, card = make_model()
    model = path.read_bytes()
    for changes in ({"classes": 2}, {"channels": 3}, {"shape": (16, 48)}, {"background": True}):
        make_model(**changes)  # its card stays, beside the first model
        path.write_bytes(model)
        with pytest.raises(ModelError, match=r"model's .* but model\.json (says|names)") as caught:
            load(path)
        assert str(path) in str(caught.value)
    save_card(path, card)
    load(path)


def test_a_model_with_two_outputs_is_refused(make_model: MakeModel) -> None:
    """It is unknown which of them the masks are."""
    path, _ = make_model()
    model = onnx.load(path)
    shape = ["n", 6, "h", "w"]
    model.graph.output.append(helper.make_tensor_value_info("lit", TensorProto.FLOAT, shape))
    onnx.save(model, path)
    with pytest.raises(ModelError, match=r"2 outputs \(out, lit\), engine-build takes one"):
        load(path)


def test_a_model_of_an_old_opset_is_raised_or_refused(make_model: MakeModel) -> None:
    """Opset 11 and 12 are converted to 17; older ones are refused."""
    path, card = make_model(opset=12)
    assert load(path).opset == 17
    check_against_reference(path, card, (32, 80), seed=18)
    path, _ = make_model(opset=10)
    with pytest.raises(ModelError, match="opset 10; export it with opset 11 or newer"):
        load(path)


def test_a_model_of_halves_is_refused(make_model: MakeModel) -> None:
    """With what to do about it: engine-build makes halves itself."""
    path, _ = make_model()
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    model.graph.node.insert(0, helper.make_node("Cast", ["image"], ["wide"], to=TensorProto.FLOAT))
    model.graph.node[1].input[0] = "wide"
    onnx.save(model, path)
    with pytest.raises(ModelError, match="FLOAT16; export the model with float32"):
        load(path)
