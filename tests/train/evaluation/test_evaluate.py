"""`evaluate`: from frames and a model to a page that somebody can read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.train.tiny_models import (
    CLEAN,
    Bytes,
    masked,
    painted,
    save_model,
    write_data,
    write_run,
)

from stripwatch.engines.manifest import DefectClass
from stripwatch.errors import ConfigError, ExitCode
from stripwatch.synthetic import CLASSES as STRIP_CLASSES
from stripwatch.synthetic import SyntheticStrip
from stripwatch.view.overlay import FILL_SHARE
from stripwatch_train.cli.main import main
from stripwatch_train.data.data_set import open_data_set
from stripwatch_train.data.folds import FoldFile, save_folds
from stripwatch_train.evaluation.evaluate import FRAMES_SHOWN, evaluate, evaluate_run
from stripwatch_train.evaluation.figures.worst import FOUND, TRUE, _drawn, plot_frame
from stripwatch_train.evaluation.metrics import measure
from stripwatch_train.evaluation.predictor import open_predictor
from stripwatch_train.page import PAGE
from stripwatch_train.runs.run_folder import MODEL_NAME, MemberFile

EDGE = Path(__file__).resolve().parents[3] / "models" / "edge" / "model.onnx"
SHAPE = (40, 100)
PICTURES = ("areas", "calibration", "confusion", "roc")


def frames() -> dict[str, tuple[Bytes, Bytes]]:
    """A bright defect, a dark one, none at all, and a dark spot that nobody labelled."""
    return {
        "a.png": (painted(SHAPE, (5, 5, 12, 10, 255)), masked(SHAPE, (5, 5, 12, 10, 1))),
        "b.png": (painted(SHAPE, (60, 5, 9, 9, 0)), masked(SHAPE, (60, 5, 9, 9, 2))),
        "c.png": (painted(SHAPE), masked(SHAPE)),
        "d.png": (painted(SHAPE, (60, 5, 9, 9, 0)), masked(SHAPE)),
    }


@pytest.mark.slow
def test_the_embedded_model_is_evaluated_on_strip_that_it_never_saw(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole way; it finds what it was trained to find."""
    strip = SyntheticStrip(2, (256, 1600), 10.0)
    drawn = {f"{index}.png": strip.frame(index) for index in range(4)}  # of which three are judged
    data = write_data(
        tmp_path / "data",
        {name: (frame.pixels, frame.mask) for name, frame in drawn.items()},
        STRIP_CLASSES,
    )
    fold_of = {name: int(name != "0.png") for name in drawn}
    save_folds(tmp_path / "folds.json", FoldFile(2, 0, fold_of))
    output = tmp_path / "page"
    flags = ["--data", str(data), "--output", str(output)]
    folds = ["--folds", str(tmp_path / "folds.json"), "--fold", "1"]
    assert main(["evaluate", str(EDGE), *flags, *folds]) == ExitCode.OK
    out = capsys.readouterr().out
    figures = json.loads((output / "metrics.json").read_text())
    assert f"Kaggle's mean Dice {figures['kaggle_dice']:.4f}" in out
    assert f"mIoU {figures['miou']:.4f}" in out
    assert str(output / PAGE) in out
    assert figures["frames"] == 3
    assert figures["kaggle_dice"] > 0.85 > figures["kaggle_dice_of_nothing"]
    assert figures["miou"] > 0.7
    assert [entry["name"] for entry in figures["classes"]] == [
        entry.name for entry in STRIP_CLASSES
    ]
    page = (output / PAGE).read_text()
    assert f"fold 1 of {data}" in page
    sources = re.findall(r'src="(.{30})', page)
    assert sources
    assert all(re.match(r"data:image/(jpeg|webp);base64,", source) for source in sources)
    assert "http" not in page
    wanted = [*PICTURES, *(f"sweep-{entry.name}" for entry in STRIP_CLASSES)]
    pictures = {path.stem for path in output.glob("*.png")}
    assert pictures >= set(wanted)
    assert len(sources) == len(pictures)
    for name in pictures:
        picture = cv2.imread(str(output / f"{name}.png"))
        assert picture is not None
        assert np.ptp(picture) > 200, f"{name} is empty"


def test_a_run_is_evaluated_by_the_models_that_never_saw_a_fold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model of fold 1 sees no dark defects: those of its fold, and only those, are missed."""
    data = write_data(tmp_path / "data", frames())
    run = tmp_path / "run"
    save_model(run / "fold0" / MODEL_NAME, SHAPE)
    save_model(run / "fold1" / MODEL_NAME, SHAPE, lines=[(0.0, 0.0), (0.0, 0.0)])
    members = [MemberFile(f"fold{fold}", "segmentation", fold) for fold in (0, 1)]
    fold_of = {"a.png": 0, "b.png": 1, "c.png": 1, "d.png": 0}
    write_run(run, data, fold_of, members)
    data_set, scores = evaluate_run(run)
    assert data_set.classes[0].name == "bright"
    assert dict(zip(scores.names, scores.folds, strict=True)) == fold_of
    bright, dark = measure(scores).classes
    assert (bright.frames_missed, bright.kaggle_dice) == (0, 1)
    assert (dark.frames_missed, dark.frames_false) == (1, 1)
    # With other frames, all models together: 0.5 of each defect, at a threshold of 0.5.
    with open_predictor(run) as predictor:
        together = evaluate(predictor, data_set.samples, data_set.classes)
    assert [entry.frames_missed for entry in measure(together).classes] == [0, 0]
    assert main(["evaluate", str(run)]) == ExitCode.OK
    page = (run / "evaluation" / PAGE).read_text()
    assert "Folds 0, 1, each by the models not trained on it" in page
    for flag in (("--fold", "0"), ("--classes", "a,b")):
        assert main(["evaluate", str(run), *flag]) == ExitCode.CONFIG
        assert f"brings its own {flag[0][2:]}; leave it out" in capsys.readouterr().err


def test_a_fold_must_be_one_of_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_data(tmp_path / "data", frames())
    model = save_model(tmp_path / "model.onnx", SHAPE)
    fold_of = {"a.png": 0, "b.png": 1, "c.png": 1, "d.png": 0}
    save_folds(tmp_path / "folds.json", FoldFile(3, 0, fold_of))
    folds = ["--folds", str(tmp_path / "folds.json")]
    for wrong, words in (
        ([*folds, "--fold", "3"], "has the folds 0 to 2"),
        ([*folds, "--fold", "2"], "there are no frames to evaluate it on"),
        (folds, "--folds and --fold go together"),
        (["--fold", "1"], "--folds and --fold go together"),
    ):
        assert main(["evaluate", str(model), "--data", str(data), *wrong]) == ExitCode.CONFIG
        assert words in capsys.readouterr().err


def test_labels_of_other_classes_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their figures would be of other things than their names say."""
    other = tuple(DefectClass(id=number, name=f"kind{number}") for number in (1, 2))
    data = write_data(tmp_path / "data", frames(), other)
    model = save_model(tmp_path / "model.onnx", SHAPE)
    assert main(["evaluate", str(model), "--data", str(data)]) == ExitCode.CONFIG
    error = capsys.readouterr().err
    assert "segments bright, dark, but the labels are of kind1, kind2" in error
    assert "--classes bright,dark" in error
    assert main(["evaluate", str(model)]) == ExitCode.CONFIG
    assert "name labelled frames with --data" in capsys.readouterr().err


def test_frames_of_several_sizes_are_evaluated_together(tmp_path: Path) -> None:
    """Each size has an engine of its own; figures are of all."""
    wide = (SHAPE[0], 2 * SHAPE[1])
    mixed = {
        "a.png": frames()["a.png"],
        "w.png": (painted(wide, (100, 4, 40, 20, 255)), masked(wide, (100, 4, 40, 20, 1))),
        "z.png": frames()["c.png"],
    }
    data = open_data_set(write_data(tmp_path / "data", mixed))
    told: list[tuple[int, int]] = []
    with open_predictor(save_model(tmp_path / "model.onnx", SHAPE)) as predictor:
        scores = evaluate(
            predictor,
            data.samples,
            data.classes,
            progress=lambda _, done, frames: told.append((done, frames)),
        )
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert scores.frame_px_max == wide[0] * wide[1]
    bright = measure(scores).classes[0]
    assert (bright.frames_with, bright.defects_found, bright.frames_false) == (2, 2, 0)
    assert bright.kaggle_dice > 0.95


@pytest.mark.slow
def test_a_page_leaves_no_pictures_of_the_one_before(tmp_path: Path) -> None:
    """They would lie beside figures that they do not belong to."""
    model = save_model(tmp_path / "model.onnx", SHAPE)
    output = tmp_path / "page"
    for names in ("abcd", "ac"):  # of the first two frames are wrong, of the second none
        some = {f"{name}.png": frames()[f"{name}.png"] for name in names}
        data = write_data(tmp_path / names, some)
        words = ["evaluate", str(model), "--data", str(data), "--output", str(output)]
        assert main(words) == ExitCode.OK
        assert (output / "worst-1.png").exists() == (names == "abcd")


@pytest.mark.parametrize("command", ["evaluate", "submit"])
def test_results_that_cannot_be_written_are_reported_before_the_first_frame(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model is not even opened: it is no model."""
    model = tmp_path / "missing.onnx"
    model.touch()
    (tmp_path / "file").write_text("in the way")
    sample = tmp_path / "sample.csv"
    sample.write_text("ImageId_ClassId,EncodedPixels\na.jpg_1,\n")
    more = {
        "evaluate": ["--data", str(tmp_path / "data")],
        "submit": ["--images", str(tmp_path), "--sample", str(sample)],
    }
    output = ["--output", str(tmp_path / "file" / "out")]
    assert main([command, str(model), *more[command], *output]) == ExitCode.STORAGE
    assert "cannot be written" in capsys.readouterr().err


def test_frames_that_are_all_equal_make_a_page_without_a_curve(tmp_path: Path) -> None:
    """As when false alarms are counted on clean steel."""
    data = write_data(tmp_path / "data", {"c.png": frames()["c.png"]})
    words = ["evaluate", str(save_model(tmp_path / "model.onnx", SHAPE)), "--data", str(data)]
    assert main([*words, "--output", str(tmp_path / "page")]) == ExitCode.OK


def test_the_worst_frames_are_kept_and_no_more(tmp_path: Path) -> None:
    """Lowest Dice first, of equals those with more pixels wrong; the spots are 2 to 15 wide."""
    many = {
        f"{width:02}.png": (painted(SHAPE, (5, 5, width, 4, 0)), masked(SHAPE))
        for width in range(2, 16)
    }
    many["right.png"] = frames()["a.png"]
    many["worse.png"] = (painted(SHAPE, (5, 5, 3, 3, 0)), masked(SHAPE, (50, 5, 3, 3, 1)))
    data = open_data_set(write_data(tmp_path / "data", many))
    with open_predictor(save_model(tmp_path / "model.onnx", SHAPE)) as predictor:
        scores = evaluate(predictor, data.samples, data.classes)
    worst = [entry.sample.name for entry in scores.worst]
    assert worst == ["worse.png", *(f"{width:02}.png" for width in range(15, 8, -1))]
    assert len(worst) == FRAMES_SHOWN
    assert (scores.worst[0].dice, scores.worst[0].wrong_px) == (0, 18)


def test_a_worst_frame_shows_what_was_missed_and_what_was_not_there(tmp_path: Path) -> None:
    """In two colours that everybody can tell apart; both are in the picture."""
    missed = (painted(SHAPE, (5, 5, 20, 20, 0)), masked(SHAPE, (50, 5, 20, 20, 1)))
    data = open_data_set(write_data(tmp_path / "data", {"a.png": missed}))
    with open_predictor(save_model(tmp_path / "model.onnx", SHAPE)) as predictor:
        scores = evaluate(predictor, data.samples, data.classes)
    picture = plot_frame(scores.worst[0], predictor.classes, 1)
    image = cv2.imdecode(np.frombuffer(picture.png, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    pixels = {tuple(pixel) for pixel in image[:, :, ::-1].reshape(-1, 3).tolist()}
    assert {TRUE, FOUND} <= pixels
    worst = scores.worst[0]
    drawn = _drawn(missed[0], worst.truth, worst.found, predictor.classes).astype(int)
    for x, colour in ((60, TRUE), (15, FOUND)):  # inside the one that is missed, and the other
        change = drawn[15, x] - missed[0][15, x] * (1 - FILL_SHARE)
        assert np.abs(change - np.array(colour) * FILL_SHARE).max() <= 1
    assert drawn[15, 40].tolist() == [CLEAN] * 3
    assert "a.png: mean Dice 0.000, 800 px wrong" in picture.caption


def test_an_image_that_is_gone_is_named(tmp_path: Path) -> None:
    """Also when it goes between measuring and drawing."""
    data = open_data_set(write_data(tmp_path / "data", frames()))
    with open_predictor(save_model(tmp_path / "model.onnx", SHAPE)) as predictor:
        scores = evaluate(predictor, data.samples, data.classes)
        data.samples[3].image.unlink()
        with pytest.raises(ConfigError, match=r"d\.png: is missing"):
            plot_frame(scores.worst[0], predictor.classes, 1)
        with pytest.raises(ConfigError, match=r"d\.png: is missing"):
            evaluate(predictor, data.samples, data.classes)
