"""Gates and classifiers in the inspection graph: `skip` and `soft`, as torch classifies frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.engine_build.torch_nets import (
    Bytes,
    Classifier,
    Net,
    OpenVino,
    Reals,
    Results,
    bits_of,
    check_results,
    image_of,
    model_output,
    probability,
    quantile_thresholds,
    runners,
    save_net,
    segmenter,
)
from tests.models import make_card, numbered_classes

from stripwatch.engines.base import Resources
from stripwatch.engines.load import engine_factory
from stripwatch.engines.manifest import load_manifest
from stripwatch_engine.build import BuildOptions, build
from stripwatch_engine.graph.compose import compose_inspection_graph
from stripwatch_engine.models.composition import Composition, GateMode
from stripwatch_engine.models.deployment import load_deployment
from stripwatch_engine.models.reference import Session
from stripwatch_engine.settings import BuildSettings

SHAPE = (32, 96)
GATE_THRESHOLD, CLASS_THRESHOLD = 0.4, 0.6
PRESENCE = np.array([GATE_THRESHOLD, *[CLASS_THRESHOLD] * 3], np.float32)
FRAME_MODELS = ["gate", "classifier", "both"]


def frames_of(*levels: int) -> Bytes:
    """A frame of noise around each brightness."""
    generator = np.random.default_rng(21)
    return np.stack(
        [generator.integers(level - 40, level + 40, SHAPE, np.uint8) for level in levels]
    )


@dataclass(frozen=True)
class Gated:
    """A deployment with a gate, a classifier or both, and torch's results for it."""

    composition: Composition
    segmentation: Net
    frame_models: dict[str, Net]

    def absent(self, frames: Bytes) -> NDArray[np.bool_]:
        """[n, 3]: True where gate or classifier find a class absent."""
        found = np.zeros((len(frames), 3), np.bool_)
        for role, net in self.frame_models.items():
            limit = GATE_THRESHOLD if role == "gate" else CLASS_THRESHOLD
            scores = model_output(net, image_of(net.card, frames)).flatten(1)
            found |= np.asarray(scores < limit)
        return found

    def runners(self) -> dict[str, OpenVino | Session]:
        deployment = load_deployment(self.composition, SHAPE)
        early = compose_inspection_graph(deployment, bytes_early=True)
        return runners(early, compose_inspection_graph(deployment, bytes_early=False))


def make_gated(
    folder: Path, frame_models: str, mode: GateMode, *, rank: int = 2, softmax: bool = False
) -> Gated:
    """The gate finds bright frames; the classifier's classes are bright, dark and very bright."""
    nets = {}
    activation = "softmax" if softmax else "sigmoid"
    if frame_models in {"gate", "both"}:
        gains, biases = [6.0], [0.0]
        card = make_card(
            (8, 24),
            3,
            activation=activation,
            background=softmax,
            classes=numbered_classes(1, GATE_THRESHOLD),
        )
        if softmax:
            gains, biases = [0.0, *gains], [0.0, *biases]
        nets["gate"] = save_net(folder, "gate", Classifier(3, gains, biases, rank), card)
    if frame_models in {"classifier", "both"}:
        card = make_card(SHAPE, mean=0.3, classes=numbered_classes(3, CLASS_THRESHOLD))
        module = Classifier(1, [6.0, -6.0, 6.0], [0.0, 3.0, -9.0], rank)
        nets["classifier"] = save_net(folder, "classifier", module, card)
    # A soft gate multiplies minimum areas: without one it is refused.
    classes = numbered_classes(3, min_area_px=1)
    segmentation = segmenter(folder, make_card(classes=classes), stride=2)
    composition = Composition(
        models=(str(segmentation.path),),
        gate_mode=mode,
        **{role: str(net.path) for role, net in nets.items()},  # type: ignore[arg-type]
    )
    return Gated(composition, segmentation, nets)


def inputs(frames: Bytes, limits: Reals, presence: Reals = PRESENCE) -> Results:
    return {"frames": frames, "thresholds": limits, "presence_thresholds": presence}


LEVELS = (50, 110, 200, 60)  # dark: clean for the gate


@pytest.mark.parametrize("rank", [2, 4])
@pytest.mark.parametrize("frame_models", FRAME_MODELS)
def test_skip_reports_no_class_that_is_found_absent(
    tmp_path: Path, frame_models: str, rank: int
) -> None:
    """Its area and peak are 0 and it has no pixel; the other classes are as without a gate."""
    gated = make_gated(tmp_path, frame_models, "skip", rank=rank)
    frames = frames_of(*LEVELS)
    absent = gated.absent(frames)
    assert 0 < absent.mean() < 1
    wanted = probability(gated.segmentation, frames)
    limits = quantile_thresholds(wanted)
    for what, runner in gated.runners().items():
        for rows in (slice(0, 4), slice(2, 3)):
            found = runner.run(inputs(frames[rows], limits))
            assert np.array_equal(found["absent"], absent[rows]), what
            check_results(found, wanted[rows], limits + 2 * absent[rows])
            peak = wanted[rows].max(axis=(2, 3)) * ~absent[rows]
            np.testing.assert_allclose(found["peak"], peak, atol=1e-4)
            assert not found["area"][absent[rows]].any()
            assert found["area"][~absent[rows]].any(), what
    # The case is meaningful: without gate and classifier more is found.
    assert (wanted >= limits[:, None, None])[absent].any()


@pytest.mark.parametrize("role", ["gate", "classifier"])
def test_several_models_of_a_role_are_averaged_and_the_first_gives_the_thresholds(
    tmp_path: Path, role: str
) -> None:
    (tmp_path / "other").mkdir()
    gated = make_gated(tmp_path, role, "soft")
    first = gated.frame_models[role]
    outputs = len(first.card.classes)
    card = msgspec.structs.replace(first.card, classes=numbered_classes(outputs, 0.9), mean=0.5)
    channels = card.input.channels
    module = Classifier(channels, [2.0] * outputs, [-9.0] * outputs, 2)
    second = save_net(tmp_path / "other", role, module, card)
    limit = first.card.classes[0].threshold
    pair = (str(first.path), str(second.path))
    composition = msgspec.structs.replace(gated.composition, **{role: pair})
    frames = frames_of(*LEVELS)
    scores = np.stack(
        [
            model_output(net, image_of(net.card, frames)).flatten(1).numpy()
            for net in (first, second)
        ]
    )
    wanted, alone = scores.mean(axis=0) < limit, scores[0] < limit
    assert (wanted != alone).any()  # the second has an effect
    for runner in Gated(composition, gated.segmentation, {}).runners().values():
        found = runner.run(inputs(frames, np.full(3, 0.5, np.float32)))["absent"]
        assert np.array_equal(found, np.broadcast_to(wanted, (len(frames), 3)))


@pytest.mark.parametrize("frame_models", ["gate", "both"])
def test_skip_gives_zeros_where_a_whole_batch_is_clean(tmp_path: Path, frame_models: str) -> None:
    """Nothing was segmented: even `prob` is 0."""
    gated = make_gated(tmp_path, frame_models, "skip")
    limits = np.full(3, 0.1, np.float32)
    for levels in ((50, 60, 45), (50,)):
        frames = frames_of(*levels)
        assert gated.absent(frames).all()
        for runner in gated.runners().values():
            found = runner.run(inputs(frames, limits))
            assert found["absent"].all()
            assert found["mask"].shape == frames.shape
            assert found["prob"].shape == (len(levels), 3, *SHAPE)
            assert found["mask"].dtype == found["prob"].dtype == np.uint8
            assert not any(found[name].any() for name in ("mask", "area", "peak", "prob"))


@pytest.mark.parametrize("mode", ["skip", "soft"])
@pytest.mark.parametrize("frame_models", FRAME_MODELS)
def test_presence_thresholds_of_zero_find_nothing_absent(
    tmp_path: Path, frame_models: str, mode: GateMode
) -> None:
    """Everything is segmented, as without a gate."""
    gated = make_gated(tmp_path, frame_models, mode)
    frames = frames_of(50, 60)
    wanted = probability(gated.segmentation, frames)
    limits = quantile_thresholds(wanted)
    for runner in gated.runners().values():
        found = runner.run(inputs(frames, limits, np.zeros(4, np.float32)))
        assert not found["absent"].any()
        check_results(found, wanted, limits)
        assert (found["area"] > 0).any(axis=0).all()


def test_what_a_frame_gets_does_not_depend_on_the_frames_beside_it(tmp_path: Path) -> None:
    """A clean frame among others is as clean as alone; `prob` is only promised where area is."""
    gated = make_gated(tmp_path, "both", "skip")
    frames = frames_of(*LEVELS)
    limits = quantile_thresholds(probability(gated.segmentation, frames))
    for runner in gated.runners().values():
        together = runner.run(inputs(frames, limits))
        turned = runner.run(inputs(frames[::-1].copy(), limits))
        for row in range(len(frames)):
            alone = runner.run(inputs(frames[row : row + 1], limits))
            for other in (together, {name: value[::-1] for name, value in turned.items()}):
                for name in ("mask", "area", "absent"):
                    assert np.array_equal(alone[name][0], other[name][row]), name
                np.testing.assert_allclose(alone["peak"][0], other["peak"][row], atol=1e-6)
                if alone["area"].any():
                    assert np.abs(alone["prob"][0].astype(int) - other["prob"][row]).max() <= 1
        areas = together["area"].any(axis=1)
        assert areas.any()
        assert not areas.all()


@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize("frame_models", FRAME_MODELS)
def test_soft_says_what_is_absent_and_changes_no_mask(
    tmp_path: Path, frame_models: str, softmax: bool
) -> None:
    """The daemon raises minimum areas by it; a gate may also output clean and defect."""
    gated = make_gated(tmp_path, frame_models, "soft", softmax=softmax)
    frames = frames_of(*LEVELS)
    absent = gated.absent(frames)
    wanted = probability(gated.segmentation, frames)
    limits = quantile_thresholds(wanted)
    for runner in gated.runners().values():
        found = runner.run(inputs(frames, limits))
        assert found["absent"].dtype == np.uint8
        assert np.array_equal(found["absent"], absent)
        check_results(found, wanted, limits)
        np.testing.assert_allclose(found["peak"], wanted.max(axis=(2, 3)), atol=1e-4)
        assert found["area"][absent].any()


@pytest.mark.parametrize("mode", ["skip", "soft"])
def test_gates_stand_before_compositions_of_several_models(tmp_path: Path, mode: GateMode) -> None:
    """An ensemble with mirror images and a class with its own model, inside the branch."""
    gated = make_gated(tmp_path, "both", mode)
    other = segmenter(tmp_path, make_card(SHAPE, 3), seed=2, opset=18)
    own = segmenter(tmp_path, make_card(SHAPE, classes=numbered_classes(3)), seed=3, stride=4)
    models = (str(gated.segmentation.path), str(other.path))
    fields = {name: getattr(gated.composition, name) for name in Composition.__struct_fields__}
    fields |= {"models": models, "class_models": {2: (str(own.path),)}, "flip": True}
    gated = Gated(Composition(**fields), gated.segmentation, gated.frame_models)
    frames = frames_of(*LEVELS)
    wanted = np.mean(
        [probability(net, frames, flip=True) for net in (gated.segmentation, other)], axis=0
    )
    wanted[:, 1] = probability(own, frames, flip=True)[:, 1]
    limits = quantile_thresholds(wanted)
    absent = gated.absent(frames)
    for runner in gated.runners().values():
        found = runner.run(inputs(frames, limits))
        assert np.array_equal(found["absent"], absent)
        check_results(found, wanted, limits + 2 * absent * (mode == "skip"))


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("mode", ["skip", "soft"])
def test_a_built_openvino_engine_gives_what_its_graph_gives(
    tmp_path: Path, mode: GateMode, precision: str
) -> None:
    """Loaded as the daemon loads it, with its own slots, twice on the same memory."""
    gated = make_gated(tmp_path, "both", mode)
    frames = frames_of(*LEVELS)
    limits = quantile_thresholds(probability(gated.segmentation, frames))
    settings = BuildSettings(
        composition=gated.composition,
        frame_shape=SHAPE,
        precision=precision,  # type: ignore[arg-type]
        verify_frames=2,
    )
    folder = tmp_path / "engine"
    built = build(settings, folder, BuildOptions(allow_unverified=True)).manifest
    manifest = load_manifest(folder)
    assert manifest == built
    assert manifest.gate is not None
    assert (manifest.gate.mode, manifest.gate.gate_threshold) == (mode, GATE_THRESHOLD)
    assert [entry.role for entry in manifest.models] == ["segmentation", "gate", "classifier"]

    slot = np.zeros_like(frames)
    engine = engine_factory(folder, manifest, Resources(threads=1, streams=1))([slot])
    try:
        for batch in (frames, frames[::-1].copy()):
            wanted = gated.runners()["ONNX Runtime, bytes late"].run(inputs(batch, limits))
            slot[:] = batch
            engine.submit(0, len(slot), limits)
            found = engine.wait(0)
            assert np.array_equal(found.absent, wanted["absent"])
            same = bits_of(found.mask, 3) == bits_of(wanted["mask"], 3)
            assert same.mean() > (0.9999 if precision == "fp32" else 0.999)
            assert np.array_equal(found.area, bits_of(found.mask, 3).sum(axis=(2, 3)))
            np.testing.assert_allclose(found.peak, wanted["peak"], atol=2e-3)
    finally:
        engine.close()
