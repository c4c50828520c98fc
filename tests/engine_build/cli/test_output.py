"""What engine-build prints besides its tables: its version, JSON, hints and names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from stripwatch import __version__
from stripwatch.engines.manifest import load_manifest
from stripwatch.errors import ExitCode
from stripwatch_engine.cli.main import main
from stripwatch_engine.models.model_card import ModelCard, save_card

MakeModel = Callable[..., tuple[Path, ModelCard]]
SMALL = ["--frame=32x80", "--verify-frames=1", "--allow-unverified"]


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Not taken for the beginning of --version-compatible."""
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == ExitCode.OK
    assert capsys.readouterr().out == f"engine-build {__version__}\n"


def test_an_unknown_flag_is_answered_with_the_nearest(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = make_model()
    with pytest.raises(SystemExit) as caught:
        main([str(path), "--calibrate=frames", "--fliip"])
    assert caught.value.code == ExitCode.USAGE
    error = capsys.readouterr().err
    assert "unrecognized arguments: --calibrate=frames --fliip" in error
    assert "did you mean --calibration or --flip?" in error


def test_manifests_are_printed_as_json(
    make_model: MakeModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a build, of one that is up to date, and of folders that are shown."""
    path, _ = make_model()
    folder = tmp_path / "engine"
    printed = []
    for flags in ([str(path), "-o", str(folder), *SMALL],) * 2 + (["--inspect", str(folder)],):
        assert main([*flags, "--json"]) == ExitCode.OK
        printed.append(json.loads(capsys.readouterr().out))
    ((built,), (again,), (shown,)) = printed
    assert built == again == shown
    assert built["folder"] == str(folder)
    wanted = msgspec.json.decode(msgspec.json.encode(load_manifest(folder)))
    assert built["manifest"] == wanted


def test_the_command_is_one_line_that_can_be_copied(
    make_model: MakeModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a narrow window, too."""
    path, _ = make_model()
    folder = tmp_path / ("long " * 20).strip()
    assert main([str(path), f"--output={folder}", *SMALL]) == ExitCode.OK
    manifest = load_manifest(folder)
    assert f"command: {manifest.command}" in capsys.readouterr().out.splitlines()


def test_models_of_one_file_name_are_told_apart_by_their_folders(
    make_model: MakeModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By as much of their paths as is needed."""
    path, card = make_model()
    for name in ("unet-fold0", "unet-fold1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.onnx").write_bytes(path.read_bytes())
        save_card(tmp_path / name / "model.onnx", card)
    models = [str(tmp_path / name / "model.onnx") for name in ("unet-fold0", "unet-fold1")]
    assert main([*models, f"--output={tmp_path / 'engine'}", *SMALL]) == ExitCode.OK
    files = [model.file for model in load_manifest(tmp_path / "engine").models]
    assert files == ["unet-fold0/model.onnx", "unet-fold1/model.onnx"]
    assert "unet-fold1/model.onnx (" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flag", "key"), [("--gate-mode=skip", "gate_mode"), ("--min-area-factor=2", "min_area_factor")]
)
def test_a_flag_beside_a_composition_file_is_answered_with_its_key(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str], flag: str, key: str
) -> None:
    path, _ = make_model()
    file = path.with_name("line.toml")
    file.write_text('models = ["model.onnx"]\n')
    assert main([str(file), flag]) == ExitCode.CONFIG
    error = capsys.readouterr().err
    assert f"{file} lists all models of the engine" in error
    assert f"set {key} in it, and leave out {flag.partition('=')[0]}" in error


def test_a_soft_gate_that_multiplies_nothing_is_refused(
    make_model: MakeModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """5 times a minimum area of 0 is 0; the sentence names both ways out."""
    path, _ = make_model(classes=2)
    segmentation = path.rename(tmp_path / "segmentation.onnx")
    path.with_name("model.json").rename(tmp_path / "segmentation.json")
    gate, _ = make_model(classes=2)
    gate_flag = f"--classifier={gate}"
    assert main([str(segmentation), gate_flag, *SMALL]) == ExitCode.CONFIG
    error = capsys.readouterr().err
    assert "multiplies minimum areas by 5, but that of kind1, kind2 is 0" in error
    assert "min_area_px in model.json" in error
    assert "gate mode skip" in error
    assert not (tmp_path / "openvino").exists()
