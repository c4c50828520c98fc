"""`submit`: both layouts of Kaggle's sample, and what it must not let through."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.train.tiny_models import BRIGHT, CLASSES, DARK, painted, save_model

from stripwatch.engines.manifest import DefectClass
from stripwatch.errors import ConfigError, ExitCode
from stripwatch.wire.rle import decode_severstal
from stripwatch_train.cli.main import main
from stripwatch_train.evaluation.predictor import open_predictor
from stripwatch_train.evaluation.submission import Layout, check_submission, read_layout, submit

SHAPE = (256, 1600)
FOUR = tuple(DefectClass(id=number, name=f"class_{number}") for number in range(1, 5))
NOWHERE = (0.0, 0.0)
OLD, NEW = "ImageId_ClassId,EncodedPixels", "ImageId,EncodedPixels,ClassId"
NAMES = ("b.jpg", "a.jpg")


def four_class_model(folder: Path) -> Path:
    """Bright pixels are of class 1, dark ones of class 4."""
    lines = [BRIGHT, NOWHERE, NOWHERE, DARK]
    return save_model(folder / "model.onnx", SHAPE, FOUR, lines)


def write_images(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        boxes = [(10, 20, 30, 40, 255), (200, 0, 2, 256, 0)] if name == "a.jpg" else []
        cv2.imwrite(str(folder / name), painted(SHAPE, *boxes))
    return folder


def write_sample(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def old_sample(names: tuple[str, ...] = NAMES) -> str:
    rows = (f"{name}_{number},1 1\n" for name in names for number in range(1, 5))
    return f"{OLD}\n{''.join(rows)}"


def new_sample(names: tuple[str, ...] = NAMES) -> str:
    return f"{NEW}\n" + "".join(f"{name},1 409600,0\n" for name in names)


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("make", [old_sample, new_sample])
def test_a_submission_has_the_samples_rows(
    tmp_path: Path, make: object, capsys: pytest.CaptureFixture[str]
) -> None:
    """Four an image, in the sample's order; nothing found is an empty cell."""
    assert callable(make)
    model = four_class_model(tmp_path)
    images = write_images(tmp_path / "images", "a.jpg", "b.jpg")
    sample = write_sample(tmp_path / "sample.csv", make())
    output = tmp_path / "submission.csv"
    flags = ["--images", str(images), "--sample", str(sample), "--output", str(output)]
    assert main(["submit", str(model), *flags]) == ExitCode.OK
    assert "8 rows of 2 images, 2 with defects" in capsys.readouterr().out
    head, *rows = rows_of(output)
    is_old = make is old_sample
    assert ",".join(head) == (OLD if is_old else NEW)
    found = {(row[0] if is_old else f"{row[0]}_{row[2]}"): row[1] for row in rows}
    assert list(found) == [f"{name}_{number}" for name in NAMES for number in range(1, 5)]
    assert {name for name, text in found.items() if text} == {"a.jpg_1", "a.jpg_4"}
    # Down the columns, from 1: the two dark columns are one run.
    assert found["a.jpg_4"] == f"{200 * 256 + 1} 512"
    bright = decode_severstal(found["a.jpg_1"], SHAPE)
    assert np.argwhere(bright).min(axis=0).tolist() == [20, 10]
    assert bright.sum() == 30 * 40
    assert sorted(path.name for path in tmp_path.glob("*.csv*")) == ["sample.csv", "submission.csv"]


@pytest.mark.parametrize(("name", "images"), [("old_format", 1801), ("new_format", 5506)])
@pytest.mark.slow
def test_kaggles_own_samples_are_read_and_filled_in(
    shared_data: Path, tmp_path: Path, name: str, images: int
) -> None:
    """All their rows; and with real frames in place of the first two images."""
    sample = shared_data / "severstal" / f"sample_submission_{name}.csv"
    layout = read_layout(sample)
    assert len(layout.images) == images
    assert len(layout.pairs) == 4 * images
    assert [number for _, number in layout.pairs[:5]] == [1, 2, 3, 4, 1]
    real = sorted((shared_data / "severstal" / "images").glob("*.jpg"))[:2]
    (tmp_path / "images").mkdir()
    for path in real:
        shutil.copy(path, tmp_path / "images")
    lines = sample.read_text().splitlines()[: 1 + (8 if "old" in name else 2)]
    text = "\n".join(lines) + "\n"
    for old, new in zip(layout.images[:2], real, strict=True):
        text = text.replace(old, new.name)
    own = read_layout(write_sample(tmp_path / "sample.csv", text))
    output = tmp_path / "submission.csv"
    with open_predictor(four_class_model(tmp_path)) as predictor:
        submit(predictor, tmp_path / "images", own, output)
    check_submission(output, own)
    written = output.read_text().splitlines()
    assert written[0] == lines[0]
    assert len(written) == 9


def test_an_index_and_a_byte_order_mark_are_passed_over(tmp_path: Path) -> None:
    """Columns are found by name, and keep their order."""
    text = "\ufeff,ClassId,ImageId,EncodedPixels\n0,0,a.jpg,1 409600\n1,0,b.jpg,1 409600\n"
    layout = read_layout(write_sample(tmp_path / "sample.csv", text))
    assert layout.columns == ("ClassId", "ImageId", "EncodedPixels")
    assert layout.images == ["a.jpg", "b.jpg"]
    assert len(layout.pairs) == 8


def test_blanks_in_a_header_are_passed_over(tmp_path: Path) -> None:
    text = old_sample().replace(OLD, "ImageId_ClassId , EncodedPixels")
    layout = read_layout(write_sample(tmp_path / "sample.csv", text))
    assert ",".join(layout.columns) == OLD
    assert layout.images == list(NAMES)


def test_a_sample_of_some_classes_gets_those(tmp_path: Path) -> None:
    """Rows of real classes are answered as they stand."""
    text = f"{NEW}\na.jpg,1 1,3\nb.jpg,1 1,1\n"
    layout = read_layout(write_sample(tmp_path / "sample.csv", text))
    assert layout.pairs == (("a.jpg", 3), ("b.jpg", 1))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ImageId,Pixels\na.jpg,1 1\n", r"has the columns ImageId, Pixels; expected"),
        (f"{OLD}\na.jpg_5,1 1\n", r"row 2: names image 'a.jpg' and class '5'"),
        (f"{OLD}\na.jpg_0,1 1\n", r"row 2: .* class '0'; expected .* one of 1, 2, 3, 4"),
        (f"{OLD}\na.jpg,1 1\n", r"row 2: names image '' and class 'a.jpg'"),
        (f"{OLD}\na.jpg_1,1 1\nb.jpg_1,\na.jpg_1,\n", r"a.jpg has two rows of class 1"),
        (f"{NEW}\na.jpg,1 1\n", r"row 2: not as many cells as there are columns"),
        (f"{NEW}\n../a.jpg,1 1,1\n", r"row 2: names image '../a.jpg'"),
        (f"{NEW}\n", r"has no rows"),
        ("", r"has the columns ; expected"),
    ],
)
def test_what_is_no_sample_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_layout(write_sample(tmp_path / "sample.csv", text))


def test_images_and_sample_must_be_of_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing ones, further ones, and frames of another size; nothing is written."""
    model = four_class_model(tmp_path)
    sample = write_sample(tmp_path / "sample.csv", old_sample())
    output = tmp_path / "submission.csv"

    def refusal(images: Path) -> str:
        flags = ["--images", str(images), "--sample", str(sample), "--output", str(output)]
        assert main(["submit", str(model), *flags]) == ExitCode.CONFIG
        assert not output.exists()
        return capsys.readouterr().err

    few = write_images(tmp_path / "few", "a.jpg")
    assert "lacks 1 of the sample's 2 images (the first: b.jpg)" in refusal(few)
    many = write_images(tmp_path / "many", "a.jpg", "b.jpg", "c.jpg")
    assert "has 1 images that the sample does not name (the first: c.jpg)" in refusal(many)
    small = write_images(tmp_path / "small", "a.jpg")
    cv2.imwrite(str(small / "b.jpg"), painted((128, 800)))
    assert "is 128 x 800 (lines x pixels)" in refusal(small)


def test_a_file_that_is_there_is_replaced_with_force_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may be the submission of a better model."""
    model = four_class_model(tmp_path)
    images = write_images(tmp_path / "images", "a.jpg", "b.jpg")
    sample = write_sample(tmp_path / "sample.csv", old_sample())
    output = tmp_path / "submission.csv"
    output.write_text("of another model")
    flags = ["--images", str(images), "--sample", str(sample), "--output", str(output)]
    assert main(["submit", str(model), *flags]) == ExitCode.CONFIG
    assert f"{output}: exists; give another --output, or --force" in capsys.readouterr().err
    assert output.read_text() == "of another model"
    assert main(["submit", str(model), *flags, "--force"]) == ExitCode.OK
    assert len(rows_of(output)) == 1 + 8


def test_a_model_of_other_classes_is_refused(tmp_path: Path) -> None:
    """The competition has four."""
    model = save_model(tmp_path / "model.onnx", SHAPE, CLASSES)
    images = write_images(tmp_path / "images", "a.jpg", "b.jpg")
    layout = Layout(tuple(OLD.split(",")), tuple((name, 1) for name in NAMES))
    with (
        open_predictor(model) as predictor,
        pytest.raises(ConfigError, match="has 2 classes, the competition 4"),
    ):
        submit(predictor, images, layout, tmp_path / "submission.csv")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (("a.jpg_2,", "a.jpg_1,"), r"row 2: is of \('a.jpg', 2\); expected \('a.jpg', 1\)"),
        (("a.jpg_1,",), r"has 1 rows; expected 2"),
        (("a.jpg_1,", "a.jpg_2,1 5 3 2"), r"row 3: .* overlaps the run"),
        (("a.jpg_1,", "a.jpg_2,9 1 3 2"), r"row 3: .* overlaps the run"),
        (("a.jpg_1,", "a.jpg_2,409600 2"), r"row 3: .* past the last pixel 409600"),
        (("a.jpg_1,0 1", "a.jpg_2,"), r"row 2: .* is 0"),
        (("a.jpg_1,1 1 5", "a.jpg_2,"), r"row 2: .* without a length"),
    ],
)
def test_a_wrong_submission_does_not_pass(
    tmp_path: Path, rows: tuple[str, ...], words: str
) -> None:
    """Rows, their order, and runs."""
    layout = Layout(tuple(OLD.split(",")), (("a.jpg", 1), ("a.jpg", 2)))
    path = write_sample(tmp_path / "submission.csv", "\n".join([OLD, *rows]) + "\n")
    with pytest.raises(ConfigError, match=words):
        check_submission(path, layout)
