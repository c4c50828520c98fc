"""Verification: what is measured, what is refused, what is drawn, on which frames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from stripwatch.engines.manifest import (
    JUDGED_PX_MIN,
    Agreement,
    DefectClass,
    Verification,
    load_manifest,
)
from stripwatch.errors import ExitCode
from stripwatch_engine.cli.main import main
from stripwatch_engine.models.model_card import ModelCard
from stripwatch_engine.verify.agreement import Masks, compare, worst_frames
from stripwatch_engine.verify.limits import faults

MakeModel = Callable[..., tuple[Path, ModelCard]]
CLASSES = (DefectClass(id=1, name="pits"), DefectClass(id=2, name="scratch"))
SHAPE = (40, 50)
INT8 = ("--precision=int8", "--calibration-frames=2")

ALLOW = "--allow-unverified"  # one small frame shows no class well


def run(path: Path, *flags: str) -> int:
    """engine-build for small frames."""
    return main([str(path), "--frame=32x80", "--verify-frames=2", *flags, ALLOW])


def masks(frames: int = 2) -> Masks:
    """A result without any defect."""
    return Masks(
        np.zeros((frames, *SHAPE), np.uint8),
        np.zeros((frames, len(CLASSES), *SHAPE), np.uint8),
        np.ones(frames, np.bool_),
    )


def judged(*agreements: Agreement, dice_min: float = 0.99, error: float = 0.01) -> Verification:
    """These measurements under these limits."""
    return Verification(
        reference="",
        source="",
        frames=2,
        dice_min=dice_min,
        error_mean_max=error,
        agreements=agreements,
        passed=True,
    )


def save_frames(folder: Path, *shapes: tuple[int, int]) -> Path:
    """A folder of grey images."""
    folder.mkdir()
    generator = np.random.default_rng(3)
    for number, shape in enumerate(shapes):
        pixels = generator.integers(0, 256, shape).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def test_equal_results_agree_wholly() -> None:
    """Also where both are empty."""
    found = compare("the engine", masks(), masks(), CLASSES)
    assert [(entry.name, entry.dice) for entry in found.classes] == [("pits", 1), ("scratch", 1)]
    assert (found.error_mean, found.error_max) == (0, 0)
    assert faults(judged(found)) == []


def test_dice_is_counted_over_all_frames_by_class() -> None:
    """Twice the common pixels by all the pixels: here 2 * 600 / (1000 + 700) of the pits."""
    wanted, found = masks(), masks()
    wanted.mask[0, :20, :] |= 1  # 1000 px
    found.mask[0, :12, :] |= 1  # 600 of them
    found.mask[1, :2, :] |= 1  # and 100 others
    wanted.mask[1, :10, :40] |= 2
    found.mask[1, :10, :40] |= 2
    pits, scratch = compare("the engine", wanted, found, CLASSES).classes
    assert pits.dice == pytest.approx(2 * 600 / 1700)
    assert (pits.reference_px, pits.found_px) == (1000, 700)
    assert (scratch.dice, scratch.reference_px, scratch.found_px) == (1.0, 400, 400)


def test_errors_of_probabilities_are_those_of_all_pixels() -> None:
    """In the mean and at most, with 255 as 1; what is above counts as what is below."""
    wanted, found = masks(), masks()
    wanted.prob[0, 0, 0, 0] = 255
    found.prob[1, 1, 0, :10] = 51
    measured = compare("the engine", wanted, found, CLASSES)
    assert measured.error_max == 1.0
    assert measured.error_mean == pytest.approx((1.0 + 10 * 0.2) / wanted.prob.size)


def test_frames_whose_probabilities_an_engine_left_out_are_not_measured() -> None:
    """Its masks count all the same."""
    wanted, found = masks(), masks()
    wanted.prob[0] = 20
    found.prob[0] = 200  # of an earlier frame
    found = Masks(found.mask, found.prob, np.array([False, True]))
    wanted.mask[0, :20, :] |= 1
    measured = compare("the engine", wanted, found, CLASSES)
    assert measured.error_max == 0
    assert measured.classes[0].dice == 0
    nothing = Masks(found.mask, found.prob, np.array([False, False]))
    assert compare("the engine", wanted, nothing, CLASSES).error_mean == 0


def test_a_fault_names_class_value_and_limit() -> None:
    """One for each class, and one for the probabilities."""
    wanted, found = masks(), masks()
    wanted.mask[0, :20, :] |= 3
    found.mask[0, :10, :] |= 1
    found.mask[0, :20, :] |= 2
    found.prob[...] = 51
    assert faults(judged(compare("the engine", wanted, found, CLASSES))) == [
        "Dice of pits is 0.6667 (at least 0.99)",
        "the mean error of probabilities is 0.20000 (at most 0.01)",
    ]


@pytest.mark.parametrize("swapped", [False, True])
def test_a_class_with_few_pixels_is_not_judged(swapped: bool) -> None:
    """Neither as found by the one nor by the other; one pixel more is enough."""
    for count, expected in ((JUDGED_PX_MIN - 1, 0), (JUDGED_PX_MIN, 1)):
        wanted, found = masks(), masks()
        wanted.mask.reshape(-1)[:count] |= 1
        pair = (found, wanted) if swapped else (wanted, found)
        measured = compare("the engine", *pair, CLASSES)
        assert measured.classes[0].is_judged == bool(expected)
        assert len(faults(judged(measured))) == expected


def test_every_comparison_is_judged() -> None:
    """The rounded graph's as well as the engine's."""
    wanted, found = masks(), masks()
    wanted.mask[0, :20, :] |= 1
    good, bad = (compare("", wanted, other, CLASSES) for other in (wanted, found))
    assert len(faults(judged(good, bad))) == len(faults(judged(bad, good))) == 1
    assert len(faults(judged(bad, bad))) == 2


def test_values_at_the_limits_pass() -> None:
    """At least and at most include them."""
    wanted, found = masks(), masks()
    wanted.mask[0, :20, :] |= 1
    found.mask[0, :10, :] |= 1
    found.prob[...] = 51
    measured = compare("the engine", wanted, found, CLASSES)
    limits = judged(measured, dice_min=measured.classes[0].dice, error=measured.error_mean)
    assert faults(limits) == []
    assert len(faults(msgspec.structs.replace(limits, dice_min=0.67))) == 1


def test_the_worst_frames_differ_in_most_pixels() -> None:
    """The first of equal ones first; no more than there are."""
    wanted, found = masks(4), masks(4)
    found.mask[1, :2, :] |= 1
    found.mask[3, :5, :] |= 2
    assert worst_frames(wanted, found, 3) == [3, 1, 0]
    assert len(worst_frames(wanted, found, 9)) == 4


def test_a_degraded_engine_is_refused(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit code, class, limits and what to try; nothing is written."""
    path, _ = make_model()
    assert run(path, "--dice-min=1.5", "--verify-frames=8") == ExitCode.MODEL
    shown = capsys.readouterr().err
    assert "differs too much from the float32 model" in shown
    assert "Dice of kind3 is 1.0000 (at least 1.5)" in shown
    assert "it was not written" in shown
    assert "--report DIR" in shown
    assert "--allow-degraded" in shown
    assert not (path.parent / "openvino").exists()


def test_a_degraded_int8_engine_is_refused(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its advice is of its precision."""
    path, _ = make_model()
    assert run(path, *INT8, "--error-mean-max=0") == ExitCode.MODEL
    shown = capsys.readouterr().err
    assert "the mean error of probabilities is 0.0" in shown
    assert "(at most 0)" in shown
    assert "Try --precision fp16, or --calibration with more frames" in shown
    assert not (path.parent / "openvino").exists()


def test_a_degraded_engine_leaves_the_good_one(make_model: MakeModel) -> None:
    """The line goes on with what it has."""
    path, _ = make_model()
    assert run(path) == ExitCode.OK
    manifest = load_manifest(path.parent / "openvino")
    assert run(path, "--dice-min=1.5") == ExitCode.MODEL
    assert load_manifest(path.parent / "openvino") == manifest


def test_a_degraded_engine_can_be_allowed(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its manifest and its summary state that it did not pass."""
    path, _ = make_model()
    assert run(path, "--dice-min=1.5", "--allow-degraded") == ExitCode.OK
    verification = load_manifest(path.parent / "openvino").verification
    assert verification is not None
    assert not verification.passed
    assert faults(verification)
    assert "verification DEGRADED" in capsys.readouterr().out
    assert main(["--inspect", str(path.parent / "openvino")]) == ExitCode.OK
    assert "verification DEGRADED" in capsys.readouterr().out


def test_a_good_engine_passes_whatever_is_allowed(make_model: MakeModel) -> None:
    """Permission to be degraded does not make it so."""
    path, _ = make_model()
    assert run(path, "--allow-degraded", "--verify-frames=8") == ExitCode.OK
    verification = load_manifest(path.parent / "openvino").verification
    assert verification is not None
    assert verification.passed


@pytest.mark.parametrize("flags", [(), ("--dice-min=1.5",)])
def test_a_report_shows_three_strips_of_each_frame(
    make_model: MakeModel, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    """Also of an engine that is refused: then one wants to see it most."""
    path, _ = make_model()
    folder = tmp_path / "new" / "report"
    code = run(path, f"--report={folder}", "--frame=48x400", *flags)
    assert code == (ExitCode.MODEL if flags else ExitCode.OK)
    assert sorted(entry.name for entry in folder.iterdir()) == ["worst-1.png", "worst-2.png"]
    for picture in folder.iterdir():
        pixels = np.asarray(Image.open(picture))
        height = pixels.shape[0] // 3
        assert pixels.shape == (3 * height, 400, 3)
        assert height > 48  # a title, and a strip
        strips: list[NDArray[np.uint8]] = [
            pixels[height * (row + 1) - 48 : height * (row + 1)] for row in range(3)
        ]
        assert np.array_equal(strips[0], strips[1])  # the same masks
        assert np.ptp(strips[2], axis=2).max() == 0  # grey: no difference is marked
        assert np.ptp(strips[0], axis=2).max() > 0  # masks are coloured


def test_a_report_is_drawn_although_the_engine_is_up_to_date(
    make_model: MakeModel, tmp_path: Path
) -> None:
    """For that it must run once more."""
    path, _ = make_model()
    assert run(path) == ExitCode.OK
    assert run(path, f"--report={tmp_path / 'report'}") == ExitCode.OK
    assert (tmp_path / "report" / "worst-1.png").is_file()


def test_a_report_that_cannot_be_written_is_a_storage_error(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here a file is in the way; the engine is not written either."""
    path, _ = make_model()
    assert run(path, f"--report={path}") == ExitCode.STORAGE
    assert f"--report {path} cannot be written" in capsys.readouterr().err
    assert not (path.parent / "openvino").exists()


@pytest.mark.parametrize("flags", [("--verify",), (*INT8, "--calibration")])
@pytest.mark.parametrize(
    ("kind", "code", "sentence"),
    [
        ("empty", ExitCode.CONFIG, "holds no images"),
        ("wide", ExitCode.CONFIG, "0.png is 32 x 81 (lines x pixels), the frames here are 32 x 80"),
        ("high", ExitCode.CONFIG, "0.png is 33 x 80 (lines x pixels), the frames here are 32 x 80"),
        ("mixed", ExitCode.CONFIG, "1.png is 32 x 70"),
        ("damaged", ExitCode.STORAGE, "0.png is not a PNG, JPEG, BMP or TIFF file"),
        ("missing", ExitCode.CONFIG, ""),
    ],
)
def test_frames_that_cannot_be_used_are_named(
    make_model: MakeModel,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: tuple[str, ...],
    kind: str,
    code: ExitCode,
    sentence: str,
) -> None:
    """The sentence has the path; nothing is written."""
    path, _ = make_model()
    frames = tmp_path / "frames"
    if kind != "missing":
        shapes = {"wide": [(32, 81)], "high": [(33, 80)], "mixed": [(32, 80), (32, 70)]}
        save_frames(frames, *shapes.get(kind, []))
    if kind == "damaged":
        (frames / "0.png").write_bytes(b"no picture")
    *others, last = flags
    assert run(path, *others, f"{last}={frames}") == code
    shown = capsys.readouterr().err
    assert str(frames) in shown
    assert sentence in shown
    assert "Traceback" not in shown
    assert not (path.parent / "openvino").exists()


def test_frames_with_fewer_lines_are_verified_too(make_model: MakeModel, tmp_path: Path) -> None:
    """As the daemon takes the last frame of a strip."""
    path, _ = make_model()
    frames = save_frames(tmp_path / "frames", (20, 80), (32, 80), (1, 80))
    assert run(path, f"--verify={frames}", "--verify-frames=8") == ExitCode.OK
    verification = load_manifest(path.parent / "openvino").verification
    assert verification is not None
    assert (verification.source, verification.frames) == (str(frames), 3)


def test_frames_are_spread_over_a_source(make_model: MakeModel, tmp_path: Path) -> None:
    """Other frames of the same folder make another verification, not another engine."""
    path, _ = make_model()
    frames = save_frames(tmp_path / "frames", *[(32, 80)] * 6)
    totals = []
    for count in (1, 3):
        assert run(path, f"--verify={frames}", f"--verify-frames={count}") == ExitCode.OK
        verification = load_manifest(path.parent / "openvino").verification
        assert verification is not None
        assert verification.frames == count
        totals.append(sum(entry.reference_px for entry in verification.agreements[0].classes))
    assert totals[1] > totals[0]


def test_int8_is_calibrated_on_the_frames_that_are_named(
    make_model: MakeModel, tmp_path: Path
) -> None:
    """Other frames give another engine."""
    path, _ = make_model()
    hashes = set()
    for name in ("synthetic", str(save_frames(tmp_path / "frames", (32, 80), (32, 80)))):
        assert run(path, *INT8, f"--calibration={name}", "--allow-degraded") == ExitCode.OK
        hashes.add(load_manifest(path.parent / "openvino").engine_hash)
    assert len(hashes) == 2
