"""Folds: what looks alike stays together, and every fold has its share of every class."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stripwatch.errors import ConfigError, ExitCode, StorageError
from stripwatch_train.cli.main import main
from stripwatch_train.data import folds as folds_module
from stripwatch_train.data.data_set import open_data_set
from stripwatch_train.data.folds import (
    assign_folds,
    find_groups,
    join_alike,
    load_folds,
    make_folds,
    save_folds,
)
from stripwatch_train.data.samples import DataSet, Masks, RunMasks, Sample, make_classes

SHAPE = (64, 96)
Picture = NDArray[np.uint8]


def texture(seed: int, shape: tuple[int, int] = SHAPE) -> Picture:
    """Blotches, as of a surface, under uneven light and with stripes along."""
    generator = np.random.default_rng(seed)
    grain = cv2.GaussianBlur(generator.standard_normal(shape), (0, 0), 3.0)
    light = np.linspace(60, 140, shape[1])[None] + generator.uniform(-20, 20, (1, shape[1]))
    return np.clip(light + 90 * grain, 0, 255).astype(np.uint8)


def data_set(folder: Path, pictures: list[Picture], groups: list[str] | None = None) -> DataSet:
    """Frames 0, 1, 2, ...; every third has class 1, every fifth class 2."""
    samples = []
    for index, pixels in enumerate(pictures):
        path = folder / f"{index}.jpg"
        cv2.imwrite(str(path), pixels)
        shape = (pixels.shape[0], pixels.shape[1])
        runs = tuple((c, "1 1") for c, every in ((1, 3), (2, 5)) if index % every == 0)
        masks: Masks = RunMasks(shape, "severstal", runs) if runs else None
        samples.append(Sample(str(index), path, masks, groups[index] if groups else ""))
    return DataSet(make_classes(folder, ["pits", "scale"]), tuple(samples), str(folder))


def pasted(pixels: Picture) -> Picture:
    """A copy, an eighth of which shows something else."""
    copy = pixels.copy()
    copy[:24, :32] = texture(99)[:24, :32]
    return copy


@pytest.mark.parametrize(
    "copied",
    [
        lambda pixels: pixels.copy(),
        lambda pixels: (pixels * 0.6 + 20).astype(np.uint8),
        lambda pixels: 255 - pixels,
        lambda pixels: pixels[:, ::-1],
        lambda pixels: pixels[::-1],
        lambda pixels: (255 - pixels[::-1, ::-1] * 0.8).astype(np.uint8),
        np.rot90,
        lambda pixels: np.rot90(pixels, 3),
        lambda pixels: cv2.resize(pixels, (150, 90), interpolation=cv2.INTER_AREA),
        lambda pixels: np.roll(pixels, 1, axis=1),
        pasted,
    ],
    ids=[
        *("equal", "darker", "inverted", "mirrored", "upside_down", "half_turn_inverted"),
        *("turned_left", "turned_right", "resized", "shifted", "pasted"),
    ],
)
def test_a_near_duplicate_is_found(tmp_path: Path, copied: Callable[[Picture], Picture]) -> None:
    """However it is lit, turned, mirrored or saved; other frames stay single."""
    pictures = [texture(seed) for seed in range(12)]
    pictures.append(np.ascontiguousarray(copied(pictures[4])))
    assert find_groups(data_set(tmp_path, pictures)).tolist() == [*range(12), 4]


def test_light_and_stripes_alone_make_nothing_alike(tmp_path: Path) -> None:
    """Frames of one camera share both, and flat frames are like nothing."""
    stripes = np.random.default_rng(5).uniform(-40, 40, (1, SHAPE[1]))
    pictures = [
        np.clip(texture(seed) * 0.2 + 80 + stripes, 0, 255).astype(np.uint8) for seed in range(8)
    ]
    pictures += [np.full(SHAPE, level, np.uint8) for level in (0, 90, 90)]
    assert find_groups(data_set(tmp_path, pictures)).tolist() == list(range(11))


def test_likeness_and_known_groups_join(tmp_path: Path) -> None:
    """A strip of three frames, a copy of one of them, and a copy of that in another strip."""
    pictures = [texture(seed) for seed in range(6)]
    pictures += [pictures[1][:, ::-1].copy(), 255 - pictures[1]]
    groups = ["s", "s", "s", "", "t", "", "", "t"]
    assert find_groups(data_set(tmp_path, pictures, groups)).tolist() == [0, 0, 0, 3, 0, 5, 0, 0]


def test_split_copies_parts_what_looks_alike_but_not_what_is_known_to_belong_together(
    tmp_path: Path,
) -> None:
    pictures = [texture(0)] * 8 + [texture(1), texture(2)]
    groups = [""] * 8 + ["strip", "strip"]
    data = data_set(tmp_path, pictures, groups)
    together, split = (make_folds(data, 2, 0, split_copies=split) for split in (False, True))
    names = [sample.name for sample in data.samples]
    assert len({together.fold_of[name] for name in names[:8]}) == 1
    assert {split.fold_of[name] for name in names[:8]} == {0, 1}
    assert split.fold_of[names[8]] == split.fold_of[names[9]]
    assert split.group_of == {names[8]: names[8], names[9]: names[8]}


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies are found across them, in every view."""
    seed = 6
    print("seed", seed)
    generator = np.random.default_rng(seed)
    thumbnails = generator.standard_normal((50, 24, 24)).astype(np.float32)
    for copy, view in enumerate(folds_module._views(thumbnails[:8])):
        thumbnails[40 + copy] = view[copy]
    thumbnails /= np.linalg.norm(thumbnails, axis=(1, 2), keepdims=True)
    wanted = [*range(40), *range(8), 48, 49]
    for rows in (1, 7, 50, 512):
        monkeypatch.setattr(folds_module, "BLOCK_ROWS", rows)
        groups = np.arange(50)
        join_alike(thumbnails, groups)
        assert groups.tolist() == wanted


@pytest.mark.parametrize("seed", range(40))
def test_folds_split_no_group_and_share_out_every_class(seed: int) -> None:
    """Within 2 + the most that one group holds of the even share, as the module promises."""
    print("seed", seed)
    generator = np.random.default_rng(seed)
    frames, folds = int(generator.integers(30, 600)), int(generator.integers(2, 11))
    odds = generator.random(int(generator.integers(1, 7))) * generator.choice([0.05, 0.3, 1])
    table = generator.random((frames, len(odds))) < odds
    groups = np.arange(frames)
    if seed % 2:
        groups = generator.integers(0, folds + frames // int(generator.integers(2, 12)), frames)
    fold_of = assign_folds(table, groups, folds, seed)
    for group in np.unique(groups):
        assert len(np.unique(fold_of[groups == group])) == 1
    columns = [*table.T, ~table.any(axis=1), np.ones(frames, np.bool_)]
    for column in columns:
        counts = np.bincount(fold_of[column], minlength=folds)
        largest = np.bincount(groups[column], minlength=1).max()
        assert np.abs(counts - column.sum() / folds).max() <= 2 + largest


def test_a_seed_decides(tmp_path: Path) -> None:
    """The same one gives the same folds, another one others."""
    data = data_set(tmp_path, [texture(seed) for seed in range(40)])
    first, again, other = (make_folds(data, 4, seed) for seed in (1, 1, 2))
    assert first == again
    assert first.fold_of != other.fold_of
    assert set(first.fold_of.values()) == {0, 1, 2, 3}


def test_folds_come_back_from_their_file(tmp_path: Path) -> None:
    """Only for the frames that they were made for."""
    data = data_set(tmp_path, [texture(seed) for seed in (*range(10), 3)])
    folds = make_folds(data, 2, 0)
    path = tmp_path / "folds.json"
    save_folds(path, folds)
    loaded, fold_of = load_folds(path, data)
    assert loaded == folds
    assert loaded.group_of == {"3": "3", "10": "3"}
    assert fold_of.tolist() == [folds.fold_of[str(index)] for index in range(11)]
    assert fold_of[3] == fold_of[10]
    fewer = DataSet(data.classes, data.samples[:9], "fewer")
    with pytest.raises(ConfigError, match=r"made for other data than fewer \(2 frames are in one"):
        load_folds(path, fewer)
    for text in ("{", '{"folds": 1, "seed": 0, "fold_of": {}}'):
        path.write_text(text)
        with pytest.raises(ConfigError, match=r"folds\.json: is not a file of folds"):
            load_folds(path, data)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_folds(tmp_path / "none.json", data)
    with pytest.raises(StorageError, match="cannot be written"):
        save_folds(tmp_path, folds)


def test_too_few_groups_make_no_folds(tmp_path: Path) -> None:
    """Three frames that are two, and a fold that would be all."""
    data = data_set(tmp_path, [texture(1), texture(2), texture(2)])
    with pytest.raises(ConfigError, match=r"has 2 frames or groups of frames .* no 3 folds"):
        make_folds(data, 3, 0)
    with pytest.raises(ConfigError, match="1 folds: give 2 or more"):
        make_folds(data, 1, 0)


def test_an_unreadable_image_is_named(tmp_path: Path) -> None:
    """Instead of counting as like nothing."""
    data = data_set(tmp_path, [texture(1), texture(2)])
    (tmp_path / "1.jpg").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"1\.jpg: "):
        make_folds(data, 2, 0)


def test_the_command_prints_counts_and_writes_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row for each fold, and one for all; the file holds the same."""
    for index in range(12):
        for folder, pixels in (("images", texture(index)), ("masks", np.eye(64, 96) * (index % 3))):
            (tmp_path / folder).mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / folder / f"{index}.png"), pixels.astype(np.uint8))
    output = tmp_path / "folds.json"
    command = ["folds", str(tmp_path), "--classes", "pits,scale", "--output", str(output)]
    assert main([*command, "--folds", "4", "--seed", "3"]) == ExitCode.OK
    rows = [line.split("│")[1:-1] for line in capsys.readouterr().out.splitlines() if "│" in line]
    cells = [[cell.strip() for cell in row] for row in rows]
    assert cells == [*([str(fold), "3", "1", "1", "1"] for fold in range(4)), *cells[4:]]
    assert cells[4] == ["all", "12", "4", "4", "4"]
    written = json.loads(output.read_text())
    assert (written["folds"], written["seed"], len(written["fold_of"])) == (4, 3, 12)


def test_groups_come_back_from_before_a_labelling_tool(
    small_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which hands back labels that know nothing of strips; each strip is in one fold again."""
    tool = tmp_path / "tool"
    shutil.copytree(small_data, tool)
    labels = json.loads((tool / "annotations.json").read_text())
    for entry in labels["images"]:
        del entry["group"]
    (tool / "annotations.json").write_text(json.dumps(labels))
    output = tmp_path / "folds.json"
    command = ["folds", str(tool), "--folds", "2", "--output", str(output)]
    assert main([*command, "--groups", str(small_data)]) == ExitCode.OK
    fold_of = json.loads(output.read_text())["fold_of"]
    of_strip: dict[str, set[int]] = {}
    for name, fold in fold_of.items():
        of_strip.setdefault(name.partition("-")[0], set()).add(fold)
    assert len(of_strip) == 4
    assert all(len(folds) == 1 for folds in of_strip.values())
    other = tmp_path / "other"
    shutil.copytree(tool, other)
    assert main([*command, "--groups", str(other)]) == ExitCode.CONFIG
    assert "gives no frame of" in capsys.readouterr().err


def test_neu_seg_is_full_of_turned_copies(shared_data: Path) -> None:
    """Most of the last 600 frames have a copy among them, turned by 90 or 180 degrees."""
    data = open_data_set(shared_data / "neu_seg", ["inclusion", "patches", "scratches"])
    folds = make_folds(DataSet(data.classes, data.samples[-600:], data.source), 5, 0)
    assert len(folds.group_of) > 300
    for name, first in folds.group_of.items():
        assert folds.fold_of[name] == folds.fold_of[first]


def test_real_frames_of_strip_are_not_alike(shared_data: Path) -> None:
    """Twelve frames of Severstal, with the same camera and light, stay single."""
    data = open_data_set(shared_data / "severstal")
    assert find_groups(data).tolist() == list(range(12))
