"""Folds: what looks alike stays together, and every fold has its share of every class."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.train.textures import data_set, texture

from stripwatch.errors import ConfigError, ExitCode, StorageError
from stripwatch_train.cli.main import main
from stripwatch_train.data.data_set import open_data_set
from stripwatch_train.data.folds import assign_folds, load_folds, make_folds, save_folds
from stripwatch_train.data.samples import DataSet


def test_split_copies_separates_near_duplicates_but_not_known_groups(
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
    with pytest.raises(
        ConfigError, match=r"has 2 frames or groups of near-duplicates, too few for 3 folds"
    ):
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
    assert "folds.json: 2 folds written" in capsys.readouterr().out
    fold_of = json.loads(output.read_text())["fold_of"]
    of_strip: dict[str, set[int]] = {}
    for name, fold in fold_of.items():
        of_strip.setdefault(name.partition("-")[0], set()).add(fold)
    assert len(of_strip) == 4
    assert all(len(folds) == 1 for folds in of_strip.values())
    other = tmp_path / "other"
    shutil.copytree(tool, other)
    assert main(command) == ExitCode.CONFIG
    assert "folds.json: exists; give another --output, or --force" in capsys.readouterr().err
    assert main([*command, "--force", "--groups", str(other)]) == ExitCode.CONFIG
    assert "gives no frame of" in capsys.readouterr().err


@pytest.mark.slow
def test_neu_seg_is_full_of_turned_copies(shared_data: Path) -> None:
    """Most of the last 600 frames have a copy among them, turned by 90 or 180 degrees."""
    data = open_data_set(shared_data / "neu_seg", ["inclusion", "patches", "scratches"])
    folds = make_folds(DataSet(data.classes, data.samples[-600:], data.source), 5, 0)
    assert len(folds.group_of) > 300
    for name, first in folds.group_of.items():
        assert folds.fold_of[name] == folds.fold_of[first]
