"""Severstal's folder: clean frames, missing and doubled ones, and the sizes that masks are for."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from stripwatch.errors import ConfigError
from stripwatch.wire.rle import decode_severstal
from stripwatch_train.data.data_set import open_data_set
from stripwatch_train.data.formats.severstal import read_severstal, read_severstal_table
from stripwatch_train.data.images import load_image
from stripwatch_train.data.masks import classes_of, load_mask

SHAPE = (256, 1600)
HEADER = "ImageId,ClassId,EncodedPixels\n"
TABLE = HEADER + "a.jpg,1,1 3 300 2\na.jpg,4,2 1\nb.jpg,3,7 9\n"


def kaggle(
    folder: Path, table: str = TABLE, names: str = "abc", shape: tuple[int, int] = SHAPE
) -> Path:
    """The competition's folder, with images of noise called a.jpg, b.jpg, ..."""
    (folder / "train_images").mkdir(parents=True)
    (folder / "test_images").mkdir()
    (folder / "train.csv").write_text(table)
    (folder / "sample_submission.csv").write_text(HEADER + "t.jpg,1 409600,0\n")
    for seed, name in enumerate(names):
        pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
        cv2.imwrite(str(folder / "train_images" / f"{name}.jpg"), pixels)
    return folder


def test_the_folder_is_read_as_kaggle_ships_it(tmp_path: Path) -> None:
    """Rows are masks, an image without a row is clean, the test images are not touched."""
    data = open_data_set(kaggle(tmp_path / "data"))
    assert [entry.name for entry in data.classes] == ["class_1", "class_2", "class_3", "class_4"]
    assert [(sample.name, set(classes_of(sample))) for sample in data.samples] == [
        ("a.jpg", {1, 4}),
        ("b.jpg", {3}),
        ("c.jpg", set()),
    ]
    assert not data.findings
    mask = load_mask(data.samples[0], SHAPE)
    wanted = decode_severstal("1 3 300 2", SHAPE) + 8 * decode_severstal("2 1", SHAPE)
    np.testing.assert_array_equal(mask, wanted)
    assert load_image(data.samples[0]).shape == SHAPE


def test_the_older_format_gives_the_same(tmp_path: Path) -> None:
    """Where clean frames have rows of their own."""
    rows = {"a.jpg_1": "1 3 300 2", "a.jpg_4": "2 1", "b.jpg_3": "7 9", "c.jpg_1": ""}
    table = "ImageId_ClassId,EncodedPixels\n" + "".join(f"{k},{v}\n" for k, v in rows.items())
    old = open_data_set(kaggle(tmp_path / "old", table))
    new = open_data_set(kaggle(tmp_path / "new"))
    assert [sample.masks for sample in old.samples] == [sample.masks for sample in new.samples]


def test_classes_can_be_given_names(tmp_path: Path) -> None:
    """Four, as there are."""
    folder = kaggle(tmp_path / "data")
    data = open_data_set(folder, ["pits", "Inclusion", "scratches", "patches"])
    assert [entry.name for entry in data.classes][1] == "inclusion"
    with pytest.raises(ConfigError, match="has 4 classes, but 2 names are given"):
        open_data_set(folder, ["pits", "scratches"])


def test_images_that_are_missing_are_named(tmp_path: Path) -> None:
    """With the number of their masks and the first row."""
    folder = kaggle(tmp_path / "data", TABLE, "bc")
    words = r"train\.csv: 1 of its 2 images, with 2 masks, .* \(the first: a\.jpg, in row 2, with 2"
    with pytest.raises(ConfigError, match=words):
        read_severstal(folder)


def test_images_of_another_table_never_count_as_clean(tmp_path: Path) -> None:
    """When none of the table's images is there, the images belong to another table."""
    folder = kaggle(tmp_path / "data", TABLE, "cd")
    with pytest.raises(ConfigError, match="2 of its 2 images"):
        read_severstal(folder)


def test_an_image_that_a_full_table_forgets_is_not_clean(tmp_path: Path) -> None:
    """A table with rows for clean images says nothing about one that it does not list."""
    folder = kaggle(tmp_path / "data", TABLE + "c.jpg,1,\n", "abcd")
    with pytest.raises(ConfigError, match=r"none for 1 images of .* \(the first: d\.jpg\)"):
        open_data_set(folder)


def test_the_same_bytes_are_one_group(tmp_path: Path) -> None:
    """Copies stay together; where their masks differ, that is reported."""
    folder = kaggle(tmp_path / "data", TABLE + "e.jpg,1,1 3 300 2\ne.jpg,4,2 1\n", "abc")
    images = folder / "train_images"
    for copy, original in (("d", "c"), ("e", "a"), ("f", "a")):
        (images / f"{copy}.jpg").write_bytes((images / f"{original}.jpg").read_bytes())
    data = open_data_set(folder)
    groups = {sample.name: sample.group for sample in data.samples}
    assert groups == {
        **dict.fromkeys(("a.jpg", "e.jpg", "f.jpg"), "a.jpg"),
        **dict.fromkeys(("c.jpg", "d.jpg"), "c.jpg"),
        "b.jpg": "",
    }
    assert data.findings == ("a.jpg and f.jpg are the same image with different masks",)


def test_masks_are_for_frames_of_one_size(tmp_path: Path) -> None:
    """An image of another size is refused if it has masks; a clean one may have any."""
    folder = kaggle(tmp_path / "data")
    small = np.zeros((100, 400), np.uint8)
    cv2.imwrite(str(folder / "train_images" / "c.jpg"), small)
    assert load_image(open_data_set(folder).samples[2]).shape == (100, 400)
    cv2.imwrite(str(folder / "train_images" / "b.jpg"), small)
    with pytest.raises(ConfigError, match=r"b\.jpg: is 100 x 400 .* are for 256 x 1600"):
        open_data_set(folder)


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    """Already when the data set is opened."""
    folder = kaggle(tmp_path / "data")
    (folder / "train_images" / "b.jpg").write_bytes(b"\xff\xd8\xff no image")
    with pytest.raises(ConfigError, match=r"b\.jpg: "):
        open_data_set(folder)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    """Whether it is missing or empty."""
    (tmp_path / "train.csv").write_text(TABLE)
    with pytest.raises(ConfigError, match="has no folder train_images or images of images"):
        open_data_set(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(ConfigError, match="images: holds no images"):
        open_data_set(tmp_path)


@pytest.mark.slow
def test_the_real_frames_are_read(shared_data: Path) -> None:
    """Twelve frames, of which one is clean, with as many masks as the table has rows."""
    folder = shared_data / "severstal"
    data = open_data_set(folder)
    assert len(data.samples) == 12
    counts = [sum(c in classes_of(sample) for sample in data.samples) for c in (1, 2, 3, 4)]
    assert counts == [2, 1, 7, 2]
    assert [s.name for s in data.samples if not classes_of(s)] == ["0a740fe74.jpg"]
    for sample in data.samples:
        pixels = load_image(sample)
        assert pixels.shape == SHAPE
        bits = np.bitwise_or.reduce(load_mask(sample, SHAPE), axis=None)
        assert {bit + 1 for bit in range(8) if bits >> bit & 1} == classes_of(sample)
    with pytest.raises(ConfigError, match="are not in"):
        read_severstal_table(folder / "masks_only.csv", folder / "images")
