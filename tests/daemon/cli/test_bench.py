"""`stripwatch bench`: what it refuses, and what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from stripwatch.cli.bench import COLUMNS_MAX, table_of
from stripwatch.cli.main import main
from stripwatch.engines.manifest import DefectClass, FakeBehaviour, Manifest, save_manifest
from stripwatch.errors import ExitCode
from stripwatch.lab.bench import load

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


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """One second of percentiles is enough: their values are not tested."""
    monkeypatch.setattr(load, "LATENCY_S_MIN", 1.2)


@pytest.mark.parametrize("flags", [["--gpu"], ["--only", "gpu"], ["--gpu", "--only", "swap"]])
def test_an_engine_that_is_for_no_gpu_is_refused(
    flags: list[str], engine_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The refusal names the engine's target and the command that builds one for a GPU."""
    assert main(["bench", *flags, "--engine", str(engine_folder)]) == ExitCode.CONFIG
    error = capsys.readouterr().err
    assert "target fake" in error
    assert "engine-build MODEL.onnx --target tensorrt-rtx" in error


def test_rivals_need_the_network_that_they_run(
    engine_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The refusal names the flag, with an example."""
    flags = ["--only", "rivals", "--engine", str(engine_folder)]
    assert main(["bench", *flags]) == ExitCode.CONFIG
    assert "--onnx models/edge/model.onnx" in capsys.readouterr().err


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
    """A wrong file name is an error before anything is measured."""
    flags = ["--engine", str(engine_folder), flag, str(tmp_path / "none")]
    assert main(["bench", "--only", "load", *flags]) == ExitCode.CONFIG
    assert "none is no file" in capsys.readouterr().err


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


def test_figures_of_many_keys_stand_below_each_other() -> None:
    """Beside each other they would not fit a terminal of 80 characters."""
    keys = [f"thread{number}_us" for number in range(COLUMNS_MAX + 1)]
    console = Console(width=80)
    with console.capture() as captured:
        console.print(table_of([dict.fromkeys(keys, 12.5), dict.fromkeys(keys, 7.25)]))
    lines = [line for line in captured.get().splitlines() if "thread" in line]
    assert [line.split()[1] for line in lines] == [f"thread{number}" for number in range(8)]
    assert all("12.5" in line and "7.25" in line for line in lines)
