"""Training on the output of another model: teachers and pseudo-labels."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

torch = pytest.importorskip("torch")

from stripwatch.errors import ExitCode  # noqa: E402
from stripwatch.synthetic import SyntheticStrip  # noqa: E402
from stripwatch_train.cli.main import main  # noqa: E402
from stripwatch_train.data.data_set import open_data_set  # noqa: E402
from stripwatch_train.data.folds import read_folds  # noqa: E402
from stripwatch_train.fitting.checkpoints import BEST, load_weights  # noqa: E402
from stripwatch_train.runs.run_folder import FOLDS_NAME, load_run  # noqa: E402

Small = Callable[..., list[str]]
TINY = ("network.channels=[4,8,8]", "network.depth=2")
MEMBER = "segmentation-fold0"

pytestmark = pytest.mark.usefixtures("one_thread")


def run_fit(data: Path, output: Path, changes: list[str], *more: str) -> int:
    flags = [word for change in changes for word in ("--set", change)]
    return main(["fit", "unet", "--data", str(data), "--output", str(output), *flags, *more])


def differ(first: Path, second: Path) -> bool:
    weights, others = (load_weights(run / MEMBER / BEST)[0] for run in (first, second))
    return any(not torch.equal(value, others[name]) for name, value in weights.items())


@pytest.fixture
def teacher(small_data: Path, tmp_path: Path, small: Small) -> Path:
    """A run."""
    assert run_fit(small_data, tmp_path / "teacher", small(*TINY)) == ExitCode.OK
    return tmp_path / "teacher"


def test_a_student_is_trained_on_the_probabilities_of_a_teacher(
    small_data: Path, tmp_path: Path, small: Small, teacher: Path
) -> None:
    taught = tmp_path / "taught"
    words = ["predict", str(teacher), str(small_data), "--soft", "--output", str(taught)]
    assert main(words) == ExitCode.OK
    frames = len(open_data_set(small_data).samples)
    assert len(list((taught / "soft").rglob("*.png"))) == frames
    changes = small(*TINY, "loss.teacher=0.5", "seed=1")
    flags = ("--teacher", str(taught))
    assert run_fit(small_data, tmp_path / "student", changes, *flags) == ExitCode.OK
    assert run_fit(small_data, tmp_path / "alone", changes) == ExitCode.OK
    assert differ(tmp_path / "student", tmp_path / "alone")
    assert load_run(tmp_path / "student").teacher == "taught"


def test_going_on_without_the_teacher_is_refused(
    small_data: Path,
    tmp_path: Path,
    small: Small,
    teacher: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    changes = small(*TINY, "loss.teacher=0.5")
    taught = tmp_path / "taught"
    words = ["predict", str(teacher), str(small_data), "--soft", "--output", str(taught)]
    assert main(words) == ExitCode.OK
    flags = ("--teacher", str(taught))
    assert run_fit(small_data, tmp_path / "student", changes, *flags) == ExitCode.OK
    assert run_fit(small_data, tmp_path / "student", changes) == ExitCode.CONFIG
    assert "other settings" in capsys.readouterr().err


@pytest.fixture
def new_frames(tmp_path: Path) -> Path:
    """Frames of a strip that nobody labelled."""
    strip = SyntheticStrip(50, (64, 128), 30.0)
    folder = tmp_path / "new"
    folder.mkdir()
    for index in range(6):
        cv2.imwrite(str(folder / f"new-{index}.png"), strip.frame(index).pixels)
    return folder


def test_pseudo_labelled_frames_are_trained_on(
    small_data: Path, new_frames: Path, tmp_path: Path, small: Small, teacher: Path
) -> None:
    pseudo = tmp_path / "pseudo"
    assert main(["predict", str(teacher), str(new_frames), "--output", str(pseudo)]) == ExitCode.OK
    changes = small(*TINY, "images.pseudo=0.5", "seed=1")
    flags = ("--pseudo", str(pseudo))
    assert run_fit(small_data, tmp_path / "more", changes, *flags) == ExitCode.OK
    assert run_fit(small_data, tmp_path / "alone", changes) == ExitCode.OK
    assert differ(tmp_path / "more", tmp_path / "alone")
    # The record knows these labels again, also under the same name.
    assert load_run(tmp_path / "more").pseudo.startswith("pseudo, sha256 ")


def test_pseudo_labelled_validation_frames_are_not_trained_on(
    small_data: Path,
    new_frames: Path,
    tmp_path: Path,
    small: Small,
    teacher: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Or scores would measure memory. With nothing else the run is refused."""
    run = tmp_path / "teacher"
    held_out = [name for name, fold in read_folds(run / FOLDS_NAME).fold_of.items() if fold == 0]
    mixed, known = tmp_path / "mixed", tmp_path / "known"
    shutil.copytree(new_frames, mixed)
    known.mkdir()
    for name in held_out:
        for folder in (mixed, known):
            shutil.copy(small_data / "images" / name, folder)
    for name in ("mixed", "known"):
        words = ["predict", str(teacher), str(tmp_path / name)]
        assert main([*words, "--output", str(tmp_path / f"{name}-labels")]) == ExitCode.OK
    changes = small(*TINY, "images.pseudo=0.5")
    folds = ("--folds", str(run / FOLDS_NAME))
    flags = ("--pseudo", str(tmp_path / "mixed-labels"), *folds)
    capsys.readouterr()
    assert run_fit(small_data, tmp_path / "more", changes, *flags) == ExitCode.OK
    said = capsys.readouterr().err
    left_out, of = re.findall(
        r"(\d+) of (\d+) frames are near-duplicates of validation frames", said
    )[0]
    assert int(left_out) >= len(held_out)
    assert int(of) == len(held_out) + 6
    flags = ("--pseudo", str(tmp_path / "known-labels"), *folds)
    assert run_fit(small_data, tmp_path / "less", changes, *flags) == ExitCode.CONFIG
    assert "near-duplicates of validation frames of this run" in capsys.readouterr().err
