"""A model knows whether it was trained on the synthetic strip, and engine-build believes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")

import msgspec

from stripwatch.errors import ExitCode
from stripwatch_engine.cli.main import main as engine_build
from stripwatch_engine.models.model_card import load_card
from stripwatch_train.cli.main import main
from stripwatch_train.data.data_set import open_data_set
from stripwatch_train.data.synthesize import synthesize
from stripwatch_train.fitting.export import export_run, kind_of
from stripwatch_train.runs.run_folder import MODEL_NAME, load_run

TINY = ("network.channels=[4,8,8]", "network.depth=2", "classes.threshold=0.02")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def strips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two synthetic strips, as `synthesize` writes them."""
    folder = tmp_path_factory.mktemp("synthetic") / "strips"
    synthesize(folder, 26, frame_shape=(32, 64), defects_per_1000_lines=30)
    return folder


def trained(data: Path, run: Path, small: Callable[..., list[str]]) -> Path:
    """The model of a short training."""
    changes = [word for change in small(*TINY) for word in ("--set", change)]
    words = ["fit", "unet", "--data", str(data), "--output", str(run), *changes]
    assert main(words) == ExitCode.OK
    return run / "segmentation-fold0" / MODEL_NAME


def test_a_model_of_the_synthetic_strip_is_verified_on_it_and_no_other_is(
    strips: Path,
    small_data: Path,
    tmp_path: Path,
    small: Callable[..., list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From `synthesize` and `fit` to `engine-build`; a second export says the same."""
    for data, kind, frames in ((strips, "synthetic", "synthetic"), (small_data, "", "pattern")):
        run = tmp_path / f"run-{frames}"
        model = trained(data, run, small)
        assert load_card(model).trained_on == kind
        export_run(run)
        assert load_card(model).trained_on == kind
        capsys.readouterr()
        flags = ["--frame=64x128", "--verify-frames=2", "--allow-unverified"]
        assert engine_build([str(model), *flags]) == ExitCode.OK
        assert frames in capsys.readouterr().out.partition(" against float32")[0]


def test_frames_stay_synthetic_where_they_are_converted(
    strips: Path, small_data: Path, tmp_path: Path
) -> None:
    """A copy of a data set is of the same kind as the data set."""
    for data, is_synthetic in ((strips, True), (small_data, False)):
        copy = tmp_path / data.name
        assert main(["convert", str(data), "--output", str(copy)]) == ExitCode.OK
        assert open_data_set(data).is_synthetic is open_data_set(copy).is_synthetic is is_synthetic


def test_pseudo_labelled_frames_beside_the_strip_may_be_of_anything(
    strips: Path, tmp_path: Path, small: Callable[..., list[str]]
) -> None:
    """So a run that takes them is not one of the synthetic strip alone."""
    trained(strips, tmp_path / "run", small)
    run, data_set = load_run(tmp_path / "run"), open_data_set(strips)
    assert kind_of(data_set, run) == "synthetic"
    assert kind_of(data_set, msgspec.structs.replace(run, pseudo="coil-7, sha256 0")) == ""
