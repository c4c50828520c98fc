"""The bench's GPU part as far as it goes without a GPU, and its load and swap on a fake engine."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from stripwatch.cli.main import main
from stripwatch.engines.base import Engine, Frames
from stripwatch.engines.fake import fake_factory
from stripwatch.engines.manifest import DefectClass, FakeBehaviour, Manifest, save_manifest
from stripwatch.errors import DeviceError, ExitCode
from stripwatch.inspect.model import Model
from stripwatch.lab.bench import load
from stripwatch.lab.bench.batches import percentiles, run_batches
from stripwatch.lab.bench.figures import Figures
from stripwatch.lab.bench.gpu import batch_sizes
from stripwatch.lab.bench.gpu_figures import Reading, overlap_limit, summary
from stripwatch.lab.bench.harness import BenchSetup
from stripwatch.lab.bench.other_runtimes import other_runtimes, prepared

SHAPE = (8, 32)
CLASSES = (DefectClass(id=1, name="pits"),)


@pytest.fixture
def engine_folder(tmp_path: Path) -> Path:
    """The folder of a fake engine."""
    folder = tmp_path / "engine"
    folder.mkdir()
    manifest = Manifest(
        target="fake",
        engine_hash="0" * 64,
        builder="test",
        precision="fp32",
        frame_shape=SHAPE,
        classes=CLASSES,
        fake=FakeBehaviour(read_pixels=False),
    )
    save_manifest(folder, manifest)
    return folder


@pytest.fixture
def setup(tmp_path_factory: pytest.TempPathFactory) -> BenchSetup:
    """A small line with a short path for its sockets."""
    return BenchSetup(SHAPE, 4, 0.2, tmp_path_factory.mktemp("s"), wait_ms=2)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """One second of percentiles is enough: their values are not tested."""
    monkeypatch.setattr(load, "LATENCY_S_MIN", 1.2)


def goal_of(figures: Figures) -> tuple[str, str]:
    """What was measured of the only goal, and whether it is met."""
    goals = figures["goals"]
    assert isinstance(goals, list)
    goal, *_ = goals
    return goal["measured"], goal["met"]


@pytest.mark.parametrize("flags", [["--gpu"], ["--only", "gpu"], ["--gpu", "--only", "swap"]])
def test_an_engine_that_is_for_no_gpu_is_refused(
    flags: list[str], engine_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The refusal names the engine's target and the command that builds one for a GPU."""
    assert main(["bench", *flags, "--engine", str(engine_folder)]) == ExitCode.CONFIG
    error = capsys.readouterr().err
    assert "target fake" in error
    assert "engine-build MODEL.onnx --target tensorrt-rtx" in error


@pytest.mark.parametrize("flags", [["--gpu"], ["--only", "load"], ["--only", "swap"]])
def test_without_an_engine_nothing_is_measured(
    flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The refusal names the flag that is missing."""
    assert main(["bench", *flags]) == ExitCode.CONFIG
    assert "--engine FOLDER" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--rate", "--wait-ms", "--rows", "--seconds"])
@pytest.mark.parametrize("value", ["0", "-1"])
def test_figures_that_measure_nothing_are_refused(
    flag: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The refusal names the flag."""
    assert main(["bench", "--only", "inspect", flag, value]) == ExitCode.CONFIG
    assert flag in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--torch", "--onnx"])
def test_a_network_that_is_not_there_is_refused(
    flag: str, engine_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped file name is told before anything is measured."""
    flags = ["--engine", str(engine_folder), flag, str(tmp_path / "none")]
    assert main(["bench", "--only", "load", *flags]) == ExitCode.CONFIG
    assert "none is no file" in capsys.readouterr().err


@pytest.mark.slow
def test_a_swap_under_load_exchanges_the_engine_and_loses_no_frame(setup: BenchSetup) -> None:
    """A second engine is made beside the first, and every frame meanwhile is inspected."""
    make = fake_factory(FakeBehaviour(read_pixels=False), len(CLASSES))
    made_beside: list[Engine | None] = []

    def factory(slots: Sequence[Frames], beside: Engine | None = None) -> Engine:
        made_beside.append(beside)
        return make(slots, beside)

    figures = load.hot_swap(setup, Model("0" * 64, CLASSES), factory, rate=50)
    # Made for the capacity, for the load, and beside the latter.
    assert [other is not None for other in made_beside] == [False, False, True]
    assert goal_of(figures) == ("none", "yes")
    assert figures["inspected_meanwhile"]
    assert figures["offered_frames_per_s"] == 50


@pytest.mark.slow
def test_a_swap_that_fails_is_told(setup: BenchSetup) -> None:
    """What keeps the new engine from being made ends the measurement."""
    make = fake_factory(FakeBehaviour(read_pixels=False), len(CLASSES))

    def factory(slots: Sequence[Frames], beside: Engine | None = None) -> Engine:
        if beside is not None:
            raise DeviceError("no room for two")
        return make(slots)

    with pytest.raises(DeviceError, match="no room for two"):
        load.hot_swap(setup, Model("0" * 64, CLASSES), factory, rate=50)


@pytest.mark.slow
def test_a_load_is_measured_and_written(
    engine_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rate, drops and latency are there, and the goal stands beside what was measured."""
    path = tmp_path / "bench.json"
    flags = ["--only", "load", "--rate", "50", "--seconds", "0.2", "--json", str(path)]
    assert main(["bench", "--engine", str(engine_folder), *flags]) == ExitCode.OK
    figures = json.loads(path.read_text())["load"]
    assert figures["rows"] == 4
    assert figures["wait_ms"] == 2
    assert figures["asked_frames_per_s"] == 50
    assert set(figures["latency_ms"]["total"]) == {"p50", "p99", "max"}
    assert figures["goals"][0]["figure"] == "p99 of total at 50 frames/s"
    assert "<= 10 ms, no drop" in capsys.readouterr().out


@pytest.mark.slow
def test_more_than_the_engine_can_take_shows_as_drops(setup: BenchSetup) -> None:
    """A slow engine's drops are counted by cause, and the goal is not met."""
    slow = fake_factory(FakeBehaviour(delay_ms=200, read_pixels=False), len(CLASSES))
    figures = load.under_load(setup, Model("0" * 64, CLASSES), slow, rate=400)
    assert "overload" in str(figures["drops"])
    assert goal_of(figures)[1] == "no"


def test_a_runtime_without_a_file_is_not_measured() -> None:
    """Each says which flag is missing."""
    reasons = {runtime.name: prepared(runtime, 4) for runtime in other_runtimes(None, None)}
    assert {name: compute for name, (compute, _) in reasons.items()} == dict.fromkeys(reasons)
    assert "--torch" in reasons["PyTorch eager"][1]
    assert "--torch" in reasons["PyTorch compile"][1]
    assert "--onnx" in reasons["ONNX Runtime CUDA"][1]


def test_a_runtime_that_is_not_installed_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its absence is a remark, not an error."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for runtime in other_runtimes(tmp_path / "net.pt2", tmp_path / "net.onnx"):
        compute, reason = prepared(runtime, 4)
        assert compute is None
        assert reason.startswith("not installed: ")


def test_an_onnx_runtime_without_cuda_says_so(tmp_path: Path) -> None:
    """The one that stripwatch depends on computes on the processor: nothing to compare with."""
    *_, onnx = other_runtimes(None, tmp_path / "net.onnx")
    compute, reason = prepared(onnx, 4)
    assert compute is None
    assert reason == "not installed: this ONNX Runtime has no CUDA execution provider"


@pytest.mark.parametrize(
    ("batch", "rows", "sizes"),
    [
        (None, None, [1, 4, 8, 16]),
        ((1, 16), None, [1, 4, 8, 16]),
        ((2, 9), None, [4, 8]),
        ((2, 3), None, [3]),
        ((1, 16), 6, [6]),
    ],
)
def test_batch_sizes_are_those_that_the_engine_takes(
    batch: tuple[int, int] | None, rows: int | None, sizes: list[int]
) -> None:
    """All of the usual ones in its range, or the one that was asked for."""
    manifest = Manifest("tensorrt", "", "test", "fp16", SHAPE, CLASSES, batch=batch)
    assert batch_sizes(manifest, rows) == sizes


@pytest.mark.parametrize(
    ("copy_ms", "compute_ms", "limit"), [(1, 1, 2.0), (1, 3, 4 / 3), (3, 1, 4 / 3), (0, 0, 1.0)]
)
def test_the_limit_of_overlap(copy_ms: float, compute_ms: float, limit: float) -> None:
    """Copying and computing at the same time takes as long as the longer of the two."""
    assert overlap_limit(copy_ms, compute_ms) == pytest.approx(limit)


def test_percentiles_of_batches() -> None:
    """p50 and p99 lie between the values, max is one of them."""
    values = [float(value) for value in range(101)]
    assert percentiles(values) == {"p50": 50, "p99": 99, "max": 100}


def test_rounds_become_medians_and_the_largest_maximum() -> None:
    """A mode's row has the median of its rounds, and `unknown` where there is no reading."""
    readings = [
        Reading(rate, {"p50": rate, "p99": 2 * rate, "max": 3 * rate}, None, rate)
        for rate in (1.0, 5.0, 2.0)
    ]
    assert summary(4, "bare", readings) == {
        "rows": 4,
        "mode": "bare",
        "frames_per_s": 2.0,
        "p50_ms": 2.0,
        "p99_ms": 4.0,
        "max_ms": 15.0,
        "gpu_percent": "unknown",
        "cpu_percent": 2,
    }
    assert "gpu_percent" not in summary(4, "PyTorch eager", readings)


@pytest.mark.parametrize("in_flight", [1, 2])
def test_batches_go_through_the_places_in_turn(in_flight: int) -> None:
    """None is started before its place is free, and never more than allowed are in flight."""
    running: list[int] = []
    order: list[int] = []

    def start(place: int) -> None:
        assert place not in running
        running.append(place)
        assert len(running) <= in_flight

    def finish(place: int) -> None:
        running.remove(place)
        order.append(place)

    timing = run_batches(start, finish, places=3, in_flight_max=in_flight, seconds=0.01)
    assert order[:4] == [0, 1, 2, 0]
    assert not running
    assert timing.per_s > 0
