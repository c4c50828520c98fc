"""Training: repeated, killed and resumed, stopped early, and refused."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from tests.train.conftest import on_one_thread  # noqa: E402

from stripwatch.errors import ConfigError, ExitCode, ModelError, StorageError  # noqa: E402
from stripwatch_engine.models.model_card import load_card  # noqa: E402
from stripwatch_train.cli.main import main  # noqa: E402
from stripwatch_train.fitting.begin_run import FitSettings  # noqa: E402
from stripwatch_train.fitting.checkpoints import BEST, CURVE, LAST, load_weights  # noqa: E402
from stripwatch_train.fitting.export import export_run  # noqa: E402
from stripwatch_train.fitting.fit import fit  # noqa: E402
from stripwatch_train.fitting.trainer import LOGS  # noqa: E402
from stripwatch_train.runs.recipe_files import load_recipe  # noqa: E402
from stripwatch_train.runs.run_folder import MODEL_NAME, is_run, load_run  # noqa: E402

Small = Callable[..., list[str]]
TINY = ("network.channels=[4,8,8]", "network.depth=2", "schedule.epochs=3")
MEMBER = "segmentation-fold0"

pytestmark = pytest.mark.usefixtures("one_thread")


def curve(run: Path) -> list[dict[str, str]]:
    with (run / MEMBER / CURVE).open(newline="") as file:
        return list(csv.DictReader(file))


def fit_small(data: Path, output: Path, changes: list[str], recipe: str = "unet") -> None:
    fit(recipe, load_recipe(recipe, changes), FitSettings(data=data, output=output))


def command(data: Path, output: Path, changes: list[str]) -> list[str]:
    flags = [word for change in changes for word in ("--set", change)]
    return ["fit", "unet", "--data", str(data), "--output", str(output), *flags]


@pytest.fixture(scope="session")
def trained(small_data: Path, tmp_path_factory: pytest.TempPathFactory, small: Small) -> Path:
    """A finished run of TINY, trained once; tests read it, or change a copy of it."""
    run = tmp_path_factory.mktemp("trained") / "run"
    with on_one_thread():
        assert main(command(small_data, run, small(*TINY))) == ExitCode.OK
    return run


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the finished run."""
    return shutil.copytree(trained, tmp_path / "run")


def test_one_seed_gives_the_same_weights_and_the_same_curve(
    trained: Path, small_data: Path, tmp_path: Path, small: Small
) -> None:
    fit_small(small_data, tmp_path / "again", small(*TINY))
    weights, again = (
        load_weights(folder / MEMBER / BEST)[0] for folder in (trained, tmp_path / "again")
    )
    assert weights.keys() == again.keys()
    for name, value in weights.items():
        assert torch.equal(value, again[name]), name
    assert curve(trained) == curve(tmp_path / "again")
    assert len(curve(trained)) == 3


def test_another_seed_gives_other_weights(
    trained: Path, small_data: Path, tmp_path: Path, small: Small
) -> None:
    fit_small(small_data, tmp_path / "other", small(*TINY, "seed=1"))
    weights, others = (
        load_weights(folder / MEMBER / BEST)[0] for folder in (trained, tmp_path / "other")
    )
    assert any(not torch.equal(value, others[name]) for name, value in weights.items())


@pytest.mark.slow
def test_a_killed_run_resumes_as_if_it_had_not_been_killed(
    small_data: Path, tmp_path: Path, small: Small
) -> None:
    """Same curve, same weights to the bit: averages, optimizer, rate and random draws are kept."""
    changes = small(*TINY, "schedule.epochs=5")
    fit_small(small_data, tmp_path / "whole", changes)
    start = [sys.executable, "-c", "from stripwatch_train.cli.main import main; main()"]
    killed = [*start, *command(small_data, tmp_path / "killed", changes)]
    # Sums of several threads come out otherwise.
    alone = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(killed, stdout=subprocess.PIPE, text=True, env=alone) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "epoch 3 of 5" in line:
                process.kill()
                break
    assert not (tmp_path / "killed" / MEMBER / MODEL_NAME).exists()
    fit_small(small_data, tmp_path / "killed", changes)
    assert curve(tmp_path / "killed") == curve(tmp_path / "whole")
    for name in (BEST, LAST):
        weights = load_weights(tmp_path / "whole" / MEMBER / name)[0]
        again = load_weights(tmp_path / "killed" / MEMBER / name)[0]
        for key, value in weights.items():
            assert torch.equal(value, again[key]), key


def test_a_run_that_is_done_is_left_as_it_is(run: Path, small_data: Path, small: Small) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*.ckpt")}
    fit_small(small_data, run, small(*TINY))
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*.ckpt")} == before


def test_training_lowers_the_loss(trained: Path) -> None:
    losses = [float(row["loss"]) for row in curve(trained)]
    assert losses[-1] < losses[0]


def test_without_tensorboard_a_run_has_its_curve_and_no_logs(
    trained: Path,
    small_data: Path,
    tmp_path: Path,
    small: Small,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (trained / MEMBER / LOGS).is_dir()
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    fit_small(small_data, tmp_path / "run", small(*TINY, "schedule.epochs=1"))
    assert not (tmp_path / "run" / MEMBER / LOGS).exists()
    assert len(curve(tmp_path / "run")) == 1


def test_a_run_stops_when_its_score_does_not_rise(
    small_data: Path, tmp_path: Path, small: Small
) -> None:
    changes = small(*TINY, "schedule.epochs=50", "optimizer.learning_rate=1e-12")
    fit_small(small_data, tmp_path / "run", [*changes, "schedule.patience=2"])
    scores = [float(row["score"]) for row in curve(tmp_path / "run")]
    best = scores.index(max(scores))
    assert len(scores) == best + 1 + 2 < 50


def test_models_are_trained_one_by_one_where_only_some_are_asked_for(
    small_data: Path, tmp_path: Path, small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = small(*TINY, "schedule.epochs=1", "train_folds=[0,1]")
    run = tmp_path / "run"
    words = command(small_data, run, changes)
    assert main([*words, "--only", "segmentation-fold1"]) == ExitCode.OK
    assert "1 of 2 models are trained" in capsys.readouterr().out
    assert not (run / "deployment-fold0.toml").exists()
    assert "fold1/model.onnx" in (run / "deployment.toml").read_text()
    assert main(words) == ExitCode.OK
    assert (run / "deployment.toml").read_text().count("model.onnx") == 2
    assert [entry.fold for entry in load_run(run).members] == [0, 1]
    assert main([*words, "--only", "nothing"]) == ExitCode.CONFIG
    assert "segmentation-fold0" in capsys.readouterr().err


def test_the_card_holds_the_input_size_and_the_training_command(trained: Path) -> None:
    card = load_card(trained / MEMBER / MODEL_NAME)
    assert (card.input.height, card.input.width) == (32, 64)  # the recipe halves frames of 64x128
    assert 0 < card.mean < 1  # type: ignore[operator]
    assert card.command.startswith("stripwatch-train fit unet --set folds=2 ")
    assert [entry.name for entry in card.classes] == ["pits", "cracks", "scratches", "patches"]
    assert set(card.metrics) <= {f"dice.{entry.name}" for entry in card.classes}


def test_a_folder_of_another_run_is_refused(run: Path, small_data: Path, small: Small) -> None:
    """The settings that differ are named, with both values; fewer epochs are no extension."""
    words = r"holds a run with other settings: .*schedule\.epochs is 3 there and 2 here"
    with pytest.raises(ConfigError, match=words):
        fit_small(small_data, run, small(*TINY, "schedule.epochs=2"))
    with pytest.raises(
        ConfigError, match=r"optimizer\.learning_rate is 0\.0\d* there and 0\.5 here"
    ):
        fit_small(small_data, run, small(*TINY, "optimizer.learning_rate=0.5"))


def test_a_finished_run_is_given_more_epochs(
    run: Path, small_data: Path, small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    """It resumes where it ended, and is exported anew."""
    before = (run / MEMBER / MODEL_NAME).stat().st_mtime_ns
    assert main(command(small_data, run, small(*TINY, "schedule.epochs=5"))) == ExitCode.OK
    assert [int(row["epoch"]) for row in curve(run)] == [0, 1, 2, 3, 4]
    assert (run / MEMBER / MODEL_NAME).stat().st_mtime_ns > before
    assert load_recipe(str(run / "recipe.json")).members[0].schedule.epochs == 5
    printed = capsys.readouterr()
    assert "epoch 4 of 5" in printed.out
    assert "is exported, with score" in printed.out
    assert "score: of the validation frames, the mean over the classes" in printed.err


def test_a_failed_start_does_not_block_its_remedy(
    small_data: Path, tmp_path: Path, small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong --only leaves no folder; weights that are missing leave one that may begin anew."""
    output = tmp_path / "run"
    words = command(small_data, output, small(*TINY, "schedule.epochs=1"))
    assert main([*words, "--only", "segmentaton"]) == ExitCode.CONFIG
    assert "did you mean segmentation?" in capsys.readouterr().err
    assert not output.exists()
    missing = small(*TINY, f'network.weights="{tmp_path / "none.pth"}"', "schedule.epochs=1")
    resnet = ["network.architecture=unet", "network.encoder=resnet18"]
    assert main(command(small_data, output, [*missing, *resnet])) == ExitCode.CONFIG
    assert main(words) == ExitCode.OK
    assert is_run(output)


def test_a_damaged_checkpoint_is_refused_and_named(
    run: Path, small_data: Path, small: Small
) -> None:
    (run / MEMBER / MODEL_NAME).unlink()
    (run / MEMBER / LAST).write_bytes(b"not a checkpoint")
    with pytest.raises(ModelError, match=LAST):
        fit_small(small_data, run, small(*TINY))


def test_a_folder_that_cannot_be_written_stops_the_run_before_it_begins(
    small_data: Path, tmp_path: Path, small: Small
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be written"):
        fit_small(small_data, tmp_path / "file" / "run", small(*TINY))


def test_folds_of_another_number_are_refused(
    small_data: Path, tmp_path: Path, small: Small
) -> None:
    folds = tmp_path / "folds.json"
    assert main(["folds", str(small_data), "--folds", "4", "--output", str(folds)]) == ExitCode.OK
    settings = FitSettings(data=small_data, output=tmp_path / "run", folds=folds)
    with pytest.raises(ConfigError, match="give --set folds=4"):
        fit("unet", load_recipe("unet", small(*TINY)), settings)


def test_a_run_is_exported_again_from_its_checkpoints(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also the last weights, and for frames of another size; the card keeps its command."""
    before = load_card(run / MEMBER / MODEL_NAME)
    first = (run / MEMBER / MODEL_NAME).read_bytes()
    assert main(["export", str(run)]) == ExitCode.OK
    assert (run / MEMBER / MODEL_NAME).read_bytes() == first
    assert load_card(run / MEMBER / MODEL_NAME) == before
    assert main(["export", str(run), "--last", "--frame", "32x256"]) == ExitCode.OK
    assert MEMBER in capsys.readouterr().out
    after = load_card(run / MEMBER / MODEL_NAME)
    assert (after.input.height, after.input.width) == (16, 128)
    assert after.command == before.command


def test_what_has_no_checkpoint_cannot_be_exported(run: Path) -> None:
    (run / MEMBER / BEST).unlink()
    with pytest.raises(ModelError, match=r"no model has a best\.ckpt"):
        export_run(run)


@pytest.mark.slow
def test_several_processes_train_one_model(small_data: Path, tmp_path: Path, small: Small) -> None:
    """As torchrun starts them: each sees its share, one writes."""
    words = command(small_data, tmp_path / "run", small(*TINY, "schedule.batch=2"))
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, *torchrun, "-m", "stripwatch_train", *words, "--accelerator", "cpu"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 3 of 3") == 1
    assert len(curve(tmp_path / "run")) == 3
    assert (tmp_path / "run" / "deployment.toml").exists()


@pytest.mark.slow
def test_ctrl_c_stops_a_run_that_can_go_on(small_data: Path, tmp_path: Path, small: Small) -> None:
    run = tmp_path / "run"
    start = [sys.executable, "-m", "stripwatch_train"]
    words = command(small_data, run, small(*TINY, "schedule.epochs=10000"))
    with subprocess.Popen(
        [*start, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if "epoch 2 of" in line:  # the checkpoint of the first is there
                process.send_signal(signal.SIGINT)
                break
        process.stdout.read()
        said = process.stderr.read()
    assert process.returncode == ExitCode.INTERRUPTED
    assert "the same command resumes" in said
    assert "Traceback" not in said
    assert (run / MEMBER / LAST).exists()


def test_frames_of_another_size_are_reported(
    small_data: Path, tmp_path: Path, small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    shutil.copytree(small_data, data)
    labels = json.loads((data / "annotations.json").read_text())
    first = labels["images"][0]
    with Image.open(data / "images" / first["file_name"]) as image:
        image.resize((64, 32)).save(data / "images" / first["file_name"])
    first |= {"width": 64, "height": 32}
    own = [entry for entry in labels["annotations"] if entry["image_id"] != first["id"]]
    labels["annotations"] = own
    (data / "annotations.json").write_text(json.dumps(labels))
    assert main(command(data, tmp_path / "run", small(*TINY))) == ExitCode.OK
    error = capsys.readouterr().err
    assert "1 of them are resized to 64 x 128" in error
    assert "stretches" not in error  # it has half the lines and half the pixels


def test_members_that_differ_in_nothing_but_their_names_become_different_models(
    small_data: Path, tmp_path: Path, small: Small
) -> None:
    """Averaging one model with itself would gain nothing."""
    twins = tmp_path / "twins.toml"
    twins.write_text(
        'about = "x"\n[base]\nnetwork = { architecture = "vanilla-unet" }\n'
        '[[members]]\nname = "one"\n[[members]]\nname = "other"\n'
    )
    recipe = load_recipe(str(twins), small(*TINY, "schedule.epochs=1"))
    fit("twins", recipe, FitSettings(data=small_data, output=tmp_path / "run"))
    weights, others = (
        load_weights(tmp_path / "run" / f"{name}-fold0" / BEST)[0] for name in ("one", "other")
    )
    assert any(not torch.equal(value, others[name]) for name, value in weights.items())
