"""Mask tables of Severstal's data, in all layouts that Kaggle and its users publish."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from stripwatch.errors import ConfigError
from stripwatch.wire.causes import WireError
from stripwatch.wire.rle import decode_severstal
from stripwatch_train.data.text import read_text

CLASSES = 4
SHAPE = (256, 1600)  # lines, pixels of every frame of the competition
LAYOUTS = (
    "ImageId,ClassId,EncodedPixels (one row a mask), ImageId_ClassId,EncodedPixels (four rows an "
    "image), or ImageId,1,2,3,4 (one row an image)"
)
# Every second pixel: no mask has more runs. Python's own limit is too low for a mask of noise.
CELL_CHARACTERS_MAX = SHAPE[0] * SHAPE[1] // 2 * len("409600 1 ")
# As many as Excel and LibreOffice keep of a cell, Google's spreadsheet, older LibreOffices.
SPREADSHEET_CHARACTERS = (32_767, 50_000, 65_535)
_EMPTY = {"", "nan", "none", "null", "0 0"}  # in small letters; each is seen in public copies
RunsByClass = dict[int, str]  # EncodedPixels by class id
Cell = tuple[str, str, str]  # image, class id, EncodedPixels
Record = dict[str, str]  # cells of a row by column


def read_mask_table(path: Path) -> dict[str, RunsByClass]:
    """The masks of each image in the table; an image without defects has none.

    Columns are found by name in any order; unnamed ones (an index) and a byte-order mark
    are ignored. A repeated mask counts once.

    Raises:
        ConfigError: names the file, the row (1 is the header) and what is wrong with it.
    """
    table: dict[str, RunsByClass] = {}
    row_of: dict[tuple[str, int], int] = {}
    for row, (image, class_text, pixels) in _cells(path):
        where = f"{path}, row {row}"
        if not re.fullmatch(r"[1-9]\d{0,3}", class_text) or int(class_text) > CLASSES:
            raise ConfigError(f"{where}: class {class_text!r}; expected 1 to {CLASSES}")
        if not image or "/" in image:
            raise ConfigError(f"{where}: {image!r} is no name of an image")
        if len(pixels) in SPREADSHEET_CHARACTERS:
            raise ConfigError(
                f"{where}: EncodedPixels has exactly {len(pixels):,} characters, as many as a "
                "spreadsheet keeps of a cell: the rest of the mask is lost; take the original "
                "table, which no spreadsheet has saved"
            )
        masks = table.setdefault(image, {})
        if pixels.strip().lower() in _EMPTY:
            continue
        class_id, text = int(class_text), " ".join(pixels.split())
        _check_runs(where, text)
        if masks.setdefault(class_id, text) != text:
            raise ConfigError(
                f"{where}: another mask of class {class_id} of {image} is in row "
                f"{row_of[image, class_id]}; join them, or remove one"
            )
        row_of.setdefault((image, class_id), row)
    if not table:
        raise ConfigError(
            f"{path}: has no rows, so that every image would count as clean; it may have been cut"
        )
    return table


def first_row(path: Path, image: str) -> int:
    """The first row of a table that names an image, which there is one of; the header is row 1.

    Raises:
        ConfigError: as `read_mask_table`.
    """
    return next(row for row, (name, _, _) in _cells(path) if name == image)


def read_csv(path: Path) -> tuple[list[str], list[tuple[int, Record]]]:
    """The columns' names without blanks, and each row's number (1 is the header) and cells.

    A byte-order mark is ignored. Rows may have too many or too few cells: see `check_cells`.

    Raises:
        ConfigError: it cannot be read, or is no such table.
    """
    limit = csv.field_size_limit(CELL_CHARACTERS_MAX)
    try:
        reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
        columns = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = columns
        return columns, [(reader.line_num, record) for record in reader]
    except csv.Error as error:
        raise ConfigError(f"{path}: is not a table of comma-separated values: {error}") from error
    finally:
        csv.field_size_limit(limit)


def check_cells(path: Path, row: int, record: Record) -> None:
    """Refuse a row with more or fewer cells than there are columns.

    Raises:
        ConfigError: it has.
    """
    if None in record or None in record.values():
        raise ConfigError(f"{path}, row {row}: not as many cells as there are columns")


def _check_runs(where: str, text: str) -> None:
    try:
        decode_severstal(text, SHAPE)
    except WireError as error:
        raise ConfigError(f"{where}: EncodedPixels: {error.detail}") from None


def _cells(path: Path) -> Iterator[tuple[int, Cell]]:
    """Row number and cell of every mask in the table, also of empty ones."""
    columns, rows = read_csv(path)
    split = _splitter(path, columns)
    for row, record in rows:
        check_cells(path, row, record)
        for cell in split(path, row, record):
            yield row, cell


Splitter = Callable[[Path, int, Record], list[Cell]]


def _splitter(path: Path, columns: Sequence[str]) -> Splitter:
    names = set(columns)
    if {"ImageId", "ClassId", "EncodedPixels"} <= names:
        return lambda _path, _row, record: [
            (record["ImageId"].strip(), record["ClassId"].strip(), record["EncodedPixels"])
        ]
    if {"ImageId_ClassId", "EncodedPixels"} <= names:
        return _split_joined
    if {"ImageId", *map(str, range(1, CLASSES + 1))} <= names:
        return _split_wide
    raise ConfigError(f"{path}: has the columns {', '.join(sorted(names))}; expected {LAYOUTS}")


def _split_joined(path: Path, row: int, record: Record) -> list[Cell]:
    image, mark, class_id = record["ImageId_ClassId"].strip().rpartition("_")
    if not mark:
        raise ConfigError(
            f"{path}, row {row}: ImageId_ClassId is {class_id!r}; expected for example a.jpg_1"
        )
    return [(image, class_id, record["EncodedPixels"])]


def _split_wide(path: Path, row: int, record: Record) -> list[Cell]:
    cells = [
        (record["ImageId"].strip(), str(class_id), record[str(class_id)])
        for class_id in range(1, CLASSES + 1)
    ]
    if any(pixels.strip() in {"0", "1"} for _, _, pixels in cells):
        raise ConfigError(
            f"{path}, row {row}: lists the classes of an image, but no masks; masks are needed"
        )
    return cells
