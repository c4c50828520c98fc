"""submission.csv for Kaggle's Severstal competition, in the layout of its sample_submission.csv.

Two layouts exist. While the competition ran, a sample had four rows for each image,
`ImageId_ClassId,EncodedPixels`, and its submissions have the same rows. The files that Kaggle
publishes since then have `ImageId,EncodedPixels,ClassId` and one row for each image, of class 0
with all pixels: a placeholder, as there is no class 0. According to Kaggle's data page, a
submission in either layout has four rows for each image, one for each class, and the score is over
these pairs. Therefore four rows are written in both layouts, in the sample's order and with its
columns; nothing found is an empty EncodedPixels. The newer layout could not be tried at Kaggle.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stripwatch.errors import ConfigError, StorageError
from stripwatch.files import draft_path
from stripwatch.service.console import Progress
from stripwatch.wire.causes import WireError
from stripwatch.wire.names import class_bit
from stripwatch.wire.rle import decode_severstal, encode_severstal, runs_of_mask
from stripwatch_train.data.formats.mask_table import CLASSES, SHAPE, Record, check_cells, read_csv
from stripwatch_train.data.images import image_files, load_image
from stripwatch_train.data.samples import Sample
from stripwatch_train.evaluation.predict import findings, mask_of
from stripwatch_train.evaluation.predictor import Predictor
from stripwatch_train.evaluation.scores import Bytes

JOINED, IMAGE, CLASS, PIXELS = "ImageId_ClassId", "ImageId", "ClassId", "EncodedPixels"
ANY_CLASS = 0  # of the newer sample's placeholders

Pair = tuple[str, int]  # image, class id


@dataclass(frozen=True)
class Layout:
    """Layout of a submission."""

    columns: tuple[str, ...]  # in the sample's order, without an index
    pairs: tuple[Pair, ...]  # one for each row

    @property
    def images(self) -> list[str]:
        """The names of the images, each once, in order."""
        return list(dict.fromkeys(image for image, _ in self.pairs))


def read_layout(sample: Path) -> Layout:
    """The layout of a sample_submission.csv.

    Raises:
        ConfigError: it is not one; a row names no image or class, or is repeated.
    """
    columns, rows = _read(sample)
    pairs: list[Pair] = []
    for row, cells in enumerate(rows, 2):
        image, class_id = _pair(f"{sample}, row {row}", cells)
        ids = range(1, CLASSES + 1) if class_id == ANY_CLASS else [class_id]
        pairs += [(image, number) for number in ids]
    if len(set(pairs)) != len(pairs):
        twice = next(pair for index, pair in enumerate(pairs) if pair in pairs[:index])
        raise ConfigError(f"{sample}: {twice[0]} has two rows of class {twice[1]}; keep one")
    if not pairs:
        raise ConfigError(f"{sample}: has no rows")
    return Layout(columns, tuple(pairs))


def submit(
    predictor: Predictor,
    images: Path,
    layout: Layout,
    output: Path,
    progress: Progress = lambda *_: None,
) -> int:
    """Write a submission; returns in how many rows there is something.

    It is read back and checked before it takes its name.

    Raises:
        ConfigError: the model does not have the competition's classes; an image of the sample is
            missing, of another size or damaged, or there are others.
        ModelError: the model cannot be run.
        DeviceError: its device is missing or fails.
        StorageError: the file cannot be written, or does not read as it was written.
    """
    if len(predictor.classes) != CLASSES:
        raise ConfigError(
            f"{predictor.name}: has {len(predictor.classes)} classes, the competition {CLASSES}"
        )
    files = _files(images, layout)
    texts: dict[Pair, str] = {}
    frames = (_load(path) for path in files.values())
    predictions = predictor.predictions(frames)
    for done, (name, prediction) in enumerate(zip(files, predictions, strict=True), 1):
        mask = mask_of(findings(prediction, predictor.classes, predictor.gate), SHAPE)
        for class_id in range(1, CLASSES + 1):
            plane = mask & np.uint8(class_bit(class_id))
            texts[name, class_id] = encode_severstal(runs_of_mask(plane))
        progress(f"frames of {predictor.name}", done, len(files))
    draft = draft_path(output)
    try:
        _write(draft, layout, texts)
        check_submission(draft, layout)
        draft.replace(output)
    except OSError as error:
        raise StorageError(f"{output} cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):  # a failing disk is reported already
            draft.unlink(missing_ok=True)
    return sum(bool(texts[pair]) for pair in layout.pairs)


def check_submission(path: Path, layout: Layout) -> None:
    """Read a submission and check it as Kaggle does.

    It must have the layout's rows in its order, and in each of them runs that rise, do not overlap
    and end inside the frame.

    Raises:
        ConfigError: names the row and what is wrong with it.
    """
    columns, rows = _read(path)
    if columns != layout.columns:
        raise ConfigError(f"{path}: has the columns {columns}; expected {layout.columns}")
    if len(rows) != len(layout.pairs):
        raise ConfigError(f"{path}: has {len(rows)} rows; expected {len(layout.pairs)}")
    for row, (cells, pair) in enumerate(zip(rows, layout.pairs, strict=True), 2):
        where = f"{path}, row {row}"
        if _pair(where, cells) != pair:
            raise ConfigError(f"{where}: is of {_pair(where, cells)}; expected {pair}")
        try:
            decode_severstal(cells[PIXELS], SHAPE)
        except WireError as error:
            raise ConfigError(f"{where}: {PIXELS}: {error.detail}") from None


def _write(path: Path, layout: Layout, texts: dict[Pair, str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(layout.columns)
        for image, class_id in layout.pairs:
            cells = {
                JOINED: f"{image}_{class_id}",
                IMAGE: image,
                CLASS: str(class_id),
                PIXELS: texts[image, class_id],
            }
            writer.writerow([cells[name] for name in layout.columns])


def _read(path: Path) -> tuple[tuple[str, ...], list[Record]]:
    """The columns that count, in order, and the rows; an index is left out."""
    names, rows = read_csv(path)
    named = [name for name in names if name]
    columns = tuple(name for name in named if name in (JOINED, IMAGE, CLASS, PIXELS))
    if set(columns) not in ({JOINED, PIXELS}, {IMAGE, CLASS, PIXELS}):
        raise ConfigError(
            f"{path}: has the columns {', '.join(named)}; expected {JOINED},{PIXELS} or "
            f"{IMAGE},{PIXELS},{CLASS}"
        )
    for row, cells in rows:
        check_cells(path, row, cells)
    return columns, [cells for _, cells in rows]


def _pair(where: str, cells: Record) -> Pair:
    if JOINED in cells:
        image, _, class_text = cells[JOINED].strip().rpartition("_")
        least = 1
    else:
        image, class_text = cells[IMAGE].strip(), cells[CLASS].strip()
        least = ANY_CLASS
    known = [str(number) for number in range(least, CLASSES + 1)]
    if not image or "/" in image or class_text not in known:
        raise ConfigError(
            f"{where}: names image {image!r} and class {class_text!r}; expected for example a.jpg "
            f"and one of {', '.join(known)}"
        )
    return image, int(class_text)


def _files(images: Path, layout: Layout) -> dict[str, Path]:
    """The files of the sample's images, by name in its order."""
    there = {path.name: path for path in image_files(images) if path.parent == images}
    _check_same(images, there, layout.images)
    return {name: there[name] for name in layout.images}


def _check_same(images: Path, there: Iterable[str], wanted: Sequence[str]) -> None:
    missing = sorted(set(wanted) - set(there))
    if missing:
        raise ConfigError(
            f"{images}: lacks {len(missing)} of the sample's {len(wanted)} images (the first: "
            f"{missing[0]}); name the folder of the sample's test images"
        )
    more = sorted(set(there) - set(wanted))
    if more:
        raise ConfigError(
            f"{images}: has {len(more)} images that the sample does not name (the first: "
            f"{more[0]}); name the sample that belongs to these images"
        )


def _load(path: Path) -> Bytes:
    pixels = load_image(Sample(path.name, path, None))
    if pixels.shape != SHAPE:
        raise ConfigError(
            f"{path}: is {pixels.shape[0]} x {pixels.shape[1]} (lines x pixels), but the frames of "
            f"the competition are {SHAPE[0]} x {SHAPE[1]}; use the original image"
        )
    return pixels
