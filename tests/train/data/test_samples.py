"""Samples: names of classes, what a fingerprint covers, and a folder without data."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from stripwatch.errors import ConfigError
from stripwatch_train.data.data_set import open_data_set
from stripwatch_train.data.fingerprint import fingerprint
from stripwatch_train.data.samples import DataSet, MaskFile, RunMasks, Sample, make_classes

SHAPE = (12, 20)
GREY = np.arange(240, dtype=np.uint8).reshape(SHAPE)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "has 0 classes"),
        ([f"n{number}" for number in range(9)], "has 9 classes; 1 to 8"),
        (["a", "Ä"], "'Ä' cannot name a class"),
        (["background", "x"], "'background' is no class: the background is what no mask covers"),
        (["x", "__ignore__"], "'__ignore__' is no class"),
        (["x", "Unlabeled"], "'Unlabeled' is no class"),
        (["a" * 33], "cannot name a class"),
        (["Rolled-in", "rolled in"], "two classes are called 'rolled_in'"),
    ],
)
def test_names_that_cannot_be_classes_are_refused(names: list[str], words: str) -> None:
    """In the name of the file that they come from."""
    with pytest.raises(ConfigError, match=f"classes.txt: .*{words}"):
        make_classes(Path("classes.txt"), names)


def test_names_are_written_as_events_carry_them() -> None:
    """Small letters, digits and underscores; ids count from 1."""
    made = make_classes(Path("x"), ["Rolled-in scale ", "MT_Crack"])
    assert [(entry.id, entry.name) for entry in made] == [(1, "rolled_in_scale"), (2, "mt_crack")]


def small_set(folder: Path) -> DataSet:
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), GREY)
    cv2.imwrite(str(folder / "b.png"), GREY)
    cv2.imwrite(str(folder / "m.png"), GREY // 200)
    samples = (
        Sample("b", folder / "b.png", MaskFile(folder / "m.png", 2)),
        Sample("a", folder / "a.png", RunMasks(SHAPE, "severstal", ((1, "1 3"),))),
    )
    return DataSet(make_classes(folder, ["x", "y"]), samples, str(folder))


def test_a_fingerprint_is_of_the_data_alone(tmp_path: Path) -> None:
    """Path, order and findings do not matter; names, labels and every byte of an image do."""
    data = small_set(tmp_path / "one")
    same = small_set(tmp_path / "two")
    first, second = same.samples
    changed = [
        dataclasses.replace(same, classes=make_classes(tmp_path, ["x", "z"])),
        dataclasses.replace(same, samples=(first,)),
        dataclasses.replace(same, samples=(first, dataclasses.replace(second, name="c"))),
        dataclasses.replace(same, samples=(first, dataclasses.replace(second, masks=None))),
    ]
    prints = [fingerprint(entry) for entry in changed]
    assert fingerprint(data) == fingerprint(same)
    assert fingerprint(data) == fingerprint(
        dataclasses.replace(same, samples=(second, first), findings=("x",))
    )
    for name in ("b.png", "m.png"):
        path = tmp_path / "two" / name
        path.write_bytes(path.read_bytes() + b"\0")
        prints.append(fingerprint(same))
    assert len({fingerprint(data), *prints}) == 1 + len(prints)
    (tmp_path / "two" / "a.png").unlink()
    with pytest.raises(ConfigError, match=r"a\.png: cannot be read"):
        fingerprint(same)


def test_a_folder_without_data_is_an_error_that_lists_the_layouts(tmp_path: Path) -> None:
    """Every layout that is known."""
    (tmp_path / "a.png").touch()
    layouts = ("annotations.json", "instances_", "train.csv", "images/", "masks/", "CLASS/a.jpg")
    with pytest.raises(ConfigError) as caught:
        open_data_set(tmp_path)
    assert all(layout in str(caught.value) for layout in layouts)
    for path in (tmp_path / "a.png", tmp_path / "none", tmp_path / "none.json"):
        with pytest.raises(ConfigError, match="is neither a folder nor a"):
            open_data_set(path)
