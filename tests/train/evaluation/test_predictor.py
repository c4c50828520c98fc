"""What is judged is what runs: models, compositions, engines and runs, and frames of any size."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from tests.train.tiny_models import (
    BRIGHT,
    CLASSES,
    CLEAN,
    DARK,
    Bytes,
    painted,
    save_model,
    write_run,
)

from stripwatch.engines.fake import fake_factory
from stripwatch.engines.manifest import FakeBehaviour, Gate, Manifest, save_manifest
from stripwatch.errors import ConfigError, DeviceError, ModelError
from stripwatch.synthetic import CLASSES as STRIP_CLASSES
from stripwatch.synthetic import SyntheticStrip
from stripwatch_engine.graph.compose import compose_inspection_graph
from stripwatch_engine.models.composition import Composition
from stripwatch_engine.models.deployment import load_deployment
from stripwatch_engine.models.model_card import load_card
from stripwatch_engine.verify.agreement import run_graph
from stripwatch_train.evaluation.engine_runner import EngineRunner, Prediction
from stripwatch_train.evaluation.predictor import RUNNERS_MAX, open_predictor
from stripwatch_train.runs.run_folder import MemberFile

EDGE = Path(__file__).resolve().parents[3] / "models" / "edge" / "model.onnx"
SHAPE = (16, 48)


def wanted_bytes(frame: Bytes) -> Bytes:
    """The probabilities of the tiny model."""
    x = frame.astype(np.float32) / 255
    planes = np.stack([np.clip(gain * x + offset, 0, 1) for gain, offset in (BRIGHT, DARK)])
    return np.rint(planes * 255).astype(np.uint8)


def noise(seed: int, shape: tuple[int, int] = SHAPE) -> Bytes:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def check(found: Prediction, frame: Bytes) -> None:
    assert np.abs(found.prob.astype(int) - wanted_bytes(frame)).max() <= 1


def fake_engine(folder: Path, **changes: object) -> Path:
    fields: dict[str, object] = {
        "target": "fake",
        "engine_hash": "0" * 64,
        "builder": "test",
        "precision": "fp32",
        "frame_shape": SHAPE,
        "classes": STRIP_CLASSES,
    }
    folder.mkdir()
    save_manifest(folder, Manifest(**(fields | changes)))  # type: ignore[arg-type]
    return folder


def test_a_prediction_equals_the_output_of_the_float32_graph() -> None:
    """The embedded one, on real frames of the synthetic strip; to 1/255."""
    strip = SyntheticStrip(3, (256, 1600), 8.0)
    frames = np.stack([strip.frame(index).pixels for index in range(3)])
    deployment = load_deployment(Composition(models=(str(EDGE),)), (256, 1600))
    graph = compose_inspection_graph(deployment, bytes_early=True)
    wanted = run_graph(graph, frames, deployment.classes, None)
    with open_predictor(EDGE) as predictor:
        found = list(predictor.predictions(frames))
    assert predictor.classes == load_card(EDGE).classes
    assert max(entry.prob.max() for entry in found) > 200
    for entry, prob in zip(found, wanted.prob, strict=True):
        assert np.abs(entry.prob.astype(int) - prob).max() <= 1
        assert not entry.absent.any()


def test_frames_come_out_in_their_order_whatever_their_size(tmp_path: Path) -> None:
    """Also with more sizes than engines are kept, and back again to the first."""
    model = save_model(tmp_path / "model.onnx", SHAPE)
    shapes = [(SHAPE[0], 8 * (2 + index)) for index in range(RUNNERS_MAX + 1)]
    wanted = [*shapes, shapes[0], shapes[0]]
    greys = np.linspace(10, 240, len(wanted)).astype(int).tolist()
    frames = [np.full(shape, grey, np.uint8) for shape, grey in zip(wanted, greys, strict=True)]
    with open_predictor(model) as predictor:
        found = list(predictor.predictions(frames))
    assert len(found) == len(frames)
    for frame, entry in zip(frames, found, strict=True):
        assert entry.prob.shape == (2, *frame.shape)
        check(entry, frame)


def test_whoever_stops_in_between_can_ask_again(tmp_path: Path) -> None:
    model = save_model(tmp_path / "model.onnx", SHAPE)
    frames = [noise(seed) for seed in range(40)]
    with open_predictor(model) as predictor:
        first = list(islice(predictor.predictions(frames), 1))
        check(first[0], frames[0])
        assert list(predictor.predictions([])) == []
        # All are held before the first is looked at: none is a view of memory that is used again.
        for frame, entry in zip(frames, list(predictor.predictions(frames)), strict=True):
            check(entry, frame)


def test_no_batch_is_left_in_the_engine_by_whoever_stops() -> None:
    """Its slots could not be submitted again."""
    waited: list[int] = []
    line = EngineRunner(fake_factory(fault=waited.append), SHAPE, rows=2, classes=4)
    answers = line.run(noise(seed) for seed in range(10))
    next(iter(answers))
    assert waited == [1]
    answers.close()  # type: ignore[attr-defined]
    assert waited == [1, 2]
    assert len(list(line.run(noise(seed) for seed in range(5)))) == 5
    assert waited == [1, 2, 3, 4, 5]
    line.close()


def test_an_engine_folder_is_run_as_it_is(
    tmp_path: Path, build_engine: Callable[[Path, tuple[int, int], Path], Manifest]
) -> None:
    """And takes frames of its own size only."""
    model = save_model(tmp_path / "model.onnx", SHAPE)
    build_engine(model, SHAPE, tmp_path / "engine")
    frames = [noise(seed) for seed in range(3)]
    with open_predictor(tmp_path / "engine") as predictor:
        for frame, entry in zip(frames, predictor.predictions(frames), strict=True):
            check(entry, frame)
        with pytest.raises(ConfigError, match=r"frames of 16 x 48 .* one is 16 x 32; .*--frame"):
            list(predictor.predictions([noise(1, (16, 32))]))


def test_a_composition_and_a_run_are_opened_as_they_are_deployed(tmp_path: Path) -> None:
    """A class's own model has precedence; a run is its deployment.toml."""
    save_model(tmp_path / "all" / "model.onnx", SHAPE)
    save_model(tmp_path / "one" / "model.onnx", SHAPE, CLASSES[:1], [(0.0, 0.25)])
    members = [
        MemberFile("all", "segmentation", 0),
        MemberFile("one", "segmentation", 0, class_id=1),
    ]
    run = write_run(tmp_path, tmp_path, {"a": 0}, members)
    frame = painted(SHAPE, (2, 2, 9, 9, 0))
    for path in (run, run / "deployment.toml", run / "deployment-fold0.toml"):
        with open_predictor(path) as predictor:
            (found,) = predictor.predictions([frame])
        assert set(found.prob[0].ravel().tolist()) == {64}  # 0.25 everywhere
        assert np.array_equal(found.prob[1] > 200, frame == 0)
        assert predictor.gate is None


def test_only_softmax_with_a_background_has_a_background(tmp_path: Path) -> None:
    """Its probabilities and that of the background add up to 1."""
    lines = [(0.0, 0.0), BRIGHT, DARK]
    soft = save_model(
        tmp_path / "soft.onnx", SHAPE, CLASSES, lines, activation="softmax", background=True
    )
    plain = save_model(tmp_path / "plain.onnx", SHAPE)
    with open_predictor(soft) as predictor:
        assert predictor.has_background
        (found,) = predictor.predictions([np.full(SHAPE, CLEAN, np.uint8)])
        assert np.abs(found.prob.astype(int) - 85).max() <= 1  # a third each
    with open_predictor(plain) as predictor:
        assert not predictor.has_background


def test_a_gate_that_skips_leaves_nothing_of_absent_classes(tmp_path: Path) -> None:
    """In mode `soft` the probabilities stay: only minimum areas rise."""
    frame = painted(SHAPE, (2, 2, 5, 5, 252), (20, 2, 5, 5, 253))
    behaviour = FakeBehaviour(absent=(1,))
    for mode, left in (("skip", 0), ("soft", 204)):
        gate = Gate(mode=mode, gate_threshold=0.5)  # type: ignore[arg-type]
        folder = fake_engine(tmp_path / mode, gate=gate, fake=behaviour)
        with open_predictor(folder) as predictor:
            (found,) = predictor.predictions([frame])
        assert found.absent.tolist() == [True, False, False, False]
        assert found.prob[0].max() == left
        assert found.prob[1].max() == 204


def test_a_device_that_fails_is_reported(tmp_path: Path) -> None:
    folder = fake_engine(tmp_path / "engine", fake=FakeBehaviour(fail_every=2), batch=(1, 1))
    with open_predictor(folder) as predictor, pytest.raises(DeviceError, match="fake fault"):
        list(predictor.predictions([noise(seed) for seed in range(4)]))


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    """With a sentence that says what would be one."""
    (tmp_path / "frame.png").write_bytes(b"")
    for path in (tmp_path, tmp_path / "frame.png"):
        with pytest.raises(ConfigError, match=r"is no model; name an \.onnx"):
            open_predictor(path)
    with pytest.raises(ModelError, match="missing"):
        open_predictor(tmp_path / "missing.onnx")
    with pytest.raises(ConfigError, match="cannot be read"):
        open_predictor(tmp_path / "missing.toml")


def test_a_model_without_its_card_is_refused(tmp_path: Path) -> None:
    """Also inside a composition; flags of other commands are not spoken of."""
    save_model(tmp_path / "model.onnx", SHAPE).with_suffix(".json").unlink()
    (tmp_path / "line.toml").write_text('models = ["model.onnx"]\n')
    for name in ("model.onnx", "line.toml"):
        with pytest.raises(ConfigError, match=r"model\.onnx: has no model\.json; put the one"):
            open_predictor(tmp_path / name)


# Without the one core of `stripwatch.engines.openvino`, the last line crashes.
PREDICT_AND_FORK = """
import gc, sys
from pathlib import Path
import numpy as np
import torch
from stripwatch_train.evaluation.predictor import open_predictor
with open_predictor(Path(sys.argv[1])) as predictor:
    for width in (64, 128):
        list(predictor.predictions([np.zeros((32, width), np.uint8)] * 2))
del predictor
gc.collect()
print([int(value) for value in torch.utils.data.DataLoader(range(4), num_workers=1)])
"""


@pytest.mark.slow
def test_a_process_may_fork_after_its_last_engine_is_gone() -> None:
    """Training loads frames in processes of its own, perhaps after an evaluation."""
    done = subprocess.run(
        [sys.executable, "-c", PREDICT_AND_FORK, EDGE], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "[0, 1, 2, 3]\n"), done.stderr
