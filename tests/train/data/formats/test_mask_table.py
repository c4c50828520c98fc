"""Severstal's tables: every layout means the same, and what is wrong is named with its row."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from stripwatch.errors import ConfigError
from stripwatch_train.data.formats.mask_table import first_row, read_mask_table

WANTED = {"a.jpg": {1: "1 3 300 2", 4: "7 1"}, "b.jpg": {}}
NEW = "ImageId,ClassId,EncodedPixels\na.jpg,1,1 3 300 2\na.jpg,4,7 1\nb.jpg,2,\n"


def table(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "train.csv"
    path.write_text(text, encoding=encoding)
    return path


@pytest.mark.parametrize(
    "text",
    [
        NEW,
        "ImageId,EncodedPixels,ClassId\na.jpg,1 3 300 2,1\na.jpg,7 1,4\nb.jpg,NaN,1\n",
        ",ImageId,ClassId,EncodedPixels\n0,a.jpg,1, 1 3  300 2 \n1,a.jpg,4,7 1\n2,b.jpg,3,0 0\n",
        "ImageId_ClassId,EncodedPixels\na.jpg_1,1 3 300 2\na.jpg_2,\na.jpg_4,7 1\nb.jpg_1,\n",
        "ImageId,1,2,3,4\na.jpg,1 3 300 2,,nan,7 1\nb.jpg,,0 0,,\n",
        NEW + "a.jpg,1,1 3 300 2\n",
        NEW.replace("\n", "\r\n"),
        NEW.replace("ImageId,ClassId,EncodedPixels", " ImageId , ClassId, EncodedPixels"),
        "ImageId_ClassId , EncodedPixels\na.jpg_1,1 3 300 2\na.jpg_4,7 1\nb.jpg_1,\n",
    ],
)
def test_every_layout_means_the_same(tmp_path: Path, text: str) -> None:
    """Column order, an index column, empty marks, a repeated row, Windows line ends."""
    assert read_mask_table(table(tmp_path, text)) == WANTED


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    """Spreadsheet programs write one."""
    assert read_mask_table(table(tmp_path, NEW, "utf-8-sig")) == WANTED


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image,label\n", r"train\.csv: has the columns image, label; expected ImageId,ClassId"),
        ("", r"has the columns ; expected"),
        ("ImageId,ClassId,EncodedPixels\n", r"has no rows, so that every image would count as"),
        (NEW + "c.jpg,5,1 1\n", r"row 5: class '5'; expected 1 to 4"),
        (NEW + "c.jpg,x,1 1\n", r"row 5: class 'x'"),
        (NEW + "c.jpg,0,1 409600\n", r"row 5: class '0'"),
        (NEW + "c.jpg,1,1 1 1\n", r"row 5: EncodedPixels: number 3 is a start without a length"),
        (NEW + "c.jpg,1,409600 2\n", r"row 5: EncodedPixels: "),
        (NEW + "c.jpg,1,1 -1\n", r"row 5: EncodedPixels: a negative number"),
        (NEW + "a.jpg,4,9 1\n", r"row 5: another mask of class 4 of a\.jpg is in row 3"),
        (NEW + ",1,1 1\n", r"row 5: '' is no name of an image"),
        (NEW + "../c.jpg,1,1 1\n", r"row 5: '\.\./c\.jpg' is no name"),
        (NEW + "c.jpg,1\n", r"row 5: not as many cells"),
        (NEW + "c.jpg,1,1 1,2\n", r"row 5: not as many cells"),
        ("ImageId_ClassId,EncodedPixels\na.jpg,\n", r"row 2: ImageId_ClassId is 'a\.jpg'"),
        ("ImageId,1,2,3,4\na.jpg,0,1,0,0\n", r"row 2: lists the classes .* but no masks"),
    ],
)
def test_what_is_wrong_is_named_with_its_row(tmp_path: Path, text: str, words: str) -> None:
    """And the file; nothing is guessed."""
    with pytest.raises(ConfigError, match=words):
        read_mask_table(table(tmp_path, text))


def test_a_mask_of_noise_is_read(tmp_path: Path) -> None:
    """Every second pixel: its cell is longer than Python's own limit."""
    text = " ".join(f"{start} 1" for start in range(1, 40_001, 2))
    assert len(text) > csv.field_size_limit()
    path = table(tmp_path, f"{NEW}c.jpg,1,{text}\nd.jpg,1,1 1\n")
    assert read_mask_table(path)["c.jpg"] == {1: text}
    assert first_row(path, "d.jpg") == 6


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    """A folder, a missing file, a picture."""
    (tmp_path / "x.csv").write_bytes(b"\xff\xd8\xff\xe0" * 9)
    for name in ("", "missing.csv", "x.csv"):
        with pytest.raises(ConfigError, match=r"cannot be read|is not a table"):
            read_mask_table(tmp_path / name)


@pytest.mark.slow
def test_the_real_tables_are_read(shared_data: Path) -> None:
    """As many images and masks as the files are known to have."""
    folder = shared_data / "severstal"
    train = read_mask_table(folder / "train.csv")
    counts = [sum(class_id in masks for masks in train.values()) for class_id in (1, 2, 3, 4)]
    assert counts == [2, 1, 7, 2]
    masks_only = read_mask_table(folder / "masks_only.csv")
    counts = [sum(class_id in masks for masks in masks_only.values()) for class_id in (1, 2, 3, 4)]
    assert counts == [196, 79, 478, 204]
    pseudo = read_mask_table(folder / "pseudo_labels_old_format.csv")
    assert len(pseudo) == 7204 // 4
    assert sum(map(len, pseudo.values())) == 782
    with pytest.raises(ConfigError, match="lists the classes of an image, but no masks"):
        read_mask_table(folder / "class_table.csv")


@pytest.mark.parametrize("characters", [32_767, 50_000])
def test_a_mask_that_a_spreadsheet_cut_is_refused(tmp_path: Path, characters: int) -> None:
    """One character less is a mask like any other."""
    pairs = " ".join(f"{start} 1" for start in range(1, 400_000, 2))
    path = tmp_path / "train.csv"
    for length in (characters, characters - 1):
        text = pairs[:length].rpartition(" ")[0] if length < characters else pairs[:length]
        runs = text.split()
        text = " ".join(runs[: len(runs) // 2 * 2]) if length < characters else text
        path.write_text(f"ImageId,ClassId,EncodedPixels\na.jpg,1,{text}\n")
        if length == characters:
            with pytest.raises(ConfigError, match=f"has exactly {characters:,} characters, as man"):
                read_mask_table(path)
        else:
            assert read_mask_table(path)["a.jpg"][1] == text
