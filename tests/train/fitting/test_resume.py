"""A run that was stopped, moved or exported in between ends as one that was not."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import lightning as pl  # noqa: E402

from stripwatch.errors import ConfigError, ExitCode, ModelError, StorageError  # noqa: E402
from stripwatch_train.cli.main import main  # noqa: E402
from stripwatch_train.evaluation.evaluate import evaluate_run  # noqa: E402
from stripwatch_train.fitting.begin_run import FitSettings  # noqa: E402
from stripwatch_train.fitting.checkpoints import BEST, CURVE, LAST, last_and_best, load_weights  # noqa: E402
from stripwatch_train.fitting.export import export_run  # noqa: E402
from stripwatch_train.fitting.fit import fit  # noqa: E402
from stripwatch_train.fitting.learner import Learner  # noqa: E402
from stripwatch_train.runs.recipe_files import load_recipe  # noqa: E402
from stripwatch_train.runs.run_folder import FOLDS_NAME, MODEL_NAME, load_run  # noqa: E402

Small = Callable[..., list[str]]
Weights = dict[str, Any]
TINY = ("network.channels=[4,8,8]", "network.depth=2")
MEMBER = "segmentation-fold0"

pytestmark = pytest.mark.usefixtures("one_thread")


class Killed(Exception):
    """In place of a kill, where a process of its own would only take longer."""


def fit_small(data: Path, output: Path, changes: list[str], recipe: str = "unet") -> None:
    fit(recipe, load_recipe(recipe, changes), FitSettings(data=data, output=output))


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes the next run end when an epoch begins; -1 lets it go on."""

    def arm(epoch: int) -> None:
        def begin(learner: pl.LightningModule) -> None:
            if learner.current_epoch == epoch:
                raise Killed

        monkeypatch.setattr(Learner, "on_train_epoch_start", begin)

    return arm


def interrupted(
    data: Path, output: Path, changes: list[str], kill_at: Callable[[int], None], epoch: int
) -> None:
    """A run that ends when an epoch begins."""
    kill_at(epoch)
    with pytest.raises(Killed):
        fit_small(data, output, changes)
    kill_at(-1)


def weights_of(run: Path, name: str = BEST) -> Weights:
    return load_weights(run / MEMBER / name)[0]


def same(first: Weights, second: Weights) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


def epochs_of(run: Path) -> list[int]:
    with (run / MEMBER / CURVE).open(newline="") as file:
        return [int(row["epoch"]) for row in csv.DictReader(file)]


@pytest.mark.slow
def test_dropout_is_the_same_after_a_kill(
    small_data: Path, tmp_path: Path, small: Small, kill_at: Callable[[int], None]
) -> None:
    """An FPN has some; a plain U-Net, which is killed for real in test_fit, has none."""
    fpn = 'network={architecture="fpn",encoder="tu-mobilenetv3_small_050",depth=4,weights=""}'
    changes = small(fpn, "schedule.epochs=2", "schedule.batch=8", "schedule.accumulate=2")
    fit_small(small_data, tmp_path / "whole", changes)
    interrupted(small_data, tmp_path / "killed", changes, kill_at, 1)
    fit_small(small_data, tmp_path / "killed", changes)
    assert same(weights_of(tmp_path / "whole", LAST), weights_of(tmp_path / "killed", LAST))


def test_an_export_in_between_does_not_end_the_training(
    small_data: Path, tmp_path: Path, small: Small, kill_at: Callable[[int], None]
) -> None:
    run = tmp_path / "run"
    changes = small(*TINY, "schedule.epochs=3")
    interrupted(small_data, run, changes, kill_at, 1)
    export_run(run)
    assert (run / MEMBER / MODEL_NAME).exists()
    fit_small(small_data, run, changes)
    assert epochs_of(run) == [0, 1, 2]


def test_a_run_that_had_stopped_early_does_not_go_on(
    small_data: Path, tmp_path: Path, small: Small
) -> None:
    """Where only its export is missing."""
    run = tmp_path / "run"
    changes = small(*TINY, "schedule.epochs=9", "optimizer.learning_rate=1e-12")
    changes.append("schedule.patience=1")
    fit_small(small_data, run, changes)
    stopped = epochs_of(run)
    assert len(stopped) == 2
    (run / MEMBER / MODEL_NAME).unlink()
    fit_small(small_data, run, changes)
    assert epochs_of(run) == stopped
    assert (run / MEMBER / MODEL_NAME).exists()


def test_the_best_score_is_known_again_in_a_folder_that_was_moved(tmp_path: Path) -> None:
    """Or the first epoch after it would count as the best."""
    before, after = tmp_path / "before", tmp_path / "after"
    kept, _ = last_and_best(before)
    kept.best_model_score = kept.current_score = torch.tensor(0.5)
    kept.best_model_path = kept.kth_best_model_path = str(before / BEST)
    kept.best_k_models = {str(before / BEST): torch.tensor(0.5)}
    moved, _ = last_and_best(after)
    moved.load_state_dict(kept.state_dict())
    assert moved.best_model_score == 0.5
    assert moved.best_k_models == {str(after / BEST): torch.tensor(0.5)}
    assert (moved.best_model_path, moved.last_model_path) == (str(after / BEST), "")
    assert not moved.check_monitor_top_k(
        pl.Trainer(logger=False, barebones=True), torch.tensor(0.4)
    )
    assert moved.check_monitor_top_k(pl.Trainer(logger=False, barebones=True), torch.tensor(0.6))


def test_data_that_were_moved_are_found_at_the_new_path_of_the_same_command(
    small_data: Path, tmp_path: Path, small: Small
) -> None:
    """Nothing is trained anew; until then it is said what to do."""
    data, moved, run = tmp_path / "data", tmp_path / "moved", tmp_path / "run"
    shutil.copytree(small_data, data)
    fit_small(data, run, small(*TINY))
    data.rename(moved)
    for command in (lambda: evaluate_run(run), lambda: export_run(run)):
        with pytest.raises(ConfigError, match=r"repeat its fit command with the new --data path"):
            command()
    written = (run / MEMBER / LAST).stat().st_mtime_ns
    fit_small(moved, run, small(*TINY))
    assert (run / MEMBER / LAST).stat().st_mtime_ns == written
    assert load_run(run).data == str(moved)
    evaluate_run(run)


def test_going_on_with_other_folds_is_refused(
    small_data: Path, tmp_path: Path, small: Small
) -> None:
    run, folds = tmp_path / "run", tmp_path / "folds.json"
    fit_small(small_data, run, small(*TINY))
    table = json.loads((run / FOLDS_NAME).read_text())
    table["fold_of"] = {name: 1 - fold for name, fold in table["fold_of"].items()}
    folds.write_text(json.dumps(table))
    settings = FitSettings(data=small_data, output=run, folds=folds)
    with pytest.raises(ConfigError, match=r"has other folds than .*with which this run began"):
        fit("unet", load_recipe("unet", small(*TINY)), settings)


def test_gradients_are_clipped_where_that_is_asked_for(
    small_data: Path, tmp_path: Path, small: Small
) -> None:
    for clip in (0.0, 1e-6):
        changes = small(*TINY, f"optimizer.gradient_clip={clip}", 'optimizer.kind="sgd"')
        fit_small(small_data, tmp_path / str(clip), changes)
    assert not same(weights_of(tmp_path / "0.0"), weights_of(tmp_path / "1e-06"))


def test_a_training_that_diverged_is_reported(
    small_data: Path, tmp_path: Path, small: Small
) -> None:
    """And does not blame the export."""
    changes = small(*TINY, "optimizer.learning_rate=1e30", "schedule.average=0.0")
    with pytest.raises(ModelError, match=r"training diverged; .* lower optimizer\.learning_rate"):
        fit_small(small_data, tmp_path / "run", changes)


def test_a_gpu_that_is_not_there_is_said_to_be_missing(
    small_data: Path, tmp_path: Path, small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    words = ["fit", "unet", "--data", str(small_data), "--output", str(tmp_path / "run")]
    flags = [word for change in small(*TINY) for word in ("--set", change)]
    assert main([*words, *flags, "--accelerator", "gpu"]) == ExitCode.CONFIG
    assert "PyTorch finds no GPU here" in capsys.readouterr().err


def test_a_disk_that_fails_during_a_run_is_reported(
    small_data: Path, tmp_path: Path, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(StorageError, match="No space left on device"):
        fit_small(small_data, tmp_path / "run", small(*TINY))
