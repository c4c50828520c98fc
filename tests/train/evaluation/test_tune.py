"""`tune`: what is best on frames that the models never saw goes into their cards."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.train.tiny_models import (
    BRIGHT,
    CLASSES,
    Bytes,
    level,
    masked,
    painted,
    save_model,
    write_data,
    write_run,
)

from stripwatch.engines.manifest import DefectClass, Manifest, save_manifest
from stripwatch.errors import ConfigError, ExitCode, ModelError
from stripwatch_engine.models.model_card import ModelCard, card_path, load_card
from stripwatch_train.cli.main import main
from stripwatch_train.data.folds import FoldFile, save_folds
from stripwatch_train.evaluation.evaluate import evaluate_run
from stripwatch_train.evaluation.tune import tune, write_cards
from stripwatch_train.runs.run_folder import (
    DEPLOYMENT_NAME,
    FOLDS_NAME,
    MODEL_NAME,
    MemberFile,
    load_run,
    save_run,
)
from stripwatch_train.runs.run_models import Segmenter, segmenters_of

SHAPE = (40, 100)
FAINT = level(0.37)  # of the bright class
FOLD_OF = {"a.png": 0, "b.png": 0, "c.png": 1, "d.png": 1}


def frames() -> dict[str, tuple[Bytes, Bytes]]:
    """Faint bright defects and specks as strong, which are none; a dark defect. Two a fold."""
    return {
        "a.png": (
            painted(SHAPE, (5, 5, 12, 10, FAINT), (50, 5, 3, 3, FAINT)),
            masked(SHAPE, (5, 5, 12, 10, 1)),
        ),
        "b.png": (painted(SHAPE, (30, 20, 3, 3, FAINT)), masked(SHAPE)),
        "c.png": (
            painted(SHAPE, (40, 15, 15, 8, FAINT), (70, 30, 3, 3, FAINT)),
            masked(SHAPE, (40, 15, 15, 8, 1)),
        ),
        "d.png": (painted(SHAPE, (60, 5, 9, 9, 0)), masked(SHAPE, (60, 5, 9, 9, 2))),
    }


def make_run(folder: Path, *, single: bool = False) -> Path:
    """A run of two folds with two models, or three."""
    data = write_data(folder / "data", frames())
    run = folder / "run"
    members = []
    for fold in (0, 1):
        save_model(run / f"fold{fold}" / MODEL_NAME, SHAPE)
        members.append(MemberFile(f"fold{fold}", "segmentation", fold))
    if single:
        for fold in (0, 1):
            own = (msgspec.structs.replace(CLASSES[0], id=1),)
            save_model(run / f"bright{fold}" / MODEL_NAME, SHAPE, own, [BRIGHT])
            members.append(MemberFile(f"bright{fold}", "segmentation", fold, class_id=1))
    return write_run(run, data, FOLD_OF, members)


def limits(path: Path) -> list[tuple[str, float, int]]:
    classes = load_card(path).classes
    return [(entry.name, entry.threshold, entry.min_area_px) for entry in classes]


def test_all_cards_of_a_run_get_what_is_best_on_its_folds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """0.35 finds the faint defects, and 10 px leaves out the specks of 9; dark stays as it is."""
    run = make_run(tmp_path, single=True)
    before = load_card(run / "fold0" / MODEL_NAME)
    assert main(["tune", str(run)]) == ExitCode.OK
    both = [("bright", 0.35, 10), ("dark", 0.5, 0)]
    assert limits(run / "fold0" / MODEL_NAME) == limits(run / "fold1" / MODEL_NAME) == both
    # A model of one class gets that class.
    for name in ("bright0", "bright1"):
        assert limits(run / name / MODEL_NAME) == both[:1]
    after = load_card(run / "fold0" / MODEL_NAME)
    assert msgspec.structs.replace(after, classes=before.classes) == before
    out = capsys.readouterr().out
    assert "mean Dice of 4 validation frames: 0.7500 before, 1.0000 after" in out
    assert "on new frames: 1.0000" in out
    assert not list(run.glob("**/.*"))
    # A member that is not trained yet has nothing to be tuned.
    members = (*load_run(run).members, MemberFile("later", "segmentation", 1))
    save_run(run, msgspec.structs.replace(load_run(run), members=members))
    assert len(segmenters_of(run)) == 4
    # What is tuned is what is measured from then on.
    _, scores = evaluate_run(run)
    assert tune(scores).before == 1


def test_an_onnx_file_is_tuned_on_one_fold(tmp_path: Path) -> None:
    """The one that its training left out, as the folds' file says."""
    data = write_data(tmp_path / "data", frames())
    model = save_model(tmp_path / "model.onnx", SHAPE)
    save_folds(tmp_path / "folds.json", FoldFile(2, 0, FOLD_OF))
    flags = ["--data", str(data), "--folds", str(tmp_path / "folds.json"), "--fold", "1"]
    assert main(["tune", str(model), *flags]) == ExitCode.OK
    assert limits(model) == [("bright", 0.35, 10), ("dark", 0.5, 0)]
    save_model(model, SHAPE)
    composition = tmp_path / "line.toml"
    composition.write_text('models = ["model.onnx"]\n')
    assert main(["tune", str(composition), *flags]) == ExitCode.OK
    assert limits(model) == [("bright", 0.35, 10), ("dark", 0.5, 0)]


def test_folds_whose_cards_differ_are_not_joined_until_they_are_tuned(tmp_path: Path) -> None:
    """Figures of different thresholds are no figures of one model."""
    run = make_run(tmp_path)
    changed = (msgspec.structs.replace(CLASSES[0], threshold=0.6), CLASSES[1])
    save_model(run / "fold1" / MODEL_NAME, SHAPE, changed)
    with pytest.raises(ConfigError, match="cannot be joined; `stripwatch-train tune` writes"):
        evaluate_run(run)
    assert main(["tune", str(run)]) == ExitCode.OK
    evaluate_run(run)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((), "name the frames that its training left out, with --data, --folds and --fold"),
        (("--data", "data"), "chosen on frames that a model was trained on are too optimistic"),
    ],
)
def test_a_model_without_validation_frames_is_not_tuned(
    tmp_path: Path, flags: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_model(tmp_path / "model.onnx", SHAPE)
    card = card_path(model).read_bytes()
    assert main(["tune", str(model), *flags]) == ExitCode.CONFIG
    assert words in capsys.readouterr().err
    assert card_path(model).read_bytes() == card


def test_runs_and_engines_are_not_tuned_on_other_frames(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run has its own; the thresholds of an engine are its models'."""
    run = make_run(tmp_path)
    assert main(["tune", str(run), "--data", str(tmp_path / "data")]) == ExitCode.CONFIG
    assert "on its own validation folds; leave out --data" in capsys.readouterr().err
    engine = tmp_path / "engine"
    engine.mkdir()
    save_manifest(
        engine,
        Manifest(
            target="fake",
            engine_hash="",
            builder="test",
            precision="fp32",
            frame_shape=SHAPE,
            classes=CLASSES,
        ),
    )
    assert main(["tune", str(engine)]) == ExitCode.CONFIG
    assert "an engine cannot be tuned" in capsys.readouterr().err


def test_models_of_a_run_are_not_tuned_on_their_training_frames(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Alone or together; the fold that one of them never saw is taken."""
    run = make_run(tmp_path)
    model = run / "fold0" / MODEL_NAME
    card = card_path(model).read_bytes()
    flags = ["--data", str(tmp_path / "data"), "--folds", str(run / FOLDS_NAME), "--fold"]
    for path in (model, run / DEPLOYMENT_NAME):
        assert main(["tune", str(path), *flags, "1"]) == ExitCode.CONFIG
        said = capsys.readouterr().err
        assert "was trained on 2 of these 2 frames, by their names (the first: c.png)" in said
        assert "tune the folder of its training run" in said
    assert card_path(model).read_bytes() == card
    assert main(["tune", str(model), *flags, "0"]) == ExitCode.OK
    assert card_path(model).read_bytes() != card
    # Measuring them is allowed, and said.
    assert main(["evaluate", str(run), *flags[:2], "--output", str(tmp_path)]) == ExitCode.OK
    assert "was trained on 4 of these 4 frames" in capsys.readouterr().err


def test_no_card_changes_when_one_of_them_cannot(tmp_path: Path) -> None:
    """They are read and written beside the old ones before the first takes its place."""
    run = make_run(tmp_path)
    sweeps = tune(evaluate_run(run)[1]).sweeps
    good, bad = (Segmenter(run / f"fold{fold}" / MODEL_NAME) for fold in (0, 1))
    before = card_path(good.path).read_bytes()
    card_path(bad.path).write_text("{}")
    with pytest.raises(ModelError, match=r"model\.json is not a valid"):
        write_cards([good, bad], sweeps)
    other = ModelCard(
        input=load_card(good.path).input,
        mean=0.0,
        std=1.0,
        activation="sigmoid",
        classes=(DefectClass(id=1, name="else"),),
    )
    card_path(bad.path).write_bytes(msgspec.json.encode(other))
    with pytest.raises(ModelError, match="has none of the classes bright, dark"):
        write_cards([good, bad], sweeps)
    assert card_path(good.path).read_bytes() == before
    assert sorted(path.name for path in good.path.parent.iterdir()) == ["model.json", "model.onnx"]


def test_a_model_of_one_class_gets_no_other_class(tmp_path: Path) -> None:
    """Also where it knows of all: its answers for the others are not asked for."""
    run = make_run(tmp_path)
    sweeps = tune(evaluate_run(run)[1]).sweeps
    model = save_model(tmp_path / "model.onnx", SHAPE)
    assert write_cards([Segmenter(model, 2)], sweeps) == [card_path(model)]
    assert limits(model) == [("bright", 0.5, 0), ("dark", 0.5, 0)]
    write_cards([Segmenter(model, 1)], sweeps)
    assert limits(model) == [("bright", 0.35, 10), ("dark", 0.5, 0)]


def test_a_composition_names_the_models_of_single_classes(tmp_path: Path) -> None:
    path = tmp_path / "line.toml"
    path.write_text('models = ["a.onnx"]\n[class_models]\n2 = ["b.onnx", "c.onnx"]\n')
    assert segmenters_of(path) == [
        Segmenter(tmp_path / "a.onnx"),
        Segmenter(tmp_path / "b.onnx", 2),
        Segmenter(tmp_path / "c.onnx", 2),
    ]
