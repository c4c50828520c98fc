"""The folder of an audit: pictures, the table that a person fills in, and the key to it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import msgspec

from stripwatch.errors import ConfigError, StorageError
from stripwatch.files import read_utf8, write_whole
from stripwatch.inspect.grading.audit import CLEAN, UNSURE, ClassScore, Judged

TABLE, KEY = "judge.csv", "key.json"
COLUMNS = ("number", "picture", "side", "from_m", "to_m", "left_mm", "right_mm", "judgement")


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One picture or place of a sample, and the answer of the daemon to it."""

    number: int
    told: str  # a class, or CLEAN
    side: str
    picture: str = ""  # name of its file; empty: look at the place
    downweb_mm: tuple[float, float] | None = None
    crossweb_mm: tuple[float, float] | None = None
    seq: int | None = None  # of the defect's event
    frame: str = ""  # camera, session and number of a clean frame


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """What the person who judges must not see."""

    strip: str
    stream: str
    seed: int
    classes: tuple[str, ...]  # of the strip's defects
    items: tuple[Item, ...]


def write_table(folder: Path, key: Key) -> None:
    """Write the table to fill in, and the key.

    Raises:
        StorageError: they cannot be written.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for item in key.items:
        along = [f"{at / 1000:.3f}" for at in item.downweb_mm or ()] or ["", ""]
        across = [f"{at:.0f}" for at in item.crossweb_mm or ()] or ["", ""]
        writer.writerow([item.number, item.picture, item.side, *along, *across, ""])
    try:
        write_whole(folder / KEY, msgspec.json.format(msgspec.json.encode(key), indent=2))
        write_whole(folder / TABLE, file.getvalue().encode())
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror or error}") from error


def read_judgements(folder: Path) -> list[Judged]:
    """The answers of daemon and person.

    Raises:
        ConfigError: table or key cannot be used; names row, value and what is allowed.
        StorageError: one of them cannot be read.
    """
    try:
        key = msgspec.json.decode((folder / KEY).read_bytes(), type=Key)
        text = read_utf8(folder / TABLE).decode()
    except OSError as error:
        raise StorageError(
            f"{error.filename} cannot be read: {error.strerror}; give a folder of: "
            "stripwatch audit sample"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{folder}: {KEY} or {TABLE} is damaged: {error}") from error
    # Spreadsheets of some countries write semicolons.
    delimiter = ";" if ";" in text.partition("\n")[0] else ","
    told = {item.number: item.told for item in key.items}
    said: dict[int, str] = {}
    for row in csv.DictReader(io.StringIO(text), delimiter=delimiter):
        number, judgement = _row(row, key, folder / TABLE)
        if number not in told or number in said:
            raise ConfigError(f"{folder / TABLE}: number {number} is not of the sample, or twice")
        said[number] = judgement
    return [Judged(answer, said.get(number, "")) for number, answer in told.items()]


def _row(row: dict[str, str], key: Key, path: Path) -> tuple[int, str]:
    number, judgement = (row.get("number") or "").strip(), (row.get("judgement") or "").strip()
    if not (number.isdecimal() and number.isascii()) or "judgement" not in row:
        raise ConfigError(f"{path}: needs the columns number and judgement; got {dict(row)}")
    allowed = (*key.classes, CLEAN, UNSURE)
    if judgement and judgement not in allowed:
        raise ConfigError(
            f"{path}: number {number}: judgement {judgement!r}; allowed: {', '.join(allowed)}, or "
            "nothing"
        )
    return int(number), judgement


def scores_text(scores: Sequence[ClassScore]) -> str:
    """One line for each answer of the daemon."""
    rows = []
    for one in scores:
        what = "frames without a miss" if one.told == CLEAN else f"{one.told} right"
        rate = one.rate
        if rate.share is None:
            rows.append(f"{what}: nothing was judged")
            continue
        text = (
            f"{what}: {rate.right} of {rate.judged}, {100 * rate.share:.1f} % "
            f"(95 %: {100 * rate.low:.1f} to {100 * rate.high:.1f} %)"
        )
        if one.said:
            text += "; else " + ", ".join(f"{name} {count}" for name, count in one.said.items())
        text += f"; unsure {one.unsure}" if one.unsure else ""
        text += f"; not judged yet {one.open}" if one.open else ""
        rows.append(text)
    return "\n".join(rows) + "\n"
