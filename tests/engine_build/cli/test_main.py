"""engine-build's flags, and the composition file with the same content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stripwatch.engines.manifest import load_manifest
from stripwatch.errors import ExitCode
from stripwatch_engine.cli.main import main
from stripwatch_engine.models.model_card import ModelCard

MakeModel = Callable[..., tuple[Path, ModelCard]]

ALLOW = "--allow-unverified"  # one small frame shows no class well


def run(path: Path, *flags: str) -> int:
    """engine-build for small frames."""
    return main([str(path), "--frame=32x80", "--verify-frames=1", *flags, ALLOW])


def named(made: tuple[Path, ModelCard], name: str) -> Path:
    """A model under another name, with its card."""
    path, _ = made
    path.with_name("model.json").rename(path.with_name(f"{name}.json"))
    return path.rename(path.with_name(f"{name}.onnx"))


@pytest.fixture
def line(make_model: MakeModel) -> Path:
    """A folder with two models of three classes, and one of a class alone."""
    first = named(make_model(seed=1), "first")
    named(make_model(seed=2), "second")
    card = named(make_model(classes=1, seed=3), "own").with_suffix(".json")
    card.write_text(card.read_text().replace("kind1", "kind3"))
    return first.parent


@pytest.mark.parametrize("frame", ["256", "256x", "0x1600", "-1x5", "axb", "256x1600x3", ""])
def test_a_frame_shape_that_is_none_is_a_configuration_error(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str], frame: str
) -> None:
    """The sentence shows how it is written."""
    path, _ = make_model()
    assert main([str(path), f"--frame={frame}"]) == ExitCode.CONFIG
    shown = capsys.readouterr().err
    assert f"--frame {frame!r}" in shown
    assert "for example 256x1600" in shown


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--frame=65537x80"], "--frame '65537x80': at most 65536"),
        (["--input=16"], "--input '16': expected LINESxPIXELS"),
        (["--input=16x99999"], "--input '16x99999': at most 65536"),
        (["--mean=a"], "--mean 'a': expected numbers"),
        (["--mean="], "--mean '': expected numbers"),
        (["--mean=0.1,,0.2"], "--mean '0.1,,0.2': expected numbers"),
        (["--mean=nan"], "--mean 'nan': expected numbers"),
        (["--std=inf"], "--std 'inf': expected numbers"),
        (["--std=0"], "--std 0: expected numbers above 0"),
        (["--std=0.2,-1,0.2"], "--std 0.2,-1,0.2: expected numbers above 0"),
        (["--threshold=half"], "--threshold 'half': expected numbers"),
        (["--threshold=nan"], "--threshold 'nan': expected numbers"),
        (["--min-area=1.5"], "--min-area '1.5': expected whole numbers"),
        (["--dice-min=nan"], "--dice-min nan: expected a number"),
        (["--error-mean-max=inf"], "--error-mean-max inf: expected a number"),
        (["--verify-frames=0"], "--verify-frames 0: expected 1 or more"),
        (["--calibration-frames=-3"], "--calibration-frames -3: expected 1 or more"),
        (["--class=c.onnx"], "--class 'c.onnx': expected ID=MODEL.onnx"),
        (["--class=0=c.onnx"], "--class '0=c.onnx': expected ID=MODEL.onnx"),
        (["--class=9=c.onnx"], "--class '9=c.onnx': expected ID=MODEL.onnx"),
        (["--class=3="], "--class '3=': expected ID=MODEL.onnx"),
        (["--batch=1:4"], "--batch: OpenVINO engines take any number of frames"),
        (["--target=tensorrt-rtx", "--batch=4"], "--batch '4': expected FEWEST:MOST"),
        (["--target=tensorrt-rtx", "--batch=0:4"], "--batch '0:4': expected FEWEST:MOST"),
        (["--target=tensorrt-rtx", "--batch=8:4"], "--batch '8:4': expected FEWEST:MOST"),
        (["--gate-mode=skip"], "need --gate or --classifier"),
        (["--gate=g.onnx", "--min-area-factor=0.5"], "--min-area-factor 0.5: expected 1 or more"),
        (["--gate=g.onnx", "--min-area-factor=nan"], "--min-area-factor nan: expected 1 or more"),
    ],
)
def test_a_value_that_is_not_allowed_is_a_configuration_error(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str], flags: list[str], sentence: str
) -> None:
    """The sentence names the flag and what is expected; no folder is made."""
    path, _ = make_model()
    before = sorted(path.parent.iterdir())
    assert run(path, *flags) == ExitCode.CONFIG
    assert sentence in capsys.readouterr().err
    assert sorted(path.parent.iterdir()) == before


@pytest.mark.parametrize(
    "flag", ["--target=cpu", "--precision=bf16", "--activation=relu", "--fit=crop", "--frames=3"]
)
def test_a_flag_or_choice_that_is_none_is_a_wrong_command_line(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    """As in every command: exit code 2 and the usage."""
    path, _ = make_model()
    with pytest.raises(SystemExit) as caught:
        run(path, flag)
    assert caught.value.code == ExitCode.USAGE
    assert "usage: engine-build" in capsys.readouterr().err


def test_a_name_that_is_not_utf8_is_a_configuration_error(
    make_model: MakeModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The manifest, which is UTF-8, could not hold the command."""
    path, _ = make_model()
    folder = tmp_path / b"line\xff".decode("utf-8", "surrogateescape")
    assert run(path, f"--output={folder}") == ExitCode.CONFIG
    assert r"line\udcff' is not UTF-8" in capsys.readouterr().err
    assert not folder.exists()


def test_models_may_stand_before_after_and_between_flags(line: Path, tmp_path: Path) -> None:
    """Their order among themselves is what counts."""
    first, second = str(line / "first.onnx"), str(line / "second.onnx")
    frame, few = "--frame=32x80", "--verify-frames=1"
    orders = ([first, second, frame, few], [frame, first, few, second], [frame, few, first, second])
    hashes = set()
    for number, order in enumerate(orders):
        folder = tmp_path / f"engine{number}"
        assert main([*order, "--output", str(folder), ALLOW]) == ExitCode.OK
        manifest = load_manifest(folder)
        assert [model.file for model in manifest.models] == ["first.onnx", "second.onnx"]
        hashes.add(manifest.engine_hash)
    assert len(hashes) == 1


def test_a_composition_file_equals_the_same_flags(
    line: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """So equal that the one engine is up to date for the other; paths are relative to the file."""
    file = line / "line.toml"
    file.write_text(
        'models = ["first.onnx", "second.onnx"]\nflip = true\nclass_models = { 3 = ["own.onnx"] }\n'
    )
    output = f"--output={tmp_path / 'engine'}"
    models = [str(line / "second.onnx"), f"--class=3={line / 'own.onnx'}"]
    assert run(line / "first.onnx", *models, "--flip", output) == ExitCode.OK
    manifest = load_manifest(tmp_path / "engine")
    assert [model.class_id for model in manifest.models] == [None, None, 3]
    capsys.readouterr()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert run(file, output) == ExitCode.OK
    assert "up to date" in capsys.readouterr().out
    assert load_manifest(tmp_path / "engine") == manifest


def test_the_order_of_averaged_models_is_kept_in_the_manifest(line: Path) -> None:
    """The engine's default folder lies beside the first."""
    file = line / "line.toml"
    file.write_text('models = ["second.onnx", "first.onnx"]\n')
    assert run(file) == ExitCode.OK
    manifest = load_manifest(line / "openvino")
    assert [model.file for model in manifest.models] == ["second.onnx", "first.onnx"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "model = ['first.onnx']",
            "unknown field `model` (did you mean models?); keys: models, class_models, flip",
        ),
        ("models = 'first.onnx'", "Expected `array`, got `str` - at `$.models`"),
        ("models = [1]", "Expected `str`, got `int` - at `$.models[0]`"),
        ("models = ['first.onnx']\nflip = 'sideways'", "Expected `bool`"),
        ("models = ['first.onnx']\ngate_mode = 'hard'", "Invalid enum value 'hard'"),
        ("models = ['first.onnx']\nmin_area_factor = 0.5", "Expected `float` >= 1.0"),
        ("models = ['first.onnx']\nmin_area_factor = nan", "$.min_area_factor"),
        ("models = ['first.onnx']\nclass_models = { a = ['own.onnx'] }", "$.class_models"),
        ("models = ['first.onnx']\nclass_models = { 9 = ['own.onnx'] }", "$.class_models"),
        ("models = ['first.onnx']\nclass_models = { 0 = ['own.onnx'] }", "$.class_models"),
        ("models = ['first.onnx']\nclass_models = { 1 = [] }", "$.class_models"),
        ("models = [", "keys: models"),
        ("models = ['first.onnx']\nmodels = ['second.onnx']", "keys: models"),
        ("", "no segmentation model"),
    ],
)
def test_a_wrong_composition_file_is_refused(
    line: Path, capsys: pytest.CaptureFixture[str], text: str, sentence: str
) -> None:
    """The sentence names the file, what is wrong, and the keys there are."""
    file = line / "line.toml"
    file.write_text(text)
    assert run(file, f"--output={line / 'engine'}") == ExitCode.CONFIG
    shown = capsys.readouterr().err
    assert sentence in shown
    assert text == "" or str(file) in shown
    assert not (line / "engine").exists()


def test_a_composition_file_that_is_no_text_is_refused(
    line: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Or is not there at all."""
    file = line / "line.toml"
    for suffix in (".toml", ".TOML"):  # the suffix says what it is, in any case
        upper = file.with_suffix(suffix)
        upper.write_bytes(b"\xff")
        assert run(upper) == ExitCode.CONFIG
        assert f"{upper}: 'utf-8' codec" in capsys.readouterr().err
    file.unlink()
    assert run(file) == ExitCode.CONFIG
    assert f"{file} cannot be read: No such file" in capsys.readouterr().err


def test_a_model_that_a_composition_file_names_and_is_not_there_is_named(
    line: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the whole path, for it is relative to the file."""
    file = line / "line.toml"
    file.write_text('models = ["first.onnx", "third.onnx"]\n')
    assert run(file) == ExitCode.MODEL
    assert f"{line / 'third.onnx'} does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flag",
    [
        "first.onnx",
        "--flip",
        "--gate=g.onnx",
        "--classifier=c.onnx",
        "--class=3=own.onnx",
        "--gate-mode=skip",
        "--min-area-factor=2",
    ],
)
def test_a_composition_file_goes_with_no_flag_of_its_kind(
    line: Path, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    """One of them would not be heeded."""
    file = line / "line.toml"
    file.write_text('models = ["first.onnx"]\n')
    assert run(file, flag) == ExitCode.CONFIG
    assert f"{file} lists all models of the engine" in capsys.readouterr().err


def test_an_own_model_for_a_class_that_nothing_leads_up_to_is_refused(
    line: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Class 3 alone leaves 1 and 2 without a model."""
    assert main([f"--class=3={line / 'own.onnx'}", "--frame=32x80"]) == ExitCode.MODEL
    assert "class ids must be 1, 2, 3, ... in order, not [3]" in capsys.readouterr().err


def test_an_own_model_of_another_class_is_refused(
    line: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its card names the class that it segments."""
    assert run(line / "first.onnx", f"--class=2={line / 'own.onnx'}") == ExitCode.MODEL
    assert "segments 'kind3', but class 2 is 'kind2'" in capsys.readouterr().err
