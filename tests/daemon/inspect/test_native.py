"""The native function against the whole arrays: the same bits, or none at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.daemon.inspect.test_findings import SIDE_MAX, all_of, random_frame

from stripwatch.engines.manifest import DefectClass
from stripwatch.inspect.findings import Segmentation, find_defects_of_frames
from stripwatch.inspect.masked import MaskedFinder
from stripwatch.inspect.native.compile import compile_library
from stripwatch.inspect.native.finder import Masked, NativeFinder
from stripwatch.wire.rle import encode_masks

GROUPS, FRAMES_MAX = 15, 8  # of each seed, in a group
NO_LIBRARY = Path("nowhere.so")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, compiled from the source as it is now."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    path = tmp_path_factory.mktemp("native") / "findings.so"
    assert compile_library(path) == ""
    return path


def one_class(mask: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> Segmentation:
    """A frame of one class in which every component counts."""
    area = np.full(1, np.count_nonzero(mask), np.float32)
    return Segmentation(mask, mask[None] * 200, area, (DefectClass(id=1, name="spots"),))


def assert_same_bits(found: list[Masked], frame: Segmentation, defects_max: int) -> None:
    """Every field of every finding, their order, and both texts of each mask."""
    (expected,) = find_defects_of_frames([frame], defects_max)
    assert [all_of(finding) for finding, _ in found] == [all_of(finding) for finding in expected]
    assert [masks for _, masks in found] == encode_masks([finding.runs for finding in expected])


@pytest.mark.parametrize("seed", range(15))
def test_findings_and_masks_have_the_bits_of_whole_arrays(library: Path, seed: int) -> None:
    """Of each frame of a group. Too many components are left to the arrays, and only those."""
    random = np.random.default_rng(seed)
    finder = NativeFinder(library)
    for _ in range(GROUPS):
        width = int(random.integers(1, SIDE_MAX))
        classes = tuple(
            DefectClass(id=number + 1, name=f"c{number}", min_area_px=int(random.choice([0, 3, 8])))
            for number in range(int(random.integers(1, 9)))
        )
        count = int(random.integers(1, FRAMES_MAX + 1))
        frames = [random_frame(random, width, classes) for _ in range(count)]
        defects_max = int(random.choice([1, 2, 5, 100, 1000]))
        for frame, found in zip(frames, finder.find(frames, defects_max), strict=True):
            if found is None:
                (expected,) = find_defects_of_frames([frame], 10_000)
                counts = np.bincount([finding.defect_class.id for finding in expected])
                assert counts.max() > defects_max
            else:
                assert_same_bits(found, frame, defects_max)


def test_shapes_that_meet_late_or_touch_by_corners_are_one(library: Path) -> None:
    """Combs, spirals and a chessboard join runs that were apart for many columns."""
    comb = np.zeros((64, 200), np.uint8)
    comb[::2] = 1
    comb[:, -1] = 1
    chess = np.indices((64, 200)).sum(axis=0).astype(np.uint8) % 2
    spiral = np.zeros((64, 200), np.uint8)
    for inset in range(0, 28, 4):
        spiral[inset, inset : 200 - inset] = spiral[63 - inset, inset : 200 - inset] = 1
        spiral[inset : 64 - inset, 199 - inset] = spiral[inset + 4 : 64 - inset, inset] = 1
    for mask in (comb, comb[:, ::-1].copy(), chess, spiral, np.ones((64, 200), np.uint8)):
        (found,) = NativeFinder(library).find([one_class(mask)], 100)
        assert found is not None
        assert_same_bits(found, one_class(mask), 100)


def test_a_part_of_a_larger_array_is_read_by_its_strides(library: Path) -> None:
    """A short frame is a view of its row of the slot."""
    random = np.random.default_rng(3)
    mask = (random.random((100, 130)) < 0.4).astype(np.uint8)
    prob = random.integers(0, 256, (1, 100, 130), np.uint8)
    classes = (DefectClass(id=1, name="spots", min_area_px=4),)
    frame = Segmentation(mask[:37], prob[:, :37], np.full(1, 1e4, np.float32), classes)
    (found,) = NativeFinder(library).find([frame], 1000)
    assert found
    assert_same_bits(found, frame, 1000)


def test_a_frame_of_noise_is_left_to_the_arrays(library: Path) -> None:
    """Its memory is bounded; the frame has the same findings as without it."""
    random = np.random.default_rng(5)
    noise = one_class((random.random((256, 1600)) < 0.3).astype(np.uint8))
    clean = one_class(np.eye(256, 1600, dtype=np.uint8))
    assert NativeFinder(library).find([noise], 100) == [None]
    natively = MaskedFinder(library).find([clean, noise, clean], 100)
    by_arrays = MaskedFinder(NO_LIBRARY).find([clean, noise, clean], 100)
    for one, other in zip(natively, by_arrays, strict=True):
        assert [all_of(finding) for finding, _ in one] == [all_of(finding) for finding, _ in other]
        assert [masks for _, masks in one] == [masks for _, masks in other]


def test_findings_do_not_change_when_the_next_frame_is_looked_at(library: Path) -> None:
    """The memory is used again, and nothing that was returned lies in it."""
    finder = NativeFinder(library)
    frame = one_class(np.eye(40, 90, dtype=np.uint8))
    (found,) = finder.find([frame], 10)
    finder.find([one_class(np.ones((40, 90), np.uint8))], 10)
    assert found is not None
    assert_same_bits(found, frame, 10)


def test_without_the_library_or_with_a_wrong_one_arrays_do_the_work(tmp_path: Path) -> None:
    """Damaged, or of another version: a shared library without our function."""
    damaged = tmp_path / "damaged.so"
    damaged.write_bytes(b"\x7fELF and then nothing")
    source, other = tmp_path / "other.c", tmp_path / "other.so"
    source.write_text("int stripwatch_findings_0(void) { return 0; }\n")
    if shutil.which("cc"):
        assert compile_library(other, source) == ""
    for library in (NO_LIBRARY, damaged, other):
        finder = MaskedFinder(library)
        assert not finder.is_native
        (found,) = finder.find([one_class(np.eye(40, 90, dtype=np.uint8))], 10)
        assert [finding.area for finding, _ in found] == [40]


def test_a_compiler_that_is_missing_or_fails_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a library that is in use stays as it is."""
    library = tmp_path / "findings.so"
    library.write_text("in use")
    source = tmp_path / "wrong.c"
    source.write_text("this is not C\n")
    if shutil.which("cc"):
        assert "wrong.c:1" in compile_library(library, source)
    monkeypatch.setenv("CC", "no-such-compiler")
    assert compile_library(library) == "there is no C compiler"
    assert library.read_text() == "in use"
