"""engine-build: what it writes, when it writes nothing, and what it shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from stripwatch.engines.manifest import Manifest, load_manifest
from stripwatch.errors import ExitCode, ModelError
from stripwatch_engine.cli.main import main
from stripwatch_engine.models.model_card import ModelCard, load_card, save_card

MakeModel = Callable[..., tuple[Path, ModelCard]]
BuildEngine = Callable[[Path, tuple[int, int], Path], Manifest]

ALLOW = "--allow-unverified"  # one small frame shows no class well


def run(path: Path, *flags: str) -> int:
    """engine-build for small frames."""
    return main([str(path), "--frame=32x80", "--verify-frames=1", *flags, ALLOW])


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """The bytes and the time of writing of every file of a folder."""
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_a_build_writes_an_engine_that_its_manifest_describes(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """The default folder is beside the model; the summary names frames and classes."""
    path, card = make_model()
    assert main([str(path), "--frame", "32x80"]) == ExitCode.OK
    manifest = load_manifest(path.parent / "openvino")
    assert (manifest.target, manifest.precision) == ("openvino", "fp32")
    assert manifest.frame_shape == (32, 80)
    assert manifest.classes == card.classes
    assert manifest.builder.startswith("openvino 20")
    assert manifest.command == f"engine-build {path} --frame 32x80"
    (source,) = manifest.models
    assert (source.file, source.input_shape) == ("model.onnx", (1, 16, 40))
    shown, errors = capsys.readouterr()
    assert errors == ""  # the bar of progress is for terminals
    assert "32 x 80" in shown
    assert all(f"kind{number}:" in shown for number in (1, 2, 3))
    assert "verification passed: 8 frames (synthetic)" in shown


def test_the_files_carry_the_hash_and_nothing_else_is_there(
    make_model: MakeModel, build_engine: BuildEngine, tmp_path: Path
) -> None:
    """So the files of two engines never have the same name."""
    path, _ = make_model()
    manifest = build_engine(path, (32, 80), tmp_path / "engine")
    names = {entry.name for entry in (tmp_path / "engine").iterdir()}
    assert names == {"manifest.json", *manifest.files}
    assert all(manifest.engine_hash[:12] in name for name in manifest.files)


def test_the_same_model_gives_the_same_hash(
    make_model: MakeModel, build_engine: BuildEngine, tmp_path: Path
) -> None:
    """The hash names the engine in events: it depends on the content, not on the time."""
    path, _ = make_model()
    first = build_engine(path, (32, 80), tmp_path / "one")
    again = build_engine(path, (32, 80), tmp_path / "two")
    other = build_engine(path, (48, 80), tmp_path / "three")
    assert first == again
    assert first.engine_hash != other.engine_hash


def test_the_same_model_in_int8_gives_the_same_hash(make_model: MakeModel, tmp_path: Path) -> None:
    """Quantization writes nothing into the engine that another run would write differently."""
    path, _ = make_model()
    flags = ("--precision=int8", "--calibration-frames=2", "--allow-degraded")
    hashes = set()
    for name in ("one", "two"):
        assert run(path, *flags, f"--output={tmp_path / name}") == ExitCode.OK
        hashes.add(load_manifest(tmp_path / name).engine_hash)
    assert len(hashes) == 1


def test_a_new_build_replaces_the_old_and_leaves_only_what_a_daemon_may_still_run(
    make_model: MakeModel, build_engine: BuildEngine, tmp_path: Path
) -> None:
    """The files of the engine before stay for one build; no draft, note or folder does."""
    path, _ = make_model()
    folder = tmp_path / "engine"
    oldest = build_engine(path, (16, 40), folder)
    before = build_engine(path, (32, 80), folder)
    (folder / "note.txt").write_text("of the old engine")
    (folder / ".draft-old").mkdir()
    (folder / ".draft-old" / "inspection.xml").write_text("of a build that was killed")
    manifest = build_engine(path, (48, 120), folder)
    assert load_manifest(folder) == manifest
    there = {entry.name for entry in folder.iterdir()}
    assert there == {"manifest.json", *manifest.files, *before.files}
    assert not there & set(oldest.files)
    names = sorted(entry.name for entry in tmp_path.iterdir())
    assert names == ["engine", "model.json", "model.onnx"]


def test_a_folder_that_is_no_engine_is_not_replaced(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--output .` must not eat the user's files."""
    path, _ = make_model()
    before = state(path.parent)
    assert run(path, f"--output={path.parent}") == ExitCode.CONFIG
    assert "is not an engine folder" in capsys.readouterr().err
    assert state(path.parent) == before


def test_a_file_in_the_place_of_the_folder_is_not_replaced(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--output model.onnx` must not eat the model."""
    path, _ = make_model()
    before = path.read_bytes()
    assert run(path, f"--output={path}") == ExitCode.CONFIG
    assert "is not an engine folder" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_an_empty_folder_is_built_into(make_model: MakeModel, tmp_path: Path) -> None:
    """Somebody made it for the engine."""
    path, _ = make_model()
    (tmp_path / "engine").mkdir()
    assert run(path, f"--output={tmp_path / 'engine'}") == ExitCode.OK
    load_manifest(tmp_path / "engine")


def test_a_second_identical_build_does_nothing(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """It prints so, and how to build nevertheless."""
    path, _ = make_model()
    assert run(path) == ExitCode.OK
    before = state(path.parent / "openvino")
    capsys.readouterr()
    assert run(path) == ExitCode.OK
    shown = capsys.readouterr().out
    assert f"{path.parent / 'openvino'} is up to date" in shown
    assert "--force" in shown
    assert state(path.parent / "openvino") == before


def test_force_builds_although_nothing_has_changed(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """The engine is the same, written again."""
    path, _ = make_model()
    run(path)
    before = state(path.parent / "openvino")
    capsys.readouterr()
    assert run(path, "--force") == ExitCode.OK
    assert "up to date" not in capsys.readouterr().out
    after = state(path.parent / "openvino")
    assert set(after) == set(before)
    assert all(after[name][1] > before[name][1] for name in before)


def test_another_file_of_the_same_model_is_up_to_date(
    make_model: MakeModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a model lies does not matter, only what it is."""
    path, _ = make_model()
    folder = f"--output={tmp_path / 'engine'}"
    run(path, folder)
    capsys.readouterr()
    (tmp_path / "moved").mkdir()
    for name in ("model.onnx", "model.json"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    assert run(tmp_path / "moved" / "model.onnx", folder) == ExitCode.OK
    assert "up to date" in capsys.readouterr().out


def change_weights(path: Path, _card: ModelCard) -> None:
    model = onnx.load(path)
    weights = numpy_helper.to_array(model.graph.initializer[0]) * np.float32(1.25)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "first"))
    onnx.save(model, path)


def change_card(path: Path, card: ModelCard) -> None:
    save_card(path, msgspec.structs.replace(card, mean=0.41))


def damage_engine(path: Path, _card: ModelCard) -> None:
    binary = next((path.parent / "openvino").glob("*.bin"))
    data = bytearray(binary.read_bytes())
    data[len(data) // 2] ^= 1
    binary.write_bytes(data)


def lose_engine(path: Path, _card: ModelCard) -> None:
    next((path.parent / "openvino").glob("*.xml")).unlink()


def damage_manifest(path: Path, _card: ModelCard) -> None:
    (path.parent / "openvino" / "manifest.json").write_text("{")


@pytest.mark.parametrize(
    "change", [change_weights, change_card, damage_engine, lose_engine, damage_manifest]
)
def test_what_is_not_up_to_date_is_built_again(
    make_model: MakeModel,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Path, ModelCard], None],
) -> None:
    """Another model, another card, or an engine that is no longer whole."""
    path, card = make_model()
    run(path)
    change(path, card)
    capsys.readouterr()
    assert run(path) == ExitCode.OK
    assert "up to date" not in capsys.readouterr().out
    load_manifest(path.parent / "openvino")
    assert run(path) == ExitCode.OK
    assert "up to date" in capsys.readouterr().out


@pytest.mark.parametrize(
    "flag",
    [
        "--frame=48x80",
        "--precision=fp16",
        "--flip",
        "--threshold=0.4",
        "--min-area=3",
        "--verify-frames=2",
        "--dice-min=0.9",
        "--mean=0.3",
    ],
)
def test_another_flag_is_another_engine(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    """Each of these changes what the engine is, or what it was held to."""
    path, _ = make_model()
    run(path)
    capsys.readouterr()
    assert run(path, flag) == ExitCode.OK
    assert "up to date" not in capsys.readouterr().out


def test_an_engine_that_was_let_pass_is_not_up_to_date_without_that_flag(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """A build that would refuse it does not take it over from an earlier one."""
    path, _ = make_model()
    strict = "--dice-min=1.5"
    assert run(path, strict, "--allow-degraded") == ExitCode.OK
    capsys.readouterr()
    assert run(path, strict, "--allow-degraded") == ExitCode.OK
    assert "up to date" in capsys.readouterr().out
    assert run(path, strict) == ExitCode.MODEL
    assert "differs too much" in capsys.readouterr().err


def test_inspect_shows_what_an_engine_is(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames, classes, sources, size, hash, command and verification; nothing is written."""
    monkeypatch.setenv("COLUMNS", "200")
    path, _ = make_model()
    run(path, "--threshold=0.4", "--min-area=12")
    folder = path.parent / "openvino"
    before = state(folder)
    capsys.readouterr()
    assert main(["--inspect", str(folder)]) == ExitCode.OK
    shown = capsys.readouterr().out
    manifest = load_manifest(folder)
    for part in (
        "openvino fp32",
        "32 x 80",
        "kind3: probability >= 0.4, area >= 12 px",
        "takes 1 x 16 x 40",
        manifest.engine_hash[:16],
        manifest.command,
        "verification passed: 1 frames (synthetic)",
        "limits: Dice at least 0.999",
    ):
        assert part in shown
    assert state(folder) == before


def test_inspect_shows_several_engines(
    make_model: MakeModel,
    build_engine: BuildEngine,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One after the other."""
    path, _ = make_model()
    hashes = [
        build_engine(path, shape, tmp_path / str(shape[0])).engine_hash[:16]
        for shape in ((32, 80), (48, 80))
    ]
    assert main(["--inspect", str(tmp_path / "32"), str(tmp_path / "48")]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert 0 < shown.index(hashes[0]) < shown.index(hashes[1])


def test_inspect_of_a_damaged_engine_says_how_to_rebuild_it(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the very command that built it."""
    path, card = make_model()
    run(path)
    damage_engine(path, card)
    assert main(["--inspect", str(path.parent / "openvino")]) == ExitCode.MODEL
    shown = capsys.readouterr().err
    assert "it is damaged or was exchanged" in shown
    assert f"build it with: engine-build {path} --frame=32x80 --verify-frames=1" in shown


def test_inspect_of_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither no folder nor a folder without an engine is shown as an empty success."""
    assert main(["--inspect"]) == ExitCode.CONFIG
    assert "name the engine folders" in capsys.readouterr().err
    assert main(["--inspect", str(tmp_path)]) == ExitCode.MODEL
    assert f"{tmp_path} holds no engine" in capsys.readouterr().err


def test_a_folder_whose_name_looks_like_markup_is_shown_as_it_is(
    make_model: MakeModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Square brackets are allowed in names."""
    path, _ = make_model()
    folder = tmp_path / "line[red]" / "2[" / "]"
    assert run(path, f"--output={folder}") == ExitCode.OK
    assert run(path, f"--output={folder}") == ExitCode.OK
    assert f"{folder} is up to date" in capsys.readouterr().out
    assert main(["--inspect", str(folder)]) == ExitCode.OK
    assert "line[red]/2[/]" in capsys.readouterr().out.replace("\n", "")


def test_softmax_over_one_channel_is_refused(make_model: MakeModel) -> None:
    """It would find defects everywhere."""
    path, _ = make_model(classes=1, activation="softmax")
    with pytest.raises(ModelError, match="softmax over one channel is always 1"):
        load_card(path)


def test_a_card_that_was_saved_is_loaded_as_it_was(make_model: MakeModel) -> None:
    """Whether statistics are given once or by channel."""
    path, card = make_model(channels=3, mean=(0.1, 0.2, 0.3), std=0.5, background=True)
    assert load_card(path) == card
    assert card.channel_statistics() == ((0.1, 0.2, 0.3), (0.5, 0.5, 0.5))


def test_a_model_whose_output_is_an_integer_is_refused(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """Labels are no probabilities."""
    path, _ = make_model()
    model = onnx.load(path)
    model.graph.node[-1].output[0] = "float_out"
    model.graph.node.append(helper.make_node("Cast", ["float_out"], ["out"], to=TensorProto.INT64))
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    onnx.save(model, path)
    assert run(path) == ExitCode.MODEL
    assert "output 'out' is INT64" in capsys.readouterr().err
