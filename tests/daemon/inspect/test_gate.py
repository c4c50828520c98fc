"""Gates: what the OpenVINO engine hands on, and what the pipeline makes of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnx.parser
import pytest

from stripwatch.engines.base import presence_thresholds
from stripwatch.engines.manifest import DefectClass, FakeBehaviour, Gate, Manifest
from stripwatch.engines.openvino import OpenVinoEngine
from stripwatch.errors import ModelError
from stripwatch.testing import fake_line
from stripwatch.wire.event import Defect

HALF = np.full(2, 0.5, np.float32)
# Class 1 is what is bright, class 2 what is dark. The gate sees a defect where a frame is bright on
# the whole, the classifier a class where its mean probability is high.
GRAPH = """
<ir_version: 9, opset_import: ["": 18]>
gated (uint8[1,4,8] frames, float[2] thresholds, float[3] presence_thresholds) =>
  (uint8[1,4,8] mask, float[1,2] area, float[1,2] peak, uint8[1,2,4,8] prob, uint8[1,2] absent)
<float full = {255}, float one = {1}, float[1,2,1,1] bits = {1, 2}, int64[1] first = {0},
 int64[1] plane = {1}, int64[2] inner = {2, 3}, int64[4] spread = {1, 2, 1, 1},
 int64[2] parts = {1, 2}>
{
  levels = Cast <to = 1> (frames)
  bright = Div (levels, full)
  dark = Sub (one, bright)
  bright_plane = Unsqueeze (bright, plane)
  dark_plane = Unsqueeze (dark, plane)
  probability = Concat <axis = 1> (bright_plane, dark_plane)
  scaled = Mul (probability, full)
  prob = Cast <to = 2> (scaled)
  peak = ReduceMax <keepdims = 0> (probability, inner)
  limits = Reshape (thresholds, spread)
  over = GreaterOrEqual (probability, limits)
  present = Cast <to = 1> (over)
  area = ReduceSum <keepdims = 0> (present, inner)
  weighted = Mul (present, bits)
  planes = ReduceSum <keepdims = 0> (weighted, plane)
  mask = Cast <to = 2> (planes)
  mean = ReduceMean <keepdims = 0> (probability, inner)
  overall = Gather <axis = 1> (mean, first)
  gate_limit, class_limits = Split <axis = 0> (presence_thresholds, parts)
  clean = Less (overall, gate_limit)
  below = Less (mean, class_limits)
  judged = Or (clean, below)
  absent = Cast <to = 2> (judged)
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a graph that has a gate."""
    folder = tmp_path_factory.mktemp("gated")
    onnx.save(onnx.parser.parse_model(GRAPH), folder / "graph.onnx")
    return folder


def manifest(gate: Gate | None) -> Manifest:
    """Of the graph; without `gate`, one that hides it."""
    return Manifest(
        target="openvino",
        engine_hash="",
        builder="test",
        precision="fp32",
        frame_shape=(4, 8),
        classes=tuple(DefectClass(id=number, name=f"kind{number}") for number in (1, 2)),
        files=("graph.onnx",),
        gate=gate,
        command="engine-build steel.onnx --gate gate.onnx",
    )


def frames() -> np.ndarray:
    """uint8 [3, 4, 8]: a dark frame, a bright one, and one that is both."""
    both = np.zeros((4, 8), np.uint8)
    both[:, :4] = 255
    return np.stack([np.full((4, 8), 20, np.uint8), np.full((4, 8), 230, np.uint8), both])


@pytest.mark.parametrize(
    ("gate", "absent"),
    [
        (Gate(mode="soft", class_thresholds=(0.4, 0.4)), [[1, 0], [0, 1], [0, 0]]),
        (Gate(mode="soft", class_thresholds=(0.6, 0.4)), [[1, 0], [0, 1], [1, 0]]),
        (Gate(mode="soft", gate_threshold=0.6), [[1, 1], [0, 0], [1, 1]]),
        (
            Gate(mode="skip", gate_threshold=0.3, class_thresholds=(0.6, 0.4)),
            [[1, 1], [0, 1], [1, 0]],
        ),
    ],
)
def test_the_graph_gets_the_manifests_thresholds_and_says_what_is_absent(
    folder: Path, gate: Gate, absent: list[list[int]]
) -> None:
    """By row, in the engine's own memory, and the same when a slot is used again."""
    slot = frames()
    engine = OpenVinoEngine(folder, manifest(gate), [slot], 1, 1)
    engine.submit(0, 3, HALF)
    result = engine.wait(0)
    assert result.absent.tolist() == absent
    assert result.area.tolist() == [[0, 32], [32, 0], [16, 16]]
    slot[:] = frames()[::-1]
    engine.submit(0, 2, HALF)
    assert engine.wait(0).absent.tolist() == absent[:0:-1]
    assert np.shares_memory(engine.wait(0).absent, result.absent)
    for row, request in enumerate(engine._requests[0]):
        assert np.shares_memory(request.get_tensor("absent").data, result.absent[row])
    engine.close()


def test_thresholds_of_a_judge_that_an_engine_lacks_never_say_absent() -> None:
    """They are 0, and no probability is below 0."""
    given = presence_thresholds(Gate(mode="soft", gate_threshold=0.25), 2)
    assert given.dtype == np.float32
    assert given.tolist() == [0.25, 0, 0]
    given = presence_thresholds(Gate(mode="soft", class_thresholds=(0.5, 0.75)), 2)
    assert given.tolist() == [0, 0.5, 0.75]


def test_a_manifest_that_hides_or_invents_a_gate_is_refused(folder: Path, tmp_path: Path) -> None:
    """No threshold is left to what happens to lie in memory."""
    with pytest.raises(ModelError, match=r"has a gate, .* anew with: engine-build steel\.onnx"):
        OpenVinoEngine(folder, manifest(None), [frames()], 1, 1)
    graph = onnx.parser.parse_model(
        GRAPH.replace(", float[3] presence_thresholds", "")
        .replace(", uint8[1,2] absent", "")
        .partition("  mean =")[0]
        + "}"
    )
    onnx.save(graph, tmp_path / "graph.onnx")
    gate = Gate(mode="soft", gate_threshold=0.5)
    with pytest.raises(ModelError, match=r"cannot load .* anew with: engine-build steel\.onnx"):
        OpenVinoEngine(tmp_path, manifest(gate), [frames()], 1, 1)
    OpenVinoEngine(tmp_path, manifest(None), [frames()], 1, 1).close()


@pytest.mark.parametrize(
    ("gate", "areas"),
    [
        (None, {(1, 3), (1, 12), (2, 3), (2, 12)}),
        (Gate(mode="skip", gate_threshold=0.5), {(1, 3), (1, 12), (2, 3), (2, 12)}),
        (Gate(mode="soft", min_area_factor=5), {(1, 12), (2, 3), (2, 12)}),
        (Gate(mode="soft", min_area_factor=6.5), {(2, 3), (2, 12)}),
    ],
)
def test_a_small_defect_of_an_absent_class_vanishes_and_a_large_one_stays(
    gate: Gate | None, areas: set[tuple[int, int]]
) -> None:
    """In mode `soft`, and of that class only; `skip` leaves the minimum areas alone."""
    classes = tuple(
        DefectClass(id=number, name=f"kind{number}", min_area_px=2) for number in (1, 2, 3, 4)
    )
    pixels = np.zeros((8, 32), np.uint8)
    for column, paint in ((0, 252), (10, 253)):  # classes 1 and 2
        pixels[1, column : column + 3] = paint
        pixels[4:7, column : column + 4] = paint
    with fake_line(FakeBehaviour(absent=(1, 4)), classes=classes, gate=gate) as line:
        line.camera.send("top", "s", 0, pixels)
        line.wait_for_frame("top", "s", 0)
    defects = [event for event in line.events if isinstance(event, Defect)]
    assert {(defect.class_id, defect.area_px) for defect in defects} == areas
    assert len(defects) == len(areas)


def test_a_gate_survives_the_manifest() -> None:
    """What engine-build writes is what the daemon reads."""
    written = manifest(Gate(mode="skip", gate_threshold=0.3, class_thresholds=(0.6, 0.4)))
    assert msgspec.json.decode(msgspec.json.encode(written), type=Manifest) == written
