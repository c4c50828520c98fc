"""The inspection graph of every composition computes what torch computes, on every library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from tests.engine_build.torch_nets import (
    Bytes,
    Net,
    Reals,
    bits_of,
    check_results,
    make_frames,
    probability,
    quantile_thresholds,
    runners,
    save_net,
    segmenter,
)
from tests.models import make_card, numbered_classes

from stripwatch_engine.graph.compose import compose_inspection_graph
from stripwatch_engine.models.composition import Composition
from stripwatch_engine.models.deployment import load_deployment

CASES = {  # frames: model of 16 x 48
    "same": (16, 48),
    "twice": (32, 96),
    "three times": (48, 144),
    "no whole factor": (25, 67),
    "pad": (13, 45),
}


def check_composition(composition: Composition, wanted: Reals, frames: Bytes) -> None:
    """All libraries, three frames at once and one alone."""
    deployment = load_deployment(composition, (frames.shape[1], frames.shape[2]))
    assert len(deployment.classes) == wanted.shape[1]
    limits = quantile_thresholds(wanted)
    early, late = (compose_inspection_graph(deployment, bytes_early=flag) for flag in (True, False))
    for what, runner in runners(early, late).items():
        for rows in (slice(0, len(frames)), slice(0, 1)):
            found = runner.run({"frames": frames[rows], "thresholds": limits})
            check_results(found, wanted[rows], limits)
            share = bits_of(found["mask"], wanted.shape[1]).mean(axis=(0, 2, 3))
            assert (share > 0.05).all(), what  # the case is meaningful
            assert (share < 0.95).all(), what
            peak = wanted[rows].max(axis=(2, 3))
            np.testing.assert_allclose(found["peak"], peak, atol=1e-4, err_msg=what)


def paths(nets: Sequence[Net]) -> tuple[str, ...]:
    return tuple(str(net.path) for net in nets)


def check_ensemble(nets: Sequence[Net], frames: Bytes, *, flip: bool = False) -> None:
    """The mean of the probabilities that torch computes with each."""
    wanted = np.mean([probability(net, frames, flip=flip) for net in nets], axis=0)
    check_composition(Composition(models=paths(nets), flip=flip), wanted, frames)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize(
    ("activation", "background", "channels"),
    [
        ("sigmoid", False, 1),
        ("sigmoid", True, 3),
        ("softmax", True, 1),
        ("softmax", False, 3),
    ],
)
def test_one_model_is_what_torch_computes(
    tmp_path: Path, case: str, stride: int, activation: str, background: bool, channels: int
) -> None:
    """Whatever its activation, channels, the size of its image and the size of its output."""
    card = make_card(
        channels=channels,
        activation=activation,
        background=background,
        fit="pad" if case == "pad" else "resize",
    )
    net = segmenter(tmp_path, card, seed=stride, stride=stride)
    check_ensemble([net], make_frames(7, 3, CASES[case]))


def test_a_model_that_ends_in_its_own_sigmoid_is_taken_as_it_is(tmp_path: Path) -> None:
    """Its card says activation "none"."""
    card = make_card(activation="none")
    inner = segmenter(tmp_path, card).module
    net = save_net(tmp_path, "ended", torch.nn.Sequential(inner, torch.nn.Sigmoid()), card)
    check_ensemble([net], make_frames(8, 3, (32, 96)))


@pytest.mark.parametrize(
    ("role", "name"),
    [
        *(("output", name) for name in ("p", "active", "both", "mirrored", "mask", "thresholds")),
        *(("input", name) for name in ("p", "frames", "mirrored", "model0/p", "presence/flat")),
    ],
)
def test_a_model_may_call_its_tensors_as_the_graph_calls_its_own(
    tmp_path: Path, role: str, name: str
) -> None:
    """Alone, averaged with itself, and mirrored: what it finds stays the same."""
    net = segmenter(tmp_path, make_card())
    model = onnx.load(net.path)
    old = (model.graph.output if role == "output" else model.graph.input)[0].name
    for node in model.graph.node:
        node.input[:] = [name if one == old else one for one in node.input]
        node.output[:] = [name if one == old else one for one in node.output]
    (model.graph.output if role == "output" else model.graph.input)[0].name = name
    onnx.checker.check_model(model)
    onnx.save(model, net.path)
    frames = make_frames(17, 3, (32, 96))
    check_ensemble([net], frames)
    check_ensemble([net, net], frames, flip=True)


@pytest.mark.parametrize("stride", [1, 2])
def test_an_ensemble_of_the_same_size_is_averaged(tmp_path: Path, stride: int) -> None:
    """Before it is enlarged, which is the same thing for less work."""
    nets = [segmenter(tmp_path, make_card(), seed=seed, stride=stride) for seed in (1, 2)]
    check_ensemble(nets, make_frames(9, 3, (32, 96)))


@pytest.mark.parametrize("flip", [False, True])
def test_an_ensemble_may_be_of_different_kinds(tmp_path: Path, flip: bool) -> None:
    """Sizes, channels, mean and std, activations, opsets and sizes of the output."""
    imagenet = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    cards = [
        make_card((16, 48)),
        make_card((32, 96), 3, activation="softmax", background=True, **imagenet),
        make_card((48, 128), fit="pad", mean=0.2, std=0.5),
    ]
    nets = [
        segmenter(tmp_path, card, seed=seed, stride=stride, opset=opset)
        for card, seed, stride, opset in zip(cards, (1, 2, 3), (1, 4, 2), (17, 18, 14), strict=True)
    ]
    check_ensemble(nets, make_frames(10, 3, (32, 96)), flip=flip)
    check_ensemble(nets[:2], make_frames(11, 3, (40, 100)), flip=flip)


@pytest.mark.parametrize("opset", [13, 17, 18, 20])
@pytest.mark.parametrize("count", [1, 2])
def test_mirror_images_are_averaged(tmp_path: Path, opset: int, count: int) -> None:
    """Split and ReduceMax changed their form at 18; each frame's mirror image is its own."""
    nets = [
        segmenter(tmp_path, make_card(), seed=seed, opset=opset) for seed in range(1, count + 1)
    ]
    frames = make_frames(12, 3, (32, 96))
    straight, flipped = (probability(nets[0], frames, flip=flip) for flip in (False, True))
    assert np.abs(straight - flipped).max() > 0.05
    check_ensemble(nets, frames, flip=True)


def test_a_mirrored_model_may_be_padded(tmp_path: Path) -> None:
    """The padding is on the mirror image's other side, and is cut off there."""
    net = segmenter(tmp_path, make_card(fit="pad"), stride=2)
    check_ensemble([net], make_frames(13, 3, CASES["pad"]), flip=True)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("shape", [(32, 96), (25, 67)])
def test_a_class_may_have_models_of_its_own(
    tmp_path: Path, shape: tuple[int, int], flip: bool
) -> None:
    """They take the shared model's place for it; several are averaged."""
    shared = segmenter(tmp_path, make_card(), seed=1)
    second = numbered_classes(2)[1:]
    own = [
        segmenter(
            tmp_path,
            make_card(classes=(type(second[0])(id=1, name="kind2"),), background=background),
            seed=seed,
            stride=stride,
        )
        for seed, stride, background in ((2, 1, False), (3, 2, True))
    ]
    frames = make_frames(14, 3, shape)
    wanted = probability(shared, frames, flip=flip).copy()
    wanted[:, 1:2] = np.mean([probability(net, frames, flip=flip) for net in own], axis=0)
    composition = Composition(models=(str(shared.path),), class_models={2: paths(own)}, flip=flip)
    check_composition(composition, wanted, frames)


def test_every_class_may_have_a_model_of_its_own_and_none_is_shared(tmp_path: Path) -> None:
    """Here one of them has several channels, of which only its class's counts."""
    frames = make_frames(15, 3, (32, 96))
    single = segmenter(tmp_path, make_card(classes=numbered_classes(1)), seed=1)
    several = segmenter(
        tmp_path,
        make_card((32, 96), classes=numbered_classes(3), activation="softmax", background=True),
        seed=2,
    )
    composition = Composition(class_models={1: paths([single]), 2: paths([several])})
    wanted = np.concatenate(
        [probability(single, frames), probability(several, frames)[:, 1:2]], axis=1
    )
    check_composition(composition, wanted, frames)


def test_one_model_may_serve_two_classes(tmp_path: Path) -> None:
    """Each time with another channel, beside a shared model of another size."""
    shared = segmenter(tmp_path, make_card((32, 96)), seed=1)
    several = segmenter(tmp_path, make_card(), seed=2)
    frames = make_frames(16, 3, (32, 96))
    wanted = probability(several, frames).copy()
    wanted[:, 1] = probability(shared, frames)[:, 1]
    composition = Composition(
        models=paths([shared]), class_models={1: paths([several]), 3: paths([several])}
    )
    check_composition(composition, wanted, frames)
