"""Frames that an engine is verified on, and what they can show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image
from tests.engine_build.odd_models import FRAME, GIVEN, SHAPE, node, nodes_model, save

from stripwatch.engines.manifest import Verification, load_manifest
from stripwatch.errors import ExitCode
from stripwatch_engine.cli.main import main
from stripwatch_engine.models.model_card import ModelCard, save_card
from stripwatch_engine.verify.frame_choice import SPARE_FRAMES
from stripwatch_engine.verify.pattern import pattern_frames

MakeModel = Callable[..., tuple[Path, ModelCard]]
SIGMOID = (*GIVEN, "--activation=sigmoid")


def frames_of(folder: Path, *levels: int) -> Path:
    """Frames of 16 x 40, the left half black and the right half of a level."""
    folder.mkdir()
    for number, level in enumerate(levels):
        pixels = np.zeros(SHAPE, np.uint8)
        pixels[:, 20:] = level
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def verification_of(folder: Path) -> Verification:
    verification = load_manifest(folder).verification
    assert verification is not None
    return verification


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model without a card that finds dark and bright pixels."""
    return save(tmp_path / "m.onnx", nodes_model([node("Identity")]))


def test_a_model_of_unknown_training_is_verified_on_the_test_pattern(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In fp32, where both must compute the same; the output says what that does not show."""
    assert main([str(model), *FRAME, *SIGMOID]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "verification passed: 8 frames (test pattern)" in shown
    assert "not that the model is right on your line" in shown
    assert verification_of(model.parent / "openvino").verdict == "passed"


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_lower_precision_is_not_verified_by_the_test_pattern(
    model: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, precision: str
) -> None:
    """What rounding loses depends on the frames; --allow-unverified accepts that."""
    flags = [*FRAME, *SIGMOID, f"--precision={precision}", "--calibration-frames=2"]
    assert main([str(model), *flags]) == ExitCode.MODEL
    error = capsys.readouterr().err
    assert f"what {precision} loses shows only on frames of the line" in error
    assert "--verify DIR" in error
    assert not (tmp_path / "openvino").exists()
    allow = ["--allow-unverified", "--allow-degraded"]
    assert main([str(model), *flags, *allow]) == ExitCode.OK
    assert verification_of(tmp_path / "openvino").passed is False
    frames = frames_of(tmp_path / "frames", 255, 255)
    named = [f"--verify={frames}", f"--calibration={frames}"]
    assert main([str(model), *flags, *named]) == ExitCode.OK
    assert verification_of(tmp_path / "openvino").verdict == "passed"


def test_a_model_of_the_synthetic_strip_is_verified_on_it(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its card says so; another card of the same model does not."""
    path, card = make_model()
    flags = [str(path), "--frame=32x80", "--verify-frames=8"]
    assert main(flags) == ExitCode.OK
    assert "8 frames (synthetic)" in capsys.readouterr().out
    save_card(path, msgspec.structs.replace(card, trained_on=""))
    assert main([*flags, "--allow-unverified"]) == ExitCode.OK
    assert "8 frames (test pattern)" in capsys.readouterr().out


def test_a_composition_file_names_frames_and_flags_name_others(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Paths are relative to the file; a fault in them says who named them."""
    folder = tmp_path / "runs" / "first"
    folder.mkdir(parents=True)
    frames_of(tmp_path / "data", 255, 200)
    model.with_suffix(".json").write_text(
        '{"input": {"channels": 1, "height": 16, "width": 40}, "mean": 0.5, "std": 0.25,'
        '"activation": "sigmoid", "classes": [{"id": 1, "name": "dark"}, {"id": 2, "name": "b"}]}'
    )
    file = folder / "deployment.toml"
    file.write_text('models = ["../../m.onnx"]\nframes = "../../data"\n')
    flags = [str(file), *FRAME, f"--output={tmp_path / 'engine'}"]
    assert main(flags) == ExitCode.OK
    found = verification_of(tmp_path / "engine")
    assert Path(found.source).resolve() == tmp_path / "data"
    assert "verified on 2 frames: " in found.remark
    assert "has no more (--verify-frames 8)" in found.remark
    assert main([*flags, f"--verify={frames_of(tmp_path / 'other', 255)}"]) == ExitCode.OK
    assert verification_of(tmp_path / "engine").source == str(tmp_path / "other")
    capsys.readouterr()
    assert main([*flags, "--frame=16x41"]) == ExitCode.CONFIG
    error = capsys.readouterr().err
    assert "(the composition file names these frames; --verify names others)" in error


def test_fewer_calibration_frames_than_asked_for_are_said(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As are files of the folder that are not read."""
    frames = frames_of(tmp_path / "frames", 255, 200)
    (frames / "3.webp").write_bytes(b"RIFF")
    named = [f"--verify={frames}", f"--calibration={frames}", "--precision=int8"]
    assert main([str(model), *FRAME, *SIGMOID, *named, "--verify-frames=2"]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "calibrated on 2 frames: " in shown
    assert "has no more (--calibration-frames 64); left out 1 file" in shown
    assert "verified on 2 frames: left out 1 file" in shown


def test_int8_is_calibrated_on_the_frames_of_verify_rather_than_on_made_ones(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says so: frames that were not used before would show more."""
    frames = frames_of(tmp_path / "frames", 255, 200)
    flags = [*FRAME, *SIGMOID, "--precision=int8", f"--verify={frames}", "--verify-frames=2"]
    assert main([str(model), *flags, "--calibration-frames=2"]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert f"calibrated on frames of {frames}, as it is verified" in shown


def test_a_class_that_no_frame_shows_is_not_judged(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The engine is refused, or accepted as not verified: in table, manifest and --inspect."""
    frames = f"--verify={frames_of(tmp_path / 'frames', 0, 10)}"
    flags = [str(model), *FRAME, *SIGMOID, frames, "--verify-frames=2"]
    assert main(flags) == ExitCode.MODEL
    error = capsys.readouterr().err
    assert "bright is not found" in error
    assert "dark is found on every pixel" in error
    assert main([*flags, "--allow-degraded"]) == ExitCode.MODEL
    capsys.readouterr()
    assert main([*flags, "--allow-unverified"]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "verification NOT VERIFIED" in shown
    assert "* not judged: fewer than 256 pixels of bright, dark" in shown
    found = verification_of(tmp_path / "openvino")
    assert (found.passed, found.verdict) == (False, "not verified")
    assert set(found.not_judged) == {"dark", "bright"}
    assert main(["--inspect", str(tmp_path / "openvino")]) == ExitCode.OK
    assert "verification NOT VERIFIED" in capsys.readouterr().out


def test_an_accepted_engine_is_up_to_date_only_for_who_accepts_it(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same build without the flag is refused again, and leaves the engine."""
    frames = f"--verify={frames_of(tmp_path / 'frames', 0)}"
    flags = [str(model), *FRAME, *SIGMOID, frames]
    assert main([*flags, "--allow-unverified"]) == ExitCode.OK
    capsys.readouterr()
    assert main([*flags, "--allow-unverified"]) == ExitCode.OK
    assert "up to date" in capsys.readouterr().out
    assert main(flags) == ExitCode.MODEL
    assert load_manifest(tmp_path / "openvino")


def test_the_test_pattern_has_every_brightness_and_a_seed() -> None:
    """Large and small squares, and the strip."""
    frames = pattern_frames((64, 128), 8, seed=3)
    assert frames.shape == (8, 64, 128)
    assert frames.dtype == np.uint8
    assert frames[::2].min() < 10
    assert frames[::2].max() > 245
    assert np.array_equal(frames, pattern_frames((64, 128), 8, seed=3))
    assert not np.array_equal(frames, pattern_frames((64, 128), 8, seed=4))


def test_frames_that_show_a_rare_class_are_added(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bright steel is in one of forty frames, and not in the two that are asked for."""
    frames = frames_of(tmp_path / "frames", *([0] * 33), 255, *([0] * 6))
    flags = [*FRAME, *SIGMOID, f"--verify={frames}", "--verify-frames=2"]
    assert main([str(model), *flags]) == ExitCode.OK
    found = verification_of(tmp_path / "openvino")
    assert (found.frames, found.verdict, found.not_judged) == (3, "passed", ())
    assert "1 of 32 more frames of" in found.remark
    assert "were added, to show bright" in found.remark
    assert "the same for every frame" not in found.remark
    assert "up to date" not in capsys.readouterr().out
    assert main([str(model), *flags]) == ExitCode.OK
    assert "up to date" in capsys.readouterr().out


def test_a_class_that_no_frame_shows_is_refused_with_how_many_were_looked_at(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The number of forward passes has a limit."""
    frames = frames_of(tmp_path / "frames", *([0] * 80))
    flags = [*FRAME, *SIGMOID, f"--verify={frames}", "--verify-frames=2"]
    assert main([str(model), *flags]) == ExitCode.MODEL
    error = capsys.readouterr().err
    assert "on 2 frames" in error
    assert f"{SPARE_FRAMES} more frames of {frames} do not show enough of" in error
