"""Exploring: what is counted is what is there, and the page shows it."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from stripwatch.engines.manifest import DefectClass
from stripwatch.errors import ConfigError, ExitCode, StorageError
from stripwatch.view.overlay import class_colour
from stripwatch_train.cli.main import main
from stripwatch_train.data.brightness import pixel_statistics
from stripwatch_train.data.data_set import open_data_set
from stripwatch_train.data.formats.coco_writer import LabelledImage, write_coco
from stripwatch_train.data.images import load_image
from stripwatch_train.data.masks import load_mask
from stripwatch_train.data.samples import DataSet
from stripwatch_train.data.synthesize import synthesize
from stripwatch_train.explore.counts import BLACK_MAX, explore, large_share, open_mask_table
from stripwatch_train.explore.page import write_exploration
from stripwatch_train.explore.plots import frames_picture, outlines

NAMES = ("pits", "scratches", "patches")
Pixels = NDArray[np.uint8]


def write_set(folder: Path, frames: list[tuple[Pixels, Pixels]]) -> DataSet:
    classes = [DefectClass(id=number, name=name) for number, name in enumerate(NAMES, 1)]
    images = (
        LabelledImage(f"{number:03d}.png", cv2.imencode(".png", pixels)[1].tobytes(), mask)
        for number, (pixels, mask) in enumerate(frames)
    )
    write_coco(folder, classes, images)
    return open_data_set(folder)


def random_set(folder: Path, seed: int, count: int = 25) -> DataSet:
    """Frames of any size and brightness, with blocks of classes that touch and overlap."""
    generator = np.random.default_rng(seed)
    frames: list[tuple[Pixels, Pixels]] = []
    for _ in range(count):
        lines, pixels = generator.integers(8, 40, 2).tolist()
        level = int(generator.integers(0, 230))
        image = generator.integers(level, level + 25, (lines, pixels), np.uint8)
        mask = np.zeros((lines, pixels), np.uint8)
        for _ in range(generator.integers(0, 6)):
            y, x = int(generator.integers(lines)), int(generator.integers(pixels))
            mask[y : y + 4, x : x + 4] |= np.uint8(1 << generator.integers(3))
        frames.append((image, mask))
    return write_set(folder, frames)


def piece_count(plane: NDArray[np.bool_]) -> int:
    """Connected components, by flooding from each pixel that is left."""
    left = {(int(y), int(x)) for y, x in np.argwhere(plane)}
    components = 0
    while left:
        edge = [left.pop()]
        components += 1
        while edge:
            y, x = edge.pop()
            around = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= around
            edge += around
    return components


def test_what_is_counted_is_what_is_there(tmp_path: Path) -> None:
    """Against counting by hand, where classes overlap and sizes differ."""
    seed = 51
    print("seed", seed)
    data_set = random_set(tmp_path, seed)
    calls: list[int] = []
    found = explore(data_set, progress=lambda *_: calls.append(1))
    assert len(calls) == len(found.frames) == len(data_set.samples)
    marked = total = 0
    areas = np.zeros(3, np.int64)
    for facts, sample in zip(found.frames, data_set.samples, strict=True):
        image = load_image(sample)
        mask = load_mask(sample, facts.shape)
        planes = [(mask >> bit & 1).astype(np.bool_) for bit in range(3)]
        assert facts.sample == sample
        assert facts.shape == image.shape
        assert facts.mean == pytest.approx(image.mean())
        assert facts.black == pytest.approx((image <= BLACK_MAX).mean())
        assert facts.areas == tuple(int(plane.sum()) for plane in planes)
        assert [len(components) for components in facts.components] == [
            piece_count(plane) for plane in planes
        ]
        assert facts.combination == tuple(n for n in (1, 2, 3) if planes[n - 1].any())
        areas += facts.areas
        marked += int((mask > 0).sum())
        total += mask.size
    assert found.background_share() == pytest.approx(1 - marked / total)
    assert found.class_shares() == pytest.approx((areas / total).tolist())
    assert sum(found.class_shares()) > marked / total  # some overlap
    assert sum(count for _, count in found.combinations()) == len(found.frames)
    assert found.pixels is not None
    plain = pixel_statistics(data_set.samples)
    assert (found.pixels.mean, found.pixels.std) == (plain.mean, plain.std)


def test_combinations_are_those_that_were_counted_before(shared_data: Path) -> None:
    """Of the real frames, and of a slice of the mask table whose frames are not there."""
    found = explore(open_data_set(shared_data / "severstal"))
    assert dict(found.combinations()) == {(): 1, (1,): 2, (2,): 1, (3,): 6, (3, 4): 1, (4,): 1}
    frame_of = {frame.sample.name: frame for frame in found.frames}
    assert 0.8 < frame_of["0ac9936af.jpg"].black < 0.85  # mostly strip edge
    assert found.frames[0].shape == (256, 1600)


def test_every_frame_of_neu_seg_has_a_class(shared_data: Path) -> None:
    """The shares of pixels of every 25th frame are near those of all, which were counted."""
    data_set = open_data_set(shared_data / "neu_seg/images/training", list(NAMES))
    some = DataSet(data_set.classes, data_set.samples[::25], data_set.source)
    found = explore(some)
    assert () not in dict(found.combinations())
    shares = [found.background_share(), *found.class_shares()]
    assert shares == pytest.approx([0.879, 0.021, 0.074, 0.026], abs=0.02)


def test_a_large_mask_is_beyond_the_outer_fence() -> None:
    """Which the largest cannot move; a class with one frame has none."""
    shares = [0.01, 0.02, 0.03, 0.04, 0.05]
    assert large_share(shares) == pytest.approx(0.04 + 3 * 0.02)
    assert large_share([*shares[:-1], 0.9]) == pytest.approx(0.10)
    assert large_share([0.3]) == pytest.approx(0.3)


def test_outlines_run_along_the_borders_of_pixels() -> None:
    """Around a block of 3 x 2 pixels, and around the hole in a larger one."""
    plane = np.zeros((12, 12), np.uint8)
    plane[2:4, 5:8] = 4
    (outline,) = outlines(plane)
    assert outline.min(axis=0).tolist() == [4.75, 1.75]  # a quarter of a pixel inside
    assert outline.max(axis=0).tolist() == [7.25, 3.25]
    plane[1:9, 1:9] = 4
    plane[3:5, 3:5] = 0
    assert len(outlines(plane)) == 2


def colours_of(png: bytes) -> NDArray[np.int64]:
    with Image.open(BytesIO(png)) as image:
        return np.asarray(image.convert("RGB")).reshape(-1, 3).astype(np.int64)


def has_colour(png: bytes, class_id: int) -> bool:
    return bool((np.abs(colours_of(png) - class_colour(class_id)).sum(axis=1) < 12).sum() > 20)


def has_text(png: bytes) -> bool:
    """Whether something dark is drawn beside frames of one grey level."""
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    return picture is not None and bool((picture < 90).any())


def test_a_frame_is_drawn_with_its_classes_outlined(tmp_path: Path) -> None:
    """In the colours that the legend names; also one that is larger than the picture."""
    image = np.full((300, 1800), 90, np.uint8)
    mask = np.zeros(image.shape, np.uint8)
    mask[50:200, 100:400] = 1
    mask[50:200, 900:1300] = 4
    found = explore(write_set(tmp_path, [(image, mask), (image, mask * 0)]))
    png = frames_picture("a", found.frames[:1], ["one"], found, "").png
    assert [has_colour(png, class_id) for class_id in (1, 2, 3)] == [True, False, True]
    clean = frames_picture("a", found.frames[1:], ["one"], found, "").png
    assert not any(has_colour(clean, class_id) for class_id in (1, 2, 3))
    grey = (np.abs(colours_of(png) - 90).max(axis=1) <= 1).mean()
    assert grey > 0.5


def titles_of(page: Path) -> list[str]:
    return re.findall("<h2>(.*?)</h2>", page.read_text())


def test_the_page_has_all_sections_and_its_pictures(tmp_path: Path) -> None:
    """Each picture is in the page and in a file."""
    image, mask = np.full((16, 40), 99, np.uint8), np.zeros((16, 40), np.uint8)
    mask[4:8, 4:9] = 2
    frames = [(image, mask), (image + np.uint8(9), mask * 0), (image[:8], mask[:8])]
    found = explore(write_set(tmp_path / "data", frames))
    page = write_exploration(found, tmp_path / "out", samples=2)
    assert titles_of(page) == [
        *("Classes", "Combinations of classes", "Mask areas", "Image sizes"),
        *("Frames of each combination", "Large masks", "Brightness"),
    ]
    pictures = {path.stem for path in (tmp_path / "out").glob("*.png")}
    assert pictures == {
        *("classes", "combinations", "areas", "sizes", "large-masks", "brightness"),
        *("darkest", "brightest", "overlays-clean", "overlays-2"),
    }
    text = page.read_text()
    assert len(re.findall("<img", text)) == len(pictures)
    assert found.pixels is not None
    assert f"{found.pixels.mean:.4f}" in text


@pytest.mark.slow
def test_the_seed_chooses_which_frames_are_drawn(tmp_path: Path) -> None:
    """The same one the same, another others."""
    image = np.full((16, 40), 99, np.uint8)
    frames = [(image + np.uint8(number), image * 0) for number in range(20)]
    found = explore(write_set(tmp_path / "data", frames))
    drawn = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_exploration(found, tmp_path / name, samples=2, seed=seed)
        drawn.append((tmp_path / name / "overlays-clean.png").read_bytes())
    assert drawn[0] == drawn[1] != drawn[2]


def test_frames_without_any_defect_make_a_page(tmp_path: Path) -> None:
    """Without what would be empty; one frame is enough, and is not shown twice as an extreme."""
    image = np.full((16, 64), 100, np.uint8)
    found = explore(write_set(tmp_path / "data", [(image, image * 0)]))
    page = write_exploration(found, tmp_path / "out", samples=3)
    assert titles_of(page) == [
        *("Classes", "Combinations of classes", "Image sizes", "Frames of each combination"),
        "Brightness",
    ]
    assert "Of all pixels 100.0 % are of no class." in page.read_text()


@pytest.mark.slow
def test_many_long_names_and_strange_sizes_fit(tmp_path: Path) -> None:
    """Matplotlib warns of what does not fit, and warnings are errors here."""
    names = [f"a_rather_long_name_of_a_class_{number}" for number in range(1, 6)]
    classes = [DefectClass(id=number, name=name) for number, name in enumerate(names, 1)]
    frames = [np.full(shape, 9, np.uint8) for shape in ((1, 90), (90, 1), (3, 3))]
    images = [
        LabelledImage(f"{number}.png", cv2.imencode(".png", frame)[1].tobytes(), frame * 0 + 255)
        for number, frame in enumerate(frames)
    ]
    write_coco(tmp_path / "data", classes, images)
    found = explore(open_data_set(tmp_path / "data"))
    page = write_exploration(found, tmp_path / "out", samples=3)
    assert (page.parent / "overlays-1-2-3-4-5.png").is_file()


@pytest.mark.slow
def test_names_with_dollars_or_in_chinese_are_shown_as_they_are(tmp_path: Path) -> None:
    """What stands between two dollars is no formula, and a glyph that a font lacks no warning."""
    names = ("coil$7_$2.png", "$x^$.png", "划痕.png")
    png = cv2.imencode(".png", np.full((16, 40), 99, np.uint8))[1].tobytes()
    clean = np.zeros((16, 40), np.uint8)
    classes = [DefectClass(id=1, name="pits")]
    write_coco(tmp_path / "data", classes, [LabelledImage(name, png, clean) for name in names])
    found = explore(open_data_set(tmp_path / "data"))
    page = write_exploration(found, tmp_path / "out", samples=3)
    assert has_text((page.parent / "overlays-clean.png").read_bytes())


TABLE = """ImageId,ClassId,EncodedPixels
a.jpg,1,1 100 257 100
a.jpg,3,600 50
b.jpg,3,1 256
c.jpg,2,
"""


def test_a_table_of_masks_is_shown_without_its_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Classes, combinations and areas; the page lists what is left out."""
    table = tmp_path / "masks.csv"
    table.write_text(TABLE)
    found = explore(open_mask_table(table), with_images=False)
    assert found.pixels is None
    assert found.combinations() == [((), 1), ((1, 3), 1), ((3,), 1)]
    assert found.frames[0].areas == (200, 0, 50, 0)
    assert [components.tolist() for components in found.frames[0].components] == [
        [200],
        [],
        [50],
        [],
    ]
    out = tmp_path / "out"
    assert main(["explore", str(table), "--output", str(out)]) == ExitCode.OK
    printed = capsys.readouterr().out
    assert "class_1 + class_3" in printed
    assert "mean" not in printed
    assert printed.endswith(f"{out / 'index.html'}\n")
    assert titles_of(out / "index.html") == [
        *("Noticed", "Classes", "Combinations of classes", "Mask areas", "Image sizes"),
        "Large masks",
    ]
    page = (out / "index.html").read_text()
    assert "overlays and brightness are left out, and the largest masks are named" in page
    # The frame with most of class 1 is named.
    assert page.split("<h2>Large masks")[1].count("a.jpg") >= 1
    with pytest.raises(ConfigError, match="has 4 classes, but 2 names are given"):
        open_mask_table(table, ["a", "b"])


def test_the_command_writes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What its reader noticed stands on it, too; and it prints a summary."""
    data = tmp_path / "data"
    synthesize(data, 6, frame_shape=(64, 160), defects_per_1000_lines=20)
    extra = data / "images" / "unlisted.png"
    extra.write_bytes((data / "images" / "strip-1000000-00.png").read_bytes())
    out = tmp_path / "out"
    command = ["explore", str(data), "--samples", "1", "--output", str(out)]
    assert main(command) == ExitCode.OK
    captured = capsys.readouterr()
    assert "does not list 1 images" in captured.err
    assert "scratches" in captured.out
    assert re.search(
        r"mean 0\.\d{4}, std 0\.\d{4} of pixels as 0 to 1\n.*index\.html\n", captured.out
    )
    assert "does not list 1 images" in (out / "index.html").read_text()
    assert main([*command, "--samples", "0"]) == ExitCode.CONFIG
    assert "--samples must be 1 to 50" in capsys.readouterr().err


def test_what_cannot_be_explored_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before frames are read where possible: a table without places, an output that is a file."""
    presence = tmp_path / "presence.csv"
    presence.write_text("ImageId,1,2,3,4\na.jpg,0,1,0,0\n")
    out = tmp_path / "out"
    assert main(["explore", str(presence), "--output", str(out)]) == ExitCode.CONFIG
    assert "lists the classes of an image, but no masks" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="nowhere: has no frames to explore"):
        explore(DataSet((), (), "nowhere"))
    data_set = random_set(tmp_path / "data", 53, count=2)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file cannot be written"):
        write_exploration(explore(data_set), tmp_path / "file", samples=1)
    at_file = ["explore", str(tmp_path / "data"), "--output", str(tmp_path / "file")]
    assert main(at_file) == ExitCode.STORAGE
    (tmp_path / "data/images/001.png").write_bytes(b"damaged")
    with pytest.raises(ConfigError, match=r"001\.png: is not a PNG, JPEG, BMP or TIFF file"):
        explore(data_set)
