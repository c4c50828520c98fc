"""What one model says becomes what another one learns from: teachers and pseudo-labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from stripwatch.errors import ExitCode  # noqa: E402
from stripwatch_train.checkpoints import BEST, load_weights  # noqa: E402
from stripwatch_train.cli.main import main  # noqa: E402
from stripwatch_train.data_set import open_data_set  # noqa: E402
from stripwatch_train.run_folder import load_run  # noqa: E402

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


def test_a_student_learns_from_what_a_teacher_says(
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
    small_data: Path, tmp_path: Path, small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taught").mkdir()
    flags = ("--teacher", str(tmp_path / "taught"))
    assert run_fit(small_data, tmp_path / "student", small(*TINY), *flags) == ExitCode.OK
    assert run_fit(small_data, tmp_path / "student", small(*TINY)) == ExitCode.CONFIG
    assert "other settings" in capsys.readouterr().err


def test_pseudo_labelled_frames_are_learnt_from(
    small_data: Path, tmp_path: Path, small: Small, teacher: Path
) -> None:
    pseudo = tmp_path / "pseudo"
    assert main(["predict", str(teacher), str(small_data), "--output", str(pseudo)]) == ExitCode.OK
    changes = small(*TINY, "images.pseudo=0.5", "seed=1")
    flags = ("--pseudo", str(pseudo))
    assert run_fit(small_data, tmp_path / "more", changes, *flags) == ExitCode.OK
    assert run_fit(small_data, tmp_path / "alone", changes) == ExitCode.OK
    assert differ(tmp_path / "more", tmp_path / "alone")
