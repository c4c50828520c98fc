"""What a model is: from its card, from flags, or from the model itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import onnx
import pytest
from onnx import helper

from stripwatch.engines.manifest import Manifest, load_manifest
from stripwatch.errors import ExitCode, ModelError
from stripwatch_engine.cli.main import main
from stripwatch_engine.models.card_flags import CardFlags
from stripwatch_engine.models.member import load_member
from stripwatch_engine.models.model_card import ModelCard, load_card

MakeModel = Callable[..., tuple[Path, ModelCard]]
FLAGS = {
    "--classes": "pits,scratch,patch",
    "--mean": "0.4",
    "--std": "0.25",
    "--activation": "sigmoid",
}

ALLOW = "--allow-unverified"  # one small frame shows no class well


def run(path: Path, *flags: str, frame: str = "32x80") -> int:
    """engine-build for small frames."""
    return main([str(path), f"--frame={frame}", "--verify-frames=1", *flags, ALLOW])


def built(path: Path) -> Manifest:
    """The engine beside a model."""
    return load_manifest(path.parent / "openvino")


def alone(made: tuple[Path, ModelCard]) -> Path:
    """A model without its card."""
    path, _ = made
    path.with_name("model.json").unlink()
    return path


def given(**changes: str | None) -> list[str]:
    """All flags that a model without a card needs, with changes; None leaves one out."""
    flags: dict[str, str | None] = dict(FLAGS)
    flags |= {f"--{name}": value for name, value in changes.items()}
    return [f"{name}={value}" for name, value in flags.items() if value is not None]


def end_in(path: Path, *operators: str) -> None:
    """Let a model apply operators to its output."""
    model = onnx.load(path)
    name = "before_end"
    model.graph.node[-1].output[0] = name
    for index, operator in enumerate(operators):
        output = "out" if index == len(operators) - 1 else f"end{index}"
        axis = {"axis": 1} if operator == "Softmax" else {}
        model.graph.node.append(helper.make_node(operator, [name], [output], **axis))
        name = output
    onnx.save(model, path)


def test_flags_stand_in_for_a_missing_card(make_model: MakeModel) -> None:
    """The engine is the same as with a card of the same values."""
    path, card = make_model()
    assert run(path) == ExitCode.OK
    with_card = built(path)
    path.with_name("model.json").unlink()
    names = ",".join(entry.name for entry in card.classes)
    assert run(path, *given(classes=names)) == ExitCode.OK
    with_flags = built(path)
    assert with_flags.engine_hash == with_card.engine_hash
    assert with_flags.classes == with_card.classes
    assert with_flags.models == with_card.models


@pytest.mark.parametrize("missing", sorted(FLAGS))
def test_each_missing_flag_is_named(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    """And only what is missing."""
    path = alone(make_model())
    assert run(path, *given(**{missing[2:]: None})) == ExitCode.MODEL
    shown = capsys.readouterr().err
    assert f"error: {path} has no model.json beside it" in shown
    assert shown.endswith(f"give {missing}\n")


def test_all_missing_flags_are_named_at_once(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody has to run the command four times."""
    path = alone(make_model())
    assert run(path) == ExitCode.MODEL
    assert "give --classes, --mean, --std, --activation" in capsys.readouterr().err
    assert not (path.parent / "openvino").exists()


@pytest.mark.parametrize(
    "ending", [("Sigmoid",), ("Softmax",), ("Sigmoid", "Identity"), ("Softmax", "Identity")]
)
def test_a_graph_that_ends_in_an_activation_needs_no_flag_for_it(
    make_model: MakeModel, ending: tuple[str, ...]
) -> None:
    """What the model itself does is seen in its graph."""
    path = alone(make_model())
    end_in(path, *ending)
    member = load_member(
        "segmentation",
        path,
        (32, 80),
        CardFlags(classes=("a", "b", "c"), mean=(0.4,), std=(0.25,)),
    )
    assert member.card.activation == "none"
    assert run(path, *given(activation=None)) == ExitCode.OK


def test_an_activation_is_never_applied_twice(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither by the card nor by a flag."""
    path, _ = make_model()
    end_in(path, "Sigmoid")
    assert run(path) == ExitCode.MODEL
    shown = capsys.readouterr().err
    assert (
        "ends in Sigmoid, so its output is made of probabilities already, but model.json says"
        in shown
    )
    assert "applied twice" in shown
    assert run(path, "--activation=none") == ExitCode.OK
    path.with_name("model.json").unlink()
    assert run(path, *given()) == ExitCode.MODEL
    assert "applied twice" in capsys.readouterr().err


def test_flags_have_precedence_over_the_card(make_model: MakeModel) -> None:
    """One by one; values without a flag stay as in the card."""
    path, _ = make_model(background=True)
    flags = ("--classes=pits,kind2,patch", "--threshold=0.2,0.3,0.4", "--min-area=7", "--mean=0.1")
    assert run(path, *flags) == ExitCode.OK
    manifest = built(path)
    assert [entry.name for entry in manifest.classes] == ["pits", "kind2", "patch"]
    assert [entry.threshold for entry in manifest.classes] == [0.2, 0.3, 0.4]
    assert [entry.min_area_px for entry in manifest.classes] == [7, 7, 7]
    assert (manifest.models[0].mean, manifest.models[0].std) == ((0.1,), (0.25,))


def test_the_background_can_be_taken_back(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then the output has one class more, which the card does not name."""
    path, _ = make_model(background=True)
    assert run(path, "--no-background") == ExitCode.MODEL
    assert (
        "output has 4 channels, but model.json names 3 classes (kind1, kind2, kind3); if"
        in capsys.readouterr().err
    )
    assert run(path, "--no-background", "--classes=a,b,c,d") == ExitCode.OK
    assert len(built(path).classes) == 4


def test_flags_that_describe_one_model_are_refused_for_several(
    make_model: MakeModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They would have to mean two things."""
    path, _ = make_model()
    (tmp_path / "second.onnx").write_bytes(path.read_bytes())
    assert run(path, str(tmp_path / "second.onnx"), "--mean=0.5") == ExitCode.CONFIG
    assert "describe one model; with several, write a model.json" in capsys.readouterr().err


def test_a_card_with_the_models_own_name_has_precedence(make_model: MakeModel) -> None:
    """So that several models can lie in one folder."""
    path, card = make_model()
    own = path.with_name("night.onnx")
    path.rename(own)
    plain = json.loads(path.with_name("model.json").read_text())
    plain["classes"][0]["name"] = "crazing"
    own.with_suffix(".json").write_text(json.dumps(plain))
    assert load_card(own).classes[0].name == "crazing"
    assert run(own) == ExitCode.OK
    assert built(own).classes[0].name == "crazing"
    own.with_suffix(".json").unlink()
    assert load_card(own) == card


@pytest.mark.parametrize(
    ("frame", "flags", "shape"),
    [
        ("32x80", [], (32, 96)),  # rounded up to what encoders halve five times
        ("32x96", [], (32, 96)),
        ("32x80", ["--input=16x48"], (16, 48)),
        ("32x80", ["--input=64x96", "--fit=pad"], (64, 96)),
    ],
)
def test_a_model_of_any_size_takes_the_frame_or_what_input_says(
    make_model: MakeModel, frame: str, flags: list[str], shape: tuple[int, int]
) -> None:
    """Without --input it sees the frame as it is, with what its encoder needs added."""
    path = alone(make_model(fixed=False))
    assert run(path, *given(), *flags, frame=frame) == ExitCode.OK
    assert built(path).models[0].input_shape == (1, *shape)


def test_a_model_of_any_size_is_padded_unless_input_says_its_size(make_model: MakeModel) -> None:
    """A size that somebody chose is one to resize to, as training does."""
    path = alone(make_model(fixed=False))
    flags = CardFlags(classes=("a", "b", "c"), mean=(0.4,), std=(0.2,), activation="sigmoid")
    assert load_member("segmentation", path, (32, 80), flags).card.input.fit == "pad"
    sized = msgspec.structs.replace(flags, size=(16, 48))
    assert load_member("segmentation", path, (32, 80), sized).card.input.fit == "resize"


@pytest.mark.parametrize("size", ["31x96", "32x79", "16x40"])
def test_padding_to_less_than_the_frame_is_refused(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str], size: str
) -> None:
    """Nothing can be added."""
    path = alone(make_model(fixed=False))
    assert run(path, *given(), f"--input={size}", "--fit=pad") == ExitCode.MODEL
    shown = capsys.readouterr().err
    assert f"takes {size}, less than the frames' 32x80" in shown
    assert "choose --fit resize" in shown


def test_an_input_that_the_model_does_not_take_is_refused(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sizes of both are in the sentence."""
    path, _ = make_model()
    assert run(path, "--input=32x48") == ExitCode.MODEL
    shown = capsys.readouterr().err
    assert "the sizes [1, 16, 40] after the batch" in shown
    assert "[1, 32, 48]" in shown


@pytest.mark.parametrize(
    ("flag", "sentence"),
    [
        ("--threshold=0.5,0.4", "--threshold has 2 values; give one, or one for each of the 3"),
        ("--min-area=1,2,3,4", "--min-area has 4 values; give one, or one for each of the 3"),
        ("--threshold=1.5", "class 'kind1': Expected `float` < 1"),
        ("--threshold=0", "class 'kind1': Expected `float` > 0"),
        ("--min-area=-1", "class 'kind1': Expected `int` >= 0"),
        ("--classes=a,b", "output has 3 channels, but model.json names 2 classes (a, b); if the"),
        ("--classes=Pits,b,c", "class 'Pits': Expected `str` matching regex"),
        ("--classes=a,a,b", "two classes have the same name"),
        ("--classes=a,b,", "class '': Expected `str` matching regex"),
        ("--classes=a,b,c,d,e,f,g,h,i", "class 'i': Expected `int` <= 8"),
        ("--mean=0.1,0.2", "mean has 2 values; give one"),
        ("--std=0.1,0.2,0.3", "std has 3 values; give one"),
    ],
)
def test_values_that_do_not_fit_the_model_are_refused(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str], flag: str, sentence: str
) -> None:
    """The sentence names the flag or the class."""
    path, _ = make_model()
    assert run(path, flag) == ExitCode.MODEL
    assert sentence in capsys.readouterr().err
    assert not (path.parent / "openvino").exists()


def test_a_model_of_three_channels_takes_statistics_for_each(make_model: MakeModel) -> None:
    """From flags as from a card."""
    path = alone(make_model(channels=3))
    assert run(path, *given(mean="0.1,0.2,0.3", std="0.5")) == ExitCode.OK
    (source,) = built(path).models
    assert source.input_shape[0] == 3
    assert (source.mean, source.std) == ((0.1, 0.2, 0.3), (0.5, 0.5, 0.5))


def test_channels_that_grey_cannot_be_made_into_are_refused(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two are neither grey nor colour."""
    path = alone(make_model(channels=2))
    assert run(path, *given()) == ExitCode.MODEL
    assert (
        "takes 2 channels; frames are grey, so a model must take 1 or 3" in capsys.readouterr().err
    )


def test_a_missing_model_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before its card is looked for; no folder is left behind."""
    path = tmp_path / "model.onnx"
    assert run(path) == ExitCode.MODEL
    assert f"{path} does not exist" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_missing_card_is_asked_for_by_name(make_model: MakeModel) -> None:
    """With the command that writes it, and with the flags that stand in for it."""
    path = alone(make_model())
    with pytest.raises(ModelError, match=r"stripwatch-train export.*--classes") as caught:
        load_card(path)
    assert str(path.with_name("model.json")) in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("activation", "relu", "Invalid enum value 'relu'"),
        ("mean", [0.1, 0.2], "mean has 2 values; give one"),
        ("std", 0, "Expected `float` > 0"),
        ("surplus", 1, "unknown field `surplus`"),
        ("v", 2, "Invalid enum value 2"),
        ("classes", [], "class ids must be 1, 2, 3"),
        ("classes", [{"id": 2, "name": "pits"}], "class ids must be 1, 2, 3"),
        (
            "classes",
            [{"id": 1, "name": "pits"}, {"id": 2, "name": "pits"}],
            "two classes have the same name",
        ),
    ],
)
def test_a_wrong_card_is_refused(
    make_model: MakeModel,
    capsys: pytest.CaptureFixture[str],
    key: str,
    value: object,
    sentence: str,
) -> None:
    """The sentence names the file and what is wrong in it."""
    path, _ = make_model()
    card = path.with_name("model.json")
    card.write_text(json.dumps(json.loads(card.read_text()) | {key: value}))
    assert run(path) == ExitCode.MODEL
    shown = capsys.readouterr().err
    assert sentence in shown
    assert str(card) in shown


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\udcff"])
def test_a_card_that_is_no_card_is_refused(
    make_model: MakeModel, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """Empty, cut, of another kind, or no text at all."""
    path, _ = make_model()
    card = path.with_name("model.json")
    card.write_bytes(text.encode(errors="surrogateescape"))
    assert run(path) == ExitCode.MODEL
    assert f"{card} is not a valid model.json" in capsys.readouterr().err
