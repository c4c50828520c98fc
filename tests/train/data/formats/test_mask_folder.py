"""Folders of images and masks: pairs by name, names of classes, and a folder for each class."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from stripwatch.errors import ConfigError
from stripwatch_train.data.data_set import open_data_set
from stripwatch_train.data.images import load_image
from stripwatch_train.data.masks import classes_of, load_mask
from stripwatch_train.data.samples import MaskFile

NAMES = ["inclusion", "patches", "scratches"]


def put(path: Path, value: int) -> None:
    """An image of one grey level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((8, 12), value, np.uint8))


def neu(folder: Path) -> Path:
    """Two splits in which a name repeats, as in NEU-Seg."""
    for value, name in enumerate(("training/01", "training/02", "test/01")):
        put(folder / "images" / f"{name}.jpg", 100 + value)
        put(folder / "annotations" / f"{name}.png", value)
    return folder


def test_names_repeat_between_splits(tmp_path: Path) -> None:
    """A sample's name holds its split; each image has its own split's mask."""
    data = open_data_set(neu(tmp_path), NAMES)
    assert [(sample.name, set(classes_of(sample))) for sample in data.samples] == [
        ("test/01", {2}),
        ("training/01", set()),
        ("training/02", {1}),
    ]
    assert load_image(data.samples[0])[0, 0] == 102
    np.testing.assert_array_equal(load_mask(data.samples[0], (8, 12)), 2)


def test_one_split_can_be_opened_alone(tmp_path: Path) -> None:
    """By the path of its images."""
    data = open_data_set(neu(tmp_path) / "images" / "training", NAMES)
    assert [sample.name for sample in data.samples] == ["01", "02"]
    assert load_image(data.samples[0])[0, 0] == 100


def test_the_classes_stand_in_a_file_or_are_given(tmp_path: Path) -> None:
    """The file may have Windows line ends, a byte-order mark and empty lines."""
    folder = neu(tmp_path)
    with pytest.raises(ConfigError, match=r"not known; give them, or write them into .*classes\.t"):
        open_data_set(folder)
    text = "\ufeffInclusion\r\npatches\r\n\r\nscratches\r\n"
    (folder / "classes.txt").write_text(text, encoding="utf-8", newline="")
    for path in (folder, folder / "images" / "training"):
        assert [entry.name for entry in open_data_set(path).classes] == NAMES
    (folder / "classes.txt").write_bytes(b"Ri\xdf\n")
    with pytest.raises(ConfigError, match=r"classes\.txt: cannot be read: byte 2 is not UTF-8"):
        open_data_set(folder)


def test_masks_may_lie_in_a_folder_called_masks(tmp_path: Path) -> None:
    """White in the masks of a single class is that class."""
    put(tmp_path / "images" / "a.bmp", 1)
    put(tmp_path / "masks" / "a.png", 255)
    data = open_data_set(tmp_path, ["hole"])
    assert classes_of(data.samples[0]) == {1}


def test_a_value_beyond_the_classes_is_named(tmp_path: Path) -> None:
    """With the file; two names are too few for three classes."""
    folder = neu(tmp_path)
    put(folder / "annotations" / "training" / "02.png", 3)
    data = open_data_set(folder, NAMES[:2])
    with pytest.raises(ConfigError, match=r"02\.png: has the value 3; with 2 classes"):
        classes_of(data.samples[2])


def test_what_has_no_partner_is_named(tmp_path: Path) -> None:
    """An image without a mask is not taken for clean, and a mask without an image is a mistake."""
    folder = neu(tmp_path)
    put(folder / "images" / "training" / "03.jpg", 1)
    with pytest.raises(ConfigError, match=r"images: 1 images have no mask .* training/03\); an im"):
        open_data_set(folder, NAMES)
    put(folder / "annotations" / "training" / "03.png", 0)
    put(folder / "annotations" / "training" / "04.png", 0)
    with pytest.raises(ConfigError, match=r"1 masks have no image .* training/04\)"):
        open_data_set(folder, NAMES)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    """It would not be known which of them the mask is for."""
    folder = neu(tmp_path)
    put(folder / "images" / "training" / "01.png", 1)
    with pytest.raises(ConfigError, match=r"01\.jpg and 01\.png share the name training/01"):
        open_data_set(folder, NAMES)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """Naming it."""
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    with pytest.raises(ConfigError, match="images: holds no images"):
        open_data_set(tmp_path, NAMES)


def tiles(folder: Path) -> Path:
    for name, bright in (("MT_Break", 250), ("MT_Crack", 130), ("MT_Free", 0)):
        for stem in ("a", "b"):
            put(folder / name / f"{stem}.jpg", 90)
            put(folder / name / f"{stem}.png", bright)
    return folder


def test_a_folder_can_be_a_class(tmp_path: Path) -> None:
    """Bright pixels of the masks are of that class; the folder of free ones is clean."""
    data = open_data_set(tiles(tmp_path))
    assert [entry.name for entry in data.classes] == ["mt_break", "mt_crack"]
    assert [(sample.name, *classes_of(sample)) for sample in data.samples] == [
        ("MT_Break/a", 1),
        ("MT_Break/b", 1),
        ("MT_Crack/a", 2),
        ("MT_Crack/b", 2),
        ("MT_Free/a",),
        ("MT_Free/b",),
    ]
    named = open_data_set(tmp_path, ["MT_Crack", "MT_Break"])
    assert classes_of(named.samples[0]) == {2}


def test_suffixes_are_known_in_any_case(tmp_path: Path) -> None:
    samples = open_data_set(tiles(tmp_path)).samples
    expected = [(sample.name, classes_of(sample)) for sample in samples]
    for path in sorted(tmp_path.rglob("*.*")):
        path.rename(path.with_suffix(path.suffix.upper()))
    found = open_data_set(tmp_path).samples
    assert [(sample.name, classes_of(sample)) for sample in found] == expected


def test_a_class_that_is_not_named_never_counts_as_clean(tmp_path: Path) -> None:
    """Nor can one be named that has no folder."""
    folder = tiles(tmp_path)
    with pytest.raises(ConfigError, match="MT_Break is none of the classes MT_Crack"):
        open_data_set(folder, ["MT_Crack"])
    with pytest.raises(ConfigError, match="has no folder MT_Fray; there are: MT_Break"):
        open_data_set(folder, ["MT_Break", "MT_Crack", "MT_Fray"])


def test_neu_seg_is_read(shared_data: Path) -> None:
    """All 3,630 names, of which no file is opened before it is asked for."""
    data = open_data_set(shared_data / "neu_seg", NAMES)
    assert len({sample.name for sample in data.samples}) == 3630
    for sample in data.samples[::300]:
        assert isinstance(sample.masks, MaskFile)
        assert sample.image.stem == sample.masks.path.stem
        assert load_image(sample).shape == (200, 200)
        assert load_mask(sample, (200, 200)).any()
        assert classes_of(sample)


def test_magnetic_tiles_are_read(shared_data: Path) -> None:
    """Five classes of twenty; a mask of an uneven tile is empty."""
    data = open_data_set(shared_data / "magnetic_tile")
    assert [entry.name for entry in data.classes] == [
        *("mt_blowhole", "mt_break", "mt_crack", "mt_fray", "mt_uneven")
    ]
    counts = [sum(c in classes_of(sample) for sample in data.samples) for c in range(1, 6)]
    assert counts == [20, 20, 20, 20, 19]
