"""COCO: polygons and run lengths come in, the project's folder goes out, and nothing changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco
from pycocotools.coco import COCO

from stripwatch.errors import ConfigError, ExitCode, StorageError
from stripwatch_train.cli.main import main
from stripwatch_train.data.data_set import convert, open_data_set
from stripwatch_train.data.formats.coco import read_coco
from stripwatch_train.data.images import load_image
from stripwatch_train.data.masks import classes_of, load_mask
from stripwatch_train.data.samples import DataSet

SHAPE = (16, 24)
SQUARE = [[2.0, 3.0, 8.0, 3.0, 8.0, 9.0, 2.0, 9.0]]  # 6 x 6 pixels at (2, 3)
BLOCK = np.zeros(SHAPE, np.uint8)
BLOCK[3:9, 2:8] = 1
Change = Callable[[dict[str, Any]], object]


def runs(mask: NDArray[np.uint8]) -> list[int]:
    """Uncompressed counts: lengths of alternating runs of 0 and 1 down the columns."""
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff([0, *edges.tolist(), flat.size]).tolist()
    return [0, *lengths] if flat[0] else lengths


def labels() -> dict[str, Any]:
    """Three images; ids with holes, categories out of order, the third image clean."""
    packed = coco.encode(np.asfortranarray(BLOCK))["counts"].decode()
    size = list(SHAPE)
    return {
        "info": {"contributor": "somebody"},
        "images": [
            {"id": number, "file_name": f"{name}.png", "height": SHAPE[0], "width": SHAPE[1]}
            for number, name in ((40, "c"), (7, "a"), (9, "sub/b"))
        ],
        "categories": [
            {"id": 12, "name": "Scratches", "supercategory": ""},
            {"id": 3, "name": "Rolled-in scale"},
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 12, "segmentation": SQUARE, "iscrowd": 0},
            {
                "id": 2,
                "image_id": 7,
                "category_id": 3,
                "iscrowd": 1,
                "segmentation": {"size": size, "counts": runs(BLOCK)},
            },
            {
                "id": 5,
                "image_id": 9,
                "category_id": 12,
                "segmentation": {"size": size, "counts": packed},
            },
        ],
    }


def exported(folder: Path, change: Change = lambda _: None, where: str = "images") -> Path:
    """A labelling tool's folder, with a change to its labels."""
    data = labels()
    for seed, record in enumerate(data["images"]):
        path = folder / where / record["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, SHAPE, np.uint8)
        cv2.imwrite(str(path), pixels)
    change(data)
    path = folder / "annotations" / "instances_default.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(data))
    return path


def masks_of(data: DataSet) -> dict[str, NDArray[np.uint8]]:
    return {sample.name: load_mask(sample, SHAPE) for sample in data.samples}


def test_every_kind_of_mask_is_read(tmp_path: Path) -> None:
    """Polygons and both kinds of run lengths; class ids follow the order of category ids."""
    data = open_data_set(exported(tmp_path))
    assert [entry.name for entry in data.classes] == ["rolled_in_scale", "scratches"]
    masks = masks_of(data)
    assert list(masks) == ["a.png", "c.png", "sub/b.png"]
    np.testing.assert_array_equal(masks["a.png"], BLOCK * 3)
    np.testing.assert_array_equal(masks["sub/b.png"], BLOCK * 2)
    assert not masks["c.png"].any()
    assert [set(classes_of(sample)) for sample in data.samples] == [{1, 2}, set(), {2}]


@pytest.mark.parametrize("where", ["annotations", "images", "images/default", "default", ""])
def test_images_are_found_where_tools_put_them(tmp_path: Path, where: str) -> None:
    """Beside the file, in images/, in a folder called as the subset, or above."""
    exported(tmp_path, where=where)
    data = open_data_set(tmp_path)
    assert load_image(data.samples[2]).shape == SHAPE


def test_the_classes_of_a_model_can_be_given(tmp_path: Path) -> None:
    """Masks keep their meaning by name; a category that is not among the names is refused."""
    path = exported(tmp_path)
    data = read_coco(path, ["scratches", "dents", "rolled_in_scale"])
    assert [set(classes_of(sample)) for sample in data.samples] == [{1, 3}, set(), {1}]
    with pytest.raises(ConfigError, match="has masks of Rolled-in scale, which is not among"):
        read_coco(path, ["scratches", "dents"])
    unused: Change = lambda data: data["categories"].append({"id": 99, "name": "?"})  # noqa: E731
    assert read_coco(exported(tmp_path, unused), ["scratches", "rolled_in_scale"])


def test_a_mask_without_a_pixel_is_none(tmp_path: Path) -> None:
    """A frame is clean in which no pixel is marked."""
    empty: Change = lambda data: data["annotations"][2].update(  # noqa: E731
        segmentation={"size": list(SHAPE), "counts": [SHAPE[0] * SHAPE[1]]}
    )
    data = read_coco(exported(tmp_path, empty))
    assert data.samples[2].masks is None


def change_annotation(**changes: object) -> Change:
    return lambda data: data["annotations"][0].update(changes)


def change_image(**changes: object) -> Change:
    return lambda data: data["images"][1].update(changes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (change_annotation(image_id=8), "annotation 1 is of image 8, which is not listed"),
        (
            change_annotation(image_id="x"),
            "listed: it is text, and the listed ids are numb",
        ),
        (change_annotation(category_id=4), "annotation 1 is of category 4; there are: 3, 12"),
        (change_annotation(segmentation=[]), "annotation 1 has no mask; draw one"),
        (change_annotation(segmentation=[[1, 2, 3, 4]]), "annotation 1: a polygon of 4 numbers"),
        (change_annotation(segmentation=[[1] * 7]), "annotation 1: a polygon of 7 numbers"),
        (
            change_annotation(segmentation=[[1, 1, 9, 1, 9, 30]]),
            "a corner lies 14.0 pixels outside its image of 16 x 24",
        ),
        (
            change_annotation(segmentation={"size": [24, 16], "counts": [384]}),
            r"annotation 1 is of size \(24, 16\), its image \(16, 24\)",
        ),
        (
            change_annotation(segmentation={"size": list(SHAPE), "counts": [300]}),
            "annotation 1: its counts do not add up",
        ),
        (
            change_annotation(segmentation={"size": list(SHAPE), "counts": [-1, 385]}),
            "annotation 1: its counts do not add up",
        ),
        (
            change_annotation(segmentation={"size": list(SHAPE), "counts": "0n"}),
            "annotation 1: ends at character",
        ),
        (
            change_annotation(segmentation="x"),
            "annotation 1: its segmentation is the text",
        ),
        (change_image(width=25), r"annotation 2 is of size \(16, 24\), its image \(16, 25\)"),
        (
            lambda data: data["images"][0].update(width=25),
            r"c\.png: is 16 x 24 .*, but its labels are for 16 x 25",
        ),
        (change_image(width=0), r"image 7 \(a\.png\): its width is 0; give the pixels"),
        (change_image(file_name="d.png"), r"d\.png: is missing"),
        (change_image(file_name=".."), "must be a path inside the folder"),
        (change_image(file_name="images/"), "must be a path inside the folder"),
        (change_image(file_name="c.png"), r"image 7 \(c\.png\) is listed twice"),
        (change_image(id=40), r"image 40 \(a\.png\) is listed twice"),
        (lambda data: data["categories"][0].update(id=3), "two categories have the same id"),
        (lambda data: data["categories"][0].update(name="rolled in scale"), "two classes are call"),
        (lambda data: data["categories"].clear(), "has 0 classes"),
        (lambda data: data["images"].clear(), "lists no images"),
        (lambda data: data.pop("annotations"), "is not a file of COCO instances: .*annotations"),
        (lambda data: data["images"][0].update(file_name="d.png"), r"its image d\.png is in none"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: Change, words: str) -> None:
    """With the annotation or image that it is about."""
    path = exported(tmp_path, change)
    with pytest.raises(ConfigError, match=words):
        read_coco(path)


def test_a_corner_may_lie_a_little_outside(tmp_path: Path) -> None:
    """Labelling tools round; the mask ends with the image."""
    whole = change_annotation(segmentation=[[-1, -1, 25, -1, 25, 17, -1, 17]])
    mask = masks_of(read_coco(exported(tmp_path, whole)))["a.png"]
    assert (mask & 2).all()


def test_what_is_no_json_is_refused(tmp_path: Path) -> None:
    """A truncated file, one that is not text, one that is missing."""
    path = exported(tmp_path)
    text = path.read_bytes()
    for damaged in (text[: len(text) // 2], b"\xff\xfe", b""):
        path.write_bytes(damaged)
        with pytest.raises(ConfigError, match="is not a file of COCO instances"):
            read_coco(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_coco(tmp_path / "none.json")


def test_two_label_files_are_not_guessed_between(tmp_path: Path) -> None:
    """Both are named."""
    path = exported(tmp_path)
    path.with_name("instances_val.json").write_bytes(path.read_bytes())
    with pytest.raises(ConfigError, match=r"instances_default\.json, .*instances_val\.json; name"):
        open_data_set(tmp_path)


def random_masks(folder: Path, generator: np.random.Generator) -> Path:
    """A set whose masks are noise, of 8 classes that overlap, and its groups."""

    def fill(data: dict[str, Any]) -> None:
        data["categories"] = [{"id": number, "name": f"k{number}"} for number in range(8)]
        data["annotations"] = []
        for record in data["images"]:
            record["group"] = f"strip of {record['id']}"
            for category in generator.permutation(8)[:5].tolist():
                mask = (generator.random(SHAPE) < generator.random()).astype(np.uint8)
                data["annotations"].append(
                    {
                        "id": len(data["annotations"]),
                        "image_id": record["id"],
                        "category_id": category,
                        "segmentation": {"size": list(SHAPE), "counts": runs(mask)},
                    }
                )

    return exported(folder, fill)


def test_a_data_set_comes_back_from_coco_bit_for_bit(tmp_path: Path) -> None:
    """Pixels, masks, names, groups and classes, after one and after two conversions."""
    seed = 20
    print("seed", seed)
    generator = np.random.default_rng(seed)
    for number in range(10):
        folder = tmp_path / str(number)
        data = open_data_set(random_masks(folder / "source", generator))
        for step in ("one", "two"):
            assert convert(data, folder / step) == 3
            again = open_data_set(folder / step)
            assert again.classes == data.classes
            for old, new in zip(data.samples, again.samples, strict=True):
                assert (new.name, new.group) == (old.name, old.group)
                assert new.image.read_bytes() == old.image.read_bytes()
                np.testing.assert_array_equal(load_mask(new, SHAPE), load_mask(old, SHAPE))
            data = again


def test_pycocotools_reads_what_is_written(tmp_path: Path) -> None:
    """An annotation for each connected piece, with its area and box."""
    source = open_data_set(exported(tmp_path / "source"))
    convert(source, tmp_path / "out")
    read = COCO(str(tmp_path / "out" / "annotations.json"))
    for record in read.loadImgs(read.getImgIds()):
        mask = np.zeros(SHAPE, np.uint8)
        for entry in read.loadAnns(read.getAnnIds(record["id"])):
            mask |= read.annToMask(entry) << (entry["category_id"] - 1)
            assert entry["area"] == 36
            assert entry["bbox"] == [2, 3, 6, 6]
        np.testing.assert_array_equal(mask, masks_of(source)[record["file_name"]])


def test_the_command_converts_what_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names of classes can be given; a folder that is not empty is left alone."""
    for name in ("images/x/1.jpg", "masks/x/1.png"):
        (tmp_path / "data" / name).parent.mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "data" / name), BLOCK * 255)
    command = [
        "convert",
        str(tmp_path / "data"),
        "--classes",
        "pits",
        "--output",
        str(tmp_path / "out"),
    ]
    assert main(command) == ExitCode.OK
    assert capsys.readouterr().out.endswith("out: 1 frames\n")
    data = open_data_set(tmp_path / "out")
    assert [entry.name for entry in data.classes] == ["pits"]
    assert data.samples[0].name == "x/1.jpg"
    np.testing.assert_array_equal(load_mask(data.samples[0], SHAPE), BLOCK)
    assert main(command) == ExitCode.CONFIG
    assert "out: exists and is not empty" in capsys.readouterr().err


def test_a_stopped_conversion_leaves_no_data_set(tmp_path: Path) -> None:
    """Images that were written before a damaged one are not mistaken for all."""
    path = exported(tmp_path / "source")
    data = open_data_set(path)
    data.samples[2].image.write_bytes(b"damaged since")
    with pytest.raises(ConfigError, match=r"b\.png: is not a PNG, JPEG, BMP or TIFF file"):
        convert(data, tmp_path / "out")
    with pytest.raises(ConfigError, match="holds no data set"):
        open_data_set(tmp_path / "out")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="exists and is not empty"):
        convert(data, tmp_path / "file")
    with pytest.raises(StorageError, match="cannot be written"):
        convert(data, tmp_path / "file" / "out")


@pytest.mark.slow
def test_real_frames_come_back_from_coco(shared_data: Path, tmp_path: Path) -> None:
    """All twelve, bit for bit."""
    data = open_data_set(shared_data / "severstal")
    convert(data, tmp_path / "out")
    again = open_data_set(tmp_path / "out")
    assert [entry.name for entry in again.classes] == [entry.name for entry in data.classes]
    for old, new in zip(data.samples, again.samples, strict=True):
        assert old.name == new.name
        np.testing.assert_array_equal(load_image(old), load_image(new))
        shape = (256, 1600)
        np.testing.assert_array_equal(load_mask(old, shape), load_mask(new, shape))


def test_what_tools_write_in_other_ways_is_read(tmp_path: Path) -> None:
    """Numbers as 16.0 and as text, ids left out, no sizes, bare polygons, a byte-order mark."""

    def change(data: dict[str, Any]) -> None:
        for record in data["images"]:
            record["id"] = float(record["id"])
            del record["height"], record["width"]
        first, second, third = data["annotations"]
        first.update(image_id="7", category_id="12", segmentation=SQUARE[0])
        second["segmentation"]["size"] = [16.0, 24.0]
        second["segmentation"]["counts"] = [float(count) for count in runs(BLOCK)]
        points = [[2.0, 3.0], [8.0, 3.0], [8.0, 9.0], [2.0, 9.0]]
        third["segmentation"] = points
        for entry in data["annotations"]:
            del entry["id"]

    path = exported(tmp_path / "changed", change)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    changed, plain = read_coco(path), read_coco(exported(tmp_path / "plain"))
    assert changed.classes == plain.classes
    for name, mask in masks_of(plain).items():
        np.testing.assert_array_equal(masks_of(changed)[name], mask)
    assert "2 masks are a polygon without the list around it" in changed.findings[0]


def test_all_faults_are_reported_in_the_terms_of_coco(tmp_path: Path) -> None:
    """Not the first alone, and not in the words of a JSON library."""

    def change(data: dict[str, Any]) -> None:
        data["annotations"][0]["segmentation"] = [{"x": 1, "y": 2}]
        data["annotations"][1]["segmentation"] = {"size": [16]}
        data["annotations"][2]["image_id"] = None
        del data["images"][1]["file_name"]

    with pytest.raises(ConfigError) as caught:
        read_coco(exported(tmp_path, change))
    words = str(caught.value)
    assert "has 4 faults" in words
    for fault in (
        "image 7 has no file_name",
        "annotation 1: its segmentation has an object where a polygon has numbers",
        "annotation 2: its run lengths have no size [lines, pixels]",
        "annotation 5: its image_id is missing; it must be a whole number or text",
    ):
        assert fault in words
    assert "$" not in words


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"shapes": [], "imagePath": "a.png"}, "a file of LabelMe, with the labels of one image"),
        ([{"id": 1, "data": {}}], "Label Studio's own JSON; export it as COCO"),
        ([{"image_id": 1, "score": 1}], "a list of annotations, as COCO results are"),
        ({"_via_img_metadata": {}}, "VGG Image Annotator; export it as COCO"),
        (3, "it is 3; it must be an object with images, annotations, categories"),
    ],
)
def test_labels_of_another_kind_are_called_by_name(
    tmp_path: Path, document: object, words: str
) -> None:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match=words):
        read_coco(path)


def test_a_root_category_is_no_class_and_an_unused_one_keeps_its_place(tmp_path: Path) -> None:
    """Roboflow names the project as the supercategory of all; a rare class may have no label."""

    def change(data: dict[str, Any]) -> None:
        for entry in data["categories"]:
            entry["supercategory"] = "steel"
        data["categories"] += [{"id": 0, "name": "steel"}, {"id": 1, "name": "background"}]
        data["categories"].append({"id": 5, "name": "dents"})

    data = read_coco(exported(tmp_path, change))
    assert [entry.name for entry in data.classes] == ["rolled_in_scale", "dents", "scratches"]
    words = " ".join(data.findings)
    assert "category steel is left out: no annotation uses it, and it is a supercategory" in words
    assert "category background is left out: no annotation uses it, and it is the backg" in words
    assert "no annotation uses the category dents; it is class 2 all the same" in words


def test_masks_of_the_background_are_no_class(tmp_path: Path) -> None:
    rename: Change = lambda data: data["categories"][0].update(name="_background_")  # noqa: E731
    with pytest.raises(ConfigError, match="'_background_' is no class: the background is what no"):
        read_coco(exported(tmp_path, rename))
