"""COCO files as CVAT and Label Studio write them, whose ways with paths and masks differ."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stripwatch.errors import ConfigError
from stripwatch_train.data.data_set import convert, open_data_set
from stripwatch_train.data.formats.coco import read_coco
from stripwatch_train.data.images import load_image
from stripwatch_train.data.masks import load_mask
from stripwatch_train.data.samples import DataSet

SHAPE = (24, 40)
LOCAL = "../../label-studio/label-studio/media/upload/4"
Labels = dict[str, Any]
Mask = NDArray[np.uint8]


def brush_mask(seed: int) -> Mask:
    """Blots without holes, as the thinnest and thicker brushes leave them."""
    generator = np.random.default_rng(seed)
    mask = np.zeros(SHAPE, np.uint8)
    for _ in range(3):
        start, end = (generator.integers(0, SHAPE[::-1], 2).tolist() for _ in range(2))
        cv2.line(mask, start, end, 1, int(generator.integers(2, 7)))
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(mask, outlines, -1, 1, cv2.FILLED)
    return mask


def counts_of(mask: Mask) -> list[int]:
    flat = mask.ravel(order="F")
    edges = [0, *(np.flatnonzero(np.diff(flat)) + 1).tolist(), flat.size]
    return [0] * int(flat[0]) + np.diff(edges).tolist()


def save_image(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, SHAPE, np.uint8)
    cv2.imwrite(str(path), pixels)


def cvat(folder: Path, subset: str = "default") -> Path:
    """CVAT's COCO 1.0: polygons of fractions of pixels, and masks as plain counts, as a crowd."""
    names = ["coil 7/b.png", "coil 7/a.png"]
    for seed, name in enumerate(names):
        save_image(folder / "images" / subset / name, seed)
    polygon = [4.98, 3.02, 12.02, 3.0, 12.0, 9.01, 5.0, 8.99]
    plain = {"area": 42.0, "bbox": [5, 3, 7, 6], "attributes": {"occluded": False, "rotation": 0.0}}
    size = list(SHAPE)
    mask = {"counts": counts_of(brush_mask(1)), "size": size}
    labels = {
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "info": {"contributor": "", "date_created": "", "description": "", "year": ""},
        "categories": [
            {"id": number, "name": name, "supercategory": ""}
            for number, name in enumerate(("scratch", "Rolled-in scale"), 1)
        ],
        "images": [
            {"id": number, "width": SHAPE[1], "height": SHAPE[0], "file_name": name}
            | {"license": 0, "flickr_url": "", "coco_url": "", "date_captured": 0}
            for number, name in enumerate(names, 1)
        ],
        "annotations": [
            {"id": 1, "image_id": 2, "category_id": 2, "segmentation": [polygon], "iscrowd": 0},
            {"id": 2, "image_id": 2, "category_id": 1, "segmentation": mask, "iscrowd": 1},
        ],
    }
    labels["annotations"] = [entry | plain for entry in labels["annotations"]]  # type: ignore[operator]
    path = folder / "annotations" / f"instances_{subset}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(labels))
    return path


@pytest.mark.parametrize("subset", ["default", "train"])
def test_an_archive_of_cvat_is_read(tmp_path: Path, subset: str) -> None:
    """From its folder; image folders keep their names, and blanks in them."""
    cvat(tmp_path, subset)
    data = open_data_set(tmp_path)
    assert [entry.name for entry in data.classes] == ["scratch", "rolled_in_scale"]
    assert [sample.name for sample in data.samples] == ["coil 7/a.png", "coil 7/b.png"]
    assert data.samples[1].masks is None
    assert not data.findings
    mask = load_mask(data.samples[0], SHAPE)
    np.testing.assert_array_equal(mask & 1, brush_mask(1))
    box = np.zeros(SHAPE, np.uint8)
    box[3:9, 5:12] = 2
    np.testing.assert_array_equal(mask & 2, box)


def label_studio(folder: Path, file_names: list[str], stored: list[str]) -> Path:
    """Label Studio's COCO export of polygons: ids from 0, images beside the file."""
    for seed, name in enumerate(stored):
        save_image(folder / name, seed)
    triangle = [10.000000000000002, 2.0, 30.0, 2.0, 10.0, 21.99999999999999]
    labels = {
        "images": [
            {"width": SHAPE[1], "height": SHAPE[0], "id": number, "file_name": name}
            for number, name in enumerate(file_names)
        ],
        "categories": [{"id": 1, "name": "Scratch"}, {"id": 0, "name": "Dent"}],
        "annotations": [
            {"id": 0, "image_id": 1, "category_id": 1, "segmentation": [triangle]}
            | {"bbox": [10.0, 2.0, 20.0, 20.0], "ignore": 0, "iscrowd": 0, "area": 200.0}
        ],
        "info": {"year": 2025, "version": "1.0", "contributor": "Label Studio", "url": ""},
    }
    path = folder / "result.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(labels, indent=2))
    return path


@pytest.mark.parametrize(
    ("file_names", "stored", "names"),
    [
        (["images/x-a.png", "images/y-b.png"], ["images/x-a.png", "images/y-b.png"], None),
        (["images\\x-a.png", "images\\y-b.png"], ["images/x-a.png", "images/y-b.png"], None),
        (["images\\1/a.png", "images\\1/b.png"], ["images/a.png", "images/b.png"], "ab"),
        (["images/1/a.png", "images/2/b.png"], ["images/a.png", "images/b.png"], "ab"),
        ([f"{LOCAL}/a.png", f"{LOCAL}/b.png"], ["images/a.png", "images/b.png"], "ab"),
        (["a.png", "..\\steel\\b.png"], ["images/a.png", "images/b.png"], "ab"),
        (["/home/anna/steel/a.png", "/home/anna/steel/b.png"], ["a.png", "b.png"], "ab"),
        (["D:\\steel\\a.png", "D:\\steel\\b.png"], ["images/a.png", "images/b.png"], "ab"),
        (["s3://bucket/coils/a.png", "s3://bucket/coils/b.png"], ["a.png", "b.png"], "ab"),
        (["https://host/a.png?key=1", "https://host/b.png?key=2"], ["a.png", "b.png"], "ab"),
        (
            ["/data/local-files/?d=steel%5Ca.png", "/data/local-files/?d=steel%5Cb.png"],
            ["images/a.png", "images/b.png"],
            "ab",
        ),
        (["images/a%20.png", "images/b%20.png"], ["images/a .png", "images/b .png"], None),
        (["x/7/a.png", "x/8/a.png"], ["images/7/a.png", "images/8/a.png"], None),
    ],
)
def test_paths_of_the_labellers_machine_are_found(
    tmp_path: Path, file_names: list[str], stored: list[str], names: str | None
) -> None:
    """Whole, without folders that all share, by bare name, or decoded; pixels tell which it is."""
    label_studio(tmp_path, file_names, stored)
    data = open_data_set(tmp_path)
    assert [entry.name for entry in data.classes] == ["dent", "scratch"]
    if names:
        assert [sample.name for sample in data.samples] == [f"{name}.png" for name in names]
    for seed, sample in enumerate(data.samples):
        wanted = np.random.default_rng(seed).integers(0, 256, SHAPE, np.uint8)
        np.testing.assert_array_equal(load_image(sample), wanted)
    assert data.samples[0].masks is None
    area = int((load_mask(data.samples[1], SHAPE) == 2).sum())
    assert abs(area - 200) <= 20
    convert(data, tmp_path / "out")
    assert len(open_data_set(tmp_path / "out").samples) == 2


@pytest.mark.parametrize(
    ("file_names", "stored", "words"),
    [
        # Both would be the one file that is there.
        (["1/a.png", "2/a.png"], ["images/a.png"], r"its image 1/a\.png is in none of .*images, "),
        (["a.png", "../a.png"], ["elsewhere/a.png"], r"its image a\.png is in none of"),
        (["images/a.png", "images\\a.png"], ["images/a.png"], "is in none of"),
        (["images/a.png", "images/b.png"], ["images/a.png"], r"b\.png: is missing"),
    ],
)
def test_two_images_are_never_taken_for_one(
    tmp_path: Path, file_names: list[str], stored: list[str], words: str
) -> None:
    """And what lies outside the folder is not looked at."""
    path = label_studio(tmp_path / "export" / "labels", file_names, [])
    for name in stored:
        save_image(path.parent / name, 0)
    save_image(tmp_path / "a.png", 0)
    with pytest.raises(ConfigError, match=words):
        read_coco(path)


def brush_export(folder: Path, masks: list[Mask]) -> Path:
    """Label Studio's export of brush masks: outlines through pixels; only images with a label."""
    annotations: list[Labels] = []
    for number, mask in enumerate(masks):
        save_image(folder / "images" / f"{number}.png", number)
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        for outline in outlines:
            if len(outline) >= 3:
                corners = outline.ravel().tolist()
                annotations.append(
                    {"id": len(annotations), "image_id": number, "category_id": 1, "iscrowd": 0}
                    | {"segmentation": [corners], "annotator": "anna@example.com", "area": 0}
                    | {"bbox": list(cv2.boundingRect(outline))}
                )
    labels = {
        "images": [
            {"id": number, "file_name": f"{number}.png", "width": SHAPE[1], "height": SHAPE[0]}
            | {"path": f"/data/upload/1/{number}.png"}
            for number, mask in enumerate(masks)
            if mask.any()
        ],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "scratch", "supercategory": "", "color": "#a0b1c2"}],
        "info": {"description": "Converted from Label Studio"}
        | {"contributor": "Label Studio Converter", "version": "1.0"},
    }
    path = folder / "result_coco.json"
    path.write_text(json.dumps(labels))
    return path


def test_brush_masks_of_label_studio_keep_their_pixels(tmp_path: Path) -> None:
    """Its outlines run through the outermost pixels; filled as polygons they would lose a row."""
    seeds = range(300, 330)
    print("seeds", seeds)
    masks = [brush_mask(seed) for seed in seeds]
    brush_export(tmp_path, masks)
    data = open_data_set(tmp_path)
    assert len(data.samples) == len(masks)
    for sample in data.samples:
        mask = masks[int(sample.name.removesuffix(".png"))]
        np.testing.assert_array_equal(load_mask(sample, SHAPE), mask)


def test_images_that_are_not_listed_are_no_clean_frames(tmp_path: Path) -> None:
    """Label Studio's brush export lists none without a label: they are left out, and it is said."""
    brush_export(tmp_path, [brush_mask(1), np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)])
    data: DataSet = open_data_set(tmp_path)
    assert [sample.name for sample in data.samples] == ["0.png"]
    (finding,) = data.findings
    assert "does not list 2 images" in finding
    assert "images/1.png); they were left out, and do not count as clean" in finding


def changed(path: Path, change: Callable[[Labels], object]) -> Path:
    labels = json.loads(path.read_text())
    change(labels)
    path.write_text(json.dumps(labels))
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda labels: labels["images"][0].update(width=None, height=None),
        lambda labels: labels["annotations"][0].update(area=None, bbox=[], iscrowd=False),
        lambda labels: labels["annotations"][0].update(bbox=None, ignore=None, id="k3"),
        lambda labels: labels.update(info=None, licenses=None),
        lambda labels: labels.update(info=[]),
        lambda labels: labels["images"][0].update(license=None, date_captured=0),
        lambda labels: labels["categories"][0].update(supercategory=None, keypoints=[]),
    ],
)
def test_what_is_not_needed_may_be_missing_or_wrong(
    tmp_path: Path, change: Callable[[Labels], object]
) -> None:
    """Sizes of images that could not be loaded, boxes, areas, crowd marks, credits."""
    names = ["images/a.png", "images/b.png"]
    data = read_coco(changed(label_studio(tmp_path, names, names), change))
    assert [bool(sample.masks) for sample in data.samples] == [False, True]


@pytest.mark.parametrize("given", [{"segmentation": []}, {"segmentation": None}, {}])
def test_a_box_is_no_mask(tmp_path: Path, given: Labels) -> None:
    """Tools give boxes and points without one, and what lies in them is not known."""
    names = ["images/a.png", "images/b.png"]

    def box(labels: Labels) -> None:
        del labels["annotations"][0]["segmentation"]
        labels["annotations"][0] |= given

    with pytest.raises(ConfigError, match="annotation 0 has no mask; draw one, or delete it"):
        read_coco(changed(label_studio(tmp_path, names, names), box))
