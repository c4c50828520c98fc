"""The watch over the light: painted faults are found where they are, and clean strip is silent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stripwatch.camera.light.profile import against_neighbours, strip_columns
from stripwatch.camera.light.reference import (
    LEARN_M,
    LightReference,
    load_light_reference,
    save_light_reference,
)
from stripwatch.camera.light.watch import LightWatch
from stripwatch.config.light import LightSection
from stripwatch.config.sections import Geometry
from stripwatch.errors import ConfigError
from stripwatch.synthetic import SyntheticStrip
from stripwatch.wire.light import LightFault

SEED = 20
# A frame is one metre: what lasts for 50 m lasts for 50 frames.
LINE = Geometry(frame_lines=64, frame_pixels=800, mm_per_line=1000 / 64, mm_per_pixel=1.0)
BACKGROUND = 20

Frame = NDArray[np.uint8]
Paint = Callable[[Frame], Frame]


def clean(frame: Frame) -> Frame:
    """Nothing is wrong."""
    return frame


def darker(first: int, end: int, share: float) -> Paint:
    """Columns [first, end) get `share` of their light."""

    def paint(frame: Frame) -> Frame:
        painted = frame.copy()
        painted[:, first:end] = np.clip(np.rint(frame[:, first:end] * share), 0, 255)
        return painted

    return paint


@pytest.fixture(scope="module")
def steel() -> list[Frame]:
    """Frames of clean synthetic strip with defects."""
    strip = SyntheticStrip(SEED, (64, 800), defects_per_1000_lines=4)
    return [strip.frame(index).pixels for index in range(60)]


def watch(reference: LightReference | None = None) -> LightWatch:
    return LightWatch(LightSection(), LINE, BACKGROUND, reference)


def pass_by(watch: LightWatch, steel: list[Frame], metres: int, paint: Paint = clean) -> None:
    """Let some metres of strip pass in a light."""
    for number in range(metres):
        watch.look(paint(steel[number % len(steel)]))


def learnt(steel: list[Frame]) -> LightWatch:
    """A watch that knows the light as it should be."""
    looking = watch()
    pass_by(looking, steel, 150)
    assert looking.reference is not None
    return looking


def test_nothing_is_said_before_enough_strip_has_passed(steel: list[Frame]) -> None:
    """The faults are unknown, not absent, until `metres` have been seen."""
    looking = watch()
    pass_by(looking, steel, 45)
    assert looking.faults is None
    pass_by(looking, steel, 10)
    assert looking.faults is not None
    assert not looking.faults


def test_a_line_of_dirt_is_found_in_its_columns_and_ends_when_it_is_cleaned(
    steel: list[Frame],
) -> None:
    """It needs no reference: dirt that was there at the start is found, too."""
    looking = watch()
    pass_by(looking, steel, 60, darker(400, 404, 0.6))
    (fault,) = looking.faults or ()
    assert (fault.kind, fault.from_px, fault.to_px) == ("line", 400, 404)
    assert fault.share == pytest.approx(0.6, abs=0.06)
    pass_by(looking, steel, 45)
    assert looking.faults == (fault,)
    pass_by(looking, steel, 20)
    assert not looking.faults


def test_a_line_that_ends_before_the_metres_is_none(steel: list[Frame]) -> None:
    """A long scratch of the strip passes."""
    looking = watch()
    for _ in range(3):
        pass_by(looking, steel, 30, darker(400, 404, 0.5))
        pass_by(looking, steel, 30)
    assert not looking.faults


def test_a_dark_segment_is_found_against_the_reference(steel: list[Frame]) -> None:
    """A part of the lamp that loses 40 % is told with its columns; its neighbours are not."""
    looking = learnt(steel)
    pass_by(looking, steel, 60, darker(300, 380, 0.6))
    (fault,) = looking.faults or ()
    assert fault.kind == "segment"
    assert (fault.from_px, fault.to_px) == pytest.approx((300, 380), abs=2)
    assert fault.share == pytest.approx(0.6, abs=0.05)


def test_a_segment_that_is_out_is_not_taken_for_the_strips_edge(steel: list[Frame]) -> None:
    """Dark columns with steel on both sides belong to the strip."""
    looking = learnt(steel)
    pass_by(looking, steel, 60, darker(300, 380, 0.0))
    assert [(fault.kind, fault.share) for fault in looking.faults or ()] == [("segment", 0.0)]


@pytest.mark.parametrize(("share", "kind"), [(0.4, "dim"), (1.7, "bright")])
def test_the_level_is_told_after_its_own_metres(
    steel: list[Frame], share: float, kind: str
) -> None:
    """Coils differ, so it takes longer than a place across the strip; it recovers by itself."""
    looking = learnt(steel)

    pass_by(looking, steel, 180, darker(0, 800, share))
    assert not looking.faults
    pass_by(looking, steel, 30, darker(0, 800, share))
    (fault,) = looking.faults or ()
    assert (fault.kind, fault.from_px, fault.to_px) == (kind, 0, 800)
    assert fault.share == pytest.approx(share, abs=0.12)
    pass_by(looking, steel, 60)
    assert not looking.faults


def test_a_lamp_that_ages_slowly_is_found_against_the_kept_reference(steel: list[Frame]) -> None:
    """The reference does not age with it."""
    looking = learnt(steel)
    for step in range(60):
        pass_by(looking, steel, 10, darker(0, 800, 1 - 0.01 * step))
    assert not looking.faults
    pass_by(looking, steel, 220, darker(0, 800, 0.41))
    assert [fault.kind for fault in looking.faults or ()] == ["dim"]


def test_painted_faults_of_many_kinds_are_found_and_nothing_else(steel: list[Frame]) -> None:
    """Seeded: one place, one depth, one width each time, found within a segment's width."""
    generator = np.random.default_rng(SEED)
    print(f"seed {SEED}")
    known = learnt(steel).reference
    for _ in range(12):
        kind = str(generator.choice(["line", "segment"]))
        width = int(generator.integers(2, 6) if kind == "line" else generator.integers(15, 120))
        first = int(generator.integers(60, 620))
        share = float(generator.uniform(0.2, 0.65))
        looking = watch(known)
        pass_by(looking, steel, 60, darker(first, first + width, share))
        found = looking.faults or ()
        case = (kind, first, width, share, found)
        assert [fault.kind for fault in found] == [kind], case
        assert (found[0].from_px, found[0].to_px) == pytest.approx((first, first + width), abs=3)


def test_strip_that_wanders_and_changes_its_width_is_no_fault(steel: list[Frame]) -> None:
    """Columns beside the strip are not looked at."""
    looking = learnt(steel)
    for step in range(30):
        beside = darker(0, 40 + 5 * step, 0.05)
        pass_by(looking, steel, 8, beside)
    assert not looking.faults


def test_without_strip_only_the_mean_is_told() -> None:
    """Between two coils the background is no dark lamp."""
    looking = watch()
    for _ in range(100):
        assert looking.look(np.full((64, 800), 7, np.uint8)) == 7
    assert looking.faults is None


def test_columns_that_a_wider_strip_brings_are_learnt_later(steel: list[Frame]) -> None:
    """What is not known of a column is not judged, and is learnt when strip has passed it."""
    looking = watch()
    pass_by(looking, steel, 150, darker(0, 300, 0.0))
    first = looking.reference
    assert first is not None
    assert first.shape[200] is None
    assert first.shape[500] is not None
    pass_by(looking, steel, round(LEARN_M) + 20)
    assert looking.reference is not None
    assert looking.reference.shape[200] is not None
    assert looking.reference.shape[500] == first.shape[500]
    assert not looking.faults


def test_synthetic_strip_of_two_kilometres_gives_no_alarm() -> None:
    """Rolling marks, scale, defects, edges; ten kilometres are run by hand (the docs say how)."""
    coarse = Geometry(frame_lines=64, frame_pixels=800, mm_per_line=2000 / 64, mm_per_pixel=1.0)
    looking = LightWatch(LightSection(), coarse, BACKGROUND, None)
    strip = SyntheticStrip(SEED + 1, (64, 800), defects_per_1000_lines=4)
    for index in range(1000):
        looking.look(strip.frame(index).pixels)
        assert not looking.faults, index


def test_real_frames_give_no_alarm(shared_data: Path) -> None:
    """Each is of another coil; shuffled, they are the worst strip that could be."""
    paths = sorted(shared_data.glob("severstal*/images*/*.jpg"))
    read = [np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)) for path in paths]
    frames = [frame for frame in read if frame.shape == (256, 1600)]
    assert len(frames) >= 40
    line = Geometry(frame_lines=256, frame_pixels=1600, mm_per_line=4.0, mm_per_pixel=0.5)
    looking = LightWatch(LightSection(), line, BACKGROUND, None)
    generator = np.random.default_rng(SEED)
    print(f"seed {SEED}")
    for _ in range(20):
        for index in generator.permutation(len(frames)):
            looking.look(frames[index])
            assert not looking.faults


def test_a_reference_is_kept_and_belongs_to_its_flat_field(
    tmp_path: Path, steel: list[Frame]
) -> None:
    """After another calibration the strip looks different, so it is learnt again."""
    reference = learnt(steel).reference
    assert reference is not None
    path = tmp_path / "light" / "top.json"
    assert load_light_reference(path, "top", "", 800) is None
    save_light_reference(path, reference, "top", "hash-1")
    kept = load_light_reference(path, "top", "hash-1", 800)
    assert kept is not None
    assert (kept.shape, kept.grey) == (reference.shape, reference.grey)
    assert load_light_reference(path, "top", "hash-2", 800) is None
    assert load_light_reference(path, "top", "hash-1", 801) is None
    looking = watch(kept)
    pass_by(looking, steel, 60, darker(300, 380, 0.6))
    assert [fault.kind for fault in looking.faults or ()] == ["segment"]


@pytest.mark.parametrize("content", [b"", b"{", b'{"grey": 0, "shape": []}', b"\xff", b"[" * 5000])
def test_a_damaged_reference_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    """It says to remove the file."""
    path = tmp_path / "top.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"top\.json.*remove it"):
        load_light_reference(path, "top", "", 800)


def test_the_strip_is_found_between_dark_sides() -> None:
    """Its edges are left out, but at the frame's border the strip goes on."""
    means = np.zeros(200, np.float32)
    assert strip_columns(means, BACKGROUND) is None
    means[50:150] = 100
    assert strip_columns(means, BACKGROUND) == (58, 142)
    means[:150] = 100
    assert strip_columns(means, BACKGROUND) == (0, 142)
    means[100] = 0
    assert strip_columns(means, BACKGROUND) == (0, 142)


def test_a_profile_against_its_neighbours_shows_what_is_narrow() -> None:
    """A slope does not show, a narrow dip does; beside the ends nothing is said."""
    shape = np.linspace(0.8, 1.2, 100, dtype=np.float32)
    shape[50:53] *= 0.5
    shape[90:] = np.nan
    shares = against_neighbours(shape, 8)
    assert np.isnan(shares[:8]).all()
    assert np.isnan(shares[82:]).all()
    assert shares[50:53] == pytest.approx(0.5, abs=0.05)
    assert np.nanmin(np.delete(shares, [50, 51, 52])) > 0.95


def test_a_fault_has_a_range_that_is_not_empty() -> None:
    """Whoever makes one wrong learns it at once."""
    with pytest.raises(ValueError, match="not below"):
        LightFault("line", 5, 5, 0.5)
