"""Synthesizing: frames of synthetic strips become a data set that everything else can read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stripwatch.errors import ConfigError, ExitCode, StorageError
from stripwatch.synthetic import CLASSES, SyntheticStrip
from stripwatch_engine.cli.flags import parse_shape
from stripwatch_train.cli.main import main
from stripwatch_train.data.data_set import open_data_set
from stripwatch_train.data.folds import make_folds
from stripwatch_train.data.images import load_image
from stripwatch_train.data.masks import load_mask
from stripwatch_train.data.synthesize import PIXELS_MIN, synthesize
from stripwatch_train.data.varied import VariedStrip

SHAPE = (32, 160)


def test_frames_are_those_of_the_strips(tmp_path: Path) -> None:
    """Pixels and masks, bit for bit; another strip after every 24 frames; the strip as group."""
    assert synthesize(tmp_path / "out", 50, frame_shape=SHAPE, defects_per_1000_lines=8) == 3
    data = open_data_set(tmp_path / "out")
    assert [entry.name for entry in data.classes] == [entry.name for entry in CLASSES]
    names = [f"strip-{1_000_000 + number // 24}-{number % 24:02d}.png" for number in range(50)]
    assert [sample.name for sample in data.samples] == names
    defective = 0
    for number, sample in enumerate(data.samples):
        seed = 1_000_000 + number // 24
        frame = SyntheticStrip(seed, SHAPE, 8).frame(number % 24)
        assert sample.group == f"strip-{seed}"
        np.testing.assert_array_equal(load_image(sample), frame.pixels)
        np.testing.assert_array_equal(load_mask(sample, SHAPE), frame.mask)
        defective += bool(frame.mask.any())
    assert 10 < defective < 50


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    """And another seed others."""
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        synthesize(tmp_path / name, 3, seed=seed, frame_shape=SHAPE)
    files = [
        [path.read_bytes() for path in sorted((tmp_path / name).rglob("*.*"))] for name in "abc"
    ]
    assert files[0] == files[1]
    assert not set(files[0]) & set(files[2])


def test_folds_keep_strips_together(tmp_path: Path) -> None:
    """As many groups as strips: frames of one are together, and strips are not alike."""
    synthesize(tmp_path / "out", 96, frame_shape=(64, 160))
    folds = make_folds(open_data_set(tmp_path / "out"), 4, seed=0)
    assert len(set(folds.group_of.values())) == 4
    for fold in range(4):
        inside = {name.rpartition("-")[0] for name, of in folds.fold_of.items() if of == fold}
        assert len(inside) == 1


def test_a_clean_strip_can_be_had(tmp_path: Path) -> None:
    """The narrowest, too."""
    synthesize(tmp_path / "out", 30, frame_shape=(8, PIXELS_MIN), defects_per_1000_lines=0)
    assert not any(sample.masks for sample in open_data_set(tmp_path / "out").samples)
    narrow = (8, PIXELS_MIN)
    synthesize(tmp_path / "dense", 30, frame_shape=narrow, defects_per_1000_lines=1000)
    assert any(sample.masks for sample in open_data_set(tmp_path / "dense").samples)


def test_a_share_of_the_strips_can_be_varied(tmp_path: Path) -> None:
    """Spread evenly; the others are those that come without it, pixel for pixel."""
    synthesize(tmp_path / "mixed", 96, frame_shape=SHAPE, defects_per_1000_lines=8, varied=0.5)
    samples = open_data_set(tmp_path / "mixed").samples
    kinds = {1_000_000: "strip", 1_000_001: "varied", 1_000_002: "strip", 1_000_003: "varied"}
    by_name = {sample.name: sample for sample in samples}
    assert len(by_name) == 96
    for seed, kind in kinds.items():
        strip = (VariedStrip if kind == "varied" else SyntheticStrip)(seed, SHAPE, 8)
        for index in range(24):
            sample, frame = by_name[f"{kind}-{seed}-{index:02d}.png"], strip.frame(index)
            assert sample.group == f"{kind}-{seed}"
            np.testing.assert_array_equal(load_image(sample), frame.pixels)
            np.testing.assert_array_equal(load_mask(sample, SHAPE), frame.mask)


def test_numbers_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    """Before anything is written."""
    for arguments, words in (
        ({"frames": 0}, "0 frames: give 1 or more"),
        ({"frames": 1, "seed": -1}, "seed -1: give 0 or more"),
        ({"frames": 1, "defects_per_1000_lines": -0.5}, "-0.5 defects in 1000 lines: give 0 to"),
        ({"frames": 1, "defects_per_1000_lines": float("nan")}, "nan defects"),
        ({"frames": 1, "varied": 1.5}, "1.5 of the strips varied: give a share from 0 to 1"),
        ({"frames": 1, "varied": float("nan")}, "nan of the strips varied"),
        ({"frames": 1, "frame_shape": (256, 15)}, "frames of 15 pixels: give 16 or more"),
    ):
        with pytest.raises(ConfigError, match=words):
            synthesize(tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written"):
        synthesize(tmp_path / "file" / "out", 1, frame_shape=SHAPE)


@pytest.mark.parametrize("text", ["256", "0x1600", "256x", "256x1600x3", "-1x5", "256 x 1600", "x"])
def test_a_frame_is_given_as_lines_and_pixels(text: str) -> None:
    """Nothing else is guessed at."""
    with pytest.raises(ConfigError, match="expected LINESxPIXELS, for example 256x1600"):
        parse_shape("--frame", text)


def test_frames_have_a_largest_side() -> None:
    """That of the frame message."""
    assert parse_shape("--frame", "256x1600") == (256, 1600)
    with pytest.raises(ConfigError, match="at most 65536 lines or pixels"):
        parse_shape("--frame", "256x65537")


def test_the_command_prints_which_strips_it_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what seeds are for."""
    out = tmp_path / "out"
    command = ["synthesize", "--frames", "30", "--frame", "16x96", "--output", str(out)]
    assert main([*command, "--seed", "5"]) == ExitCode.OK
    printed = capsys.readouterr().out
    assert printed == f"{out}: 30 frames of 2 strips, seeds 5 to 6\n"
    others = [*command[:-1], str(tmp_path / "varied"), "--varied"]
    assert main(others) == ExitCode.OK
    assert len(list((tmp_path / "varied" / "images").glob("varied-*"))) == 30
    capsys.readouterr()
    assert main(command) == ExitCode.CONFIG
    assert "exists and is not empty" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["synthesize", "--help"])
    assert "for training" in " ".join(capsys.readouterr().out.split())
